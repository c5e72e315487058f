//! A condvar that wakes waiters in an order chosen by the policy, wakes them spuriously, and times out.
//!
//! Each wait has an [`Entry`] in a registry, with a one-message channel of loom's. A notifier takes an entry
//! out of the registry, in the policy's order, and sends the message; a message that is sent before the
//! waiter receives is not lost. So only the order of registering and notifying matters. The switch point in
//! both makes loom explore it, even for notifiers that do not hold the mutex.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex as StdMutex};
use std::time::{Duration, Instant};

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::mpsc;

use super::locks::MutexGuard;
use super::time;
use super::trace::Outcome;
use super::{chances, engine, trace};
use crate::sync::failure::Policy;

/// A condition variable.
pub struct Condvar {
    id: trace::Id,
    entries: StdMutex<VecDeque<Arc<Entry>>>,
    switch_point: AtomicUsize,
}

struct Entry {
    message: mpsc::Sender<()>,
    /// The mutex that the waiter has unlocked.
    mutex: trace::Id,
    /// What the waiter blocks on in a sampled execution, and whether it was sent the message there.
    id: trace::Id,
    is_sent: AtomicBool,
    /// The waiter, for a failure's table.
    waits: trace::Begun,
}

/// Tells whether a wait with a deadline timed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// True if the deadline passed before a notification.
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    /// Makes a condition variable.
    pub fn new() -> Self {
        Condvar { id: trace::Id::new(), entries: StdMutex::default(), switch_point: AtomicUsize::new(0) }
    }

    /// Unlocks, waits until notified, and locks again. May return spuriously.
    #[track_caller]
    pub fn wait<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>) {
        let waits = trace::begin("wait", "Condvar", self.id);
        if chances::takes_spurious() {
            waits.done(Outcome::Was("wakes spuriously"));
            guard.unlocked(|| {});
            return;
        }
        let (entry, woken) = self.register(guard, waits);
        guard.unlocked(|| {
            waits.again();
            entry.receive(&woken);
            waits.done(Outcome::Was("woken"));
        });
    }

    /// Waits while `condition` returns true.
    #[track_caller]
    pub fn wait_while<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) {
        while condition(guard) {
            self.wait(guard);
        }
    }

    /// Waits until notified or until `deadline`, which may pass at any point. May return spuriously.
    #[track_caller]
    pub fn wait_until<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Instant,
    ) -> WaitTimeoutResult {
        // A deadline that has passed already takes nothing from the budget, since it cannot pass again.
        // In a sampled execution the dice limit how often it passes.
        if time::now() < deadline && !engine::is_on() && !chances::takes_expiry() {
            self.wait(guard);
            return WaitTimeoutResult(false);
        }
        let waits = trace::begin("wait", "Condvar", self.id);
        if chances::takes_spurious() {
            waits.done(Outcome::Was("wakes spuriously"));
            guard.unlocked(|| {});
            return WaitTimeoutResult(false);
        }
        // The thread stays runnable while it is registered, so it continues at every point at which the
        // deadline could have passed, and then finds out whether it was notified first. It removes its entry
        // while the mutex is still unlocked: a notifier that locks the mutex next finds no waiter, and the
        // wait has timed out although its condition is true by the time it holds the mutex again.
        let (entry, woken) = self.register(guard, waits);
        let timed_out = guard.unlocked(|| {
            entry.block_until(deadline);
            let timed_out = self.leave(&entry);
            waits.done(Outcome::Was(if timed_out { "times out" } else { "woken" }));
            timed_out
        });
        if timed_out {
            time::expire(deadline);
        } else {
            entry.receive(&woken);
        }
        WaitTimeoutResult(timed_out)
    }

    /// Waits until notified or for `timeout`, which may pass at any point.
    #[track_caller]
    pub fn wait_for<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>, timeout: Duration) -> WaitTimeoutResult {
        self.wait_until(guard, time::now() + timeout)
    }

    /// Wakes one waiter, chosen by the policy. Returns whether there was one.
    #[track_caller]
    pub fn notify_one(&self) -> bool {
        let notifies = trace::begin("notify_one", "Condvar", self.id);
        self.switch_point();
        let entry = {
            let mut entries = self.entries();
            match chances::policy() {
                Policy::NewestFirst => entries.pop_back(),
                Policy::OldestFirst | Policy::Spurious => entries.pop_front(),
            }
        };
        notifies.done(Outcome::Woke(entry.iter().map(|entry| entry.waits.thread()).collect()));
        entry.map(|entry| entry.wake()).is_some()
    }

    /// Wakes all waiters. Returns their number.
    #[track_caller]
    pub fn notify_all(&self) -> usize {
        let notifies = trace::begin("notify_all", "Condvar", self.id);
        self.switch_point();
        let entries = std::mem::take(&mut *self.entries());
        notifies.done(Outcome::Woke(entries.iter().map(|entry| entry.waits.thread()).collect()));
        entries.iter().for_each(|entry| entry.wake());
        entries.len()
    }

    #[track_caller]
    fn register<T: ?Sized>(
        &self,
        guard: &MutexGuard<'_, T>,
        waits: trace::Begun,
    ) -> (Arc<Entry>, mpsc::Receiver<()>) {
        self.switch_point();
        let (message, woken) = mpsc::channel();
        let entry = Arc::new(Entry {
            message,
            mutex: guard.id(),
            id: trace::Id::new(),
            is_sent: AtomicBool::new(false),
            waits,
        });
        let mut entries = self.entries();
        let is_another = entries.iter().any(|other| other.mutex != entry.mutex);
        entries.push_back(Arc::clone(&entry));
        drop(entries);
        // The real side rejects this too.
        assert!(!is_another, "a condvar is waited on with two mutexes at once");
        (entry, woken)
    }

    /// Removes an entry; false if a notifier has taken it already.
    fn leave(&self, entry: &Arc<Entry>) -> bool {
        self.switch_point();
        let mut entries = self.entries();
        let before = entries.len();
        entries.retain(|other| !Arc::ptr_eq(other, entry));
        entries.len() < before
    }

    fn switch_point(&self) {
        engine::switch();
        self.switch_point.fetch_add(0, Ordering::AcqRel);
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, VecDeque<Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Entry {
    fn wake(&self) {
        self.message.send(()).expect("the waiter holds its receiver until it was called");
        // Relaxed: all threads of a sampled execution are one of the system's.
        self.is_sent.store(true, Relaxed);
        engine::wake(self.id.key());
    }

    /// Waits for the message.
    fn receive(&self, woken: &mpsc::Receiver<()>) {
        while engine::is_on() && !self.is_sent.load(Relaxed) {
            engine::block(self.id.key(), None);
        }
        woken.recv().expect("the entry is alive, and is sent its message once it was taken out");
    }

    /// In a sampled execution, waits for the message or for the deadline. In others, the waiter stays
    /// runnable, so that the deadline may pass at any point.
    fn block_until(&self, deadline: Instant) {
        while engine::is_on() && !self.is_sent.load(Relaxed) && time::now() < deadline {
            if engine::block(self.id.key(), Some(deadline)) {
                break;
            }
        }
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Condvar::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}
