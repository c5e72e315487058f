//! A condvar that wakes in an order of the policy's choosing, wakes for nothing, and times out.
//!
//! Each wait has a *seat*: a place in the registry and a one-message channel of loom's. A notifier takes a
//! seat out of the registry, in the policy's order, and sends its message; a message that comes before the
//! waiter looks is not lost. So the only order that matters is that of entering the registry against
//! notifying, and the touch in both makes loom explore it, also for notifiers that do not hold the mutex.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex as StdMutex};
use std::time::{Duration, Instant};

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::mpsc;

use super::check;
use super::locks::MutexGuard;
use super::time;
use crate::sync::failure::Policy;

/// A condition variable.
#[derive(Default)]
pub struct Condvar {
    seats: StdMutex<VecDeque<Arc<Seat>>>,
    touch: AtomicUsize,
}

struct Seat {
    message: mpsc::Sender<()>,
    /// The address of the mutex that the waiter has given up.
    mutex: usize,
}

/// Whether a timed wait ended by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// True if the deadline passed before anybody notified.
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    /// A condvar with nobody waiting.
    pub fn new() -> Self {
        Condvar::default()
    }

    /// Waits until notified. May return without cause.
    #[track_caller]
    pub fn wait<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>) {
        if check::takes_spurious() {
            guard.unlocked(|| {});
            return;
        }
        let (_, woken) = self.sit(guard);
        guard.unlocked(|| woken.recv().expect("the seat is alive"));
    }

    /// Waits while `condition` holds.
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

    /// Waits until notified or until `deadline`, which may pass at any point. May return without cause.
    #[track_caller]
    pub fn wait_until<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Instant,
    ) -> WaitTimeoutResult {
        // A deadline that has passed costs nothing of the budget: it cannot pass again.
        if time::now() < deadline && !check::takes_expiry() {
            self.wait(guard);
            return WaitTimeoutResult(false);
        }
        if check::takes_spurious() {
            guard.unlocked(|| {});
            return WaitTimeoutResult(false);
        }
        // The thread stays runnable while it holds its seat, so it comes back at every point at which the
        // deadline could have passed, and finds out then whether somebody notified it first. It leaves the
        // line while the mutex is still free: a notifier that has the mutex next finds nobody, and the wait
        // has timed out although its condition is true by the time that it holds the mutex again.
        let (seat, woken) = self.sit(guard);
        let timed_out = guard.unlocked(|| self.leave(&seat));
        if timed_out {
            time::expire(deadline);
        } else {
            woken.recv().expect("a seat that was taken out is sent its message");
        }
        WaitTimeoutResult(timed_out)
    }

    /// Waits until notified or for `timeout`, which may pass at any point.
    #[track_caller]
    pub fn wait_for<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>, timeout: Duration) -> WaitTimeoutResult {
        self.wait_until(guard, time::now() + timeout)
    }

    /// Wakes one waiter, of the policy's choosing; says whether there was one.
    #[track_caller]
    pub fn notify_one(&self) -> bool {
        self.touch();
        let seat = {
            let mut seats = self.seats();
            match check::policy() {
                Policy::NewestFirst => seats.pop_back(),
                Policy::OldestFirst | Policy::Spurious => seats.pop_front(),
            }
        };
        seat.map(|seat| seat.call()).is_some()
    }

    /// Wakes every waiter; says how many.
    #[track_caller]
    pub fn notify_all(&self) -> usize {
        self.touch();
        let seats = std::mem::take(&mut *self.seats());
        seats.iter().for_each(|seat| seat.call());
        seats.len()
    }

    #[track_caller]
    fn sit<T: ?Sized>(&self, guard: &MutexGuard<'_, T>) -> (Arc<Seat>, mpsc::Receiver<()>) {
        self.touch();
        let (message, woken) = mpsc::channel();
        let seat = Arc::new(Seat { message, mutex: guard.address() });
        let mut seats = self.seats();
        let is_another = seats.iter().any(|other| other.mutex != seat.mutex);
        seats.push_back(Arc::clone(&seat));
        drop(seats);
        // The real side refuses it too.
        assert!(!is_another, "a condvar is waited on with two mutexes at once");
        (seat, woken)
    }

    /// Gives a seat up; false if a notifier has taken it already.
    fn leave(&self, seat: &Arc<Seat>) -> bool {
        self.touch();
        let mut seats = self.seats();
        let before = seats.len();
        seats.retain(|other| !Arc::ptr_eq(other, seat));
        seats.len() < before
    }

    fn touch(&self) {
        self.touch.fetch_add(0, Ordering::AcqRel);
    }

    fn seats(&self) -> std::sync::MutexGuard<'_, VecDeque<Arc<Seat>>> {
        self.seats.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Seat {
    fn call(&self) {
        self.message.send(()).expect("the waiter holds its receiver until it was called");
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}
