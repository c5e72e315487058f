//! The batch that a handler processes.

use std::fmt;
use std::mem;
use std::ops::Deref;

/// Why a batch was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// It has the maximum of items, or the next item would have made it too heavy.
    Full,
    /// Its oldest item has waited for the maximum age.
    Aged,
    /// [`flush`](super::Batcher::flush) was called.
    Flushed,
    /// The batcher was closed.
    Closed,
}

/// The items of one batch, in the order in which they were added; it derefs to a slice.
///
/// The batcher keeps the items, so that it can retry them and hand them back; a handler that only reads them
/// need not care. A handler that needs to own them [takes](Batch::take) them.
///
/// There is no access as `&mut [T]`: the position of an item determines its ticket.
///
/// # Examples
/// A handler that passes the items on, and leaves them in place if that fails:
/// ```
/// use selvedge::{Batcher, BoundedQueue, batch::Batch};
/// use std::sync::Arc;
///
/// let next = Arc::new(BoundedQueue::new(1));
/// let batcher = Batcher::builder().max_items(3).build({
///     let next = Arc::clone(&next);
///     move |batch: &mut Batch<String>| match next.try_push(batch.take()) {
///         Ok(()) => Ok(()),
///         Err(full) => {
///             batch.put_back(full.value);                  // retried, or given back
///             Err(full.error)
///         }
///     }
/// })?;
/// ["a", "b", "c"].iter().try_for_each(|item| batcher.add(item.to_string()))?;
/// assert_eq!(next.pop()?, ["a", "b", "c"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Batch<T> {
    pub(super) items: Vec<T>,
    pub(super) reason: Reason,
    pub(super) attempt: usize,
    pub(super) weight: usize,
    /// The number of items before the handler took them.
    count: usize,
}

impl<T> Batch<T> {
    pub(super) fn new(items: Vec<T>, reason: Reason, weight: usize) -> Self {
        // Fixed from here on: it tells later whether the handler took the items.
        let count = items.len();
        Batch { items, reason, attempt: 1, weight, count }
    }

    /// Returns why the batch was handed over.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Returns the number of the attempt: 1, unless the items are [retried](super::Builder::retry).
    pub fn attempt(&self) -> usize {
        self.attempt
    }

    /// Returns the items' total [weight](super::Builder::weigh); if some of them are retried, that of the
    /// whole batch at first.
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// Returns an iterator that can change the items in place.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, T> {
        self.items.iter_mut()
    }

    /// Takes the items out, in order.
    ///
    /// If the batch fails, items that were taken are not retried and not handed back, unless the handler
    /// [puts them back](Batch::put_back).
    pub fn take(&mut self) -> Vec<T> {
        mem::take(&mut self.items)
    }

    /// Puts back items that were taken, in the same order.
    ///
    /// # Panics
    /// If their number differs from that of the batch.
    #[track_caller]
    pub fn put_back(&mut self, items: Vec<T>) {
        assert!(
            // As many as before, since their positions determine the tickets.
            items.len() == self.count && self.items.is_empty(),
            "{} items are put back into a batch of {}, which has {} of them",
            items.len(),
            self.count,
            self.items.len()
        );
        self.items = items;
    }

    /// The number of items that the handler was given.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// True if the handler took the items and did not put them back.
    pub(super) fn is_taken(&self) -> bool {
        self.items.len() < self.count
    }

    /// Splits off the items for which `leaves` is true. If the items were [taken](Batch::is_taken), both
    /// batches are of taken items.
    pub(super) fn split(&mut self, leaves: &[bool]) -> (Self, Self) {
        let count = leaves.iter().filter(|leaves| **leaves).count();
        let part = |count| Batch { items: Vec::new(), count, ..*self };
        let (mut left, mut stays) = (part(count), part(leaves.len() - count));
        for (item, leaves) in mem::take(&mut self.items).into_iter().zip(leaves) {
            (if *leaves { &mut left } else { &mut stays }).items.push(item);
        }
        (left, stays)
    }
}

impl<T> Deref for Batch<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<'a, T> IntoIterator for &'a Batch<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

impl<'a, T> IntoIterator for &'a mut Batch<T> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter_mut()
    }
}

impl<T> fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("items", &self.items.len())
            .field("reason", &self.reason)
            .field("attempt", &self.attempt)
            .field("weight", &self.weight)
            .finish_non_exhaustive()
    }
}
