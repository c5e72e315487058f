//! The handle to a submitted closure, and how it can end.

use std::any::Any;
use std::error::Error;
use std::fmt;

use super::job::{Joinable, Runs, report_unjoined};
use super::knot;
use super::worker::Shared;
use crate::crew::nested;
use crate::error::{Rejected, TryError, WaitError};
use crate::inside::{self, this_thread};
use crate::panics::{self, Payload};
use crate::sync::{Arc, Mutex};
use crate::until::Until;

/// A submitted closure; gives its result to one who joins it.
///
/// Dropping the handle lets the task run on without it. Joining consumes the handle, so nobody can join
/// twice:
///
/// ```compile_fail,E0382
/// let pool = selvedge::Pool::builder().build().unwrap();
/// let task = pool.submit(|| 1).unwrap();
/// let once = task.join();
/// let twice = task.join();
/// ```
#[must_use = "dropping the handle loses the result; `execute` is for tasks without one"]
pub struct Task<R> {
    job: Arc<dyn Joinable<R>>,
    pool: Arc<Shared>,
}

/// Why a task has no result.
pub enum TaskError {
    /// It panicked.
    Panicked(Panic),
    /// It was cancelled before it started, by its handle or by the pool's abort.
    Cancelled,
    /// It is joined by the thread that it runs on, or by a task that it waits for itself: waiting would never end.
    WouldDeadlock,
}

/// What a task panicked with.
///
/// Can be sent and shared, whatever the payload is, so it fits into any error type.
pub struct Panic {
    message: String,
    payload: Mutex<Payload>,
}

impl<R> Task<R> {
    pub(super) fn new(job: Arc<dyn Joinable<R>>, pool: Arc<Shared>) -> Self {
        Task { job, pool }
    }

    /// Waits for the task to end and takes its result. A worker of the same pool runs a task that nobody has
    /// started, instead of waiting for it.
    ///
    /// # Errors
    /// [`TaskError::Panicked`] with the payload, [`TaskError::Cancelled`], or
    /// [`TaskError::WouldDeadlock`] if the task joins itself, or one that joins it.
    pub fn join(self) -> Result<R, TaskError> {
        match self.join_until(Until::forever()) {
            Ok(result) => result,
            Err(_) => unreachable!("a forever limit does not end"),
        }
    }

    /// Takes the result if the task has ended.
    ///
    /// # Errors
    /// The handle itself, if it has not.
    pub fn try_join(self) -> Result<Result<R, TaskError>, Self> {
        self.job.take_result().ok_or(self)
    }

    /// Like [`join`](Task::join), and waits at most until `limit`. The outer result says whether the task
    /// ended, the inner one how. A worker of the same pool that runs the task itself does so to the end, however long
    /// that takes; if the limit has passed already, it does not begin.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] or [`WaitError::Cancelled`], with the handle: the task goes on.
    pub fn join_until<'a>(
        self,
        limit: impl Into<Until<'a>>,
    ) -> Result<Result<R, TaskError>, Rejected<Self, WaitError>> {
        let limit = limit.into();
        if let Err(error) = limit.check_token() {
            return Err(Rejected::new(self, error));
        }
        if self.pool.is_inside() && limit.start().check().is_ok() {
            // A worker that waits for a task in the queue might be the one that would have to run it.
            self.run();
        }
        let attempt = || self.job.take_result().ok_or(TryError::WouldBlock);
        if let Ok(result) = attempt() {
            return Ok(result);
        }
        if self.job.runs_on() == Some(this_thread()) {
            return Ok(Err(TaskError::WouldDeadlock));
        }
        let mut note = None;
        if limit.is_unlimited() && inside::is_anywhere() {
            note = knot::note(Arc::clone(&self.job) as Arc<dyn Runs>);
            if note.is_none() {
                return Ok(Err(TaskError::WouldDeadlock));
            }
        }
        let joined = limit.retry(&*self.job, attempt);
        drop(note);
        joined.map_err(|error| Rejected::new(self, error))
    }

    /// Runs the task if nobody has claimed it: on this stack, or if too many tasks are there already, on another.
    fn run(&self) {
        match nested::enter() {
            Some(_nested) => self.job.run(self.pool.visitor()),
            None if self.job.is_waiting() => self.run_elsewhere(),
            None => {}
        }
    }

    #[cold]
    fn run_elsewhere(&self) {
        let job = Arc::clone(&self.job) as Arc<dyn Runs>;
        // Whatever the limit is, because a task that this thread has begun is not left. If it waits for this thread
        // it is claimed already.
        let Some(_note) = knot::note(Arc::clone(&job)) else { return };
        let pool = Arc::clone(&self.pool);
        nested::run_elsewhere(Arc::new(move || job.run(pool.visitor())));
    }

    /// Cancels the task if it has not started; says whether it did. One that runs is not interrupted; its token is
    /// cancelled if it was submitted [with one](super::Pool::submit_with).
    ///
    /// The closure is dropped at once; if that panics, the panic ends with the panic hook's message. Its place in the queue is free when a worker comes to it.
    pub fn cancel(&self) -> bool {
        let revoked = self.job.revoke(self.pool.visitor());
        self.job.stop();
        revoked
    }

    /// True once the task has a result, a panic, or was cancelled.
    pub fn is_finished(&self) -> bool {
        self.job.is_finished()
    }
}

impl Panic {
    pub(crate) fn new(payload: Payload) -> Self {
        let message = panics::said(&*payload).to_owned();
        Panic { message, payload: Mutex::new(payload) }
    }

    /// What the panic said, if it was text.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The payload, as `std::panic::catch_unwind` gives it.
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        self.payload.into_inner()
    }

    /// Goes on panicking on this thread, without another message from the panic hook.
    pub fn resume(self) -> ! {
        panics::resume(self.into_payload())
    }
}

impl<R> Drop for Task<R> {
    /// Lets the task run on. If it has panicked, or does later, the pool's hook is told.
    fn drop(&mut self) {
        report_unjoined(self.job.detach(), self.pool.visitor());
    }
}

impl<R> fmt::Debug for Task<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("finished", &self.is_finished()).finish_non_exhaustive()
    }
}

impl fmt::Display for Panic {
    /// What the panic [said](Panic::message).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Panic").field(&self.message).finish()
    }
}

impl fmt::Debug for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskError::Panicked(panic) => f.debug_tuple("Panicked").field(&panic.message).finish(),
            TaskError::Cancelled => f.write_str("Cancelled"),
            TaskError::WouldDeadlock => f.write_str("WouldDeadlock"),
        }
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskError::Panicked(panic) => write!(f, "the task panicked: {}", panic.message),
            TaskError::Cancelled => f.write_str("the task was cancelled before it started"),
            TaskError::WouldDeadlock => {
                f.write_str("the task was joined by itself, or by one that it joins: it could never end")
            }
        }
    }
}

impl Error for TaskError {}
