//! How a wait ends, and what ends it: tokens, clocks, limits, the monitor, and the wait-for graph.

#[path = "../common/mod.rs"]
mod common;

mod cancel;
mod chains;
mod clock;
mod clock_scope;
mod cycles;
mod monitor;
mod settling;
mod until;
