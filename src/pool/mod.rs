//! A pool of worker threads with a bounded queue.

#[forbid(unsafe_code)]
mod builder;
#[forbid(unsafe_code)]
mod delayed;
#[forbid(unsafe_code)]
mod injector;
#[forbid(unsafe_code)]
mod job;
#[forbid(unsafe_code)]
mod job_queue;
mod keyed;
#[forbid(unsafe_code)]
mod local_queue;
#[forbid(unsafe_code)]
mod named;
#[allow(unsafe_code)]
mod raw_job;
#[forbid(unsafe_code)]
mod report;
#[forbid(unsafe_code)]
mod results;
#[forbid(unsafe_code)]
mod shared;
#[forbid(unsafe_code)]
mod slot;
#[forbid(unsafe_code)]
mod submit;
#[forbid(unsafe_code)]
mod task;
#[forbid(unsafe_code)]
mod unstarted;
#[forbid(unsafe_code)]
mod worker;
#[forbid(unsafe_code)]
mod worker_counts;

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

pub use builder::{BuildError, Builder, Workers};
pub use delayed::RoundResult;
pub use keyed::Keyed;
pub use report::{Report, Stats};
pub use results::{Ended, Results, ResultsIter};
pub use task::Task;
pub use unstarted::Unstarted;

use crate::cancel::CancelToken;
use crate::error::Partial;
use crate::group::{self, BodyResult, Scope, Spawn};
use crate::inspect::Listed;
use crate::sync::Arc;
use crate::until::Until;
use shared::Shared;

/// Runs closures on a pool of threads: a fixed number of workers, or as many as the work needs between a
/// minimum and a maximum, behind a bounded queue.
///
/// Every accepted task runs, is cancelled, or is handed back by [`abort`](Pool::abort); none is lost. A panic
/// goes to the task's [handle](Task) and does not end the worker. Submitting to a full pool waits for room.
/// Submitting to a pool that is shut down fails and returns the closure. The number of workers never exceeds
/// the maximum plus the [spares](Builder::spares) and never falls below the minimum. While a task is queued
/// and another worker is allowed, a worker is being woken or started. At most one task per worker makes
/// progress at a time; a task that nests [too deep for one stack](#blocking) continues on a further thread
/// while its worker waits.
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
/// Ten tasks on five workers, with results in the order of submission:
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
/// Between 2 and 16 threads, for tasks that wait for tasks behind them in the queue:
/// ```
/// use std::{sync::Arc, time::Duration};
/// use selvedge::{Latch, Pool};
///
/// let pool = Pool::builder().name("io").workers(2..=16).keep_alive(Duration::from_secs(1)).build()?;
/// let ready = Arc::new(Latch::new(8));
/// for _ in 0..8 {
///     let ready = Arc::clone(&ready);
///     pool.execute(move || {
///         ready.count_down();
///         ready.wait(); // until all eight run: the pool grows to eight
///     })?;
/// }
/// ready.wait();
/// assert_eq!(pool.stats().peak_workers, 8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Blocking
/// `execute` and `submit` block while the queue is full; a worker that takes a task wakes them. `join` blocks
/// until the task has ended. `shutdown` and drop block until the queue is empty and the workers have left. A
/// call that needs another worker starts its thread itself, which takes 50 to 100 µs.
///
/// None of these deadlocks when it is called from inside a task of the same pool, not even with one worker
/// and a full queue:
/// - Joining a task that has not started runs it on the calling thread.
/// - Submitting to a full queue runs the new task on the calling thread, since the worker that would make
///   room may be the caller.
/// - `shutdown`, `abort` and drop close the pool and return without waiting.
/// - Two tasks that join each other get [`WouldDeadlock`](crate::error::JoinError::WouldDeadlock).
///
/// A thread that helps a task with a scope counts as inside. A blocked thread never runs a task other than
/// the one it waits for. At most 64 tasks nest on one stack. Below that, a join or a scope continues on an
/// internal thread while the outer one waits, and a submit is queued beyond the bound. A chain of 1,000 joins
/// therefore blocks about 16 threads besides the worker. They are not workers, and are neither counted nor
/// limited.
///
/// A [delayed](Pool::submit_after) task that is due is queued by the crate's alarm thread, or by the thread
/// that advances a manual clock, which starts a worker if one is missing. If the operating system refuses the
/// alarm thread, the task is late. If it refuses the worker and there is no other, that thread runs the
/// tasks.
///
/// One deadlock remains: every worker runs a task that waits, on a queue or a latch, for something that only
/// a queued task would do. [Spares](Builder::spares) are for that.
///
/// # Cancellation
/// [`Task::cancel`] cancels a task that has not started; `abort` takes all of them back. A running task is
/// not interrupted; [`submit_with`](Pool::submit_with) gives it a token to check. A task that has ended when
/// the limit of a join passes is a success.
///
/// # Panics
/// A task's panic is caught, counted, and returned by `join`. If nobody joins the task, the pool's
/// [hook](Builder::on_panic) receives the panic. A panic in the drop of a closure that never ran is
/// contained. A result that nobody takes is dropped by the last thread that holds it; a panic in that drop is
/// reported by the panic hook and goes no further. No panic ends a worker. Dropping the pool waits for its
/// tasks and does not propagate their panics. A panic in a round of a [periodic](Pool::submit_every) task
/// ends that task.
///
/// # Fairness
/// Tasks submitted from outside start in the order in which they entered the queue. A task that submits to
/// its own pool pushes onto the local queue of its worker, which takes tasks from there in order and before
/// the shared queue. After every 61 tasks, a worker looks first at the shared queue or at another worker's
/// local queue, each in rotation. A worker with an empty local queue takes from any source. Submitters that
/// wait for room are woken first come, first served. A submitter that arrives at the right moment may
/// overtake them, within a bound: while a submitter waits that has lost 32 times, no other submitter gets
/// room.
///
/// # Ordering
/// What a thread did before it submitted a task is visible to the task. What the task did is visible to the
/// thread that joins it.
///
/// # Proof
/// Models `loom-tests/tests/pool.rs` (among them `a_submit_that_races_a_shutdown_is_run_or_refused` and
/// `the_end_of_a_task_wakes_its_joiner`), `pool_elastic.rs`
/// (`two_submitters_never_start_more_than_the_maximum`), `pool_delayed.rs` and `pool_local_queue.rs`. Most of
/// them assume that the operating system starts every thread. If it refuses, the pool goes on with the
/// workers it has; if it has none, the calling thread runs the tasks.
///
/// # Cost
/// `execute` does not allocate for a closure of at most 48 bytes; a task with a handle allocates once. In
/// bench `ratios`, on 2 cores, an empty task costs 35 to 78 ns in a burst of 100,000: 1.5 to 2.0 times faster
/// than crossbeam channels and threads by hand, 3.6 times faster than rayon; with tasks of 10 µs there is no
/// difference to rayon. Taking several tasks from the queue at once would save loads from the submitter's
/// cache, but start tasks out of order. A task that comes after a pause starts after one wake-up of a thread,
/// as with crossbeam by hand. Idle workers use no processor time. Memory: at most two deques of the queue's
/// capacity, 56 bytes a task.
///
/// # Instead
/// Use rayon for CPU-bound work that splits recursively: a tree of tasks that spawn tasks runs here at 0.75
/// to 1.0 of its speed. Use [`group::scope`] for tasks that borrow or that belong together.
pub struct Pool {
    shared: Arc<Shared>,
    detached: bool,
    /// Lists the pool in [`inspect`](crate::inspect) while the handle exists.
    _listed: Option<Listed>,
}

impl Pool {
    /// Returns a builder with the default configuration.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Closes the pool to new tasks, waits until the accepted ones have run, and joins the workers. Delayed
    /// tasks that are not due [come back](Pool::submit_after) in the report, and periodic ones end.
    ///
    /// Several threads may call it at once; each returns when the workers have left. If it is called from
    /// inside a task of this pool, or if a task waits for the calling thread, it closes the pool without
    /// waiting, and the report names the tasks that still run.
    #[track_caller]
    pub fn shutdown(&self) -> Report {
        // An unlimited wait fails only with `WouldDeadlock`, and the report says what still runs.
        self.shutdown_until(Until::forever()).unwrap_or_else(Partial::into_value)
    }

    /// Like [`shutdown`](Pool::shutdown), waiting until `limit` at most. The pool stays closed.
    ///
    /// # Errors
    /// With a report that names the workers that still run:
    /// [`WaitError::TimedOut`](crate::error::WaitError::TimedOut),
    /// [`WaitError::Cancelled`](crate::error::WaitError::Cancelled), or
    /// [`WaitError::WouldDeadlock`](crate::error::WaitError::WouldDeadlock) if a task waits for the calling
    /// thread.
    #[track_caller]
    pub fn shutdown_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<Report, Partial<Report>> {
        let unstarted = self.shared.close();
        self.shared.finish(unstarted, limit.into())
    }

    /// Closes the pool, takes back the tasks that have not started, waits for the running ones, and joins the
    /// workers. The report holds the tasks that were taken back; dropping one of them cancels its handle.
    ///
    /// From inside a task of this pool it returns at once, as [`shutdown`](Pool::shutdown) does.
    #[track_caller]
    pub fn abort(&self) -> Report {
        // Closed first: a task that was submitted after the drain would stay in the queue.
        let delayed = self.shared.close();
        // Tasks that a worker took before the drain run; the others are here, each in one place only.
        let queued = self.shared.injector.drain().into_iter();
        let keyed = self.shared.close_keyed().into_iter().flat_map(|queues| queues.drain());
        let queued = queued.chain(keyed).filter_map(|job| Unstarted::of(job, &self.shared));
        let unstarted = queued.chain(delayed).collect();
        self.shared.finish(unstarted, Until::forever()).unwrap_or_else(Partial::into_value)
    }

    /// Closes the pool and drops the handle without waiting. Accepted tasks still run, except delayed ones
    /// that are not due, and the threads exit after them. This is for a program that is about to exit while a
    /// task is stuck in a foreign call, for which `drop` would wait.
    pub fn detach(mut self) {
        self.detached = true;
    }

    /// Returns true once the pool is closed to new tasks.
    pub fn is_closed(&self) -> bool {
        self.shared.injector.is_closed()
    }

    /// Changes the number of workers while the pool runs. Workers missing to the new minimum start at once;
    /// surplus workers leave after their current task.
    ///
    /// A pool that is shut down stays as it is.
    ///
    /// # Errors
    /// A [`BuildError`] that says which number is wrong; nothing has changed then. [`BuildError::Spawn`] if
    /// the operating system refused a thread of the minimum: the pool goes on with the workers it has.
    pub fn resize(&self, workers: impl Into<Workers>) -> Result<(), BuildError> {
        let workers = workers.into().checked()?;
        // Surplus workers leave by themselves; only missing ones are started here.
        let notify = self.shared.injector.resize(workers.min, workers.max);
        self.shared.perform(notify);
        self.shared.fill().map_err(BuildError::Spawn)
    }

    /// Runs `body`, which may spawn tasks that borrow from the stack, on this pool's workers and the calling
    /// thread, and returns when all of the tasks have ended. Like [`group::scope`], but starts no threads
    /// besides the pool's.
    ///
    /// The tasks do not enter the pool's queue, are not bounded by it, and do not count in its
    /// [`stats`](Pool::stats): a worker that joins the scope takes one task after another. Tasks that wait
    /// for each other, or for which `body` waits, need as many free workers; inside a task of a pool of one
    /// worker there are none. If the pool is shut down, the calling thread runs all of the tasks.
    ///
    /// ```
    /// use selvedge::{CancelToken, Pool};
    ///
    /// let pool = Pool::builder().workers(2).build()?;
    /// let mut numbers = [1, 2, 3, 4];
    /// pool.scope(&CancelToken::new(), |s| {
    ///     for number in &mut numbers {
    ///         s.spawn(move |_| *number *= 10);
    ///     }
    /// })?;
    /// assert_eq!(numbers, [10, 20, 30, 40]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`group::scope`].
    #[track_caller]
    pub fn scope<'env, R, E, F>(&self, token: &CancelToken, body: F) -> Result<R::Value, group::Error<E>>
    where
        R: BodyResult<E>,
        E: Send + 'env,
        F: for<'scope> FnOnce(&'scope Scope<'scope, 'env, E>) -> R,
    {
        group::scope_on(self.executor(), token, body)
    }

    /// The pool as an executor of helper threads, for task sets outside the pool.
    pub(crate) fn executor(&self) -> Arc<dyn Spawn> {
        Arc::clone(&self.shared) as Arc<dyn Spawn>
    }

    /// Creates a stream of results in the order in which the tasks end.
    pub fn results<R: Send + 'static>(&self) -> Results<'_, R> {
        Results::new(&self.shared)
    }

    /// Returns a snapshot of the pool's figures.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }
}

impl Drop for Pool {
    /// Shuts the pool down as [`Pool::shutdown`] does.
    fn drop(&mut self) {
        // Closed even if detached: the workers leave once the queue is empty. Delayed tasks are cancelled.
        drop(self.shared.close());
        if !self.detached {
            self.shutdown();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Pool");
        out.field("name", &self.shared.config.name);
        self.shared.injector.describe(&mut out);
        if let Some(delayed) = self.shared.delays.try_waiting() {
            out.field("delayed", &delayed);
        }
        out.finish_non_exhaustive()
    }
}

impl UnwindSafe for Pool {}
impl RefUnwindSafe for Pool {}
