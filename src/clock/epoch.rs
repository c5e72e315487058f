//! The nanoseconds since an instant, between two bounds, so that the system's clock is asked only where they
//! leave a doubt.

use std::time::Instant;

use super::Clock;
use crate::sync::estimate;

/// An instant from which a clock counts nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epoch {
    instant: Instant,
    /// The nanoseconds from [`estimate::origin`] to it.
    nanos: u64,
}

/// How many nanoseconds have passed since an [`Epoch`], 584 years at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passed {
    pub(crate) at_least: u64,
    /// How many more it may be.
    pub(crate) doubt: u64,
}

impl Epoch {
    pub(crate) fn instant(&self) -> Instant {
        self.instant
    }
}

impl Clock {
    /// Begins to count now.
    pub(crate) fn epoch(&self) -> Epoch {
        // The origin first: it is not later than the epoch.
        let origin = estimate::origin();
        let instant = self.now();
        Epoch { instant, nanos: nanos(origin, instant) }
    }

    /// The time since `epoch`: exact on a manual clock, and at most [`estimate::LAG`] more on the system's.
    #[inline]
    pub(crate) fn passed_since(&self, epoch: &Epoch) -> Passed {
        match self.is_system().then(estimate::estimate).flatten() {
            Some(now) => Passed { at_least: now.saturating_sub(epoch.nanos), doubt: estimate::LAG },
            None => self.passed_exactly(epoch),
        }
    }

    /// True if `at` is known to be later than now, without a read of the system's clock. False decides
    /// nothing.
    #[inline]
    pub(crate) fn is_surely_before(&self, at: Instant) -> bool {
        let before = |now: u64| now.saturating_add(estimate::LAG) < nanos(estimate::origin(), at);
        self.is_system() && estimate::estimate().is_some_and(before)
    }

    #[cold]
    #[inline(never)]
    fn passed_exactly(&self, epoch: &Epoch) -> Passed {
        Passed { at_least: nanos(epoch.instant, self.now()), doubt: 0 }
    }
}

fn nanos(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_nanos()).unwrap_or(u64::MAX)
}
