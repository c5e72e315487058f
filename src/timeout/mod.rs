//! Time limits for functions that cannot be interrupted.

mod error;
mod job;
mod running;

use crate::cancel::{CancelToken, Cause};
use crate::error::{Rejected, WaitError};
use crate::panics;
use crate::sync::Arc;
use crate::until::{Limit, Until};
use crate::wait::cache::{self, Call, Caller};

pub use error::Error;
pub use running::Running;

use job::{Bound, Job, deliver};

/// Runs `f` on another thread and waits for it, until `limit` at most.
///
/// `f` gets a token that is cancelled when the limit passes and wakes it from any blocking call of this crate
/// that uses the token. If `f` does not stop, the caller gets a handle to it. If the limit has passed
/// already, nothing starts, and the closure is returned.
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
/// The function's own error is returned inside; a time-out is the outer error:
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
/// [`Error::NotStarted`], with the closure, or [`Error::Late`], with a handle to the function, which still
/// runs or ended too late. Each with [`WaitError::TimedOut`], or [`WaitError::Cancelled`] if the limit's
/// token was cancelled.
///
/// # Blocking
/// Blocks until `f` has returned or the limit has passed; the thread that runs `f`, the token, or the
/// deadline wakes it.
///
/// # Cancellation
/// What counts is when `f` ended, by the limit's own clock and token. If it ended before the limit passed,
/// its result is returned, however late the caller wakes up. If it ended at the limit or after it, it is late
/// and never a success: a function that returns because the limit cancelled its token always causes an
/// [`Error::Late`]. The error contains the result nevertheless: [`Error::into_value`] returns it.
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
/// With the payload of `f`, if `f` panics before the limit passes. A later panic goes to the [`Running`]
/// handle; if that is dropped, only the panic hook reports it.
///
/// # Ordering
/// What a thread did before the call is visible to `f`. What `f` did is visible to the thread that has its
/// result.
///
/// # Proof
/// Models in `loom-tests/tests/timeout.rs`:
/// `a_result_is_returned_or_in_the_handle_or_the_function_comes_back`, `the_limit_wakes_the_function`,
/// `what_heeds_the_limit_is_late`, `a_panic_comes_at_the_call_or_at_the_join`,
/// `a_function_without_a_thread_runs_on_its_caller`.
///
/// # Cost
/// No thread is started if one of this crate is idle ([`group::threads`](crate::group::threads)). Two
/// allocations, one of them for the token. An instant function takes 0.6 to 1.2 µs of its caller, if calls
/// follow one another: both threads spin briefly, for 3 µs at most, and hardly at all while that is in vain.
/// After a pause of some 15 µs the other thread sleeps, and waking it takes 30 to 45 µs, which only a thread
/// that never sleeps could save. If both share a processor, a call takes two switches of the scheduler, 5 µs.
/// The system decides that, and may leave them there for long though another processor is idle: a round of
/// bench `timeout`, whose rivals start threads in between, takes 1.0 to 6.4 µs a call.
///
/// If the operating system refuses a thread, `f` runs on the calling thread, however long it takes.
///
/// # Instead
/// Nothing is needed if `f` only waits in calls of this crate: pass those the limit.
#[track_caller]
pub fn run<'a, F, R>(limit: impl Into<Until<'a>>, f: F) -> Result<R, Error<F, R>>
where
    F: FnOnce(&CancelToken) -> R + Send + 'static,
    R: Send + 'static,
{
    let limit = limit.into().start();
    // Before a thread is requested: an expired limit costs nothing, and the closure comes back.
    if let Err(error) = limit.check() {
        return Err(Error::NotStarted(Rejected::new(f, error)));
    }
    let (token, wait) = (token_within(&limit), Until::from_here(&limit));
    let job = Arc::new(Job::new(f, token, Bound::new(&limit)));
    let called = cache::call(Call::Shared(Arc::clone(&job) as Arc<dyn Caller>));
    // Without a thread, running `f` late is better than not at all; the check below decides whether it was in
    // time.
    if called.is_err() {
        job.run();
    }
    let waited = job.wait_for_end(wait);
    // Whether the function or the limit ended the wait, the time at which the function ended decides.
    let late = waited.unwrap_or_else(Some);
    let result = match job.take_in_time() {
        Some(result) => {
            // Before a panic resumes: nothing of this crate is left to unwind.
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

/// Why the function is asked to stop: the cause of the limit's token, or its time.
fn cause_of(error: WaitError, limit: &Limit<'_>) -> Cause {
    match error {
        WaitError::TimedOut => Cause::DeadlinePassed,
        WaitError::Cancelled => limit.token().and_then(CancelToken::cause).unwrap_or(Cause::DeadlinePassed),
        // The wait could never end, and the caller gives up.
        _ => Cause::Requested,
    }
}

/// A token that is cancelled with the limit's token, and when the limit's time passes.
fn token_within(limit: &Limit<'_>) -> CancelToken {
    match (limit.token(), limit.deadline()) {
        (None, None) => CancelToken::with_clock(limit.clock()),
        (None, Some(at)) => CancelToken::ending_at(limit.clock(), at),
        (Some(token), Some(at)) if limit.clock().is_same(token.clock()) => token.loose_child(Some(at)),
        // A token has one clock. `give_up` cancels the token when the time of the other clock has passed.
        (Some(token), _) => token.loose_child(None),
    }
}

/// The limit has passed, and the function had not ended before.
fn give_up<F, R>(job: Arc<Job<F, R>>, error: WaitError, cause: Cause) -> Error<F, R>
where
    F: FnOnce(&CancelToken) -> R + Send + 'static,
    R: Send + 'static,
{
    if let Some(f) = job.take_back() {
        return Error::NotStarted(Rejected::new(f, error));
    }
    // The token cancels itself, except for a time on another clock; and all callbacks must have run when this
    // returns. The thread that cancels the parent may not have reached this child, so the cause is passed
    // along: the first one stays. A callback's panic is contained, as it is when the deadline cancels the
    // token: the caller must get the handle.
    panics::contain(|| job.token.cancel_for(cause));
    Error::Late(Rejected::new(Running::new(job), error))
}

#[cfg(all(test, not(any(loom, selvedge_loom))))]
mod tests {
    use super::job::Joinable;
    use super::*;

    /// Fails if a function that has not started when the limit passes may still start (edit
    /// `timeout-leaves-what-has-not-started`). From outside, that looks like a function that was just about
    /// to start.
    #[test]
    fn function_that_nobody_has_started_comes_back_and_never_starts() {
        let limit = Until::forever().start();
        let token = CancelToken::new();
        let job = Arc::new(Job::new(|_: &CancelToken| 7, token, Bound::new(&limit)));
        let error = give_up(Arc::clone(&job), WaitError::TimedOut, Cause::DeadlinePassed);
        let Error::NotStarted(back) = error else { panic!("{error:?}") };
        assert_eq!((back.value)(&CancelToken::new()), 7);
        // The helper arrives only now.
        job.run();
        assert!(job.take().is_none());
    }
}
