//! For whom a helper works while somebody waits for it.

use super::{Inside, Observers, inherited, observed_by, observers, work_for};
use crate::clock::Clock;

/// What a thread takes over from the one that waits for it: the pools and groups that it is inside of, the
/// clock that it reads, and those who count its sleeps.
pub(crate) struct Inherited {
    inside: Inside,
    clock: Clock,
    observers: Observers,
    /// The thread does nothing but wait, and is not told of as waiting: the helper is in its place.
    whole: bool,
}

impl Inherited {
    /// This thread's.
    pub(crate) fn current() -> Self {
        Inherited { inside: Inside::current(), clock: Clock::current(), observers: inherited(), whole: false }
    }

    /// This thread's, for a helper that takes its place while it waits [unobserved](super::unobserved).
    pub(crate) fn whole() -> Self {
        Inherited { inside: Inside::current(), clock: Clock::current(), observers: observers(), whole: true }
    }

    /// Does `f` in the place of the thread that this was taken from.
    pub(crate) fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        let _inside = self.inside.enter();
        let _clock = self.clock.enter();
        if self.whole {
            let _observed: Vec<_> = self.observers.iter().cloned().map(observed_by).collect();
            return f();
        }
        let _working = work_for(&self.observers);
        f()
    }
}
