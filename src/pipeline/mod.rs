//! Streams that keep their order, keep their bounds, and stop when told.

mod branches;
mod cancel_mode;
mod channel;
mod figures;
mod merge;
mod par;
#[cfg(feature = "rayon")]
mod rayon;
mod shapes;
mod share;
mod sinks;
mod split;
mod stage;
mod stages;
mod steps;
mod threads;
mod timeline;
mod within;

use std::fmt;
use std::iter;

use crossbeam_channel::Receiver;

pub use branches::{Routed, Shared};
pub use cancel_mode::{CancelMode, Cancellable, Free};
pub use channel::ChannelDriver;
pub use figures::{Figures, StageFigures};
pub use merge::{Chain, Merge, MergeSorted};
pub use par::ParMap;
pub use shapes::{Chunks, FlatMap, Skip, Take};
pub use share::Share;
pub use sinks::{BorrowedIter, Output};
pub use split::{ByKey, Route, Split, ToAll};
pub use stage::{Items, Messages, Queued, Run, Stage};
pub use steps::{
    AndThen, Dedup, Filter, FilterMap, Flow, Inspect, Map, Scan, Step, Stepped, TakeWhile, TryMap,
};
pub use threads::Buffered;
pub use within::ChunksWithin;

use crate::cancel::CancelToken;
use crate::group::Spawn;
use crate::pool::Pool;
use crate::queue;
use crate::sync::Arc;

/// Processes a stream in stages, some of them on several threads, without losing the order, growing without
/// bound, or leaving a thread behind.
///
/// A pipeline is a description until a *sink* ([`collect`](Pipeline::collect),
/// [`for_each`](Pipeline::for_each), an iterator) sets it to work. Stages like [`map`](Pipeline::map) and
/// [`filter`](Pipeline::filter) run on whoever pulls and cost what std's iterators cost. Threads are only
/// where you ask for them: [`par_map`](Pipeline::par_map) runs a function on several,
/// [`buffered`](Pipeline::buffered) everything before it on one.
///
/// - *Order.* Outputs come in the order of the inputs, unless you say [`ordered(false)`](Pipeline::ordered).
/// - *Bound.* With [`bound(b)`](Pipeline::bound), input k + b is not read before output k was taken, whatever
///   the items cost. What is in memory is at most the sum of the bounds.
/// - *End.* The end of the source flows down. Dropping the output, the first error, the first panic, and the
///   [token](Pipeline::cancelled_by) stop everything: nothing is read and no function begun from then on, and
///   every thread has left when the sink returns or the output is dropped.
///
/// # Examples
/// ```
/// use selvedge::Pipeline;
///
/// let squares: Vec<u64> = Pipeline::source(1..=5)
///     .filter(|n| n % 2 == 1)
///     .par_map(4, |n| n * n)          // four threads, still in order
///     .collect();
/// assert_eq!(squares, [1, 9, 25]);
/// ```
///
/// Borrowed data, the first error, and a token that stops it all:
/// ```
/// use selvedge::{CancelToken, Pipeline, error::Cancelled};
///
/// let stop = CancelToken::new();
/// let lines = ["12", "30", "warp", "7"];
/// let parsed = |texts: &[&str]| {
///     Pipeline::source(texts)
///         .cancelled_by(&stop)
///         .try_par_map(2, |text| text.parse::<u32>())
///         .collect::<Result<Vec<_>, _>>()
/// };
/// assert_eq!(parsed(&lines[..2])?, Ok(vec![12, 30]));
/// assert!(parsed(&lines)?.is_err());      // "warp"; "7" was perhaps never read
/// stop.cancel();
/// assert_eq!(parsed(&lines), Err(Cancelled));
/// # Ok::<(), Cancelled>(())
/// ```
///
/// # Blocking
/// A sink blocks until the pipeline has ended. Threads wait for each other by being woken, never by looking
/// again and again: a reader for room, the consumer for the next output.
///
/// # Cancellation
/// A pipeline without a token cannot be cancelled, and its sinks return their value. With
/// [`cancelled_by`](Pipeline::cancelled_by) they return `Err(Cancelled)` if items are missing; one that came
/// to its end has succeeded, whatever happened meanwhile. Each stage asks the token before it runs a function
/// of yours, so none runs after a cancel; one that runs is not interrupted.
///
/// A source that is silent does not hide a cancel: [`receiver`](Pipeline::receiver) and
/// [`queue`](Pipeline::queue) wake up at once. An iterator of yours that waits for something else (a socket,
/// a channel of std) cannot be woken. If a `par_map` or `buffered` stands behind it, the sink still hears of
/// the cancel at once, because another thread sits in the iterator; but the sink cannot return before that
/// thread does, since what it borrows would be gone. So let such an iterator know the token, or give it a
/// time-out.
///
/// # Panics
/// A panic in a stage, or in the source, reaches the sink in its place in the order, with its payload, when
/// every thread has left. Nothing behind it was begun once it had happened. If the source or an item panics,
/// too, when it is dropped because of that, the first panic is the one that arrives; without another, a panic
/// of such a drop arrives like a stage's.
///
/// # Ordering
/// What a stage did before it handed an item on is visible to the next.
///
/// # Proof
/// Models in `loom-tests/tests/pipeline.rs`.
///
/// # Cost
/// IdleWait `pipeline`; the README has the ratios. A run costs a few allocations, whatever it does; an item one
/// lock on its way into a `par_map` and one on its way through. Cheap items are read, computed and handed
/// over many at a time while everybody is busy, and one at a time when somebody waits. Threads are the
/// [`group`](crate::group)'s, which are reused.
///
/// # Instead
/// std's iterators without threads; rayon where the input is a slice and the order, the bound, errors and
/// cancel do not matter: it splits the input instead of reading it.
#[must_use = "a pipeline does nothing until a sink pulls: `collect`, `for_each`, a `for` loop"]
pub struct Pipeline<S, G = Free> {
    stage: S,
    mode: G,
    plan: Plan,
}

/// What a run needs to know besides its stages.
#[derive(Default)]
struct Plan {
    /// Whose threads; `None` for the crate's own.
    spawn: Option<Arc<dyn Spawn>>,
    figures: Option<Figures>,
}

/// Nothing: what a pipeline is before it has a source.
#[doc(hidden)]
#[derive(Debug)]
pub enum Nothing {}

impl Pipeline<Nothing> {
    /// Begins with any iterator.
    pub fn source<I: IntoIterator>(items: I) -> Pipeline<Items<I::IntoIter>> {
        Pipeline::begin(Items(items.into_iter()))
    }

    /// Begins with what `f` returns, again and again until it returns `None`.
    pub fn generate<T, F: FnMut() -> Option<T>>(f: F) -> Pipeline<Items<iter::FromFn<F>>> {
        Pipeline::begin(Items(iter::from_fn(f)))
    }

    /// Begins with the messages of a crossbeam channel, until its senders are gone. A cancel ends a wait for
    /// the next message.
    pub fn receiver<T>(messages: Receiver<T>) -> Pipeline<Messages<T>> {
        Pipeline::begin(Messages(messages))
    }

    /// Begins with the items of a queue, until it is closed and empty. A cancel ends a wait for the next
    /// item. When the pipeline is done it drops the receiver, so producers are told if it was the last.
    pub fn queue<T>(items: queue::Receiver<T>) -> Pipeline<Queued<T>> {
        Pipeline::begin(Queued(items))
    }

    fn begin<S>(stage: S) -> Pipeline<S> {
        Pipeline { stage, mode: Free, plan: Plan::default() }
    }
}

impl<S: Stage, G: CancelMode> Pipeline<S, G> {
    fn then<T>(self, next: impl FnOnce(S) -> T) -> Pipeline<T, G> {
        Pipeline { stage: next(self.stage), mode: self.mode, plan: self.plan }
    }

    fn stepped<K: Step<S::Item>>(self, step: K) -> Pipeline<Stepped<S, K>, G> {
        self.then(|stage| Stepped { stage, step })
    }

    /// Lets `token` cancel the pipeline: the stages before this call and those after it. Sinks return
    /// `Result<_, Cancelled>` from here on. A time limit is a token too: `token.child_until(duration)`.
    ///
    /// A second call replaces the token of the first.
    pub fn cancelled_by(self, token: &CancelToken) -> Pipeline<S, Cancellable> {
        Pipeline { stage: self.stage, mode: Cancellable::new(token.clone()), plan: self.plan }
    }

    /// Runs the stages that need threads on a pool's workers instead of the crate's own: those before this
    /// call and those after it.
    ///
    /// A worker that comes to a stage stays until the stage ends. If none is free, whoever pulls does the
    /// work, so this does not deadlock inside a task of the same pool either.
    pub fn on(mut self, pool: &Pool) -> Self {
        self.plan.spawn = Some(pool.spawn());
        self
    }

    /// Collects figures of each stage that has threads.
    pub fn watched_by(mut self, figures: &Figures) -> Self {
        self.plan.figures = Some(figures.clone());
        self
    }

    /// Puts a function from pipeline to pipeline here: stages of yours under a name.
    ///
    /// ```
    /// use selvedge::Pipeline;
    ///
    /// let lengths: Vec<usize> = Pipeline::source(["warp", "weft", "selvedge"])
    ///     .through(|words| words.map(str::len).filter(|n| n % 2 == 0))
    ///     .collect();
    /// assert_eq!(lengths, [4, 4, 8]);
    /// ```
    pub fn through<R>(self, stages: impl FnOnce(Self) -> R) -> R {
        stages(self)
    }
}

impl<S: fmt::Debug, G: fmt::Debug> fmt::Debug for Pipeline<S, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("stage", &self.stage)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}
