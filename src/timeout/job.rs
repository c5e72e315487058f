//! A function with a time limit, from call to result, and the handle's view of it.

use std::time::Instant;

use crate::cancel::CancelToken;
use crate::clock::Clock;
use crate::error::WaitError;
use crate::panics::{self, Payload};
use crate::until::{Limit, Until};
use crate::wait::{OneShot, WaitPoint, graph, timeline};

/// The function until it is claimed, and its end until that is taken.
pub(super) struct Job<F, R> {
    pub(super) end: OneShot<F, Ended<R>>,
    pub(super) token: CancelToken,
    pub(super) bound: Bound,
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
    /// Runs the function, unless it was taken back.
    pub(super) fn run(&self) {
        // Waiters for this function depend on this thread from now on, in the wait-for graph.
        let Some(f) = self.end.claim() else { return };
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
