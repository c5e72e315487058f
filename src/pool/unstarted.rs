//! Tasks that an abort took back.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::raw_job::RawJob;
use super::shared::Shared;
use crate::sync::Arc;

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

impl UnwindSafe for Unstarted {}
impl RefUnwindSafe for Unstarted {}
