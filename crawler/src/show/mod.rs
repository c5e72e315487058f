//! A report, shown.

mod annotations;
mod csv;
mod graph;
mod html;
mod json;
mod markdown;
mod picture;
mod shapes;
mod text;
mod visible;

pub use json::ReportError;
