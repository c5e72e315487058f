//! What every public type promises: fairness, errors, panics that are documented, and what once went wrong.

#[path = "../common/mod.rs"]
mod common;

mod absurd;
mod error;
mod fairness;
mod misfortunes;
mod panics;
