//! Permits for a resource of which there is only a limited amount.
//!
//! The protocol and its argument are in `raw.rs`; this module adds guards, which return each permit once.

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

/// Limits how much of something is in use at once: threads in a section, connections to a host, megabytes in
/// memory.
///
/// The permits that are held, added up, never exceed the number that the semaphore was made with. A
/// [resize](Semaphore::resize) changes that number; after one to fewer permits, none is granted until the sum
/// is below it. A permit returns when its guard is dropped, and only its holder can return it. Waiters are
/// served strictly in the order in which they came, so a waiter for many permits is not overtaken forever by
/// waiters for few.
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
/// At most three threads at work, however many come:
/// ```
/// use selvedge::Semaphore;
/// use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
///
/// let (semaphore, inside, maximum) = (Semaphore::new(3), AtomicUsize::new(0), AtomicUsize::new(0));
/// std::thread::scope(|s| {
///     for _ in 0..10 {
///         s.spawn(|| {
///             let _permit = semaphore.acquire().unwrap();
///             maximum.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
///             inside.fetch_sub(1, SeqCst);
///         });
///     }
/// });
/// assert!(maximum.into_inner() <= 3);
/// assert_eq!(semaphore.available(), 3);
/// ```
///
/// # Blocking
/// The `acquire` methods wait while too few permits are free or other waiters came before. A permit that
/// returns wakes the first waiter, once there are enough for it. Returning permits never waits for another
/// thread's permit; it takes a lock only while threads wait, while a resize has permits left
/// to remove, or once the semaphore is closed.
///
/// # Cancellation
/// A cancelled token never acquires. A waiter that gives up leaves the list; the waiters behind it are served
/// at once if what is free is enough for them. If a grant and an end of the wait meet, the first one holds.
/// No permit is lost.
///
/// # Panics
/// [`new`](Semaphore::new) and [`resize`](Semaphore::resize) panic above [`Semaphore::MAX`]. A thread that
/// panics while it holds a permit returns it while it unwinds; a semaphore is never poisoned.
///
/// # Fairness
/// First come, first served among all waiters; `try_acquire` does not overtake them either. When more threads
/// want permits than there are, this costs one wake-up for each permit, which a semaphore that lets newcomers
/// overtake saves (bench `semaphore`).
///
/// # Ordering
/// What a thread did before it returned a permit is visible to the thread that acquires it next.
///
/// # Proof
/// The models in `loom-tests/tests/semaphore.rs`; `a_permit_given_back_reaches_a_sleeper` is the one of the
/// wake-up, `a_grant_that_meets_a_cancel_loses_no_permit` the one of the tie.
///
/// # Cost
/// One compare-and-swap to acquire and one to return while no thread waits. Bench `semaphore`.
///
/// # Instead
/// A `Mutex` if there is one permit and it guards data. A [`RateLimiter`](crate::RateLimiter) to limit how
/// many begin in a given time.
pub struct Semaphore {
    raw: RawSemaphore,
}

impl Semaphore {
    /// The maximum number of permits of a semaphore.
    pub const MAX: usize = usize::MAX >> 1; // the word of `raw.rs` holds twice the number, and a bit

    /// Makes a semaphore with `permits` free permits. With 0, [`resize`](Semaphore::resize) adds permits
    /// later.
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
    /// [`WaitError::Closed`] if the semaphore is or becomes closed, [`WaitError::InsufficientCapacity`] if
    /// its total is or becomes 0.
    #[track_caller]
    pub fn acquire(&self) -> Result<Permit<'_>, WaitError> {
        self.acquire_many(1)
    }

    /// Takes a permit if one is free and no thread waits.
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
    /// As [`acquire_many_until`](Semaphore::acquire_many_until).
    #[inline]
    #[track_caller]
    pub fn acquire_until<'l>(&self, limit: impl Into<Until<'l>>) -> Result<Permit<'_>, WaitError> {
        self.acquire_many_until(1, limit)
    }

    /// Waits for `count` permits together as long as it takes.
    ///
    /// # Errors
    /// [`WaitError::Closed`] if the semaphore is or becomes closed; [`WaitError::InsufficientCapacity`] at
    /// once if `count` is above the total, or when the total becomes less than that while the call waits.
    #[inline]
    #[track_caller]
    pub fn acquire_many(&self, count: usize) -> Result<Permit<'_>, WaitError> {
        self.acquire_many_until(count, Until::forever())
    }

    /// Takes `count` permits together if they are free and no thread waits. A `count` of 0 succeeds unless
    /// the semaphore is closed, whether or not threads wait.
    ///
    /// # Errors
    /// [`TryError::WouldBlock`], [`TryError::Closed`] or [`TryError::InsufficientCapacity`].
    #[inline]
    pub fn try_acquire_many(&self, count: usize) -> Result<Permit<'_>, TryError> {
        // The guard is made after the permits are taken, so its drop returns exactly what was taken.
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
        // As above: there is no guard before the permits are held.
        self.raw.enter(count, limit.into())?;
        Ok(Permit::new(self, count))
    }

    /// [`acquire`](Semaphore::acquire) for a permit that keeps the semaphore alive instead of borrowing it,
    /// and can be sent to a thread that outlives the borrow.
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
        // The reference is cloned only after success, so a failed attempt writes to no shared count.
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
        // The caller's reference keeps the semaphore alive during the wait.
        self.raw.enter(count, limit.into())?;
        Ok(OwnedPermit::new(Arc::clone(self), count))
    }

    /// Puts the waiter into the list, to be granted `count` permits. False if there is nothing to wait for,
    /// or if the permits can never be granted.
    pub(crate) fn join(&self, count: usize, waiter: &Waiter) -> bool {
        self.raw.join(count, waiter) == Ok(true)
    }

    /// Removes the waiter from the list. Has no effect on a granted waiter, which is not in the list.
    pub(crate) fn give_up(&self, waiter: &Waiter) {
        self.raw.give_up(waiter);
    }

    /// The permits of a waiter that was granted.
    pub(crate) fn handed_over(&self, count: usize) -> Permit<'_> {
        // The grant has taken them from the word already.
        Permit::new(self, count)
    }

    /// The number of free permits. It may have changed by the time the caller uses it.
    pub fn available(&self) -> usize {
        self.raw.available()
    }

    /// The total number of permits, free or held.
    pub fn total(&self) -> usize {
        self.raw.total()
    }

    /// Changes the total number of permits.
    ///
    /// Added permits serve waiters at once. Removed permits are taken from the free ones; if these are too
    /// few, the rest are taken as held permits return. No holder loses a permit. A waiter for more than the
    /// new total gets [`WaitError::InsufficientCapacity`].
    ///
    /// # Panics
    /// If `permits` is above [`Semaphore::MAX`].
    #[track_caller]
    pub fn resize(&self, permits: usize) {
        assert!(permits <= Self::MAX, "{permits} permits are more than the {} allowed", Self::MAX);
        self.raw.resize(permits);
    }

    /// Closes the semaphore: waiters and later callers get `Closed`. Held permits remain valid. Returns true
    /// if this call closed it.
    pub fn close(&self) -> bool {
        self.raw.close()
    }

    /// True once the semaphore is closed.
    pub fn is_closed(&self) -> bool {
        self.raw.is_closed()
    }
}

impl fmt::Debug for Semaphore {
    /// Never waits: fields that another thread has locked are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Semaphore");
        out.field("available", &self.available());
        self.raw.describe(&mut out);
        out.finish_non_exhaustive()
    }
}

// None of the caller's code runs under the lock, so no panic of it leaves the state half changed. Permits
// follow: they hold a reference to a semaphore and a number.
impl UnwindSafe for Semaphore {}
impl RefUnwindSafe for Semaphore {}
