//! A submitted closure, from submit to result.
//!
//! One allocation, shared by the queue and the handle, holds the closure and then the result: a [`OneShot`],
//! which has the states. A worker skips a job in the queue that was claimed elsewhere.

use super::raw_job::Job;
use super::slot::{End, WorkerSlot};
use crate::cancel::CancelToken;
use crate::error::{JoinError, Panic};
use crate::panics;
use crate::sync::Arc;
use crate::wait::{OneShot, WaitPoint, graph, timeline};

pub(super) struct TaskJob<F, R> {
    end: OneShot<F, Result<R, JoinError>>,
    /// Asks the running task to stop, if it was submitted with a token.
    token: Option<CancelToken>,
    name: Option<Arc<str>>,
    /// Other tasks must run before this one, so a joiner does not run it.
    in_order: bool,
    call: fn(F, Option<&CancelToken>) -> R,
}

/// The handle's view of a job.
pub(super) trait Joinable<R>: Runs {
    /// The wait point of its end.
    fn end(&self) -> &dyn WaitPoint;

    /// Takes the result, if the job has ended.
    fn take_result(&self) -> Option<Result<R, JoinError>>;
}

/// The part of a job that does not depend on its result's type.
pub(super) trait Runs: Send + Sync {
    /// Runs the closure for a joiner, unless the job is claimed or not [up to a
    /// joiner](Runs::is_up_to_joiner). The end is counted before a joiner learns of it.
    fn run(&self, slot: &WorkerSlot);

    /// Cancels the job if it has not started; returns whether it did. Counted as above.
    fn revoke(&self, slot: &WorkerSlot) -> bool;

    /// Asks the running task to stop, if it has a token.
    fn stop(&self);

    /// True until the job is claimed, if it may be run now.
    fn is_unclaimed(&self) -> bool;

    /// True if a joiner inside the pool should call [`run`](Runs::run).
    fn is_up_to_joiner(&self) -> bool {
        self.is_unclaimed() && !self.is_in_order()
    }

    /// True if other tasks must run before this one, so that no joiner runs it.
    fn is_in_order(&self) -> bool {
        false
    }

    fn is_finished(&self) -> bool;

    /// The thread that runs the job now.
    fn runs_on(&self) -> Option<usize>;

    /// The handle is gone: now or when the job ends, a panic goes to the pool's hook and another result is
    /// dropped.
    fn detach(&self, slot: &WorkerSlot);
}

impl<F, R> TaskJob<F, R> {
    pub(super) fn new(f: F, token: Option<CancelToken>, call: fn(F, Option<&CancelToken>) -> R) -> Arc<Self> {
        Arc::new(TaskJob { end: OneShot::new(f), token, name: None, in_order: false, call })
    }

    /// Makes a job that is run when its turn has come, and by no joiner.
    pub(super) fn in_order(f: F, call: fn(F, Option<&CancelToken>) -> R) -> Arc<Self> {
        Arc::new(TaskJob { end: OneShot::new(f), token: None, name: None, in_order: true, call })
    }

    pub(super) fn named(name: Arc<str>, f: F, call: fn(F, Option<&CancelToken>) -> R) -> Arc<Self> {
        Arc::new(TaskJob { end: OneShot::new(f), token: None, name: Some(name), in_order: false, call })
    }

    /// Takes the closure of a job that was refused, and that no other thread has seen.
    pub(super) fn take_back(&self) -> F {
        self.end.take_back()
    }
}

/// Passes the panic of a task that nobody joins to the pool's hook. Other results are dropped, and a panic of
/// that drop is contained: a race decides whether it happens on a worker or on the thread that drops the
/// handle, so it cannot be propagated to either.
pub(super) fn report_unjoined<R>(result: Option<Result<R, JoinError>>, slot: &WorkerSlot) {
    match result {
        Some(Err(JoinError::Panicked(panic))) => slot.report(panic),
        other => panics::discard(other),
    }
}

impl<F, R> TaskJob<F, R>
where
    F: Send,
    R: Send,
{
    fn run_claimed(&self, slot: &WorkerSlot) {
        // The claim decides between a worker, a joiner that runs the task, a cancel and an abort: exactly one
        // gets the closure.
        let Some(f) = self.end.claim() else { return };
        // Waiters for this task depend on this thread from now on, in the wait-for graph.
        let _owing = graph::owe();
        let named = self.name.as_ref().map(|name| slot.enter_task(name));
        let recorded = timeline::task("Pool", self.name.as_ref());
        let result = panics::catch(|| (self.call)(f, self.token.as_ref()));
        drop(recorded);
        // The name is removed before the end is published, so that a report never shows an ended task.
        drop(named);
        // Counted before it is published. Relaxed suffices: the one-shot's lock publishes the count to the
        // joiner.
        match &result {
            Ok(_) => slot.count(End::Completed),
            // Counted apart, though a panic is a result for the joiner.
            Err(_) => slot.count(End::Panicked),
        }
        let panicked = |payload| JoinError::Panicked(Panic::new(payload).of_task(self.name.clone()));
        // Returned if the handle is gone: then this thread disposes of the result.
        let unjoined = self.end.keep(result.map_err(panicked));
        report_unjoined(unjoined, slot);
    }
}

impl<F, R> Runs for TaskJob<F, R>
where
    F: Send,
    R: Send,
{
    fn run(&self, slot: &WorkerSlot) {
        if !self.in_order {
            self.run_claimed(slot);
        }
    }

    fn revoke(&self, slot: &WorkerSlot) -> bool {
        let claimed = self.end.revoke(|| {
            slot.count(End::Cancelled);
            Err(JoinError::Cancelled)
        });
        let revokes = claimed.is_some();
        // The closure is dropped without a lock and contained: `cancel` must return whether it was in time.
        panics::discard(claimed);
        revokes
    }

    fn stop(&self) {
        if let Some(token) = &self.token {
            token.cancel();
        }
    }

    fn is_unclaimed(&self) -> bool {
        // A guess for callers that decide by it only whether to try.
        self.end.is_unclaimed()
    }

    fn is_in_order(&self) -> bool {
        self.in_order
    }

    fn is_finished(&self) -> bool {
        self.end.is_finished()
    }

    fn runs_on(&self) -> Option<usize> {
        self.end.claimant()
    }

    fn detach(&self, slot: &WorkerSlot) {
        // The one-shot decides: a result that is there is returned here, a later one to the thread that keeps
        // it.
        report_unjoined(self.end.detach(), slot);
    }
}

impl<F, R> Joinable<R> for TaskJob<F, R>
where
    F: Send,
    R: Send,
{
    fn end(&self) -> &dyn WaitPoint {
        &self.end
    }

    fn take_result(&self) -> Option<Result<R, JoinError>> {
        self.end.take().ok()
    }
}

impl<F, R> Job for Arc<TaskJob<F, R>>
where
    F: Send + 'static,
    R: Send + 'static,
{
    fn run(self, slot: &WorkerSlot) {
        self.run_claimed(slot);
    }

    fn is_unclaimed(&self) -> bool {
        Runs::is_unclaimed(&**self)
    }

    fn revoke(&self, slot: &WorkerSlot) {
        Runs::revoke(&**self, slot);
    }

    fn name(&self) -> Option<Arc<str>> {
        self.name.clone()
    }
}

/// A closure without a handle: nothing is shared, so nothing is allocated.
pub(super) struct PlainJob<F, N> {
    pub(super) f: F,
    pub(super) name: N,
}

/// The name of a [`PlainJob`]: a type parameter, so that a job without a name stores none.
pub(super) trait JobName: Send + 'static {
    fn get(&self) -> Option<&Arc<str>>;
}

impl JobName for () {
    fn get(&self) -> Option<&Arc<str>> {
        None
    }
}

impl JobName for Arc<str> {
    fn get(&self) -> Option<&Arc<str>> {
        Some(self)
    }
}

impl<F: FnOnce() + Send + 'static, N: JobName> Job for PlainJob<F, N> {
    fn run(self, slot: &WorkerSlot) {
        let PlainJob { f, name } = self;
        // Shown before the closure runs, so that a report during a stuck task names it.
        let running = name.get().map(|name| slot.enter_task(name));
        let recorded = timeline::task("Pool", name.get());
        let result = panics::catch(f);
        drop(recorded);
        drop(running);
        match result {
            Ok(()) => slot.count(End::Completed),
            Err(payload) => {
                slot.count(End::Panicked);
                // No handle exists, so the hook is the only receiver.
                slot.report(Panic::new(payload).of_task(name.get().cloned()));
            }
        }
    }

    fn is_unclaimed(&self) -> bool {
        true
    }

    fn revoke(&self, slot: &WorkerSlot) {
        slot.count(End::Cancelled);
    }

    fn name(&self) -> Option<Arc<str>> {
        self.name.get().cloned()
    }
}
