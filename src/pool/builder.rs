//! The configuration of a pool.

use std::error::Error;
use std::ops::{RangeInclusive, RangeToInclusive};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;
use std::{fmt, io};

use super::Pool;
use super::delayed::Delays;
use super::injector::Injector;
use super::shared::{Config, Shared};
use super::worker_counts::WorkerCounts;
use crate::clock::Clock;
use crate::error::Panic;
use crate::inspect::{self, Inspect};
use crate::sync::{Arc, thread};

/// Configures a [`Pool`]; made by [`Pool::builder`].
#[derive(Clone)]
#[must_use = "a builder starts no thread until `build` is called"]
pub struct Builder {
    workers: Workers,
    spares: usize,
    queue: usize,
    config: Config,
}

/// The number of workers of a pool: fixed, or between a minimum and a maximum.
///
/// Made from `4`, `2..=16`, or `..=8`, which is `0..=8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Workers {
    pub(super) min: usize,
    pub(super) max: usize,
}

/// Why a pool could not be built or resized.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// `workers(0)`: no thread would run the tasks.
    NoWorkers,
    /// `workers(5..=2)`: the minimum exceeds the maximum.
    EmptyRange {
        /// The minimum that was asked for.
        min: usize,
        /// The maximum that was asked for.
        max: usize,
    },
    /// `queue(0)`: no task could be handed to a worker.
    NoQueue,
    /// The name contains a NUL character, which a thread's name cannot hold.
    BadName,
    /// The operating system refused a thread. The threads that had started have been stopped.
    Spawn(io::Error),
}

impl Builder {
    pub(super) fn new() -> Self {
        Builder {
            workers: thread::available_parallelism().into(),
            spares: 0,
            queue: 1024,
            config: Config {
                name: "pool".into(),
                stack_size: None,
                keep_alive: Duration::from_secs(10),
                clock: Clock::current(),
                // Captured here rather than on the workers, which have no clock of their own.
                tasks_clock: Clock::current(),
                on_panic: None,
                on_start: None,
                on_exit: None,
            },
        }
    }

    /// Names the pool. Its threads are called `name-0`, `name-1` and so on. Defaults to `pool`. A thread that
    /// replaces one that left takes over its name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.config.name = name.into();
        self
    }

    /// Sets the number of workers: `workers(4)`, or `workers(2..=16)` for at least 2 and at most 16. Defaults
    /// to the number of processors.
    ///
    /// The minimum is started by [`build`](Builder::build) and stays. A further worker is started when a task
    /// is queued and no worker is free, and leaves after it has been idle for
    /// [`keep_alive`](Builder::keep_alive). A task that nests more than 64 joins or scopes continues on
    /// [further threads](super::Pool#blocking), of which one runs at a time.
    pub fn workers(mut self, workers: impl Into<Workers>) -> Self {
        self.workers = workers.into();
        self
    }

    /// Extra threads beyond the maximum, each standing in for a worker whose task is blocked in a call of
    /// this crate: on a queue, a semaphore, a join. Defaults to 0.
    ///
    /// With spares, a task may wait for what a queued task must do, as long as no more tasks block than there
    /// are spares. A blocked task that is woken continues at once, beside its spare, which takes no further
    /// task until another one blocks. Blocking costs two more locks and, if tasks are queued, the wake-up of
    /// a thread.
    ///
    /// A pool of one worker is often meant to run one task after another. With spares it starts the next task
    /// while the first is blocked.
    pub fn spares(mut self, spares: usize) -> Self {
        self.spares = spares;
        self
    }

    /// How many tasks may be queued, and how many [delayed](Pool::submit_after) and periodic ones may exist
    /// besides. Defaults to 1,024.
    ///
    /// If that is 128 or more, up to a quarter of it is lent to the workers, 32 at a time, for what their own
    /// tasks submit. A submit from outside may find the queue full by as much too early, while lent capacity
    /// is unused.
    pub fn queue(mut self, capacity: usize) -> Self {
        self.queue = capacity;
        self
    }

    /// How long a worker beyond the minimum stays idle before it leaves. Defaults to 10 seconds.
    /// [`Duration::MAX`] means forever; with [`Duration::ZERO`] it leaves at once.
    pub fn keep_alive(mut self, keep_alive: Duration) -> Self {
        self.config.keep_alive = keep_alive;
        self
    }

    /// The clock of `keep_alive`, of [delayed](Pool::submit_after) and [periodic](Pool::submit_every) tasks,
    /// and of the tokens of [`submit_with`](Pool::submit_with). Defaults to the system's.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.config.clock = clock.into();
        self
    }

    /// The stack size of each thread, in bytes. Defaults to std's.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.config.stack_size = Some(bytes);
        self
    }

    /// Sets a hook for panics that nobody joins: of a task that was [executed](Pool::execute), or whose
    /// handle was dropped. Defaults to none: such a panic is only [counted](super::Stats::panicked).
    ///
    /// The hook runs on the worker, or on the thread that drops the handle. If the hook panics, the panic
    /// hook reports that and it goes no further.
    pub fn on_panic(mut self, hook: impl Fn(Panic) + Send + Sync + 'static) -> Self {
        self.config.on_panic = Some(Arc::new(hook));
        self
    }

    /// Sets a hook that runs on each worker before its first task. If it panics, the panic hook reports that
    /// and the worker goes on.
    pub fn on_start(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.config.on_start = Some(Arc::new(hook));
        self
    }

    /// Sets a hook that runs on each worker after its last task; a shutdown waits for it. If it panics, the
    /// panic hook reports that and it goes no further.
    pub fn on_exit(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.config.on_exit = Some(Arc::new(hook));
        self
    }

    /// Starts the minimum of workers.
    ///
    /// # Errors
    /// A [`BuildError`] that says which number is wrong, or why the operating system refused a thread.
    pub fn build(self) -> Result<Pool, BuildError> {
        let Workers { min, max } = self.workers.checked()?;
        // Checked before any thread starts, so that there is nothing to undo.
        if self.queue == 0 {
            return Err(BuildError::NoQueue);
        }
        if self.config.name.contains('\0') {
            return Err(BuildError::BadName);
        }
        let injector = Injector::new(self.queue, WorkerCounts::new(min, max, self.spares));
        // Dropping the pool on the early return below stops the workers that have started.
        let shared = Shared::new(injector, Delays::new(self.queue), self.config);
        // Before the threads start: a pool that is stuck at once is listed.
        let listed = inspect::list(|| Arc::clone(&shared) as Arc<dyn Inspect>);
        let pool = Pool { shared, detached: false, _listed: listed };
        pool.shared.fill().map_err(BuildError::Spawn)?;
        Ok(pool)
    }
}

impl Workers {
    pub(super) fn checked(self) -> Result<Self, BuildError> {
        match self {
            // A minimum of 0 is allowed: workers are started on demand.
            Workers { max: 0, min: 0 } => Err(BuildError::NoWorkers),
            Workers { min, max } if min > max => Err(BuildError::EmptyRange { min, max }),
            workers => Ok(workers),
        }
    }
}

impl From<usize> for Workers {
    fn from(count: usize) -> Self {
        Workers { min: count, max: count }
    }
}

impl From<RangeInclusive<usize>> for Workers {
    fn from(range: RangeInclusive<usize>) -> Self {
        Workers { min: *range.start(), max: *range.end() }
    }
}

impl From<RangeToInclusive<usize>> for Workers {
    fn from(range: RangeToInclusive<usize>) -> Self {
        Workers { min: 0, max: range.end }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.config.name)
            .field("workers", &(self.workers.min..=self.workers.max))
            .field("spares", &self.spares)
            .field("queue", &self.queue)
            .field("keep_alive", &self.config.keep_alive)
            .field("clock", &self.config.clock)
            .field("stack_size", &self.config.stack_size)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::NoWorkers => {
                f.write_str("a pool of 0 workers would never run a task: ask for at least 1")
            }
            BuildError::EmptyRange { min, max } => {
                write!(f, "a pool cannot have at least {min} and at most {max} workers: swap the two")
            }
            BuildError::NoQueue => {
                f.write_str("a queue of 0 tasks would never hand one over: ask for at least 1")
            }
            BuildError::BadName => f.write_str("a thread's name cannot hold a NUL character: leave it out"),
            BuildError::Spawn(error) => write!(f, "a worker's thread could not be started: {error}"),
        }
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            BuildError::Spawn(error) => Some(error),
            BuildError::NoWorkers
            | BuildError::EmptyRange { .. }
            | BuildError::NoQueue
            | BuildError::BadName => None,
        }
    }
}

// The hooks are only called: no broken state can be seen through them.
impl UnwindSafe for Builder {}
impl RefUnwindSafe for Builder {}
