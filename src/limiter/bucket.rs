//! The arithmetic of a bucket of tokens, exact to the nanosecond.
//!
//! The bucket is a virtual schedule, as the generic cell rate algorithm of ITU-T I.371 has it: it keeps the
//! instant at which it will be full. Taking a token moves that instant into the future by what a token needs
//! to come, and there are tokens as long as it is not too far away. So nothing has to be filled in while
//! nobody looks, and one number says it all.
//!
//! # Units
//! A token comes every `period / tokens` nanoseconds, which is not a whole number. Time is therefore counted
//! in *ticks* of 1/`tokens` of a nanosecond: an instant is its nanoseconds times `tokens`, and a token takes
//! exactly `period` ticks. Nothing is ever rounded, except in [`Bucket::set_rate`], once, by less than a tick
//! and to the later side; so nothing drifts.
//!
//! # Sizes
//! Counts are at most 2^40, periods less than 2^64 ns and instants at most 2^87 ns, so no sum or product here
//! leaves 128 bits.

use std::time::Duration;

/// The most tokens that a rate or a burst may have: 2^40, enough for a terabyte.
pub(super) const MAX: u64 = 1 << 40;

/// Nanoseconds since the limiter was made.
pub(super) type Nanos = u128;

/// Instants and durations in ticks.
pub(super) type Ticks = u128;

#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    pub(super) tokens: u64,
    /// In nanoseconds.
    pub(super) period: u64,
    pub(super) burst: u64,
    /// When it is full if nobody takes anything; in the past if it is full.
    full_at: Ticks,
}

impl Bucket {
    /// A full one.
    pub(super) fn new(tokens: u64, period: Duration, burst: u64) -> Self {
        Bucket { tokens, period: nanos(period), burst, full_at: 0 }
    }

    pub(super) fn ticks(&self, at: Nanos) -> Ticks {
        // The end of time is 5,000,000,000 years from now.
        at.min((1 << 87) - 1) * u128::from(self.tokens)
    }

    /// The first nanosecond at which `at` has come; `None` if it never does.
    pub(super) fn nanos(&self, at: Ticks) -> Option<Nanos> {
        match self.tokens {
            // Every instant is tick 0, so what is not there now never comes, and what is there has always
            // been.
            0 => (at == 0).then_some(0),
            tokens => Some(at.div_ceil(u128::from(tokens))),
        }
    }

    fn needed_for(&self, count: u64) -> Ticks {
        u128::from(count) * u128::from(self.period)
    }

    /// Takes `count` tokens if they are there.
    pub(super) fn take(&mut self, now: Ticks, count: u64) -> bool {
        let full_at = self.full_after(now, count);
        let fits = self.level_reached(full_at) <= now;
        if fits {
            self.full_at = full_at;
        }
        fits
    }

    /// Takes `count` tokens on credit; says when they will have come.
    pub(super) fn reserve(&mut self, now: Ticks, count: u64) -> Ticks {
        self.full_at = self.full_after(now, count);
        self.level_reached(self.full_at)
    }

    /// When `count` tokens will have come for one who comes last.
    pub(super) fn ready(&self, now: Ticks, count: u64) -> Ticks {
        self.level_reached(self.full_after(now, count))
    }

    /// When it will be full after `count` more are taken.
    fn full_after(&self, now: Ticks, count: u64) -> Ticks {
        self.full_at.max(now) + self.needed_for(count)
    }

    /// When a bucket that will be full at `full_at` owes nothing any more: a burst's time before.
    fn level_reached(&self, full_at: Ticks) -> Ticks {
        full_at.saturating_sub(self.needed_for(self.burst))
    }

    /// Gives back `count` tokens that were reserved and have not come.
    ///
    /// Exact: as long as they had not come the bucket was not full, so none that came meanwhile was spilt.
    pub(super) fn give_back(&mut self, count: u64) {
        self.full_at = self.full_at.saturating_sub(self.needed_for(count));
    }

    /// Whole tokens that are there.
    pub(super) fn available(&self, now: Ticks) -> u64 {
        let missing = self.full_at.saturating_sub(now);
        let there = self.needed_for(self.burst).saturating_sub(missing) / u128::from(self.period);
        u64::try_from(there).expect("no more than the burst")
    }

    pub(super) fn is_full(&self, now: Ticks) -> bool {
        self.full_at <= now
    }

    /// Changes the rate; what is there, and what is owed, stays. `at` is now.
    pub(super) fn set_rate(&mut self, at: Nanos, tokens: u64, period: Duration) {
        let (old_period, missing) = (self.period, self.full_at.saturating_sub(self.ticks(at)));
        (self.tokens, self.period) = (tokens, nanos(period));
        // Missing tokens, whole ones and the rest of one, in what they need at the new rate.
        let (old, new) = (u128::from(old_period), u128::from(self.period));
        let missing = missing / old * new + (missing % old * new).div_ceil(old);
        self.full_at = self.ticks(at) + missing;
    }

    /// Changes the burst. What is there stays, up to the new burst.
    pub(super) fn set_burst(&mut self, now: Ticks, burst: u64) {
        let missing = self.full_at.saturating_sub(now) + self.needed_for(burst);
        let missing = missing.saturating_sub(self.needed_for(self.burst));
        self.burst = burst;
        self.full_at = now + missing;
    }
}

/// The longest period is 584 years.
fn nanos(period: Duration) -> u64 {
    u64::try_from(period.as_nanos()).unwrap_or(u64::MAX)
}
