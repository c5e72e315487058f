//! A short spin phase before a thread sleeps.
//!
//! The phase is bounded by time rather than by a number of yields. On an idle machine a yield returns within
//! a microsecond. If it runs other threads of this crate, it returns when they wait in turn. But next to
//! threads that keep all processors busy, it returns when their time slice ends, 3 ms later: 16 such yields
//! made a limit of 1 ms end after 20 ms. So the first slow yield ends the phase. Because even one slow yield
//! is too late for a short limit, no thread yields for a while afterwards (the *backoff*): twice as long as
//! the yield took, and twice as long again for each further slow one, until many quick yields in a row show
//! that the processors are free. So short contention costs little, and lasting contention takes less than a
//! hundredth of a waiter's time.
//!
//! # Cost
//! How late a wait of 1 ms ends next to a spinning thread on each of 2 processors (Linux, 800 waits of each
//! kind, measured by a program with the code of bench `wakeup`):
//!
//! | | p50 | p99 |
//! |---|---|---|
//! | std's `recv_timeout` and `Condvar` | 96 to 99 µs | 133 to 142 µs |
//! | crossbeam's `recv_timeout` | 3,000 µs | 7,000 µs |
//! | `pop_until`, `push_until`, `acquire_until`, a latch, a token, a join | 78 to 99 µs | 104 to 173 µs |
//!
//! The first waits of ours were up to 1.4 ms late in p99, before the contention was detected. Without
//! contention, a hand-over takes 0.5 to 1.1 of the time that it takes with 16 unconditional yields: queues of
//! 1p1c, 2p2c and 8p8c, capacity 1 and 16, a ping-pong, a semaphore, a pool's submit and join. Two variants
//! were worse. A limit of 100 µs for a yield, instead of 2 ms, took threads of the same queue for contention
//! and made 8p8c with capacity 16 two to three times slower. Ending the backoff after one quick yield,
//! instead of 64, made one in ten waits of 1 ms end 2 ms late.

use std::time::{Duration, Instant};

use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::sync::{hint, lazy_static, sized, thread, time};

/// Doublings of the number of spin hints: 1, 2, 4, 8.
const PAUSES: usize = sized(4, 0);
/// The number of yields. With 4 doublings and 16 yields a queue of capacity 1 hands an item over in 130 to
/// 320 ns instead of 35,000. Spinning longer costs other threads more than it saves, since a spinner occupies
/// the processor on which the thread that it waits for would run.
const YIELDS: usize = sized(16, 0);
/// A yield that takes longer is slow. A yield takes 0.7 µs if no other thread is ready, 2 to 50 µs if it runs
/// a thread of this crate, and sometimes more than 1 ms if it runs seven of them; an unrelated busy thread
/// runs for a time slice of 3 to 4 ms.
const SLOW_YIELD: Duration = Duration::from_millis(2);
/// A spin phase that takes longer counts as a slow yield, though no single yield was slow: time slices may be
/// short.
const MAX_PHASE: Duration = Duration::from_millis(8);
/// The number of consecutive quick yields that ends the backoff. A thread that has just slept gets one or two
/// even under full contention.
const RECOVERY: u32 = 64;
/// Doublings of the backoff: at most 256 times the duration of the slow yield.
const MAX_BACKOFF: u32 = 8;

lazy_static! {
    static ref CONTENTION: Contention = Contention::new(time::now());
}

/// Busy-waits for about so many nanoseconds, but at least for one spin hint.
///
/// In a model it does nothing.
pub(crate) fn pause(nanoseconds: usize) {
    if PAUSES != 0 {
        let hints = nanoseconds as u64 * CONTENTION.hints_per_microsecond / 1_000;
        (0..hints.max(1)).for_each(|_| hint::spin_loop());
    }
}

/// What is known about the load of the processors. All accesses are relaxed: the fields are numbers that
/// publish nothing, and a thread that reads an old one yields once more or less.
struct Contention {
    start: Instant,
    /// A hint takes 13 ns on some processors and 45 on others.
    hints_per_microsecond: u64,
    /// The end of the backoff, in nanoseconds since `start`.
    backoff_until: AtomicU64,
    /// The number of slow yields since the last reset.
    streak: AtomicU32,
    /// The number of quick yields since the last slow one, counted while there is a streak.
    quick: AtomicU32,
}

impl Contention {
    fn new(start: Instant) -> Self {
        Contention {
            start,
            hints_per_microsecond: hints_per_microsecond(),
            backoff_until: AtomicU64::new(0),
            streak: AtomicU32::new(0),
            quick: AtomicU32::new(0),
        }
    }

    fn is_backing_off(&self, now: Instant) -> bool {
        self.nanos(now) < self.backoff_until.load(Relaxed)
    }

    /// Records the duration of a yield. Returns true if the yield was quick.
    fn record(&self, yielded: Duration, now: Instant) -> bool {
        if yielded > SLOW_YIELD {
            self.record_slow(yielded, now);
            return false;
        }
        // Not an atomic increment: two quick yields may count as one, which only delays the reset. Without a
        // streak nothing is written, so the cache line stays shared.
        if self.streak.load(Relaxed) > 0 {
            let quick = self.quick.load(Relaxed) + 1;
            self.quick.store(quick, Relaxed);
            if quick >= RECOVERY {
                self.streak.store(0, Relaxed);
            }
        }
        true
    }

    fn record_slow(&self, yielded: Duration, now: Instant) {
        // A lost update by a concurrent thread shortens the backoff by one doubling at most.
        let streak = MAX_BACKOFF.min(self.streak.load(Relaxed) + 1);
        self.streak.store(streak, Relaxed);
        self.quick.store(0, Relaxed);
        self.backoff_until.store(self.nanos(now + yielded * (1 << streak)), Relaxed);
    }

    fn nanos(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.start).as_nanos() as u64
    }
}

fn hints_per_microsecond() -> u64 {
    const HINTS: u64 = sized(100, 0) as u64;
    // The shortest of several times, since this thread may be interrupted.
    let times = (0..5).map(|_| {
        let start = time::now();
        (0..HINTS).for_each(|_| hint::spin_loop());
        time::now().saturating_duration_since(start).as_nanos() as u64
    });
    HINTS * 1_000 / times.min().unwrap_or(0).max(1)
}

/// Waits for `ready` for a few microseconds without sleeping. Returns true if it became true.
///
/// In a model it returns at once, without calling `ready`.
pub(crate) fn spin_until(ready: impl FnMut() -> bool) -> bool {
    spin_within(ready, |_| false)
}

/// Like [`spin_until`], but also gives up when `over` returns true for the current time; it is called between
/// yields.
pub(crate) fn spin_within(mut ready: impl FnMut() -> bool, over: impl FnMut(Instant) -> bool) -> bool {
    // In a model a spin would multiply the schedules and show nothing new: the sleep follows in any case.
    if PAUSES == 0 {
        return false;
    }
    pause_until(&mut ready) || yield_until(ready, over, &CONTENTION, time::now, thread::yield_now)
}

#[allow(clippy::reversed_empty_ranges, reason = "in a model the count is 0")]
fn pause_until(ready: &mut impl FnMut() -> bool) -> bool {
    for doubling in 0..PAUSES {
        if ready() {
            return true;
        }
        // Exponential, since a short wait ends within the first hints, and a longer one should leave the
        // cache line alone.
        for _ in 0..1 << doubling {
            hint::spin_loop();
        }
    }
    false
}

/// Alternates between checking and yielding, until a yield is slow. The clock, which takes 30 ns to read, is
/// read between yields only.
#[allow(clippy::reversed_empty_ranges, reason = "in a model the count is 0")]
fn yield_until(
    mut ready: impl FnMut() -> bool,
    mut over: impl FnMut(Instant) -> bool,
    contention: &Contention,
    now: impl Fn() -> Instant,
    yield_now: impl Fn(),
) -> bool {
    let start = now();
    let mut before = start;
    for _ in 0..YIELDS {
        if ready() {
            return true;
        }
        // Before the yield, which may last for a time slice.
        if contention.is_backing_off(before) || over(before) {
            return false;
        }
        yield_now();
        let after = now();
        let total = after.saturating_duration_since(start);
        let yielded = if total > MAX_PHASE { total } else { after.saturating_duration_since(before) };
        if !contention.record(yielded, after) {
            break;
        }
        before = after;
    }
    // Once more, since the last yield may have run the thread that this one waits for.
    ready()
}

#[cfg(all(test, not(any(loom, selvedge_loom))))]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A processor on which each yield takes the given time, and the number of yields.
    struct Script {
        now: Cell<Instant>,
        yields: Cell<usize>,
        contention: Contention,
    }

    impl Script {
        fn new() -> Self {
            let now = Instant::now();
            Script { now: Cell::new(now), yields: Cell::new(0), contention: Contention::new(now) }
        }

        fn passes(&self, time: Duration) {
            self.now.set(self.now.get() + time);
        }

        /// Returns the number of yields of a phase in which nothing becomes ready and each yield takes
        /// `time`.
        fn yields_of(&self, time: Duration, over: impl FnMut(Instant) -> bool) -> usize {
            self.yields.set(0);
            let yield_now = || {
                self.passes(time);
                self.yields.set(self.yields.get() + 1);
            };
            assert!(!yield_until(|| false, over, &self.contention, || self.now.get(), yield_now));
            self.yields.get()
        }
    }

    const QUICK: Duration = Duration::from_micros(1);
    const SLICE: Duration = Duration::from_millis(3);

    #[test]
    fn quick_yields_use_the_whole_spin_phase() {
        let script = Script::new();
        assert_eq!(script.yields_of(QUICK, |_| false), YIELDS);
        assert_eq!(script.yields_of(QUICK, |_| false), YIELDS);
    }

    #[test]
    fn slow_yield_ends_the_phase_and_begins_a_backoff() {
        let script = Script::new();
        assert_eq!(script.yields_of(SLICE, |_| false), 1);
        assert_eq!(script.yields_of(SLICE, |_| false), 0);
        script.passes(SLICE);
        assert_eq!(script.yields_of(SLICE, |_| false), 0);
        script.passes(SLICE);
        assert_eq!(script.yields_of(SLICE, |_| false), 1);
    }

    #[test]
    fn lasting_contention_takes_less_than_a_hundredth_of_the_time() {
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
        // Each takes 3 ms, and the total is slightly more than 10 s.
        assert!((1..=33).contains(&slow), "{slow} slow yields");
    }

    #[test]
    fn consecutive_quick_yields_end_the_backoff() {
        let script = Script::new();
        for _ in 0..10 {
            script.yields_of(SLICE, |_| false);
            script.passes(SLICE * 1000);
        }
        for _ in 0..RECOVERY as usize / YIELDS {
            assert_eq!(script.yields_of(QUICK, |_| false), YIELDS);
        }
        assert_eq!(script.yields_of(SLICE, |_| false), 1);
        script.passes(SLICE * 2);
        assert_eq!(script.yields_of(QUICK, |_| false), YIELDS);
    }

    #[test]
    fn few_quick_yields_between_slow_ones_end_no_backoff() {
        let script = Script::new();
        for _ in 0..MAX_BACKOFF {
            script.passes(SLICE * 1000);
            assert_eq!(script.yields_of(QUICK, |_| false), YIELDS);
            assert_eq!(script.yields_of(SLICE, |_| false), 1);
        }
        script.passes(SLICE * 250);
        assert_eq!(script.yields_of(QUICK, |_| false), 0);
    }

    #[test]
    fn yields_to_threads_of_the_crate_are_not_slow() {
        let script = Script::new();
        let turn = Duration::from_micros(400);
        assert_eq!(script.yields_of(turn, |_| false), YIELDS);
        assert_eq!(script.yields_of(turn, |_| false), YIELDS);
    }

    #[test]
    fn short_time_slices_end_the_phase_too() {
        let script = Script::new();
        let slice = Duration::from_micros(1500);
        assert_eq!(script.yields_of(slice, |_| false), 6);
        assert_eq!(script.yields_of(slice, |_| false), 0);
    }

    #[test]
    fn limit_that_passes_during_a_phase_ends_it() {
        let script = Script::new();
        let end = script.now.get() + 3 * QUICK;
        assert_eq!(script.yields_of(QUICK, |now| now >= end), 3);
    }

    #[test]
    fn condition_that_becomes_true_during_the_last_yield_is_seen() {
        let script = Script::new();
        let came = Cell::new(false);
        let slow = || {
            came.set(true);
            script.passes(SLICE);
        };
        assert!(yield_until(|| came.get(), |_| false, &script.contention, || script.now.get(), slow));
    }
}
