//! The one door to threads, locks, atomics and the operating system's time.
//!
//! Everything that can block or race in this crate is built on the names in this module, and on nothing else.
//! In an ordinary build they are parking_lot's locks, in types of ours, and std's atomics and threads: they
//! cost what those cost. In a build with `--cfg loom` the same names are backed by [loom], which runs a piece
//! of code under every schedule that matters, and [`model::check`] is how to ask for that.
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
//! - a wait with a deadline may time out at any point, also in the moment in which it is notified: it may end
//!   late although its condition is true. [`time::now`] never runs ahead of what expired;
//! - [`Mutex::try_lock`](Mutex), its like on [`RwLock`] and `compare_exchange_weak` fail once without cause,
//!   at the first or at the second chance;
//! - a reader of an [`RwLock`] may have to wait behind a writer that waits;
//! - an atomic load sees every value that it may see, where loom alone loses some of them, and so does a
//!   `compare_exchange` that fails;
//! - [`thread::yield_now`] and [`hint::spin_loop`] may let nobody else run;
//! - a drop and an upgrade of a [`weak`] reference count are points at which another thread may come first;
//! - a look at a [`OnceLock`] or a [`lazy_static`] is a point at which another thread may come first;
//! - [`model::refuse_threads_after`] lets the system have no more threads, and have some again;
//! - what loom reports (a deadlock, a race, a leak) fails the model even where the code catches panics.
//!
//! A model may show more behaviours than the real side has, never fewer, but for the list below. A litmus
//! suite holds the two together: small programs over every name here, each with the set of outcomes that are
//! allowed, run on real threads (`tests/litmus`) and in the model (`loom-tests/tests/litmus.rs`). What real
//! threads show is in the set, and what the model shows is the set.
//!
//! # What a model does not show
//!
//! - What depends on which of several [`Arc`]s is the last, beyond the order of the steps around their drops:
//!   it is std's on both sides, and its drop is no step, as that of a [`weak::Arc`] is.
//! - That two threads each see a store which the other makes after its own look (load buffering), which the
//!   language allows for relaxed accesses.
//! - That time passes between two calls of [`time::now`] without anybody's wait expiring.
//! - More than one thing without cause in an execution, or one after the second chance for it; more expired
//!   waits than six in an execution; more than two preemptions (`SELVEDGE_MODEL_BOUND`).
//! - That a lock is usable after a panic in which it was held: such a panic ends the model, loudly. A
//!   thread's panic does, too, unless the body calls [`model::join_panics`].
//!
//! And it shows more than there is: `SeqCst` on an access is acquire and release only. `fence(SeqCst)` is
//! exact.
//!
//! # What it does not do
//!
//! Blocking on anything that did not come through this door (a `std::sync::Mutex`, a crossbeam receiver, a
//! rayon pool) inside a model hangs without a word. A model has at most five threads over its life, the main
//! one counted, and the sixth is refused. A body that never switches threads is refused. `std::thread::scope`
//! does not exist there; [`group::scope`](crate::group::scope) does. A static of these types belongs into
//! [`lazy_static`]: an object lives as long as its execution. Without `--cfg loom` nothing is explored, which
//! [`model::check`] says on the standard error stream.

mod alarms;
pub(crate) mod failure;
#[cfg(any(loom, selvedge_loom))]
#[path = "model/mod.rs"]
mod side;
#[cfg(not(any(loom, selvedge_loom)))]
#[path = "real.rs"]
mod side;

pub use side::{
    Condvar, Mutex, MutexGuard, OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard, WaitTimeoutResult,
    atomic, cell, hint, lazy_static, model, thread, thread_local, time, weak,
};
/// std's reference count on both sides: a step at each drop would multiply the schedules to explore, and most
/// of what is shared does not depend on them. What does, and whatever is referenced weakly, takes
/// [`weak::Arc`].
#[doc(no_inline)]
pub use std::sync::Arc;

/// The loom that the model side is built on, for what this door does not cover. It is what it is in its own
/// version: a new one that breaks code which names it is no breaking change of this crate, since it is there
/// under `--cfg loom` only.
#[cfg(any(loom, selvedge_loom))]
pub use loom;

#[cfg(any(loom, selvedge_loom))]
#[doc(hidden)]
pub use side::__Lazy;

/// Picks a size: the first in an ordinary build, the second in a model, where every step multiplies the
/// number of schedules. Spins become none there, batches become one or two.
pub(crate) const fn sized(real: usize, model: usize) -> usize {
    if side::IS_MODEL { model } else { real }
}
