//! Iterators: one that pops until the queue ends, and one over the items of a failed batch push.

use std::collections::{VecDeque, vec_deque};
use std::fmt;
use std::iter::{Chain, Fuse, FusedIterator};

use super::BoundedQueue;

/// An iterator that pops items until the queue is closed and empty; made by [`BoundedQueue::iter`].
///
/// # Blocking
/// `next` blocks as [`BoundedQueue::pop`] does. Several iterators of one queue share its items: each item
/// goes to one of them.
#[must_use = "an iterator pops nothing until it is advanced"]
pub struct Iter<'a, T> {
    queue: &'a BoundedQueue<T>,
}

impl<'a, T> Iter<'a, T> {
    pub(super) fn new(queue: &'a BoundedQueue<T>) -> Self {
        Iter { queue }
    }
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        // The only error of an unlimited pop is `Closed`, which is the end.
        self.queue.pop().ok()
    }
}

/// A queue that is closed and empty stays so.
impl<T> FusedIterator for Iter<'_, T> {}

impl<T> Clone for Iter<'_, T> {
    fn clone(&self) -> Self {
        Iter { queue: self.queue }
    }
}

impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Iter").field(self.queue).finish()
    }
}

impl<'a, T> IntoIterator for &'a BoundedQueue<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// An iterator over the items that a batch push did not push, in order; see [`BoundedQueue::push_all`].
///
/// The first items come from the failed batch. The rest come from the caller's iterator, which is advanced
/// only as this iterator is advanced.
///
/// # Examples
/// ```
/// let queue = selvedge::BoundedQueue::new(2);
/// queue.close();
/// let rest = queue.push_all([1, 2, 3]).unwrap_err().into_value();
/// assert_eq!(rest.collect::<Vec<_>>(), [1, 2, 3]);
/// ```
#[must_use = "these items were not pushed"]
pub struct Rest<I: Iterator>(Chain<vec_deque::IntoIter<I::Item>, Fuse<I>>);

impl<I: Iterator> Rest<I> {
    pub(super) fn new(batch: VecDeque<I::Item>, rest: Fuse<I>) -> Self {
        Rest(batch.into_iter().chain(rest))
    }
}

impl<I: Iterator> Iterator for Rest<I> {
    type Item = I::Item;

    #[track_caller]
    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<I: Iterator> fmt::Debug for Rest<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Only the size hint: the items need not be `Debug`, and looking at the rest would advance the
        // iterator.
        f.debug_struct("Rest").field("size_hint", &self.size_hint()).finish_non_exhaustive()
    }
}
