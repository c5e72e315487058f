//! The two ends of a queue as handles, of which the last to go closes it.

use std::fmt;
use std::ops::Deref;

use super::{BoundedQueue, Iter};
use crate::sync::Arc;

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
    let queue = Arc::new(BoundedQueue::new(capacity));
    let sender = Sender { end: Arc::new(SendEnd(Arc::clone(&queue))) };
    (sender, Receiver { end: Arc::new(ReceiveEnd(queue)) })
}

/// Puts items into a queue; the last sender to be dropped closes it.
///
/// It dereferences to the [`BoundedQueue`], so every call of the queue is there. [`bounded`] makes it.
#[must_use = "dropping the only sender closes the queue"]
pub struct Sender<T> {
    end: Arc<SendEnd<T>>,
}

/// Takes items out of a queue; the last receiver to be dropped closes it and drops what is left.
///
/// It dereferences to the [`BoundedQueue`], so every call of the queue is there. [`bounded`] makes it.
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

impl<T> Deref for Sender<T> {
    type Target = BoundedQueue<T>;

    #[inline]
    fn deref(&self) -> &BoundedQueue<T> {
        &self.end.0
    }
}

impl<T> Deref for Receiver<T> {
    type Target = BoundedQueue<T>;

    #[inline]
    fn deref(&self) -> &BoundedQueue<T> {
        &self.end.0
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

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(&**self).finish()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver").field(&**self).finish()
    }
}
