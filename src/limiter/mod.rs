//! Limits on how many things happen in a given time: for one thing, for each of many, and as a ticker.

mod bucket;
mod fast;
mod keyed;
mod pacer;
mod reservation;
mod reservations;
mod shard;
mod shared;
mod ticker;

use std::fmt;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::time::Duration;

pub use keyed::KeyedLimiter;
pub use pacer::Pacer;
pub use reservation::Reservation;
pub use ticker::{Missed, Tick, Ticker};

use crate::clock::Clock;
use crate::error::{TryError, WaitError};
use crate::sync::Arc;
use crate::until::Until;
use crate::wait::sleeps::Subject;
use bucket::Bucket;
use shared::{Origin, Shared, duration};

/// Keeps calls under a rate that another party imposes: requests a second, bytes a minute.
///
/// A bucket holds at most `burst` tokens and gets `tokens` new ones each `period`, evenly: one every
/// `period / tokens`. It starts full. Within any time `t` at most `burst + tokens · t / period` tokens are
/// given out, exact to the nanosecond and forever, since no rounding adds up. Waiters are served strictly in
/// the order in which they came.
///
/// On the system's clock the time of a call may be taken from the processor's counter: never later than the
/// call, and less than a microsecond earlier. Then `t` is exact to a microsecond, however long it is, since
/// this does not add up either. No call is refused a token that has come.
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
/// // It is known at once that the token comes only after the limit.
/// assert_eq!(limiter.acquire_until(1, Duration::ZERO), Err(WaitError::TimedOut));
/// clock.advance(Duration::from_nanos(1));
/// assert_eq!(limiter.try_acquire(1), Ok(()));
/// assert_eq!(limiter.acquire(4), Err(WaitError::InsufficientCapacity)); // never four at once
/// ```
///
/// # Blocking
/// `acquire` waits until its tokens have come. Each waiter knows that instant, and the clock wakes it. It is
/// woken earlier only if the instant changes: a waiter before it gives up, or the rate or the burst changes;
/// or if it is refused, because the limiter is closed or the burst becomes too small.
///
/// # Cancellation
/// A cancelled token acquires nothing. A waiter that gives up leaves its tokens to the waiters behind it,
/// which get theirs earlier. If the tokens come and the limit ends at the same time, the first of the two
/// holds.
///
/// A limit that ends before the tokens can come makes the call fail at once, with
/// [`TimedOut`](WaitError::TimedOut) and nothing taken. Sleeping first would only hold tokens back from later
/// waiters. This holds for a limit's time and for a token's deadline on this limiter's clock. Any other end
/// cannot be foreseen, and is waited for.
///
/// # Panics
/// The methods that take a rate or a burst panic if a number is above [`RateLimiter::MAX`] or a period is
/// zero.
///
/// # Fairness
/// First come, first served. A call for few tokens does not overtake a call for many, and `try_acquire`
/// overtakes no waiter.
///
/// # Ordering
/// None: a call publishes nothing to another, not even by giving tokens back. Of two calls that both succeed,
/// the one that changes the bucket first is served first.
///
/// # Proof
/// The models in `loom-tests/tests/limiter.rs`. `tests/limiter.rs` compares it with a bucket that is filled
/// step by step, over random schedules.
///
/// # Cost
/// A read of the processor's counter and one compare-and-swap, 10 ns together, of which the counter is 9.
/// The counter is used where the kernel's own clock is computed from it (x86-64 Linux with the clock source
/// `tsc`); elsewhere it is a read of the system's clock, 23 ns. That read and a lock, 15 ns more, while a
/// thread waits, within a microsecond of the instant at which the tokens come, and while the rate or the
/// burst is not the one that the limiter was made with. No call divides while no thread waits; one token
/// costs the same as a million. A waiter that gives up wakes all waiters behind it. Bench `limiter`.
///
/// # Instead
/// [`Semaphore`](crate::Semaphore) to limit how many are at work at once. [`KeyedLimiter`] for a limit for
/// each of many keys. [`Ticker`] for one thread that works at a fixed period.
pub struct RateLimiter {
    shared: Arc<Shared>,
}

impl RateLimiter {
    /// The maximum number of tokens of a rate or a burst.
    pub const MAX: u64 = bucket::MAX;

    /// Makes a limiter that gives out `tokens` each `period`, and as many in a burst, on
    /// [this thread's clock](Clock::current). With 0 tokens it is *paused*: no token comes until
    /// [`set_rate`](RateLimiter::set_rate) changes the rate. It starts full like any other, so
    /// [`with_burst`](RateLimiter::with_burst) sets how many it gives out in total.
    ///
    /// A period above 584 years counts as that.
    ///
    /// # Panics
    /// If `period` is zero, or `tokens` above [`RateLimiter::MAX`].
    #[track_caller]
    pub fn new(tokens: u64, period: Duration) -> Self {
        check(tokens, period);
        let origin = Origin { kind: "RateLimiter", at: Location::caller() };
        RateLimiter::with_bucket(Bucket::new(tokens, period, tokens), Clock::current(), origin)
    }

    /// The same rate, starting full with `burst` tokens, which is also the most that the bucket holds.
    ///
    /// # Panics
    /// If `burst` is above [`RateLimiter::MAX`].
    #[must_use = "this limiter has another burst, not the one it was made from"]
    #[track_caller]
    pub fn with_burst(self, burst: u64) -> Self {
        check_burst(burst);
        let Bucket { tokens, period, .. } = self.shared.reservations.lock().bucket;
        let bucket = Bucket::new(tokens, Duration::from_nanos(period), burst);
        RateLimiter::with_bucket(bucket, self.shared.clock().clone(), self.shared.origin)
    }

    /// The same limiter on `clock`, starting full at the current time of that clock.
    #[must_use = "this limiter is on the clock, not the one it was made from"]
    pub fn with_clock(self, clock: impl Into<Clock>) -> Self {
        let Bucket { tokens, period, burst, .. } = self.shared.reservations.lock().bucket;
        let bucket = Bucket::new(tokens, Duration::from_nanos(period), burst);
        RateLimiter::with_bucket(bucket, clock.into(), self.shared.origin)
    }

    fn with_bucket(bucket: Bucket, clock: Clock, origin: Origin) -> Self {
        RateLimiter { shared: Arc::new(Shared::new(bucket, clock, origin)) }
    }

    /// Makes the limiter of one key, which a report shows as `kind`, made where the keyed limiter was.
    fn of_key(bucket: Bucket, clock: &Clock, at: &'static Location<'static>) -> Self {
        RateLimiter::with_bucket(bucket, clock.clone(), Origin { kind: "KeyedLimiter", at })
    }

    /// Waits for `count` tokens together as long as it takes, and takes them. 0 succeeds at once.
    ///
    /// # Errors
    /// [`WaitError::Closed`] if the limiter is or becomes closed; [`WaitError::InsufficientCapacity`] at once
    /// if `count` is above the burst, or when the burst becomes less than that while the call waits.
    #[track_caller]
    pub fn acquire(&self, count: u64) -> Result<(), WaitError> {
        self.acquire_until(count, Until::forever())
    }

    /// Takes `count` tokens if they are available and no thread waits. 0 succeeds unless the limiter is
    /// closed.
    ///
    /// # Errors
    /// [`TryError::WouldBlock`], [`TryError::Closed`] or [`TryError::InsufficientCapacity`].
    #[inline]
    pub fn try_acquire(&self, count: u64) -> Result<(), TryError> {
        self.shared.take(count)
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
        // Tie: a token that was cancelled before the call wins, even if the tokens are available.
        limit.check_token()?;
        match self.try_acquire(count) {
            Ok(()) => Ok(()),
            Err(TryError::WouldBlock) => {
                let subject = Subject::new("RateLimiter::acquire", &*self.shared);
                let subject = subject.with("wanted", count as usize);
                self.shared.wait(count, &limit.on_clock(self.shared.clock()).start_for(subject))
            }
            Err(other) => Err(other.for_good()),
        }
    }

    /// The time that a call for `count` tokens would wait if it came now; `None` if it would never get them.
    pub fn delay(&self, count: u64) -> Option<Duration> {
        self.shared.with_reservations(|reservations, now, _| match reservations.refusal(count) {
            Some(_) => None,
            None if count == 0 => Some(Duration::ZERO),
            None => duration(reservations.ready(now, count)?.saturating_sub(now)),
        })
    }

    /// The number of whole tokens that are available and not reserved. It may have changed by the time the
    /// caller uses it.
    pub fn available(&self) -> u64 {
        self.shared.with_reservations(|reservations, now, _| {
            reservations.bucket.available(reservations.bucket.ticks(now))
        })
    }

    /// The most tokens that the bucket holds.
    pub fn burst(&self) -> u64 {
        self.shared.reservations.lock().bucket.burst
    }

    /// The number of tokens that come, and the period in which they do.
    pub fn rate(&self) -> (u64, Duration) {
        let Bucket { tokens, period, .. } = self.shared.reservations.lock().bucket;
        (tokens, Duration::from_nanos(period))
    }

    /// The number of threads that wait.
    pub fn waiting(&self) -> usize {
        self.shared.with_reservations(|reservations, _, _| reservations.waiting())
    }

    /// Changes the rate from now on. Available tokens stay, also the part of a token that has come so far.
    /// Waiters get their tokens at the new rate. With 0 tokens no more come: calls that wait without a time
    /// limit continue to wait, and the others fail.
    ///
    /// # Panics
    /// If `period` is zero, or `tokens` above [`RateLimiter::MAX`].
    #[track_caller]
    pub fn set_rate(&self, tokens: u64, period: Duration) {
        check(tokens, period);
        self.shared
            .with_reservations(|reservations, now, wakes| reservations.set_rate(now, tokens, period, wakes));
    }

    /// Changes the burst. Available tokens stay, up to the new burst; added room is filled as time passes. A
    /// waiter for more than the new burst gets [`WaitError::InsufficientCapacity`].
    ///
    /// # Panics
    /// If `burst` is above [`RateLimiter::MAX`].
    #[track_caller]
    pub fn set_burst(&self, burst: u64) {
        check_burst(burst);
        self.shared.with_reservations(|reservations, now, wakes| reservations.set_burst(now, burst, wakes));
    }

    /// Closes the limiter: waiters and later callers get `Closed`. Returns true if this call closed it.
    pub fn close(&self) -> bool {
        self.shared.with_reservations(|reservations, now, wakes| reservations.close(now, wakes))
    }

    /// True once the limiter is closed.
    pub fn is_closed(&self) -> bool {
        self.shared.reservations.lock().closed
    }

    /// True if the bucket is full and no thread waits, as in a new limiter.
    fn is_idle(&self) -> bool {
        self.shared.with_reservations(|reservations, now, _| reservations.is_idle(now))
    }
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
    /// Never waits, and reads no clock: fields that another thread has locked are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("RateLimiter");
        if let Some(reservations) = self.shared.reservations.try_lock() {
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

// None of the caller's code runs under the lock, so no panic of it leaves the state half changed.
impl UnwindSafe for RateLimiter {}
impl RefUnwindSafe for RateLimiter {}
