//! What a pool has done, and what it gives back.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::raw_job::RawJob;
use super::worker::{Shared, WorkerSlot};
use crate::error::still_running;
use crate::sync::Arc;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What a pool does and has done; see [`Pool::stats`](super::Pool::stats).
///
/// `workers` is `idle` and `blocked` and `busy` together, at one moment. The rest are counts of moments of
/// their own; none is ever higher than the truth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Threads that work or wait for work, those that are being started included.
    pub workers: usize,
    /// Workers that wait for work.
    pub idle: usize,
    /// Workers whose task sleeps in a call of this crate.
    pub blocked: usize,
    /// The other workers: they run a task, or are on their way to one.
    pub busy: usize,
    /// Tasks in the queue; those included that were cancelled there, or run by a task that joined them, and
    /// that no worker has come to yet.
    pub queued: usize,
    /// Tasks that ended by themselves.
    pub completed: usize,
    /// Tasks that panicked.
    pub panicked: usize,
    /// Tasks that were taken back before they started.
    pub cancelled: usize,
    /// The most workers that there were at once.
    pub peak_workers: usize,
    /// The most tasks that were queued at once.
    pub peak_queued: usize,
}

/// How a pool ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct Report {
    /// Tasks that ended by themselves.
    pub completed: usize,
    /// Tasks that panicked.
    pub panicked: usize,
    /// Tasks that were cancelled by their handles.
    pub cancelled: usize,
    /// Tasks that were accepted and not started, first to last.
    pub unstarted: Vec<Unstarted>,
    /// The worker threads that still run a task: by their names, with that of the task if it has
    /// [one](super::Pool::submit_named), as in `io-0: fsync`.
    pub running: Vec<String>,
}

impl fmt::Display for Report {
    /// Who still runs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        still_running(&self.running, f)
    }
}

/// A task that was accepted and taken back; [`Pool::abort`](super::Pool::abort) returns them.
///
/// Dropping it cancels the task: whoever joins its handle is told.
#[must_use = "dropping it cancels the task"]
pub struct Unstarted {
    /// `None` once it was run.
    raw: Option<RawJob>,
    name: Option<Arc<str>>,
    pool: Arc<Shared>,
}

impl Unstarted {
    /// `None` if the task was claimed while it was in the queue.
    pub(super) fn of(mut raw: RawJob, pool: &Arc<Shared>) -> Option<Self> {
        if !raw.is_waiting() {
            raw.discard();
            return None;
        }
        let name = raw.name();
        Some(Unstarted { raw: Some(raw), name, pool: Arc::clone(pool) })
    }

    /// The task's name, if it was submitted with [one](super::Pool::submit_named).
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Runs the task here, and so gives its handle a result. A panic goes to the handle, or to the pool's
    /// hook if there is none.
    pub fn run(mut self) {
        if let Some(raw) = self.raw.take() {
            // It may join others that nobody has started, as on a worker.
            let _inside = self.pool.enter();
            self.pool.run(raw, self.pool.external());
        }
    }
}

impl Drop for Unstarted {
    fn drop(&mut self) {
        if let Some(mut raw) = self.raw.take() {
            raw.revoke(self.pool.external());
            // A report has many of these: one that panics must not keep the others from being cancelled.
            raw.discard();
        }
    }
}

impl fmt::Debug for Unstarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unstarted").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Counts of ended tasks. Relaxed throughout: they are figures, and publish nothing. Who has joined a task or
/// the pool has synchronised with its end, which comes after the count of it.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) completed: AtomicUsize,
    pub(super) panicked: AtomicUsize,
    pub(super) cancelled: AtomicUsize,
}

/// Counts of ended tasks, of all worker slots together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) completed: usize,
    pub(super) panicked: usize,
    pub(super) cancelled: usize,
}

impl Totals {
    pub(super) fn of<'a>(waiters: impl Iterator<Item = &'a WorkerSlot>) -> Self {
        waiters.fold(Totals::default(), |sum, waiter| Totals {
            completed: sum.completed + waiter.counters().completed.load(Relaxed),
            panicked: sum.panicked + waiter.counters().panicked.load(Relaxed),
            cancelled: sum.cancelled + waiter.counters().cancelled.load(Relaxed),
        })
    }
}

/// Adds one.
pub(super) fn count(figure: &AtomicUsize) {
    figure.fetch_add(1, Relaxed);
}

impl UnwindSafe for Unstarted {}
impl RefUnwindSafe for Unstarted {}
