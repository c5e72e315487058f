//! A closure on its way from submit to result.
//!
//! One allocation holds the closure, then the result, and is shared by the queue and the handle: a
//! [`OneShot`], which has the states. A closure that was claimed elsewhere is passed over when the queue
//! brings it up.

use super::raw_job::Job;
use super::slot::{WorkerSlot, count};
use crate::cancel::CancelToken;
use crate::error::{JoinError, Panic};
use crate::panics;
use crate::sync::Arc;
use crate::wait::{OneShot, WaitPoint, graph};

pub(super) struct TaskJob<F, R> {
    end: OneShot<F, Result<R, JoinError>>,
    /// Tells the running task to stop, if it was submitted with a token.
    token: Option<CancelToken>,
    name: Option<Arc<str>>,
    call: fn(F, Option<&CancelToken>) -> R,
}

/// What a handle knows of a job.
pub(super) trait Joinable<R>: Runs {
    /// Where to wait for the end.
    fn end(&self) -> &dyn WaitPoint;

    /// Takes the result out, if the job has ended.
    fn take_result(&self) -> Option<Result<R, JoinError>>;
}

/// What can be known of a job whatever its result is.
pub(super) trait Runs: Send + Sync {
    /// Runs the closure, unless somebody has claimed it. It is counted by the time that a joiner hears of its
    /// end.
    fn run(&self, slot: &WorkerSlot);

    /// Cancels the job if it has not started; says whether it did. It is counted as above.
    fn revoke(&self, slot: &WorkerSlot) -> bool;

    /// Tells the running task to stop, if it has a token.
    fn stop(&self);

    /// True while nobody has claimed it.
    fn is_waiting(&self) -> bool;

    fn is_finished(&self) -> bool;

    /// The thread that runs the job now.
    fn runs_on(&self) -> Option<usize>;

    /// Nobody will join: a panic goes to the pool's hook, another result is dropped; now, or when the job
    /// ends.
    fn let_go(&self, slot: &WorkerSlot);
}

impl<F, R> TaskJob<F, R> {
    pub(super) fn new(f: F, token: Option<CancelToken>, call: fn(F, Option<&CancelToken>) -> R) -> Arc<Self> {
        Arc::new(TaskJob { end: OneShot::new(f), token, name: None, call })
    }

    pub(super) fn named(name: Arc<str>, f: F, call: fn(F, Option<&CancelToken>) -> R) -> Arc<Self> {
        Arc::new(TaskJob { end: OneShot::new(f), token: None, name: Some(name), call })
    }

    /// The closure of a job that was refused and that nobody else has seen.
    pub(super) fn take_back(&self) -> F {
        self.end.take_back()
    }
}

/// Hands the panic of a task that nobody joins to the pool's hook. Other results are dropped, and a panic of
/// that drop ends here: whether it comes on a worker or on the thread that drops the handle is decided by who
/// is faster.
pub(super) fn report_unjoined<R>(result: Option<Result<R, JoinError>>, slot: &WorkerSlot) {
    match result {
        Some(Err(JoinError::Panicked(panic))) => slot.report(panic),
        other => panics::discard(other),
    }
}

impl<F, R> Runs for TaskJob<F, R>
where
    F: Send,
    R: Send,
{
    fn run(&self, slot: &WorkerSlot) {
        let Some(f) = self.end.claim() else { return };
        let _owing = graph::owe();
        let named = self.name.as_ref().and_then(|name| slot.runs(name));
        let result = panics::catch(|| (self.call)(f, self.token.as_ref()));
        drop(named);
        match &result {
            Ok(_) => count(&slot.counters().completed),
            Err(_) => count(&slot.counters().panicked),
        }
        let panicked = |payload| JoinError::Panicked(Panic::new(payload).of_task(self.name.clone()));
        let unjoined = self.end.keep(result.map_err(panicked));
        report_unjoined(unjoined, slot);
    }

    fn revoke(&self, slot: &WorkerSlot) -> bool {
        let claimed = self.end.revoke(|| {
            count(&slot.counters().cancelled);
            Err(JoinError::Cancelled)
        });
        let revokes = claimed.is_some();
        // Under no lock, and contained: whoever cancels is to hear whether that was in time.
        panics::discard(claimed);
        revokes
    }

    fn stop(&self) {
        if let Some(token) = &self.token {
            token.cancel();
        }
    }

    fn is_waiting(&self) -> bool {
        self.end.is_unclaimed()
    }

    fn is_finished(&self) -> bool {
        self.end.is_finished()
    }

    fn runs_on(&self) -> Option<usize> {
        self.end.claimant()
    }

    fn let_go(&self, slot: &WorkerSlot) {
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
        Runs::run(&*self, slot);
    }

    fn is_waiting(&self) -> bool {
        Runs::is_waiting(&**self)
    }

    fn revoke(&self, slot: &WorkerSlot) {
        Runs::revoke(&**self, slot);
    }

    fn name(&self) -> Option<Arc<str>> {
        self.name.clone()
    }
}

/// A closure whose result nobody waits for: it needs no state to share, and so no allocation.
pub(super) struct PlainJob<F, N> {
    pub(super) f: F,
    pub(super) name: N,
}

/// What a [`PlainJob`] is called: a type of its own if it has no name, so that none takes up room.
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
        let running = name.get().and_then(|name| slot.runs(name));
        let result = panics::catch(f);
        drop(running);
        match result {
            Ok(()) => count(&slot.counters().completed),
            Err(payload) => {
                count(&slot.counters().panicked);
                slot.report(Panic::new(payload).of_task(name.get().cloned()));
            }
        }
    }

    fn is_waiting(&self) -> bool {
        true
    }

    fn revoke(&self, slot: &WorkerSlot) {
        count(&slot.counters().cancelled);
    }

    fn name(&self) -> Option<Arc<str>> {
        self.name.get().cloned()
    }
}
