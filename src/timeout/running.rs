//! The handle to a function whose limit has passed.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::job::{LetsGo, Outcome, Runs};
use crate::error::{JoinError, Panic, Rejected, WaitError};
use crate::sync::Arc;
use crate::until::Until;
use crate::wait::{self, WaitPoint};

/// A function that still runs, or ended after its limit; from
/// [`Error::Late`](super::Error::Late).
///
/// Its token is cancelled. Dropping the handle lets the function run on by itself; its result is dropped when
/// it comes, and of a panic, its own or that of the drop, the panic hook has told.
///
/// # Blocking
/// [`join`](Running::join) and [`join_until`](Running::join_until) block until the function has ended;
/// dropping the handle never does. The function has a thread of its own, so nothing that the caller does
/// keeps it from ending.
///
/// # Cancellation
/// A function that ended before the limit of a join passed has ended, however late the joiner wakes up. After
/// a time-out the handle is in the error.
///
/// # Ordering
/// What the function did is visible to who has its result.
#[must_use = "dropping the handle loses the result of what still runs"]
pub struct Running<R> {
    job: Arc<dyn Runs<R>>,
}

impl<R> Running<R> {
    /// Waits for the function to end and takes its result.
    ///
    /// # Errors
    /// [`JoinError::Panicked`] with the payload, or [`JoinError::WouldDeadlock`] if the function waits,
    /// itself or through others, for this thread.
    #[track_caller]
    pub fn join(self) -> Result<R, JoinError> {
        match self.join_until(Until::forever()) {
            Ok(result) => result,
            Err(_) => Err(JoinError::WouldDeadlock), // a forever limit does not end
        }
    }

    /// Like [`join`](Running::join), and waits at most until `limit`. The outer result says whether the
    /// function ended, the inner one how.
    ///
    /// # Errors
    /// With the handle: [`WaitError::TimedOut`], [`WaitError::Cancelled`], or [`WaitError::WouldDeadlock`] if
    /// the function waits for this thread.
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

    /// Waits for the function to end, at most until `limit`, and leaves its result.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`], [`WaitError::Cancelled`], or [`WaitError::WouldDeadlock`] if the function
    /// waits for this thread.
    #[track_caller]
    pub fn wait_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<(), WaitError> {
        self.job.wait(limit.into().called("Running::join"))
    }

    /// Takes the function's result if it has ended.
    ///
    /// # Errors
    /// The handle itself, if it has not.
    pub fn try_join(self) -> Result<Result<R, JoinError>, Self> {
        self.take().map(ended).ok_or(self)
    }

    /// True once the function has ended.
    pub fn is_finished(&self) -> bool {
        self.job.is_finished()
    }

    /// Where to wait for the end.
    pub(crate) fn end(&self) -> &dyn WaitPoint {
        self.job.end()
    }

    pub(crate) fn runs_here(&self) -> bool {
        self.job.runs_here()
    }

    pub(super) fn new(job: Arc<dyn Runs<R>>) -> Self {
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
        let later = |job: &Arc<dyn Runs<R>>| -> Box<dyn FnOnce()> {
            let job = Arc::clone(job) as Arc<dyn LetsGo>;
            Box::new(move || job.let_go())
        };
        wait::drop_link(&self.job, |job| job.let_go(), later);
    }
}

impl<R> fmt::Debug for Running<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}

impl<R> UnwindSafe for Running<R> {}
impl<R> RefUnwindSafe for Running<R> {}
