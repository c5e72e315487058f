//! What a pool is made of.

use std::error::Error;
use std::ops::{RangeInclusive, RangeToInclusive};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;
use std::{fmt, io};

use super::Pool;
use super::injector::Injector;
use super::shared::{Config, Shared};
use super::worker_counts::WorkerCounts;
use crate::clock::Clock;
use crate::error::Panic;
use crate::inspect::{self, Inspect};
use crate::sync::{Arc, thread};

/// Describes a [`Pool`] before it is built; made by [`Pool::builder`].
#[derive(Clone)]
#[must_use = "a builder starts no thread until `build` is called"]
pub struct Builder {
    workers: Workers,
    spares: usize,
    queue: usize,
    config: Config,
}

/// How many threads a pool has: a number, or the fewest and the most.
///
/// Made from `4`, `2..=16`, or `..=8`, which is `0..=8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Workers {
    pub(super) min: usize,
    pub(super) max: usize,
}

/// Why a pool could not be built, or resized.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// `workers(0)`: nobody would run the tasks.
    NoWorkers,
    /// `workers(5..=2)`: at least `min` and at most `max` cannot both be.
    EmptyRange {
        /// What was to be the fewest.
        min: usize,
        /// What was to be the most.
        max: usize,
    },
    /// `queue(0)`: no task could be handed over.
    NoQueue,
    /// The name has a NUL character in it, which no thread's name can hold.
    BadName,
    /// The operating system refused a thread. Those that had started were stopped again.
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
                tasks_clock: Clock::current(),
                on_panic: None,
                on_start: None,
                on_exit: None,
            },
        }
    }

    /// Names the pool. Its threads are called `name-0`, `name-1` and so on; without it, `pool-0`. A thread
    /// that takes the place of one that has left has its name too.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.config.name = name.into();
        self
    }

    /// How many threads work: `workers(4)`, or `workers(2..=16)` for at least 2 and at most 16. Without it,
    /// as many as the machine has processors.
    ///
    /// The fewest are started at once and stay. Another is started as soon as a task is queued that nobody is
    /// free for, and leaves when it had nothing to do for the time of [`keep_alive`](Builder::keep_alive). A
    /// task that nests more than 64 joins or scopes goes on on [further threads](super::Pool#blocking), one
    /// at work at a time.
    pub fn workers(mut self, workers: impl Into<Workers>) -> Self {
        self.workers = workers.into();
        self
    }

    /// How many threads there may be above the most workers, each in the place of one whose task sleeps in a
    /// call of this crate: in a queue, a semaphore, a join. Without it, none.
    ///
    /// With spares a task may wait for what another, still queued, must do, as long as no more of them sleep
    /// than there are spares. When a sleeper wakes it goes on at once, beside its spare, which takes no
    /// further task until another falls asleep. A sleep costs two locks more, and, if tasks are queued, a
    /// thread that wakes.
    ///
    /// A pool of one worker is often meant to run one task after the other. With spares it starts the next
    /// when the first sleeps.
    pub fn spares(mut self, spares: usize) -> Self {
        self.spares = spares;
        self
    }

    /// How many tasks may wait to be started; without it, 1,024.
    ///
    /// Of 128 or more, up to a quarter are lent to the workers, 32 at a time, for what their own tasks
    /// submit. While such a place is free, a submit from outside may find the queue full so much earlier.
    pub fn queue(mut self, capacity: usize) -> Self {
        self.queue = capacity;
        self
    }

    /// How long a worker above the fewest stays without work; without it, 10 seconds. [`Duration::MAX`] is
    /// for ever, [`Duration::ZERO`] not at all.
    pub fn keep_alive(mut self, keep_alive: Duration) -> Self {
        self.config.keep_alive = keep_alive;
        self
    }

    /// The clock that `keep_alive` is measured on, and that the tokens of
    /// [`submit_with`](Pool::submit_with) are on; without it, the system's.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.config.clock = clock.into();
        self
    }

    /// Stack of each thread, in bytes; without it, std's default.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.config.stack_size = Some(bytes);
        self
    }

    /// Called with each panic that nobody joins: of a task that was [executed](Pool::execute), or whose
    /// handle was dropped. Without it such a panic is [counted](super::Stats::panicked) only.
    ///
    /// It runs on the worker, or where the handle is dropped. If it panics itself, that ends with the message
    /// of the panic hook.
    pub fn on_panic(mut self, hook: impl Fn(Panic) + Send + Sync + 'static) -> Self {
        self.config.on_panic = Some(Arc::new(hook));
        self
    }

    /// Called on each worker before its first task. A panic in it ends with the message of the panic hook.
    pub fn on_start(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.config.on_start = Some(Arc::new(hook));
        self
    }

    /// Called on each worker after its last task; a shutdown waits for it. A panic in it ends with the
    /// message of the panic hook.
    pub fn on_exit(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.config.on_exit = Some(Arc::new(hook));
        self
    }

    /// Starts the threads.
    ///
    /// # Errors
    /// A [`BuildError`] says which number is wrong, or what the operating system said.
    pub fn build(self) -> Result<Pool, BuildError> {
        let Workers { min, max } = self.workers.checked()?;
        if self.queue == 0 {
            return Err(BuildError::NoQueue);
        }
        if self.config.name.contains('\0') {
            return Err(BuildError::BadName);
        }
        let injector = Injector::new(self.queue, WorkerCounts::new(min, max, self.spares));
        // Dropped on an early return, which stops the workers that have started.
        let shared = Shared::new(injector, self.config);
        let listed = inspect::list(|| Arc::clone(&shared) as Arc<dyn Inspect>);
        let pool = Pool { shared, detached: false, _listed: listed };
        pool.shared.fill().map_err(BuildError::Spawn)?;
        Ok(pool)
    }
}

impl Workers {
    pub(super) fn checked(self) -> Result<Self, BuildError> {
        match self {
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

// The hooks are called, not looked into.
impl UnwindSafe for Builder {}
impl RefUnwindSafe for Builder {}
