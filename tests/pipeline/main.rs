//! `Pipeline` as its users see it.

#[path = "../common/mod.rs"]
mod common;

mod branches;
mod calls;
mod figures;
mod random;
mod silence;
mod stages;
mod stopping;
