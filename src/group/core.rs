//! What a scope and a group that is owned have in common: tasks, a token, and what failed.

use std::fmt;
use std::mem;

use super::state::Task;
use super::task_set::Spawn;
use super::task_set::TaskSet;
use crate::cancel::{CallbackGuard, CancelToken};
use crate::panics::{self, Payload};
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::sync::{Arc, Mutex};

pub(super) struct Core<E> {
    pub(super) set: Arc<TaskSet>,
    pub(super) token: CancelToken,
    /// In the order in which they came. Never empty once the first has come, except where an owner took them.
    failures: Mutex<Vec<Failure<E>>>,
    /// An error stops nobody. Relaxed: it says what is to be done with later errors, and publishes nothing.
    keeps_going: AtomicBool,
    /// Calls the closers when the token is cancelled; there once a closer is.
    watch: Mutex<Option<CallbackGuard>>,
}

pub(super) enum Failure<E> {
    Error(E),
    /// With the name of the task, if it has one.
    Panic(Payload, Option<Arc<str>>),
    /// A panic that an owner was told of, and the name of the task if it has one.
    Told(Option<Arc<str>>),
}

impl<E> Core<E> {
    pub(super) fn new(spawn: Option<Arc<dyn Spawn>>, token: &CancelToken) -> Self {
        Core {
            set: Arc::new(TaskSet::new(spawn)),
            token: token.loose_child(),
            failures: Mutex::new(Vec::new()),
            keeps_going: AtomicBool::new(false),
            watch: Mutex::new(None),
        }
    }

    /// Runs a task, unless the group has stopped; hands its result to `keep`. False if it was not started.
    ///
    /// Whatever `keep` holds is dropped after a failure was written down: who finds out by it that there is
    /// no result finds the reason.
    pub(super) fn run<R>(
        &self,
        name: Option<Arc<str>>,
        f: impl FnOnce(&CancelToken) -> Result<R, E>,
        keep: impl FnOnce(R),
    ) -> bool {
        if self.token.is_cancelled() {
            // What the function holds may panic when it is dropped, as it may when it runs.
            if let Err(payload) = panics::catch(|| drop(f)) {
                self.fail(Failure::Panic(payload, name));
            }
            return false;
        }
        match panics::catch(|| f(&self.token)) {
            Ok(Ok(result)) => keep(result),
            Ok(Err(error)) => self.fail(Failure::Error(error)),
            Err(payload) => self.fail(Failure::Panic(payload, name)),
        }
        true
    }

    /// Writes a failure down, and stops the rest.
    ///
    /// Of panics only one that comes first is kept: it is what the owner gets, and only once.
    pub(super) fn fail(&self, failure: Failure<E>) {
        let stops = matches!(failure, Failure::Panic(..)) || !self.keeps_going.load(Relaxed);
        let later = {
            let mut failures = self.failures.lock();
            match failure {
                Failure::Panic(..) if !failures.is_empty() => Some(failure),
                first_or_error => {
                    failures.push(first_or_error);
                    None
                }
            }
        };
        // A callback of the token may panic: that is for whoever ends the task, when nothing is left to do
        // here.
        let stopped = if stops { panics::catch(|| self.token.cancel()) } else { Ok(()) };
        // A payload that is not kept is dropped outside the lock.
        panics::discard(later);
        if let Err(payload) = stopped {
            panics::resume(payload);
        }
    }

    pub(super) fn keep_going(&self) {
        self.keeps_going.store(true, Relaxed);
    }

    /// What came first, taken out; the others are dropped, where a panic has nobody to go to.
    pub(super) fn take_first_and_discard(&self) -> Option<Failure<E>> {
        let mut failures = self.with_failures(mem::take).into_iter();
        let first = failures.next();
        panics::discard_each(failures);
        first
    }

    /// All errors that have come so far, taken out.
    pub(super) fn take_errors(&self) -> Vec<E> {
        let is_error = |failure: &mut Failure<E>| matches!(failure, Failure::Error(_));
        let mut failures = self.failures.lock();
        let errors = failures.extract_if(.., is_error).filter_map(Failure::into_error);
        errors.collect()
    }

    /// What is made of the failures so far, under their lock.
    pub(super) fn with_failures<R>(&self, f: impl FnOnce(&mut Vec<Failure<E>>) -> R) -> R {
        f(&mut self.failures.lock())
    }

    /// Calls `closer` when the token is cancelled, from whichever thread does that.
    pub(super) fn on_stop(&self, closer: Task) {
        if !self.set.keep_closer(closer) {
            return;
        }
        let mut watch = self.watch.lock();
        if watch.is_none() {
            // A placeholder would not do: the registration calls at once if the token is cancelled by now,
            // and what is called is the caller's code. So it is made without the lock; of two, either is
            // enough.
            drop(watch);
            let set = Arc::clone(&self.set);
            let guard = self.token.on_cancel(move || set.stop());
            watch = self.watch.lock();
            let unneeded = watch.replace(guard);
            drop(watch);
            drop(unneeded);
        }
    }

    /// A closer that does `f`, whose panic is a task's.
    pub(super) fn closer<R>(&self, f: impl FnOnce() -> R) -> bool {
        if let Err(payload) = panics::catch(|| drop(f())) {
            self.fail(Failure::Panic(payload, None));
        }
        true
    }
}

impl<E> Drop for Core<E> {
    /// Drops the errors that nobody has taken.
    fn drop(&mut self) {
        panics::drop_each(self.with_failures(mem::take));
    }
}

impl<E> Failure<E> {
    /// Leaves that it was told, and returns what was there.
    pub(super) fn tell(&mut self) -> Self {
        let name = match self {
            Failure::Panic(_, name) | Failure::Told(name) => name.clone(),
            Failure::Error(_) => None,
        };
        mem::replace(self, Failure::Told(name))
    }

    fn into_error(self) -> Option<E> {
        match self {
            Failure::Error(error) => Some(error),
            Failure::Panic(..) | Failure::Told(_) => None,
        }
    }
}

impl<E> fmt::Debug for Core<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("set", &self.set).field("token", &self.token).finish()
    }
}
