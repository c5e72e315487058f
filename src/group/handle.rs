//! The result of one task of a group.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::state::Task;
use super::task_set::TaskSet;
use crate::cancel::{CallbackGuard, CancelToken, DropGuard};
use crate::error::{JoinError, Rejected, TryError, WaitError};
use crate::panics;
use crate::sync::Arc;
use crate::until::Until;
use crate::wait::{self, OneShot, Waiter};

/// Waits for one task of a [`Scope`](super::Scope) or a [`Group`](super::Group), and takes its result.
///
/// Handles that are joined in the order in which they were made give the results in that order. The error or
/// the panic of a task is the group's, not the handle's: the handle says only that there is no result.
///
/// # Examples
/// ```
/// use selvedge::{CancelToken, group};
///
/// let result = group::scope(&CancelToken::new(), |g| {
///     let handles: Vec<_> = [1, 2, 3].map(|n| g.submit(move |_| Ok::<_, String>(n * n))).into();
///     let squares: Result<Vec<u32>, _> = handles.into_iter().map(group::Handle::join).collect();
///     squares.map_err(|cancelled| cancelled.to_string())
/// });
/// assert_eq!(result, Ok(vec![1, 4, 9]));
/// ```
///
/// # Blocking
/// Until the task has ended; whoever ends it wakes the joiner. A join without a limit runs the task on this
/// thread if no other has started it and the group's own [limit](super::Scope::limit) allows it to run: it
/// costs no thread, and it ends though the system refuses one. A task of a group with a limit that joins one
/// which has not started does not wait for ever: see [`Scope::limit`](super::Scope::limit).
///
/// # Cancellation
/// A result that was there before the limit passed is success, however late the joiner wakes up. After a
/// time-out the handle is in the error. Dropping the handle lets the task go on; its result is dropped when
/// it comes, and if that panics, the panic ends with the panic hook's message, on whichever thread it was.
#[must_use = "dropping the handle drops the task's result; `spawn` is for tasks without one"]
pub struct Handle<R> {
    /// The closure is kept elsewhere, with those of tasks that have no handle.
    end: Arc<OneShot<(), R>>,
    /// Where the task is posted, and its number there.
    set: Arc<TaskSet>,
    number: usize,
    later: Option<Later<R>>,
}

/// What drops a result later, of a group whose results borrow nothing; see [`drop_link`](wait::drop_link).
pub(super) type Later<R> = fn(Arc<OneShot<(), R>>) -> Box<dyn FnOnce()>;

pub(super) fn drop_later<R: 'static>(end: Arc<OneShot<(), R>>) -> Box<dyn FnOnce()> {
    Box::new(move || panics::discard(end.detach()))
}

/// The task's side: says that there is no result, if it is dropped without one.
pub(super) struct Maker<R>(Arc<OneShot<(), R>>);

impl<R> Maker<R> {
    pub(super) fn new() -> Self {
        Maker(Arc::new(OneShot::new(())))
    }

    /// Posts the task that this one's result comes from.
    pub(super) fn push(
        self,
        set: &Arc<TaskSet>,
        later: Option<Later<R>>,
        task: impl FnOnce(Self) -> Task,
    ) -> Handle<R> {
        let end = Arc::clone(&self.0);
        let number = TaskSet::post_joined(set, task(self));
        Handle { end, set: Arc::clone(set), number, later }
    }

    pub(super) fn begin(&self) {
        self.0.claim();
    }

    pub(super) fn keep(&self, result: R) {
        // Here, and not with the last reference, if nobody will ask for it any more.
        panics::discard(self.0.keep(result));
    }
}

impl<R> Drop for Maker<R> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl<R> Handle<R> {
    /// Waits for the task to end and takes its result. If no other thread has started the task, it runs here.
    ///
    /// # Errors
    /// [`JoinError::Cancelled`] if there is none: the task failed or panicked, or was not started because its
    /// group was cancelled. The group has the reason, and the panic. [`JoinError::WouldDeadlock`] if the task
    /// waits, itself or through others, for this thread.
    #[track_caller]
    pub fn join(self) -> Result<R, JoinError> {
        match self.join_until(Until::forever()) {
            Ok(result) => result,
            Err(_) => Err(JoinError::WouldDeadlock), // a forever limit does not end
        }
    }

    /// Takes the result if the task has ended.
    ///
    /// # Errors
    /// The handle itself, if it has not.
    pub fn try_join(self) -> Result<Result<R, JoinError>, Self> {
        match self.end.take() {
            Ok(result) => Ok(Ok(result)),
            Err(TryError::WouldBlock) => Err(self),
            Err(_) => Ok(Err(JoinError::Cancelled)),
        }
    }

    /// Like [`join`](Handle::join), and waits at most until `limit`. The outer result says whether the task
    /// ended, the inner one how.
    ///
    /// # Errors
    /// With the handle: [`WaitError::TimedOut`], [`WaitError::Cancelled`] if the limit's token was, or
    /// [`WaitError::WouldDeadlock`] if the task waits for this thread.
    #[track_caller]
    pub fn join_until<'a>(
        self,
        limit: impl Into<Until<'a>>,
    ) -> Result<Result<R, JoinError>, Rejected<Self, WaitError>> {
        match self.wait_until(limit) {
            Ok(()) => Ok(self.end.take().map_err(|_| JoinError::Cancelled)),
            Err(error) => Err(Rejected::new(self, error)),
        }
    }

    /// Waits for the task to end, at most until `limit`, and leaves its result. Without a limit it runs the
    /// task if no other thread has started it, as [`join`](Handle::join) does.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`], [`WaitError::Cancelled`] if the limit's token was, or
    /// [`WaitError::WouldDeadlock`] if the task waits for this thread.
    #[track_caller]
    pub fn wait_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<(), WaitError> {
        let limit = limit.into();
        if !self.end.is_finished() {
            if limit.is_unlimited() {
                return self.wait();
            }
            // It runs no task, as that might outlast the limit; but if a thread was refused, one is asked for
            // again.
            let _ = TaskSet::call(&self.set);
        }
        self.end.wait(limit.called("Handle::join"))
    }

    /// Where to wait for the end.
    pub(crate) fn end(&self) -> &OneShot<(), R> {
        &self.end
    }

    /// Sees to it that a helper runs the task; where no thread is to be had, runs it. Says whether it did, or
    /// tried.
    pub(crate) fn call_or_run(&self) -> bool {
        let refused = !self.is_finished() && TaskSet::call(&self.set).is_err();
        if refused {
            TaskSet::run_joined(&self.set, self.number);
        }
        refused
    }

    /// Ends the waiter when a helper that is called from now on is not to be had; `None` if it was not
    /// before.
    pub(crate) fn hear_of_refusal(&self, waiter: &Waiter) -> Option<(CallbackGuard, DropGuard)> {
        let (refusal, waiter) = (CancelToken::new(), waiter.clone());
        self.set.tell_of_refusal(refusal.clone());
        let heard = (refusal.on_cancel(move || drop(waiter.end(Ok(())))), refusal.drop_guard());
        // Only now, so that one that comes before is not missed.
        TaskSet::call(&self.set).is_ok().then_some(heard)
    }

    /// Waits for the end, and runs the task for it if no other thread has started it.
    #[track_caller]
    fn wait(&self) -> Result<(), WaitError> {
        let run = || TaskSet::run_joined(&self.set, self.number);
        // A helper has it, or this thread has run it.
        if !run() {
            return self.end.wait(Until::forever().called("Handle::join"));
        }
        // The group's limit holds the task up. A helper takes it when it may run; if none is to be had then,
        // this thread is told. It looks again after it has asked to be told, so neither can be missed. Who
        // will run the task is known once one does, which the wait-for graph asks when another wait may close
        // a cycle.
        loop {
            let refused = CancelToken::new();
            let _leaves = refused.drop_guard();
            self.set.tell_of_refusal(refused.clone());
            let limit = if run() { Until::woken_by(&refused) } else { Until::forever() };
            match self.end.wait(limit) {
                Err(WaitError::Cancelled) => {}
                ended => return ended,
            }
        }
    }

    /// True once the task has ended, or will not start any more.
    pub fn is_finished(&self) -> bool {
        self.end.is_finished()
    }
}

impl<R> Drop for Handle<R> {
    /// Drops a result that is there and that nobody has taken. One that comes later is dropped by the task's
    /// thread. A chain of handles of a scope, whose results may borrow, takes stack for each link: what is
    /// dropped later must outlive the drop.
    fn drop(&mut self) {
        match self.later {
            None => panics::discard(self.end.detach()),
            // The result may hold another handle.
            Some(later) => {
                wait::drop_link(&self.end, |end| panics::discard(end.detach()), |end| later(Arc::clone(end)));
            }
        }
    }
}

impl<R> fmt::Debug for Handle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl<R> UnwindSafe for Handle<R> {}
impl<R> RefUnwindSafe for Handle<R> {}
