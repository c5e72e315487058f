//! What a pool does and has done, and how it ended.

use std::fmt;

use super::injector::Figures;
use super::shared::Shared;
use super::slot::Totals;
use super::unstarted::Unstarted;
use crate::error::{Partial, still_running};
use crate::inspect::{Inspect, Object};
use crate::sync::Arc;
use crate::until::Until;
use crate::wait::cache;
use crate::wait::graph::{Awaited, Needs};

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

impl Shared {
    pub(super) fn stats(&self) -> Stats {
        // What has ended is counted before what is queued is looked at: in the other order a task could be in
        // both.
        let Totals { completed, panicked, cancelled } = self.totals();
        let Figures { workers, idle, blocked, peak_workers, queued, peak_queued } = self.injector.figures();
        let busy = workers - idle - blocked;
        Stats {
            workers,
            idle,
            blocked,
            busy,
            queued,
            completed,
            panicked,
            cancelled,
            peak_workers,
            peak_queued,
        }
    }

    /// Waits for the workers, joins them, and says how it went. The pool is closed.
    pub(super) fn finish(
        self: &Arc<Self>,
        unstarted: Vec<Unstarted>,
        limit: Until<'_>,
    ) -> Result<Report, Partial<Report>> {
        // From inside, one would wait for oneself.
        let waited = match self.is_inside() {
            true => Ok(()),
            false => self.injector.wait_until_deserted(limit, Arc::new(Deserted(Arc::clone(self)))),
        };
        let slots = self.slots();
        let mut running = Vec::new();
        for slot in &slots {
            if slot.is_free() || (waited.is_ok() && !self.is_inside()) {
                // It is past its last task; this waits for its exit hook and the system only.
                let thread = slot.thread().take();
                if let Some(thread) = thread {
                    cache::join(thread);
                }
            } else {
                running.push(slot.label());
            }
        }
        let Totals { completed, panicked, cancelled } = self.totals();
        let report = Report { completed, panicked, cancelled, unstarted, running };
        match waited {
            Ok(()) => Ok(report),
            Err(error) => Err(Partial::new(report, error)),
        }
    }
}

/// For the wait-for graph: all workers have left.
struct Deserted(Arc<Shared>);

impl Awaited for Deserted {
    fn providers(&self, threads: &mut Vec<usize>) -> Needs {
        self.0.injector.leavers(threads)
    }
}

impl fmt::Display for Report {
    /// Who still runs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        still_running(&self.running, f)
    }
}

impl Inspect for Shared {
    fn object(&self) -> Object {
        let stats = self.stats();
        Object {
            kind: "Pool",
            name: self.config.name.clone(),
            figures: vec![
                ("workers", stats.workers),
                ("busy", stats.busy),
                ("blocked", stats.blocked),
                ("idle", stats.idle),
                ("queued", stats.queued),
            ],
            running: self.running_tasks(),
            is_stuck: stats.queued > 0 && stats.workers > 0 && stats.blocked == stats.workers,
        }
    }
}
