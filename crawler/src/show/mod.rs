//! The formats that a report is written in.

mod annotations;
mod bars;
mod clusters;
mod columns;
mod csv;
mod fixes;
mod graph;
mod html;
mod json;
mod markdown;
mod picture;
mod shapes;
mod text;
mod totals;
mod visible;

pub use json::ReportError;
