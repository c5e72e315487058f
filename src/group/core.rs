//! The common part of a scope and a group: tasks, a token, and failures.

use std::fmt;
use std::mem;

use super::state::Task;
use super::task_set::Spawn;
use super::task_set::{Origin, TaskSet};
use crate::cancel::{CallbackGuard, CancelToken};
use crate::panics::{self, Payload};
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::sync::{Arc, Mutex};
use crate::wait::timeline;

pub(super) struct Core<E> {
    pub(super) set: Arc<TaskSet>,
    pub(super) token: CancelToken,
    /// In order of occurrence. Not empty once a task has failed, unless the owner has taken the errors.
    failures: Mutex<Vec<Failure<E>>>,
    /// Errors do not stop the group. Relaxed: it only concerns later errors, and publishes nothing.
    keeps_going: AtomicBool,
    /// Runs the stop hooks when the token is cancelled; registered with the first hook.
    callback: Mutex<Option<CallbackGuard>>,
}

pub(super) enum Failure<E> {
    Error(E),
    /// With the name of the task, if it has one.
    Panic(Payload, Option<Arc<str>>),
    /// A panic that an owner has received, with the name of the task if it has one.
    Reported(Option<Arc<str>>),
}

impl<E> Core<E> {
    /// `kind` is what a report calls the owner, and the caller's location where it was made.
    #[track_caller]
    pub(super) fn new(kind: &'static str, executor: Option<Arc<dyn Spawn>>, token: &CancelToken) -> Self {
        Core {
            set: Arc::new(TaskSet::new(executor, Origin::here(kind))),
            // A child, so that the group can be cancelled alone; the caller's token cancels it, too.
            token: token.loose_child(None),
            failures: Mutex::new(Vec::new()),
            keeps_going: AtomicBool::new(false),
            callback: Mutex::new(None),
        }
    }

    /// Runs a task unless the group has stopped, and passes its result to `keep`. False if the task was not
    /// started.
    ///
    /// `keep` is dropped after a failure is recorded: a joiner that learns from it that there is no result
    /// finds the reason.
    pub(super) fn run<R>(
        &self,
        name: Option<Arc<str>>,
        f: impl FnOnce(&CancelToken) -> Result<R, E>,
        keep: impl FnOnce(R),
    ) -> bool {
        // A task that starts although a cancel happens at the same time sees its token cancelled.
        if self.token.is_cancelled() {
            // The closure's captures are the caller's: their drop may panic, as the closure may.
            if let Err(payload) = panics::catch(|| drop(f)) {
                self.fail(Failure::Panic(payload, name));
            }
            return false;
        }
        // Caught at the task's edge: the thread has other tasks to run, and the owner gets the payload.
        let recorded = timeline::task("Group", name.as_ref());
        let result = panics::catch(|| f(&self.token));
        drop(recorded);
        match result {
            Ok(Ok(result)) => keep(result),
            Ok(Err(error)) => self.fail(Failure::Error(error)),
            Err(payload) => self.fail(Failure::Panic(payload, name)),
        }
        true
    }

    /// Records a failure and stops the group.
    ///
    /// A panic is kept only if it is the first failure; the owner receives it once.
    pub(super) fn fail(&self, failure: Failure<E>) {
        let stops = matches!(failure, Failure::Panic(..)) || !self.keeps_going.load(Relaxed);
        let later = {
            // The lock orders the failures: the first to get it is the first failure.
            let mut failures = self.failures.lock();
            match failure {
                // One payload can resume; a second would have no receiver.
                Failure::Panic(..) if !failures.is_empty() => Some(failure),
                first_or_error => {
                    failures.push(first_or_error);
                    None
                }
            }
        };
        // A callback of the token may panic: that panic goes to the thread that ends the task, once
        // everything here is done.
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

    /// Takes the first failure; drops the others and contains their panics.
    pub(super) fn take_first_and_discard(&self) -> Option<Failure<E>> {
        // Taken out under the lock, dropped without it: errors are the caller's.
        let mut failures = self.with_failures(mem::take).into_iter();
        let first = failures.next();
        panics::discard_each(failures);
        first
    }

    /// Takes all errors so far.
    pub(super) fn take_errors(&self) -> Vec<E> {
        let is_error = |failure: &mut Failure<E>| matches!(failure, Failure::Error(_));
        let mut failures = self.failures.lock();
        let errors = failures.extract_if(.., is_error).filter_map(Failure::into_error);
        errors.collect()
    }

    /// Runs `f` on the failures so far, under their lock.
    pub(super) fn with_failures<R>(&self, f: impl FnOnce(&mut Vec<Failure<E>>) -> R) -> R {
        f(&mut self.failures.lock())
    }

    /// Registers `hook` to run when the token is cancelled, on the thread that cancels it.
    pub(super) fn on_stop(&self, hook: Task) {
        // The group had stopped, and the hook has run.
        if !self.set.add_stop_hook(hook) {
            return;
        }
        let mut callback = self.callback.lock();
        if callback.is_none() {
            // Registered without the lock: if the token is cancelled by now, the registration runs the hooks
            // at once, and these are the caller's code. Two threads may register at the same time; one
            // registration suffices, and the other is dropped.
            drop(callback);
            let set = Arc::clone(&self.set);
            let guard = self.token.on_cancel(move || set.stop());
            callback = self.callback.lock();
            let unneeded = callback.replace(guard);
            drop(callback);
            drop(unneeded);
        }
    }

    /// Runs a stop hook. Its panic counts as a task's.
    pub(super) fn run_stop_hook<R>(&self, f: impl FnOnce() -> R) -> bool {
        if let Err(payload) = panics::catch(|| drop(f())) {
            self.fail(Failure::Panic(payload, None));
        }
        true
    }
}

impl<E> Drop for Core<E> {
    /// Drops the errors that were not taken.
    fn drop(&mut self) {
        // Each by itself: of two panics in one drop of the list, the second would abort.
        panics::drop_each(self.with_failures(mem::take));
    }
}

impl<E> Failure<E> {
    /// Takes the failure out and leaves a note that it was reported.
    pub(super) fn report(&mut self) -> Self {
        let name = match self {
            Failure::Panic(_, name) | Failure::Reported(name) => name.clone(),
            Failure::Error(_) => None,
        };
        // Replaced, so that a payload resumes once; the name stays for the message of later waits.
        mem::replace(self, Failure::Reported(name))
    }

    fn into_error(self) -> Option<E> {
        match self {
            Failure::Error(error) => Some(error),
            Failure::Panic(..) | Failure::Reported(_) => None,
        }
    }
}

impl<E> fmt::Debug for Core<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("set", &self.set).field("token", &self.token).finish()
    }
}
