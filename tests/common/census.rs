//! A count of the values that live.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// How many values there are now, and the most that there ever were.
#[derive(Default)]
pub(crate) struct Census {
    pub(crate) now: AtomicUsize,
    pub(crate) peak: AtomicUsize,
}

/// A value that is counted while it lives.
pub(crate) struct Counted(pub(crate) u64, Arc<Census>);

impl Census {
    pub(crate) fn count(self: &Arc<Self>, value: u64) -> Counted {
        let now = self.now.fetch_add(1, SeqCst) + 1;
        self.peak.fetch_max(now, SeqCst);
        Counted(value, Arc::clone(self))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.now.fetch_sub(1, SeqCst);
    }
}
