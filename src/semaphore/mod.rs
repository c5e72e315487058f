//! Permits for what there is only so much of.

mod permit;
mod raw;

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

pub use permit::{OwnedPermit, Permit};

use crate::error::{TryError, WaitError};
use crate::sync::Arc;
use crate::until::Until;
use crate::wait::Waiter;
use raw::RawSemaphore;

/// Lets at most so many at once: of threads in a section, of connections to a host, of megabytes in memory.
///
/// The permits that are out, added up, never exceed the number the semaphore was made with (or was last
/// [resized](Semaphore::resize) to). A permit comes back when its guard is dropped, and cannot be returned
/// by somebody who does not hold it. Threads that wait are served strictly in the order in which they came,
/// so one that asks for many is not overtaken for ever by those that ask for few.
///
/// # Examples
/// ```
/// use selvedge::Semaphore;
///
/// let memory = Semaphore::new(1_000); // megabytes
/// let large = memory.acquire_many(800)?;
/// assert!(memory.try_acquire_many(300).is_err());
/// drop(large);
/// let _smaller = memory.try_acquire_many(300).unwrap();
/// # Ok::<(), selvedge::error::WaitError>(())
/// ```
///
/// Never more than three at work, whatever comes:
/// ```
/// use selvedge::Semaphore;
/// use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
///
/// let (semaphore, inside, most) = (Semaphore::new(3), AtomicUsize::new(0), AtomicUsize::new(0));
/// std::thread::scope(|s| {
///     for _ in 0..10 {
///         s.spawn(|| {
///             let _permit = semaphore.acquire().unwrap();
///             most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
///             inside.fetch_sub(1, SeqCst);
///         });
///     }
/// });
/// assert!(most.into_inner() <= 3);
/// assert_eq!(semaphore.available(), 3);
/// ```
///
/// # Blocking
/// `acquire` and its kin wait while too few permits are free or others wait before them; whoever gives
/// permits back wakes the first in line, and only when there is enough for it. Giving back never blocks.
///
/// # Cancellation
/// A cancelled token never acquires. A thread that gives up leaves the line, and if it was the first, those
/// behind it are served at once with what it was waiting for. If a grant and an end meet, whichever came
/// first holds; no permit is lost.
///
/// # Fairness
/// First come, first served among all who wait: none of those who come later goes first. A call finds permits
/// only if nobody waits. That costs a wake-up a permit when more threads want in than there is room for,
/// which a semaphore that lets newcomers overtake saves (bench `semaphore`).
///
/// # Ordering
/// What a thread did before it gave a permit back is visible to the thread that gets it next.
///
/// # Proof
/// Models in `loom-tests/tests/semaphore.rs`.
///
/// # Cost
/// One compare-and-swap each way while nobody waits. Bench `semaphore`.
///
/// # Instead
/// A `Mutex` if there is one permit and it guards data.
pub struct Semaphore {
    raw: RawSemaphore,
}

impl Semaphore {
    /// The most permits that a semaphore can have.
    pub const MAX: usize = usize::MAX >> 1;

    /// Makes a semaphore with `permits` free. With 0, permits come by [`resize`](Semaphore::resize).
    ///
    /// # Panics
    /// If `permits` is above [`Semaphore::MAX`].
    #[track_caller]
    pub fn new(permits: usize) -> Self {
        assert!(permits <= Self::MAX, "{permits} permits are more than the {} allowed", Self::MAX);
        Semaphore { raw: RawSemaphore::new(permits) }
    }

    /// Waits for a permit as long as it takes.
    ///
    /// # Errors
    /// [`WaitError::Closed`] if the semaphore is or becomes closed, [`WaitError::InsufficientCapacity`] if it
    /// has no permits in all.
    #[track_caller]
    pub fn acquire(&self) -> Result<Permit<'_>, WaitError> {
        self.acquire_many(1)
    }

    /// Takes a permit if one is free and nobody waits for it.
    ///
    /// # Errors
    /// [`TryError::WouldBlock`], [`TryError::Closed`] or [`TryError::InsufficientCapacity`].
    #[inline]
    pub fn try_acquire(&self) -> Result<Permit<'_>, TryError> {
        self.try_acquire_many(1)
    }

    /// Waits for a permit at most until `limit`.
    ///
    /// # Errors
    /// Each [`WaitError`]; see [`acquire_many_until`](Semaphore::acquire_many_until).
    #[inline]
    #[track_caller]
    pub fn acquire_until<'l>(&self, limit: impl Into<Until<'l>>) -> Result<Permit<'_>, WaitError> {
        self.acquire_many_until(1, limit)
    }

    /// Waits for `count` permits together as long as it takes.
    ///
    /// # Errors
    /// [`WaitError::Closed`] if the semaphore is or becomes closed; [`WaitError::InsufficientCapacity`] at
    /// once if `count` is more than it has in all, and also when it is resized to less while the call waits.
    #[inline]
    #[track_caller]
    pub fn acquire_many(&self, count: usize) -> Result<Permit<'_>, WaitError> {
        self.acquire_many_until(count, Until::forever())
    }

    /// Takes `count` permits together if they are free and nobody waits. A `count` of 0 succeeds unless the
    /// semaphore is closed, whoever waits.
    ///
    /// # Errors
    /// [`TryError::WouldBlock`], [`TryError::Closed`] or [`TryError::InsufficientCapacity`].
    #[inline]
    pub fn try_acquire_many(&self, count: usize) -> Result<Permit<'_>, TryError> {
        self.raw.try_enter(count)?;
        Ok(Permit::new(self, count))
    }

    /// Waits for `count` permits together at most until `limit`.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`], [`WaitError::Cancelled`], [`WaitError::Closed`], or
    /// [`WaitError::InsufficientCapacity`] as in [`acquire_many`](Semaphore::acquire_many).
    #[inline]
    #[track_caller]
    pub fn acquire_many_until<'l>(
        &self,
        count: usize,
        limit: impl Into<Until<'l>>,
    ) -> Result<Permit<'_>, WaitError> {
        self.raw.enter(count, limit.into())?;
        Ok(Permit::new(self, count))
    }

    /// [`acquire`](Semaphore::acquire) for a permit that keeps the semaphore alive instead of borrowing it,
    /// to be sent to another thread.
    ///
    /// # Errors
    /// As [`acquire`](Semaphore::acquire).
    #[track_caller]
    pub fn acquire_owned(self: &Arc<Self>) -> Result<OwnedPermit, WaitError> {
        self.acquire_many_owned_until(1, Until::forever())
    }

    /// [`try_acquire`](Semaphore::try_acquire) for an owned permit.
    ///
    /// # Errors
    /// As [`try_acquire`](Semaphore::try_acquire).
    pub fn try_acquire_owned(self: &Arc<Self>) -> Result<OwnedPermit, TryError> {
        self.try_acquire_many_owned(1)
    }

    /// [`acquire_until`](Semaphore::acquire_until) for an owned permit.
    ///
    /// # Errors
    /// As [`acquire_until`](Semaphore::acquire_until).
    #[track_caller]
    pub fn acquire_owned_until<'l>(
        self: &Arc<Self>,
        limit: impl Into<Until<'l>>,
    ) -> Result<OwnedPermit, WaitError> {
        self.acquire_many_owned_until(1, limit)
    }

    /// [`acquire_many`](Semaphore::acquire_many) for an owned permit.
    ///
    /// # Errors
    /// As [`acquire_many`](Semaphore::acquire_many).
    #[track_caller]
    pub fn acquire_many_owned(self: &Arc<Self>, count: usize) -> Result<OwnedPermit, WaitError> {
        self.acquire_many_owned_until(count, Until::forever())
    }

    /// [`try_acquire_many`](Semaphore::try_acquire_many) for an owned permit.
    ///
    /// # Errors
    /// As [`try_acquire_many`](Semaphore::try_acquire_many).
    pub fn try_acquire_many_owned(self: &Arc<Self>, count: usize) -> Result<OwnedPermit, TryError> {
        self.raw.try_enter(count)?;
        Ok(OwnedPermit::new(Arc::clone(self), count))
    }

    /// [`acquire_many_until`](Semaphore::acquire_many_until) for an owned permit.
    ///
    /// # Errors
    /// As [`acquire_many_until`](Semaphore::acquire_many_until).
    #[track_caller]
    pub fn acquire_many_owned_until<'l>(
        self: &Arc<Self>,
        count: usize,
        limit: impl Into<Until<'l>>,
    ) -> Result<OwnedPermit, WaitError> {
        self.raw.enter(count, limit.into())?;
        Ok(OwnedPermit::new(Arc::clone(self), count))
    }

    /// Stands in line for `count` permits with that waiter; false if there is nothing to wait for.
    pub(crate) fn join(&self, count: usize, waiter: &Waiter) -> bool {
        self.raw.join(count, waiter) == Ok(true)
    }

    /// Leaves the line, unless the permits were handed over.
    pub(crate) fn give_up(&self, waiter: &Waiter) {
        self.raw.give_up(waiter);
    }

    /// The permits that came with the end of a waiter.
    pub(crate) fn handed_over(&self, count: usize) -> Permit<'_> {
        Permit::new(self, count)
    }

    /// Permits that are free now. By the time the caller looks, it may be another number.
    pub fn available(&self) -> usize {
        self.raw.available()
    }

    /// Permits in all, free or out.
    pub fn total(&self) -> usize {
        self.raw.total()
    }

    /// Changes how many permits there are in all.
    ///
    /// More serve those who wait at once. Fewer are taken from those that are free, and where that is not
    /// enough, from those that come back: nobody's permit is taken away. Who waits for more than the new
    /// total gets [`WaitError::InsufficientCapacity`].
    ///
    /// # Panics
    /// If `permits` is above [`Semaphore::MAX`].
    #[track_caller]
    pub fn resize(&self, permits: usize) {
        assert!(permits <= Self::MAX, "{permits} permits are more than the {} allowed", Self::MAX);
        self.raw.resize(permits);
    }

    /// Closes the semaphore: who waits, and who comes later, gets `Closed`. Permits that are out stay good.
    /// True if this call closed it.
    pub fn close(&self) -> bool {
        self.raw.close()
    }

    /// True once the semaphore was closed.
    pub fn is_closed(&self) -> bool {
        self.raw.is_closed()
    }
}

impl fmt::Debug for Semaphore {
    /// Never waits: what another thread has locked is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Semaphore");
        out.field("available", &self.available());
        self.raw.describe(&mut out);
        out.finish_non_exhaustive()
    }
}

// Permits follow: they hold a reference to it and a number.
impl UnwindSafe for Semaphore {}
impl RefUnwindSafe for Semaphore {}
