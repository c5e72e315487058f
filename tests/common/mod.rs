//! What every test here needs: an end to a hang, a look at who sleeps, and dice that fall the same each time.

#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod bombs;
pub(crate) mod census;
pub(crate) mod child;
pub(crate) mod pools;
pub(crate) mod rounds;
mod watchdog;

#[allow(unused_imports, reason = "each test file uses its own part")]
pub(crate) use watchdog::{HOUR, eventually, figure, message, until_figure, within, within_a_minute};

/// Numbers that look random and are the same for the same seed (xorshift64*).
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Dice for a seed; any seed will do.
    pub(crate) fn new(seed: u64) -> Self {
        // Spread neighbouring seeds, and never start at 0, where xorshift stays.
        Dice(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        high as usize % sides
    }

    /// True once in `chances`.
    pub(crate) fn once_in(&mut self, chances: usize) -> bool {
        self.roll(chances) == 0
    }
}
