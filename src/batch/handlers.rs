//! The threads that process batches, for the wait-for graph.

use crate::sync::{Arc, Mutex};
use crate::wait::context::this_thread;
use crate::wait::graph::{Awaited, Needs, Owner};

/// A batcher's threads; separate from the batches, whose types may borrow.
#[derive(Default)]
pub(super) struct Handlers(Mutex<Known>);

#[derive(Default)]
struct Known {
    threads: Vec<usize>,
    /// How many there will be.
    expected: usize,
}

impl Handlers {
    /// Announces a thread that will start.
    pub(super) fn expect_one(&self) {
        // Before the thread exists: until it has registered, the graph must not conclude that no thread could
        // take a batch.
        self.0.lock().expected += 1;
    }

    /// Registers the calling thread.
    pub(super) fn begin(&self) {
        self.0.lock().threads.push(this_thread());
    }

    /// A registered thread leaves, or an announced one has not started.
    pub(super) fn leave(&self) {
        let mut known = self.0.lock();
        // In one critical section with the removal, so that the two never disagree.
        known.expected -= 1;
        known.threads.retain(|thread| *thread != this_thread());
    }
}

/// The event that any of the threads takes a batch.
impl Awaited for Handlers {
    fn providers(&self, threads: &mut Vec<usize>) -> Needs {
        let known = self.0.lock();
        if known.threads.len() < known.expected {
            // A thread that is about to start may take it.
            return Needs::Nobody;
        }
        threads.extend(&known.threads);
        Needs::One
    }
}

/// The event that all threads leave.
pub(super) struct AllHandlers(pub(super) Arc<Handlers>);

impl Awaited for AllHandlers {
    fn providers(&self, threads: &mut Vec<usize>) -> Needs {
        match self.0.providers(threads) {
            // Unknown for one is unknown for all.
            Needs::Nobody => Needs::Nobody,
            _ => Needs::All,
        }
    }
}

/// The event that a batch is processed: by the thread that has taken it, or by any thread if none has.
pub(super) struct Processed {
    pub(super) owner: Arc<Owner>,
    pub(super) handlers: Arc<Handlers>,
}

impl Awaited for Processed {
    fn providers(&self, threads: &mut Vec<usize>) -> Needs {
        // Once a thread has taken the batch, no other can process it.
        match self.owner.providers(threads) {
            Needs::Nobody => self.handlers.providers(threads),
            needs => needs,
        }
    }
}
