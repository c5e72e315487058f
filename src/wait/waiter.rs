//! One wait of one thread: how it ends, and by whom. One mutex orders everything here.

use std::time::Instant;

use super::context;
use crate::error::WaitError;
use crate::sync::{Arc, Condvar, Mutex, time};

/// How a wait ended. `Ok` where nobody took the sleeper away from what it waits for: it was handed over, or
/// another look is worth while; the owner of the list says which.
pub(crate) type Outcome = Result<(), WaitError>;

/// A place to sleep, once; a clone is the same one.
///
/// A thread that waits for several things stands in several lists, [for one thing](Waiter::stand_for) in
/// each; the outcome says for which of them.
#[derive(Clone, Debug)]
pub(crate) struct Waiter {
    wait: Arc<Wait>,
    stands_for: usize,
}

#[derive(Debug)]
struct Wait {
    /// `None` while the wait lasts.
    end: Mutex<Option<End>>,
    ended: Condvar,
}

#[derive(Clone, Copy, Debug)]
struct End {
    outcome: Outcome,
    /// What the clone stood for that was ended.
    by: Option<usize>,
}

impl Waiter {
    pub(crate) fn new() -> Waiter {
        Waiter { wait: Arc::new(Wait { end: Mutex::new(None), ended: Condvar::new() }), stands_for: 0 }
    }

    /// Makes clones from here on stand for the thing of that number.
    pub(crate) fn stand_for(&mut self, thing: usize) {
        self.stands_for = thing;
    }

    /// True if both are the same wait, whatever they stand for.
    #[inline]
    pub(crate) fn is(&self, other: &Waiter) -> bool {
        Arc::ptr_eq(&self.wait, &other.wait)
    }

    /// True if both stand for the same thing.
    pub(crate) fn stands_as(&self, other: &Waiter) -> bool {
        self.stands_for == other.stands_for
    }

    /// Ends the wait, unless somebody else did first: `None` says that this call came too late.
    ///
    /// The sleeper is woken when the [`Wake`] is dropped, so that a caller under a lock can write the end
    /// there and make the system call after it has unlocked.
    pub(crate) fn end(&self, outcome: Outcome) -> Option<Wake> {
        let ends = self.end_unless_ended(End { outcome, by: Some(self.stands_for) });
        ends.then(|| Wake(Arc::clone(&self.wait)))
    }

    /// Ends the wait of this thread, which does not sleep yet; false if somebody else did first.
    pub(crate) fn withdraw(&self) -> bool {
        self.end_unless_ended(End { outcome: Ok(()), by: None })
    }

    fn end_unless_ended(&self, end: End) -> bool {
        let mut current = self.wait.end.lock();
        if current.is_some() {
            return false;
        }
        *current = Some(end);
        true
    }

    /// Makes it a wait that has not ended, for the same thread to sleep once more. Where others have clones
    /// still, as one does that is about to wake this thread, they keep the old one.
    pub(crate) fn renew(&mut self) {
        match Arc::get_mut(&mut self.wait) {
            Some(wait) => *wait.end.lock() = None,
            None => *self = Waiter::new(),
        }
    }

    /// Whether the wait has ended by now, as far as can be seen without waiting for the lock.
    pub(crate) fn has_ended(&self) -> bool {
        self.wait.end.try_lock().is_some_and(|end| end.is_some())
    }

    /// How the wait ended, if it has.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.wait.end.lock().map(|end| end.outcome)
    }

    /// What the clone stood for that was ended; `None` if the sleeper ended the wait itself.
    pub(crate) fn ended_by(&self) -> Option<usize> {
        self.wait.end.lock().and_then(|end| end.by)
    }

    /// Sleeps until the wait is ended, at the latest at an instant of the system's clock, as it says for that
    /// case; tells those who [observe](context::Blocking) this thread, if it must sleep.
    pub(crate) fn sleep(&self, latest: Option<(Instant, Outcome)>) -> Outcome {
        // Whoever is to end this sleep may be a callback that waits for a thread.
        time::retry_refused();
        let mut observers = context::observers();
        if observers.is_empty() || self.has_ended() {
            return self.wait(latest);
        }
        observers.retain(|observer| Arc::clone(observer).blocked(latest.map(|(at, _)| at)));
        let ended = self.wait(latest);
        observers.iter().rev().for_each(|observer| observer.resumed());
        ended
    }

    fn wait(&self, latest: Option<(Instant, Outcome)>) -> Outcome {
        let mut current = self.wait.end.lock();
        // Until `end` writes the outcome; it needs the lock for that, so it cannot fall between this thread's
        // look and its sleep, and it notifies afterwards.
        loop {
            match (*current, latest) {
                // If an end was written before this thread came back from its time-out, that end holds.
                (Some(end), _) => return end.outcome,
                (None, None) => self.wait.ended.wait(&mut current),
                (None, Some((at, outcome))) if time::now() >= at => {
                    *current = Some(End { outcome, by: None })
                }
                (None, Some((at, _))) => drop(self.wait.ended.wait_until(&mut current, at)),
            }
        }
    }
}

/// Wakes the owner of a waiter whose wait has ended, when dropped.
#[derive(Debug)]
#[must_use = "dropping it wakes the sleeper: do that after unlocking"]
pub(crate) struct Wake(Arc<Wait>);

impl Drop for Wake {
    fn drop(&mut self) {
        // Only the waiter's owner waits here, so one is all.
        self.0.ended.notify_one();
    }
}
