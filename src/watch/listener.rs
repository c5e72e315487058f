//! The end of a broadcast that listens.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::broadcast::Kept;
use crate::error::{Closed, TryError, WaitError};
use crate::sync::Arc;
use crate::until::Until;
use crate::wait::Monitor;

/// Hears the values of a [`Broadcast`](super::Broadcast); made by [`subscribe`](super::Broadcast::subscribe).
///
/// A clone hears the same values from here on, by itself. As an iterator it yields each value until the
/// broadcast is closed.
///
/// # Blocking
/// [`hear`](Listener::hear), its limited form and the iterator wait for a value or the close.
///
/// # Cancellation
/// A wait that ends early has heard nothing: the next call gets the value.
#[must_use = "a listener does nothing until it is asked"]
pub struct Listener<T> {
    kept: Arc<Monitor<Kept<T>>>,
    /// The number of the next value to hear.
    next: u64,
}

/// A value of a [`Broadcast`](super::Broadcast).
#[derive(Debug)]
pub struct Heard<T> {
    /// The value, which the listeners share.
    pub value: Arc<T>,
    /// How many values before it this listener missed, because it was too late.
    pub missed: u64,
}

impl<T> Listener<T> {
    pub(super) fn new(kept: Arc<Monitor<Kept<T>>>, next: u64) -> Self {
        Listener { kept, next }
    }

    /// Returns the next value if there is one.
    ///
    /// # Errors
    /// [`TryError::WouldBlock`], or [`TryError::Closed`] if none will come.
    pub fn try_hear(&mut self) -> Result<Heard<T>, TryError> {
        let heard = self.kept.lock().hear(&mut self.next);
        heard.ok_or(TryError::WouldBlock)?.map(Heard::new).map_err(|Closed| TryError::Closed)
    }

    /// The monitor of the values, and the number of the next one: for a selection.
    pub(crate) fn parts(&mut self) -> (&Monitor<Kept<T>>, &mut u64) {
        (&self.kept, &mut self.next)
    }

    /// How many values were sent that this listener has not heard. Those beyond the capacity it has missed.
    pub fn behind(&self) -> u64 {
        self.kept.lock().ahead_of(self.next)
    }
}

impl<T: Send + Sync> Listener<T> {
    /// Waits for the next value.
    ///
    /// # Errors
    /// [`Closed`] once every value was heard and the broadcast is closed.
    #[track_caller]
    pub fn hear(&mut self) -> Result<Heard<T>, Closed> {
        self.hear_until(Until::forever()).map_err(|_| Closed)
    }

    /// Like [`hear`](Listener::hear), waiting until `limit` at most.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`], [`WaitError::Cancelled`] or [`WaitError::Closed`].
    #[track_caller]
    pub fn hear_until<'a>(&mut self, limit: impl Into<Until<'a>>) -> Result<Heard<T>, WaitError> {
        let next = &mut self.next;
        // Waits for a value or the close: each is an unlock of the monitor, which makes this attempt.
        let heard = self.kept.wait_until(limit, |kept| kept.hear(next))?;
        heard.map(Heard::new).map_err(|Closed| WaitError::Closed)
    }
}

impl<T> Heard<T> {
    pub(crate) fn new((value, missed): (Arc<T>, u64)) -> Self {
        Heard { value, missed }
    }
}

impl<T: Send + Sync> Iterator for Listener<T> {
    type Item = Heard<T>;

    #[track_caller]
    fn next(&mut self) -> Option<Heard<T>> {
        self.hear().ok()
    }
}

impl<T> Clone for Listener<T> {
    fn clone(&self) -> Self {
        Listener { kept: Arc::clone(&self.kept), next: self.next }
    }
}

impl<T> Clone for Heard<T> {
    fn clone(&self) -> Self {
        Heard { value: Arc::clone(&self.value), missed: self.missed }
    }
}

impl<T> fmt::Debug for Listener<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("next", &self.next).finish_non_exhaustive()
    }
}

// As for `Broadcast`.
impl<T> UnwindSafe for Listener<T> {}
impl<T> RefUnwindSafe for Listener<T> {}
