//! A report, shown.

mod csv;
mod graph;
mod html;
mod json;
mod picture;
mod shapes;
mod text;
mod visible;

pub use json::ReportError;
