//! A report, shown.

mod picture;
mod shapes;
mod text;
