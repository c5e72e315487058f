//! Notifies the owners of a thread's work when the thread sleeps.
//!
//! A pool may run another task in place of one that sleeps, and a scope with a limit need not count a
//! sleeping task. Both learn of it here, since all threads sleep in one place. The spin phase before a sleep
//! is not reported: it ends by itself within microseconds.

use std::mem;
use std::time::Instant;

use super::{Context, with};
use crate::sync::Arc;

/// An observer of the sleeps of threads that work for it.
pub(crate) trait Blocking: Send + Sync {
    /// Called when this thread is about to sleep, until `deadline` at the latest if there is one. The thread
    /// holds no lock of this crate. Returns true to be notified when the thread continues.
    fn blocked(self: Arc<Self>, deadline: Option<Instant>) -> bool;

    /// Called when the thread continues: once after each [`blocked`](Blocking::blocked) that returned true,
    /// on the same thread.
    fn resumed(&self);

    /// Whether the helpers of this thread work for the observer too.
    fn counts_helpers(&self) -> bool {
        false
    }
}

pub(crate) type Observers = Vec<Arc<dyn Blocking>>;

/// Adds an observer of this thread's sleeps until the guard is dropped. Guards are dropped in the reverse
/// order of their creation.
pub(crate) fn observed_by(observer: Arc<dyn Blocking>) -> Observed {
    with(|context| context.with_observers(|observers| observers.push(observer)));
    Observed(())
}

/// See [`observed_by`].
#[must_use = "dropping it ends the observation"]
pub(crate) struct Observed(());

impl Drop for Observed {
    fn drop(&mut self) {
        // Dropped after the list is released: it may be the last reference.
        let observer = with(|context| context.with_observers(Vec::pop));
        drop(observer);
    }
}

/// Calls `f` without reporting its sleeps: a worker that sleeps between two tasks blocks no work.
pub(crate) fn unobserved<R>(f: impl FnOnce() -> R) -> R {
    let mut observers = with(|context| context.with_observers(mem::take)).unwrap_or_default();
    // If `f` unwinds, the observers are lost. It does not: its callers are this crate's own waits.
    let result = f();
    with(|context| context.with_observers(|point| mem::swap(point, &mut observers)));
    result
}

/// The observers of this thread; none on most threads.
pub(crate) fn observers() -> Observers {
    with(|context| context.with_observers(|observers| observers.clone())).unwrap_or_default()
}

/// The observers of this thread that also count its helpers. Almost always empty, which does not allocate.
pub(crate) fn inherited() -> Observers {
    let counts = |observer: &&Arc<dyn Blocking>| observer.counts_helpers();
    let inherited = |observers: &mut Observers| observers.iter().filter(counts).cloned().collect();
    with(|context| context.with_observers(inherited)).unwrap_or_default()
}

/// Lets this thread work for `observers`, as a helper of a thread that does, until the guard is dropped.
pub(crate) fn work_for(observers: &Observers) -> Working<'_> {
    // `resumed` before the registration: to the observer, this thread was blocked until now.
    let observed = observers.iter().map(|observer| {
        observer.resumed();
        observed_by(Arc::clone(observer))
    });
    Working { observed: observed.collect(), observers }
}

/// See [`work_for`].
#[must_use = "dropping it ends the work"]
pub(crate) struct Working<'a> {
    observed: Vec<Observed>,
    observers: &'a Observers,
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        // First ends the observation of this thread's sleeps, so that the call below is the last one.
        self.observed.clear();
        // To the observers, a helper that has left is one that sleeps without a deadline.
        for observer in self.observers {
            Arc::clone(observer).blocked(None);
        }
    }
}

impl Context {
    #[inline]
    fn with_observers<R>(&self, f: impl FnOnce(&mut Observers) -> R) -> R {
        self.with_list(&self.observers, f)
    }
}
