//! The guard of a locked monitor.

use std::fmt;
use std::ops::{Deref, DerefMut};

use super::Inner;
use super::held::Held;
use crate::sync::MutexGuard;
use crate::wait::Wake;

/// The locked state of a [`Monitor`](super::Monitor).
///
/// Dropping it lets every waiter continue that can: calls their closures under the lock, and wakes them after
/// unlocking.
#[must_use = "dropping it unlocks the monitor"]
pub struct MonitorGuard<'a, S> {
    // The fields drop in this order: unlocking before waking, so that no waiter wakes up into a held lock.
    inner: MutexGuard<'a, Inner<S>>,
    _held: Held,
    wakes: Vec<Wake>,
    /// The holder has not changed the state.
    unchanged: bool,
}

impl<'a, S> MonitorGuard<'a, S> {
    #[inline]
    pub(super) fn new(inner: MutexGuard<'a, Inner<S>>, held: Held) -> Self {
        MonitorGuard { inner, _held: held, wakes: Vec::new(), unchanged: false }
    }

    pub(super) fn inner(&mut self) -> &mut Inner<S> {
        &mut self.inner
    }

    /// Returns the number of threads that wait for the state, for tests and diagnostics. An associated
    /// function, since the state may have a method of this name.
    ///
    /// ```
    /// use selvedge::{Monitor, MonitorGuard};
    ///
    /// assert_eq!(MonitorGuard::waiting(&Monitor::new(7).lock()), 0);
    /// ```
    pub fn waiting(guard: &Self) -> usize {
        guard.inner.waiting.len()
    }

    /// Unlocks without making the waiters' attempts, for a holder that has changed nothing.
    pub(super) fn unlock_unchanged(mut self) {
        self.unchanged = true;
    }
}

impl<S> Deref for MonitorGuard<'_, S> {
    type Target = S;

    #[inline]
    fn deref(&self) -> &S {
        &self.inner.state
    }
}

impl<S> DerefMut for MonitorGuard<'_, S> {
    #[inline]
    fn deref_mut(&mut self) -> &mut S {
        &mut self.inner.state
    }
}

impl<S> Drop for MonitorGuard<'_, S> {
    #[inline]
    fn drop(&mut self) {
        // Even if a panic is unwinding: the state as it is may be what a waiter needs.
        if self.unchanged {
            return;
        }
        self.inner.version = self.inner.version.next();
        if !self.inner.waiting.is_empty() || !self.inner.watching.is_empty() {
            // Under the lock, so that no newcomer takes what a waiter could take. The wake-ups are made by
            // the drop of `wakes`, after the drop of `inner` has unlocked.
            self.wakes = self.inner.settle();
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for MonitorGuard<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MonitorGuard").field(&&**self).finish()
    }
}
