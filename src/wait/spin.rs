//! A short look-out before sleeping.
//!
//! It is bounded by time, not by turns. On a quiet machine a yield comes back within a microsecond, or, if it
//! lets threads of ours have their turns, when those wait in their turn. Beside threads that use all
//! processors it comes back when their time slice ends, 3 ms later, so that 16 of them made a limit of 1 ms
//! end after 20 ms. So the look-out ends with its first slow yield, and because even one is late for a short
//! limit, nobody yields for a while after it: twice as long as it took, and twice as long again for each
//! further slow one, until many quick ones in a row show that the neighbours have gone. So somebody who comes
//! by for a moment costs little, and those who stay can take less than a hundredth of a waiter's time.
//!
//! # Cost
//! Linux, 2 processors. How late a wait of 1 ms ends beside a spinning thread on each, 800 of each kind,
//! bench `wakeup`, cells "beside neighbours" (measured by a program of its own with their code, not yet by
//! the bench):
//!
//! | | p50 | p99 |
//! |---|---|---|
//! | std's `recv_timeout` and `Condvar` | 96 to 99 µs | 133 to 142 µs |
//! | crossbeam's `recv_timeout` | 3,000 µs | 7,000 µs |
//! | `pop_until`, `push_until`, `acquire_until`, a latch, a token, a join | 78 to 99 µs | 104 to 173 µs |
//!
//! The first of them were up to 1.4 ms late in p99, while it was learnt that there are neighbours. Without
//! them, the time of a hand-over is 0.5 to 1.1 of what it was with 16 yields always: queues of 1p1c, 2p2c and
//! 8p8c, capacity 1 and 16, a ping-pong, a semaphore, a pool's submit and join. A limit of 100 µs for a yield
//! instead of 2 ms took threads of the same queue for neighbours, and made 8p8c, capacity 16, take 2 to 3
//! times as long; a first quick yield that ended the rests, instead of 64, let each tenth wait of 1 ms end 2
//! ms late.

use std::time::{Duration, Instant};

use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::sync::{hint, lazy_static, sized, thread, time};

/// Doublings of the pause: 1, 2, 4, 8 spin hints.
const PAUSES: usize = sized(4, 0);
/// Times that the processor is offered to another thread. With 4 doublings and 16 yields a queue of capacity
/// 1 hands an item over in 130 to 320 ns instead of 35,000; spinning longer costs others more than it
/// brings, because a spinner keeps the core that the thread it waits for would wake on.
const YIELDS: usize = sized(16, 0);
/// A yield that takes longer is slow. One that finds nobody takes 0.7 µs, one that lets a thread of ours on
/// the same processor have its turn 2 to 50 µs, and one that lets seven of them sometimes more than 1 ms; a
/// neighbour has it for a time slice of 3 to 4 ms.
const SLOW: Duration = Duration::from_millis(2);
/// A look-out that takes longer is slow though none of its yields was: where time slices are short.
const LONGEST: Duration = Duration::from_millis(8);
/// Quick yields in a row that end what is held against the neighbours. A thread that comes from a sleep has
/// one or two beside the busiest of them.
const QUICK_AGAIN: u32 = 64;
/// Doublings of the rest: 256 times as long as the slow yield took, at last.
const LONGEST_REST: u32 = 8;

lazy_static! {
    static ref NEIGHBOURS: Neighbours = Neighbours::new(time::now());
}

/// What is known of others who use the processors. Relaxed throughout: numbers, which publish nothing; a
/// thread that sees an old one yields once more or less.
struct Neighbours {
    start: Instant,
    /// Nanoseconds from the start: until then nobody yields.
    rest_until: AtomicU64,
    /// Slow yields since so many quick ones in a row that they were forgotten.
    streak: AtomicU32,
    /// Quick yields since the last slow one, counted while there is a streak.
    quick: AtomicU32,
}

impl Neighbours {
    fn new(start: Instant) -> Self {
        Neighbours {
            start,
            rest_until: AtomicU64::new(0),
            streak: AtomicU32::new(0),
            quick: AtomicU32::new(0),
        }
    }

    fn is_rest(&self, now: Instant) -> bool {
        self.nanos(now) < self.rest_until.load(Relaxed)
    }

    /// A yield has just ended; says whether it was a quick one.
    fn note(&self, yielded: Duration, now: Instant) -> bool {
        if yielded > SLOW {
            self.slow(yielded, now);
            return false;
        }
        if self.streak.load(Relaxed) > 0 {
            let quick = self.quick.load(Relaxed) + 1;
            self.quick.store(quick, Relaxed);
            if quick >= QUICK_AGAIN {
                self.streak.store(0, Relaxed);
            }
        }
        true
    }

    fn slow(&self, yielded: Duration, now: Instant) {
        let streak = LONGEST_REST.min(self.streak.load(Relaxed) + 1);
        self.streak.store(streak, Relaxed);
        self.quick.store(0, Relaxed);
        self.rest_until.store(self.nanos(now + yielded * (1 << streak)), Relaxed);
    }

    fn nanos(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.start).as_nanos() as u64
    }
}

/// Waits a few microseconds at most for `ready`, without sleeping; says whether it came true.
///
/// In a model it does not wait at all, and does not call `ready`.
pub(crate) fn spin_until(ready: impl FnMut() -> bool) -> bool {
    spin_within(ready, |_| false)
}

/// Like [`spin_until`], and gives up when `over` says so of the time, which it is asked between two yields.
pub(crate) fn spin_within(mut ready: impl FnMut() -> bool, over: impl FnMut(Instant) -> bool) -> bool {
    if PAUSES == 0 {
        return false;
    }
    pause_until(&mut ready) || yield_until(ready, over, &NEIGHBOURS, time::now, thread::yield_now)
}

#[allow(clippy::reversed_empty_ranges, reason = "in a model the count is 0")]
fn pause_until(ready: &mut impl FnMut() -> bool) -> bool {
    for doubling in 0..PAUSES {
        if ready() {
            return true;
        }
        for _ in 0..1 << doubling {
            hint::spin_loop();
        }
    }
    false
}

/// Offers the processor to others and looks again, until one of them keeps it for long. The clock, which
/// takes 30 ns to read, is read between yields only.
#[allow(clippy::reversed_empty_ranges, reason = "in a model the count is 0")]
fn yield_until(
    mut ready: impl FnMut() -> bool,
    mut over: impl FnMut(Instant) -> bool,
    neighbours: &Neighbours,
    now: impl Fn() -> Instant,
    yield_now: impl Fn(),
) -> bool {
    let start = now();
    let mut before = start;
    for _ in 0..YIELDS {
        if ready() {
            return true;
        }
        if neighbours.is_rest(before) || over(before) {
            return false;
        }
        yield_now();
        let after = now();
        let lasted = after.saturating_duration_since(start);
        let yielded = if lasted > LONGEST { lasted } else { after.saturating_duration_since(before) };
        if !neighbours.note(yielded, after) {
            break;
        }
        before = after;
    }
    ready()
}

#[cfg(all(test, not(any(loom, selvedge_loom))))]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A processor on which each yield takes as long as it says, and how often it was yielded.
    struct Script {
        now: Cell<Instant>,
        yields: Cell<usize>,
        neighbours: Neighbours,
    }

    impl Script {
        fn new() -> Self {
            let now = Instant::now();
            Script { now: Cell::new(now), yields: Cell::new(0), neighbours: Neighbours::new(now) }
        }

        fn passes(&self, time: Duration) {
            self.now.set(self.now.get() + time);
        }

        /// Yields of a look-out in which nothing comes true, on a processor where each takes `time`.
        fn yields_of(&self, time: Duration, over: impl FnMut(Instant) -> bool) -> usize {
            self.yields.set(0);
            let yield_now = || {
                self.passes(time);
                self.yields.set(self.yields.get() + 1);
            };
            assert!(!yield_until(|| false, over, &self.neighbours, || self.now.get(), yield_now));
            self.yields.get()
        }
    }

    const QUICK: Duration = Duration::from_micros(1);
    const SLICE: Duration = Duration::from_millis(3);

    #[test]
    fn quick_yields_are_made_as_often_as_the_look_out_may() {
        let script = Script::new();
        assert_eq!(script.yields_of(QUICK, |_| false), YIELDS);
        assert_eq!(script.yields_of(QUICK, |_| false), YIELDS);
    }

    #[test]
    fn slow_yield_ends_the_look_out_and_nobody_yields_for_a_while() {
        let script = Script::new();
        assert_eq!(script.yields_of(SLICE, |_| false), 1);
        assert_eq!(script.yields_of(SLICE, |_| false), 0);
        script.passes(SLICE);
        assert_eq!(script.yields_of(SLICE, |_| false), 0);
        script.passes(SLICE);
        assert_eq!(script.yields_of(SLICE, |_| false), 1);
    }

    #[test]
    fn neighbours_that_stay_take_less_than_a_hundredth_of_the_time() {
        let script = Script::new();
        for _ in 0..10_000 {
            script.passes(Duration::from_millis(1));
            script.yields_of(SLICE, |_| false);
        }
        let mut slow = 0;
        for _ in 0..10_000 {
            script.passes(Duration::from_millis(1));
            slow += script.yields_of(SLICE, |_| false);
        }
        // Each of 3 ms, and the whole 10 s and a little.
        assert!((1..=33).contains(&slow), "{slow} slow yields");
    }

    #[test]
    fn quick_yields_in_a_row_end_what_was_held_against_the_neighbours() {
        let script = Script::new();
        for _ in 0..10 {
            script.yields_of(SLICE, |_| false);
            script.passes(SLICE * 1000);
        }
        for _ in 0..QUICK_AGAIN as usize / YIELDS {
            assert_eq!(script.yields_of(QUICK, |_| false), YIELDS);
        }
        assert_eq!(script.yields_of(SLICE, |_| false), 1);
        script.passes(SLICE * 2);
        assert_eq!(script.yields_of(QUICK, |_| false), YIELDS);
    }

    #[test]
    fn a_few_quick_yields_between_slow_ones_end_nothing() {
        let script = Script::new();
        for _ in 0..LONGEST_REST {
            script.passes(SLICE * 1000);
            assert_eq!(script.yields_of(QUICK, |_| false), YIELDS);
            assert_eq!(script.yields_of(SLICE, |_| false), 1);
        }
        script.passes(SLICE * 250);
        assert_eq!(script.yields_of(QUICK, |_| false), 0);
    }

    #[test]
    fn turns_of_our_own_threads_are_not_taken_for_slow() {
        let script = Script::new();
        let turn = Duration::from_micros(400);
        assert_eq!(script.yields_of(turn, |_| false), YIELDS);
        assert_eq!(script.yields_of(turn, |_| false), YIELDS);
    }

    #[test]
    fn short_time_slices_end_the_look_out_too() {
        let script = Script::new();
        let slice = Duration::from_micros(1500);
        assert_eq!(script.yields_of(slice, |_| false), 6);
        assert_eq!(script.yields_of(slice, |_| false), 0);
    }

    #[test]
    fn limit_that_passes_during_a_look_out_ends_it() {
        let script = Script::new();
        let end = script.now.get() + 3 * QUICK;
        assert_eq!(script.yields_of(QUICK, |now| now >= end), 3);
    }

    #[test]
    fn what_comes_true_during_the_last_yield_is_seen() {
        let script = Script::new();
        let came = Cell::new(false);
        let slow = || {
            came.set(true);
            script.passes(SLICE);
        };
        assert!(yield_until(|| came.get(), |_| false, &script.neighbours, || script.now.get(), slow));
    }
}
