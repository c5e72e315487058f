//! What a pool does, has done, and how it ended.

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

/// A snapshot of a pool; see [`Pool::stats`](super::Pool::stats).
///
/// `workers` is the sum of `idle`, `blocked` and `busy` at one moment. The other figures are read at other
/// moments; none is ever too high.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Worker threads, including those that are being started.
    pub workers: usize,
    /// Workers that wait for work.
    pub idle: usize,
    /// Workers whose task is blocked in a call of this crate.
    pub blocked: usize,
    /// The other workers: they run a task or are being woken for one.
    pub busy: usize,
    /// Queued tasks. Tasks that were cancelled in the queue, or run by a task that joined them, count until a
    /// worker has removed them.
    pub queued: usize,
    /// [Delayed](super::Pool::submit_after) and [periodic](super::Pool::submit_every) tasks that are not due.
    pub delayed: usize,
    /// Tasks that returned. Each round of a periodic task counts.
    pub completed: usize,
    /// Tasks that panicked.
    pub panicked: usize,
    /// Tasks that were cancelled before they started.
    pub cancelled: usize,
    /// The maximum of `workers` so far.
    pub peak_workers: usize,
    /// The maximum of `queued` so far.
    pub peak_queued: usize,
}

/// How a pool ended; see [`Pool::shutdown`](super::Pool::shutdown).
#[derive(Debug)]
#[non_exhaustive]
pub struct Report {
    /// Tasks that returned. Each round of a periodic task counts.
    pub completed: usize,
    /// Tasks that panicked.
    pub panicked: usize,
    /// Tasks that were cancelled by their handles, and periodic tasks that the close ended.
    pub cancelled: usize,
    /// Tasks that an abort took back, first to last, and after them the
    /// [delayed](super::Pool::submit_after) tasks that were not due when the pool was closed, the earliest
    /// first.
    pub unstarted: Vec<Unstarted>,
    /// Worker threads that still run a task: their names, with the name of the task if it has
    /// [one](super::Pool::submit_named), as in `io-0: fsync`.
    pub running: Vec<String>,
}

impl Shared {
    pub(super) fn stats(&self) -> Stats {
        // Ended tasks are counted before queued ones: in the other order, a task that ends between the two
        // could be counted in both.
        let Totals { completed, panicked, cancelled } = self.totals();
        let Figures { workers, idle, blocked, peak_workers, queued, peak_queued } = self.injector.figures();
        // The three are of one moment, so this does not underflow.
        let busy = workers - idle - blocked;
        let delayed = self.delays.waiting();
        Stats {
            workers,
            idle,
            blocked,
            busy,
            queued,
            delayed,
            completed,
            panicked,
            cancelled,
            peak_workers,
            peak_queued,
        }
    }

    /// Waits for the workers to leave, joins them, and reports. The pool is closed.
    pub(super) fn finish(
        self: &Arc<Self>,
        unstarted: Vec<Unstarted>,
        limit: Until<'_>,
    ) -> Result<Report, Partial<Report>> {
        // From inside the pool, the wait would be for the calling thread itself.
        let waited = match self.is_inside() {
            true => Ok(()),
            false => self.injector.wait_until_empty(limit, Arc::new(AllWorkersGone(Arc::clone(self)))),
        };
        let slots = self.slots();
        let mut running = Vec::new();
        for slot in &slots {
            if slot.is_free() || (waited.is_ok() && !self.is_inside()) {
                // Its worker is past the last task, so this waits only for the exit hook and the operating
                // system. Taken out under the lock, and joined after it: of several closers, one joins.
                let thread = slot.thread().take();
                if let Some(thread) = thread {
                    cache::join(thread);
                }
            } else {
                // Not joined: its task may take arbitrarily long, or wait for the calling thread.
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

/// For the wait-for graph: the event that all workers have left.
struct AllWorkersGone(Arc<Shared>);

impl Awaited for AllWorkersGone {
    fn providers(&self, threads: &mut Vec<usize>) -> Needs {
        self.0.injector.leavers(threads)
    }
}

impl fmt::Display for Report {
    /// Says which tasks still run.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        still_running(&self.running, f)
    }
}

impl Inspect for Shared {
    fn object(&self) -> Option<Object> {
        let stats = self.stats();
        Some(Object {
            name: self.config.name.clone(),
            figures: vec![
                ("workers", stats.workers),
                ("busy", stats.busy),
                ("blocked", stats.blocked),
                ("idle", stats.idle),
                ("queued", stats.queued),
            ],
            running: self.running_tasks(),
            // No worker can take what is queued until one of them continues.
            is_stuck: stats.queued > 0 && stats.workers > 0 && stats.blocked == stats.workers,
            ..Object::new("Pool", std::ptr::from_ref(self).addr())
        })
    }
}
