//! A function on its way from call to result, and what a handle knows of it.

use std::time::Instant;

use crate::cancel::CancelToken;
use crate::clock::Clock;
use crate::error::WaitError;
use crate::panics::{self, Payload};
use crate::until::{Limit, Until};
use crate::wait::{OneShot, WaitPoint, graph};

/// A function, until it is claimed; and its end, until that is taken.
pub(super) struct Job<F, R> {
    pub(super) end: OneShot<F, Ended<R>>,
    pub(super) token: CancelToken,
    pub(super) bound: Bound,
}

/// The limit, for the thread that runs the function.
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
    /// What had ended its limit by then, if anything.
    pub(super) late: Option<WaitError>,
}

/// What a handle knows of a job.
pub(super) trait Runs<R>: LetsGo {
    /// Waits for the function to end.
    fn wait(&self, limit: Until<'_>) -> Result<(), WaitError>;

    /// Where to wait for that.
    fn end(&self) -> &dyn WaitPoint;

    fn runs_here(&self) -> bool;

    /// Takes its result, if it has ended.
    fn take(&self) -> Option<Outcome<R>>;

    fn is_finished(&self) -> bool;
}

/// What a handle knows of a job whatever its result is.
pub(super) trait LetsGo: Send + Sync {
    /// Nobody will join: drops the result, now or when it comes.
    fn let_go(&self);
}

impl<F, R> Job<F, R>
where
    F: FnOnce(&CancelToken) -> R + Send + 'static,
    R: Send + 'static,
{
    /// Runs the function, unless it was taken back.
    pub(super) fn run(&self) {
        let Some(f) = self.end.claim() else { return };
        let _owing = graph::owe();
        let result = panics::catch(|| f(&self.token));
        // Looked at here, as soon as the function has ended: how long its result is on its way to the caller
        // says nothing about it. The limit's own token, because the function may have cancelled the one it
        // was handed.
        let late = self.bound.passed();
        panics::discard(self.end.keep(Ended { result, late }));
    }

    /// The result, if the function has ended before its limit passed.
    pub(super) fn take_in_time(&self) -> Option<Outcome<R>> {
        match self.end.look(|ended| ended.late) {
            Ok(None) => self.take(),
            _ => None,
        }
    }
}

impl<F, R> Drop for Job<F, R> {
    /// Drops a result or a payload that nobody receives, on whichever thread is the last.
    fn drop(&mut self) {
        panics::discard(self.end.take());
    }
}

impl<F: Send, R: Send> LetsGo for Job<F, R> {
    fn let_go(&self) {
        panics::discard(self.end.detach());
    }
}

impl<F, R> Runs<R> for Job<F, R>
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
        Bound { token: limit.token().cloned(), deadline: limit.deadline(), clock: limit.clock().clone() }
    }

    /// What ended the limit, if it has passed by now.
    fn passed(&self) -> Option<WaitError> {
        let time = self.deadline.map_or(Until::forever(), |at| Until::from((&self.clock, at)));
        let limit = match &self.token {
            Some(token) => time.or_cancelled(token),
            None => time,
        };
        limit.start().check().err()
    }
}

/// The function's value, or its panic, which finds nothing of ours to unwind through.
pub(super) fn deliver<R>(result: Outcome<R>) -> R {
    result.unwrap_or_else(|payload| panics::resume(payload))
}
