//! What is out, and comes back by itself.

use std::fmt;
use std::mem;

use super::Semaphore;
use crate::sync::Arc;

/// Permits of a [`Semaphore`], given back when dropped.
#[must_use = "permits that are dropped at once are given back at once"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    count: usize,
}

/// Like [`Permit`], but keeps its semaphore alive instead of borrowing it.
#[must_use = "permits that are dropped at once are given back at once"]
pub struct OwnedPermit {
    semaphore: Arc<Semaphore>,
    count: usize,
}

impl<'a> Permit<'a> {
    pub(super) fn new(semaphore: &'a Semaphore, count: usize) -> Self {
        Permit { semaphore, count }
    }

    /// How many permits this guard holds.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Parts with `count` permits, which become a guard of their own; `None` if it holds fewer.
    pub fn split(&mut self, count: usize) -> Option<Permit<'a>> {
        self.count = self.count.checked_sub(count)?;
        Some(Permit { semaphore: self.semaphore, count })
    }

    /// Takes the permits of `other` in.
    ///
    /// # Panics
    /// If the two are of different semaphores.
    #[track_caller]
    pub fn merge(&mut self, mut other: Permit<'a>) {
        assert_same(self.semaphore, other.semaphore);
        self.count += mem::take(&mut other.count);
    }

    /// Never gives the permits back: the semaphore has so many fewer from here on.
    pub fn forget(mut self) {
        self.semaphore.raw.forget(mem::take(&mut self.count));
    }
}

impl OwnedPermit {
    pub(super) fn new(semaphore: Arc<Semaphore>, count: usize) -> Self {
        OwnedPermit { semaphore, count }
    }

    /// How many permits this guard holds.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The semaphore that the permits are of.
    pub fn semaphore(&self) -> &Arc<Semaphore> {
        &self.semaphore
    }

    /// Parts with `count` permits, which become a guard of their own; `None` if it holds fewer.
    pub fn split(&mut self, count: usize) -> Option<OwnedPermit> {
        self.count = self.count.checked_sub(count)?;
        Some(OwnedPermit { semaphore: Arc::clone(&self.semaphore), count })
    }

    /// Takes the permits of `other` in.
    ///
    /// # Panics
    /// If the two are of different semaphores.
    #[track_caller]
    pub fn merge(&mut self, mut other: OwnedPermit) {
        assert_same(&self.semaphore, &other.semaphore);
        self.count += mem::take(&mut other.count);
    }

    /// Never gives the permits back: the semaphore has so many fewer from here on.
    pub fn forget(mut self) {
        self.semaphore.raw.forget(mem::take(&mut self.count));
    }
}

#[track_caller]
fn assert_same(a: &Semaphore, b: &Semaphore) {
    assert!(std::ptr::eq(a, b), "permits of different semaphores cannot be merged: {a:?} and {b:?}");
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.count > 0 {
            self.semaphore.raw.leave(self.count);
        }
    }
}

impl Drop for OwnedPermit {
    #[inline]
    fn drop(&mut self) {
        if self.count > 0 {
            self.semaphore.raw.leave(self.count);
        }
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("count", &self.count).finish_non_exhaustive()
    }
}

impl fmt::Debug for OwnedPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPermit").field("count", &self.count).finish_non_exhaustive()
    }
}
