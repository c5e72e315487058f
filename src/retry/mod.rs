//! Attempts that are repeated after an error, with pauses that grow.

mod error;
mod policy;

use std::fmt;
use std::time::Duration;

pub use error::{Error, Reason};
pub(crate) use policy::Course;
pub use policy::{Jitter, Policy};

use crate::panics;
use crate::until::{Limit, Until};
use crate::wait::Waiter;
use crate::wait::sleeps::Subject;

/// Makes a policy: 3 attempts, 100 ms after the first, twice as long after each, at most 10 s, with full
/// jitter and no budget.
pub fn policy() -> Policy {
    Policy::new()
}

/// Whether an error is worth another attempt, as the closure of [`run_if`] says. A `bool` converts into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Again {
    /// It is not: another attempt would fail in the same way.
    No,
    /// It is, after the pause of the policy.
    Yes,
    /// It is, after exactly this pause instead of the policy's: a server said when, as in `Retry-After`. The
    /// maximum of attempts, the budget and the limit apply all the same.
    After(Duration),
}

impl From<bool> for Again {
    fn from(again: bool) -> Self {
        if again { Again::Yes } else { Again::No }
    }
}

/// One attempt, as the operation sees it.
///
/// # Examples
/// Each attempt may wait for what is left of the limit, and the last one says so:
/// ```
/// use std::time::Duration;
/// use selvedge::{BoundedQueue, retry};
///
/// let queue = BoundedQueue::<u32>::new(1);
/// let policy = retry::policy().first(Duration::from_millis(1));
/// let error = retry::run(Duration::from_secs(60), &policy, |attempt| {
///     if attempt.is_last() {
///         println!("attempt {}: now or never", attempt.number());
///     }
///     queue.try_pop().map_err(|_| "empty")
/// });
/// assert_eq!(error.unwrap_err().attempts, 3);
/// ```
pub struct Attempt<'a> {
    number: usize,
    is_last: bool,
    limit: Until<'a>,
}

impl Attempt<'_> {
    /// Returns the number of this attempt; the first is 1.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Returns true if the policy allows no further attempt.
    pub fn is_last(&self) -> bool {
        self.is_last
    }

    /// Returns what is left of the limit and of the policy's budget, for the blocking calls of this attempt.
    pub fn limit(&self) -> Until<'_> {
        self.limit
    }
}

impl fmt::Debug for Attempt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("number", &self.number).field("is_last", &self.is_last).finish()
    }
}

/// Calls `operation` until it succeeds, as often as `policy` says and until `limit` at most.
///
/// Between two attempts the calling thread sleeps, longer each time. It never begins a sleep that would reach
/// the end of the limit: when the next attempt could not begin in time, the last error is returned at once.
/// Every error is repeated; [`run_if`] chooses.
///
/// # Examples
/// ```
/// use std::{io, time::Duration};
/// use selvedge::{CancelToken, retry};
///
/// # fn connect(attempt: usize) -> io::Result<&'static str> {
/// #     if attempt < 3 { Err(io::ErrorKind::ConnectionRefused.into()) } else { Ok("connected") }
/// # }
/// let stop = CancelToken::new();
/// let policy = retry::policy().attempts(5).first(Duration::from_millis(1));
/// let connection = retry::run((&stop, Duration::from_secs(60)), &policy, |attempt| connect(attempt.number()))?;
/// assert_eq!(connection, "connected"); // the third time
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A test on a [manual clock](crate::ManualClock) takes no time:
/// ```
/// use std::time::Duration;
/// use selvedge::{Clock, retry::{self, Reason}};
///
/// let clock = Clock::manual();
/// let policy = retry::policy().attempts(9).first(Duration::from_secs(3600)).cap(Duration::MAX);
/// let error = std::thread::scope(|s| {
///     let call = s.spawn(|| retry::run((clock.clock(), Duration::from_secs(2 * 3600)), &policy, |_| Err::<(), _>("no")));
///     while !call.is_finished() {
///         clock.advance(Duration::from_secs(60));
///     }
///     call.join().unwrap().unwrap_err()
/// });
/// assert_eq!((error.last, error.reason), (Some("no"), Reason::TimedOut));
/// ```
///
/// # Errors
/// With the last error and the number of attempts, and one of these reasons. [`Reason::Exhausted`]: the
/// policy allows no further attempt. [`Reason::TimedOut`]: the next attempt could not begin before the limit
/// or the budget ends. [`Reason::Cancelled`]: the limit's token was cancelled.
///
/// # Blocking
/// Sleeps between attempts, on the limit's clock. The end of the pause or the limit's token wakes it. Without
/// a limit, a pause beyond the range of [`Instant`](std::time::Instant), such as [`Duration::MAX`], never
/// ends.
///
/// # Cancellation
/// A token that was cancelled before the call allows no attempt; then there is no last error. Otherwise there
/// is at least one attempt, also if the limit's time has passed already, as with every call of this crate
/// that can succeed at once. A cancel during a pause ends the call with the last error. A cancel during an
/// attempt does not interrupt it, unless it waits within [`Attempt::limit`]; a success is returned
/// nevertheless, and an error is the last. A pause that ends together with the limit is not begun.
///
/// # Panics
/// With the panic of `operation`, which is not repeated: it is a bug, and what it left behind is unknown.
/// The error of an earlier attempt is dropped before the next one begins, so no other panic can meet it.
///
/// # Proof
/// Models in `loom-tests/tests/retry.rs`: `a_cancel_ends_the_pause_with_the_last_error`,
/// `an_advance_past_the_pause_begins_the_next_attempt`.
///
/// # Cost
/// An operation that succeeds at once costs reading the clock, if the limit or the budget has a time. A pause
/// costs a sleep. Nothing is allocated without one.
///
/// # Instead
/// A [`Batcher`](crate::Batcher) retries its batches by itself. Inside a task that waits for a pool or a
/// group, prefer a limit: the thread is occupied during the pauses.
#[track_caller]
pub fn run<'a, T, E>(
    limit: impl Into<Until<'a>>,
    policy: &Policy,
    operation: impl FnMut(&Attempt<'_>) -> Result<T, E>,
) -> Result<T, Error<E>> {
    run_if(limit, policy, |_| Again::Yes, operation)
}

/// Like [`run`], and asks `worth` after each error whether another attempt could help. It returns a `bool`
/// or an [`Again`].
///
/// # Examples
/// ```
/// use std::{io, time::Duration};
/// use selvedge::retry::{self, Reason};
///
/// let policy = retry::policy().first(Duration::from_millis(1));
/// let is_passing = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
/// let error = retry::run_if(Duration::from_secs(60), &policy, is_passing, |attempt| match attempt.number() {
///     1 => Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionRefused)),
///     _ => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
/// }).unwrap_err();
/// assert_eq!((error.attempts, error.reason), (2, Reason::Permanent));
/// assert_eq!(error.last.unwrap().kind(), io::ErrorKind::PermissionDenied);
/// ```
///
/// A server that says when to come back:
/// ```
/// use std::time::Duration;
/// use selvedge::retry::{self, Again};
///
/// enum Refused { Busy { retry_after: Option<Duration> }, NoSuchPage }
///
/// let worth = |refused: &Refused| match refused {
///     Refused::Busy { retry_after: Some(pause) } => Again::After(*pause),
///     Refused::Busy { retry_after: None } => Again::Yes,
///     Refused::NoSuchPage => Again::No,
/// };
/// let page = retry::run_if(Duration::from_secs(60), &retry::policy(), worth, |attempt| match attempt.number() {
///     1 => Err(Refused::Busy { retry_after: Some(Duration::from_millis(1)) }),
///     _ => Ok("a page"),
/// });
/// assert!(page.is_ok());
/// ```
///
/// # Errors
/// As [`run`], and [`Reason::Permanent`] if `worth` said no.
///
/// # Panics
/// As [`run`], and with the panic of `worth`.
#[track_caller]
pub fn run_if<'a, T, E, A: Into<Again>>(
    limit: impl Into<Until<'a>>,
    policy: &Policy,
    mut worth: impl FnMut(&E) -> A,
    mut operation: impl FnMut(&Attempt<'_>) -> Result<T, E>,
) -> Result<T, Error<E>> {
    let mut limit = limit.into().start_for(Subject::named("retry::run"));
    // A token that was cancelled before the call wins; a time that has passed allows one attempt.
    if let Err(cancelled) = check_token(&limit) {
        return Err(Error::new(None, 0, cancelled));
    }
    let course = policy.begin(limit.clock());
    limit.end_by(course.end());
    for number in 1.. {
        let is_last = course.is_last(number);
        let attempt = Attempt { number, is_last, limit: Until::from_here(&limit) };
        let error = match operation(&attempt) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let (error, again) = ask(error, &mut worth);
        let paused = course.pause(number, again).and_then(|pause| sleep(&limit, pause));
        if let Err(reason) = paused {
            return Err(Error::new(Some(error), number, reason));
        }
        // Dropped before the next attempt: if that panicked, the drop would run during the unwinding.
        drop(error);
    }
    unreachable!("usize::MAX attempts")
}

/// Asks the caller's closure about an error.
fn ask<E, A: Into<Again>>(error: E, worth: &mut impl FnMut(&E) -> A) -> (E, Again) {
    match panics::catch(|| worth(&error).into()) {
        Ok(again) => (error, again),
        // The error is dropped before the panic goes on: a second panic during unwinding would abort.
        Err(payload) => {
            panics::discard(error);
            panics::resume(payload)
        }
    }
}

/// Sleeps for `pause` of the limit's clock, unless the limit ends before the next attempt could begin.
fn sleep(limit: &Limit<'_>, pause: Duration) -> Result<(), Reason> {
    check_token(limit)?;
    let at = limit.clock().after(pause);
    // Tie: an attempt that began at the end of the limit would be late, so its pause is in vain.
    if limit.ends_by(limit.clock(), at) {
        return Err(Reason::TimedOut);
    }
    if pause.is_zero() {
        return Ok(());
    }
    // Until the pause is over: the time is the condition of this wait. The token ends it earlier; the sleep
    // registers with it and looks at it, so a cancel since the check above is not missed. Tie: the first of
    // the two holds.
    Ok(limit.sleep_to(&Waiter::new(), limit.clock(), at)?)
}

fn check_token(limit: &Limit<'_>) -> Result<(), Reason> {
    match limit.token() {
        Some(token) => token.check().map_err(|_| Reason::Cancelled),
        None => Ok(()),
    }
}
