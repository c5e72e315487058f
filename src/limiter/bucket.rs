//! The arithmetic of a token bucket, exact to the nanosecond.
//!
//! The bucket is a virtual schedule, as in the generic cell rate algorithm of ITU-T I.371: it stores the
//! instant at which it will be full. Taking a token moves that instant into the future by the time in which a
//! token comes. Tokens are available as long as that instant is at most a burst's time away. One number is
//! thus the whole state, and no timer fills the bucket.
//!
//! # Units
//! A token comes every `period / tokens` nanoseconds, which need not be a whole number. Time is therefore
//! counted in *ticks* of 1/`tokens` of a nanosecond: an instant is its nanoseconds times `tokens`, and a
//! token takes exactly `period` ticks. Only [`Bucket::set_rate`] rounds, once, by less than a tick and to the
//! later side, so the rate never drifts.
//!
//! # Sizes
//! Counts are at most 2^40, periods less than 2^64 ns and instants at most 2^87 ns, so no sum or product here
//! leaves 128 bits. Where 64 bits do, a bucket without waiters is a [`FastBucket`](super::fast::FastBucket).

use std::time::Duration;

/// The maximum number of tokens of a rate or a burst: 2^40, a terabyte if a token is a byte.
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
    /// The greatest common divisor of `tokens` and `period`.
    pub(super) unit: u64,
    /// When the bucket is full if no token is taken until then; in the past if it is full.
    pub(super) full_at: Ticks,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(tokens: u64, period: Duration, burst: u64) -> Self {
        let period = nanos(period);
        Bucket { tokens, period, burst, unit: common_divisor(tokens, period), full_at: 0 }
    }

    pub(super) fn ticks(&self, at: Nanos) -> Ticks {
        // Capped so that the product stays below 2^127. The cap is 5,000,000,000 years away.
        at.min((1 << 87) - 1) * u128::from(self.tokens)
    }

    /// The first nanosecond at which `at` has come; `None` if it never does.
    pub(super) fn nanos(&self, at: Ticks) -> Option<Nanos> {
        match self.tokens {
            // At a rate of 0 every instant is tick 0. A token whose tick is 0 is available already; any other
            // never comes.
            0 => (at == 0).then_some(0),
            // Rounded up: at the nanosecond before, the token would not have come entirely.
            tokens => Some(at.div_ceil(u128::from(tokens))),
        }
    }

    fn needed_for(&self, count: u64) -> Ticks {
        u128::from(count) * u128::from(self.period)
    }

    /// Takes `count` tokens if they are available.
    pub(super) fn take(&mut self, now: Ticks, count: u64) -> bool {
        let full_at = self.full_after(now, count);
        // Tie: a token that comes exactly now is available.
        let fits = self.level_reached(full_at) <= now;
        if fits {
            self.full_at = full_at;
        }
        fits
    }

    /// Takes `count` tokens on credit. Returns when they will have come.
    pub(super) fn reserve(&mut self, now: Ticks, count: u64) -> Ticks {
        self.full_at = self.full_after(now, count);
        self.level_reached(self.full_at)
    }

    /// When `count` tokens will have come for a caller that reserves them now.
    pub(super) fn ready(&self, now: Ticks, count: u64) -> Ticks {
        self.level_reached(self.full_after(now, count))
    }

    /// When the bucket will be full after `count` more tokens are taken.
    fn full_after(&self, now: Ticks, count: u64) -> Ticks {
        // At least now: a bucket that has been full for a while holds no more than the burst.
        self.full_at.max(now) + self.needed_for(count)
    }

    /// When a bucket that will be full at `full_at` has no debt: the time of a burst before.
    fn level_reached(&self, full_at: Ticks) -> Ticks {
        // Saturates at the epoch: a burst that was available from the start has always been.
        full_at.saturating_sub(self.needed_for(self.burst))
    }

    /// Returns `count` tokens that were reserved and have not come.
    ///
    /// Exact: until they come the bucket is not full, so no token that came meanwhile has been spilt.
    pub(super) fn give_back(&mut self, count: u64) {
        // Never saturates in fact, since the same product was added when they were reserved.
        self.full_at = self.full_at.saturating_sub(self.needed_for(count));
    }

    /// Returns `count` tokens that were taken and not used. What exceeds the burst is spilt.
    pub(super) fn refund(&mut self, now: Ticks, count: u64) {
        // Only a bucket that is not full has room, and only up to now: before that, it would hold more than
        // the burst.
        if self.full_at > now {
            self.full_at = self.full_at.saturating_sub(self.needed_for(count)).max(now);
        }
    }

    /// The number of whole tokens that are available.
    pub(super) fn available(&self, now: Ticks) -> u64 {
        let missing = self.full_at.saturating_sub(now);
        // Saturates at 0 while the bucket is in debt to its waiters. Rounded down: a part of a token cannot
        // be taken.
        let available = self.needed_for(self.burst).saturating_sub(missing) / u128::from(self.period);
        u64::try_from(available).expect("no more than the burst")
    }

    pub(super) fn is_full(&self, now: Ticks) -> bool {
        self.full_at <= now
    }

    /// Changes the rate. The available tokens, or the debt, stay. `at` is now.
    pub(super) fn set_rate(&mut self, at: Nanos, tokens: u64, period: Duration) {
        let (old_period, missing) = (self.period, self.full_at.saturating_sub(self.ticks(at)));
        (self.tokens, self.period) = (tokens, nanos(period));
        self.unit = common_divisor(self.tokens, self.period);
        // The missing tokens, whole ones and a part of one, in ticks of the new rate. Split, since the
        // product of both numbers at once could leave 128 bits. Rounded up, so that no token comes early.
        let (old, new) = (u128::from(old_period), u128::from(self.period));
        let missing = missing / old * new + (missing % old * new).div_ceil(old);
        self.full_at = self.ticks(at) + missing;
    }

    /// Changes the burst. The available tokens stay, up to the new burst.
    pub(super) fn set_burst(&mut self, now: Ticks, burst: u64) {
        // A larger burst misses the difference too. With a smaller one a surplus is dropped: the subtraction
        // saturates, and the bucket is full now.
        let missing = self.full_at.saturating_sub(now) + self.needed_for(burst);
        let missing = missing.saturating_sub(self.needed_for(self.burst));
        self.burst = burst;
        self.full_at = now + missing;
    }
}

/// Periods above 584 years, which do not fit into 64 bits, count as that.
fn nanos(period: Duration) -> u64 {
    u64::try_from(period.as_nanos()).unwrap_or(u64::MAX)
}

/// `period` is not 0.
fn common_divisor(tokens: u64, period: u64) -> u64 {
    let (mut divisor, mut rest) = (period, tokens);
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    divisor
}
