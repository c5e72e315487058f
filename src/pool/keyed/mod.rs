//! Tasks with keys: in order for each key, and at most so many at once.

mod key_queues;

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};

pub(super) use key_queues::KeyQueues;

use super::job::{PlainJob, TaskJob};
use super::raw_job::RawJob;
use super::submit::{only_closed, refused};
use super::{Pool, Task};
use crate::error::{Closed, Rejected, TryError, WaitError};
use crate::sync::{Arc, weak};
use crate::until::Until;
use key_queues::Bounds;

/// Runs tasks with the same key one after the other, in the order of submission, and tasks with different
/// keys side by side on the workers of a pool; made by [`Pool::keyed`].
///
/// Use it for the messages of an account, the writes to a file, the requests to a host. With a
/// [`width`](Keyed::width), as many tasks of a key run at once, started in order. A key is forgotten when it
/// has no task. A task that panics does not stop its key. A clone has the same keys.
///
/// # Examples
/// ```
/// use selvedge::Pool;
/// use std::sync::{Arc, Mutex};
///
/// let pool = Pool::builder().workers(4).build()?;
/// let by_account = pool.keyed::<str>();
/// let log = Arc::new(Mutex::new(Vec::new()));
/// for (account, amount) in [("ann", 5), ("bob", 7), ("ann", -3)] {
///     let log = Arc::clone(&log);
///     by_account.execute(account, move || log.lock().unwrap().push((account, amount)))?;
/// }
/// pool.shutdown();
/// let ann: Vec<_> = log.lock().unwrap().iter().filter(|(who, _)| *who == "ann").cloned().collect();
/// assert_eq!(ann, [("ann", 5), ("ann", -3)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Blocking
/// `execute` and `submit` wait while as many tasks wait as the [queue](Keyed::queue) holds, of all keys, or
/// the [queue of the key](Keyed::queue_per_key); a worker that takes a task wakes them. Inside a task of the
/// same pool they do not wait: the task is queued beyond the bounds, since the room may be the caller's own
/// to make. These tasks use no room in the pool's own queue.
///
/// A [`Task`] from here is joined like any other, but a task of the same pool that joins it does not run it,
/// because the tasks before it come first. It waits for a worker; if there is none that could ever come, the
/// join fails with [`WouldDeadlock`](crate::error::JoinError::WouldDeadlock).
///
/// # Cancellation
/// [`Task::cancel`] cancels a task that has not started. It keeps its position until a worker comes to it.
/// After a [`shutdown`](Pool::shutdown), what was accepted still runs, in order; an [`abort`](Pool::abort)
/// takes back what has not started.
///
/// # Panics
/// Those of tasks go where those of other tasks go. The caller's `Hash` and hasher run in the calling thread,
/// under no lock.
///
/// # Fairness
/// After each task, a key goes to the end of the pool's queue, so a key with many tasks delays each other key
/// by one task at a time. Submitters that wait are served first come, first served, except that one whose key
/// has room overtakes one whose key has none.
///
/// # Ordering
/// What a task did is visible to the next task of its key, if the width is 1.
///
/// # Proof
/// Models in `loom-tests/tests/pool_keyed.rs`, with one worker:
/// `a_task_that_meets_the_end_of_its_keys_last_is_run`, `a_submit_to_a_full_key_that_meets_a_shutdown_ends`,
/// `an_abort_takes_the_tasks_of_a_key_back`.
///
/// # Cost
/// Each task costs a place in the pool's queue and two locks more than one without a key. Keys are told apart
/// by their 64-bit hashes: two keys with the same hash share their order and width, and nothing else goes
/// wrong.
///
/// # Instead
/// A thread and a queue for each key, if there are few keys that live long;
/// [`KeyedLimiter`](crate::KeyedLimiter) to limit a rate; [`Pipeline::fan_out_by`](crate::Pipeline) in a
/// stream.
pub struct Keyed<K: ?Sized, S = RandomState> {
    queues: weak::Arc<KeyQueues>,
    hasher: S,
    _keys: PhantomData<fn(&K)>,
}

impl Pool {
    /// Makes a way to submit tasks that are serial for each key. Keys of two calls have nothing to do with
    /// each other.
    pub fn keyed<K: Hash + ?Sized>(&self) -> Keyed<K> {
        let queue = self.shared.injector.capacity();
        let bounds = Bounds { width: 1, queue, per_key: queue };
        Keyed { queues: KeyQueues::new(&self.shared, bounds), hasher: RandomState::new(), _keys: PhantomData }
    }
}

impl<K: ?Sized, S> Keyed<K, S> {
    /// The same, with at most `width` tasks of a key at once. Defaults to 1. Tasks that were submitted before
    /// are not counted, so this comes before the first submit.
    ///
    /// # Panics
    /// If `width` is 0, since no task would ever run.
    #[must_use = "the old bounds stay in what this was called on"]
    #[track_caller]
    pub fn width(self, width: usize) -> Self {
        assert!(width > 0, "with 0 at once, no task of a key would ever run; the least is 1");
        self.with(|bounds| bounds.width = width)
    }

    /// The same, with at most `queue` waiting tasks, of all keys. Defaults to the pool's
    /// [queue](super::Builder::queue).
    ///
    /// # Panics
    /// If `queue` is 0, since no task could be handed to a worker.
    #[must_use = "the old bounds stay in what this was called on"]
    #[track_caller]
    pub fn queue(self, queue: usize) -> Self {
        assert!(queue > 0, "a queue of 0 tasks would never hand one over; the least is 1");
        self.with(|bounds| bounds.queue = queue)
    }

    /// The same, with at most `queue` waiting tasks of each key, so that a key with many tasks does not use
    /// up the [queue](Keyed::queue) of all. Defaults to no such bound.
    ///
    /// # Panics
    /// If `queue` is 0, since no task could be handed to a worker.
    #[must_use = "the old bounds stay in what this was called on"]
    #[track_caller]
    pub fn queue_per_key(self, queue: usize) -> Self {
        assert!(queue > 0, "a queue of 0 tasks would never hand one over; the least is 1");
        self.with(|bounds| bounds.per_key = queue)
    }

    fn with(self, change: impl FnOnce(&mut Bounds)) -> Self {
        let mut bounds = self.queues.bounds;
        change(&mut bounds);
        Keyed { queues: KeyQueues::new(&self.queues.pool, bounds), ..self }
    }

    /// The same, with another hasher. Keys with equal hashes share their order.
    pub fn with_hasher<H: BuildHasher>(self, hasher: H) -> Keyed<K, H> {
        Keyed { queues: self.queues, hasher, _keys: PhantomData }
    }

    /// Returns the number of keys that have tasks, waiting or running.
    pub fn keys(&self) -> usize {
        self.queues.figures().0
    }

    /// Returns the number of tasks that wait, of all keys. Those that were cancelled count until a worker has
    /// removed them.
    pub fn waiting(&self) -> usize {
        self.queues.figures().1
    }
}

impl<K: Hash + ?Sized, S: BuildHasher> Keyed<K, S> {
    /// Submits a closure without a handle, waiting for room as long as it takes.
    ///
    /// # Errors
    /// [`Closed`], with the closure, once the pool is shut down.
    #[track_caller]
    pub fn execute<F>(&self, key: &K, f: F) -> Result<(), Rejected<F, Closed>>
    where
        F: FnOnce() + Send + 'static,
    {
        self.execute_until(key, f, Until::forever()).map_err(only_closed)
    }

    /// Like [`execute`](Keyed::execute), without waiting.
    ///
    /// # Errors
    /// With the closure: [`TryError::WouldBlock`] if there is no room, [`TryError::Closed`].
    pub fn try_execute<F>(&self, key: &K, f: F) -> Result<(), Rejected<F, TryError>>
    where
        F: FnOnce() + Send + 'static,
    {
        let (hash, mut task) = (self.hasher.hash_one(key), Some(f));
        KeyQueues::try_push(&self.queues, hash, &mut task, pack).map_err(|error| refused(task, error))
    }

    /// Like [`execute`](Keyed::execute), waiting for room until `limit` at most.
    ///
    /// # Errors
    /// With the closure: [`WaitError::TimedOut`], [`WaitError::Cancelled`] or [`WaitError::Closed`].
    #[track_caller]
    pub fn execute_until<'a, F>(
        &self,
        key: &K,
        f: F,
        limit: impl Into<Until<'a>>,
    ) -> Result<(), Rejected<F, WaitError>>
    where
        F: FnOnce() + Send + 'static,
    {
        let (hash, mut task) = (self.hasher.hash_one(key), Some(f));
        KeyQueues::push(&self.queues, hash, &mut task, pack, limit.into())
            .map_err(|error| refused(task, error))
    }

    /// Submits a closure and returns a handle to its result, waiting for room as long as it takes.
    ///
    /// # Errors
    /// [`Closed`], with the closure, once the pool is shut down.
    #[track_caller]
    pub fn submit<F, R>(&self, key: &K, f: F) -> Result<Task<R>, Rejected<F, Closed>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.submit_until(key, f, Until::forever()).map_err(only_closed)
    }

    /// Like [`submit`](Keyed::submit), without waiting.
    ///
    /// # Errors
    /// With the closure: [`TryError::WouldBlock`] if there is no room, [`TryError::Closed`].
    pub fn try_submit<F, R>(&self, key: &K, f: F) -> Result<Task<R>, Rejected<F, TryError>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let (hash, job) = (self.hasher.hash_one(key), TaskJob::in_order(f, |f, _| f()));
        let queued = KeyQueues::try_push(&self.queues, hash, &mut Some(Arc::clone(&job)), RawJob::new);
        self.task(job, queued)
    }

    /// Like [`submit`](Keyed::submit), waiting for room until `limit` at most.
    ///
    /// # Errors
    /// With the closure: [`WaitError::TimedOut`], [`WaitError::Cancelled`] or [`WaitError::Closed`].
    #[track_caller]
    pub fn submit_until<'a, F, R>(
        &self,
        key: &K,
        f: F,
        limit: impl Into<Until<'a>>,
    ) -> Result<Task<R>, Rejected<F, WaitError>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let (hash, job) = (self.hasher.hash_one(key), TaskJob::in_order(f, |f, _| f()));
        let queued =
            KeyQueues::push(&self.queues, hash, &mut Some(Arc::clone(&job)), RawJob::new, limit.into());
        self.task(job, queued)
    }

    fn task<F, R, E>(&self, job: Arc<TaskJob<F, R>>, queued: Result<(), E>) -> Result<Task<R>, Rejected<F, E>>
    where
        F: Send + 'static,
        R: Send + 'static,
    {
        match queued {
            Ok(()) => Ok(Task::new(job, Arc::clone(&self.queues.pool))),
            // No other thread has seen the job, so the closure is unclaimed.
            Err(error) => Err(Rejected::new(job.take_back(), error)),
        }
    }
}

fn pack<F: FnOnce() + Send + 'static>(f: F) -> RawJob {
    RawJob::new(PlainJob { f, name: () })
}

impl<K: ?Sized, S: Clone> Clone for Keyed<K, S> {
    fn clone(&self) -> Self {
        Keyed { queues: weak::Arc::clone(&self.queues), hasher: self.hasher.clone(), _keys: PhantomData }
    }
}

impl<K: ?Sized, S> fmt::Debug for Keyed<K, S> {
    /// Never blocks: leaves out the figures while another thread has them locked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Keyed");
        out.field("bounds", &self.queues.bounds);
        if let Some((keys, waiting)) = self.queues.try_figures() {
            out.field("keys", &keys).field("waiting", &waiting);
        }
        out.finish_non_exhaustive()
    }
}

// The hasher runs under no lock, and a panic of it changes nothing.
impl<K: ?Sized, S> UnwindSafe for Keyed<K, S> {}
impl<K: ?Sized, S> RefUnwindSafe for Keyed<K, S> {}
