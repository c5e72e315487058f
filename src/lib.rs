//! Blocking concurrency for programs without an async runtime: OS threads that wait in one way, stop when
//! told, and lose nothing.
//!
//! # The map
//! Imports go downward only.
//!
//! | floor | module | what is there |
//! |---|---|---|
//! | 0 | [`sync`] | the one door to threads, locks, atomics and time; loom's behind `--cfg loom` |
//! | 1 | [`clock`], [`cancel`], [`until`], [`error`] | [`Clock`], [`CancelToken`], [`Until`]; [`Monitor`]; and, private, the one place where threads sleep |
//! | 2 | [`queue`], [`semaphore`], [`latch`] | [`BoundedQueue`], [`Semaphore`], [`Latch`] and [`WaitGroup`] |
//! | 2 | [`flight`], [`map`] | [`SingleFlight`], [`ShardedMap`] |
//! | 2 | [`counter`], [`limiter`] | [`Counter`] and [`StripedCounter`], [`RateLimiter`], [`KeyedLimiter`] and [`Ticker`] |
//! | 3 | [`pool`], [`group`], [`timeout`] | [`Pool`] and [`Task`], [`group::scope`] and [`Group`], [`timeout::run`] |
//! | 3 | [`batch`] | [`Batcher`] |
//! | 4 | [`pipeline`] | [`Pipeline`] |
//! | 5 | [`crawl`] | with the feature `crawl`, a web crawler that finds dead links, and with `crawl-tool` the program `selvedge-crawl` |
//!
//! The [`guide`] shows the well-known patterns, where each breaks, and what to write instead.
//!
//! # One way to wait
//! Every call that can block comes in three spellings: `try_x` never waits, `x` waits as long as it takes,
//! `x_until(limit)` waits within an [`Until`]: a time, a token, or both.
//!
//! ```
//! use std::time::Duration;
//! use selvedge::{BoundedQueue, CancelToken, error::WaitError};
//!
//! let stop = CancelToken::new();
//! let queue = BoundedQueue::<u32>::new(8);
//! let job = queue.pop_until((&stop, Duration::from_millis(5)));
//! assert_eq!(job, Err(WaitError::TimedOut));
//! ```

#![forbid(unsafe_op_in_unsafe_fn)]
#![deny(unsafe_code)]

// Unsafe code is in four files, `queue/ring.rs`, `pool/raw_job.rs`, `group/erase.rs` and
// `wait/monitor/borrowed.rs`, one trick each; it is denied at the root and forbidden wherever it is not let
// in below.

// Floor 0
#[forbid(unsafe_code)]
pub mod sync;

// Floor 1
#[forbid(unsafe_code)]
mod burst;
#[forbid(unsafe_code)]
pub mod cancel;
#[forbid(unsafe_code)]
pub mod clock;
#[forbid(unsafe_code)]
pub mod error;
#[forbid(unsafe_code)]
mod inside;
#[forbid(unsafe_code)]
mod panics;
#[forbid(unsafe_code)]
pub mod until;
mod wait;

// Floor 2
#[forbid(unsafe_code)]
pub mod counter;
#[forbid(unsafe_code)]
pub mod flight;
#[forbid(unsafe_code)]
pub mod latch;
#[forbid(unsafe_code)]
pub mod limiter;
#[forbid(unsafe_code)]
pub mod map;
pub mod queue;
#[forbid(unsafe_code)]
pub mod semaphore;

// Floor 3
#[forbid(unsafe_code)]
pub mod batch;
pub mod group;
pub mod pool;
#[forbid(unsafe_code)]
pub mod timeout;

// Floor 4
#[forbid(unsafe_code)]
pub mod pipeline;

// Floor 5
#[forbid(unsafe_code)]
pub mod crawl;

#[forbid(unsafe_code)]
mod unwind;

pub mod guide;

#[cfg(doctest)]
mod first_tries;
#[cfg(doctest)]
mod lifetimes;

/// The README's examples, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub use batch::Batcher;
pub use cancel::CancelToken;
pub use clock::{Clock, ManualClock};
pub use counter::{Counter, StripedCounter};
pub use flight::SingleFlight;
pub use group::Group;
pub use latch::{Latch, WaitGroup};
pub use limiter::{KeyedLimiter, RateLimiter, Ticker};
pub use map::ShardedMap;
pub use pipeline::Pipeline;
pub use pool::{Pool, Task};
pub use queue::BoundedQueue;
pub use semaphore::Semaphore;
pub use until::Until;
pub use wait::{Monitor, MonitorGuard};
