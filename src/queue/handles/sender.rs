//! The end that pushes.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::error::{Closed, Rejected, TryError, WaitError};
use crate::queue::{BoundedQueue, Rest};
use crate::sync::Arc;
use crate::until::Until;

/// Pushes items into a queue. Dropping the last sender closes the queue.
///
/// Made by [`bounded`](super::bounded) and [`rendezvous`](super::rendezvous). A clone is another sender of
/// the same queue. The sections [Blocking](BoundedQueue#blocking), [Cancellation](BoundedQueue#cancellation),
/// [Fairness](BoundedQueue#fairness) and [Ordering](BoundedQueue#ordering) of [`BoundedQueue`] apply; for
/// capacity 0, those of [`rendezvous`](super::rendezvous).
///
/// # Examples
/// ```
/// let (sender, receiver) = selvedge::queue::bounded(2);
/// let other = sender.clone();
/// sender.push(1).unwrap();
/// other.push(2).unwrap();
/// drop((sender, other)); // the last sender is gone, so the queue is closed
/// assert_eq!(receiver.iter().collect::<Vec<_>>(), [1, 2]);
/// ```
///
/// # Proof
/// Model `dropping_the_last_sender_ends_the_receiver` in `loom-tests/tests/queue.rs`.
#[must_use = "dropping the only sender closes the queue"]
pub struct Sender<T> {
    end: Arc<SendEnd<T>>,
}

/// Dropped with the last sender.
struct SendEnd<T>(Arc<BoundedQueue<T>>);

impl<T> Drop for SendEnd<T> {
    fn drop(&mut self) {
        // Wakes the receivers: no further item will come. Items that were pushed before stay for them.
        self.0.close();
    }
}

impl<T> Sender<T> {
    pub(super) fn new(queue: Arc<BoundedQueue<T>>) -> Self {
        Sender { end: Arc::new(SendEnd(queue)) }
    }

    #[inline]
    pub(crate) fn queue(&self) -> &BoundedQueue<T> {
        &self.end.0
    }

    /// Pushes an item, waiting for room as long as it takes.
    ///
    /// # Errors
    /// [`Closed`], with the item, once the queue is closed or every receiver is gone.
    #[track_caller]
    pub fn push(&self, item: T) -> Result<(), Rejected<T, Closed>> {
        self.queue().push(item)
    }

    /// Pushes an item if there is room now and no other sender has a [turn](BoundedQueue#fairness).
    ///
    /// # Errors
    /// With the item: [`TryError::WouldBlock`] if the queue is full or another sender has a turn,
    /// [`TryError::Closed`] once the queue is closed or every receiver is gone.
    #[inline]
    pub fn try_push(&self, item: T) -> Result<(), Rejected<T, TryError>> {
        self.queue().try_push(item)
    }

    /// Pushes an item, waiting for room until `limit` at most.
    ///
    /// # Errors
    /// With the item: [`WaitError::TimedOut`], [`WaitError::Cancelled`], or [`WaitError::Closed`] once the
    /// queue is closed or every receiver is gone.
    #[inline]
    #[track_caller]
    pub fn push_until<'a>(&self, item: T, limit: impl Into<Until<'a>>) -> Result<(), Rejected<T, WaitError>> {
        self.queue().push_until(item, limit)
    }

    /// Pushes all of `items` in order, many under one lock, waiting for room as long as it takes. Items of
    /// other senders may come in between.
    ///
    /// `items` is advanced up to 33 items beyond those that were pushed.
    ///
    /// # Errors
    /// [`Closed`], with an iterator over the items that were not pushed.
    ///
    /// # Panics
    /// If `items` panics. The items that it returned before are pushed first.
    #[track_caller]
    pub fn push_all<I: IntoIterator<Item = T>>(
        &self,
        items: I,
    ) -> Result<(), Rejected<Rest<I::IntoIter>, Closed>> {
        self.queue().push_all(items)
    }

    /// Like [`push_all`](Sender::push_all), but waits for room until `limit` at most. A duration starts again
    /// each time the call must wait.
    ///
    /// # Errors
    /// With an iterator over the items that were not pushed: [`WaitError::TimedOut`],
    /// [`WaitError::Cancelled`], or [`WaitError::Closed`].
    ///
    /// # Panics
    /// As [`BoundedQueue::push_all_until`] does.
    #[track_caller]
    pub fn push_all_until<'a, I: IntoIterator<Item = T>>(
        &self,
        items: I,
        limit: impl Into<Until<'a>>,
    ) -> Result<(), Rejected<Rest<I::IntoIter>, WaitError>> {
        self.queue().push_all_until(items, limit)
    }

    /// Pushes an item without waiting. If the queue is full, removes the first item and returns it. See
    /// [`BoundedQueue::force_push`].
    ///
    /// # Errors
    /// [`Closed`], with the item.
    pub fn force_push(&self, item: T) -> Result<Option<T>, Rejected<T, Closed>> {
        self.queue().force_push(item)
    }

    /// Closes the queue for all senders. Receivers get the items that are left and then [`Closed`]. Returns
    /// true if this call closed the queue.
    pub fn close(&self) -> bool {
        self.queue().close()
    }

    /// Returns true once the queue is closed: every push fails.
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

    /// Returns the number that the capacity can be [raised](Sender::resize) to.
    pub fn max_capacity(&self) -> usize {
        self.queue().max_capacity()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender { end: Arc::clone(&self.end) }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(self.queue()).finish()
    }
}

// As for `BoundedQueue`: none of the caller's code runs under a lock.
impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}
