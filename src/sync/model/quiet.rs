//! A lock of this module's own, which is no step of a failure's table.

use std::fmt;
use std::ops::{Deref, DerefMut};

use super::locks::acquire;
use super::{engine, trace};

pub(crate) struct Quiet<T> {
    id: trace::Id,
    inner: loom::sync::Mutex<T>,
}

/// Unlocks when dropped.
pub(super) struct QuietGuard<'a, T> {
    id: trace::Id,
    /// `None` only while it is dropped.
    inner: Option<loom::sync::MutexGuard<'a, T>>,
}

impl<T> Quiet<T> {
    #[track_caller]
    pub(super) fn new(value: T) -> Self {
        Quiet { id: trace::Id::new(), inner: loom::sync::Mutex::new(value) }
    }

    #[track_caller]
    pub(super) fn lock(&self) -> QuietGuard<'_, T> {
        QuietGuard { id: self.id, inner: Some(acquire(&self.inner, self.id)) }
    }
}

impl<T> Drop for QuietGuard<'_, T> {
    fn drop(&mut self) {
        self.inner = None;
        engine::wake(self.id.key());
    }
}

impl<T> Deref for QuietGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.inner.as_deref().expect("the guard is whole until it is dropped")
    }
}

impl<T> DerefMut for QuietGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.inner.as_deref_mut().expect("the guard is whole until it is dropped")
    }
}

impl<T> fmt::Debug for Quiet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quiet").finish_non_exhaustive()
    }
}
