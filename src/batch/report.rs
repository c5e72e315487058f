//! What a batcher has done, and what it hands back.

use std::fmt;

use super::failure::{BatchError, Failed};
use super::items::Reason;
use super::shared::Shared;
use crate::error::still_running;
use crate::inspect::{Inspect, Object};
use crate::panics::contain;
use crate::sync::Arc;

/// A snapshot of a batcher; see [`Batcher::stats`](super::Batcher::stats). All figures are of the same
/// moment.
///
/// `added` is the sum of `waiting`, `processing`, `processed`, `failed`, `panicked` and `aborted`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Items that were accepted.
    pub added: usize,
    /// Items that no handler has seen yet.
    pub waiting: usize,
    /// Items that a handler is processing, including those that wait for a retry.
    pub processing: usize,
    /// Items that were processed without an error.
    pub processed: usize,
    /// Items that failed with the handler's error, after all retries.
    pub failed: usize,
    /// Items whose handler panicked.
    pub panicked: usize,
    /// Items that an abort took back.
    pub aborted: usize,
    /// Batches that were handed to the handler.
    pub batches: usize,
    /// Batches that were full.
    pub full: usize,
    /// Batches that were handed over because of their age.
    pub aged: usize,
    /// Batches that were handed over by a flush or by closing.
    pub flushed: usize,
    /// How often the handler was called again for items that had failed.
    pub retries: usize,
}

impl Stats {
    pub(super) fn count_batch(&mut self, reason: Reason, items: usize) {
        self.batches += 1;
        // Moved in one critical section, so that the sum of the figures never changes.
        self.waiting -= items;
        self.processing += items;
        match reason {
            Reason::Full => self.full += 1,
            Reason::Aged => self.aged += 1,
            // Together: both hand over what is there, whatever its size or age.
            Reason::Flushed | Reason::Closed => self.flushed += 1,
        }
    }
}

/// How a batcher ended; see [`Batcher::close`](super::Batcher::close) and [`abort`](super::Batcher::abort).
#[non_exhaustive]
pub struct Report<T> {
    /// The figures up to this report.
    pub stats: Stats,
    /// Why batches failed: the first [`Report::MAX_ERRORS`] errors, each once, in order, including those
    /// reported to a ticket or the hook.
    pub errors: Vec<BatchError>,
    /// Items that an abort took back, each in one report only. They are in the order in which they were
    /// added, except that batches in flight at the same time are in the order in which they were returned.
    pub unprocessed: Vec<T>,
    /// The names of the threads that still process a batch.
    pub running: Vec<String>,
}

impl<T> Report<T> {
    /// How many errors a report keeps. The figures count all of them.
    pub const MAX_ERRORS: usize = 16;

    /// Returns true if every accepted item was processed without an error.
    pub fn is_clean(&self) -> bool {
        // Retries that succeeded in the end count as processed.
        self.stats.added == self.stats.processed
    }
}

impl<T> fmt::Display for Report<T> {
    /// Says which threads still work.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        still_running(&self.running, f)
    }
}

impl<T> fmt::Debug for Report<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("stats", &self.stats)
            .field("errors", &self.errors)
            .field("unprocessed", &self.unprocessed.len())
            .field("running", &self.running)
            .finish()
    }
}

/// The caller's hook for failures without a ticket.
pub(super) struct Hook<T>(Arc<dyn Fn(Failed<Vec<T>>) + Send + Sync>);

impl<T> Hook<T> {
    pub(super) fn new(hook: impl Fn(Failed<Vec<T>>) + Send + Sync + 'static) -> Self {
        Hook(Arc::new(hook))
    }

    pub(super) fn report(&self, failed: Failed<Vec<T>>) {
        // The hook is the caller's code: its panic must not end the batcher's thread, nor a drop.
        contain(|| (self.0)(failed));
    }
}

impl<T> Clone for Hook<T> {
    fn clone(&self) -> Self {
        Hook(Arc::clone(&self.0))
    }
}

/// The view of a batcher in [`inspect`](crate::inspect).
pub(super) struct Inspected<T, R> {
    pub(super) shared: Arc<Shared<T, R>>,
    pub(super) name: String,
}

impl<T: Send, R: Send> Inspect for Inspected<T, R> {
    fn object(&self) -> Option<Object> {
        let stats = self.shared.stats();
        Some(Object {
            name: self.name.clone(),
            figures: vec![
                ("waiting", stats.waiting),
                ("processing", stats.processing),
                ("failed", stats.failed),
            ],
            running: self.shared.batches(),
            // The address in the entries of callers that wait for room, or for the end.
            address: std::ptr::from_ref(&self.shared.state).addr(),
            ..Object::new("Batcher", self.shared.address())
        })
    }
}
