//! So many in so long: a limiter for one thing, one for each of many, and a ticker.

mod bucket;
mod keyed;
mod reservations;
mod ticker;

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

pub use keyed::KeyedLimiter;
pub use ticker::{Missed, Tick, Ticker};

use crate::clock::Clock;
use crate::error::{TryError, WaitError};
use crate::sync::Mutex;
use crate::until::{Limit, Until};
use crate::wait::Waiter;
use crate::wait::sleeps::Subject;
use bucket::{Bucket, Nanos};
use reservations::{Next, Reservations, Wakes};

/// Where somebody sleeps, and until when; `None` is for ever.
type Sleep = (Waiter, Option<Instant>);

/// Keeps calls under a rate that somebody else has set: so many requests a second, so many bytes a minute.
///
/// A bucket holds at most `burst` tokens and gets `tokens` new ones each `period`, evenly: one every
/// `period / tokens`. It starts full. Within any time `t` no more than `burst + tokens · t / period` tokens
/// are given out, exactly, to the nanosecond and for ever: there is no rounding that could add up. Those who
/// wait are served strictly in the order in which they came.
///
/// # Examples
/// ```
/// use selvedge::RateLimiter;
/// use std::time::Duration;
///
/// let requests = RateLimiter::new(100, Duration::from_secs(1)).with_burst(10);
/// requests.acquire(1)?; // waits while there is none
/// assert!(requests.available() >= 9);
/// # Ok::<(), selvedge::error::WaitError>(())
/// ```
///
/// Three a second, on a clock that a test moves: the fourth comes after a third of a second, rounded up.
/// ```
/// use selvedge::{Clock, RateLimiter, error::{TryError, WaitError}};
/// use std::time::Duration;
///
/// let clock = Clock::manual();
/// let limiter = RateLimiter::new(3, Duration::from_secs(1)).with_clock(&clock);
/// assert_eq!(limiter.try_acquire(3), Ok(()));
/// clock.advance(Duration::from_nanos(333_333_333));
/// assert_eq!(limiter.try_acquire(1), Err(TryError::WouldBlock));
/// // That there would be one only after the limit is known at once.
/// assert_eq!(limiter.acquire_until(1, Duration::ZERO), Err(WaitError::TimedOut));
/// clock.advance(Duration::from_nanos(1));
/// assert_eq!(limiter.try_acquire(1), Ok(()));
/// assert_eq!(limiter.acquire(4), Err(WaitError::InsufficientCapacity)); // never four at once
/// ```
///
/// # Blocking
/// `acquire` waits until its tokens have come; each waiter knows when that is and wakes by itself. It is
/// woken before only if the plan changes: somebody before it gave up, or the rate or the burst was changed.
///
/// # Cancellation
/// A cancelled token acquires nothing. Who gives up leaves its place and its tokens to those behind it, who
/// get theirs the sooner. If the tokens come and an end comes, the first of them holds.
///
/// A limit that ends before the tokens can come makes the call fail at once, with
/// [`TimedOut`](WaitError::TimedOut) and nothing taken: to sleep first would help nobody, and would keep
/// tokens from those behind. It is so for a limit's time and a token's deadline on this limiter's clock; an
/// end that nobody can foresee is waited for.
///
/// # Fairness
/// First come, first served: none of those who come later goes first. A call for few does not overtake one
/// for many, nor does `try_acquire`.
///
/// # Ordering
/// None: tokens do not come back, so nobody hands anything on. Of two calls that both succeed the one that
/// came to the lock first is served first.
///
/// # Proof
/// Models in `loom-tests/tests/limiter.rs`; and `tests/limiter.rs` compares it with a bucket that is filled
/// step by step, over random schedules.
///
/// # Cost
/// A lock, a look at the clock, which is two thirds of it, and no division while nobody waits; the same for
/// one token or a million. One who gives up wakes everybody behind it. Bench `limiter`.
///
/// # Instead
/// [`Semaphore`](crate::Semaphore) to limit how many are at work at once. [`KeyedLimiter`] for a limit of
/// each of many keys.
pub struct RateLimiter {
    clock: Clock,
    /// When it was made: instants are counted from here.
    epoch: Instant,
    reservations: Mutex<Reservations>,
}

impl RateLimiter {
    /// The most tokens that a rate or a burst can have.
    pub const MAX: u64 = bucket::MAX;

    /// Makes a limiter that gives out `tokens` each `period`, and as many in a burst, on
    /// [this thread's clock](Clock::current). With 0 tokens it is *paused*: none ever comes, until
    /// [`set_rate`](RateLimiter::set_rate) changes that. It starts full like any other, so
    /// [`with_burst`](RateLimiter::with_burst) says how many it gives out in all.
    ///
    /// A period above 584 years counts as that.
    ///
    /// # Panics
    /// If `period` is zero, or `tokens` above [`RateLimiter::MAX`].
    #[track_caller]
    pub fn new(tokens: u64, period: Duration) -> Self {
        check(tokens, period);
        RateLimiter::with_bucket(Bucket::new(tokens, period, tokens), Clock::current())
    }

    /// The same rate, starting full with `burst` tokens, which is also how many there can be at most.
    ///
    /// # Panics
    /// If `burst` is above [`RateLimiter::MAX`].
    #[must_use = "this limiter has another burst, not the one it was made from"]
    #[track_caller]
    pub fn with_burst(self, burst: u64) -> Self {
        check_burst(burst);
        let Bucket { tokens, period, .. } = self.reservations.lock().bucket;
        let bucket = Bucket::new(tokens, Duration::from_nanos(period), burst);
        RateLimiter::with_bucket(bucket, self.clock)
    }

    /// The same limiter on `clock`, starting full at that clock's now.
    #[must_use = "this limiter is on the clock, not the one it was made from"]
    pub fn with_clock(self, clock: impl Into<Clock>) -> Self {
        let Bucket { tokens, period, burst, .. } = self.reservations.lock().bucket;
        let bucket = Bucket::new(tokens, Duration::from_nanos(period), burst);
        RateLimiter::with_bucket(bucket, clock.into())
    }

    fn with_bucket(bucket: Bucket, clock: Clock) -> Self {
        RateLimiter { epoch: clock.now(), clock, reservations: Mutex::new(Reservations::new(bucket)) }
    }

    /// Waits for `count` tokens together as long as it takes, and takes them. 0 succeeds at once.
    ///
    /// # Errors
    /// [`WaitError::Closed`] if the limiter is or becomes closed; [`WaitError::InsufficientCapacity`] at once
    /// if `count` is above the burst, and also when that is made less while the call waits.
    #[track_caller]
    pub fn acquire(&self, count: u64) -> Result<(), WaitError> {
        self.acquire_until(count, Until::forever())
    }

    /// Takes `count` tokens if they are there and nobody waits.
    ///
    /// # Errors
    /// [`TryError::WouldBlock`], [`TryError::Closed`] or [`TryError::InsufficientCapacity`].
    #[inline]
    pub fn try_acquire(&self, count: u64) -> Result<(), TryError> {
        self.with_reservations(|reservations, now, _| reservations.take(now, count))
    }

    /// Waits for `count` tokens together at most until `limit`, and takes them.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`], at once if the tokens would come later than the limit ends;
    /// [`WaitError::Cancelled`]; [`WaitError::Closed`] and [`WaitError::InsufficientCapacity`] as in
    /// [`acquire`](RateLimiter::acquire).
    #[inline]
    #[track_caller]
    pub fn acquire_until<'a>(&self, count: u64, limit: impl Into<Until<'a>>) -> Result<(), WaitError> {
        let limit = limit.into();
        limit.check_token()?;
        match self.try_acquire(count) {
            Ok(()) => Ok(()),
            Err(TryError::WouldBlock) => {
                let subject = Subject::new("RateLimiter::acquire", self).with("wanted", count as usize);
                self.wait(count, &limit.on_clock(&self.clock).start_for(subject))
            }
            Err(other) => Err(other.for_good()),
        }
    }

    #[cold]
    fn wait(&self, count: u64, limit: &Limit<'_>) -> Result<(), WaitError> {
        let mut waiter = Waiter::new();
        let mut at = self.join(count, limit, &waiter)?;
        // Until its instant, which the clock brings; sooner if the plan was changed. The instant and the
        // waiter that the next change will end were seen under one lock, so no change falls between.
        loop {
            if let Err(ended) = limit.sleep_to(&waiter, &self.clock, at) {
                self.with_reservations(|reservations, now, wakes| reservations.leave(now, &waiter, wakes));
                return Err(ended);
            }
            match self.look_again(&waiter, limit)? {
                None => return Ok(()),
                Some(sleep_on) => (waiter, at) = sleep_on,
            }
        }
    }

    /// Reserves `count` tokens, if they come within the limit; says when.
    fn join(&self, count: u64, limit: &Limit<'_>, waiter: &Waiter) -> Result<Option<Instant>, WaitError> {
        self.with_reservations(|reservations, now, _| {
            if let Some(refusal) = reservations.refusal(count) {
                return Err(refusal);
            }
            let at = self.instant(reservations.ready(now, count));
            if limit.ends_before(&self.clock, at) {
                return limit.check().and(Err(WaitError::TimedOut));
            }
            reservations.join(now, count, waiter.clone());
            Ok(at)
        })
    }

    /// What became of one who slept in `slot` and was woken: `None` if its tokens have come.
    fn look_again(&self, waiter: &Waiter, limit: &Limit<'_>) -> Result<Option<Sleep>, WaitError> {
        let new = Waiter::new();
        self.with_reservations(|reservations, now, wakes| {
            let Next::SleepTo(ready) = reservations.look_again(waiter, &new)? else { return Ok(None) };
            let at = self.instant(ready);
            if limit.ends_before(&self.clock, at) {
                reservations.leave(now, &new, wakes);
                return limit.check().and(Err(WaitError::TimedOut));
            }
            Ok(Some((new, at)))
        })
    }

    /// How long a call for `count` tokens would wait if it came now; `None` if it would never get them.
    pub fn delay(&self, count: u64) -> Option<Duration> {
        self.with_reservations(|reservations, now, _| match reservations.refusal(count) {
            Some(_) => None,
            None if count == 0 => Some(Duration::ZERO),
            None => duration(reservations.ready(now, count)?.saturating_sub(now)),
        })
    }

    /// Whole tokens that are there and nobody waits for. By the time the caller looks, it may be another
    /// number.
    pub fn available(&self) -> u64 {
        self.with_reservations(|reservations, now, _| {
            reservations.bucket.available(reservations.bucket.ticks(now))
        })
    }

    /// The most tokens that there can be at once.
    pub fn burst(&self) -> u64 {
        self.reservations.lock().bucket.burst
    }

    /// How many tokens come in how long.
    pub fn rate(&self) -> (u64, Duration) {
        let Bucket { tokens, period, .. } = self.reservations.lock().bucket;
        (tokens, Duration::from_nanos(period))
    }

    /// Threads that wait.
    pub fn waiting(&self) -> usize {
        self.with_reservations(|reservations, _, _| reservations.waiting())
    }

    /// Changes the rate from now on. The tokens that are there stay, and a part of one that is on its way
    /// keeps its share; those who wait get theirs at the new rate. With 0 tokens none comes any more: calls
    /// that wait without a time go on waiting, the others fail.
    ///
    /// # Panics
    /// If `period` is zero, or `tokens` above [`RateLimiter::MAX`].
    #[track_caller]
    pub fn set_rate(&self, tokens: u64, period: Duration) {
        check(tokens, period);
        self.with_reservations(|reservations, now, wakes| reservations.set_rate(now, tokens, period, wakes));
    }

    /// Changes the burst. The tokens that are there stay, up to the new burst; more room is filled as time
    /// passes. Who waits for more than the new burst gets [`WaitError::InsufficientCapacity`].
    ///
    /// # Panics
    /// If `burst` is above [`RateLimiter::MAX`].
    #[track_caller]
    pub fn set_burst(&self, burst: u64) {
        check_burst(burst);
        self.with_reservations(|reservations, now, wakes| reservations.set_burst(now, burst, wakes));
    }

    /// Closes the limiter: who waits, and who comes later, gets `Closed`. True if this call closed it.
    pub fn close(&self) -> bool {
        self.with_reservations(|reservations, now, wakes| reservations.close(now, wakes))
    }

    /// True once the limiter was closed.
    pub fn is_closed(&self) -> bool {
        self.reservations.lock().closed
    }

    /// Does `f` with the plan as it is now, and wakes whom it says after unlocking.
    ///
    /// The clock is read under the lock, so that calls are served in the order of their times.
    #[inline]
    fn with_reservations<R>(&self, f: impl FnOnce(&mut Reservations, Nanos, &mut Wakes) -> R) -> R {
        let mut wakes = Wakes::new();
        let mut reservations = self.reservations.lock();
        let now = self.clock.now().saturating_duration_since(self.epoch).as_nanos();
        reservations.settle(now, &mut wakes);
        let result = f(&mut reservations, now, &mut wakes);
        drop(reservations);
        drop(wakes);
        result
    }

    /// True if it is as new: full, open, and nobody waits.
    fn is_idle(&self) -> bool {
        self.with_reservations(|reservations, now, _| reservations.is_idle(now))
    }

    fn instant(&self, at: Option<Nanos>) -> Option<Instant> {
        self.epoch.checked_add(duration(at?)?)
    }
}

/// `None` if it is too long to be one, which means for ever.
fn duration(nanos: Nanos) -> Option<Duration> {
    const SECOND: u128 = 1_000_000_000;
    let seconds = u64::try_from(nanos / SECOND).ok()?;
    Some(Duration::new(seconds, (nanos % SECOND) as u32))
}

#[track_caller]
fn check(tokens: u64, period: Duration) {
    assert!(tokens <= bucket::MAX, "{tokens} tokens are more than the {} allowed", bucket::MAX);
    assert!(!period.is_zero(), "{tokens} tokens in a period of 0 are no rate: the least is a nanosecond");
}

#[track_caller]
fn check_burst(burst: u64) {
    assert!(burst <= bucket::MAX, "a burst of {burst} tokens is more than the {} allowed", bucket::MAX);
}

impl fmt::Debug for RateLimiter {
    /// Never waits, and looks at no clock: what another thread has locked is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("RateLimiter");
        if let Some(reservations) = self.reservations.try_lock() {
            let Bucket { tokens, period, burst, .. } = reservations.bucket;
            out.field("tokens", &tokens)
                .field("period", &Duration::from_nanos(period))
                .field("burst", &burst)
                .field("waiting", &reservations.waiting())
                .field("closed", &reservations.closed);
        }
        out.finish_non_exhaustive()
    }
}

impl UnwindSafe for RateLimiter {}
impl RefUnwindSafe for RateLimiter {}
