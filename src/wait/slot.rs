//! One wait of one thread: how it ends, and by whom. One mutex orders everything here.

use std::time::Instant;

use crate::sync::{Arc, Condvar, Mutex, time};

/// How a wait stands, or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Waiting,
    /// What was waited for may be there: look again.
    Granted,
    Cancelled,
    TimedOut,
}

/// A place to sleep, once.
#[derive(Debug)]
pub(crate) struct Slot {
    outcome: Mutex<Outcome>,
    ended: Condvar,
}

impl Slot {
    pub(crate) fn new() -> Arc<Slot> {
        Arc::new(Slot { outcome: Mutex::new(Outcome::Waiting), ended: Condvar::new() })
    }

    /// Ends the wait, unless somebody else did first: `None` says that this call came too late.
    ///
    /// The sleeper is woken when the [`Wake`] is dropped, so that a caller under a lock can write the end
    /// there and make the system call after it has unlocked.
    pub(crate) fn end(self: &Arc<Self>, outcome: Outcome) -> Option<Wake> {
        debug_assert_ne!(outcome, Outcome::Waiting);
        let mut current = self.outcome.lock();
        if *current != Outcome::Waiting {
            return None;
        }
        *current = outcome;
        Some(Wake(Arc::clone(self)))
    }

    /// Sleeps until the wait is ended, at the latest at `deadline` of the system's clock.
    pub(crate) fn sleep(&self, deadline: Option<Instant>) -> Outcome {
        let mut outcome = self.outcome.lock();
        // Until `end` writes the outcome; it needs the lock for that, so it cannot fall between this thread's
        // look and its sleep, and it notifies afterwards.
        while *outcome == Outcome::Waiting {
            match deadline {
                None => self.ended.wait(&mut outcome),
                // If an end was written before this thread came back from its time-out, that end holds.
                Some(at) if time::now() >= at => *outcome = Outcome::TimedOut,
                Some(at) => drop(self.ended.wait_until(&mut outcome, at)),
            }
        }
        *outcome
    }
}

/// Wakes the owner of a slot whose wait has ended, when dropped.
#[derive(Debug)]
#[must_use = "dropping it wakes the sleeper: do that after unlocking"]
pub(crate) struct Wake(Arc<Slot>);

impl Drop for Wake {
    fn drop(&mut self) {
        // Only the slot's owner waits here, so one is all.
        self.0.ended.notify_one();
    }
}
