//! What a delayed task does when it is due: the closure once, or in rounds.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::time::Instant;

use super::job::Work;
use super::set::When;
use crate::cancel::CancelToken;
use crate::clock::Clock;
use crate::limiter::Ticker;

/// What a round of a [periodic task](crate::Pool::submit_every) may return: `()` to go on, or a
/// [`ControlFlow`] whose `Break` ends the task with a value.
///
/// Sealed: these two are all.
#[diagnostic::on_unimplemented(
    message = "a periodic task may not return `{Self}`",
    label = "this round returns `{Self}`",
    note = "a round returns `()` to go on, or `ControlFlow`, whose `Break(value)` ends the task"
)]
pub trait RoundResult: sealed::Sealed {
    /// What the task's [`Task`](crate::Task) gives.
    type Value;

    #[doc(hidden)]
    fn into_flow(self) -> ControlFlow<Self::Value>;
}

/// A task that returns `()` ends by a cancel or a panic only.
impl RoundResult for () {
    type Value = Infallible;

    fn into_flow(self) -> ControlFlow<Infallible> {
        ControlFlow::Continue(())
    }
}

impl<V> RoundResult for ControlFlow<V> {
    type Value = V;

    fn into_flow(self) -> ControlFlow<V> {
        self
    }
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for () {}
    impl<V> Sealed for std::ops::ControlFlow<V> {}
}

/// What follows a run of a delayed task.
pub(super) enum Next<W, R> {
    Done(R),
    /// Another round, at that time.
    Again(W, When),
}

/// Runs once.
pub(super) struct Once<F>(pub(super) F);

impl<F, R> Work<R> for Once<F>
where
    F: FnOnce() -> R + Send,
{
    fn run(self, _: Option<&CancelToken>) -> Next<Self, R> {
        Next::Done((self.0)())
    }
}

/// Runs at each tick.
pub(super) struct Every<F> {
    pub(super) f: F,
    pub(super) ticks: Ticker,
    pub(super) clock: Clock,
}

impl<F, T> Work<T::Value> for Every<F>
where
    F: FnMut(&CancelToken) -> T + Send,
    T: RoundResult,
{
    fn run(mut self, stop: Option<&CancelToken>) -> Next<Self, T::Value> {
        // The tick that this round is for, and those that were missed. It is due: the clock has said so.
        let _ = self.ticks.try_next();
        match (self.f)(stop.expect("a periodic task has a token")).into_flow() {
            ControlFlow::Break(value) => Next::Done(value),
            ControlFlow::Continue(()) => {
                let when = When::at(self.ticks.next_due(), self.clock.now());
                Next::Again(self, when)
            }
        }
    }
}

impl When {
    /// Converts an instant, of which `None` is never.
    pub(super) fn at(at: Option<Instant>, now: Instant) -> Self {
        match at {
            None => When::Never,
            Some(at) if at <= now => When::Now,
            Some(at) => When::At(at),
        }
    }
}
