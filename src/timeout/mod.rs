//! A bound on how long a caller waits for a function, and a handle to what still runs then.

mod error;
mod job;
mod running;

use crate::cancel::{CancelToken, Cause};
use crate::error::{Rejected, WaitError};
use crate::panics;
use crate::sync::Arc;
use crate::until::{Limit, Until};
use crate::wait::OneShot;
use crate::wait::cache;
use crate::wait::context::Inherited;

pub use error::Error;
pub use running::Running;

use job::{Bound, Job, deliver};

/// Runs `f` on another thread and waits for it, at most until `limit`.
///
/// `f` is handed a token that is cancelled when the limit passes, so that it can stop; it wakes from whatever
/// call of this crate it sleeps in with that token. What does not stop is not lost: the caller gets a handle
/// to it. If the limit has passed already, nothing starts, and the closure comes back.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use selvedge::timeout;
///
/// let sum = timeout::run(Duration::from_secs(60), |_| (1..=10).sum::<u32>()).unwrap();
/// assert_eq!(sum, 55);
/// ```
///
/// The function's own error comes through, and a time-out is another:
/// ```
/// use std::{io, time::Duration};
/// use selvedge::{error::WaitError, timeout};
///
/// fn fetch(patience: Duration) -> Result<String, Box<dyn std::error::Error>> {
///     let page = timeout::run(patience, |stop| match stop.sleep(Duration::from_millis(1)) {
///         Ok(()) => Ok(String::from("a page")),
///         Err(_) => Err(io::Error::other("stopped")),
///     })??; // the first `?` is the time-out's, the second the function's
///     Ok(page)
/// }
/// assert_eq!(fetch(Duration::from_secs(60)).unwrap(), "a page");
/// assert!(fetch(Duration::ZERO).is_err()); // nothing was started
///
/// let (sends, receives) = std::sync::mpsc::channel();
/// let late = timeout::run(Duration::from_millis(10), move |_| {
///     receives.recv().unwrap() // does not hear of the limit
/// }).unwrap_err();
/// assert_eq!(late.reason(), WaitError::TimedOut);
/// if let Some(running) = late.into_running() { // or it had not even started, and does not now
///     sends.send("at last").unwrap();
///     assert_eq!(running.join().unwrap(), "at last");
/// }
/// ```
///
/// # Errors
/// [`Error::NotStarted`] with the closure, or [`Error::Late`] with a handle to the function, which still runs
/// or ended too late; each with [`WaitError::TimedOut`], or [`WaitError::Cancelled`] if it was the limit's
/// token.
///
/// # Blocking
/// Until `f` has returned or the limit has passed.
///
/// # Cancellation
/// What counts is when `f` ended, by the limit's own clock and token. If it ended before the limit passed,
/// its result is returned, however late the caller wakes up. If it ended at the limit or after it, it is late
/// and never returned as a success: a function that returns because its token was cancelled by the limit is
/// always an [`Error::Late`]. What it returned is in the error all the same: [`Error::into_value`] takes it
/// out.
/// ```
/// use std::time::Duration;
/// use selvedge::{error::Cancelled, timeout};
///
/// let late = timeout::run(Duration::from_millis(2), |stop| stop.sleep(Duration::from_secs(60))).unwrap_err();
/// if let Some(running) = late.into_running() { // it had started
///     assert_eq!(running.join(), Ok(Err(Cancelled))); // what it returned when it was told to stop
/// }
/// ```
///
/// # Panics
/// As `f` does, with its payload, if `f` panics before the limit passes. Afterwards the panic is the
/// [`Running`] handle's; if that is dropped, the panic hook has reported it.
///
/// # Ordering
/// What was done before the call is visible to `f`; what `f` did is visible to who has its result.
///
/// # Proof
/// Models in `loom-tests/tests/timeout.rs`.
///
/// # Cost
/// No thread is started if one of this crate is idle ([`group::threads`](crate::group::threads)); two
/// allocations, and two for the token. Bench `timeout`. If the operating system refuses a thread, `f` runs on
/// the caller's, which then waits for it as long as it takes.
///
/// # Instead
/// Nothing, if `f` only waits in calls of this crate: give those the limit.
#[track_caller]
pub fn run<'a, F, R>(limit: impl Into<Until<'a>>, f: F) -> Result<R, Error<F, R>>
where
    F: FnOnce(&CancelToken) -> R + Send + 'static,
    R: Send + 'static,
{
    let limit = limit.into().start();
    if let Err(error) = limit.check() {
        return Err(Error::NotStarted(Rejected::new(f, error)));
    }
    let (token, wait) = (token_within(&limit), Until::from_here(&limit));
    let bound = Bound::new(&limit);
    let job = Arc::new(Job { end: OneShot::new(f), token, bound });
    let called = cache::call({
        let (job, inherited) = (Arc::clone(&job), Inherited::current());
        move || inherited.run(|| job.run())
    });
    if called.is_err() {
        job.run();
    }
    let waited = wait.called("timeout::run").retry(&job.end, || job.end.look(|ended| ended.late));
    // Whether the wait ended by the function or by the limit, it is the function's own end that decides.
    let late = waited.unwrap_or_else(Some);
    let result = match job.take_in_time() {
        Some(result) => {
            drop(job);
            result
        }
        None => {
            let error = late.unwrap_or_else(|| unreachable!("in time, and taken by nobody else"));
            return Err(give_up(job, error, cause_of(error, &limit)));
        }
    };
    Ok(deliver(result))
}

/// Why the function is told to stop: for the reason that the limit's token had, or for the time.
fn cause_of(error: WaitError, limit: &Limit<'_>) -> Cause {
    match error {
        WaitError::TimedOut => Cause::DeadlinePassed,
        WaitError::Cancelled => limit.token().and_then(CancelToken::cause).unwrap_or(Cause::DeadlinePassed),
        // The caller has given up a wait that could never end.
        _ => Cause::Requested,
    }
}

/// A token that is cancelled with the limit's, and when its time passes.
fn token_within(limit: &Limit<'_>) -> CancelToken {
    let time = limit.deadline().map(|at| Until::from((limit.clock(), at)));
    match (limit.token(), time) {
        (None, None) => CancelToken::with_clock(limit.clock()),
        (None, Some(time)) => CancelToken::with_clock(limit.clock()).child_until(time),
        (Some(token), Some(time)) if limit.clock().is_same(token.clock()) => token.child_until(time),
        // A token has one clock. `give_up` cancels it when the time of the other has passed.
        (Some(token), _) => token.child(),
    }
}

/// The limit has passed, and the function did not end before.
fn give_up<F, R>(job: Arc<Job<F, R>>, error: WaitError, cause: Cause) -> Error<F, R>
where
    F: FnOnce(&CancelToken) -> R + Send + 'static,
    R: Send + 'static,
{
    // Whoever claims the function has it alone, so it starts before this or never.
    if let Some(f) = job.end.claim() {
        return Error::NotStarted(Rejected::new(f, error));
    }
    // It cancels itself; here for a time on another clock, and so that all have heard by the return. The
    // one who cancels the parent may be on its way to this child still, so the reason goes with it: the
    // first holds. A callback's panic ends here, as it does where the deadline finds the token: the
    // caller is to get the handle.
    panics::contain(|| job.token.cancel_for(cause));
    Error::Late(Rejected::new(Running::new(job), error))
}

#[cfg(all(test, not(any(loom, selvedge_loom))))]
mod tests {
    use super::job::Runs;
    use super::*;

    /// Fails if what has not started when the limit passes is left to start later (edit
    /// `timeout-leaves-what-has-not-started`). From outside that looks like a function that was just about to
    /// begin.
    #[test]
    fn function_that_nobody_has_started_comes_back_and_never_starts() {
        let limit = Until::forever().start();
        let token = CancelToken::new();
        let job = Arc::new(Job { end: OneShot::new(|_: &CancelToken| 7), token, bound: Bound::new(&limit) });
        let error = give_up(Arc::clone(&job), WaitError::TimedOut, Cause::DeadlinePassed);
        let Error::NotStarted(back) = error else { panic!("{error:?}") };
        assert_eq!((back.value)(&CancelToken::new()), 7);
        // The helper that was called comes now.
        job.run();
        assert!(job.take().is_none());
    }
}
