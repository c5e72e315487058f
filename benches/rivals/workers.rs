//! Pools of threads.
//!
//! threadfin 0.1.2 is missing: it asks for a `once_cell` below 1.15 and dashmap for one from 1.21.4 on, and
//! one graph of dependencies cannot have both.

use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

/// A pool, as its users see it.
pub(crate) trait Workers: Clone + Send + Sync + 'static {
    /// A pool with a queue for any number of tasks, as far as the library has such.
    fn new(workers: usize) -> Self;

    /// Runs a task whose result nobody needs.
    fn execute(&self, task: impl FnOnce() + Send + 'static);

    /// Where the result of a task arrives.
    type Handle;

    fn submit(&self, task: impl FnOnce() -> u64 + Send + 'static) -> Self::Handle;

    fn join(handle: Self::Handle) -> u64;
}

/// Where a library has no results, what everybody does: a channel of one's own.
fn by_channel(
    execute: impl FnOnce(Box<dyn FnOnce() + Send>),
    task: impl FnOnce() -> u64 + Send + 'static,
) -> mpsc::Receiver<u64> {
    let (sender, receiver) = mpsc::sync_channel(1);
    execute(Box::new(move || sender.send(task()).expect("the bench waits")));
    receiver
}

/// Ours, with a queue for so many tasks.
#[derive(Clone)]
pub(crate) struct Selvedge<const QUEUE: usize>(Arc<selvedge::Pool>);

/// A queue that holds every burst of these benches, as the rivals' do that are not bounded.
pub(crate) const ROOMY: usize = 1 << 17;

impl<const QUEUE: usize> Workers for Selvedge<QUEUE> {
    fn new(workers: usize) -> Self {
        let pool = selvedge::Pool::builder().workers(workers).queue(QUEUE).build();
        Selvedge(Arc::new(pool.expect("a bench needs its threads")))
    }

    fn execute(&self, task: impl FnOnce() + Send + 'static) {
        self.0.execute(task).expect("nobody shuts it down");
    }

    type Handle = selvedge::Task<u64>;

    fn submit(&self, task: impl FnOnce() -> u64 + Send + 'static) -> Self::Handle {
        self.0.submit(task).expect("nobody shuts it down")
    }

    fn join(handle: Self::Handle) -> u64 {
        handle.join().expect("it does not panic")
    }
}

#[derive(Clone)]
pub(crate) struct Rayon(Arc<rayon::ThreadPool>);

impl Workers for Rayon {
    fn new(workers: usize) -> Self {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(workers).build();
        Rayon(Arc::new(pool.expect("a bench needs its threads")))
    }

    fn execute(&self, task: impl FnOnce() + Send + 'static) {
        self.0.spawn(task);
    }

    type Handle = mpsc::Receiver<u64>;

    fn submit(&self, task: impl FnOnce() -> u64 + Send + 'static) -> Self::Handle {
        by_channel(|task| self.0.spawn(task), task)
    }

    fn join(handle: Self::Handle) -> u64 {
        handle.recv().expect("it does not panic")
    }
}

impl Rayon {
    /// Its own way to run one thing and wait for it.
    pub(crate) fn install(&self, task: impl FnOnce() -> u64 + Send) -> u64 {
        self.0.install(task)
    }
}

impl Workers for threadpool::ThreadPool {
    fn new(workers: usize) -> Self {
        threadpool::ThreadPool::new(workers)
    }

    fn execute(&self, task: impl FnOnce() + Send + 'static) {
        threadpool::ThreadPool::execute(self, task);
    }

    type Handle = mpsc::Receiver<u64>;

    fn submit(&self, task: impl FnOnce() -> u64 + Send + 'static) -> Self::Handle {
        by_channel(|task| threadpool::ThreadPool::execute(self, task), task)
    }

    fn join(handle: Self::Handle) -> u64 {
        handle.recv().expect("it does not panic")
    }
}

impl Workers for rusty_pool::ThreadPool {
    fn new(workers: usize) -> Self {
        let pool = rusty_pool::ThreadPool::new(workers, workers, Duration::from_secs(60));
        pool.start_core_threads();
        pool
    }

    fn execute(&self, task: impl FnOnce() + Send + 'static) {
        rusty_pool::ThreadPool::execute(self, task);
    }

    type Handle = rusty_pool::JoinHandle<u64>;

    fn submit(&self, task: impl FnOnce() -> u64 + Send + 'static) -> Self::Handle {
        self.evaluate(task)
    }

    fn join(handle: Self::Handle) -> u64 {
        handle.await_complete()
    }
}

/// A task whose handle is dropped still runs.
#[derive(Clone)]
pub(crate) struct Micropool(Arc<micropool::ThreadPool>);

impl Workers for Micropool {
    fn new(workers: usize) -> Self {
        Micropool(Arc::new(micropool::ThreadPoolBuilder::default().num_threads(workers).build()))
    }

    fn execute(&self, task: impl FnOnce() + Send + 'static) {
        self.0.spawn_owned(task);
    }

    type Handle = micropool::OwnedTask<u64>;

    fn submit(&self, task: impl FnOnce() -> u64 + Send + 'static) -> Self::Handle {
        self.0.spawn_owned(task)
    }

    fn join(handle: Self::Handle) -> u64 {
        handle.join()
    }
}

type Task = Box<dyn FnOnce() + Send>;

/// Threads that receive boxed closures from a crossbeam channel; of capacity `QUEUE`, or without bound if
/// that is 0.
pub(crate) struct ByHand<const QUEUE: usize> {
    tasks: Sender<Task>,
    /// The last clone joins them.
    threads: Arc<Vec<JoinHandle<()>>>,
}

impl<const QUEUE: usize> Workers for ByHand<QUEUE> {
    fn new(workers: usize) -> Self {
        let (tasks, receiver): (Sender<Task>, Receiver<Task>) = match QUEUE {
            0 => crossbeam_channel::unbounded(),
            bound => crossbeam_channel::bounded(bound),
        };
        let start = |_| {
            let receiver = receiver.clone();
            thread::spawn(move || receiver.iter().for_each(|task| task()))
        };
        ByHand { tasks, threads: Arc::new((0..workers).map(start).collect()) }
    }

    fn execute(&self, task: impl FnOnce() + Send + 'static) {
        self.tasks.send(Box::new(task)).expect("the workers are there");
    }

    type Handle = mpsc::Receiver<u64>;

    fn submit(&self, task: impl FnOnce() -> u64 + Send + 'static) -> Self::Handle {
        by_channel(|task| self.tasks.send(task).expect("the workers are there"), task)
    }

    fn join(handle: Self::Handle) -> u64 {
        handle.recv().expect("it does not panic")
    }
}

impl<const QUEUE: usize> Clone for ByHand<QUEUE> {
    fn clone(&self) -> Self {
        ByHand { tasks: self.tasks.clone(), threads: Arc::clone(&self.threads) }
    }
}
