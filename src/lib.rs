//! Blocking concurrency for synchronous programs: queues, semaphores, pools, scopes and pipelines on OS
//! threads, with no async runtime. Every call that can block takes a limit, a cancel reaches every sleeping
//! thread, and every blocking type is model-checked.
//!
//! # Which type for which job
//!
//! | the job | the type |
//! |---|---|
//! | several threads hand items to several others | [`BoundedQueue`], [`queue::bounded`] |
//! | hand over one item at a time, and know that it was taken | [`queue::rendezvous`] |
//! | wait for the first of several of these | [`select!`], [`Select`](select::Select) |
//! | run many jobs on a few threads | [`Pool`] |
//! | run a job later, or again and again | [`Pool::submit_after`], [`Pool::submit_every`] |
//! | run jobs in order for each key | [`Pool::keyed`] |
//! | start several tasks, and stop the rest when one fails | [`group::scope`](group::scope()), [`Group`] |
//! | ask several, and take the first success | [`group::first_ok`] |
//! | give a function at most so long | [`timeout::run`] |
//! | try again what failed, after pauses that grow | [`retry::run`] |
//! | process a stream in stages, some of them on several threads | [`Pipeline`] |
//! | collect single items and process them together | [`Batcher`] |
//! | at most `n` at once | [`Semaphore`] |
//! | at most `n` a second, or one every second | [`RateLimiter`], [`KeyedLimiter`]; [`Ticker`] |
//! | collapse a burst of events into its last one: debounce, throttle | [`limiter::Pacer`] |
//! | wait until `n` things have happened, or until all members are gone | [`Latch`]; [`WaitGroup`] |
//! | one call for all the threads that ask for the same thing | [`SingleFlight`] |
//! | a map that threads share, whose values are made once | [`ShardedMap`] |
//! | count events on many threads | [`Counter`], [`StripedCounter`] |
//! | give the latest value to many threads, or every value | [`Watch`]; [`watch::Broadcast`] |
//! | wait until a state is as I want it: a blocking type of my own | [`Monitor`] |
//! | stop threads, even those that are asleep | [`CancelToken`] |
//! | test code that waits, without waiting | [`ManualClock`] |
//! | see who is blocked where when it hangs | [`inspect`] |
//! | see which thread did what when, as a timeline | [`inspect::record`] |
//! | check every schedule of my own code | [`sync::model`] |
//!
//! # A program
//!
//! ```
//! use selvedge::{CancelToken, Pool, group, queue};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let stop = CancelToken::new();
//!     let pool = Pool::builder().name("hash").workers(2).queue(100).build()?;
//!     let (sender, receiver) = queue::bounded(16);
//!
//!     let total: usize = group::scope(&stop, |g| {
//!         g.spawn(move |stop| {
//!             for name in ["warp", "weft", "selvedge"] {
//!                 sender.push_until(name, stop)?;     // waits for room; a cancel ends the wait
//!             }
//!             Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//!         });
//!         let mut sum = 0;
//!         for name in receiver {                      // ends when the sender is gone
//!             sum += pool.submit(move || name.len())?.join()?; // runs it here if no worker has begun
//!         }
//!         Ok(sum)
//!     })?;
//!     assert_eq!(total, 16);
//!     Ok(())
//! }
//! ```
//!
//! # Waiting and cancelling
//!
//! Every call that can block comes in three forms: `try_x` never waits, `x` waits as long as it takes, and
//! `x_until(limit)` waits within an [`Until`]: a `Duration`, an `Instant`, a `&CancelToken`, or a token and a
//! time.
//! ```
//! # use selvedge::{BoundedQueue, CancelToken, error::WaitError};
//! # use std::time::Duration;
//! let (stop, queue) = (CancelToken::new(), BoundedQueue::<u32>::new(8));
//! assert_eq!(queue.pop_until(Duration::from_millis(5)), Err(WaitError::TimedOut));
//! stop.cancel(); // wakes every thread that waits with this token, or a child of it
//! assert_eq!(queue.pop_until((&stop, Duration::from_secs(5))), Err(WaitError::Cancelled));
//! ```
//! A wait ends in exactly one way: granted, cancelled, timed out or closed. What was not taken comes back in
//! the error. A wait that could never end, because what it waits for waits for this thread, fails with
//! [`WouldDeadlock`](error::WouldDeadlock).
//!
//! # When not to use it
//!
//! In a program with an async runtime, use the runtime's types. For work that only computes and splits
//! itself, use rayon. If one `Mutex` and one `Condvar` do, use those. Threads cost memory: beyond some ten
//! thousand that wait at once, use an async runtime.
//!
//! # More
//!
//! The [`guide`] has a chapter for each job: how it is usually done, where that breaks, and how to do it
//! here. [`guide::from_go`] and [`guide::from_java`] translate.
//!
//! The sections `# Proof` of the types below name models, and `# Cost` names benches. Both are in the
//! repository: `loom-tests/tests/queue.rs`, and `cargo bench -p selvedge-benches --bench sections -- queue`.
//! `ARCHITECTURE.md` tells how the crate is built.

#![forbid(unsafe_op_in_unsafe_fn)]
#![deny(unsafe_code)]

// Unsafe code is in seven files, `queue/ring.rs`, `map/lock.rs`, `pool/raw_job.rs`, `group/erase.rs`,
// `wait/monitor/borrowed.rs`, `sync/tsc.rs` and `pipeline/adaptors/par_map/chunk.rs`, one trick each; it is
// denied at the root and forbidden wherever it is not let in below.

// Floor 0
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
pub mod inspect;
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
pub mod map;
pub mod queue;
#[forbid(unsafe_code)]
pub mod semaphore;
#[forbid(unsafe_code)]
pub mod watch;

// Floor 3
#[forbid(unsafe_code)]
pub mod batch;
pub mod group;
pub mod pool;
#[forbid(unsafe_code)]
pub mod retry;
#[forbid(unsafe_code)]
pub mod select;
#[forbid(unsafe_code)]
pub mod timeout;

// Floor 4
pub mod pipeline;

pub mod guide;

#[cfg(doctest)]
mod first_tries;
#[cfg(doctest)]
mod lifetimes;

/// The README's examples, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

#[doc(inline)]
pub use batch::Batcher;
#[doc(inline)]
pub use cancel::CancelToken;
#[doc(inline)]
pub use clock::{Clock, ManualClock};
#[doc(inline)]
pub use counter::{Counter, StripedCounter};
#[doc(inline)]
pub use flight::SingleFlight;
#[doc(inline)]
pub use group::Group;
#[doc(inline)]
pub use latch::{Latch, WaitGroup};
#[doc(inline)]
pub use limiter::{KeyedLimiter, RateLimiter, Ticker};
#[doc(inline)]
pub use map::ShardedMap;
#[doc(inline)]
pub use pipeline::Pipeline;
#[doc(inline)]
pub use pool::{Pool, Task};
#[doc(inline)]
pub use queue::BoundedQueue;
#[doc(inline)]
pub use semaphore::Semaphore;
#[doc(inline)]
pub use until::Until;
#[doc(inline)]
pub use wait::{Monitor, MonitorGuard};
#[doc(inline)]
pub use watch::Watch;
