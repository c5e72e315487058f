//! How long a call may wait: the one argument of every `_until`.

use std::time::{Duration, Instant};

mod limit;

use crate::cancel::CancelToken;
use crate::clock::Clock;
use crate::error::{TryError, WaitError};
use crate::wait::{PATIENCE, WaitPoint, Waiter};
pub(crate) use limit::Limit;
use limit::Source;

/// A limit on a wait: a time, a token, both, or neither.
///
/// Every call that can block takes `impl Into<Until>`, so what you have is what you pass:
///
/// | you pass | the wait ends at the latest |
/// |---|---|
/// | `Duration` | that long after the call began to wait, by the system's clock (or a test's: [`ManualClock::scope`](crate::ManualClock::scope)) |
/// | `Option<Duration>` | that long after, or never if `None`: for a time-out that a caller may set |
/// | `Instant` | at that instant of the same clock |
/// | `&CancelToken` | when the token is cancelled or its deadline passes |
/// | `(&CancelToken, Duration)`, `(&CancelToken, Option<Duration>)` or `(&CancelToken, Instant)` | at the first of the two, by the token's clock |
/// | `(&Clock, Duration)` or `(&Clock, Instant)` | at that time of that clock |
/// | [`Until::forever()`] | never |
///
/// A time too far away to be an [`Instant`] means for ever; none overflows. `Duration::ZERO` and instants in
/// the past do not wait: the call succeeds if it can at once, and is [`TimedOut`](WaitError::TimedOut) if
/// not.
///
/// # Cancellation
/// A token that was cancelled before the call makes the call fail with nothing taken and nothing given. If a
/// token or a time ends the wait while what was waited for arrives, the first of them holds: what arrived
/// before the end is success, however late the thread wakes up. If a time and a token end it together, the
/// call is [`Cancelled`](WaitError::Cancelled) when the token was cancelled by then.
///
/// # Cost
/// Nothing where the call need not wait, except a load for the token: no clock is read.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use selvedge::{CancelToken, error::WaitError, queue::BoundedQueue};
///
/// let queue = BoundedQueue::<u32>::new(8);
/// let stop = CancelToken::new();
/// assert_eq!(queue.pop_until(Duration::from_millis(1)), Err(WaitError::TimedOut));
/// assert_eq!(queue.pop_until((&stop, Duration::ZERO)), Err(WaitError::TimedOut));
/// stop.cancel();
/// assert_eq!(queue.pop_until(&stop), Err(WaitError::Cancelled));
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "a limit does nothing until a call is given it"]
pub struct Until<'a> {
    time: Time,
    token: Option<&'a CancelToken>,
    /// The clock that `time` is read on, where it is not the token's or the system's.
    clock: Option<&'a Clock>,
    /// The token only has the waiter look again: see [`woken_by`](Until::woken_by).
    looks_again: bool,
}

#[derive(Clone, Copy, Debug)]
enum Time {
    Never,
    /// From when the call begins to wait. A limit that is used twice counts twice.
    After(Duration),
    At(Instant),
}

impl<'a> Until<'a> {
    /// No limit.
    pub const fn forever() -> Self {
        Until::time(Time::Never)
    }

    const fn time(time: Time) -> Self {
        Until { time, token: None, clock: None, looks_again: false }
    }

    /// No limit, and a token of ours that has the waiter look again. It opens no cycle, so the wait is written
    /// down for the wait-for graph all the same.
    pub(crate) fn woken_by(token: &'a CancelToken) -> Self {
        Until { looks_again: true, ..Until::from(token) }
    }

    /// The same limit, with `token` in addition. It replaces a token that was there, on whose clock the time
    /// stays; a time that was on no clock yet is read on the new token's.
    pub fn or_cancelled(self, token: &'a CancelToken) -> Self {
        let clock = self.clock.or(self.token.map(CancelToken::clock));
        Until { token: Some(token), clock, ..self }
    }

    /// The limit that has started, for another call: its time does not start anew.
    pub(crate) fn from_here(limit: &'a Limit<'_>) -> Self {
        let time = limit.deadline.map_or(Time::Never, Time::At);
        Until { clock: Some(limit.clock()), token: limit.token, ..Until::time(time) }
    }

    /// Reads a bare time on `clock` instead of the system's.
    pub(crate) fn on_clock(self, clock: &'a Clock) -> Self {
        let own = self.clock.or(self.token.map(CancelToken::clock));
        Until { clock: Some(own.unwrap_or(clock)), ..self }
    }

    /// True if nothing will ever end the wait but what is waited for.
    pub(crate) fn is_unlimited(&self) -> bool {
        matches!(self.time, Time::Never) && self.token.is_none()
    }

    /// Fails if the limit's token was cancelled: what every limited call asks before it does anything.
    #[inline]
    pub(crate) fn check_token(&self) -> Result<(), WaitError> {
        match self.token {
            Some(token) => Ok(token.check()?),
            None => Ok(()),
        }
    }

    /// Makes `attempt`, and while it would block, waits at `place` for a better moment.
    ///
    /// This is the loop of every wait that is not handed what it waits for but told to look again. A wake-up
    /// is never carried off: whoever is granted makes the attempt before it looks at its limit.
    #[inline]
    pub(crate) fn retry<R>(
        self,
        point: &(impl WaitPoint + ?Sized),
        mut attempt: impl FnMut() -> Result<R, TryError>,
    ) -> Result<R, WaitError> {
        // A token that was cancelled before the call takes nothing, though it could.
        self.check_token()?;
        match attempt() {
            Ok(done) => Ok(done),
            Err(TryError::WouldBlock) => self.retry_slowly(point, attempt),
            Err(other) => Err(other.for_good()),
        }
    }

    /// The rest of [`retry`](Until::retry), after the first attempt has failed.
    #[cold]
    pub(crate) fn retry_slowly<R>(
        self,
        point: &(impl WaitPoint + ?Sized),
        mut attempt: impl FnMut() -> Result<R, TryError>,
    ) -> Result<R, WaitError> {
        let limit = self.start();
        let mut lost = 0;
        loop {
            // After an attempt, so that no wake-up is carried off; and in every round, because others may be
            // faster each time that the place looks ready.
            limit.check()?;
            if !limit.spin(|| point.looks_ready()) {
                // Woken by whoever makes an attempt worth while; `join` says why that cannot be missed.
                let waiter = Waiter::new();
                if point.join(&waiter) {
                    let _edge = limit.enter_graph(&waiter, point);
                    // The tie was decided in the slot: a grant that came first is success, however late this
                    // thread wakes up; one that would have come later has gone to the next in line.
                    if let Err(ended) = limit.sleep(&waiter) {
                        point.leave(&waiter);
                        return Err(ended);
                    }
                }
            }
            match attempt() {
                Ok(done) => return Ok(done),
                // Others were faster, though it looked worth while.
                Err(TryError::WouldBlock) => {
                    lost += 1;
                    if lost == PATIENCE {
                        point.take_turn();
                    }
                }
                Err(other) => return Err(other.for_good()),
            }
        }
    }

    /// Fixes the deadline: from here on the time runs.
    pub(crate) fn start(self) -> Limit<'a> {
        let clock = match (self.clock, self.token) {
            (Some(clock), _) => Source::Named(clock),
            (None, Some(token)) => Source::Named(token.clock()),
            (None, None) => Source::Current(Clock::current()),
        };
        let deadline = match self.time {
            Time::Never => None,
            Time::After(duration) => clock.get().after(duration),
            Time::At(instant) => Some(instant),
        };
        Limit { token: self.token, deadline, clock, looks_again: self.looks_again }
    }
}

impl From<Duration> for Until<'_> {
    fn from(duration: Duration) -> Self {
        Until::time(Time::After(duration))
    }
}

impl From<Option<Duration>> for Until<'_> {
    fn from(duration: Option<Duration>) -> Self {
        duration.map_or(Until::forever(), Until::from)
    }
}

impl From<Instant> for Until<'_> {
    fn from(instant: Instant) -> Self {
        Until::time(Time::At(instant))
    }
}

impl<'a> From<&'a CancelToken> for Until<'a> {
    fn from(token: &'a CancelToken) -> Self {
        Until::forever().or_cancelled(token)
    }
}

impl<'a> From<(&'a CancelToken, Duration)> for Until<'a> {
    fn from((token, duration): (&'a CancelToken, Duration)) -> Self {
        Until::from(duration).or_cancelled(token)
    }
}

impl<'a> From<(&'a CancelToken, Option<Duration>)> for Until<'a> {
    fn from((token, duration): (&'a CancelToken, Option<Duration>)) -> Self {
        Until::from(duration).or_cancelled(token)
    }
}

impl<'a> From<(&'a CancelToken, Instant)> for Until<'a> {
    fn from((token, instant): (&'a CancelToken, Instant)) -> Self {
        Until::from(instant).or_cancelled(token)
    }
}

impl<'a> From<(&'a Clock, Duration)> for Until<'a> {
    fn from((clock, duration): (&'a Clock, Duration)) -> Self {
        Until { clock: Some(clock), ..Until::from(duration) }
    }
}

impl<'a> From<(&'a Clock, Instant)> for Until<'a> {
    fn from((clock, instant): (&'a Clock, Instant)) -> Self {
        Until { clock: Some(clock), ..Until::from(instant) }
    }
}
