//! The fill level of a ring.

use super::Shared;
use crate::sync::Arc;
use crate::sync::atomic::{Ordering::Acquire, Ordering::Relaxed};

/// The fill level of a ring, for threads that hold no end.
pub(in crate::queue) struct Gauge<T>(Arc<Shared<T>>);

impl<T> Gauge<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        Gauge(shared)
    }

    /// Returns the number of items at some recent moment: a hint. Pushes and pops that happened before this
    /// call are counted.
    #[inline]
    pub(in crate::queue) fn len(&self) -> usize {
        // The loads are not one snapshot, so the difference may be negative or exceed the capacity.
        let len = self.pushed().saturating_sub(self.popped()) as usize;
        len.min(self.0.capacity)
    }

    // Acquire, with the release of the ends: a thread that has seen an item counted finds the flag of its
    // cell changed, too. Otherwise a waiter could find by one that it need not sleep, and by the other that
    // its attempt would fail, again and again.

    /// The number of items that were pushed.
    pub(in crate::queue) fn pushed(&self) -> u64 {
        self.0.pushed.load(Acquire)
    }

    /// The number of items that were popped.
    pub(in crate::queue) fn popped(&self) -> u64 {
        self.0.popped.load(Acquire)
    }

    /// Returns true if a pop is likely to find an item. Loads only what consumers write anyway, and the cell,
    /// so that a thread that asks again and again does not slow down the producers.
    #[inline]
    pub(in crate::queue) fn looks_filled(&self) -> bool {
        self.looks_full_at(self.0.popped.load(Relaxed)).unwrap_or_else(|| self.len() > 0)
    }

    /// Returns true if a push is likely to find room, with the sides exchanged.
    #[inline]
    pub(in crate::queue) fn looks_roomy(&self, limit: usize) -> bool {
        let before = (self.0.capacity - limit) as u64;
        let is_full = self.looks_full_at(self.0.pushed.load(Relaxed) + before);
        is_full.map_or_else(|| self.len() < limit, |is_full| !is_full)
    }

    /// `None` if the cells have no flags.
    #[inline]
    fn looks_full_at(&self, position: u64) -> Option<bool> {
        if Shared::<T>::ONE_CELL {
            return None;
        }
        let index = position.checked_rem(self.0.capacity as u64)? as usize;
        Some(self.0.cells[index].is_full.load(Relaxed))
    }
}
