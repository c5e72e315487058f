//! Scopes and groups from outside.

#[path = "../common/mod.rs"]
mod common;

mod failing;
mod owned;
mod returns;
mod scope;
