//! The one door to threads, locks, atomics and the operating system's time.
//!
//! Everything that can block or race in this crate is built on the names in this module, and on nothing
//! else. In an ordinary build they are parking_lot's locks and std's atomics and threads, re-exported: they
//! cost what those cost. In a build with `--cfg loom` the same names are backed by [loom], which runs a
//! piece of code under every schedule that matters, and [`model::check`] is how to ask for that.
//!
//! The door is public so that you can model-check *your* code on this crate's types. Write your locks and
//! threads with the names below, call our queues, tokens and pools as usual, and put the whole in
//! [`model::check`]:
//!
//! ```
//! use selvedge::{queue::BoundedQueue, sync::{Arc, model, thread}};
//!
//! // An ordinary `cargo test` runs this on real threads, a hundred times over; a build with
//! // RUSTFLAGS="--cfg loom" runs it under every schedule.
//! model::check(|| {
//!     let queue = Arc::new(BoundedQueue::new(1));
//!     let producer = thread::spawn({
//!         let queue = Arc::clone(&queue);
//!         move || queue.push("hello").unwrap()
//!     });
//!     assert_eq!(queue.pop(), Ok("hello"));
//!     producer.join().unwrap();
//! });
//! ```
//!
//! [loom]: https://docs.rs/loom
//!
//! # What the model side adds to loom
//!
//! loom's condvar never wakes without cause, never times out, and always wakes the oldest waiter, so code
//! that needs `notify_all` and calls `notify_one` can pass an exhaustive run. On the model side here
//!
//! - [`Condvar`] is explored under three wake policies: oldest waiter first, newest first, and with one wake
//!   that nobody asked for;
//! - a wait with a deadline may time out at any point, and [`time::now`] never runs ahead of what expired;
//! - [`Mutex::try_lock`](Mutex) and `compare_exchange_weak` fail once without cause;
//! - an atomic load sees every value that it may see: loom alone loses some of them.
//!
//! A model may show more behaviours than the real side has, never fewer.
//!
//! # What it does not do
//!
//! Blocking on anything that did not come through this door (a `std::sync::Mutex`, a crossbeam receiver, a
//! rayon pool) inside a model hangs without a word. A model has at most five threads over its life, the main
//! one counted. `std::thread::scope` does not exist there; [`group::scope`](crate::group::scope) does.
//! A [`thread::JoinHandle`] of a thread that panicked ends the model instead of returning the payload.

#[cfg(any(loom, selvedge_loom))]
#[path = "model/mod.rs"]
mod side;
#[cfg(not(any(loom, selvedge_loom)))]
#[path = "real.rs"]
mod side;

pub use side::{
    Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, WaitTimeoutResult, atomic, cell,
    hint, lazy_static, model, thread, thread_local, time,
};
/// std's reference count on both sides: loom's own has no `Weak` and multiplies the schedules to explore.
#[doc(no_inline)]
pub use std::sync::Arc;
/// std's on both sides, for `get` and `set`, which never wait. Its initialising calls do: do not make them in a
/// model.
pub use std::sync::OnceLock;
/// std's weak reference on both sides.
pub use std::sync::Weak;

/// The loom that the model side is built on, for what this door does not cover.
#[cfg(any(loom, selvedge_loom))]
pub use loom;

/// Picks a size: the first in an ordinary build, the second in a model, where every step multiplies the
/// number of schedules. Spins become none there, batches become one or two.
pub(crate) const fn sized(real: usize, model: usize) -> usize {
    if side::IS_MODEL { model } else { real }
}
