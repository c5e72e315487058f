//! A bucket for which no thread waits, in one atomic number: a call takes its tokens with one
//! compare-and-swap.
//!
//! The number is the bucket's `full_at`, or [`LOCKED`]: then the bucket is in the limiter's lock.
//! A call that takes the lock *withdraws* the number, works with the [`Bucket`] as before, and *publishes* it
//! again, unless a thread waits or the limiter is closed.
//!
//! # Invariants
//! 1. While the number is not `LOCKED`, no thread waits, the limiter is open, its rate and burst are those in
//!    this struct, and the number is the whole state.
//! 2. The number goes from `LOCKED` to another value only under the lock, and to `LOCKED` only by the thread
//!    that holds it.
//!
//! So a successful compare-and-swap happens while nobody waits, and overtakes nobody. That the number may
//! have changed and come back in between does no harm: the rate and the burst here are constant, and with
//! them the number is all that decides.
//!
//! # Units
//! The number counts *long ticks*: as many of the bucket's ticks as the greatest common divisor of `tokens`
//! and `period`, so that a nanosecond and a token are still whole numbers of them. At 100 tokens a second a
//! long tick is a nanosecond, and a token takes 10^7 of them.
//!
//! # Limits
//! A number is less than 2^63. A bucket stays in the lock
//!
//! - from 2^62 long ticks after the limiter was made. That is 146 years for all rates that have one in a
//!   nanosecond, as 100 a second or 60 a minute, and 48 for 3 a second; but 26 days for 2^20 a second, whose
//!   nanosecond has 2^11;
//! - if a burst takes 2^62 long ticks or more;
//! - while the rate or the burst is not the one that the limiter was made with.
//!
//! # Why not
//! - *Later origins, so that the number never ends:* a call that stopped between its load and its swap could
//!   find the same number with another meaning.
//! - *The rate in the number or beside it:* the same, after a change and a change back.

use super::bucket::{Bucket, Nanos};
use crate::clock::{Clock, Epoch};
use crate::error::TryError;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// The bucket is in the lock.
const LOCKED: u64 = u64::MAX;

/// More than any time and any burst here, in long ticks. A sum of three such is less than 2^64.
const END: u64 = 1 << 62;

/// All that a call reads while no thread waits, in one cache line: keys of a
/// [`KeyedLimiter`](super::KeyedLimiter) are seldom in the nearest cache.
#[repr(align(64))]
pub(super) struct FastBucket {
    full_at: AtomicU64,
    /// The rate of the buckets that can be published: long ticks in a nanosecond, and those that a token
    /// takes.
    per_nano: u64,
    per_token: u64,
    /// And their burst.
    burst: u64,
    pub(super) clock: Clock,
    /// When the limiter was made. Nanoseconds are counted from here.
    pub(super) epoch: Epoch,
}

impl FastBucket {
    /// A bucket that begins now, published if it can be.
    pub(super) fn new(bucket: &Bucket, clock: Clock) -> Self {
        let &Bucket { tokens, period, burst, unit, .. } = bucket;
        let fast = FastBucket {
            full_at: AtomicU64::new(LOCKED),
            per_nano: tokens / unit,
            per_token: period / unit,
            burst,
            epoch: clock.epoch(),
            clock,
        };
        fast.publish(bucket, 0);
        fast
    }

    /// Takes `count` tokens, or finds that it cannot. `None` if that must be decided with the lock.
    #[inline]
    pub(super) fn take(&self, count: u64) -> Option<Result<(), TryError>> {
        // Acquire, with the release of the store: the clock is read after the one that it was computed from.
        let mut full_at = self.full_at.load(Acquire);
        if full_at == LOCKED {
            return None;
        }
        if count > self.burst {
            return Some(Err(TryError::InsufficientCapacity));
        }
        // Takes nothing, so it overtakes no waiter.
        if count == 0 {
            return Some(Ok(()));
        }
        // The clock after the number, so that a number which misses tokens now missed them at the load too.
        // Read before, the time could be earlier than that of the call that stored the number.
        let now = self.clock.passed_since(&self.epoch);
        let at_least = now.at_least.checked_mul(self.per_nano).filter(|&ticks| ticks < END)?;
        // Less than `END`, as the burst of a published bucket is.
        let (needed, room) = (count * self.per_token, self.burst * self.per_token);
        // The loop ends if the tokens have not come: before the first exchange, or after another thread was
        // faster.
        let seen = full_at;
        // Tie: a token that comes exactly now is available.
        while full_at + needed <= at_least + room {
            let full_after = full_at.max(at_least) + needed;
            // Release, with the acquire of the load above. Relaxed on failure: the time is not read again.
            match self.full_at.compare_exchange_weak(full_at, full_after, Release, Relaxed) {
                Ok(_) => return Some(Ok(())),
                Err(LOCKED) => return None,
                Err(other) => full_at = other,
            }
        }
        // Refused if they had not come even if it is later by the doubt. Otherwise the lock decides, with an
        // exact time; also if there were some before another thread took them.
        let is_refused = seen + needed > at_least + now.doubt * self.per_nano + room;
        is_refused.then_some(Err(TryError::WouldBlock))
    }

    /// Moves the number into the bucket. The caller holds the lock.
    pub(super) fn withdraw(&self, bucket: &mut Bucket) {
        // Relaxed: only a thread with the lock changes it from `LOCKED`.
        if self.full_at.load(Relaxed) == LOCKED {
            return;
        }
        // One operation, so that no call takes tokens between a load and a store. Acquire as in `take`.
        bucket.full_at = u128::from(self.full_at.swap(LOCKED, Acquire)) * u128::from(bucket.unit);
    }

    /// Moves the bucket into the number, if it fits. The caller holds the lock, and no thread waits.
    pub(super) fn publish(&self, bucket: &Bucket, now: Nanos) {
        if let Some(full_at) = self.number(bucket, now) {
            // Release, with the acquire of `take`.
            self.full_at.store(full_at, Release);
        }
    }

    fn number(&self, bucket: &Bucket, now: Nanos) -> Option<u64> {
        let &Bucket { tokens, period, burst, unit, full_at } = bucket;
        // Not by dividing, and also if the same rate is said in other numbers.
        let is_rate = |reduced: u64, whole: u64| reduced.checked_mul(unit) == Some(whole);
        let is_same =
            is_rate(self.per_nano, tokens) && is_rate(self.per_token, period) && burst == self.burst;
        let fits =
            |count: u128, ticks: u64| count.checked_mul(ticks.into()).is_some_and(|ticks| ticks < END.into());
        if !is_same || !fits(now, self.per_nano) || !fits(burst.into(), self.per_token) {
            return None;
        }
        // A change of the rate rounds to a tick, which may be a part of a long one until the bucket is full.
        let (number, rest) = (full_at / u128::from(unit), full_at % u128::from(unit));
        // A burst after a time that is less than `END`, since nobody has reserved more.
        (rest == 0 && number < 2 * u128::from(END)).then_some(number as u64)
    }
}
