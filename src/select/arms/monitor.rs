//! The arm that waits for a condition of a monitor.

use crate::select::arm::Arm;
use crate::select::engine::RawArm;
use crate::wait::{Monitor, Version, Waiter};

/// Waits until `attempt` succeeds on a monitor's state, as [`Monitor::wait`] does, and returns its result.
///
/// The closure runs on the selecting thread, under the monitor's lock. While that thread sleeps, every unlock
/// that may have changed the state wakes it to try again. Threads that wait for the same condition in
/// [`Monitor::wait`] have precedence over it.
///
/// # Panics
/// The selection panics if `attempt` panics, or if this thread has the monitor locked.
///
/// # Ordering
/// A thread's actions before it unlocks the monitor are visible to `attempt`.
///
/// # Proof
/// Model `a_change_of_state_reaches_a_selection` in `loom-tests/tests/select.rs`.
#[inline]
pub fn monitor<'a, S, R>(
    monitor: &'a Monitor<S>,
    attempt: impl FnMut(&mut S) -> Option<R> + 'a,
) -> impl Arm<Output = R> {
    Condition { monitor, attempt, seen: None, outcome: None }
}

struct Condition<'a, S, F, R> {
    monitor: &'a Monitor<S>,
    attempt: F,
    /// The version of the state on which the last attempt failed.
    seen: Option<Version>,
    outcome: Option<R>,
}

impl<S, F: FnMut(&mut S) -> Option<R>, R> RawArm for Condition<'_, S, F, R> {
    fn attempt(&mut self) -> bool {
        match self.monitor.attempt(&mut self.attempt) {
            Ok(result) => self.outcome = Some(result),
            Err(seen) => self.seen = Some(seen),
        }
        self.outcome.is_some()
    }

    fn join(&mut self, waiter: &Waiter) -> bool {
        // Joins only if the state is still the one that the attempt saw; the monitor compares under its lock,
        // so no change is missed in between.
        self.seen.is_some_and(|seen| self.monitor.watch(seen, waiter).is_ok())
    }

    /// Ready at the first call, and after each change: this method cannot tell whether the closure would
    /// succeed.
    fn join_to_ask(&mut self, waiter: &Waiter) -> bool {
        let seen = self.seen.unwrap_or(Version::NONE);
        let watched = self.monitor.watch(seen, waiter);
        // Remembered, so that the next call waits for another change instead of reporting this one again.
        if let Err(now) = watched {
            self.seen = Some(now);
        }
        watched.is_ok()
    }

    fn leave(&mut self, waiter: &Waiter) {
        // A watcher takes nothing, so it passes nothing on.
        self.monitor.stop_watching(waiter);
    }
}

impl<S, F: FnMut(&mut S) -> Option<R>, R> Arm for Condition<'_, S, F, R> {
    type Output = R;

    fn output(&mut self) -> R {
        super::brought(&mut self.outcome)
    }
}
