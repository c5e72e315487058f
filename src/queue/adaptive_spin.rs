//! How long a waiter of a queue spins, and how often it looks, before the spin phase of every wait.
//!
//! A look has a cost for the other side: it takes the cell's cache line away from the thread that is about to
//! fill it, and the cells after it. A consumer that looks again and again finds each item as soon as it is
//! there, and exchanges the line with the producer for each single item. One that pauses for 200 ns finds a
//! dozen items, and both run at the speed of their own caches. But it also gets a single item, such as the
//! answer to a request, that much later.
//!
//! So a waiter pauses only where a pause brings several items. If between this wait of its side and the one
//! before only one item has passed, items come one by one, and the pauses become shorter, down to a few
//! nanoseconds. If several have passed, the pauses are as long as is useful for the capacity.
//!
//! All pauses together take 3 µs at most, and no more than about twice what successful spins take. That is
//! longer than in other waits, because a queue whose threads wait for each other soon has what they wait for,
//! and a yield costs the time of several items. But the thread that is waited for may need this processor;
//! then a longer spin is in vain. With one of 3 µs each time, two producers and a consumer on two processors
//! took 346 ns for an item instead of 160.
//!
//! Tried, and no faster: a spin of 3 µs after each 16 in vain, so that two sides that both sleep learn that
//! they could spin. With 4 and 8 threads a side and a capacity of 1, an item took 5 to 7 µs all the same.
//!
//! # Cost
//! Nanoseconds for each item (medians of 5 to 7 runs on 2 processors):
//!
//! | producers, consumers, capacity | 1, 1, 16 | 1, 1, 128 | 1, 1, 1,024 | 2, 2, 1 | 4, 4, 1 | 2, 2, 16 | 2, 2, 1,024 |
//! |---|---|---|---|---|---|---|---|
//! | 4 looks with 15 spin hints between them | 23 | 34 | 31 | 186 | 977 | 42 | 30 |
//! | longer pauses where they are useful | 17 | 14 | 15 | | | 20 | 16 |
//! | 32 looks at a capacity of 1 | | | | 66 | 81 | | |

use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::sync::model::IS_MODEL;
use crate::wait::pause;

/// The level of the longest pauses. With one more, no queue was faster.
const MAX_LEVEL: u32 = 4;
/// The first pause at level 0, in nanoseconds; each level doubles it.
const FIRST_PAUSE: usize = 13;
/// How often the pauses of one spin are doubled.
const DOUBLINGS: usize = 3;
/// The maximum of all pauses of a spin, in nanoseconds.
const MAX_TOTAL: usize = 3_000;
/// What they may take even if no spin has succeeded.
const MIN_TOTAL: usize = 200;

/// The spinning of one side of a queue.
///
/// All accesses are relaxed: the fields are guesses that publish nothing, and a thread that overwrites
/// another's value only makes a pause longer or shorter.
#[derive(Debug)]
pub(super) struct AdaptiveSpin {
    /// Doublings of the first pause.
    level: AtomicU32,
    /// The highest level that is useful for the capacity.
    max_level: u32,
    /// The number of items that had passed this side when a thread last began to wait.
    passed: AtomicU64,
    /// The moving average of what successful spins take, in nanoseconds.
    average: AtomicU32,
}

impl AdaptiveSpin {
    pub(super) fn new(capacity: usize) -> Self {
        // A pause in which more items arrive than fit would make the other side wait.
        let max_level = capacity.checked_ilog2().unwrap_or(0).saturating_sub(2).min(MAX_LEVEL);
        AdaptiveSpin {
            level: AtomicU32::new(0),
            max_level,
            passed: AtomicU64::new(0),
            average: AtomicU32::new(0),
        }
    }

    /// Spins until `ready`, and only while the thread is `admitted`: one whose turn it is may need this
    /// processor. `passed` returns the number of items that have passed this side.
    ///
    /// In a model it returns false at once, without calling any of them.
    pub(super) fn spin_until(
        &self,
        passed: impl Fn() -> u64,
        admitted: impl Fn() -> bool,
        ready: impl Fn() -> bool,
    ) -> bool {
        if IS_MODEL {
            return false;
        }
        let mut length = FIRST_PAUSE << self.level_at(passed());
        let longest = length << DOUBLINGS;
        let average = self.average.load(Relaxed);
        let max_total = MAX_TOTAL.min(2 * average as usize + MIN_TOTAL);
        let mut total = 0;
        while total < max_total && admitted() {
            pause(length);
            total += length;
            if ready() && admitted() {
                self.average.store(average - average / 8 + total as u32 / 8, Relaxed);
                return true;
            }
            length = longest.min(2 * length);
        }
        self.average.store(average - average / 8, Relaxed);
        false
    }

    /// Adapts the level, at the beginning of a wait.
    fn level_at(&self, passed: u64) -> u32 {
        if self.max_level == 0 {
            return 0;
        }
        let mut level = self.level.load(Relaxed);
        match passed.saturating_sub(self.passed.load(Relaxed)) {
            // Another thread of this side waits, too, and no item has come: nothing new.
            0 => {}
            1 => level = level.saturating_sub(1),
            // At once: where items come one by one, not even two pass in a row.
            _ => level = self.max_level,
        }
        self.level.store(level, Relaxed);
        self.passed.store(passed, Relaxed);
        level
    }
}

#[cfg(all(test, not(any(loom, selvedge_loom))))]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn level_rises_where_several_items_pass_between_waits_and_falls_where_one_does() {
        let spin = AdaptiveSpin::new(1_024);
        assert_eq!(spin.level_at(1), 0);
        assert_eq!(spin.level_at(3), 4, "two items");
        assert_eq!(spin.level_at(3), 4, "another thread waits, too");
        assert_eq!((4..10).map(|passed| spin.level_at(passed)).collect::<Vec<_>>(), [3, 2, 1, 0, 0, 0]);
        assert_eq!(spin.level_at(100), 4);
    }

    #[test]
    fn small_queue_is_looked_at_without_long_pauses() {
        let level = |capacity| AdaptiveSpin::new(capacity).level_at(1_000);
        assert_eq!([0, 1, 4, 7, 8, 16, 64, 1 << 40].map(level), [0, 0, 0, 0, 1, 2, 4, 4]);
    }

    /// Spins until the look after `in_vain` others, and returns the number of looks.
    fn looks(spin: &AdaptiveSpin, in_vain: u32) -> u32 {
        let looks = Cell::new(0);
        let ready = || {
            looks.set(looks.get() + 1);
            looks.get() > in_vain
        };
        assert_eq!(spin.spin_until(|| 0, || true, ready), looks.get() > in_vain);
        looks.get()
    }

    #[test]
    fn spins_that_succeed_late_make_the_next_longer_and_spins_in_vain_shorter() {
        let spin = AdaptiveSpin::new(1);
        let at_first = looks(&spin, u32::MAX);
        // Each succeeds at the last look that the average allows.
        for _ in 0..200 {
            looks(&spin, at_first - 1);
        }
        let long = looks(&spin, u32::MAX);
        assert!(long > at_first, "{long} looks, {at_first} at first");
        (0..200).for_each(|_| _ = looks(&spin, u32::MAX));
        assert_eq!(looks(&spin, u32::MAX), at_first);
    }

    #[test]
    fn waiter_that_a_turn_keeps_off_does_not_look_at_all() {
        let looked = Cell::new(false);
        assert!(!AdaptiveSpin::new(1).spin_until(|| 0, || false, || looked.replace(true)));
        assert!(!looked.get());
    }
}
