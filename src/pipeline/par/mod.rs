//! The parallel map: a function on several threads, with order, a bound, and an end.

mod chunk;
mod iter;
mod shared;
mod window;
mod worker;

use std::fmt;
use std::marker::PhantomData;

pub(super) use iter::Parallel;

use super::cancel_mode::{CancelMode, Cancellable};
use super::stage::{Run, RunContext, Stage};
use crate::panics::Held;
use crate::sync::{Arc, Mutex};
use shared::{BOUND_PER_WORKER, Rules, Shared, State};
use window::Window;

/// See [`Pipeline::par_map`](super::Pipeline::par_map).
#[must_use = "a stage does nothing by itself"]
pub struct ParMap<S, F, U> {
    pub(super) stage: S,
    pub(super) f: F,
    pub(super) workers: usize,
    pub(super) bound: usize,
    pub(super) ordered: bool,
    pub(super) is_last: fn(&U) -> bool,
    pub(super) name: Option<String>,
    output: PhantomData<fn() -> U>,
}

impl<S, F, U> ParMap<S, F, U> {
    #[track_caller]
    pub(super) fn new(stage: S, workers: usize, f: F, is_last: fn(&U) -> bool) -> Self {
        assert!(workers > 0, "a parallel map with 0 workers would never compute anything; the least is 1");
        let bound = workers.saturating_mul(BOUND_PER_WORKER).min(usize::MAX / 4);
        ParMap { stage, f, workers, bound, ordered: true, is_last, name: None, output: PhantomData }
    }
}

impl<S: Stage, F: Fn(S::Item) -> U, U> Stage for ParMap<S, F, U> {
    type Item = U;
}

impl<'a, S, F, U, G> Run<'a, G> for ParMap<S, F, U>
where
    S: Run<'a, Cancellable>,
    S::Iter: Send + 'a,
    S::Item: Send + 'a,
    F: Fn(S::Item) -> U + Send + Sync + 'a,
    U: Send + 'a,
    G: CancelMode,
{
    type Iter = Parallel<'a, S::Iter, F, U, G>;

    fn run(self, context: &RunContext<'a>, mode: G) -> Self::Iter {
        // A consumer that can be cancelled must not sit in the caller's iterator when that happens, and one
        // that takes whatever comes first not in the caller's function. Where threads may never come it does
        // both.
        let consumer_reads = self.ordered && mode.token().is_none();
        self.start(context, mode, consumer_reads)
    }
}

impl<S, F, U> ParMap<S, F, U> {
    /// Makes the shared state; threads are asked for when somebody pulls.
    pub(super) fn start<'a, G>(
        self,
        context: &RunContext<'a>,
        mode: G,
        consumer_reads: bool,
    ) -> Parallel<'a, S::Iter, F, U, G>
    where
        S: Run<'a, Cancellable>,
        S::Iter: Send + 'a,
        S::Item: Send + 'a,
        F: Fn(S::Item) -> U + Send + Sync + 'a,
        U: Send + 'a,
        G: CancelMode,
    {
        // Stopped with whoever pulls, and by it.
        let above = mode.token().unwrap_or(&context.root).child();
        let inside = Cancellable::new(above);
        let input = self.stage.run(context, inside.clone());
        let name = self.name.unwrap_or_else(|| format!("on {} threads", self.workers));
        let meter = context.figures.as_ref().map(|figures| figures.meter(name));
        let rules =
            Rules { workers: self.workers, bound: self.bound, ordered: self.ordered, is_last: self.is_last };
        let consumer_reads = consumer_reads || context.borrowed;
        // A worker may be asked for and never come, because the system refuses it while the thread that was
        // to call it does other things. The consumer is told by this token.
        let alone = (!consumer_reads).then(|| inside.shut().child());
        if let Some(alone) = &alone {
            context.nursery.tell_of_refusal(alone.clone());
        }
        let shared = Shared {
            state: Mutex::new(State::new(input, consumer_reads)),
            window: Window::new(self.bound),
            f: Held::new(self.f),
            mode: inside,
            rules,
            nursery: Arc::clone(&context.nursery),
            meter,
        };
        Parallel::new(shared, mode, alone)
    }
}

impl<S, F, U> fmt::Debug for ParMap<S, F, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParMap")
            .field("workers", &self.workers)
            .field("bound", &self.bound)
            .field("ordered", &self.ordered)
            .finish_non_exhaustive()
    }
}
