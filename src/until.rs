//! The limit of a wait: the one argument of every `_until`.

use std::cell::Cell;
use std::panic::Location;
use std::time::{Duration, Instant};

mod limit;

use crate::cancel::CancelToken;
use crate::clock::Clock;
use crate::error::{TryError, WaitError};
use crate::wait::sleeps::Subject;
use crate::wait::{PATIENCE, WaitPoint, Waiter};
use limit::Source;
pub(crate) use limit::{Limit, Timed};

/// A limit on a wait: a time, a token, both, or neither.
///
/// Every call that can block takes `impl Into<Until>`, so any of these can be passed directly:
///
/// | passed | latest end of the wait |
/// |---|---|
/// | `Duration` | that long after the call begins to wait, by the system's clock (or a test's: [`ManualClock::scope`](crate::ManualClock::scope)) |
/// | `Option<Duration>` | the same, or never for `None`: for an optional time-out |
/// | `Instant` | that instant of the same clock |
/// | `&CancelToken` | when the token is cancelled or its deadline passes |
/// | `(&CancelToken, Duration)`, `(&CancelToken, Option<Duration>)` or `(&CancelToken, Instant)` | the first of the two, by the token's clock |
/// | `(&Clock, Duration)` or `(&Clock, Instant)` | that time of that clock |
/// | [`Until::forever()`] | never |
///
/// A time beyond the range of [`Instant`] means no limit; nothing overflows. With `Duration::ZERO` or an
/// instant in the past the call does not wait: it succeeds if it can at once, and otherwise fails with
/// [`TimedOut`](WaitError::TimedOut).
///
/// # Cancellation
/// A token that was cancelled before the call makes the call fail with no effect. If a token or a time ends
/// the wait while its condition comes true, the first of them decides: a condition that came true before the
/// end is success, however late the thread wakes up. If a time and a token end the wait together, the call
/// fails with [`Cancelled`](WaitError::Cancelled) if the token was cancelled by then.
///
/// # Cost
/// A load for the token if the call need not wait. No clock is read in that case.
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
    /// The clock for `time`, if it is neither the token's nor the system's.
    clock: Option<&'a Clock>,
    /// The token only makes the waiter try again: see [`woken_by`](Until::woken_by).
    looks_again: bool,
    /// The waiting call, for the register of sleeps.
    operation: Option<Operation>,
}

/// The name and the location of a waiting call.
type Operation = (&'static str, &'static Location<'static>);

#[derive(Clone, Copy, Debug)]
enum Time {
    Never,
    /// After the call begins to wait. A limit that is passed to two calls starts twice.
    After(Duration),
    At(Instant),
}

impl<'a> Until<'a> {
    /// Makes a limit that never ends a wait.
    pub const fn forever() -> Self {
        Until::time(Time::Never)
    }

    const fn time(time: Time) -> Self {
        Until { time, token: None, clock: None, looks_again: false, operation: None }
    }

    /// Makes an unlimited wait that is interrupted by a token of this crate, so that the waiter tries again.
    /// Such a token breaks no cycle, so the wait still has an edge in the wait-for graph.
    pub(crate) fn woken_by(token: &'a CancelToken) -> Self {
        Until { looks_again: true, ..Until::from(token) }
    }

    /// Adds `token` to the limit. It replaces an earlier token, but a time that the earlier token's clock
    /// measures stays on that clock; a time without a clock is measured by the new token's.
    pub fn or_cancelled(self, token: &'a CancelToken) -> Self {
        let clock = self.clock.or(self.token.map(CancelToken::clock));
        Until { token: Some(token), clock, ..self }
    }

    /// Makes a limit for another call from one that has started, without starting its time again.
    pub(crate) fn from_here(limit: &'a Limit<'_>) -> Self {
        let time = limit.deadline.map_or(Time::Never, Time::At);
        Until { clock: Some(limit.clock()), token: limit.token, ..Until::time(time) }
    }

    /// Sets the name and the location of the waiting call, for the register of [sleeps](crate::wait::sleeps).
    /// A wait without a name is not in it.
    #[inline]
    #[track_caller]
    pub(crate) fn called(self, operation: &'static str) -> Self {
        Until { operation: Some((operation, Location::caller())), ..self }
    }

    /// Measures a time that has no clock yet by `clock` instead of the system's.
    pub(crate) fn on_clock(self, clock: &'a Clock) -> Self {
        let own = self.clock.or(self.token.map(CancelToken::clock));
        Until { clock: Some(own.unwrap_or(clock)), ..self }
    }

    /// True if only the condition can end the wait.
    pub(crate) fn is_unlimited(&self) -> bool {
        matches!(self.time, Time::Never) && self.token.is_none()
    }

    /// Fails if the token was cancelled. Every limited call checks this before it does anything.
    #[inline]
    pub(crate) fn check_token(&self) -> Result<(), WaitError> {
        match self.token {
            Some(token) => Ok(token.check()?),
            None => Ok(()),
        }
    }

    /// Makes `attempt`, and while it would block, waits at `point` for a change that makes it worth
    /// repeating.
    ///
    /// This is the loop of every wait in which the waiter tries again after it was woken. A wake-up is never
    /// lost to a limit: a waiter that was granted repeats the attempt before it checks its limit.
    #[inline]
    pub(crate) fn retry<R>(
        self,
        point: &(impl WaitPoint + ?Sized),
        mut attempt: impl FnMut() -> Result<R, TryError>,
    ) -> Result<R, WaitError> {
        // A token that was cancelled before the call wins, even if the attempt could succeed.
        self.check_token()?;
        match attempt() {
            Ok(done) => Ok(done),
            Err(TryError::WouldBlock) => self.retry_slowly(point, attempt),
            Err(other) => Err(other.for_good()),
        }
    }

    /// The slow path of [`retry`](Until::retry), after the first attempt has failed.
    #[cold]
    pub(crate) fn retry_slowly<R>(
        self,
        point: &(impl WaitPoint + ?Sized),
        mut attempt: impl FnMut() -> Result<R, TryError>,
    ) -> Result<R, WaitError> {
        let mut limit = self.start();
        let mut lost = 0;
        loop {
            // Checked after an attempt, so that a granted wake-up is used. Checked in each round, since other
            // threads may be faster each time the point looks ready.
            limit.check()?;
            // Only in the first round: a waiter that has lost spins no longer than others do.
            let is_ready = lost == 0 && point.spin_first();
            if !is_ready && !limit.spin(|| point.looks_ready()) {
                // Waits for a change that makes an attempt worth repeating. The thread that makes the change
                // takes the waiter out of the list and wakes it. `join` checks for the change in the critical
                // section in which the waiter joins the list, so the wake-up cannot be missed.
                let waiter = Waiter::new();
                if point.join(&waiter) {
                    limit.describe(
                        self.operation.map(|(name, at)| (point.describe(Subject::new(name, point)), at)),
                    );
                    let _edge = limit.enter_graph(&waiter, !point.must_stay(), || point.awaited());
                    // Tie: the waiter's outcome decides. A grant that came first is success, however late
                    // this thread wakes up; a later one has failed, and its granter has woken the next
                    // waiter.
                    if let Err(ended) = limit.sleep(&waiter) {
                        // The list may still contain the waiter; a granter that took it out has learnt from
                        // `end` that it was late.
                        point.leave(&waiter);
                        return Err(ended);
                    }
                }
            }
            match attempt() {
                Ok(done) => return Ok(done),
                // Another thread was faster.
                Err(TryError::WouldBlock) => {
                    // Counts lost races, not wake-ups: a waiter that wins at once after many sleeps needs no
                    // turn.
                    lost += 1;
                    if lost == PATIENCE {
                        point.take_turn();
                    }
                }
                Err(other) => return Err(other.for_good()),
            }
        }
    }

    /// Like [`start`](Until::start), for sleeps whose subject is already known.
    #[track_caller]
    pub(crate) fn start_for(self, subject: Subject) -> Limit<'a> {
        let mut limit = self.start();
        limit.describe(Some((subject, Location::caller())));
        limit
    }

    /// Starts the limit's time, and fixes the deadline.
    pub(crate) fn start(self) -> Limit<'a> {
        // A named clock first, then the token's, then the thread's: the more explicit one wins.
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
        Limit {
            token: self.token,
            deadline,
            clock,
            looks_again: self.looks_again,
            subject: self.operation.map(|(name, at)| (Subject::named(name), at)),
            awaited: None,
            looked_at: Cell::new(None),
        }
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
