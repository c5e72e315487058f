//! How tasks get into a pool.

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
    /// Submits a closure whose result nobody needs; waits for room in the queue as long as it takes. A panic
    /// goes to the pool's [hook](super::Builder::on_panic).
    ///
    /// From inside a task of this pool it does not wait: if the queue is full the closure runs here and now.
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
        let mut plain = Some(f);
        self.shared.try_post(&mut plain, pack_errand).map_err(|error| refused(plain, error))
    }

    /// Like [`execute`](Pool::execute), and waits for room at most until `limit`.
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
        let mut plain = Some(f);
        self.shared.push(&mut plain, pack_errand, limit.into()).map_err(|error| refused(plain, error))
    }

    /// Submits a closure and returns the handle of its result; waits for room in the queue as long as it
    /// takes.
    ///
    /// From inside a task of this pool it does not wait: if the queue is full the closure runs here and now.
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
        self.try_post_job(TaskJob::new(f, None, |f, _| f()))
    }

    /// Like [`submit`](Pool::submit), and waits for room at most until `limit`.
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
        self.post_job(TaskJob::new(f, None, |f, _| f()), limit.into())
    }

    /// Like [`submit`](Pool::submit); the closure gets a token, which [`Task::cancel`] cancels, so that a
    /// task that runs can be told to stop.
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
        self.try_post_job(self.job_with_token(f))
    }

    /// Like [`submit_with`](Pool::submit_with), and waits for room at most until `limit`. A token in `limit`
    /// is for the wait alone, not the parent of the task's.
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
        self.post_job(self.job_with_token(f), limit.into())
    }

    fn job_with_token<F, R>(&self, f: F) -> Arc<TaskJob<F, R>>
    where
        F: FnOnce(&CancelToken) -> R,
    {
        let token = CancelToken::with_clock(&self.shared.config.clock);
        TaskJob::new(f, Some(token), |f, token| f(token.expect("it was made with one")))
    }

    pub(super) fn try_post_job<F, R>(&self, job: Arc<TaskJob<F, R>>) -> Result<Task<R>, Rejected<F, TryError>>
    where
        F: Send + 'static,
        R: Send + 'static,
    {
        let queued = self.shared.try_post(&mut Some(Arc::clone(&job)), RawJob::new);
        self.task(job, queued)
    }

    #[track_caller]
    pub(super) fn post_job<F, R>(
        &self,
        job: Arc<TaskJob<F, R>>,
        limit: Until<'_>,
    ) -> Result<Task<R>, Rejected<F, WaitError>>
    where
        F: Send + 'static,
        R: Send + 'static,
    {
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
            Err(error) => Err(Rejected::new(job.take_back(), error)),
        }
    }
}

fn pack_errand<F: FnOnce() + Send + 'static>(f: F) -> RawJob {
    RawJob::new(PlainJob { f, name: () })
}

pub(super) fn refused<F, E>(f: Option<F>, error: E) -> Rejected<F, E> {
    Rejected::new(f.expect("what was refused was not packed"), error)
}

/// An unlimited wait ends only in one way.
pub(super) fn only_closed<V>(rejected: Rejected<V, WaitError>) -> Rejected<V, Closed> {
    Rejected::new(rejected.value, Closed)
}

impl Shared {
    /// Packs and queues what is in `load`, if there is room; it stays where it is otherwise.
    #[inline]
    pub(super) fn try_post<L>(
        self: &Arc<Self>,
        load: &mut Option<L>,
        pack: impl Fn(L) -> RawJob,
    ) -> Result<(), TryError> {
        self.try_post_in_turn(load, pack, None)
    }

    #[inline]
    fn try_post_in_turn<L>(
        self: &Arc<Self>,
        load: &mut Option<L>,
        pack: impl Fn(L) -> RawJob,
        turn: Option<Turn>,
    ) -> Result<(), TryError> {
        let make = || pack(load.take().expect("an attempt that fails takes nothing"));
        let call = LocalQueue::with_own(self.address(), |own| match own {
            Some(local) => self.injector.try_keep(local, make),
            None => self.injector.try_post(make, turn),
        });
        self.answer(call?);
        Ok(())
    }

    /// Like [`try_post`](Shared::try_post), and waits for room. A thread inside the pool does not wait,
    /// because room may be what it would have to make itself: it runs the load. So does one for which all
    /// workers wait.
    #[inline]
    #[track_caller]
    pub(super) fn push<L>(
        self: &Arc<Self>,
        load: &mut Option<L>,
        pack: impl Fn(L) -> RawJob,
        limit: Until<'_>,
    ) -> Result<(), WaitError> {
        if !self.is_inside() {
            let room = Room::new(self, &self.injector);
            return match limit
                .called("Pool::submit")
                .retry(&room, || self.try_post_in_turn(load, &pack, room.turn()))
            {
                // The workers wait for this thread, as if it were one of them.
                Err(WaitError::WouldDeadlock) => {
                    self.run_unposted(load, &pack);
                    Ok(())
                }
                queued => queued,
            };
        }
        limit.check_token()?;
        match self.try_post(load, &pack) {
            Ok(()) => Ok(()),
            Err(TryError::Closed) => Err(WaitError::Closed),
            Err(_) => {
                self.run_unposted(load, &pack);
                Ok(())
            }
        }
    }

    #[cold]
    fn run_unposted<L>(self: &Arc<Self>, load: &mut Option<L>, pack: &impl Fn(L) -> RawJob) {
        self.run_nested(pack(load.take().expect("an attempt that fails takes nothing")));
    }

    /// Runs a raw job inside the task that runs here. Where too many do so already, it goes into the queue
    /// although that is full: unlike a join it can, and the stack's end would be worse than one task too
    /// many.
    fn run_nested(self: &Arc<Self>, raw: RawJob) {
        let (raw, _nested) = match context::enter_nested() {
            Some(nested) => (raw, nested),
            None => match self.injector.post_beyond(raw) {
                Ok(call) => return self.answer(call),
                // Closed meanwhile, after it was accepted.
                Err(raw) => (raw, context::enter_anyway()),
            },
        };
        self.run(raw, self.external());
    }
}
