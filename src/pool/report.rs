//! What a pool has done, and what it gives back.

use std::fmt;

use super::Shared;
use super::job::Runnable;
use crate::sync::Arc;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What a pool does and has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Threads that work or wait for work.
    pub workers: usize,
    /// Workers that run a task now.
    pub busy: usize,
    /// Tasks that wait to be started.
    pub queued: usize,
    /// Tasks that ended by themselves.
    pub completed: usize,
    /// Tasks that panicked.
    pub panicked: usize,
    /// Tasks that were taken back before they started.
    pub cancelled: usize,
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
    /// Names of the worker threads that still run a task.
    pub running: Vec<String>,
}

/// A task that was accepted and taken back; [`Pool::abort`](super::Pool::abort) returns them.
///
/// Dropping it cancels the task: whoever joins its handle is told.
#[must_use = "dropping it cancels the task"]
pub struct Unstarted {
    job: Arc<dyn Runnable>,
    pool: Arc<Shared>,
}

impl Unstarted {
    /// `None` if the job was claimed while it was in the queue.
    pub(super) fn of(job: Arc<dyn Runnable>, pool: &Arc<Shared>) -> Option<Self> {
        job.is_waiting().then(|| Unstarted { job, pool: Arc::clone(pool) })
    }

    /// Runs the task here, and so gives its handle a result. A panic goes to the handle.
    pub fn run(self) {
        self.job.run(&self.pool.tally);
    }
}

impl Drop for Unstarted {
    fn drop(&mut self) {
        self.job.revoke(&self.pool.tally);
    }
}

impl fmt::Debug for Unstarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unstarted").finish_non_exhaustive()
    }
}

/// Counts. Relaxed throughout: they are figures, and publish nothing. Who has joined a task or the pool has
/// synchronised with its end, which comes after the count of it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    busy: AtomicUsize,
    completed: AtomicUsize,
    panicked: AtomicUsize,
    cancelled: AtomicUsize,
}

impl Tally {
    pub(super) fn start(&self) {
        self.busy.fetch_add(1, Relaxed);
    }

    pub(super) fn stop(&self) {
        self.busy.fetch_sub(1, Relaxed);
    }

    pub(super) fn completed(&self) {
        self.completed.fetch_add(1, Relaxed);
    }

    pub(super) fn panicked(&self) {
        self.panicked.fetch_add(1, Relaxed);
    }

    pub(super) fn cancelled(&self) {
        self.cancelled.fetch_add(1, Relaxed);
    }

    pub(super) fn stats(&self, workers: usize, queued: usize) -> Stats {
        Stats {
            workers,
            busy: self.busy.load(Relaxed),
            queued,
            completed: self.completed.load(Relaxed),
            panicked: self.panicked.load(Relaxed),
            cancelled: self.cancelled.load(Relaxed),
        }
    }

    pub(super) fn report(&self, unstarted: Vec<Unstarted>, running: Vec<String>) -> Report {
        Report {
            completed: self.completed.load(Relaxed),
            panicked: self.panicked.load(Relaxed),
            cancelled: self.cancelled.load(Relaxed),
            unstarted,
            running,
        }
    }
}
