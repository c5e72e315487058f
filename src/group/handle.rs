//! A handle to one task of a group.

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

/// A handle to one task of a [`Scope`](super::Scope) or a [`Group`](super::Group), for its result.
///
/// Joining handles in the order in which they were created returns the results in that order. The task's
/// error or panic belongs to the group, not to the handle: the handle only reports that there is no result.
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
/// [`join`](Handle::join) and [`wait_until`](Handle::wait_until) block until the task has ended; the thread
/// that ends it wakes the joiner. A join without a limit runs the task on the calling thread, if no other has
/// started it and the group's [limit](super::Scope::limit) admits it: it needs no thread, so it ends even if
/// the operating system refuses one. Under a limit, a task may join a task that has not started;
/// [`Scope::limit`](super::Scope::limit) says why that ends.
///
/// # Cancellation
/// A result that exists when the limit passes is a success, however late the joiner wakes up. A join that
/// ends early returns the handle in the error. Dropping the handle lets the task run on and drops its result
/// when it arrives; a panic of that drop is contained and reported by the panic hook.
///
/// # Ordering
/// What the task did is visible to the thread that has its result.
///
/// # Proof
/// Models in `loom-tests/tests/group_limit.rs`: `a_result_wakes_its_joiner`,
/// `a_join_runs_the_task_if_no_thread_is_to_be_had`,
/// `a_join_under_a_limit_runs_the_task_once_no_thread_is_to_be_had`,
/// `the_joiner_of_a_failed_task_is_told_after_the_failure`.
///
/// # Cost
/// One allocation in addition to the task's.
///
/// # Instead
/// Use [`Scope::spawn`](super::Scope::spawn) if there is no result; [`pool::Task`](crate::pool::Task) for
/// tasks that do not belong together.
#[must_use = "dropping the handle drops the task's result; `spawn` is for tasks without one"]
pub struct Handle<R> {
    /// The task's closure is stored in the task set, with those of tasks without a handle.
    end: Arc<OneShot<(), R>>,
    /// The task set, and the task's number in it.
    set: Arc<TaskSet>,
    number: usize,
    later: Option<Later<R>>,
}

/// Defers the drop of a result in a group whose results borrow nothing; see [`drop_link`](wait::drop_link).
pub(super) type Later<R> = fn(Arc<OneShot<(), R>>) -> Box<dyn FnOnce()>;

pub(super) fn drop_later<R: 'static>(end: Arc<OneShot<(), R>>) -> Box<dyn FnOnce()> {
    Box::new(move || panics::discard(end.detach()))
}

/// The task's side: reports that there is no result if it is dropped without one.
pub(super) struct Completer<R>(Arc<OneShot<(), R>>);

impl<R> Completer<R> {
    pub(super) fn new() -> Self {
        Completer(Arc::new(OneShot::new(())))
    }

    /// Pushes the task that completes this handle.
    pub(super) fn push(
        self,
        set: &Arc<TaskSet>,
        later: Option<Later<R>>,
        task: impl FnOnce(Self) -> Task,
    ) -> Handle<R> {
        let end = Arc::clone(&self.0);
        let number = TaskSet::push_joined(set, task(self));
        Handle { end, set: Arc::clone(set), number, later }
    }

    pub(super) fn begin(&self) {
        self.0.claim();
    }

    pub(super) fn keep(&self, result: R) {
        // Dropped here rather than with the last reference, if the handle is gone.
        panics::discard(self.0.keep(result));
    }
}

impl<R> Drop for Completer<R> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl<R> Handle<R> {
    /// Waits for the task to end and takes its result. Runs the task here if no other thread has started it.
    ///
    /// # Errors
    /// [`JoinError::Cancelled`] if there is no result: the task failed, panicked, or was not started because
    /// its group was cancelled. The group has the error or the panic. [`JoinError::WouldDeadlock`] if the
    /// task waits, directly or through others, for the calling thread.
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

    /// Like [`join`](Handle::join), waiting until `limit` at most. The outer result says whether the task has
    /// ended, the inner one how.
    ///
    /// # Errors
    /// With the handle: [`WaitError::TimedOut`], [`WaitError::Cancelled`] if the limit's token was cancelled,
    /// or [`WaitError::WouldDeadlock`] if the task waits for the calling thread.
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

    /// Waits for the task to end, until `limit` at most, and leaves its result in place. Without a limit,
    /// runs the task if no other thread has started it, as [`join`](Handle::join) does.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`], [`WaitError::Cancelled`] if the limit's token was cancelled, or
    /// [`WaitError::WouldDeadlock`] if the task waits for the calling thread.
    #[track_caller]
    pub fn wait_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<(), WaitError> {
        let limit = limit.into();
        if !self.end.is_finished() {
            if limit.is_unlimited() {
                return self.wait();
            }
            // Runs no task, since a task might outlast the limit. If a thread was refused, it is requested
            // again.
            let _ = TaskSet::notify(&self.set);
        }
        // No missed wake-up: the one-shot publishes the end under its lock and takes the waiters out.
        self.end.wait(limit.called("Handle::join"))
    }

    /// The wait point of the task's end.
    pub(crate) fn end(&self) -> &OneShot<(), R> {
        &self.end
    }

    /// Requests a helper for the task. If no thread is available, runs the task here, and returns true.
    pub(crate) fn call_or_run(&self) -> bool {
        let refused = !self.is_finished() && TaskSet::notify(&self.set).is_err();
        if refused {
            TaskSet::run_joined(&self.set, self.number);
        }
        refused
    }

    /// Ends the waiter when a helper that is requested from now on is refused. `None` if one is refused right
    /// now.
    pub(crate) fn hear_of_refusal(&self, waiter: &Waiter) -> Option<(CallbackGuard, DropGuard)> {
        let (refusal, waiter) = (CancelToken::new(), waiter.clone());
        self.set.tell_of_refusal(refusal.clone());
        let heard = (refusal.on_cancel(move || drop(waiter.end(Ok(())))), refusal.drop_guard());
        // Requested after the registration, so that a refusal in between is not missed.
        TaskSet::notify(&self.set).is_ok().then_some(heard)
    }

    /// Waits for the end, and runs the task if no other thread has started it.
    #[track_caller]
    fn wait(&self) -> Result<(), WaitError> {
        let run = || TaskSet::run_joined(&self.set, self.number);
        // A helper runs it, or this thread has run it.
        if !run() {
            return self.end.wait(Until::forever().called("Handle::join"));
        }
        // The group's limit defers the task. A helper takes it when the limit admits it; if no helper is
        // available then, this thread is told through the token and runs it. It checks again after it has
        // registered for refusals, so neither the admission nor the refusal is missed. Which thread runs the
        // task is known only once one does; the wait-for graph asks for it when another wait may close a
        // cycle.
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

    /// Returns true once the task has ended, or will never start.
    pub fn is_finished(&self) -> bool {
        self.end.is_finished()
    }
}

impl<R> Drop for Handle<R> {
    /// Drops a result that exists and was not taken. A later result is dropped by the task's thread. In a
    /// scope, whose results may borrow, a chain of handles needs stack for each link: a deferred drop must
    /// not outlive the borrows.
    fn drop(&mut self) {
        match self.later {
            None => panics::discard(self.end.detach()),
            // The result may contain another handle, and so on: dropped in a loop, not recursively.
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
