//! The end of a watch that waits for changes.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::latest::{Shared, State};
use crate::error::{Closed, TryError, WaitError};
use crate::sync::Arc;
use crate::until::Until;
use crate::wait::Monitor;

/// Waits for the changes of a [`Watch`](super::Watch); made by [`subscribe`](super::Watch::subscribe).
///
/// A watcher remembers which value it has seen. A clone has seen the same, and goes on by itself. As an
/// iterator it yields each value that it finds changed, until the watch is closed.
///
/// # Blocking
/// [`changed`](Watcher::changed), [`wait_for`](Watcher::wait_for), their limited forms and the iterator wait
/// for a change or the close.
///
/// # Cancellation
/// A wait that ends early has seen nothing: the next call gets the change.
///
/// # Instead
/// [`select::changed`](crate::select::changed) to wait for a change among other things.
#[must_use = "a watcher does nothing until it is asked"]
pub struct Watcher<T> {
    shared: Arc<Shared<T>>,
    /// The version of the last value that was returned; 0 is none.
    seen: u64,
}

impl<T> State<T> {
    /// Takes the value if it is newer than `seen`. `None` is "not yet".
    pub(crate) fn newer(&self, seen: &mut u64) -> Option<Result<Arc<T>, Closed>> {
        // Tie: a value that was set before the close comes first.
        if self.version > *seen {
            *seen = self.version;
            return Some(Ok(Arc::clone(&self.value)));
        }
        self.closed.then_some(Err(Closed))
    }
}

impl<T> Watcher<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        Watcher { shared, seen: 0 }
    }

    /// Returns the current value, which counts as seen from now on.
    pub fn latest(&mut self) -> Arc<T> {
        let (value, version) = self.shared.look();
        self.seen = version;
        value
    }

    /// Returns the current value without counting it as seen.
    pub fn peek(&self) -> Arc<T> {
        self.shared.look().0
    }

    /// Returns true if there is a value that this watcher has not seen.
    pub fn has_changed(&self) -> bool {
        self.shared.look().1 > self.seen
    }

    /// Returns the value if this watcher has not seen it.
    ///
    /// # Errors
    /// [`TryError::WouldBlock`] if it has; [`TryError::Closed`] if it has and the watch is closed.
    pub fn try_changed(&mut self) -> Result<Arc<T>, TryError> {
        let newer = self.shared.state.lock().newer(&mut self.seen);
        newer.ok_or(TryError::WouldBlock)?.map_err(|Closed| TryError::Closed)
    }

    /// The monitor of the state, and what this watcher has seen: for a selection.
    pub(crate) fn parts(&mut self) -> (&Monitor<State<T>>, &mut u64) {
        (&self.shared.state, &mut self.seen)
    }
}

impl<T: Send + Sync> Watcher<T> {
    /// Waits for a value that this watcher has not seen, and returns it.
    ///
    /// # Errors
    /// [`Closed`] if it has seen the last value and the watch is closed.
    #[track_caller]
    pub fn changed(&mut self) -> Result<Arc<T>, Closed> {
        self.changed_until(Until::forever()).map_err(|_| Closed)
    }

    /// Like [`changed`](Watcher::changed), waiting until `limit` at most.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`], [`WaitError::Cancelled`] or [`WaitError::Closed`].
    #[track_caller]
    pub fn changed_until<'a>(&mut self, limit: impl Into<Until<'a>>) -> Result<Arc<T>, WaitError> {
        let seen = &mut self.seen;
        // Waits for another version or the close: each is an unlock of the monitor, which makes this attempt.
        let newer = self.shared.state.wait_until(limit, |state| state.newer(seen))?;
        newer.map_err(|Closed| WaitError::Closed)
    }

    /// Waits until the value satisfies `condition`, and returns it, which counts as seen. The current value
    /// is looked at too. A value that is replaced before this thread looks is not.
    ///
    /// # Errors
    /// [`Closed`] if the last value does not satisfy it and the watch is closed.
    #[track_caller]
    pub fn wait_for(&mut self, condition: impl FnMut(&T) -> bool) -> Result<Arc<T>, Closed> {
        self.wait_for_until(condition, Until::forever()).map_err(|_| Closed)
    }

    /// Like [`wait_for`](Watcher::wait_for), waiting until `limit` at most.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`], [`WaitError::Cancelled`] or [`WaitError::Closed`].
    #[track_caller]
    pub fn wait_for_until<'a>(
        &mut self,
        mut condition: impl FnMut(&T) -> bool,
        limit: impl Into<Until<'a>>,
    ) -> Result<Arc<T>, WaitError> {
        let limit = limit.into();
        // Tie: a token that was cancelled before the call wins over a value that is there.
        limit.check_token()?;
        // Started once, so that each round has what is left of the time.
        let limit = limit.start();
        let mut value = self.latest();
        // On this thread and without the lock, since the condition is the caller's code.
        while !condition(&value) {
            value = self.changed_until(Until::from_here(&limit))?;
        }
        Ok(value)
    }
}

impl<T: Send + Sync> Iterator for Watcher<T> {
    type Item = Arc<T>;

    #[track_caller]
    fn next(&mut self) -> Option<Arc<T>> {
        self.changed().ok()
    }
}

impl<T> Clone for Watcher<T> {
    fn clone(&self) -> Self {
        Watcher { shared: Arc::clone(&self.shared), seen: self.seen }
    }
}

impl<T: fmt::Debug> fmt::Debug for Watcher<T> {
    /// Never blocks, as that of [`Watch`](super::Watch).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Watcher");
        out.field("seen", &self.seen);
        self.shared.describe(out)
    }
}

// As for `Watch`.
impl<T> UnwindSafe for Watcher<T> {}
impl<T> RefUnwindSafe for Watcher<T> {}
