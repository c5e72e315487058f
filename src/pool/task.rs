//! The handle to a submitted closure.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::job::{Joinable, Runs};
use super::shared::Shared;
use crate::error::{JoinError, Rejected, TryError, WaitError};
use crate::sync::Arc;
use crate::until::Until;
use crate::wait::cache::nested;
use crate::wait::context::{self, this_thread};
use crate::wait::graph::{Awaited, Needs};
use crate::wait::{self, WaitPoint, Waiter};

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
///
/// # Blocking
/// [`join`](Task::join), [`join_until`](Task::join_until) and [`wait_until`](Task::wait_until) block until
/// the task has ended; whoever ends it wakes the joiner. A worker of the same pool does not wait for a task
/// that nobody has started: it runs it.
///
/// # Cancellation
/// A result that was there before the limit passed is success, however late the joiner wakes up. A join that
/// ends early gives the handle back, and the task goes on; [`cancel`](Task::cancel) takes back one that has
/// not started.
///
/// # Panics
/// The task's panic is in the [`JoinError`], and [`Panic::resume`](crate::error::Panic::resume) passes it on.
/// If nobody joins, the panic hook has reported it.
///
/// # Ordering
/// What was done before the task was submitted is visible to it; what it did is visible to who has its
/// result.
#[must_use = "dropping the handle loses the result; `execute` is for tasks without one"]
pub struct Task<R> {
    job: Arc<dyn Joinable<R>>,
    pool: Arc<Shared>,
}

impl<R> Task<R> {
    pub(super) fn new(job: Arc<dyn Joinable<R>>, pool: Arc<Shared>) -> Self {
        Task { job, pool }
    }

    /// Waits for the task to end and takes its result. A worker of the same pool runs a task that nobody has
    /// started, instead of waiting for it.
    ///
    /// # Errors
    /// [`JoinError::Panicked`] with the payload; [`JoinError::Cancelled`], by its handle or by the pool's
    /// abort, before it started; [`JoinError::WouldDeadlock`] if the task waits, itself or through others,
    /// for this thread.
    #[track_caller]
    pub fn join(self) -> Result<R, JoinError> {
        match self.join_until(Until::forever()) {
            Ok(result) => result,
            Err(_) => Err(JoinError::WouldDeadlock), // a forever limit does not end
        }
    }

    /// Takes the result if the task has ended.
    ///
    /// # Errors
    /// The handle itself, if it has not.
    pub fn try_join(self) -> Result<Result<R, JoinError>, Self> {
        self.job.take_result().ok_or(self)
    }

    /// Like [`join`](Task::join), and waits at most until `limit`. The outer result says whether the task
    /// ended, the inner one how. A worker of the same pool that runs the task itself does so to the end,
    /// however long that takes; if the limit has passed already, it does not begin.
    ///
    /// # Errors
    /// With the handle: [`WaitError::TimedOut`] or [`WaitError::Cancelled`], and the task goes on;
    /// [`WaitError::WouldDeadlock`] if it waits for this thread.
    #[track_caller]
    pub fn join_until<'a>(
        self,
        limit: impl Into<Until<'a>>,
    ) -> Result<Result<R, JoinError>, Rejected<Self, WaitError>> {
        let limit = limit.into();
        if let Err(error) = limit.check_token() {
            return Err(Rejected::new(self, error));
        }
        // The common case, at the cost of one lock.
        if let Some(result) = self.job.take_result() {
            return Ok(result);
        }
        match self.wait_until(limit) {
            Ok(()) => Ok(self.job.take_result().expect("it has ended, and nobody else takes its result")),
            Err(error) => Err(Rejected::new(self, error)),
        }
    }

    /// Waits for the task to end, at most until `limit`, and leaves its result. A worker of the same pool
    /// runs it, as in [`join_until`](Task::join_until).
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] or [`WaitError::Cancelled`]; [`WaitError::WouldDeadlock`] if the task waits
    /// for this thread.
    #[track_caller]
    pub fn wait_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<(), WaitError> {
        let limit = limit.into();
        limit.check_token()?;
        if self.job.is_finished() {
            return Ok(());
        }
        if limit.start().check().is_ok() {
            self.run_if_inside();
        }
        if self.runs_here() {
            return Err(WaitError::WouldDeadlock);
        }
        limit
            .called("Task::join")
            .retry(self, || if self.job.is_finished() { Ok(()) } else { Err(TryError::WouldBlock) })
    }

    /// Runs the task if nobody has claimed it, and this thread is inside the pool; says whether it is.
    pub(crate) fn run_if_inside(&self) -> bool {
        let inside = self.pool.is_inside();
        if inside {
            // A worker that waits for a task in the queue might be the one that would have to run it.
            self.run();
        }
        inside
    }

    pub(crate) fn runs_here(&self) -> bool {
        self.job.runs_on() == Some(this_thread())
    }

    /// Runs the task if nobody has claimed it: on this stack, or if too many tasks are there already, on
    /// another.
    fn run(&self) {
        match context::enter_nested() {
            Some(_nested) => self.job.run(self.pool.external()),
            None if self.job.is_waiting() => self.run_elsewhere(),
            None => {}
        }
    }

    #[cold]
    fn run_elsewhere(&self) {
        let job = Arc::clone(&self.job) as Arc<dyn Runs>;
        let pool = Arc::clone(&self.pool);
        nested::run_elsewhere(Arc::new(move || job.run(pool.external())));
    }

    /// Cancels the task if it has not started; says whether it did. One that runs is not interrupted; its
    /// token is cancelled if it was submitted [with one](super::Pool::submit_with).
    ///
    /// The closure is dropped at once; if that panics, the panic ends with the panic hook's message. Its
    /// place in the queue is free when a worker comes to it.
    pub fn cancel(&self) -> bool {
        let revoked = self.job.revoke(self.pool.external());
        self.job.stop();
        revoked
    }

    /// True once the task has a result, a panic, or was cancelled.
    pub fn is_finished(&self) -> bool {
        self.job.is_finished()
    }
}

impl<R> WaitPoint for Task<R> {
    fn looks_ready(&self) -> bool {
        self.job.end().looks_ready()
    }

    #[track_caller]
    fn join(&self, waiter: &Waiter) -> bool {
        self.job.end().join(waiter)
    }

    fn leave(&self, waiter: &Waiter) {
        self.job.end().leave(waiter);
    }

    fn awaited(&self) -> Option<Arc<dyn Awaited>> {
        let (job, pool) = (Arc::clone(&self.job) as Arc<dyn Runs>, Arc::clone(&self.pool));
        Some(Arc::new(Started { job, pool }))
    }
}

/// A task, for the wait-for graph: brought by the thread that runs it, or by any worker that can take it.
struct Started {
    job: Arc<dyn Runs>,
    pool: Arc<Shared>,
}

impl Awaited for Started {
    fn providers(&self, threads: &mut Vec<usize>) -> Needs {
        match self.job.runs_on() {
            Some(thread) => {
                threads.push(thread);
                Needs::One
            }
            None if self.job.is_waiting() => self.pool.injector.takers(threads),
            None => Needs::Nobody,
        }
    }
}

impl<R> Drop for Task<R> {
    /// Lets the task run on. If it has panicked, or does later, the pool's hook is told.
    fn drop(&mut self) {
        let later = |task: &mut Self| -> Box<dyn FnOnce()> {
            let (job, pool) = (Arc::clone(&task.job) as Arc<dyn Runs>, Arc::clone(&task.pool));
            Box::new(move || job.let_go(pool.external()))
        };
        wait::drop_link(self, |task| task.job.let_go(task.pool.external()), later);
    }
}

impl<R> fmt::Debug for Task<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("finished", &self.is_finished()).finish_non_exhaustive()
    }
}

impl<R> UnwindSafe for Task<R> {}
impl<R> RefUnwindSafe for Task<R> {}
