//! The two ends of a queue as handles. Dropping the last handle of either end closes the queue.

mod receiver;
mod sender;

pub use receiver::{IntoIter, Receiver};
pub use sender::Sender;

use super::BoundedQueue;
use crate::sync::Arc;

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

/// Makes a queue whose capacity can be [changed](BoundedQueue::resize) up to `max_capacity`, and a handle to
/// each of its ends.
///
/// # Panics
/// If [`BoundedQueue::resizable`] panics for these numbers.
///
/// # Examples
/// ```
/// let (sender, receiver) = selvedge::queue::resizable(1, 8);
/// sender.push(1).unwrap();
/// receiver.resize(8);
/// sender.push(2).unwrap();
/// assert_eq!((receiver.pop(), receiver.pop()), (Ok(1), Ok(2)));
/// ```
#[track_caller]
pub fn resizable<T>(capacity: usize, max_capacity: usize) -> (Sender<T>, Receiver<T>) {
    ends(BoundedQueue::resizable(capacity, max_capacity))
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
    (Sender::new(Arc::clone(&queue)), Receiver::new(queue))
}
