//! One wait of one thread: how it ends, and by whom. One mutex orders everything here.

use std::time::Instant;

use super::blocking;
use crate::error::WaitError;
use crate::sync::{Arc, Condvar, Mutex, time};

/// How a wait ended. `Ok` where nobody took the sleeper away from what it waits for: it was handed over, or
/// another look is worth while; the owner of the line says which.
pub(crate) type Outcome = Result<(), WaitError>;

/// A place to sleep, once.
#[derive(Debug)]
pub(crate) struct Waiter {
    /// `None` while the wait lasts.
    outcome: Mutex<Option<Outcome>>,
    ended: Condvar,
}

impl Waiter {
    pub(crate) fn new() -> Arc<Waiter> {
        Arc::new(Waiter { outcome: Mutex::new(None), ended: Condvar::new() })
    }

    /// Ends the wait, unless somebody else did first: `None` says that this call came too late.
    ///
    /// The sleeper is woken when the [`Wake`] is dropped, so that a caller under a lock can write the end
    /// there and make the system call after it has unlocked.
    pub(crate) fn end(self: &Arc<Self>, outcome: Outcome) -> Option<Wake> {
        let mut current = self.outcome.lock();
        if current.is_some() {
            return None;
        }
        *current = Some(outcome);
        Some(Wake(Arc::clone(self)))
    }

    /// Whether the wait has ended by now, as far as can be seen without waiting for the lock.
    pub(crate) fn has_ended(&self) -> bool {
        self.outcome.try_lock().is_some_and(|outcome| outcome.is_some())
    }

    /// How the wait ended, if it has.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        *self.outcome.lock()
    }

    /// Sleeps until the wait is ended, at the latest at an instant of the system's clock, as it says for that
    /// case; tells those who [observe](blocking) this thread, if it must sleep.
    pub(crate) fn sleep(&self, latest: Option<(Instant, Outcome)>) -> Outcome {
        // Whoever is to end this sleep may be a callback that waits for a thread.
        time::retry_refused();
        let mut observers = blocking::observers();
        if observers.is_empty() || self.has_ended() {
            return self.wait(latest);
        }
        observers.retain(|observer| Arc::clone(observer).blocked(latest.map(|(at, _)| at)));
        let ended = self.wait(latest);
        observers.iter().rev().for_each(|observer| observer.resumed());
        ended
    }

    fn wait(&self, latest: Option<(Instant, Outcome)>) -> Outcome {
        let mut outcome = self.outcome.lock();
        // Until `end` writes the outcome; it needs the lock for that, so it cannot fall between this thread's
        // look and its sleep, and it notifies afterwards.
        loop {
            match (*outcome, latest) {
                // If an end was written before this thread came back from its time-out, that end holds.
                (Some(ended), _) => return ended,
                (None, None) => self.ended.wait(&mut outcome),
                (None, Some((at, end))) if time::now() >= at => *outcome = Some(end),
                (None, Some((at, _))) => drop(self.ended.wait_until(&mut outcome, at)),
            }
        }
    }
}

/// Wakes the owner of a waiter whose wait has ended, when dropped.
#[derive(Debug)]
#[must_use = "dropping it wakes the sleeper: do that after unlocking"]
pub(crate) struct Wake(Arc<Waiter>);

impl Drop for Wake {
    fn drop(&mut self) {
        // Only the waiter's owner waits here, so one is all.
        self.0.ended.notify_one();
    }
}
