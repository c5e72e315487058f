//! For whom a helper works while somebody waits for it.

use crate::inside::Inside;
use crate::wait::{self, Observers};

/// What a thread takes over from the one that waits for it: the pools and groups that it is inside of, and those
/// who count its sleeps.
pub(crate) struct Behalf {
    inside: Inside,
    observers: Observers,
}

impl Behalf {
    /// This thread's.
    pub(crate) fn current() -> Self {
        Behalf { inside: Inside::current(), observers: wait::inherited() }
    }

    /// Does `f` in the place of the thread whose behalf it is.
    pub(crate) fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        let _inside = self.inside.enter();
        let _working = wait::work_for(&self.observers);
        f()
    }
}
