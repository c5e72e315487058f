//! The one place where threads sleep.
//!
//! A wait is a [`Waiter`]: a thread that must wait makes one, puts it where the threads that can end the wait
//! will find it, and sleeps in it. The first thread to end the wait writes its outcome. Any later one learns
//! that it was too late, and uses what it had to give for something else.
//!
//! | what ends the wait | finds the waiter in | writes |
//! |---|---|---|
//! | push, pop, release, the last count-down, a finished task | the [`WaitList`] of the thing waited for | `Ok` |
//! | close | the same list | `Ok` (try again, and find it closed), or `Closed` |
//! | cancel | the list in the token | `Cancelled` |
//! | the waiter itself, when its deadline has passed | | `TimedOut` |
//! | `ManualClock::advance` | the list in the clock | `TimedOut` |
//! | the search of the wait-for [`graph`] | the graph | `WouldDeadlock` |
//!
//! # Invariants
//!
//! 1. *Exactly one outcome.* A waiter's outcome is written once; [`Waiter::end`] tells each caller whether it
//!    was the one. So a grant that comes after a cancellation is known to have failed, and goes to the next
//!    waiter in the list: a waiter that leaves swallows no wake-up.
//! 2. *Nothing between check and sleep.* Every list of waiters is guarded by a lock, and a waiter joins it in
//!    the critical section in which its thread found that it must wait. A thread that makes waiting
//!    unnecessary takes that lock afterwards, and so finds the waiter. An outcome that is written before the
//!    waiter's thread sleeps is read by that thread instead of sleeping.
//! 3. *No nesting.* A waiter's lock is the innermost one: it is held for a comparison and an assignment.
//!    Grants happen under the granter's lock, cancelling and advancing with no lock held. The system call
//!    that wakes a thread is made after the granter has unlocked ([`Wake`]).
//!
//! A waiter serves one wait, and is one allocation: 28 ns, compared with 30,000 to 45,000 for waking a thread
//! on another core. One waiter per thread would save the allocation, but then a late `end` could end a later
//! wait, and invariant 1 would need a generation count.
//!
//! # Proof
//!
//! The models in `loom-tests/tests/`: `cancel.rs`, `latch.rs`, `semaphore.rs`, `queue.rs`, `monitor.rs` and
//! `graph.rs` sleep here.

#[forbid(unsafe_code)]
mod brief_spin;
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
pub(crate) mod sleeps;
#[forbid(unsafe_code)]
mod spin;
#[forbid(unsafe_code)]
pub(crate) mod thread_index;
#[forbid(unsafe_code)]
pub(crate) mod timeline;
#[forbid(unsafe_code)]
mod turns;
#[forbid(unsafe_code)]
mod waiter;

use crate::sync::Arc;

/// A thing that threads wait for by repeating an attempt: room in a queue, an item, a count of zero. The loop
/// is [`Until::retry`](crate::Until).
pub(crate) trait WaitPoint {
    /// A cheap guess whether an attempt would succeed now. It never blocks on a lock.
    fn looks_ready(&self) -> bool;

    /// Spins in a way of its own, before the spin phase of every wait. Returns true if an attempt is likely
    /// to succeed.
    fn spin_first(&self) -> bool {
        false
    }

    /// Puts the waiter into the list, unless an attempt might succeed by now. Both happen in one critical
    /// section of the lock under which attempts come to succeed. Returns whether the waiter is in the list.
    fn join(&self, waiter: &Waiter) -> bool;

    /// Removes the waiter from the list, if it is there.
    fn leave(&self, waiter: &Waiter);

    /// Called when a granted waiter will make no attempt: grants another one, if its attempt may succeed.
    fn pass_on(&self) {}

    /// Called when the waiter has lost to others [too often](turns::PATIENCE). If the others could be faster
    /// forever, it [takes a turn](Turns), which ends with its wait.
    fn take_turn(&self) {}

    /// Ends the turn, if there is one, before the wait point is dropped.
    fn end_turn(&self) {}

    /// What this thread would wait for, if only certain threads can provide it.
    fn awaited(&self) -> Option<Arc<dyn graph::Awaited>> {
        None
    }

    /// Adds the current state of the object to the entry in the register of sleeps.
    fn describe(&self, subject: sleeps::Subject) -> sleeps::Subject {
        subject
    }

    /// Whether the wait must not end early: if it closes a cycle, another wait in the cycle fails instead.
    fn must_stay(&self) -> bool {
        false
    }
}

pub(crate) use brief_spin::BriefSpin;
pub(crate) use context::{Blocking, drop_link, observed_by, unobserved};
pub(crate) use list::WaitList;
pub(crate) use look::look;
pub(crate) use monitor::Version;
pub use monitor::{Monitor, MonitorGuard};
pub(crate) use one_shot::OneShot;
pub(crate) use point::{Point, TurnPoint};
pub(crate) use spin::{pause, spin_until, spin_within};
pub(crate) use turns::{NextTurn, PATIENCE, Turn, Turns};
pub(crate) use waiter::{Outcome, Waiter, Wake};
