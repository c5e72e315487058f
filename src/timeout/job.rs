//! A function with a time limit, from call to result, and the handle's view of it.

use std::time::Instant;

use crate::cancel::CancelToken;
use crate::clock::Clock;
use crate::error::WaitError;
use crate::panics::{self, Payload};
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::sync::model::IS_MODEL;
use crate::sync::{Arc, lazy_static};
use crate::until::{Limit, Until};
use crate::wait::cache::Caller;
use crate::wait::context::Inherited;
use crate::wait::{BriefSpin, OneShot, WaitPoint, graph, timeline};

/// The function until it is claimed, and its end until that is taken.
pub(super) struct Job<F, R> {
    /// With the context of the caller, so that a wait for the caller from inside the function is refused.
    end: OneShot<(F, Inherited), Ended<R>>,
    pub(super) token: CancelToken,
    bound: Bound,
    /// A hint for the spinning caller, which so leaves the one-shot's lock to the helper. Relaxed: the lock
    /// publishes the end.
    has_ended: AtomicBool,
}

lazy_static! {
    /// How long callers spin for their functions.
    static ref SPIN: BriefSpin = BriefSpin::new();
}

/// The limit, as the running thread checks it.
pub(super) struct Bound {
    token: Option<CancelToken>,
    deadline: Option<Instant>,
    clock: Clock,
}

/// A value, or the payload of a panic.
pub(super) type Outcome<R> = Result<R, Payload>;

/// How a function has ended.
pub(super) struct Ended<R> {
    result: Outcome<R>,
    /// What had ended the limit by then, if anything.
    pub(super) late: Option<WaitError>,
}

/// The handle's view of a job.
pub(super) trait Joinable<R>: Detach {
    /// Waits for the function to end.
    fn wait(&self, limit: Until<'_>) -> Result<(), WaitError>;

    /// The wait point of its end.
    fn end(&self) -> &dyn WaitPoint;

    fn runs_here(&self) -> bool;

    /// Takes the result, if the function has ended.
    fn take(&self) -> Option<Outcome<R>>;

    fn is_finished(&self) -> bool;
}

/// The part of a job that does not depend on its result's type.
pub(super) trait Detach: Send + Sync {
    /// The handle is gone: drops the result, now or when the function ends.
    fn detach(&self);
}

impl<F, R> Job<F, R>
where
    F: FnOnce(&CancelToken) -> R + Send + 'static,
    R: Send + 'static,
{
    pub(super) fn new(f: F, token: CancelToken, bound: Bound) -> Self {
        let end = OneShot::new((f, Inherited::current()));
        Job { end, token, bound, has_ended: AtomicBool::new(false) }
    }

    /// Takes the function back; `None` if it has started.
    pub(super) fn take_back(&self) -> Option<F> {
        // The claim is exclusive: the function has started before this, or never starts.
        self.end.claim().map(|(f, _)| f)
    }

    /// Runs the function on its caller.
    pub(super) fn run(&self) {
        if let Some(f) = self.take_back() {
            self.perform(f);
        }
    }

    /// Runs the function, which this thread has claimed.
    fn perform(&self, f: F) {
        // Waiters for this function depend on this thread from now on, in the wait-for graph.
        let _owing = graph::owe();
        // Caught: the payload goes to the caller or to the handle.
        let recorded = timeline::task("timeout::run", None);
        let result = panics::catch(|| f(&self.token));
        drop(recorded);
        // Checked here, as soon as the function has ended: the delay until the caller wakes up says nothing
        // about the function. The limit's own token is checked, because the function may have cancelled the
        // one that it was passed.
        let late = self.bound.passed();
        panics::discard(self.end.keep(Ended { result, late }));
        // Nobody spins in a model.
        if !IS_MODEL {
            self.has_ended.store(true, Relaxed);
        }
    }

    /// Spins for the end of the function, for a few microseconds at most.
    fn spin(&self) {
        if !IS_MODEL {
            SPIN.until(|| self.has_ended.load(Relaxed));
        }
    }

    /// Waits for the function to end, and returns what had ended its limit by then.
    #[track_caller]
    pub(super) fn wait_for_end(&self, limit: Until<'_>) -> Result<Option<WaitError>, WaitError> {
        self.spin();
        limit.called("timeout::run").retry(&self.end, || self.end.look(|ended| ended.late))
    }

    /// The result, if the function ended before its limit passed.
    pub(super) fn take_in_time(&self) -> Option<Outcome<R>> {
        // Looked at before it is taken: a late end stays for the handle.
        match self.end.look(|ended| ended.late) {
            Ok(None) => self.take(),
            _ => None,
        }
    }
}

impl<F, R> Caller for Job<F, R>
where
    F: FnOnce(&CancelToken) -> R + Send + 'static,
    R: Send + 'static,
{
    fn arrive(self: Arc<Self>) {
        // Nothing to do if the function was taken back.
        if let Some((f, inherited)) = self.end.claim() {
            inherited.run(|| self.perform(f));
        }
    }
}

impl<F, R> Drop for Job<F, R> {
    /// Drops a result or payload that no thread receives, on the last thread that has a reference.
    fn drop(&mut self) {
        // Contained: the last reference may be a helper's, which has other calls to run.
        panics::discard(self.end.take());
    }
}

impl<F: Send, R: Send> Detach for Job<F, R> {
    fn detach(&self) {
        panics::discard(self.end.detach());
    }
}

impl<F, R> Joinable<R> for Job<F, R>
where
    F: Send,
    R: Send,
{
    fn wait(&self, limit: Until<'_>) -> Result<(), WaitError> {
        self.end.wait(limit)
    }

    fn end(&self) -> &dyn WaitPoint {
        &self.end
    }

    fn runs_here(&self) -> bool {
        // A handle that reached its own function would wait for itself.
        self.end.is_claimed_here()
    }

    fn take(&self) -> Option<Outcome<R>> {
        self.end.take().ok().map(|ended| ended.result)
    }

    fn is_finished(&self) -> bool {
        self.end.is_finished()
    }
}

impl Bound {
    pub(super) fn new(limit: &Limit<'_>) -> Self {
        // Owned copies: the function may outlive the caller's limit.
        Bound { token: limit.token().cloned(), deadline: limit.deadline(), clock: limit.clock().clone() }
    }

    /// What ended the limit, if it has passed by now.
    fn passed(&self) -> Option<WaitError> {
        // On the limit's own clock, which may be a manual one.
        let time = self.deadline.map_or(Until::forever(), |at| Until::from((&self.clock, at)));
        let limit = match &self.token {
            Some(token) => time.or_cancelled(token),
            None => time,
        };
        limit.start().check().err()
    }
}

/// Returns the function's value, or resumes its panic, once nothing of this crate is left to unwind.
pub(super) fn deliver<R>(result: Outcome<R>) -> R {
    result.unwrap_or_else(|payload| panics::resume(payload))
}
