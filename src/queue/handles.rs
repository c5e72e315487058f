//! The two ends of a queue as handles, of which the last to go closes it.

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
/// As [`BoundedQueue::new`].
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
/// A push that succeeds is a promise that the item was taken; one that ends by its limit or by close has the
/// item, and nobody else does. Everything that a [`bounded`] queue's ends can do, these can do too:
/// `try_push` succeeds if a receiver waits, `try_pop` if a sender does. `len` and `capacity` are 0.
///
/// # Fairness
/// First come, first served on both sides, without exception: an item is handed over, so nobody who comes
/// later can be faster.
///
/// # Proof
/// Models in `loom-tests/tests/rendezvous.rs`: each item is taken once or comes back, whatever ends the wait;
/// a selection does not meet itself; two selections meet.
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
/// // Nobody takes it, so it comes back.
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

/// Puts items into a queue; the last sender to be dropped closes it.
///
/// [`bounded`] makes it, and a clone is one more sender of the same queue. What holds for a [`BoundedQueue`]
/// holds here: who waits for what, who wins a tie, who goes first.
#[must_use = "dropping the only sender closes the queue"]
pub struct Sender<T> {
    end: Arc<SendEnd<T>>,
}

/// Takes items out of a queue; the last receiver to be dropped closes it and drops what is left.
///
/// [`bounded`] makes it, and a clone is one more receiver of the same queue: an item goes to one of them.
/// What holds for a [`BoundedQueue`] holds here: who waits for what, who wins a tie, who goes first.
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
        self.0.close();
    }
}

impl<T> Drop for ReceiveEnd<T> {
    fn drop(&mut self) {
        // Nobody will come for these.
        crate::panics::drop_each(self.0.close_and_drain());
    }
}

impl<T> Sender<T> {
    #[inline]
    pub(crate) fn queue(&self) -> &BoundedQueue<T> {
        &self.end.0
    }

    /// Puts an item in, and waits for room as long as it takes.
    ///
    /// # Errors
    /// [`Closed`], with the item, once every receiver is gone or somebody has closed the queue.
    #[track_caller]
    pub fn push(&self, item: T) -> Result<(), Rejected<T, Closed>> {
        self.queue().push(item)
    }

    /// Puts an item in if there is room now, and no other sender has a [turn](BoundedQueue#fairness).
    ///
    /// # Errors
    /// With the item: [`TryError::WouldBlock`] if the queue is full or another has a turn,
    /// [`TryError::Closed`] once every receiver is gone or somebody has closed the queue.
    #[inline]
    pub fn try_push(&self, item: T) -> Result<(), Rejected<T, TryError>> {
        self.queue().try_push(item)
    }

    /// Puts an item in, and waits for room at most until `limit`.
    ///
    /// # Errors
    /// With the item: [`WaitError::TimedOut`], [`WaitError::Cancelled`], or [`WaitError::Closed`] once every
    /// receiver is gone or somebody has closed the queue.
    #[inline]
    #[track_caller]
    pub fn push_until<'a>(&self, item: T, limit: impl Into<Until<'a>>) -> Result<(), Rejected<T, WaitError>> {
        self.queue().push_until(item, limit)
    }

    /// Puts all of `items` in, in order and many under one lock, and waits for room as long as it takes.
    /// Items of other senders may come in between.
    ///
    /// `items` is advanced up to 33 items ahead of what has been put in.
    ///
    /// # Errors
    /// [`Closed`], with an iterator over the items that were not put in.
    ///
    /// # Panics
    /// If `items` does, when the items that it gave before have been put in.
    #[track_caller]
    pub fn push_all<I: IntoIterator<Item = T>>(
        &self,
        items: I,
    ) -> Result<(), Rejected<Rest<I::IntoIter>, Closed>> {
        self.queue().push_all(items)
    }

    /// Like [`push_all`](Sender::push_all), and waits for room at most until `limit`, counted anew each time
    /// that it must wait.
    ///
    /// # Errors
    /// With an iterator over the items that were not put in: [`WaitError::TimedOut`],
    /// [`WaitError::Cancelled`], or [`WaitError::Closed`].
    ///
    /// # Panics
    /// As [`BoundedQueue::push_all_until`].
    #[track_caller]
    pub fn push_all_until<'a, I: IntoIterator<Item = T>>(
        &self,
        items: I,
        limit: impl Into<Until<'a>>,
    ) -> Result<(), Rejected<Rest<I::IntoIter>, WaitError>> {
        self.queue().push_all_until(items, limit)
    }

    /// Puts an item in without waiting; if the queue is full, it takes out the first item, and returns that.
    /// See [`BoundedQueue::force_push`].
    ///
    /// # Errors
    /// [`Closed`], with the item.
    pub fn force_push(&self, item: T) -> Result<Option<T>, Rejected<T, Closed>> {
        self.queue().force_push(item)
    }

    /// Closes the queue for all senders, before the last is gone: receivers get what is left, and then the
    /// end. True if this call closed it.
    pub fn close(&self) -> bool {
        self.queue().close()
    }

    /// True once the queue is closed: every push fails.
    pub fn is_closed(&self) -> bool {
        self.queue().is_closed()
    }

    /// Items in the queue now. By the time the caller looks, it may be another number.
    pub fn len(&self) -> usize {
        self.queue().len()
    }

    /// True if the queue holds nothing now.
    pub fn is_empty(&self) -> bool {
        self.queue().is_empty()
    }

    /// The most items the queue holds.
    pub fn capacity(&self) -> usize {
        self.queue().capacity()
    }
}

impl<T> Receiver<T> {
    #[inline]
    pub(crate) fn queue(&self) -> &BoundedQueue<T> {
        &self.end.0
    }

    /// Takes the first item, and waits for one as long as it takes.
    ///
    /// # Errors
    /// [`Closed`] once the queue is empty, and every sender is gone or somebody has closed it.
    #[track_caller]
    pub fn pop(&self) -> Result<T, Closed> {
        self.queue().pop()
    }

    /// Takes the first item if there is one now, and no other receiver has a [turn](BoundedQueue#fairness).
    ///
    /// # Errors
    /// [`TryError::WouldBlock`] if the queue is empty or another has a turn, [`TryError::Closed`] if it is
    /// empty and closed.
    #[inline]
    pub fn try_pop(&self) -> Result<T, TryError> {
        self.queue().try_pop()
    }

    /// Takes the first item, and waits for one at most until `limit`.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`], [`WaitError::Cancelled`], or [`WaitError::Closed`] once the queue is empty
    /// and closed.
    #[inline]
    #[track_caller]
    pub fn pop_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<T, WaitError> {
        self.queue().pop_until(limit)
    }

    /// Takes what is there, first to last and at most `max` items, under one lock; waits for the first one as
    /// long as it takes. With `max` 0 it takes nothing and returns at once.
    ///
    /// # Errors
    /// [`Closed`] once the queue is empty and closed.
    #[track_caller]
    pub fn pop_many(&self, max: usize) -> Result<Vec<T>, Closed> {
        self.queue().pop_many(max)
    }

    /// Like [`pop_many`](Receiver::pop_many), without waiting.
    ///
    /// # Errors
    /// As [`try_pop`](Receiver::try_pop).
    pub fn try_pop_many(&self, max: usize) -> Result<Vec<T>, TryError> {
        self.queue().try_pop_many(max)
    }

    /// Like [`pop_many`](Receiver::pop_many), and waits for the first item at most until `limit`.
    ///
    /// # Errors
    /// As [`pop_until`](Receiver::pop_until).
    #[track_caller]
    pub fn pop_many_until<'a>(&self, max: usize, limit: impl Into<Until<'a>>) -> Result<Vec<T>, WaitError> {
        self.queue().pop_many_until(max, limit)
    }

    /// Pops until the queue is empty and closed.
    pub fn iter(&self) -> Iter<'_, T> {
        self.queue().iter()
    }

    /// Closes the queue: senders are refused from here on, and receivers get what is left. True if this call
    /// closed it.
    pub fn close(&self) -> bool {
        self.queue().close()
    }

    /// Closes the queue and takes out what is left, first to last, before any receiver that comes later.
    pub fn close_and_drain(&self) -> Vec<T> {
        self.queue().close_and_drain()
    }

    /// True once the queue is closed; there may still be items to pop.
    pub fn is_closed(&self) -> bool {
        self.queue().is_closed()
    }

    /// Items in the queue now. By the time the caller looks, it may be another number.
    pub fn len(&self) -> usize {
        self.queue().len()
    }

    /// True if the queue holds nothing now.
    pub fn is_empty(&self) -> bool {
        self.queue().is_empty()
    }

    /// The most items the queue holds.
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

/// Pops items until the queue is empty and closed, and is a receiver itself: made by `into_iter` of a
/// [`Receiver`].
///
/// `next` blocks as [`Receiver::pop`] does.
#[must_use = "an iterator pops nothing until it is advanced"]
pub struct IntoIter<T> {
    receiver: Receiver<T>,
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.receiver.pop().ok()
    }
}

/// Once closed and empty, a queue stays so.
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

impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}
impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}
