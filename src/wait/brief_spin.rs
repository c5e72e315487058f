//! A spin of short pauses, for what usually comes within a microsecond or two.
//!
//! The [spin phase](super::spin) of every wait pauses for less than a microsecond and then yields, since the
//! thread that it waits for may need this processor. What comes during a yield is noticed when that returns,
//! after 0.7 µs and more. Two threads that hand something to each other and back wait for two yields, and
//! that was half of the time of a function that another thread runs.
//!
//! This spin only pauses, and looks each time. It lasts as long as is worthwhile, which it learns: about
//! twice as long as those that succeeded, and hardly at all where they did not, because what is waited for
//! takes long or needs this processor. Now and then one is as long as can be, to learn whether things have
//! changed.

use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sync::model::IS_MODEL;
use crate::wait::pause;

/// The pause between two looks, in nanoseconds. With the look it takes 20 to 50 ns.
const PAUSE: usize = 13;
/// The maximum number of looks, in about 3 µs: two yields, or four hand-overs.
const MAX_LOOKS: u32 = 100;
/// The number of looks where no spin has succeeded.
const MIN_LOOKS: u32 = 7;
/// After so many spins in vain, one is as long as can be. That takes 0.1 µs of each.
const PROBE: u32 = 32;

/// The spins of threads that wait for the same kind of thing.
///
/// All accesses are relaxed: the fields are guesses that publish nothing, and a thread that overwrites
/// another's value only makes a spin longer or shorter.
#[derive(Debug)]
pub(crate) struct BriefSpin {
    /// Eight times the moving average of the looks of spins that succeeded; those in vain count as none.
    looks: AtomicU32,
    /// Spins in vain since the last probe.
    vain: AtomicU32,
}

impl BriefSpin {
    pub(crate) fn new() -> Self {
        BriefSpin { looks: AtomicU32::new(0), vain: AtomicU32::new(0) }
    }

    /// Spins until `ready`. Returns whether it became true.
    ///
    /// In a model it returns false at once, without calling `ready`.
    pub(crate) fn until(&self, mut ready: impl FnMut() -> bool) -> bool {
        if IS_MODEL {
            return false;
        }
        let (looks, vain) = (self.looks.load(Relaxed), self.vain.load(Relaxed));
        let is_probe = vain >= PROBE;
        let max_looks = if is_probe { MAX_LOOKS } else { MAX_LOOKS.min(MIN_LOOKS + looks / 4) };
        for look in 0..max_looks {
            if ready() {
                self.looks.store(looks - looks / 8 + look, Relaxed);
                return true;
            }
            pause(PAUSE);
        }
        self.looks.store(looks - looks.div_ceil(8), Relaxed);
        self.vain.store(if is_probe { 0 } else { vain + 1 }, Relaxed);
        false
    }
}

#[cfg(all(test, not(any(loom, selvedge_loom))))]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Spins for what comes at that look, and returns the number of looks.
    fn looks(spin: &BriefSpin, comes_at: u32) -> u32 {
        let looks = Cell::new(0);
        let came = spin.until(|| {
            looks.set(looks.get() + 1);
            looks.get() > comes_at
        });
        assert_eq!(came, looks.get() > comes_at);
        looks.get()
    }

    #[test]
    fn what_comes_late_is_found_by_a_probe_and_then_waited_for_each_time() {
        let spin = BriefSpin::new();
        let spins: Vec<u32> = (0..200).map(|_| looks(&spin, 40)).collect();
        assert_eq!(spins[0], MIN_LOOKS);
        assert_eq!(spins.iter().filter(|looks| **looks == MIN_LOOKS).count(), PROBE as usize);
        // Each probe that succeeds makes the next spins longer, until they succeed too.
        assert_eq!(spins[190..], [41; 10]);
    }

    #[test]
    fn what_never_comes_is_hardly_waited_for() {
        let spin = BriefSpin::new();
        (0..200).for_each(|_| _ = looks(&spin, 40));
        (0..100).for_each(|_| _ = looks(&spin, u32::MAX));
        let mut spins: Vec<u32> = (0..=PROBE).map(|_| looks(&spin, u32::MAX)).collect();
        spins.sort_unstable();
        assert_eq!(spins[PROBE as usize - 1..], [MIN_LOOKS, MAX_LOOKS]);
    }

    #[test]
    fn what_is_there_needs_one_look() {
        assert_eq!(looks(&BriefSpin::new(), 0), 1);
    }
}
