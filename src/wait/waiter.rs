//! One wait of one thread: a mutex with the outcome, and a condition variable.
//!
//! The mutex orders everything here. It is the innermost lock of the crate: [`Waiter::end`] is called under
//! the lock of a list or a state, and takes no other lock. Parking the thread itself would save the mutex,
//! but a late wake-up would then reach the thread's next wait.
//!
//! | `end` | meaning | next |
//! |---|---|---|
//! | `None` | the wait lasts | `Some`, written by the first of the granters, cancellers and the thread itself |
//! | `Some` | the wait has ended | stays, except that [`renew`](Waiter::renew) resets it while no other clone exists |

use std::time::Instant;

use super::{context, timeline};
use crate::error::WaitError;
use crate::sync::{Arc, Condvar, Mutex, time};

/// How a wait ended. `Ok` is a grant: either the thing was handed over, or another attempt is worthwhile. The
/// owner of the list defines which.
pub(crate) type Outcome = Result<(), WaitError>;

/// One wait of a thread; a clone is the same wait.
///
/// A thread that waits for several things puts a clone into several lists, each [for one
/// thing](Waiter::stand_for). [`ended_by`](Waiter::ended_by) tells which clone was ended.
#[derive(Clone, Debug)]
pub(crate) struct Waiter {
    wait: Arc<Wait>,
    /// The number of the thing that this clone waits for.
    stands_for: usize,
}

#[derive(Debug)]
struct Wait {
    /// `None` while the wait lasts.
    end: Mutex<Option<End>>,
    /// Notified by the [`Wake`] of the call that ended the wait.
    ended: Condvar,
}

#[derive(Clone, Copy, Debug)]
struct End {
    outcome: Outcome,
    /// The thing that the ended clone stood for.
    by: Option<usize>,
}

impl Waiter {
    pub(crate) fn new() -> Waiter {
        Waiter { wait: Arc::new(Wait { end: Mutex::new(None), ended: Condvar::new() }), stands_for: 0 }
    }

    /// Makes this clone, and later clones of it, stand for the thing with that number.
    pub(crate) fn stand_for(&mut self, thing: usize) {
        self.stands_for = thing;
    }

    /// True if both are clones of the same wait, for the same thing or for different things.
    #[inline]
    pub(crate) fn is(&self, other: &Waiter) -> bool {
        Arc::ptr_eq(&self.wait, &other.wait)
    }

    /// True if both stand for the same thing.
    pub(crate) fn stands_as(&self, other: &Waiter) -> bool {
        self.stands_for == other.stands_for
    }

    /// The address of the wait, which all its clones share.
    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.wait).addr()
    }

    /// Ends the wait. `None` if it had ended before; the caller then still has what it wanted to give.
    ///
    /// Dropping the [`Wake`] wakes the thread, so a caller under a lock writes the outcome there and makes
    /// the system call after it has unlocked.
    pub(crate) fn end(&self, outcome: Outcome) -> Option<Wake> {
        let ends = self.end_unless_ended(End { outcome, by: Some(self.stands_for) });
        ends.then(|| Wake(Arc::clone(&self.wait)))
    }

    /// Ends the wait of this thread, which does not sleep. False if another thread ended it first.
    pub(crate) fn withdraw(&self) -> bool {
        // No wake: only this thread could sleep here.
        self.end_unless_ended(End { outcome: Ok(()), by: None })
    }

    fn end_unless_ended(&self, end: End) -> bool {
        // Looked at and written in one critical section: of several ends exactly one is the first.
        let mut current = self.wait.end.lock();
        if current.is_some() {
            return false;
        }
        *current = Some(end);
        true
    }

    /// Makes this a wait that has not ended, so that the same thread can sleep again.
    pub(crate) fn renew(&mut self) {
        match Arc::get_mut(&mut self.wait) {
            Some(wait) => *wait.end.lock() = None,
            // Another clone exists: in a list, or in the `Wake` of a thread that is about to notify. It keeps
            // the old wait, so that no late `end` ends the new one.
            None => *self = Waiter::new(),
        }
    }

    /// True if the wait has ended, as far as this thread can see without blocking on the lock.
    pub(crate) fn has_ended(&self) -> bool {
        // A hint: a thread that sees false sleeps, and `wait` looks again under the lock.
        self.wait.end.try_lock().is_some_and(|end| end.is_some())
    }

    /// How the wait ended, if it has.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.wait.end.lock().map(|end| end.outcome)
    }

    /// The thing that the ended clone stood for; `None` if the thread ended the wait itself.
    pub(crate) fn ended_by(&self) -> Option<usize> {
        self.wait.end.lock().and_then(|end| end.by)
    }

    /// Sleeps until the wait ends. With `latest`, ends it with that outcome at that instant of the system's
    /// clock. Tells the [observers](context::Blocking) of this thread, unless the wait has ended already.
    /// Calls `enter` when only the sleep is left to do, and keeps what it returns for as long as the sleep.
    pub(crate) fn sleep<G>(&self, latest: Option<(Instant, Outcome)>, enter: impl FnOnce() -> G) -> Outcome {
        // The end of this sleep may depend on an alarm's callback, whose thread the operating system refused
        // before.
        time::retry_refused();
        let mut observers = context::observers();
        if observers.is_empty() || self.has_ended() {
            let _entered = enter();
            return self.wait(latest);
        }
        // No lock is held, so an observer may start or wake a thread that takes this one's place. Only the
        // observers that acted on it are told that this thread resumes, in the reverse order.
        observers.retain(|observer| Arc::clone(observer).blocked(latest.map(|(at, _)| at)));
        // After the observers, which may wake other threads.
        let entered = enter();
        let ended = self.wait(latest);
        drop(entered);
        observers.iter().rev().for_each(|observer| observer.resumed());
        ended
    }

    fn wait(&self, latest: Option<(Instant, Outcome)>) -> Outcome {
        let mut current = self.wait.end.lock();
        // Waits for an outcome. `end` writes it under the lock, which this thread holds from its look until
        // it sleeps, and notifies afterwards, so the notification cannot be missed. A loop, since a condition
        // variable may wake spuriously.
        loop {
            match (*current, latest) {
                // Tie: an outcome that was written before this thread reacts to its time-out holds.
                (Some(end), _) => return end.outcome,
                (None, None) => self.wait.ended.wait(&mut current),
                // Written under the lock: a granter that comes later is told that it is too late, and keeps
                // what it has to give.
                (None, Some((at, outcome))) if time::now() >= at => {
                    *current = Some(End { outcome, by: None })
                }
                // The result is ignored: the outcome and the clock decide.
                (None, Some((at, _))) => drop(self.wait.ended.wait_until(&mut current, at)),
            }
        }
    }
}

/// Wakes the thread of a wait that has ended, when dropped. It keeps the wait alive until then, since the
/// thread may see the outcome and return before it is notified.
#[derive(Debug)]
#[must_use = "dropping it wakes the thread: do that after unlocking"]
pub(crate) struct Wake(Arc<Wait>);

impl Drop for Wake {
    fn drop(&mut self) {
        // Before the notification: the thread may leave the register at once.
        timeline::wake(Arc::as_ptr(&self.0).addr());
        // One: only the thread of this wait ever waits on its condition variable.
        self.0.ended.notify_one();
    }
}
