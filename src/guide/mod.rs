//! The patterns that people bring from Go, where each of them breaks, and what to write here.
//!
//! Each section has the way that is usually taught, the smallest situation in which it fails, and ours. The
//! failures are tests in `tests/reference.rs` and models in `loom-tests/tests/reference.rs`.
//!
#![doc = include_str!("pool.md")]
#![doc = include_str!("semaphore.md")]
#![doc = include_str!("cancel.md")]
#![doc = include_str!("group.md")]
#![doc = include_str!("timeout.md")]
#![doc = include_str!("queue.md")]
#![doc = include_str!("pipeline.md")]
#![doc = include_str!("counter.md")]
#![doc = include_str!("flight.md")]
#![doc = include_str!("map.md")]
#![doc = include_str!("limiter.md")]
#![doc = include_str!("batch.md")]
#![doc = include_str!("monitor.md")]
//! ```
#![doc = include_str!("priority_queue.rs")]
#![doc = include_str!("priority_queue_in_use.rs")]
//! ```
#![doc = include_str!("signals.md")]
#![doc = include_str!("polling.md")]
#![doc = include_str!("races.md")]
#![doc = include_str!("crawl.md")]
