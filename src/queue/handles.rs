//! The two ends of a queue as handles. Dropping the last handle of either end closes the queue.

use std::fmt;
use std::iter::FusedIterator;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::{BoundedQueue, Iter, Rest};
use crate::error::{Closed, Rejected, TryError, WaitError};
use crate::sync::Arc;
use crate::until::Until;

/// Makes a queue and a handle to each of its ends.
///
/// # Panics
/// If [`BoundedQueue::new`] panics for this capacity.
///
/// # Examples
/// ```
/// use selvedge::queue::bounded;
///
/// let (sender, receiver) = bounded(1);
/// let producer = std::thread::spawn(move || sender.push("the only one"));
/// assert_eq!(receiver.pop(), Ok("the only one"));
/// producer.join().unwrap().unwrap();
/// assert!(receiver.pop().is_err()); // the sender is gone, so this is the end
/// ```
#[track_caller]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    ends(BoundedQueue::new(capacity))
}

/// Makes a queue of capacity 0 and a handle to each of its ends: a push waits until another thread takes the
/// item.
///
/// A push returns `Ok` only if another thread took the item. A push that ends by its limit or because the
/// queue was closed returns the item, and no other thread has it. The ends support all operations of the ends
/// of a [`bounded`] queue: `try_push` succeeds if a receiver is waiting, `try_pop` if a sender is waiting.
/// `len` and `capacity` are 0.
///
/// # Blocking
/// `push` waits for a receiver and `pop` waits for a sender. The thread that arrives second completes both
/// calls under one lock; it does not wait for the first to wake up.
///
/// # Cancellation
/// If a limit passes while the item is being taken, exactly one of the two takes effect: either the push
/// succeeds and the pop has the item, or the item comes back.
///
/// # Fairness
/// First come, first served on both sides, without exception. An item is handed over to a waiter directly, so
/// a later thread cannot overtake it.
///
/// # Ordering
/// A thread's actions before it pushes an item are visible to the thread that pops it.
///
/// # Proof
/// Models in `loom-tests/tests/rendezvous.rs`: `an_item_that_meets_a_cancel_is_taken_or_comes_back`,
/// `an_item_that_meets_a_cancelled_pop_is_not_lost`, `closing_gives_the_item_back`,
/// `two_selections_meet_each_other`.
///
/// # Examples
/// ```
/// use selvedge::queue::rendezvous;
/// use std::time::Duration;
///
/// let (sender, receiver) = rendezvous();
/// std::thread::scope(|s| {
///     s.spawn(|| assert_eq!(receiver.pop(), Ok("taken")));
///     sender.push("taken").unwrap();
/// });
/// // No receiver takes it, so it comes back.
/// let back = sender.push_until("kept", Duration::from_millis(1)).unwrap_err();
/// assert_eq!(back.into_value(), "kept");
/// ```
pub fn rendezvous<T>() -> (Sender<T>, Receiver<T>) {
    ends(BoundedQueue::rendezvous())
}

fn ends<T>(queue: BoundedQueue<T>) -> (Sender<T>, Receiver<T>) {
    let queue = Arc::new(queue);
    let sender = Sender { end: Arc::new(SendEnd(Arc::clone(&queue))) };
    (sender, Receiver { end: Arc::new(ReceiveEnd(queue)) })
}

/// Pushes items into a queue. Dropping the last sender closes the queue.
///
/// Made by [`bounded`] and [`rendezvous`]. A clone is another sender of the same queue. The sections
/// [Blocking](BoundedQueue#blocking), [Cancellation](BoundedQueue#cancellation),
/// [Fairness](BoundedQueue#fairness) and [Ordering](BoundedQueue#ordering) of [`BoundedQueue`] apply; for
/// capacity 0, those of [`rendezvous`].
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

/// Pops items from a queue. Dropping the last receiver closes the queue and drops the items that are left.
///
/// Made by [`bounded`] and [`rendezvous`]. A clone is another receiver of the same queue, and each item goes
/// to one of the receivers. The sections [Blocking](BoundedQueue#blocking),
/// [Cancellation](BoundedQueue#cancellation), [Fairness](BoundedQueue#fairness) and
/// [Ordering](BoundedQueue#ordering) of [`BoundedQueue`] apply; for capacity 0, those of [`rendezvous`].
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

/// Dropped with the last sender.
struct SendEnd<T>(Arc<BoundedQueue<T>>);

/// Dropped with the last receiver.
struct ReceiveEnd<T>(Arc<BoundedQueue<T>>);

impl<T> Drop for SendEnd<T> {
    fn drop(&mut self) {
        // Wakes the receivers: no further item will come. Items that were pushed before stay for them.
        self.0.close();
    }
}

impl<T> Drop for ReceiveEnd<T> {
    fn drop(&mut self) {
        // No receiver is left to pop these items. They are dropped after unlocking, since their `Drop` is the
        // caller's code.
        crate::panics::drop_each(self.0.close_and_drain());
    }
}

impl<T> Sender<T> {
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
}

impl<T> Receiver<T> {
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
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender { end: Arc::clone(&self.end) }
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

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(self.queue()).finish()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver").field(self.queue()).finish()
    }
}

// As for `BoundedQueue`: none of the caller's code runs under a lock.
impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}
impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}
