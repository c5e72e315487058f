//! The system's time, estimated from the processor's counter.
//!
//! `Instant::now` takes 23 ns here, which was two thirds of a rate limiter's call. Most of it is a fence
//! before the counter is read, so that no instruction from before is still under way. A limiter does not need
//! the fence: it needs a time that is never ahead, and behind by a known bound.
//!
//! The estimate counts from an [anchor](super::anchor): a value of the counter with the system's time at that
//! moment. An anchor is used for about 0.05 ms. Then the next caller takes a new one, so errors do not add
//! up.
//!
//! # Bound
//! The estimate is never ahead of the system's clock, and behind by less than [`LAG`], which is the sum of:
//!
//! | at 2 GHz | cause |
//! |---|---|
//! | 256 ns | the system's clock is read between two reads of the counter, and the later one is the anchor's |
//! | 128 ns | steps count 1/1024 too little, so that a clock that is being slowed is not overtaken; one that is being sped up gains as much |
//! | 480 ns | the processor may read the counter before it has completed earlier instructions |
//!
//! This holds while the system adjusts its clock by less than 1/1024, twice what the NTP discipline of the
//! kernel does. A larger adjustment is noticed at the next anchor, and the counter is measured anew.
//!
//! # When it is used
//! Only if the kernel computes its own clock from the same counter (`clocksource` is `tsc`): the kernel has
//! then found that it runs at a constant rate, in step on all processors, and watches that. Other systems,
//! virtual machines with another clock source, Miri and models read the system's clock. In detail:
//!
//! - *Suspend, live migration, a snapshot that is restored*: the counter may stop, jump or change its rate.
//!   An anchor does not live long enough to matter; the next one does not fit the last one's estimate, so the
//!   rate is measured anew, and the system's clock is read until then.
//! - *Fork*: the child's anchor is valid. If another thread was taking one, the child reads the system's
//!   clock from then on.
//!
//! # Why not
//! - *quanta*: measures the rate once, in a loop of up to 200 ms, and extrapolates from there without an end;
//!   at an error of 10 ppm that is a second a day. It also brings `raw-cpuid` and `once_cell`.
//! - *`CLOCK_MONOTONIC_COARSE`*: takes 4 ns, but is behind by up to a tick of the system, 1 to 10 ms, and by
//!   more on a virtual machine that does not run.
//! - *An anchor for each thread*: no shared line, but every thread that calls less often than twenty
//!   thousand times a second takes an anchor at each call.

use std::sync::OnceLock;
use std::time::Instant;

use super::anchor::{Anchor, NONE};
use super::atomic::AtomicU64;
use super::{Mutex, tsc};

/// By how many nanoseconds an estimate may be behind the system's clock.
pub(crate) const LAG: u64 = 1_000;

/// The longest read of the system's clock that gives an anchor, in steps: 256 ns at 2 GHz. A longer one was
/// interrupted.
const LONGEST_READ: u64 = 1 << 9;

/// Over how many nanoseconds the rate is measured. Two reads that are wrong by 256 ns are then wrong by
/// 51 ppm, a twentieth of what [`SLACK`] allows.
const MEASURED: u64 = 10_000_000;

/// The part of a duration by which the system may adjust its clock, as a shift: 1/1024.
const SLACK: u32 = 10;

/// The anchor for all threads.
static PUBLISHED: Anchor =
    Anchor { counter: AtomicU64::new(NONE), nanos: AtomicU64::new(0), rate: AtomicU64::new(0) };

/// What the thread that takes an anchor knows.
static KNOWN: Mutex<Known> = Mutex::new(Known::NOTHING);

/// The instant from which nanoseconds are counted.
pub(crate) fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}

/// The estimated nanoseconds since [`origin`]; `None` if the system's clock must be read.
#[inline]
pub(crate) fn estimate() -> Option<u64> {
    PUBLISHED.time_at(tsc::read).or_else(renew)
}

/// Takes a new anchor. `None` if it cannot be used.
#[cold]
#[inline(never)]
fn renew() -> Option<u64> {
    if !is_the_systems() {
        return None;
    }
    // One thread takes the anchor, and the others read the system's clock meanwhile.
    let mut known = KNOWN.try_lock()?;
    let now = Reading::now()?;
    *known = known.renewed(now);
    let Known { anchor, rate, .. } = *known;
    let is_usable = rate != 0;
    // Under the lock: one thread at a time replaces the anchor.
    PUBLISHED.replace(is_usable.then_some((anchor.counter, anchor.nanos, rate)));
    is_usable.then_some(anchor.nanos)
}

/// Whether the kernel computes its clock from the counter.
fn is_the_systems() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    const FILE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    *ANSWER.get_or_init(|| std::fs::read(FILE).is_ok_and(|source| source.trim_ascii() == b"tsc"))
}

/// The counter and the system's time at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    counter: u64,
    /// Since [`origin`].
    nanos: u64,
}

impl Reading {
    const ZERO: Reading = Reading { counter: 0, nanos: 0 };

    /// `None` if it took too long.
    fn now() -> Option<Reading> {
        let origin = origin();
        let before = tsc::read_in_order();
        let now = Instant::now();
        // The later one, so that an estimate is behind and not ahead.
        let counter = tsc::read_in_order();
        let nanos = u64::try_from(now.saturating_duration_since(origin).as_nanos()).ok()?;
        (counter.wrapping_sub(before) < LONGEST_READ).then_some(Reading { counter, nanos })
    }
}

/// What is known of the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    /// What estimates count from.
    anchor: Reading,
    /// What the rate is measured from; zero before the first reading.
    base: Reading,
    /// Nanoseconds in 2^32 steps, less the slack; 0 while it is not known.
    rate: u64,
}

impl Known {
    const NOTHING: Known = Known { anchor: Reading::ZERO, base: Reading::ZERO, rate: 0 };

    /// What is known after another reading.
    fn renewed(self, now: Reading) -> Known {
        if !self.agrees(now) {
            return Known { anchor: now, base: now, rate: 0 };
        }
        // Never before the last estimate, so that time does not go back. That one was not ahead either.
        let nanos = self.at(now.counter).map_or(now.nanos, |estimate| estimate.max(now.nanos));
        let known = Known { anchor: Reading { nanos, ..now }, ..self };
        match now.nanos.saturating_sub(self.base.nanos) {
            age if age < MEASURED => known,
            // So long a time may contain an adjustment that is over.
            age if age > 100 * MEASURED => Known { base: now, ..known },
            _ => Known { base: now, rate: rate(self.base, now), ..known },
        }
    }

    /// Whether the counter and the system's clock have advanced alike since the anchor.
    fn agrees(&self, now: Reading) -> bool {
        if self.rate == 0 {
            return self.base.counter != 0 && self.base.counter < now.counter;
        }
        let Some(estimate) = self.at(now.counter) else { return false };
        let passed = estimate.saturating_sub(self.anchor.nanos);
        let measured = now.nanos.saturating_sub(self.anchor.nanos);
        // Both sides of the slack, and two reads of the system's clock.
        passed <= measured + LAG / 2 && measured <= passed + 2 * (passed >> SLACK) + LAG / 2
    }

    /// The estimate at a value of the counter; `None` if the counter went back.
    fn at(&self, counter: u64) -> Option<u64> {
        let steps = counter.checked_sub(self.anchor.counter)?;
        let nanos = u64::try_from((u128::from(steps) * u128::from(self.rate)) >> 32).ok()?;
        self.anchor.nanos.checked_add(nanos)
    }
}

/// Nanoseconds in 2^32 steps, less the slack; 0 for a counter of less than 1 GHz, whose windows are too long.
fn rate(from: Reading, to: Reading) -> u64 {
    let (nanos, steps) = (to.nanos - from.nanos, to.counter - from.counter);
    let rate = u64::try_from((u128::from(nanos) << 32) / u128::from(steps.max(1))).unwrap_or(u64::MAX);
    if rate <= 1 << 32 { rate - (rate >> SLACK) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A processor of 2.5 GHz.
    fn reading(nanos: u64) -> Reading {
        Reading { counter: 1_000_000 + nanos * 5 / 2, nanos }
    }

    fn calibrated() -> Known {
        let first = Known { anchor: reading(0), base: reading(0), rate: 0 };
        let known = first.renewed(reading(1_000)).renewed(reading(MEASURED));
        assert_ne!(known.rate, 0);
        known
    }

    #[test]
    fn estimate_is_not_ahead_and_behind_by_the_slack_at_most() {
        let known = calibrated();
        for passed in [0, 1_000, 20_000, 50_000] {
            let estimate = known.at(reading(MEASURED + passed).counter).unwrap();
            assert!(estimate <= MEASURED + passed);
            assert!(MEASURED + passed - estimate <= passed / 1_000 + 2, "{passed}: {estimate}");
        }
    }

    #[test]
    fn counter_without_a_rate_is_not_used_until_it_is_measured() {
        let first = Known::NOTHING.renewed(reading(500));
        assert_eq!((first.base, first.rate), (reading(500), 0));
        assert_eq!(first.renewed(reading(MEASURED)).rate, 0);
        assert_ne!(first.renewed(reading(500 + MEASURED)).rate, 0);
    }

    #[test]
    fn new_anchor_never_takes_time_back() {
        let known = calibrated();
        // Read late: the system's clock says less than the estimate, by less than a read may take.
        let now = Reading { nanos: MEASURED + 99_800, ..reading(MEASURED + 100_000) };
        let renewed = known.renewed(now);
        assert_eq!(renewed.anchor.nanos, known.at(now.counter).unwrap());
        assert_eq!(renewed.rate, known.rate);
    }

    #[test]
    fn jump_of_either_clock_discards_the_rate() {
        let known = calibrated();
        let slept = Reading { nanos: MEASURED + 1_000_000, ..reading(MEASURED + 9_000_000_000) };
        let jumped = Reading { counter: reading(MEASURED + 100_000).counter, nanos: MEASURED + 5_000_000 };
        let reset = Reading { counter: 5, nanos: MEASURED + 100_000 };
        for now in [slept, jumped, reset] {
            assert_eq!(known.renewed(now), Known { anchor: now, base: now, rate: 0 });
        }
    }

    #[test]
    fn clock_that_is_adjusted_as_the_kernel_does_keeps_the_rate_and_is_followed() {
        let mut known = calibrated();
        let mut now = reading(MEASURED);
        for _ in 0..1_000 {
            // 500 ppm slower than the counter, from one anchor to the next.
            now = Reading { counter: now.counter + 250_000, nanos: now.nanos + 99_950 };
            let estimate = known.at(now.counter).unwrap();
            assert!(estimate <= now.nanos && now.nanos - estimate < LAG / 2, "{now:?}: {estimate}");
            known = known.renewed(now);
            assert_ne!(known.rate, 0);
        }
    }

    #[test]
    fn estimates_of_all_threads_keep_to_the_bound_and_never_go_back() {
        use std::sync::atomic::AtomicBool;
        use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
        let (latest, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        let look = || {
            let mut seen = 0_u64;
            while !stop.load(Relaxed) {
                let known = latest.load(Acquire);
                let before = origin().elapsed().as_nanos() as u64;
                let Some(estimate) = estimate() else { continue };
                let after = origin().elapsed().as_nanos() as u64;
                assert!(estimate <= after, "{estimate} is ahead of {after}");
                assert!(estimate + LAG >= before, "{estimate} is far behind {before}");
                assert!(estimate + LAG >= known, "{estimate} is far behind another thread's {known}");
                latest.fetch_max(estimate, Release);
                seen += 1;
            }
            seen
        };
        std::thread::scope(|s| {
            let threads = [(); 3].map(|()| s.spawn(look));
            std::thread::sleep(std::time::Duration::from_millis(300));
            stop.store(true, Relaxed);
            let seen: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
            assert_eq!(seen > 0, is_the_systems(), "the counter is used where it can be");
        });
    }
}
