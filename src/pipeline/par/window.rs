//! How many items may be under way, kept to the letter and at the price of one atomic addition an item.
//!
//! Items are counted in when they are read from the input, which one thread at a time does and adds up under
//! the lock of [`Shared`](super::works::Shared), and out when the consumer is handed them, which it does
//! without a lock. Both numbers only grow, so a reader that knows an old count of the latter sees less room
//! than there is.
//!
//! # Who wakes a reader that found no room
//! The count and the mark that somebody waits for it are one word. A reader that must wait sets the mark, and
//! gets the count as it was then; the consumer that adds to the count gets the mark as it was then. One of
//! the two came first: either the reader has seen the item go, or the consumer sees the mark, takes the lock,
//! under which the reader went to sleep, and wakes it.
//!
//! # How much room is worth waking for
//! As much as a reader would read at once, so that cheap items do not cost a wake-up each; costly ones are
//! read one at a time, and each one handed out wakes a reader at once. A consumer that has to wait itself
//! does not wait for that: it has just taken everything that was ready, so there is room.

use crate::sync::atomic::{AtomicUsize, Ordering};

/// The mark: somebody waits for room.
const HUNGRY: usize = 1;
/// One item handed out.
const ONE: usize = 2;

#[derive(Debug)]
pub(super) struct Window {
    word: AtomicUsize,
    /// The count at which the waiting reader is to be woken; meaningful while the mark is set.
    wake_at: AtomicUsize,
    bound: usize,
}

impl Window {
    pub(super) fn new(bound: usize) -> Self {
        Window { word: AtomicUsize::new(0), wake_at: AtomicUsize::new(0), bound }
    }

    /// How many more may be read after `read`, or a little less.
    pub(super) fn room(&self, read: usize) -> usize {
        // Acquire, with the release in `hand_out`: what the consumer did with an item, it did before the next
        // one takes its place. Where the consumer's next step takes the lock it comes through that as well;
        // only a consumer that hands out several from its own chunk rests on this pair, and a model that is
        // large enough to show it does not end within a minute.
        let out = self.word.load(Ordering::Acquire) / ONE;
        self.bound - (read - out)
    }

    /// Sets the mark for a reader that wants room for `want` items, and says how much there is now. Under the
    /// lock.
    pub(super) fn wait_for_room(&self, read: usize, want: usize) -> usize {
        let at = read + want - self.bound;
        // Relaxed: published by the exchange below, which the consumer's addition reads from.
        let waiting = self.word.load(Ordering::Relaxed) & HUNGRY != 0;
        if !waiting || at < self.wake_at.load(Ordering::Relaxed) {
            self.wake_at.store(at, Ordering::Relaxed);
        }
        // Acquire as in `room`, for a reader that finds room now after all. Release for `wake_at`: a consumer
        // that sees the mark without it could take a count that was to be waited for before, and wake nobody.
        let out = self.word.fetch_or(HUNGRY, Ordering::AcqRel) / ONE;
        self.bound - (read - out)
    }

    /// Counts an item out; true if a reader has room enough now and is to be told.
    #[inline]
    pub(super) fn hand_out(&self) -> bool {
        // Release for `room`; acquire for `wake_at`.
        let before = self.word.fetch_add(ONE, Ordering::AcqRel);
        before & HUNGRY != 0 && before / ONE + 1 >= self.wake_at.load(Ordering::Relaxed)
    }

    /// Takes the mark back. Under the lock, before whoever set it is woken.
    pub(super) fn told(&self) {
        // Relaxed: the lock orders it with those who set it.
        self.word.fetch_and(!HUNGRY, Ordering::Relaxed);
    }
}
