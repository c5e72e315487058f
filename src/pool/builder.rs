//! What a pool is made of.

use std::error::Error;
use std::{fmt, io};

use super::report::Tally;
use super::{Pool, Shared, Worker};
use crate::latch::WaitGroup;
use crate::queue::BoundedQueue;
use crate::sync::{Arc, Mutex, thread};

/// Describes a [`Pool`] before it is built; made by [`Pool::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder starts no thread until `build` is called"]
pub struct Builder {
    name: String,
    workers: usize,
    queue: usize,
    stack_size: Option<usize>,
}

/// Why a pool could not be built.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// `workers(0)`: nobody would run the tasks.
    NoWorkers,
    /// `queue(0)`: no task could be handed over.
    NoQueue,
    /// The operating system refused a thread. Those that had started were stopped again.
    Spawn(io::Error),
}

impl Builder {
    pub(super) fn new() -> Self {
        Builder {
            name: "pool".into(),
            workers: thread::available_parallelism(),
            queue: 1024,
            stack_size: None,
        }
    }

    /// Names the pool. Its threads are called `name-0`, `name-1` and so on; without it, `pool-0`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// How many threads work; without it, as many as the machine has processors.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// How many tasks may wait to be started; without it, 1,024.
    pub fn queue(mut self, capacity: usize) -> Self {
        self.queue = capacity;
        self
    }

    /// Stack of each thread, in bytes; without it, std's default.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Starts the threads.
    ///
    /// # Errors
    /// A [`BuildError`] says which number is wrong, or what the operating system said.
    pub fn build(self) -> Result<Pool, BuildError> {
        if self.workers == 0 {
            return Err(BuildError::NoWorkers);
        }
        if self.queue == 0 {
            return Err(BuildError::NoQueue);
        }
        let shared = Arc::new(Shared {
            queue: BoundedQueue::new(self.queue),
            tally: Tally::default(),
            present: WaitGroup::new(),
            workers: Mutex::new(Vec::with_capacity(self.workers)),
        });
        // Dropped on an early return, which stops the workers that have started.
        let pool = Pool { shared, detached: false };
        for index in 0..self.workers {
            self.start(&pool.shared, index).map_err(BuildError::Spawn)?;
        }
        Ok(pool)
    }

    fn start(&self, shared: &Arc<Shared>, index: usize) -> io::Result<()> {
        let name = format!("{}-{index}", self.name);
        let mut builder = thread::Builder::new().name(name.clone());
        if let Some(bytes) = self.stack_size {
            builder = builder.stack_size(bytes);
        }
        // The entry comes before the thread, which marks it when it goes.
        shared.workers.lock().push(Worker { name, handle: None, gone: false });
        let spawned = builder.spawn({
            let (shared, member) = (Arc::clone(shared), shared.present.join());
            move || {
                shared.work();
                shared.workers.lock()[index].gone = true;
                // Last: who waits for nobody to be present finds every worker marked.
                drop(member);
            }
        });
        let mut workers = shared.workers.lock();
        match spawned {
            Ok(handle) => workers[index].handle = Some(handle),
            Err(error) => {
                workers.pop();
                return Err(error);
            }
        }
        Ok(())
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::NoWorkers => {
                f.write_str("a pool of 0 workers would never run a task: ask for at least 1")
            }
            BuildError::NoQueue => {
                f.write_str("a queue of 0 tasks would never hand one over: ask for at least 1")
            }
            BuildError::Spawn(error) => write!(f, "a worker's thread could not be started: {error}"),
        }
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            BuildError::Spawn(error) => Some(error),
            BuildError::NoWorkers | BuildError::NoQueue => None,
        }
    }
}
