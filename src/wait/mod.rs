//! The one place where threads sleep.
//!
//! A wait is a [`Waiter`]: a thread that must wait makes one, puts it where those who can end the wait will
//! find it, and sleeps in it. Whoever ends the wait first writes how; everybody who comes later is told that
//! they were too late and does something else with what they had to give.
//!
//! | who | finds the waiter in | writes |
//! |---|---|---|
//! | push, pop, release, the last count-down, a finished task | the [`WaitList`] of the thing waited for | `Ok` |
//! | close | the same line | `Ok` (look again, and find it closed), or `Closed` |
//! | cancel | the list in the token | `Cancelled` |
//! | the sleeper itself, when its deadline passed | | `TimedOut` |
//! | `ManualClock::advance` | the list in the clock | `TimedOut` |
//!
//! # Invariants
//!
//! 1. *Exactly one end.* A waiter's outcome is written once; [`Waiter::end`] says to each caller whether it
//!    was the one. So a grant that comes after a cancel is known not to have arrived, and goes to the next in
//!    line: no wake-up is swallowed by somebody who has left.
//! 2. *Nothing between check and sleep.* Every list of waiters is guarded by a lock, and a waiter is put into
//!    it in the same critical section in which the waiter found that it must wait. Whoever makes waiting
//!    unnecessary takes that lock afterwards, so finds the waiter; and an end that is written before the
//!    thread sleeps is read by it instead of sleeping.
//! 3. *No nesting.* A waiter's lock is the innermost one: it is held for a comparison and an assignment.
//!    Granting happens under the granter's lock, cancelling and advancing with no lock held. The system call
//!    that wakes is made after the granter has unlocked ([`Wake`]).
//!
//! One waiter serves one wait, and is one allocation (28 ns beside the 30,000 to 45,000 that waking a thread
//! on another core costs). A waiter per thread would save it, but then a late `end` could end a later
//! wait, and invariant 1 would need a generation count.
//!
//! # Proof
//!
//! Models in `loom-tests/tests/`: `cancel.rs`, `latch.rs`, `semaphore.rs` and `queue.rs`, which all sleep
//! here.

#[forbid(unsafe_code)]
pub(crate) mod cache;
#[forbid(unsafe_code)]
pub(crate) mod context;
#[forbid(unsafe_code)]
pub(crate) mod graph;
#[forbid(unsafe_code)]
mod list;
#[forbid(unsafe_code)]
mod look;
mod monitor;
#[forbid(unsafe_code)]
mod one_shot;
#[forbid(unsafe_code)]
mod point;
#[forbid(unsafe_code)]
mod spin;
#[forbid(unsafe_code)]
mod turns;
#[forbid(unsafe_code)]
mod waiter;

use crate::sync::Arc;

/// Something that threads wait for by trying again: room in a queue, an item, a count of nothing.
/// [`Until::retry`](crate::Until) is the loop.
pub(crate) trait WaitPoint {
    /// A cheap guess whether an attempt would succeed now; takes no lock.
    fn looks_ready(&self) -> bool;

    /// Puts the waiter into the list, unless an attempt might succeed by now: both found in one critical
    /// section of the lock that everybody takes who could let it succeed. Says whether it is in the list.
    fn join(&self, waiter: &Waiter) -> bool;

    /// Takes the waiter out of the list, if it is there.
    fn leave(&self, waiter: &Waiter);

    /// A waiter that was granted will make no attempt: another one is granted, if that is worth while.
    fn pass_on(&self) {}

    /// The caller has lost to others [too often](turns::PATIENCE): where they could be faster for ever, it
    /// [takes a turn](Turns) that ends with its wait.
    fn take_turn(&self) {}

    /// Ends the turn, if there is one, before the wait point is dropped.
    fn end_turn(&self) {}

    /// What this thread would wait for, if certain threads alone can bring it.
    fn awaited(&self) -> Option<Arc<dyn graph::Awaited>> {
        None
    }

    /// The wait must not end before what is waited for: if it closes a circle, another wait in that is ended.
    fn must_stay(&self) -> bool {
        false
    }
}

pub(crate) use context::{Blocking, drop_link, observed_by, unobserved};
pub(crate) use list::WaitList;
pub(crate) use look::look;
pub use monitor::{Monitor, MonitorGuard};
pub(crate) use one_shot::OneShot;
pub(crate) use point::{Point, TurnPoint};
pub(crate) use spin::{spin_until, spin_within};
pub(crate) use turns::{NextTurn, PATIENCE, Turn, Turns};
pub(crate) use waiter::{Outcome, Waiter, Wake};
