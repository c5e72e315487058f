//! A handle to a function whose limit has passed.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::job::{Detach, Joinable, Outcome};
use crate::error::{JoinError, Panic, Rejected, WaitError};
use crate::sync::Arc;
use crate::until::Until;
use crate::wait::{self, WaitPoint};

/// A handle to a function that still runs or ended after its limit, for its result; returned in
/// [`Error::Late`](super::Error::Late).
///
/// The function's token is cancelled. Dropping the handle lets the function run on; its result is dropped
/// when it ends. A panic of the function or of that drop is reported by the panic hook only.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use selvedge::timeout;
///
/// let (sends, receives) = std::sync::mpsc::channel();
/// let late = timeout::run(Duration::from_millis(5), move |_| receives.recv()).unwrap_err();
/// if let Some(running) = late.into_running() { // it had started
///     sends.send(7)?;
///     assert_eq!(running.join()?, Ok(7));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Blocking
/// [`join`](Running::join), [`join_until`](Running::join_until) and [`wait_until`](Running::wait_until) block
/// until the function has ended; the thread that runs it wakes the joiner. Dropping the handle never blocks.
/// The function has a thread of its own, so nothing that the caller does keeps it from ending.
///
/// # Cancellation
/// If the function ended before the limit of a join passed, the join succeeds, however late the joiner wakes
/// up. A join that ends early returns the handle in the error.
///
/// # Panics
/// The function's panic is in the [`JoinError`]; [`Panic::resume`](crate::error::Panic::resume) continues it.
///
/// # Ordering
/// What the function did is visible to the thread that has its result.
///
/// # Proof
/// Models in `loom-tests/tests/timeout.rs`:
/// `a_result_is_returned_or_in_the_handle_or_the_function_comes_back`,
/// `a_panic_comes_at_the_call_or_at_the_join`.
///
/// # Cost
/// A reference to the call's own allocation.
///
/// # Instead
/// Use [`Error::into_value`](super::Error::into_value) if a result that is there already is enough.
#[must_use = "dropping the handle loses the result of what still runs"]
pub struct Running<R> {
    job: Arc<dyn Joinable<R>>,
}

impl<R> Running<R> {
    /// Waits for the function to end and takes its result.
    ///
    /// # Errors
    /// [`JoinError::Panicked`] with the payload, or [`JoinError::WouldDeadlock`] if the function waits,
    /// directly or through others, for the calling thread.
    #[track_caller]
    pub fn join(self) -> Result<R, JoinError> {
        match self.join_until(Until::forever()) {
            Ok(result) => result,
            Err(_) => Err(JoinError::WouldDeadlock), // a forever limit does not end
        }
    }

    /// Like [`join`](Running::join), waiting until `limit` at most. The outer result says whether the
    /// function has ended, the inner one how.
    ///
    /// # Errors
    /// With the handle: [`WaitError::TimedOut`], [`WaitError::Cancelled`], or [`WaitError::WouldDeadlock`] if
    /// the function waits for the calling thread.
    #[track_caller]
    pub fn join_until<'a>(
        self,
        limit: impl Into<Until<'a>>,
    ) -> Result<Result<R, JoinError>, Rejected<Self, WaitError>> {
        match self.wait_until(limit) {
            Ok(()) => Ok(ended(self.take().expect("it has ended, and nobody else takes its result"))),
            Err(error) => Err(Rejected::new(self, error)),
        }
    }

    /// Waits for the function to end, until `limit` at most, and leaves its result in place.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`], [`WaitError::Cancelled`], or [`WaitError::WouldDeadlock`] if the function
    /// waits for the calling thread.
    #[track_caller]
    pub fn wait_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<(), WaitError> {
        // No missed wake-up: the one-shot publishes the end under its lock and takes the waiters out.
        self.job.wait(limit.into().called("Running::join"))
    }

    /// Takes the function's result if it has ended.
    ///
    /// # Errors
    /// The handle itself, if it has not.
    pub fn try_join(self) -> Result<Result<R, JoinError>, Self> {
        self.take().map(ended).ok_or(self)
    }

    /// Returns true once the function has ended.
    pub fn is_finished(&self) -> bool {
        self.job.is_finished()
    }

    /// The wait point of its end.
    pub(crate) fn end(&self) -> &dyn WaitPoint {
        self.job.end()
    }

    pub(crate) fn runs_here(&self) -> bool {
        self.job.runs_here()
    }

    pub(super) fn new(job: Arc<dyn Joinable<R>>) -> Self {
        Running { job }
    }

    /// The function's result or payload, if it has ended.
    pub(super) fn take(&self) -> Option<Outcome<R>> {
        self.job.take()
    }
}

fn ended<R>(result: Outcome<R>) -> Result<R, JoinError> {
    result.map_err(|payload| JoinError::Panicked(Panic::new(payload)))
}

impl<R> Drop for Running<R> {
    /// Lets the function run on.
    fn drop(&mut self) {
        let later = |job: &Arc<dyn Joinable<R>>| -> Box<dyn FnOnce()> {
            let job = Arc::clone(job) as Arc<dyn Detach>;
            Box::new(move || job.detach())
        };
        // The result may contain another handle, and so on: dropped in a loop, not recursively.
        wait::drop_link(&self.job, |job| job.detach(), later);
    }
}

impl<R> fmt::Debug for Running<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}

impl<R> UnwindSafe for Running<R> {}
impl<R> RefUnwindSafe for Running<R> {}
