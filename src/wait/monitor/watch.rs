//! Selections that wait for a monitor's state among other things.
//!
//! A selection makes its attempts itself. The thread that unlocks could not make them for it: an attempt that
//! succeeds is an effect, and the selection may be ended through another arm at the same time. So every
//! unlock that may have changed the state wakes the selections, and each tries again. What they tried is told
//! from what was changed since by a version, so no change falls between an attempt and the sleep.

use super::{Monitor, REENTERED};
use crate::wait::Waiter;

/// A state of a monitor: each unlock that may have changed it makes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version(u64);

impl Version {
    /// That of no state.
    pub(crate) const NONE: Version = Version(0);
    pub(super) const FIRST: Version = Version(1);

    #[inline]
    pub(super) fn next(self) -> Self {
        Version(self.0 + 1)
    }
}

impl<S> Monitor<S> {
    /// Makes an attempt; if it fails, says on which state.
    #[track_caller]
    pub(crate) fn attempt<R>(&self, attempt: &mut impl FnMut(&mut S) -> Option<R>) -> Result<R, Version> {
        let Some(mut guard) = self.enter() else { panic!("{REENTERED}") };
        let version = guard.inner().version;
        match attempt(&mut guard) {
            Some(result) => Ok(result),
            None => {
                guard.unlock_unchanged();
                Err(version)
            }
        }
    }

    /// Puts a waiter among those that are woken by the next change, unless there was one since `seen`.
    pub(crate) fn watch(&self, seen: Version, waiter: &Waiter) -> Result<(), Version> {
        let mut inner = self.inner.lock();
        if inner.version != seen {
            return Err(inner.version);
        }
        inner.watching.join(waiter);
        Ok(())
    }

    pub(crate) fn stop_watching(&self, waiter: &Waiter) {
        self.inner.lock().watching.leave(waiter);
    }
}
