//! The map from outside.

#[path = "../common/mod.rs"]
mod common;

mod calls;
mod history;
mod once;
#[cfg(feature = "rayon")]
mod parallel;
mod readers;
