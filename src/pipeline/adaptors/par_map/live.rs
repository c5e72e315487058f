//! What a report of [blocked threads](crate::inspect) shows of a parallel map.
//!
//! The state of a map borrows what its closures borrow, so the list of objects, a static, cannot refer to it.
//! What is copied here is copied where the state's lock is held anyway: once for each batch that is read, and
//! when a worker starts or leaves. In a model there is no list, and none of this is made.

use crate::inspect::{self, Inspect, Listed, Object};
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::sync::{Arc, Mutex};
use crate::wait::context::this_thread;
use crate::wait::graph::{Awaited, Needs};

use super::window::Window;

pub(super) struct Live {
    pub(super) name: String,
    pub(super) workers: usize,
    pub(super) bound: usize,
    pub(super) window: Arc<Window>,
    /// Relaxed, as a figure that publishes nothing.
    pub(super) read: AtomicUsize,
    threads: Mutex<Threads>,
}

#[derive(Default)]
struct Threads {
    /// The workers that have started and have not left.
    running: Vec<usize>,
    /// How many there are with those that have yet to start.
    expected: usize,
}

/// A map in the list of objects, until it is dropped.
pub(super) struct ListedMap {
    live: Arc<Live>,
    _listed: Listed,
}

impl ListedMap {
    pub(super) fn new(name: String, workers: usize, bound: usize, window: &Arc<Window>) -> Option<Self> {
        let live = || {
            let (window, read, threads) = (Arc::clone(window), AtomicUsize::new(0), Mutex::default());
            Arc::new(Live { name, workers, bound, window, read, threads })
        };
        let mut made = None;
        let listed = inspect::list(|| Arc::clone(made.insert(live())) as Arc<dyn Inspect>)?;
        Some(ListedMap { live: made?, _listed: listed })
    }

    pub(super) fn has_read(&self, read: usize) {
        self.live.read.store(read, Relaxed);
    }

    /// A worker will start.
    pub(super) fn expect_one(&self) {
        self.live.threads.lock().expected += 1;
    }

    /// The calling thread begins as a worker.
    pub(super) fn begin(&self) {
        self.live.threads.lock().running.push(this_thread());
    }

    /// The calling thread leaves.
    pub(super) fn leave(&self) {
        let mut threads = self.live.threads.lock();
        threads.expected -= 1;
        threads.running.retain(|thread| *thread != this_thread());
    }

    /// What the consumer waits for.
    pub(super) fn awaited(&self) -> Arc<dyn Awaited> {
        Arc::clone(&self.live) as Arc<dyn Awaited>
    }
}

impl Inspect for Live {
    fn object(&self) -> Option<Object> {
        let Live { name, workers, bound, window, read, threads } = self;
        // In this order, so that no more is delivered than was read.
        let delivered = window.delivered();
        let read = read.load(Relaxed).max(delivered);
        Some(Object {
            name: name.clone(),
            figures: vec![
                ("workers", *workers),
                ("running", threads.lock().running.len()),
                ("read", read),
                ("taken", delivered),
                ("bound", *bound),
            ],
            ..Object::new("Pipeline::par_map", 0)
        })
    }
}

/// The event that an output is ready: any worker may compute it. Only a report asks, since the consumer's
/// wait has no error for a cycle.
impl Awaited for Live {
    fn providers(&self, threads: &mut Vec<usize>) -> Needs {
        let known = self.threads.lock();
        if known.running.len() < known.expected {
            // A worker that is about to start may compute it.
            return Needs::Nobody;
        }
        threads.extend(&known.running);
        Needs::One
    }
}
