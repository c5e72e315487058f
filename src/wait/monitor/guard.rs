//! The lock of a monitor, held.

use std::fmt;
use std::ops::{Deref, DerefMut};

use super::Inner;
use super::held::Held;
use crate::sync::MutexGuard;
use crate::wait::Wake;

/// The state of a [`Monitor`](super::Monitor), locked.
///
/// When it is dropped, every waiter that can go on does: their closures are called under the lock, and they
/// are woken after unlocking.
#[must_use = "dropping it unlocks the monitor"]
pub struct MonitorGuard<'a, S> {
    // Dropped in this order: unlocking comes before waking, so that nobody wakes into a held lock.
    inner: MutexGuard<'a, Inner<S>>,
    _held: Held,
    wakes: Vec<Wake>,
    /// The state is as it was when the lock was taken.
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

    /// Threads that wait for the state now, for a test or a picture of what goes on. An associated function,
    /// because the state may have a method of that name.
    ///
    /// ```
    /// use selvedge::{Monitor, MonitorGuard};
    ///
    /// assert_eq!(MonitorGuard::waiting(&Monitor::new(7).lock()), 0);
    /// ```
    pub fn waiting(guard: &Self) -> usize {
        guard.inner.waiting.len()
    }

    /// Unlocks without asking the waiters, for a holder that has changed nothing.
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
        // Also while a panic unwinds: the state is what it is, and may be what somebody waits for.
        if !self.unchanged && !self.inner.waiting.is_empty() {
            self.wakes = self.inner.settle();
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for MonitorGuard<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MonitorGuard").field(&&**self).finish()
    }
}
