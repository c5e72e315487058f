//! Submitting tasks to a pool.

use super::injector::Room;
use super::job::{PlainJob, TaskJob};
use super::local_queue::LocalQueue;
use super::raw_job::RawJob;
use super::shared::Shared;
use super::{Pool, Task};
use crate::cancel::CancelToken;
use crate::error::{Closed, Rejected, TryError, WaitError};
use crate::sync::Arc;
use crate::until::Until;
use crate::wait::Turn;
use crate::wait::context;

impl Pool {
    /// Submits a closure without a handle, waiting for room in the queue as long as it takes. A panic goes to
    /// the pool's [hook](super::Builder::on_panic).
    ///
    /// Inside a task of this pool it does not wait: if the queue is full, the closure runs on the calling
    /// thread.
    ///
    /// # Errors
    /// [`Closed`], with the closure, once the pool is shut down.
    #[track_caller]
    pub fn execute<F>(&self, f: F) -> Result<(), Rejected<F, Closed>>
    where
        F: FnOnce() + Send + 'static,
    {
        self.execute_until(f, Until::forever()).map_err(only_closed)
    }

    /// Like [`execute`](Pool::execute), without waiting.
    ///
    /// # Errors
    /// With the closure: [`TryError::WouldBlock`] if the queue is full, [`TryError::Closed`].
    pub fn try_execute<F>(&self, f: F) -> Result<(), Rejected<F, TryError>>
    where
        F: FnOnce() + Send + 'static,
    {
        let mut task = Some(f);
        self.shared.try_push(&mut task, pack_plain).map_err(|error| refused(task, error))
    }

    /// Like [`execute`](Pool::execute), waiting for room until `limit` at most.
    ///
    /// # Errors
    /// With the closure: [`WaitError::TimedOut`], [`WaitError::Cancelled`] or [`WaitError::Closed`].
    #[track_caller]
    pub fn execute_until<'a, F>(
        &self,
        f: F,
        limit: impl Into<Until<'a>>,
    ) -> Result<(), Rejected<F, WaitError>>
    where
        F: FnOnce() + Send + 'static,
    {
        let mut task = Some(f);
        self.shared.push(&mut task, pack_plain, limit.into()).map_err(|error| refused(task, error))
    }

    /// Submits a closure and returns a handle to its result, waiting for room in the queue as long as it
    /// takes.
    ///
    /// Inside a task of this pool it does not wait: if the queue is full, the closure runs on the calling
    /// thread.
    ///
    /// # Errors
    /// [`Closed`], with the closure, once the pool is shut down.
    #[track_caller]
    pub fn submit<F, R>(&self, f: F) -> Result<Task<R>, Rejected<F, Closed>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.submit_until(f, Until::forever()).map_err(only_closed)
    }

    /// Like [`submit`](Pool::submit), without waiting.
    ///
    /// # Errors
    /// With the closure: [`TryError::WouldBlock`] if the queue is full, [`TryError::Closed`].
    pub fn try_submit<F, R>(&self, f: F) -> Result<Task<R>, Rejected<F, TryError>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.try_push_job(TaskJob::new(f, None, |f, _| f()))
    }

    /// Like [`submit`](Pool::submit), waiting for room until `limit` at most.
    ///
    /// # Errors
    /// With the closure: [`WaitError::TimedOut`], [`WaitError::Cancelled`] or [`WaitError::Closed`].
    #[track_caller]
    pub fn submit_until<'a, F, R>(
        &self,
        f: F,
        limit: impl Into<Until<'a>>,
    ) -> Result<Task<R>, Rejected<F, WaitError>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.push_job(TaskJob::new(f, None, |f, _| f()), limit.into())
    }

    /// Like [`submit`](Pool::submit); the closure gets a token, which [`Task::cancel`] cancels, so that a
    /// running task can be asked to stop.
    ///
    /// ```
    /// use std::time::Duration;
    /// use selvedge::Pool;
    ///
    /// let pool = Pool::builder().workers(1).build()?;
    /// let task = pool.submit_with(|stop| stop.sleep(Duration::from_secs(3600)))?;
    /// task.cancel(); // whether it has started or not
    /// assert!(!matches!(task.join(), Ok(Ok(()))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Closed`], with the closure, once the pool is shut down.
    #[track_caller]
    pub fn submit_with<F, R>(&self, f: F) -> Result<Task<R>, Rejected<F, Closed>>
    where
        F: FnOnce(&CancelToken) -> R + Send + 'static,
        R: Send + 'static,
    {
        self.submit_with_until(f, Until::forever()).map_err(only_closed)
    }

    /// Like [`submit_with`](Pool::submit_with), without waiting.
    ///
    /// # Errors
    /// With the closure: [`TryError::WouldBlock`] if the queue is full, [`TryError::Closed`].
    pub fn try_submit_with<F, R>(&self, f: F) -> Result<Task<R>, Rejected<F, TryError>>
    where
        F: FnOnce(&CancelToken) -> R + Send + 'static,
        R: Send + 'static,
    {
        self.try_push_job(self.job_with_token(f))
    }

    /// Like [`submit_with`](Pool::submit_with), waiting for room until `limit` at most. A token in `limit`
    /// ends the wait only; it is not the parent of the task's token.
    ///
    /// # Errors
    /// With the closure: [`WaitError::TimedOut`], [`WaitError::Cancelled`] or [`WaitError::Closed`].
    #[track_caller]
    pub fn submit_with_until<'a, F, R>(
        &self,
        f: F,
        limit: impl Into<Until<'a>>,
    ) -> Result<Task<R>, Rejected<F, WaitError>>
    where
        F: FnOnce(&CancelToken) -> R + Send + 'static,
        R: Send + 'static,
    {
        self.push_job(self.job_with_token(f), limit.into())
    }

    fn job_with_token<F, R>(&self, f: F) -> Arc<TaskJob<F, R>>
    where
        F: FnOnce(&CancelToken) -> R,
    {
        // The pool's clock, so that its tests can advance the deadlines of its tasks.
        let token = CancelToken::with_clock(&self.shared.config.clock);
        TaskJob::new(f, Some(token), |f, token| f(token.expect("it was made with one")))
    }

    pub(super) fn try_push_job<F, R>(&self, job: Arc<TaskJob<F, R>>) -> Result<Task<R>, Rejected<F, TryError>>
    where
        F: Send + 'static,
        R: Send + 'static,
    {
        // The queue and the handle share the job; a refused one is taken back below.
        let queued = self.shared.try_push(&mut Some(Arc::clone(&job)), RawJob::new);
        self.task(job, queued)
    }

    #[track_caller]
    pub(super) fn push_job<F, R>(
        &self,
        job: Arc<TaskJob<F, R>>,
        limit: Until<'_>,
    ) -> Result<Task<R>, Rejected<F, WaitError>>
    where
        F: Send + 'static,
        R: Send + 'static,
    {
        // As in `try_push_job`.
        let queued = self.shared.push(&mut Some(Arc::clone(&job)), RawJob::new, limit);
        self.task(job, queued)
    }

    fn task<F, R, E>(&self, job: Arc<TaskJob<F, R>>, queued: Result<(), E>) -> Result<Task<R>, Rejected<F, E>>
    where
        F: Send + 'static,
        R: Send + 'static,
    {
        match queued {
            Ok(()) => Ok(Task::new(job, Arc::clone(&self.shared))),
            // No other thread has seen the job, so the closure is unclaimed.
            Err(error) => Err(Rejected::new(job.take_back(), error)),
        }
    }
}

fn pack_plain<F: FnOnce() + Send + 'static>(f: F) -> RawJob {
    RawJob::new(PlainJob { f, name: () })
}

pub(super) fn refused<F, E>(f: Option<F>, error: E) -> Rejected<F, E> {
    Rejected::new(f.expect("what was refused was not packed"), error)
}

/// An unlimited wait for room fails only because the pool is closed.
pub(super) fn only_closed<V>(rejected: Rejected<V, WaitError>) -> Rejected<V, Closed> {
    Rejected::new(rejected.value, Closed)
}

impl Shared {
    /// Packs and queues `task` if there is room; leaves it in place otherwise.
    #[inline]
    pub(super) fn try_push<T>(
        self: &Arc<Self>,
        task: &mut Option<T>,
        pack: impl Fn(T) -> RawJob,
    ) -> Result<(), TryError> {
        self.try_push_in_turn(task, pack, None)
    }

    #[inline]
    fn try_push_in_turn<T>(
        self: &Arc<Self>,
        task: &mut Option<T>,
        pack: impl Fn(T) -> RawJob,
        turn: Option<Turn>,
    ) -> Result<(), TryError> {
        // Packed only once accepted: a refused closure goes back to its caller unchanged.
        let make = || pack(task.take().expect("an attempt that fails takes nothing"));
        let notify = LocalQueue::with_own(self.address(), |own| match own {
            Some(local) => self.injector.try_push_local(local, make),
            None => self.injector.try_push(make, turn),
        });
        // After the push has unlocked.
        self.perform(notify?);
        Ok(())
    }

    /// Like [`try_push`](Shared::try_push), but waits for room. A thread inside the pool does not wait: the
    /// room may be its own to make, so it runs the task. So does a thread that all workers wait for.
    #[inline]
    #[track_caller]
    pub(super) fn push<T>(
        self: &Arc<Self>,
        task: &mut Option<T>,
        pack: impl Fn(T) -> RawJob,
        limit: Until<'_>,
    ) -> Result<(), WaitError> {
        if !self.is_inside() {
            // Created before the first attempt: its drop ends the turn, whatever the outcome.
            let room = Room::new(self, &self.injector);
            return match limit
                .called("Pool::submit")
                .retry(&room, || self.try_push_in_turn(task, &pack, room.turn()))
            {
                // Every worker waits for this thread, directly or through others: it acts like a worker,
                // whose wait for room would never end.
                Err(WaitError::WouldDeadlock) => {
                    self.run_unposted(task, &pack);
                    Ok(())
                }
                queued => queued,
            };
        }
        // A cancelled token refuses the task even if there is room, as it does outside the pool.
        limit.check_token()?;
        match self.try_push(task, &pack) {
            Ok(()) => Ok(()),
            Err(TryError::Closed) => Err(WaitError::Closed),
            Err(_) => {
                self.run_unposted(task, &pack);
                Ok(())
            }
        }
    }

    #[cold]
    fn run_unposted<T>(self: &Arc<Self>, task: &mut Option<T>, pack: &impl Fn(T) -> RawJob) {
        self.run_nested(pack(task.take().expect("an attempt that fails takes nothing")));
    }

    /// Runs a job inside the current task. If too many tasks are nested already, queues it beyond the bound:
    /// unlike a join it need not run now, and one task too many is better than a stack overflow.
    fn run_nested(self: &Arc<Self>, job: RawJob) {
        let (job, _nested) = match context::enter_nested() {
            Some(nested) => (job, nested),
            None => match self.injector.push_beyond(job) {
                Ok(notify) => return self.perform(notify),
                // The pool was closed after it accepted the job: nothing else would run it.
                Err(job) => (job, context::enter_anyway()),
            },
        };
        self.run(job, self.external());
    }
}
