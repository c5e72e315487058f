//! Worker threads that run what is submitted to them.

#[forbid(unsafe_code)]
mod builder;
#[forbid(unsafe_code)]
mod injector;
#[forbid(unsafe_code)]
mod job;
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

/// Runs closures on threads that are there already: a fixed number of them, or as many as the work needs
/// between a fewest and a most, with a bounded queue before them.
///
/// Every task that was accepted is run, cancelled, or handed back by [`abort`](Pool::abort): none is lost. A
/// task that panics does so to its [handle](Task); its worker lives on. Submitting to a pool that is full
/// waits for room; to one that is shut down fails and gives the closure back. There are never more workers
/// than the most and the [spares](Builder::spares) together, never fewer than the fewest, and whenever a task
/// is queued and another worker is allowed, one is on its way. No more tasks are at work at once than there
/// are workers; what nests [too deep for one stack](#blocking) goes on on a further thread, while the worker
/// waits for it.
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
/// Between 2 and 16 threads, and a task that waits for one behind it in the queue:
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
/// `execute` and `submit` wait while the queue is full, `join` until the task has ended, `shutdown` and drop
/// until the queue is empty and the workers have gone. The thread that starts a worker is the one whose call
/// made it necessary: that takes 50 to 100 µs.
///
/// From inside a task of the same pool nothing of this deadlocks, at one worker and a full queue either:
/// joining a task that nobody has started runs it on the spot; submitting to the full queue runs the new task
/// on the spot, instead of waiting for a worker that may be oneself; `shutdown`, `abort` and drop close the
/// pool and return without waiting; two tasks that join each other are told so. A thread that helps a task
/// with a scope counts as inside. A waiter never runs a task other than the one it waits for. Tasks that run
/// inside each other on one stack are at most 64: a join or a scope below goes on on a thread of the crate's
/// own, which stands in for the one that waits for it, and a submit goes into the queue though that is full.
/// So a chain of 1,000 joins sleeps on about 16 threads besides the worker's; they are no workers, and
/// neither counted nor limited.
///
/// What is left is a task that waits, in a queue or on a latch, for what only a queued task would do, when
/// every worker does so: give the pool [spares](Builder::spares).
///
/// # Cancellation
/// [`Task::cancel`] takes back a task that has not started. `abort` takes them all back. What runs is not
/// interrupted: [`submit_with`](Pool::submit_with) gives it a token.
///
/// # Panics
/// A panic of a task is caught, counted, and handed to whoever joins it; if nobody does, to the pool's
/// [hook](Builder::on_panic). So are panics in the drop of a closure that is not run. A result that nobody
/// takes is dropped on whichever thread is the last, where a panic of its drop ends with the panic hook's
/// message. No panic costs a worker. A drop of the pool waits for its tasks and does not panic for them.
///
/// # Fairness
/// What is submitted from outside starts in the order in which it came into the queue. What a task submits to
/// its own pool goes onto the local queue of the worker that runs it, which takes it in its order, and before
/// the queue; but after every 61 tasks a worker looks first at the queue or at another's local queue, each in
/// turn, and one that has nothing left takes from wherever there is something. Submitters that wait for room
/// are called first come, first served; one that comes by at the right moment may be faster, but not for
/// ever: while a submitter waits that has lost 32 times, nobody else gets a place in the queue.
///
/// # Ordering
/// What was done before a submit is visible to the task, and what the task did is visible after `join`.
///
/// # Proof
/// Models in `loom-tests/tests/pool.rs`, `pool_elastic.rs` and `pool_desk.rs`. They assume that the operating
/// system starts every thread. Where it does not, the pool goes on with those it has; with none, whoever
/// found that out runs the tasks.
///
/// # Cost
/// No allocation for a closure of at most 48 bytes that is executed, one for a task with a handle. Idle
/// workers cost no processor time. Bench `pool`; the README has the ratios. Memory: at most two deques of the
/// queue's capacity, 56 bytes a task.
///
/// # Instead
/// rayon for CPU-bound work that splits into parts: its workers take from each other, which is faster where
/// tasks spawn tasks. [`group::scope`] for tasks that borrow, or that belong together.
pub struct Pool {
    shared: Arc<Shared>,
    detached: bool,
    /// In the list that [`inspect`](crate::inspect) shows, as long as there is a handle.
    _listed: Option<Listed>,
}

impl Pool {
    /// Starts describing a pool.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Closes the pool to new tasks, waits until those that were accepted have run, and joins the workers.
    ///
    /// Any thread may call it, and more than one: each returns when the workers have gone. From inside a
    /// task of this pool, or where one waits for this thread, it closes the pool and does not wait for that;
    /// the report names who still runs.
    #[track_caller]
    pub fn shutdown(&self) -> Report {
        // A forever limit does not end.
        self.shutdown_until(Until::forever()).unwrap_or_else(Partial::into_value)
    }

    /// Like [`shutdown`](Pool::shutdown), and waits at most until `limit`. The pool stays closed.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`](crate::error::WaitError::TimedOut),
    /// [`WaitError::Cancelled`](crate::error::WaitError::Cancelled), or
    /// [`WaitError::WouldDeadlock`](crate::error::WaitError::WouldDeadlock) if a task waits for this thread,
    /// with a report that names the workers which still run.
    #[track_caller]
    pub fn shutdown_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<Report, Partial<Report>> {
        self.shared.injector.close();
        self.shared.finish(Vec::new(), limit.into())
    }

    /// Closes the pool, takes back the tasks that nobody has started, waits for those that run, and joins
    /// the workers. The report holds what was taken back; dropping one of those cancels its handle.
    ///
    /// From inside a task of this pool it returns at once, as [`shutdown`](Pool::shutdown) does.
    #[track_caller]
    pub fn abort(&self) -> Report {
        self.shared.injector.close();
        let unstarted = self.shared.injector.drain().into_iter();
        let unstarted = unstarted.filter_map(|raw| Unstarted::of(raw, &self.shared));
        self.shared.finish(unstarted.collect(), Until::forever()).unwrap_or_else(Partial::into_value)
    }

    /// Closes the pool and lets go of it without waiting: what was accepted still runs, and the threads end
    /// when it has. For a program that is about to end while a task is stuck in somebody else's call, which
    /// `drop` would wait for.
    pub fn detach(mut self) {
        self.detached = true;
    }

    /// True once the pool was shut down: it takes no more tasks.
    pub fn is_closed(&self) -> bool {
        self.shared.injector.is_closed()
    }

    /// Changes how many workers there are, while they work. Workers that are missing to the new minimum start
    /// at once; those that are too many leave when they have done the task that they are at.
    ///
    /// A pool that is shut down stays as it is.
    ///
    /// # Errors
    /// A [`BuildError`] says which number is wrong; then nothing was changed. [`BuildError::Spawn`] if the
    /// operating system refused a thread of the minimum: the pool goes on with those that it has.
    pub fn resize(&self, workers: impl Into<Workers>) -> Result<(), BuildError> {
        let workers = workers.into().checked()?;
        let call = self.shared.injector.resize(workers.min, workers.max);
        self.shared.answer(call);
        self.shared.fill().map_err(BuildError::Spawn)
    }

    /// Runs `body`, which may spawn tasks that borrow from the stack, on this pool's workers and on this
    /// thread, and returns when all of them have ended. Like [`group::scope`], which see, but no other
    /// threads are used.
    ///
    /// The tasks do not go through the pool's queue one by one, are not bounded by it, and are not in its
    /// [`stats`](Pool::stats): a worker that comes to the scope takes one after the other. Tasks that wait
    /// for each other, or for which `body` waits, need as many free workers; from inside a task of a pool of
    /// one worker there is none. On a pool that is shut down, this thread runs them all.
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
    pub fn scope<'env, R, E, F>(&self, token: &CancelToken, body: F) -> Result<R::Value, group::Error<E>>
    where
        R: BodyResult<E>,
        E: Send + 'env,
        F: for<'scope> FnOnce(&'scope Scope<'scope, 'env, E>) -> R,
    {
        group::scope_on(self.spawn(), token, body)
    }

    /// This pool's threads, for those who have a board of their own.
    pub(crate) fn spawn(&self) -> Arc<dyn Spawn> {
        Arc::clone(&self.shared) as Arc<dyn Spawn>
    }

    /// Makes a stream for results in the order in which tasks end.
    pub fn results<R: Send + 'static>(&self) -> Results<'_, R> {
        Results::new(&self.shared)
    }

    /// What the pool does and has done.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }
}

impl Drop for Pool {
    /// Shuts the pool down as [`Pool::shutdown`] does.
    fn drop(&mut self) {
        self.shared.injector.close();
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
        out.finish_non_exhaustive()
    }
}

impl UnwindSafe for Pool {}
impl RefUnwindSafe for Pool {}
