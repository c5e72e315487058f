//! The end that pops, and its iterator.

use std::fmt;
use std::iter::FusedIterator;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::error::{Closed, TryError, WaitError};
use crate::queue::{BoundedQueue, Iter};
use crate::sync::Arc;
use crate::until::Until;

/// Pops items from a queue. Dropping the last receiver closes the queue and drops the items that are left.
///
/// Made by [`bounded`](super::bounded) and [`rendezvous`](super::rendezvous). A clone is another receiver of
/// the same queue, and each item goes to one of the receivers. The sections
/// [Blocking](BoundedQueue#blocking), [Cancellation](BoundedQueue#cancellation),
/// [Fairness](BoundedQueue#fairness) and [Ordering](BoundedQueue#ordering) of [`BoundedQueue`] apply; for
/// capacity 0, those of [`rendezvous`](super::rendezvous).
///
/// # Examples
/// ```
/// let (sender, receiver) = selvedge::queue::bounded(2);
/// sender.push("dropped with the receiver").unwrap();
/// drop(receiver);
/// assert_eq!(sender.push("comes back").unwrap_err().into_value(), "comes back");
/// ```
///
/// # Panics
/// If an item panics when the last receiver drops it. The other items are dropped first, and the first panic
/// is then resumed.
///
/// # Proof
/// Model `dropping_the_receiver_ends_the_producer_and_the_items` in `loom-tests/tests/queue.rs`.
#[must_use = "dropping the only receiver closes the queue"]
pub struct Receiver<T> {
    end: Arc<ReceiveEnd<T>>,
}

/// Dropped with the last receiver.
struct ReceiveEnd<T>(Arc<BoundedQueue<T>>);

impl<T> Drop for ReceiveEnd<T> {
    fn drop(&mut self) {
        // No receiver is left to pop these items. They are dropped after unlocking, since their `Drop` is the
        // caller's code.
        crate::panics::drop_each(self.0.close_and_drain());
    }
}

impl<T> Receiver<T> {
    pub(super) fn new(queue: Arc<BoundedQueue<T>>) -> Self {
        Receiver { end: Arc::new(ReceiveEnd(queue)) }
    }

    #[inline]
    pub(crate) fn queue(&self) -> &BoundedQueue<T> {
        &self.end.0
    }

    /// Pops the first item, waiting for one as long as it takes.
    ///
    /// # Errors
    /// [`Closed`] once the queue is empty and is closed or has no sender left.
    #[track_caller]
    pub fn pop(&self) -> Result<T, Closed> {
        self.queue().pop()
    }

    /// Pops the first item if there is one now and no other receiver has a [turn](BoundedQueue#fairness).
    ///
    /// # Errors
    /// [`TryError::WouldBlock`] if the queue is empty or another receiver has a turn, [`TryError::Closed`] if
    /// the queue is empty and closed.
    #[inline]
    pub fn try_pop(&self) -> Result<T, TryError> {
        self.queue().try_pop()
    }

    /// Pops the first item, waiting for one until `limit` at most.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`], [`WaitError::Cancelled`], or [`WaitError::Closed`] once the queue is empty
    /// and closed.
    #[inline]
    #[track_caller]
    pub fn pop_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<T, WaitError> {
        self.queue().pop_until(limit)
    }

    /// Pops the items that are there, in order and at most `max`, under one lock. Waits for the first one as
    /// long as it takes. Returns an empty vector at once if `max` is 0.
    ///
    /// # Errors
    /// [`Closed`] once the queue is empty and closed.
    #[track_caller]
    pub fn pop_many(&self, max: usize) -> Result<Vec<T>, Closed> {
        self.queue().pop_many(max)
    }

    /// Like [`pop_many`](Receiver::pop_many), but does not wait.
    ///
    /// # Errors
    /// As [`try_pop`](Receiver::try_pop) returns.
    pub fn try_pop_many(&self, max: usize) -> Result<Vec<T>, TryError> {
        self.queue().try_pop_many(max)
    }

    /// Like [`pop_many`](Receiver::pop_many), but waits for the first item until `limit` at most.
    ///
    /// # Errors
    /// As [`pop_until`](Receiver::pop_until) returns.
    #[track_caller]
    pub fn pop_many_until<'a>(&self, max: usize, limit: impl Into<Until<'a>>) -> Result<Vec<T>, WaitError> {
        self.queue().pop_many_until(max, limit)
    }

    /// Returns an iterator that pops items until the queue is empty and closed.
    pub fn iter(&self) -> Iter<'_, T> {
        self.queue().iter()
    }

    /// Closes the queue. Every push fails from now on, and receivers get the items that are left. Returns
    /// true if this call closed the queue.
    pub fn close(&self) -> bool {
        self.queue().close()
    }

    /// Closes the queue and returns the items that are left, in order. A receiver that pops later gets none
    /// of them.
    pub fn close_and_drain(&self) -> Vec<T> {
        self.queue().close_and_drain()
    }

    /// Returns true once the queue is closed. There may still be items to pop.
    pub fn is_closed(&self) -> bool {
        self.queue().is_closed()
    }

    /// Returns the number of items in the queue. It may have changed by the time the caller uses it.
    pub fn len(&self) -> usize {
        self.queue().len()
    }

    /// Returns true if the queue is empty now.
    pub fn is_empty(&self) -> bool {
        self.queue().is_empty()
    }

    /// Returns the maximum number of items.
    pub fn capacity(&self) -> usize {
        self.queue().capacity()
    }

    /// Changes the capacity, while the queue is in use. See [`BoundedQueue::resize`].
    ///
    /// # Panics
    /// As `BoundedQueue::resize`.
    #[track_caller]
    pub fn resize(&self, capacity: usize) {
        self.queue().resize(capacity);
    }

    /// Returns the number that the capacity can be [raised](Receiver::resize) to.
    pub fn max_capacity(&self) -> usize {
        self.queue().max_capacity()
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Receiver { end: Arc::clone(&self.end) }
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { receiver: self }
    }
}

/// An iterator that owns a receiver and pops items until the queue is empty and closed; made by `into_iter`
/// of a [`Receiver`].
///
/// # Examples
/// ```
/// let (sender, receiver) = selvedge::queue::bounded(2);
/// sender.push_all([1, 2]).unwrap();
/// drop(sender);
/// assert_eq!(receiver.into_iter().sum::<i32>(), 3);
/// ```
///
/// # Blocking
/// `next` blocks as [`Receiver::pop`] does.
#[must_use = "an iterator pops nothing until it is advanced"]
pub struct IntoIter<T> {
    receiver: Receiver<T>,
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        // The only error of an unlimited pop is `Closed`, which is the end.
        self.receiver.pop().ok()
    }
}

/// A queue that is closed and empty stays so.
impl<T> FusedIterator for IntoIter<T> {}

impl<T> fmt::Debug for IntoIter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IntoIter").field(self.receiver.queue()).finish()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver").field(self.queue()).finish()
    }
}

// As for `BoundedQueue`: none of the caller's code runs under a lock.
impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}
