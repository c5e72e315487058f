//! What a helper takes over from the thread that waits for it.

use super::{Inside, Observers, inherited, observed_by, observers, work_for};
use crate::clock::{self, Clock};

/// What a thread takes over from the one that waits for it: the pools and groups that it works for, the clock
/// that it reads, and the observers that count its sleeps.
pub(crate) struct Inherited {
    inside: Inside,
    clock: Clock,
    observers: Observers,
    /// The waiting thread only waits, and unobserved: the helper replaces it.
    whole: bool,
}

impl Inherited {
    /// Captures the context of this thread.
    pub(crate) fn current() -> Self {
        Inherited { inside: Inside::current(), clock: Clock::current(), observers: inherited(), whole: false }
    }

    /// Captures the context of this thread for a helper that replaces it while it waits
    /// [unobserved](super::unobserved).
    pub(crate) fn whole() -> Self {
        Inherited { inside: Inside::current(), clock: Clock::current(), observers: observers(), whole: true }
    }

    /// Makes this thread read the captured clock until the guard is dropped: for a thread that runs the work
    /// although it is no helper.
    pub(crate) fn enter_clock(&self) -> Option<clock::Entered> {
        self.clock.enter()
    }

    /// Calls `f` in the captured context.
    pub(crate) fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        // Guards, so that the helper's own context is restored even if `f` unwinds.
        let _inside = self.inside.enter();
        let _clock = self.clock.enter();
        // The waiting thread is unobserved, so its observers do not count it as blocked, and must not be
        // notified that it resumes.
        if self.whole {
            let _observed: Vec<_> = self.observers.iter().cloned().map(observed_by).collect();
            return f();
        }
        let _working = work_for(&self.observers);
        f()
    }
}
