//! Scopes and groups from outside.

#[path = "../common/mod.rs"]
mod common;

mod failing;
mod first_ok;
mod owned;
mod returns;
mod scope;
