//! Telling many threads of changes: the latest value ([`Watch`]), or every value ([`Broadcast`]).
//!
//! Both are a [`Monitor`](crate::Monitor) whose state holds values in [`Arc`](std::sync::Arc)s, so that none
//! of the caller's code runs under its lock: a value is cloned, compared and dropped outside.
//!
//! # Why not
//! *A queue for each listener.* A listener that does not read would hold every value, or hold up the sender.

mod broadcast;
mod latest;
mod listener;
mod watcher;

pub use broadcast::Broadcast;
pub use latest::Watch;
pub use listener::{Heard, Listener};
pub use watcher::Watcher;
