//! The facade for threads, locks, atomics and the operating system's time.
//!
//! Everything in this crate that can block or race is built on the names in this module, and on nothing else.
//! In an ordinary build they are parking_lot's locks, in types of this crate, and std's atomics and threads,
//! at the same cost. In a build with `--cfg loom` the same names are backed by [loom], which runs code under
//! every relevant schedule; [`model::check`] asks for that.
//!
//! The facade is public so that you can model-check *your* code on this crate's types. Use the names below
//! for locks and threads, call queues, tokens and pools as usual, and pass the code to [`model::check`]:
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
//! loom's condvar never wakes spuriously, never times out, and always wakes the oldest waiter. So code that
//! needs `notify_all` and calls `notify_one` can pass an exhaustive run. On the model side of this module
//!
//! - a [`Condvar`] is explored under three wake policies: oldest waiter first, newest first, and with one
//!   spurious wake-up;
//! - a wait with a deadline may time out at any point, including the moment in which it is notified: it may
//!   time out although its condition is true. [`time::now`] never runs ahead of the deadlines that have
//!   expired;
//! - [`Mutex::try_lock`](Mutex), the same methods of [`RwLock`], and `compare_exchange_weak` fail spuriously
//!   once, at the first or at the second opportunity;
//! - a reader of an [`RwLock`] may have to wait behind a waiting writer;
//! - an atomic load, and a failing `compare_exchange`, see every value that they may see, where loom alone
//!   misses some;
//! - [`thread::yield_now`] and [`hint::spin_loop`] may run no other thread;
//! - a drop and an upgrade of a [`weak`] reference count are switch points, at which another thread may run
//!   first;
//! - an access to a [`OnceLock`] or a [`lazy_static`] is a switch point;
//! - [`model::refuse_threads_after`] makes the system refuse threads, and allow them again;
//! - what loom reports (a deadlock, a race, a leak) fails the model even if the code catches panics.
//!
//! A model may show more behaviours than the real side, but never fewer, except for the list below. A litmus
//! suite holds the two sides together: small programs over every name in this module, each with the set of
//! allowed outcomes, that run on real threads (`tests/litmus`) and in the model
//! (`loom-tests/tests/litmus.rs`). The outcomes on real threads must be in the set, and those of the model
//! must be exactly the set.
//!
//! # What a model does not show
//!
//! - Behaviour that depends on which of several [`Arc`]s is dropped last, beyond the order of the operations
//!   around the drops: `Arc` is std's on both sides, and its drop is no switch point, unlike that of a
//!   [`weak::Arc`].
//! - Two threads that each see a store which the other makes after its own load (load buffering), which the
//!   language allows for relaxed accesses.
//! - Time that passes between two calls of [`time::now`] without the expiry of a wait.
//! - More than one spurious failure in an execution, or one after the second opportunity; more than six
//!   expired waits in an execution; more than two preemptions (`SELVEDGE_MODEL_BOUND`).
//! - The use of a lock after a panic during which it was held: such a panic ends the model with an error. So
//!   does the panic of a thread, unless the body calls [`model::join_panics`].
//!
//! It shows more behaviours than there are in one case: a `SeqCst` access is only acquire and release.
//! `fence(SeqCst)` is exact.
//!
//! # When a model fails
//!
//! The execution that failed is printed, the shortest that a search with fewer preemptions finds: a row for
//! each step, with the line of code that made it, and a column for each thread. A step says what came of it
//! where that matters: which thread a notify woke, which value a load saw, which wait timed out or woke
//! spuriously. The last lines tell where each thread stood. This model notifies before the other thread
//! waits:
//!
//! ```text
//! step  main                                 thread 1                 where
//!    1  spawn thread 1                                                src/lib.rs:66
//!    2  notify_one Condvar 1 → nobody waits                           src/lib.rs:70
//!    3                                       lock Mutex 1             src/lib.rs:68
//!    4                                       wait Condvar 1 → sleeps  src/lib.rs:68
//!    5  deadlock: no thread can go on
//! main stands in join thread 1 since step 2, at src/lib.rs:71
//! thread 1 stands in wait Condvar 1 since step 4, at src/lib.rs:68
//!
//! model tests::hand_over failed under OldestFirst, execution 2
//! to run this schedule alone: SELVEDGE_MODEL_REPLAY=x-o0-1-9f1c2a07-4-3402277e- cargo test -p app --lib tests::hand_over -- --exact
//! ```
//!
//! The last line runs that one execution again, for instance under a debugger or with more printed on the
//! way. The token in it stays valid as long as the steps of the schedule are the same; the lines of code may
//! move. With the token of another model, or of code that has changed, the test fails with a sentence that
//! says so. [`model::replay`] takes a token from [`Failure::token`](model::Failure::token).
//!
//! # Models that are too large
//!
//! The number of schedules grows exponentially with threads and steps. [`model::sample`] runs the same body
//! under as many random ones as it is asked for, with any number of threads:
//!
//! ```
//! use selvedge::{BoundedQueue, sync::{Arc, model, thread}};
//!
//! model::sample(20, || {
//!     let queue = Arc::new(BoundedQueue::new(2));
//!     let producers: Vec<_> = (0..8)
//!         .map(|number| {
//!             let queue = Arc::clone(&queue);
//!             thread::spawn(move || queue.push(number).unwrap())
//!         })
//!         .collect();
//!     assert_eq!((0..8).map(|_| queue.pop().unwrap()).sum::<u32>(), 28);
//!     producers.into_iter().for_each(|producer| producer.join().unwrap());
//! });
//! ```
//!
//! Each schedule is drawn from a seed: mostly by priorities that change at a few random steps, which finds a
//! fault of few ordered steps with a probability that hardly depends on the number of threads; sometimes by
//! preempting at random. Wake policies, spurious failures, expired deadlines and refused threads occur as in
//! an exhaustive model. A failure is shown by the same table, the one with the fewest switches that a search
//! finds, and has a token.
//!
//! What it does not show: weak memory, since all accesses are sequentially consistent; races of plain data,
//! unless two accesses overlap; two readers of a lock at a time, since loom counts its own threads, of which
//! there is one; and every schedule that was not drawn. So a reader that waits for what only another reader
//! of the same lock brings is taken for a deadlock. A thread that unwinds is not preempted unless it blocks.
//!
//! # Variables
//!
//! | variable | effect |
//! |---|---|
//! | `SELVEDGE_MODEL_BOUND` | preemptions in an execution; 2 by default |
//! | `SELVEDGE_MODEL_BRANCHES` | steps in an execution, beyond which it fails as endless; 10,000, and 100,000 in one that is sampled |
//! | `SELVEDGE_MODEL_SCHEDULES` | schedules of each model that is sampled, in place of its own number |
//! | `SELVEDGE_MODEL_SEED` | the first seed of a model that is sampled; 1 |
//! | `SELVEDGE_MODEL_FILES` | a folder to which a failing model writes its schedule: `.txt`, `.json`, and an `.svg` diagram |
//! | `SELVEDGE_MODEL_JUNIT` | a folder to which each program writes its models and their failures, as CI servers read it |
//! | `SELVEDGE_MODEL_REPLAY` | the token of a failure, whose schedule is run instead of all |
//! | `SELVEDGE_MODEL_STEPS` | rows of the table; the last 60 |
//! | `SELVEDGE_MODEL_LOG` | a file to which each model that passes appends its name, executions, milliseconds and bound |
//!
//! A model that takes longer than two seconds says how far it is, where the error stream is a terminal. An
//! ordinary build explores nothing, whatever is set, and says so.
//!
//! [`model::find_failure`] and [`model::find_failure_in`] return the failure instead, for a model of code
//! that is known to be broken.
//!
//! # Limits
//!
//! Blocking on anything outside this facade (a `std::sync::Mutex`, a crossbeam receiver, a rayon pool)
//! inside a model hangs silently. An exhaustive model has at most five threads over its life, including the
//! main one; the sixth is an error. So is a body that never switches threads. There is no
//! `std::thread::scope`; use [`group::scope`](crate::group::scope). A static of these types must be in a
//! [`lazy_static`], since an object lives as long as its execution. Without `--cfg loom` nothing is
//! explored, and [`model::check`] says so on the standard error stream.

#[forbid(unsafe_code)]
mod alarms;
#[cfg(not(any(loom, selvedge_loom)))]
#[forbid(unsafe_code)]
mod delays;
#[forbid(unsafe_code)]
pub(crate) mod failure;
#[cfg(any(loom, selvedge_loom))]
#[forbid(unsafe_code)]
#[path = "model/mod.rs"]
mod side;
#[cfg(not(any(loom, selvedge_loom)))]
#[forbid(unsafe_code)]
#[path = "real.rs"]
mod side;

/// What the estimate publishes: in models too, which check how.
#[cfg(any(loom, selvedge_loom, all(target_arch = "x86_64", target_os = "linux", not(miri))))]
#[forbid(unsafe_code)]
mod anchor;
/// The time without a call of the system, where the processor's counter gives it.
#[cfg(all(target_arch = "x86_64", target_os = "linux", not(any(miri, loom, selvedge_loom))))]
#[forbid(unsafe_code)]
pub(crate) mod estimate;
#[cfg(all(target_arch = "x86_64", target_os = "linux", not(any(miri, loom, selvedge_loom))))]
#[allow(unsafe_code)]
mod tsc;

/// Other systems, Miri and models always read the clock.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux", not(any(miri, loom, selvedge_loom)))))]
#[forbid(unsafe_code)]
pub(crate) mod estimate {
    pub(crate) const LAG: u64 = 0;

    pub(crate) fn origin() -> std::time::Instant {
        super::time::now()
    }

    pub(crate) fn estimate() -> Option<u64> {
        None
    }
}

pub use side::{
    Condvar, Mutex, MutexGuard, OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard, WaitTimeoutResult,
    atomic, cell, hint, lazy_static, model, thread, thread_local, time, weak,
};
/// std's reference count on both sides: a switch point at each drop would multiply the schedules, and most
/// shared data does not depend on the order of drops. Data that does, and data with weak references, uses
/// [`weak::Arc`].
#[doc(no_inline)]
pub use std::sync::Arc;

pub(crate) use side::recording;

/// The weak side of [`Arc`], for what no model contains; everything else uses [`weak`].
pub(crate) use std::sync::Weak;

/// The loom that the model side is built on, for what this facade does not cover. It is not subject to this
/// crate's version: a new loom that breaks code using it is no breaking change, since it exists only under
/// `--cfg loom`.
#[cfg(any(loom, selvedge_loom))]
pub use loom;

/// Private otherwise; a model of its own checks it.
#[cfg(any(loom, selvedge_loom))]
#[doc(hidden)]
pub use anchor::Anchor as __Anchor;
#[cfg(any(loom, selvedge_loom))]
#[doc(hidden)]
pub use side::{__Lazy, __LocalKey, __Slots};

/// Picks a size: `real` in an ordinary build, `model` in a model, where each step multiplies the number of
/// schedules. In models spins are 0, and batches hold one or two items.
pub(crate) const fn sized(real: usize, model: usize) -> usize {
    if side::IS_MODEL { model } else { real }
}
