//! Tasks that an abort took back.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::raw_job::RawJob;
use super::shared::Shared;
use crate::sync::Arc;

/// An accepted task that [`Pool::abort`](super::Pool::abort) took back before it started.
///
/// Dropping it cancels the task: a thread that joins its handle gets an error.
#[must_use = "dropping it cancels the task"]
pub struct Unstarted {
    /// `None` once it was run.
    job: Option<RawJob>,
    name: Option<Arc<str>>,
    pool: Arc<Shared>,
}

impl Unstarted {
    /// `None` if the task was claimed while it was queued.
    pub(super) fn of(mut job: RawJob, pool: &Arc<Shared>) -> Option<Self> {
        // Run or cancelled while it was queued; or the helper of a scope, which the drop refuses.
        if !job.is_unclaimed() {
            job.discard();
            return None;
        }
        // Kept apart, so that `name` needs no `&mut`.
        let name = job.name();
        Some(Unstarted { job: Some(job), name, pool: Arc::clone(pool) })
    }

    /// Returns the task's name, if it was submitted with [one](super::Pool::submit_named).
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Runs the task on the calling thread. The result or panic goes to its handle; without a handle, a panic
    /// goes to the pool's hook.
    pub fn run(mut self) {
        if let Some(job) = self.job.take() {
            // It may join tasks that have not started, as on a worker.
            let _working = self.pool.enter();
            self.pool.run(job, self.pool.external());
        }
    }
}

impl Drop for Unstarted {
    fn drop(&mut self) {
        if let Some(mut job) = self.job.take() {
            job.revoke(self.pool.external());
            // A report holds many of these: a panic in one drop must not keep the others from being
            // cancelled.
            job.discard();
        }
    }
}

impl fmt::Debug for Unstarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unstarted").field("name", &self.name).finish_non_exhaustive()
    }
}

impl UnwindSafe for Unstarted {}
impl RefUnwindSafe for Unstarted {}
