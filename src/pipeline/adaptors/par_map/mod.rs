//! `par_map`: a function on several threads, with order, a bound and an end.
//!
//! | file | contents |
//! |---|---|
//! | `shared.rs` | the state that the threads share, its invariants, and wake-ups |
//! | `choice.rs` | the choice of the next job, and what is worth a thread |
//! | `worker.rs` | the jobs: reading and computing |
//! | `iter.rs` | the consumer |
//! | `chunk.rs`, `word.rs` | a batch of items, and how a thread steals part of it |
//! | `window.rs` | the bound on items in progress |
//! | `live.rs` | what a report of blocked threads shows |

#[forbid(unsafe_code)]
mod choice;
#[allow(unsafe_code)]
mod chunk;
#[forbid(unsafe_code)]
mod iter;
#[forbid(unsafe_code)]
mod live;
#[forbid(unsafe_code)]
mod shared;
#[forbid(unsafe_code)]
mod window;
#[forbid(unsafe_code)]
mod word;
#[forbid(unsafe_code)]
mod worker;

use std::fmt;
use std::marker::PhantomData;

pub(super) use iter::ParMapIter;

use crate::panics::Held;
use crate::pipeline::Pipeline;
use crate::pipeline::cancel_mode::{CancelMode, Cancellable};
use crate::pipeline::stage::{Run, RunContext, Stage};
use crate::sync::{Arc, Mutex};
use live::ListedMap;
use shared::{BOUND_PER_WORKER, Rules, Shared, State};
use window::Window;

impl<S: Stage, G: CancelMode> Pipeline<S, G> {
    /// Computes `f` on up to `workers` threads at a time. Outputs arrive in the order of the inputs.
    ///
    /// At most 64 items per worker are in progress: read, and not yet taken. [`bound`](Pipeline::bound) sets
    /// another number. [`ordered(false)`](Pipeline::ordered) yields each output as soon as it is computed.
    ///
    /// The stages before this one run on the worker that reads. If no worker has begun the item that the
    /// thread that pulls waits for, that thread computes it in place of a worker, but it never computes
    /// another item: `f` may wait for what the consumer does with earlier outputs. It must not wait for a
    /// call with a later item: `workers` and the bound are maxima, and items that cost little are computed by
    /// fewer threads.
    ///
    /// # Panics
    /// If `workers` is 0.
    #[track_caller]
    pub fn par_map<U, F>(self, workers: usize, f: F) -> Pipeline<ParMap<S, F, U>, G>
    where
        F: Fn(S::Item) -> U,
    {
        // `then` takes a closure, in which `track_caller` would not see the caller's line.
        let stage = ParMap::new(self.stage, workers, f, |_| false);
        Pipeline { stage, mode: self.mode, config: self.config }
    }

    /// Like [`par_map`](Pipeline::par_map), with a function that may fail. The first error is the last item:
    /// once it has happened, nothing more is read, and no later item is begun.
    ///
    /// # Panics
    /// If `workers` is 0.
    #[track_caller]
    pub fn try_par_map<U, E, F>(self, workers: usize, f: F) -> Pipeline<ParMap<S, F, Result<U, E>>, G>
    where
        F: Fn(S::Item) -> Result<U, E>,
    {
        let stage = ParMap::new(self.stage, workers, f, Result::is_err);
        Pipeline { stage, mode: self.mode, config: self.config }
    }
}

impl<S, F, U, G> Pipeline<ParMap<S, F, U>, G> {
    /// Limits the items in progress to `bound`: input k + `bound` is not read before output k has been taken.
    ///
    /// # Panics
    /// If `bound` is 0, or more than a quarter of `usize::MAX`.
    #[track_caller]
    pub fn bound(mut self, bound: usize) -> Self {
        assert!(bound > 0, "a bound of 0 items would let none in; the least is 1");
        assert!(bound <= usize::MAX / 4, "bound {bound} is more than {}", usize::MAX / 4);
        self.stage.bound = bound;
        self
    }

    /// Names the stage in the [`Figures`](crate::pipeline::Figures).
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.stage.name = Some(name.into());
        self
    }

    /// Sets whether outputs arrive in the order of the inputs, which is the default, or each as soon as it is
    /// computed.
    pub fn ordered(mut self, ordered: bool) -> Self {
        self.stage.ordered = ordered;
        self
    }
}

/// See [`Pipeline::par_map`].
#[must_use = "a stage does nothing by itself"]
pub struct ParMap<S, F, U> {
    stage: S,
    f: F,
    workers: usize,
    pub(super) bound: usize,
    ordered: bool,
    is_last: fn(&U) -> bool,
    name: Option<String>,
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
    type Iter = ParMapIter<'a, S::Iter, F, U, G>;

    fn run(self, context: &RunContext<'a>, mode: G) -> Self::Iter {
        // A consumer that can be cancelled must not be blocked in the caller's iterator when that happens. A
        // consumer of unordered outputs must not be blocked in the caller's function while another output is
        // ready. Where a worker may never come, `start` makes the consumer do both nevertheless.
        let consumer_reads = self.ordered && mode.token().is_none();
        self.start(context, mode, consumer_reads)
    }
}

impl<S, F, U> ParMap<S, F, U> {
    /// Makes the shared state. Workers are started when the consumer pulls.
    pub(super) fn start<'a, G>(
        self,
        context: &RunContext<'a>,
        mode: G,
        consumer_reads: bool,
    ) -> ParMapIter<'a, S::Iter, F, U, G>
    where
        S: Run<'a, Cancellable>,
        S::Iter: Send + 'a,
        S::Item: Send + 'a,
        F: Fn(S::Item) -> U + Send + Sync + 'a,
        U: Send + 'a,
        G: CancelMode,
    {
        // Cancelled with the consumer's token, and when this stage stops.
        let token = mode.token().unwrap_or(&context.token).child();
        let inner = Cancellable::new(token);
        let input = self.stage.run(context, inner.clone());
        let name = self.name.unwrap_or_else(|| format!("on {} threads", self.workers));
        let meter = context.figures.as_ref().map(|figures| figures.meter(name.clone()));
        let shared_name = Arc::from(&*name);
        let window = Arc::new(Window::new(self.bound));
        let listed = ListedMap::new(name, self.workers, self.bound, &window);
        let rules =
            Rules { workers: self.workers, bound: self.bound, ordered: self.ordered, is_last: self.is_last };
        let consumer_reads = consumer_reads || context.borrowed;
        // A worker may be requested and never start, because the system refuses its thread while the thread
        // that requested it is busy elsewhere. This token wakes the consumer in that case.
        let refused = (!consumer_reads).then(|| inner.cancel_token().child());
        if let Some(refused) = &refused {
            context.nursery.tell_of_refusal(refused.clone());
        }
        let shared = Shared {
            state: Mutex::new(State::new(input, consumer_reads)),
            window,
            listed,
            name: shared_name,
            f: Held::new(self.f),
            mode: inner,
            rules,
            nursery: Arc::clone(&context.nursery),
            meter,
        };
        ParMapIter::new(shared, mode, refused)
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
