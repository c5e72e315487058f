//! What a batcher has done, and what it gives back.

use std::fmt;

use super::failure::{BatchError, Failed};
use super::items::Reason;
use super::shared::Shared;
use crate::error::still_running;
use crate::inspect::{Inspect, Object};
use crate::panics::contain;
use crate::sync::Arc;

/// What a batcher does and has done; see [`Batcher::stats`](super::Batcher::stats). All of it is of one
/// moment.
///
/// `added` is `waiting`, `processing`, `processed`, `failed`, `panicked` and `aborted` together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Items that were accepted.
    pub added: usize,
    /// Items that no handler has seen yet.
    pub waiting: usize,
    /// Items that a handler works on, those that wait for a retry included.
    pub processing: usize,
    /// Items that were processed without an error.
    pub processed: usize,
    /// Items that failed with the handler's error, retries included.
    pub failed: usize,
    /// Items whose handler panicked.
    pub panicked: usize,
    /// Items that an abort took back.
    pub aborted: usize,
    /// Batches that were handed to the handler.
    pub batches: usize,
    /// How many of them were full.
    pub full: usize,
    /// How many were handed over because of their age.
    pub aged: usize,
    /// How many were handed over by a flush, or by closing.
    pub flushed: usize,
    /// How often the handler was called again with what had failed.
    pub retries: usize,
}

impl Stats {
    pub(super) fn count_batch(&mut self, reason: Reason, items: usize) {
        self.batches += 1;
        self.waiting -= items;
        self.processing += items;
        match reason {
            Reason::Full => self.full += 1,
            Reason::Aged => self.aged += 1,
            Reason::Flushed | Reason::Closed => self.flushed += 1,
        }
    }
}

/// How a batcher ended; see [`Batcher::close`](super::Batcher::close) and [`abort`](super::Batcher::abort).
#[non_exhaustive]
pub struct Report<T> {
    /// What was done, up to this report.
    pub stats: Stats,
    /// Why batches failed: the first [`Report::MAX_ERRORS`], each once, in the order in which they failed.
    /// Also of those that a ticket or the hook was told of.
    pub errors: Vec<BatchError>,
    /// Items that an abort took back, each in one report only. They are in the order in which they were
    /// added, except that batches which were in flight at the same time come in the order in which they came
    /// back.
    pub unprocessed: Vec<T>,
    /// Names of the threads that still process a batch.
    pub running: Vec<String>,
}

impl<T> Report<T> {
    /// How many errors a report keeps. The rest are counted in its stats.
    pub const MAX_ERRORS: usize = 16;

    /// True if every item that was accepted was processed without an error.
    pub fn is_clean(&self) -> bool {
        self.stats.added == self.stats.processed
    }
}

impl<T> fmt::Display for Report<T> {
    /// Who still works.
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

/// The caller's hook for failures that no ticket hears of.
pub(super) struct Hook<T>(Arc<dyn Fn(Failed<Vec<T>>) + Send + Sync>);

impl<T> Hook<T> {
    pub(super) fn new(hook: impl Fn(Failed<Vec<T>>) + Send + Sync + 'static) -> Self {
        Hook(Arc::new(hook))
    }

    pub(super) fn tell(&self, failed: Failed<Vec<T>>) {
        contain(|| (self.0)(failed));
    }
}

impl<T> Clone for Hook<T> {
    fn clone(&self) -> Self {
        Hook(Arc::clone(&self.0))
    }
}

/// What [`inspect`](crate::inspect) lists of a batcher.
pub(super) struct Inspected<T, R> {
    pub(super) shared: Arc<Shared<T, R>>,
    pub(super) name: String,
}

impl<T: Send, R: Send> Inspect for Inspected<T, R> {
    fn object(&self) -> Object {
        let stats = self.shared.stats();
        Object {
            kind: "Batcher",
            name: self.name.clone(),
            figures: vec![
                ("waiting", stats.waiting),
                ("processing", stats.processing),
                ("failed", stats.failed),
            ],
            running: self.shared.running(&self.name),
            is_stuck: false,
        }
    }
}
