//! The bound on items in progress, at the cost of one atomic addition an item.
//!
//! Items are counted in when they are read, and out when the consumer delivers them. One thread at a time
//! reads, and adds to the first count under the lock of [`Shared`](super::shared::Shared). The consumer adds
//! to the second without a lock. Both counts only grow, so a reader that sees an old second count sees less
//! room than there is, and never more.
//!
//! # Waking a reader that found no room
//! The second count and a mark that a reader waits share one word. A reader that must wait sets the mark and
//! gets the count at that moment; the consumer adds to the count and gets the mark at that moment. One of the
//! two comes first. Either the reader sees the addition, or the consumer sees the mark, takes the lock under
//! which the reader joined the wait list, and wakes it.
//!
//! # How much room is worth a wake-up
//! As much as a reader would read at once. So cheap items do not cost a wake-up each, and for costly items,
//! which are read one at a time, each delivery wakes a reader at once. A consumer that is about to wait does
//! not apply this rule: it has taken everything that was ready, so there is room.

use crate::sync::atomic::{AtomicUsize, Ordering};

/// The mark: a reader waits for room.
const READER_WAITS: usize = 1;
/// One delivered item in the count.
const ONE: usize = 2;

#[derive(Debug)]
pub(super) struct Window {
    word: AtomicUsize,
    /// The count at which to wake the reader; meaningful while the mark is set.
    wake_at: AtomicUsize,
    bound: usize,
}

impl Window {
    pub(super) fn new(bound: usize) -> Self {
        Window { word: AtomicUsize::new(0), wake_at: AtomicUsize::new(0), bound }
    }

    /// Returns how many items may be read after `read`, or slightly fewer.
    pub(super) fn room(&self, read: usize) -> usize {
        // Acquire, paired with the release in `deliver`: what the consumer did with an item happens before
        // another item takes its place. If the consumer takes the lock next, the lock provides that too. Only
        // a consumer that delivers several items of one chunk depends on this pair, and a model large enough
        // to show it does not finish within a minute.
        let out = self.word.load(Ordering::Acquire) / ONE;
        self.bound - (read - out)
    }

    /// Sets the mark for a reader that wants room for `want` items, and returns the room at that moment. The
    /// caller holds the lock.
    pub(super) fn wait_for_room(&self, read: usize, want: usize) -> usize {
        let at = read + want - self.bound;
        // Relaxed: the lock orders the readers, and the `fetch_or` below publishes it to the consumer.
        let waiting = self.word.load(Ordering::Relaxed) & READER_WAITS != 0;
        if !waiting || at < self.wake_at.load(Ordering::Relaxed) {
            self.wake_at.store(at, Ordering::Relaxed);
        }
        // Acquire as in `room`, for a reader that does find room. Release publishes `wake_at`: a consumer
        // that saw the mark with an older `wake_at` could compare with the wrong count and wake no reader.
        let out = self.word.fetch_or(READER_WAITS, Ordering::AcqRel) / ONE;
        self.bound - (read - out)
    }

    /// Counts an item out. Returns true if a reader waits and has room enough now.
    #[inline]
    pub(super) fn deliver(&self) -> bool {
        // Release for `room`; acquire, paired with the release in `wait_for_room`, for `wake_at`.
        let before = self.word.fetch_add(ONE, Ordering::AcqRel);
        before & READER_WAITS != 0 && before / ONE + 1 >= self.wake_at.load(Ordering::Relaxed)
    }

    /// The number of items counted out.
    pub(super) fn delivered(&self) -> usize {
        // Relaxed: a figure.
        self.word.load(Ordering::Relaxed) / ONE
    }

    /// Clears the mark, before the reader is woken. The caller holds the lock.
    pub(super) fn clear_mark(&self) {
        // Relaxed: the lock orders it after the `fetch_or` of the reader.
        self.word.fetch_and(!READER_WAITS, Ordering::Relaxed);
    }
}
