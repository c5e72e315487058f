//! The guards that hold permits and return them when dropped.
//!
//! A guard is a number of permits. [`split`](Permit::split), [`merge`](Permit::merge) and
//! [`forget`](Permit::forget) move that number and leave 0 behind, so each permit returns at most once.

use std::fmt;
use std::mem;

use super::Semaphore;
use crate::sync::Arc;

/// Permits of a [`Semaphore`], returned when dropped, also by a thread that panics.
///
/// It is not bound to a thread: a permit may be dropped on another thread than the one that acquired it.
///
/// # Examples
/// ```
/// use selvedge::Semaphore;
///
/// let connections = Semaphore::new(4);
/// let mut all = connections.acquire_many(4)?;
/// let one = all.split(1).unwrap();
/// drop(all);
/// assert_eq!((connections.available(), one.count()), (3, 1));
/// # Ok::<(), selvedge::error::WaitError>(())
/// ```
///
/// # Blocking
/// Dropping it waits for no permit; see [`Semaphore`].
#[must_use = "permits that are dropped at once are returned at once"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    count: usize,
}

/// Like [`Permit`], but keeps its semaphore alive instead of borrowing it.
///
/// # Examples
/// ```
/// use selvedge::Semaphore;
/// use std::sync::Arc;
///
/// let connections = Arc::new(Semaphore::new(1));
/// let permit = connections.acquire_owned()?;
/// let worker = std::thread::spawn(move || drop(permit)); // works, and returns it
/// let _next = connections.acquire()?;
/// worker.join().unwrap();
/// # Ok::<(), selvedge::error::WaitError>(())
/// ```
#[must_use = "permits that are dropped at once are returned at once"]
pub struct OwnedPermit {
    semaphore: Arc<Semaphore>,
    count: usize,
}

impl<'a> Permit<'a> {
    pub(super) fn new(semaphore: &'a Semaphore, count: usize) -> Self {
        Permit { semaphore, count }
    }

    /// The number of permits that this guard holds.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Moves `count` permits to a guard of their own; `None`, and no change, if this guard holds fewer.
    pub fn split(&mut self, count: usize) -> Option<Permit<'a>> {
        // The semaphore is not touched: both guards together hold what this one held.
        self.count = self.count.checked_sub(count)?;
        Some(Permit { semaphore: self.semaphore, count })
    }

    /// Adds the permits of `other` to this guard.
    ///
    /// # Panics
    /// If the two belong to different semaphores.
    #[track_caller]
    pub fn merge(&mut self, mut other: Permit<'a>) {
        assert_same(self.semaphore, other.semaphore);
        // Taken out, so that the drop of `other` returns nothing. The sum cannot overflow: at most `MAX`
        // permits of one semaphore are held.
        self.count += mem::take(&mut other.count);
    }

    /// Drops the guard without returning its permits: the semaphore's total becomes so many fewer. After a
    /// resize to fewer, permits that are still to be removed count first.
    pub fn forget(mut self) {
        // Taken out, so that the drop of this guard returns nothing. `mem::forget` would do for this guard,
        // but would leak the reference of an owned one.
        self.semaphore.raw.forget(mem::take(&mut self.count));
    }
}

impl OwnedPermit {
    pub(super) fn new(semaphore: Arc<Semaphore>, count: usize) -> Self {
        OwnedPermit { semaphore, count }
    }

    /// The number of permits that this guard holds.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The semaphore that the permits belong to.
    pub fn semaphore(&self) -> &Arc<Semaphore> {
        &self.semaphore
    }

    /// Moves `count` permits to a guard of their own; `None`, and no change, if this guard holds fewer.
    pub fn split(&mut self, count: usize) -> Option<OwnedPermit> {
        self.count = self.count.checked_sub(count)?;
        Some(OwnedPermit { semaphore: Arc::clone(&self.semaphore), count })
    }

    /// Adds the permits of `other` to this guard.
    ///
    /// # Panics
    /// If the two belong to different semaphores.
    #[track_caller]
    pub fn merge(&mut self, mut other: OwnedPermit) {
        assert_same(&self.semaphore, &other.semaphore);
        // As for `Permit`. The drop of `other` drops its reference only.
        self.count += mem::take(&mut other.count);
    }

    /// Drops the guard without returning its permits: the semaphore's total becomes so many fewer. After a
    /// resize to fewer, permits that are still to be removed count first.
    pub fn forget(mut self) {
        self.semaphore.raw.forget(mem::take(&mut self.count));
    }
}

// By address: two semaphores with equal numbers are still two limits.
#[track_caller]
fn assert_same(a: &Semaphore, b: &Semaphore) {
    assert!(std::ptr::eq(a, b), "permits of different semaphores cannot be merged: {a:?} and {b:?}");
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        // A guard that was merged, forgotten or split empty has nothing to return, and skips the atomic.
        if self.count > 0 {
            self.semaphore.raw.leave(self.count);
        }
    }
}

impl Drop for OwnedPermit {
    #[inline]
    fn drop(&mut self) {
        // As for `Permit`. The semaphore's last reference may be this one, and is dropped afterwards.
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
