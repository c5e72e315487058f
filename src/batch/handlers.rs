//! Which threads hand batches over, for the wait-for graph.

use crate::sync::{Arc, Mutex};
use crate::wait::context::this_thread;
use crate::wait::graph::{Awaited, Needs, Owner};

/// A batcher's threads. Apart from what they work on, whose types may borrow.
#[derive(Default)]
pub(super) struct Handlers(Mutex<Known>);

#[derive(Default)]
struct Known {
    threads: Vec<usize>,
    /// How many there will be.
    expected: usize,
}

impl Handlers {
    /// One more will begin.
    pub(super) fn expect_one(&self) {
        self.0.lock().expected += 1;
    }

    /// The calling thread is one of them from now on.
    pub(super) fn begin(&self) {
        self.0.lock().threads.push(this_thread());
    }

    /// One of them leaves, or has not begun at all.
    pub(super) fn leave(&self) {
        let mut known = self.0.lock();
        known.expected -= 1;
        known.threads.retain(|thread| *thread != this_thread());
    }
}

/// That any of the threads takes a batch.
impl Awaited for Handlers {
    fn providers(&self, threads: &mut Vec<usize>) -> Needs {
        let known = self.0.lock();
        if known.threads.len() < known.expected {
            // Whoever is about to begin may be the one.
            return Needs::Nobody;
        }
        threads.extend(&known.threads);
        Needs::One
    }
}

/// That all threads leave.
pub(super) struct AllHandlers(pub(super) Arc<Handlers>);

impl Awaited for AllHandlers {
    fn providers(&self, threads: &mut Vec<usize>) -> Needs {
        match self.0.providers(threads) {
            Needs::Nobody => Needs::Nobody,
            _ => Needs::All,
        }
    }
}

/// That one batch is processed: by the thread that has taken it, or else by any.
pub(super) struct Processed {
    pub(super) owner: Arc<Owner>,
    pub(super) handlers: Arc<Handlers>,
}

impl Awaited for Processed {
    fn providers(&self, threads: &mut Vec<usize>) -> Needs {
        match self.owner.providers(threads) {
            Needs::Nobody => self.handlers.providers(threads),
            needs => needs,
        }
    }
}
