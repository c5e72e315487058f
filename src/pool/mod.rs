//! Worker threads that run what is submitted to them.

mod builder;
mod job;
mod report;
mod task;

use std::fmt;
use std::panic::{self, AssertUnwindSafe};

pub use builder::{BuildError, Builder};
pub use report::{Report, Stats, Unstarted};
pub use task::{Panic, Task, TaskError};

use crate::error::{Closed, Rejected, TryError, WaitError};
use crate::latch::WaitGroup;
use crate::queue::BoundedQueue;
use crate::sync::{Arc, Mutex, thread, thread_local};
use crate::until::Until;
use job::{Job, Runnable};
use report::Tally;

/// Runs closures on a fixed number of threads, with a bounded queue before them.
///
/// Every task that was accepted is run, cancelled, or handed back by [`abort`](Pool::abort): none is lost. A
/// task that panics does so to its [handle](Task); its worker lives on. Submitting to a pool that is full
/// waits for room; to one that is shut down fails and gives the closure back.
///
/// # Examples
/// ```
/// use selvedge::Pool;
///
/// let pool = Pool::builder().name("sum").workers(2).build()?;
/// let task = pool.submit(|| (1..=10).sum::<u32>())?;
/// assert_eq!(task.join()?, 55);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Ten tasks, five workers, and results that know whose they are:
/// ```
/// use selvedge::Pool;
///
/// let pool = Pool::builder().workers(5).queue(10).build()?;
/// let tasks: Vec<_> = (0..10).map(|id| pool.submit(move || id * id)).collect::<Result<_, _>>()?;
/// let squares: Vec<u32> = tasks.into_iter().map(|task| task.join()).collect::<Result<_, _>>()?;
/// assert_eq!(squares, [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]);
/// let report = pool.shutdown();
/// assert_eq!(report.completed, 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Blocking
/// `execute` and `submit` wait while the queue is full, `join` until the task has ended, `shutdown` and drop
/// until the queue is empty and the workers have gone.
///
/// From inside a task of the same pool nothing of this deadlocks, at one worker and a full queue either:
/// joining a task that nobody has started runs it on the spot; submitting to the full queue runs the new
/// task on the spot, instead of waiting for a worker that may be oneself; `shutdown`, `abort` and drop close
/// the pool and return without waiting. A waiter never runs a task other than the one it waits for.
///
/// # Cancellation
/// [`Task::cancel`] takes back a task that has not started. `abort` takes them all back. What runs is not
/// interrupted: give it a [`CancelToken`](crate::CancelToken).
///
/// # Panics
/// A panic of a task is caught, counted, and handed to whoever joins it.
///
/// # Ordering
/// What was done before a submit is visible to the task, and what the task did is visible after `join`.
///
/// # Proof
/// Models in `loom-tests/tests/pool.rs`.
///
/// # Cost
/// One allocation a task. Bench `pool`.
///
/// # Instead
/// rayon for CPU-bound work that splits into parts; [`group::scope`](crate::group::scope) for tasks that
/// borrow, or that belong together.
pub struct Pool {
    shared: Arc<Shared>,
    detached: bool,
}

struct Shared {
    queue: BoundedQueue<Arc<dyn Runnable>>,
    tally: Tally,
    /// One member for each worker that has not finished.
    present: WaitGroup,
    workers: Mutex<Vec<Worker>>,
}

struct Worker {
    name: String,
    /// `None` once somebody joins it.
    handle: Option<thread::JoinHandle<()>>,
    /// The worker has left its loop.
    gone: bool,
}

thread_local! {
    /// The pool whose worker this thread is, by address; 0 on other threads. Never dereferenced.
    static OWN_POOL: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl Pool {
    /// Starts describing a pool.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Submits a closure whose result nobody needs; waits for room in the queue as long as it takes.
    ///
    /// # Errors
    /// [`Closed`], with the closure, once the pool is shut down.
    pub fn execute<F>(&self, f: F) -> Result<(), Rejected<F, Closed>>
    where
        F: FnOnce() + Send + 'static,
    {
        self.submit(f).map(drop)
    }

    /// Like [`execute`](Pool::execute), without waiting.
    ///
    /// # Errors
    /// With the closure: [`TryError::WouldBlock`] if the queue is full, [`TryError::Closed`].
    pub fn try_execute<F>(&self, f: F) -> Result<(), Rejected<F, TryError>>
    where
        F: FnOnce() + Send + 'static,
    {
        self.try_submit(f).map(drop)
    }

    /// Like [`execute`](Pool::execute), and waits for room at most until `limit`.
    ///
    /// # Errors
    /// With the closure: [`WaitError::TimedOut`], [`WaitError::Cancelled`] or [`WaitError::Closed`].
    pub fn execute_until<'a, F>(
        &self,
        f: F,
        limit: impl Into<Until<'a>>,
    ) -> Result<(), Rejected<F, WaitError>>
    where
        F: FnOnce() + Send + 'static,
    {
        self.submit_until(f, limit).map(drop)
    }

    /// Submits a closure and returns a handle to its result; waits for room in the queue as long as it takes.
    ///
    /// From inside a task of this pool, if the queue is full, it runs the closure on the spot and returns
    /// the handle of a task that has ended.
    ///
    /// # Errors
    /// [`Closed`], with the closure, once the pool is shut down.
    pub fn submit<F, R>(&self, f: F) -> Result<Task<R>, Rejected<F, Closed>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.submit_until(f, Until::forever()).map_err(|rejected| Rejected::new(rejected.value, Closed))
    }

    /// Like [`submit`](Pool::submit), without waiting and without running anything here.
    ///
    /// # Errors
    /// With the closure: [`TryError::WouldBlock`] if the queue is full, [`TryError::Closed`].
    pub fn try_submit<F, R>(&self, f: F) -> Result<Task<R>, Rejected<F, TryError>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let job = Job::new(f);
        match self.shared.queue.try_push(job.clone()) {
            Ok(()) => Ok(self.task(job)),
            Err(rejected) => Err(Rejected::new(job.take_back(), rejected.error)),
        }
    }

    /// Like [`submit`](Pool::submit), and waits for room at most until `limit`.
    ///
    /// # Errors
    /// With the closure: [`WaitError::TimedOut`], [`WaitError::Cancelled`] or [`WaitError::Closed`].
    pub fn submit_until<'a, F, R>(
        &self,
        f: F,
        limit: impl Into<Until<'a>>,
    ) -> Result<Task<R>, Rejected<F, WaitError>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let limit = limit.into();
        let job = Job::new(f);
        let result = if self.shared.is_own_worker() {
            self.push_or_run(&job, limit)
        } else {
            self.shared.queue.push_until(job.clone(), limit).map_err(|rejected| rejected.error)
        };
        match result {
            Ok(()) => Ok(self.task(job)),
            Err(error) => Err(Rejected::new(job.take_back(), error)),
        }
    }

    /// What a worker does instead of waiting for room that only a worker can make.
    fn push_or_run<F, R>(&self, job: &Arc<Job<F, R>>, limit: Until<'_>) -> Result<(), WaitError>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        limit.check_token()?;
        match self.shared.queue.try_push(Arc::clone(job) as _) {
            Ok(()) => Ok(()),
            Err(Rejected { error: TryError::Closed, .. }) => Err(WaitError::Closed),
            Err(_) => {
                job.run(&self.shared.tally);
                Ok(())
            }
        }
    }

    fn task<F, R>(&self, job: Arc<Job<F, R>>) -> Task<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        Task::new(job, Arc::clone(&self.shared))
    }

    /// Closes the pool to new tasks, waits until those that were accepted have run, and joins the workers.
    ///
    /// Any thread may call it, and more than one: each returns when the workers have gone. From inside a
    /// task of this pool it closes the pool and returns at once; the report names who still runs.
    pub fn shutdown(&self) -> Report {
        // A forever limit does not end.
        self.shutdown_until(Until::forever()).unwrap_or_else(Rejected::into_value)
    }

    /// Like [`shutdown`](Pool::shutdown), and waits at most until `limit`. The pool stays closed.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] or [`WaitError::Cancelled`], with a report that names the workers which still
    /// run.
    pub fn shutdown_until<'a>(
        &self,
        limit: impl Into<Until<'a>>,
    ) -> Result<Report, Rejected<Report, WaitError>> {
        self.shared.queue.close();
        self.shared.finish(Vec::new(), limit.into())
    }

    /// Closes the pool, takes back the tasks that nobody has started, waits for those that run, and joins
    /// the workers. The report holds what was taken back; dropping one of those cancels its handle.
    ///
    /// From inside a task of this pool it returns at once, as [`shutdown`](Pool::shutdown) does.
    pub fn abort(&self) -> Report {
        let unstarted = self.shared.queue.close_and_drain();
        let unstarted = unstarted.into_iter().filter_map(|job| Unstarted::of(job, &self.shared));
        self.shared.finish(unstarted.collect(), Until::forever()).unwrap_or_else(Rejected::into_value)
    }

    /// Closes the pool and lets go of it without waiting: what was accepted still runs, and the threads end
    /// when it has. For a program that is about to end while a task is stuck in somebody else's call, which
    /// `drop` would wait for.
    pub fn detach(mut self) {
        self.detached = true;
    }

    /// True once the pool was shut down: it takes no more tasks.
    pub fn is_closed(&self) -> bool {
        self.shared.queue.is_closed()
    }

    /// What the pool does and has done, each figure at a moment of its own.
    pub fn stats(&self) -> Stats {
        self.shared.tally.stats(self.shared.present.count(), self.shared.queue.len())
    }
}

impl Shared {
    fn is_own_worker(self: &Arc<Self>) -> bool {
        OWN_POOL.with(|own| own.get() == Arc::as_ptr(self).addr())
    }

    /// What a worker does from its first to its last moment.
    fn work(self: &Arc<Self>) {
        OWN_POOL.with(|own| own.set(Arc::as_ptr(self).addr()));
        while let Ok(job) = self.queue.pop() {
            self.tally.start();
            // The task's own panic is caught inside. What is left is the drop of a result that nobody
            // wanted, which is the caller's code too and must not take the worker with it.
            let ended = panic::catch_unwind(AssertUnwindSafe(|| {
                job.run(&self.tally);
                drop(job);
            }));
            self.tally.stop();
            if let Err(payload) = ended {
                std::mem::forget(payload);
            }
        }
    }

    /// Waits for the workers, joins them, and says how it went. The pool is closed.
    fn finish(
        self: &Arc<Self>,
        unstarted: Vec<Unstarted>,
        limit: Until<'_>,
    ) -> Result<Report, Rejected<Report, WaitError>> {
        let waited = if self.is_own_worker() { Ok(()) } else { self.present.wait_until(limit) };
        let mut running = Vec::new();
        let mut finished = Vec::new();
        for worker in self.workers.lock().iter_mut() {
            match worker.gone {
                true => finished.extend(worker.handle.take()),
                false => running.push(worker.name.clone()),
            }
        }
        // They are past their last task; this waits for the operating system only. Not under the lock.
        for handle in finished {
            handle.join().expect("a worker catches every panic");
        }
        let report = self.tally.report(unstarted, running);
        match waited {
            Ok(()) => Ok(report),
            Err(error) => Err(Rejected::new(report, error)),
        }
    }
}

impl Drop for Pool {
    /// Shuts the pool down as [`Pool::shutdown`] does.
    fn drop(&mut self) {
        self.shared.queue.close();
        if !self.detached {
            self.shutdown();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("queue", &self.shared.queue)
            .field("tally", &self.shared.tally)
            .finish_non_exhaustive()
    }
}
