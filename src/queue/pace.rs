//! How a waiter of a queue looks out before it yields and sleeps.
//!
//! Looking out has a cost for the other side: a look takes the cell's cache line away from the thread that
//! is about to fill it, and the cells after it. A consumer that looks again and again finds each item as soon
//! as it is there, and exchanges the line with the producer for each single item. One that pauses for 200 ns
//! finds a dozen items, and both run at the speed of their own caches. But it also gets a single item, such
//! as the answer to a request, that much later.
//!
//! So a waiter pauses only where a pause brings several items. If between this wait of its side and the one
//! before only one item has passed, items come one by one, and the pauses become shorter, down to a few
//! nanoseconds. If several have passed, they are as long as is useful for the capacity.
//!
//! The look-out takes at most 3 µs, and no more than about twice what look-outs that succeed take; yields and
//! sleep follow. It is longer than in other waits because a queue whose threads wait for each other soon has
//! what they wait for, and a yield costs the time of several items. But the thread that is waited for may
//! need this processor, and then a longer look-out is in vain: one of 3 µs each time made two producers and a
//! consumer on two processors take 346 ns for an item instead of 160.
//!
//! # Cost
//! Nanoseconds for each item (medians of 5 to 7 runs on 2 processors, before and after):
//!
//! | producers, consumers, capacity | 1, 1, 16 | 1, 1, 128 | 1, 1, 1,024 | 2, 2, 1 | 4, 4, 1 | 2, 2, 16 | 2, 2, 1,024 |
//! |---|---|---|---|---|---|---|---|
//! | 4 looks with 15 hints between them | 23 | 34 | 31 | 186 | 977 | 42 | 30 |
//! | longer pauses where they are useful | 17 | 14 | 15 | | | 20 | 16 |
//! | 32 looks at a capacity of 1 | | | | 66 | 81 | | |

use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::wait::pause;

/// The level of the longest pauses. With one more, no queue was faster.
const MOST: u32 = 4;
/// The first pause at level 0, in nanoseconds; each level doubles it.
const FIRST: usize = 13;
/// Doublings of the pauses within a look-out.
const DOUBLINGS: usize = 3;
/// What the pauses of a look-out may take, in nanoseconds.
const TOTAL: usize = 3_000;
/// What they may take in any case.
const LEAST: usize = 200;

/// The pauses of one side of a queue.
///
/// All accesses are relaxed: the fields are guesses that publish nothing, and a thread that overwrites
/// another's value only makes a pause longer or shorter.
#[derive(Debug)]
pub(super) struct Pace {
    /// Doublings of the first pause.
    level: AtomicU32,
    /// The highest level that is useful for the capacity.
    most: u32,
    /// The number of items that had passed this side when a thread last began to wait.
    passed: AtomicU64,
    /// What look-outs that succeed take as a rule, in nanoseconds.
    usual: AtomicU32,
}

impl Pace {
    pub(super) fn new(capacity: usize) -> Self {
        // A pause in which more items arrive than fit would make the other side wait.
        let most = capacity.checked_ilog2().unwrap_or(0).saturating_sub(2).min(MOST);
        Pace { level: AtomicU32::new(0), most, passed: AtomicU64::new(0), usual: AtomicU32::new(0) }
    }

    /// Waits for `ready` for at most 3 µs, and only while it is `admitted`: a thread whose turn it is may
    /// need this one's processor. `passed` is the number of items that have passed this side.
    pub(super) fn look_out(
        &self,
        passed: u64,
        admitted: impl Fn() -> bool,
        ready: impl Fn() -> bool,
    ) -> bool {
        let mut length = FIRST << self.level_at(passed);
        let longest = length << DOUBLINGS;
        let usual = self.usual.load(Relaxed);
        let most = TOTAL.min(2 * usual as usize + LEAST);
        let mut total = 0;
        while total < most && admitted() {
            pause(length);
            total += length;
            if ready() && admitted() {
                // Both are moving averages.
                self.usual.store(usual - usual / 8 + total as u32 / 8, Relaxed);
                return true;
            }
            length = longest.min(2 * length);
        }
        self.usual.store(usual - usual / 8, Relaxed);
        false
    }

    fn level_at(&self, passed: u64) -> u32 {
        if self.most == 0 {
            return 0;
        }
        let mut level = self.level.load(Relaxed);
        match passed.saturating_sub(self.passed.load(Relaxed)) {
            // Another thread of this side waits, too, and no item has come: nothing new.
            0 => {}
            1 => level = level.saturating_sub(1),
            // At once: where items come one by one, not even two pass in a row.
            _ => level = self.most,
        }
        self.level.store(level, Relaxed);
        self.passed.store(passed, Relaxed);
        level
    }
}

#[cfg(all(test, not(any(loom, selvedge_loom))))]
mod tests {
    use super::*;

    #[test]
    fn level_rises_where_several_items_pass_between_waits_and_falls_where_one_does() {
        let pace = Pace::new(1_024);
        assert_eq!(pace.level_at(1), 0);
        assert_eq!(pace.level_at(3), 4, "two items");
        assert_eq!(pace.level_at(3), 4, "another thread waits, too");
        assert_eq!((4..10).map(|passed| pace.level_at(passed)).collect::<Vec<_>>(), [3, 2, 1, 0, 0, 0]);
        assert_eq!(pace.level_at(100), 4);
    }

    #[test]
    fn small_queue_is_looked_at_without_long_pauses() {
        let most = |capacity| Pace::new(capacity).level_at(1_000);
        assert_eq!([0, 1, 4, 7, 8, 16, 64, 1 << 40].map(most), [0, 0, 0, 0, 1, 2, 4, 4]);
    }

    #[test]
    fn look_outs_in_vain_become_short() {
        let pace = Pace::new(1);
        let looks = |ready_after: u32| {
            let looks = std::cell::Cell::new(0);
            let ready = || {
                looks.set(looks.get() + 1);
                looks.get() > ready_after
            };
            (pace.look_out(0, || true, ready), looks.get())
        };
        assert!(looks(u32::MAX) < (false, 10));
        // What is ready at the last look lengthens the next look-out.
        for _ in 0..1_000 {
            looks(looks(u32::MAX).1 - 1);
            looks(3);
        }
        let (_, long) = looks(u32::MAX);
        (0..100).for_each(|_| _ = looks(u32::MAX));
        let (_, short) = looks(u32::MAX);
        assert!(short < 10 && short <= long, "{short} of {long} looks");
    }

    #[test]
    fn waiter_that_a_turn_keeps_off_does_not_look_at_all() {
        let looked = std::cell::Cell::new(false);
        assert!(!Pace::new(1).look_out(0, || false, || looked.replace(true)));
        assert!(!looked.get());
    }
}
