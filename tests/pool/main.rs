//! The pool from outside, a file for each side of it.

#[path = "../common/mod.rs"]
mod common;

mod blocking;
mod bursts;
mod delayed;
mod elastic;
mod elsewhere;
mod keyed;
mod named;
mod raw_jobs;
mod results;
mod shutdown;
mod stress;
mod submitting;
mod tasks;
