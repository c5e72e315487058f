//! Telling those who lent a thread its work that the thread sleeps.
//!
//! A pool may run another task in the place of one that sleeps, and a scope need not count it toward its
//! limit; both must hear of it here, in the one place where threads sleep. A look-out before a sleep is not
//! told: it ends by itself within microseconds.

use std::mem;
use std::time::Instant;

use super::{Context, with};
use crate::sync::Arc;

/// Somebody who is told when a thread that works for them falls asleep, and when it goes on.
pub(crate) trait Blocking: Send + Sync {
    /// This thread is about to sleep, at the latest until `deadline` if there is one. It holds no lock of
    /// this crate. Says whether to be told when it goes on.
    fn blocked(self: Arc<Self>, deadline: Option<Instant>) -> bool;

    /// This thread goes on. Comes once after each [`blocked`](Blocking::blocked) that asked for it, on the
    /// same thread.
    fn resumed(&self);

    /// Whether threads that this one calls to its help work for the observer as well.
    fn counts_helpers(&self) -> bool {
        false
    }
}

pub(crate) type Observers = Vec<Arc<dyn Blocking>>;

/// Tells `observer` of this thread's sleeps, in addition to those who are told already, until the guard is
/// dropped. Guards are dropped in the reverse of the order in which they were made.
pub(crate) fn observed_by(observer: Arc<dyn Blocking>) -> Observed {
    with(|context| context.with_observers(|observers| observers.push(observer)));
    Observed(())
}

/// See [`observed_by`].
#[must_use = "dropping it ends the observation"]
pub(crate) struct Observed(());

impl Drop for Observed {
    fn drop(&mut self) {
        // Dropped when the list is free again: it may be the last reference.
        let observer = with(|context| context.with_observers(Vec::pop));
        drop(observer);
    }
}

/// Does `f` without telling anybody that it sleeps: a worker between two tasks blocks nobody's work.
pub(crate) fn unobserved<R>(f: impl FnOnce() -> R) -> R {
    let mut observers = with(|context| context.with_observers(mem::take)).unwrap_or_default();
    let result = f();
    with(|context| context.with_observers(|point| mem::swap(point, &mut observers)));
    result
}

/// Those who want to be told. Empty on most threads.
pub(crate) fn observers() -> Observers {
    with(|context| context.with_observers(|observers| observers.clone())).unwrap_or_default()
}

/// Those of this thread's observers who count its helpers too. Almost always nobody, which costs nothing.
pub(crate) fn inherited() -> Observers {
    let counts = |observer: &&Arc<dyn Blocking>| observer.counts_helpers();
    let inherited = |observers: &mut Observers| observers.iter().filter(counts).cloned().collect();
    with(|context| context.with_observers(inherited)).unwrap_or_default()
}

/// Lets this thread work for `observers`, as a helper of one that does, until the guard is dropped.
pub(crate) fn work_for(observers: &Observers) -> Working<'_> {
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
        self.observed.clear();
        // For them, a helper that has left is one that sleeps without an end.
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
