//! How a wait ends, and what ends it: tokens, clocks, limits, the monitor, and the graph of who waits for
//! whom.

#[path = "../common/mod.rs"]
mod common;

mod cancel;
mod chains;
mod circles;
mod clock;
mod clock_scope;
mod monitor;
mod until;
