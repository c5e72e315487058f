//! Submitting tasks with a name, which reports and panics show.

use super::job::{PlainJob, TaskJob};
use super::raw_job::RawJob;
use super::submit::{only_closed, refused};
use super::{Pool, Task};
use crate::error::{Closed, Rejected, TryError, WaitError};
use crate::sync::Arc;
use crate::until::Until;

impl Pool {
    /// Like [`execute`](Pool::execute), with a name for the task. A [`Report`](super::Report) lists the name
    /// while the task runs; an [`Unstarted`](super::Unstarted) task and the task's
    /// [`Panic`](crate::error::Panic) carry it.
    ///
    /// ```
    /// use selvedge::{Latch, Pool};
    /// use std::{sync::Arc, time::Duration};
    ///
    /// let (pool, stuck) = (Pool::builder().name("io").workers(1).build()?, Arc::new(Latch::new(1)));
    /// let waits = Arc::clone(&stuck);
    /// pool.execute_named("fsync", move || waits.wait())?;
    /// # while pool.stats().queued > 0 { std::thread::yield_now() }
    /// let late = pool.shutdown_until(Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(late.value.running, ["io-0: fsync"]);
    /// stuck.count_down();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Closed`], with the closure, once the pool is shut down.
    #[track_caller]
    pub fn execute_named<F>(&self, name: impl Into<Arc<str>>, f: F) -> Result<(), Rejected<F, Closed>>
    where
        F: FnOnce() + Send + 'static,
    {
        self.execute_named_until(name, f, Until::forever()).map_err(only_closed)
    }

    /// Like [`execute_named`](Pool::execute_named), without waiting.
    ///
    /// # Errors
    /// With the closure: [`TryError::WouldBlock`] if the queue is full, [`TryError::Closed`].
    pub fn try_execute_named<F>(&self, name: impl Into<Arc<str>>, f: F) -> Result<(), Rejected<F, TryError>>
    where
        F: FnOnce() + Send + 'static,
    {
        let (name, mut task) = (name.into(), Some(f));
        self.shared.try_push(&mut task, |f| pack(&name, f)).map_err(|error| refused(task, error))
    }

    /// Like [`execute_named`](Pool::execute_named), waiting for room until `limit` at most.
    ///
    /// # Errors
    /// With the closure: [`WaitError::TimedOut`], [`WaitError::Cancelled`] or [`WaitError::Closed`].
    #[track_caller]
    pub fn execute_named_until<'a, F>(
        &self,
        name: impl Into<Arc<str>>,
        f: F,
        limit: impl Into<Until<'a>>,
    ) -> Result<(), Rejected<F, WaitError>>
    where
        F: FnOnce() + Send + 'static,
    {
        let (name, mut task) = (name.into(), Some(f));
        self.shared.push(&mut task, |f| pack(&name, f), limit.into()).map_err(|error| refused(task, error))
    }

    /// Like [`submit`](Pool::submit), with a name for the task, as in [`execute_named`](Pool::execute_named).
    ///
    /// # Errors
    /// [`Closed`], with the closure, once the pool is shut down.
    #[track_caller]
    pub fn submit_named<F, R>(&self, name: impl Into<Arc<str>>, f: F) -> Result<Task<R>, Rejected<F, Closed>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.submit_named_until(name, f, Until::forever()).map_err(only_closed)
    }

    /// Like [`submit_named`](Pool::submit_named), without waiting.
    ///
    /// # Errors
    /// With the closure: [`TryError::WouldBlock`] if the queue is full, [`TryError::Closed`].
    pub fn try_submit_named<F, R>(
        &self,
        name: impl Into<Arc<str>>,
        f: F,
    ) -> Result<Task<R>, Rejected<F, TryError>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.try_push_job(TaskJob::named(name.into(), f, |f, _| f()))
    }

    /// Like [`submit_named`](Pool::submit_named), waiting for room until `limit` at most.
    ///
    /// # Errors
    /// With the closure: [`WaitError::TimedOut`], [`WaitError::Cancelled`] or [`WaitError::Closed`].
    #[track_caller]
    pub fn submit_named_until<'a, F, R>(
        &self,
        name: impl Into<Arc<str>>,
        f: F,
        limit: impl Into<Until<'a>>,
    ) -> Result<Task<R>, Rejected<F, WaitError>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.push_job(TaskJob::named(name.into(), f, |f, _| f()), limit.into())
    }
}

fn pack<F: FnOnce() + Send + 'static>(name: &Arc<str>, f: F) -> RawJob {
    RawJob::new(PlainJob { f, name: Arc::clone(name) })
}
