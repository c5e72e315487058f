//! Conditions of monitors.

use crate::select::arm::Arm;
use crate::select::engine::RawArm;
use crate::wait::{Monitor, Version, Waiter};

/// Waits until `attempt` succeeds on a monitor's state, as [`Monitor::wait`] does, and brings what it
/// returned.
///
/// The closure runs on the thread that selects, under the monitor's lock. While that thread sleeps, every
/// unlock that may have changed the state wakes it, so that it tries again; among the threads that wait for
/// the same thing in [`Monitor::wait`] it comes last.
///
/// # Panics
/// The selection panics if `attempt` does, and if this thread has the monitor locked.
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
    /// The state on which the last attempt failed.
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
        self.seen.is_some_and(|seen| self.monitor.watch(seen, waiter).is_ok())
    }

    /// Each change is worth an attempt, and so is the first state.
    fn join_to_ask(&mut self, waiter: &Waiter) -> bool {
        let seen = self.seen.unwrap_or(Version::NONE);
        let watched = self.monitor.watch(seen, waiter);
        if let Err(now) = watched {
            self.seen = Some(now);
        }
        watched.is_ok()
    }

    fn leave(&mut self, waiter: &Waiter) {
        self.monitor.stop_watching(waiter);
    }
}

impl<S, F: FnMut(&mut S) -> Option<R>, R> Arm for Condition<'_, S, F, R> {
    type Output = R;

    fn output(&mut self) -> R {
        super::brought(&mut self.outcome)
    }
}
