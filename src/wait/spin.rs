//! A short look-out before sleeping.
//!
//! It is bounded by time, not by turns. On a quiet machine a yield comes back within a microsecond. Beside threads
//! that use all processors it comes back when their time slice ends, 1 to 4 ms later, so that 16 of them made a
//! limit of 1 ms end after 20 ms. So the look-out ends with its first slow yield, and because even one is late for a
//! short limit, nobody yields for a while after it: twice as long as it took, and twice as long again for each
//! further slow one, until a quick one shows that the neighbours have gone. So somebody who comes by for a moment
//! costs little, and those who stay can take less than a hundredth of a waiter's time.

use std::time::{Duration, Instant};

use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::sync::{hint, lazy_static, sized, thread, time};

/// Doublings of the pause: 1, 2, 4, 8 spin hints.
const PAUSES: usize = sized(4, 0);
/// Times that the processor is offered to another thread. With 4 doublings and 16 yields a queue of capacity
/// 1 hands an item over in 130 to 320 ns instead of 35,000; spinning longer costs others more than it
/// brings, because a spinner keeps the core that the thread it waits for would wake on.
const YIELDS: usize = sized(16, 0);
/// A yield that takes longer is slow. One that finds nobody takes 0.7 µs, one that lets a thread of ours on the
/// same processor have its turn 2 to 50 µs.
const SLOW: Duration = Duration::from_micros(100);
/// Doublings of the rest: 256 times as long as the slow yield took, at last.
const LONGEST_REST: u32 = 8;

lazy_static! {
    static ref NEIGHBOURS: Neighbours = Neighbours::new(time::now());
}

/// What is known of others who use the processors. Relaxed throughout: numbers, which publish nothing; a thread that
/// sees an old one yields once more or less.
struct Neighbours {
    start: Instant,
    /// Nanoseconds from the start: until then nobody yields.
    rest_until: AtomicU64,
    /// Slow yields since the last quick one.
    streak: AtomicU32,
}

impl Neighbours {
    fn new(start: Instant) -> Self {
        Neighbours { start, rest_until: AtomicU64::new(0), streak: AtomicU32::new(0) }
    }

    fn is_rest(&self, now: Instant) -> bool {
        self.nanos(now) < self.rest_until.load(Relaxed)
    }

    /// A yield that took that long has just ended; says whether it was a quick one.
    fn note(&self, yielded: Duration, now: Instant) -> bool {
        let quick = yielded <= SLOW;
        let streak = self.streak.load(Relaxed);
        match quick {
            true if streak == 0 => {}
            true => self.streak.store(0, Relaxed),
            false => {
                let streak = LONGEST_REST.min(streak + 1);
                self.streak.store(streak, Relaxed);
                self.rest_until.store(self.nanos(now + yielded * (1 << streak)), Relaxed);
            }
        }
        quick
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

/// Offers the processor to others and looks again, until one of them keeps it for long. The clock, which takes
/// 30 ns to read, is read between yields only.
fn yield_until(
    mut ready: impl FnMut() -> bool,
    mut over: impl FnMut(Instant) -> bool,
    neighbours: &Neighbours,
    now: impl Fn() -> Instant,
    yield_now: impl Fn(),
) -> bool {
    let mut before = now();
    for _ in 0..YIELDS {
        if ready() {
            return true;
        }
        if neighbours.is_rest(before) || over(before) {
            return false;
        }
        yield_now();
        let after = now();
        if !neighbours.note(after.saturating_duration_since(before), after) {
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
    fn quick_yield_ends_what_was_held_against_the_neighbours() {
        let script = Script::new();
        for _ in 0..10 {
            script.yields_of(SLICE, |_| false);
            script.passes(SLICE * 1000);
        }
        assert_eq!(script.yields_of(QUICK, |_| false), YIELDS);
        assert_eq!(script.yields_of(SLICE, |_| false), 1);
        script.passes(SLICE * 2);
        assert_eq!(script.yields_of(QUICK, |_| false), YIELDS);
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
