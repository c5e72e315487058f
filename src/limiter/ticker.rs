//! Ticks at instants that are fixed when the ticker is made.
//!
//! A ticker belongs to one caller (`&mut self`), so it has no lock and no list. A tick is taken only after
//! its instant has passed, so a wait that ends early changes nothing.

use std::fmt;
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::error::{TryError, WaitError};
use crate::until::Until;
use crate::wait::Waiter;
use crate::wait::sleeps::Subject;

/// Repeats work at a fixed period, without the drift of a loop that sleeps.
///
/// Tick number `n` is due at exactly `start + n · period`, however late earlier ticks were taken and however
/// long the work in between took. The first is due one period after the ticker is made.
///
/// A caller that is late gets a tick at once. [`Missed`] decides about the ticks that it missed: they are
/// skipped and [counted](Tick::missed), or they come one after another.
///
/// # Examples
/// ```
/// use selvedge::limiter::Ticker;
/// use std::time::{Duration, Instant};
///
/// let start = Instant::now();
/// let ticks = Ticker::new(Duration::from_millis(2));
/// for tick in ticks.take(3) {
///     println!("{:?} after the start", tick.due - start);
/// }
/// assert!(start.elapsed() >= Duration::from_millis(6));
/// ```
///
/// Work that takes two and a half periods does not shift the later ticks:
/// ```
/// use selvedge::{Clock, limiter::Ticker};
/// use std::time::Duration;
///
/// let (clock, second) = (Clock::manual(), Duration::from_secs(1));
/// let start = clock.now();
/// let mut ticks = Ticker::new(second).with_clock(&clock);
/// clock.advance(second * 7 / 2);
/// let late = ticks.try_next().unwrap();
/// assert_eq!((late.due - start, late.missed), (second * 3, 2));
/// clock.advance(second / 2);
/// let on_time = ticks.try_next().unwrap();
/// assert_eq!((on_time.due - start, on_time.missed), (second * 4, 0));
/// ```
///
/// # Blocking
/// The iterator and `next_until` wait until the next tick is due, which the clock alone brings. The iterator
/// never ends. If the next tick is too far away to be an `Instant`, it waits forever.
///
/// # Cancellation
/// A call that gives up takes no tick: the next call gets it. A limit that ends before the tick is due is
/// waited for, unlike that of a [`RateLimiter`](super::RateLimiter), since no other thread waits for the same
/// tick. If the limit ends at the instant of the tick, the tick wins.
///
/// # Panics
/// [`new`](Ticker::new) panics if the period is zero.
///
/// # Proof
/// The model `a_tick_and_a_cancel_are_the_one_or_the_other` in `loom-tests/tests/limiter.rs`.
///
/// # Cost
/// One or two reads of the clock for each tick, and a sleep if it is not due. A poll that finds none due
/// reads the processor's counter instead where a [`RateLimiter`](super::RateLimiter) does: 11 ns, and 25
/// elsewhere. 48 bytes.
///
/// # Instead
/// [`RateLimiter`](super::RateLimiter) if several threads share a rate, or if what was not used should be
/// available later. [`CancelToken::sleep`](crate::CancelToken::sleep) if the pause between two pieces of work
/// must have a fixed length.
pub struct Ticker {
    clock: Clock,
    period: Duration,
    /// `None` is never.
    next: Option<Instant>,
    missed: Missed,
}

/// How a [`Ticker`] treats ticks that its caller missed.
///
/// # Examples
/// ```
/// use selvedge::{Clock, limiter::{Missed, Ticker}};
/// use std::time::Duration;
///
/// let (clock, second) = (Clock::manual(), Duration::from_secs(1));
/// let mut ticks = Ticker::new(second).with_clock(&clock).missed(Missed::CatchUp);
/// clock.advance(second * 3);
/// assert_eq!((0..9).map_while(|_| ticks.try_next().ok()).count(), 3);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Missed {
    /// Only the last of them comes, with the number of those skipped. For work that depends only on the
    /// current state.
    #[default]
    Skip,
    /// All of them come, one after another without a wait. For work that must be done once for each tick.
    CatchUp,
}

/// A tick of a [`Ticker`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tick {
    /// When it was due. It may have been taken later.
    pub due: Instant,
    /// The number of ticks skipped before it.
    pub missed: u64,
}

impl Ticker {
    /// Makes a ticker on [this thread's clock](Clock::current) that skips missed ticks.
    ///
    /// # Panics
    /// If `period` is zero.
    #[track_caller]
    pub fn new(period: Duration) -> Self {
        assert!(!period.is_zero(), "a ticker with a period of 0 never waits: the least is a nanosecond");
        Ticker::starting(Clock::current(), period, Missed::Skip)
    }

    /// The same ticker on `clock`, starting at the current time of that clock.
    #[must_use = "this ticker is on the clock, not the one it was made from"]
    pub fn with_clock(self, clock: impl Into<Clock>) -> Self {
        Ticker::starting(clock.into(), self.period, self.missed)
    }

    /// The same ticker, which treats missed ticks as `missed` says.
    #[must_use = "this ticker does so, not the one it was made from"]
    pub fn missed(self, missed: Missed) -> Self {
        Ticker { missed, ..self }
    }

    fn starting(clock: Clock, period: Duration, missed: Missed) -> Self {
        // This read of the clock fixes the instants of all ticks.
        Ticker { next: clock.after(period), clock, period, missed }
    }

    /// The time between two ticks.
    pub fn period(&self) -> Duration {
        self.period
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// When the next tick is due; `None` if that is too far away to be an `Instant`.
    pub fn next_due(&self) -> Option<Instant> {
        self.next
    }

    /// Takes the next tick if it is due.
    ///
    /// # Errors
    /// [`TryError::WouldBlock`].
    pub fn try_next(&mut self) -> Result<Tick, TryError> {
        let due = self.next.ok_or(TryError::WouldBlock)?;
        // Most polls come long before the tick, and a poll should cost little.
        if self.clock.is_surely_before(due) {
            return Err(TryError::WouldBlock);
        }
        let now = self.clock.now();
        // Tie: a tick that is due exactly now is taken.
        if now < due { Err(TryError::WouldBlock) } else { Ok(self.take(due, now)) }
    }

    /// Waits for the next tick at most until `limit`.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] or [`WaitError::Cancelled`]. The tick is then left for the next call.
    #[track_caller]
    pub fn next_until<'a>(&mut self, limit: impl Into<Until<'a>>) -> Result<Tick, WaitError> {
        let limit = limit.into();
        // Tie: a token that was cancelled before the call wins over a tick that is due.
        limit.check_token()?;
        if let Ok(tick) = self.try_next() {
            return Ok(tick);
        }
        let limit = limit.on_clock(&self.clock).start_for(Subject::new("Ticker::next", self));
        // Ended by the clock at the tick's instant, or by the limit. The waiter is in no list, so there is
        // none to leave.
        limit.sleep_to(&Waiter::new(), &self.clock, self.next)?;
        // Only the tick's instant grants this waiter.
        let due = self.next.expect("a tick that is never due ends no sleep");
        Ok(self.take(due, self.clock.now()))
    }

    fn take(&mut self, due: Instant, now: Instant) -> Tick {
        let late = now.saturating_duration_since(due).as_nanos() / self.period.as_nanos();
        let passed = match self.missed {
            Missed::Skip => late,
            Missed::CatchUp => 0,
        };
        // Counted from the tick's own instant, not from now: lateness does not add up.
        let due = later(due, self.period, passed).unwrap_or(now);
        self.next = due.checked_add(self.period);
        Tick { due, missed: u64::try_from(passed).unwrap_or(u64::MAX) }
    }
}

/// The instant `count` periods after `start`.
fn later(start: Instant, period: Duration, count: u128) -> Option<Instant> {
    let nanos = period.as_nanos() * count;
    start.checked_add(super::duration(nanos)?)
}

impl Iterator for Ticker {
    type Item = Tick;

    /// Waits for the next tick as long as it takes.
    #[track_caller]
    fn next(&mut self) -> Option<Tick> {
        // Never an error, so the iterator never ends: a forever limit does not end.
        self.next_until(Until::forever()).ok()
    }
}

impl fmt::Debug for Ticker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticker")
            .field("period", &self.period)
            .field("next", &self.next)
            .field("missed", &self.missed)
            .finish_non_exhaustive()
    }
}
