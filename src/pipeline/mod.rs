//! Ordered, bounded, cancellable streams of items, processed in stages.
//!
//! | file | contents |
//! |---|---|
//! | `stage.rs`, `step.rs` | the traits of a stage, and of a stage that handles one item at a time |
//! | `source.rs` | what a pipeline begins with |
//! | `adaptors/` | a file for each adaptor: its method, its type, its iterator |
//! | `sinks.rs`, `output.rs`, `channel.rs` | what a pipeline ends with |
//! | `cancel_mode.rs` | whether a token can cancel the pipeline, and what its sinks return |
//! | `figures.rs`, `timeline.rs` | measurements of the stages that have threads |

mod adaptors;
#[forbid(unsafe_code)]
mod cancel_mode;
#[forbid(unsafe_code)]
mod channel;
#[forbid(unsafe_code)]
mod figures;
#[forbid(unsafe_code)]
mod output;
#[cfg(feature = "rayon")]
#[forbid(unsafe_code)]
mod rayon;
#[forbid(unsafe_code)]
mod sinks;
#[forbid(unsafe_code)]
mod source;
#[forbid(unsafe_code)]
mod stage;
#[forbid(unsafe_code)]
mod step;
#[forbid(unsafe_code)]
mod timeline;

use std::fmt;

pub use adaptors::{
    AndThen, Buffered, ByKey, Chain, Chunks, ChunksWithin, Dedup, Filter, FilterMap, FlatMap, Inspect, Map,
    Merge, MergeSorted, ParMap, Route, Routed, Scan, Share, Shared, Skip, Split, Take, TakeWhile, ToAll,
    TryMap,
};
pub use cancel_mode::{CancelMode, Cancellable, Free};
pub use channel::ChannelDriver;
pub use figures::{Figures, StageFigures};
pub use output::Output;
pub use sinks::BorrowedIter;
pub use source::{Items, Messages, NoSource, Queued};
pub use stage::{Run, Stage};
pub use step::{Flow, Step, Stepped};

use crate::cancel::CancelToken;
use crate::group::Spawn;
use crate::pool::Pool;
use crate::sync::Arc;

/// Processes a stream in stages, some of them on several threads, while keeping its order, bounding its
/// memory and leaving no thread behind.
///
/// A pipeline does nothing until a *sink* ([`collect`](Pipeline::collect), [`for_each`](Pipeline::for_each),
/// an iterator) runs it. Stages like [`map`](Pipeline::map) and [`filter`](Pipeline::filter) run on the
/// thread that pulls, at the cost of std's iterator adaptors. Only two kinds of stage use other threads:
/// [`par_map`](Pipeline::par_map) calls a function on several of them, and
/// [`buffered`](Pipeline::buffered) moves everything before it to one.
///
/// - *Order.* Outputs arrive in the order of the inputs, unless [`ordered(false)`](Pipeline::ordered) is set.
/// - *Bound.* With [`bound(b)`](Pipeline::bound), input k + b is not read before output k has been taken,
///   whatever the items cost. The number of items in memory is at most the sum of the bounds.
/// - *End.* The end of the source reaches every stage. Dropping the output, the first error, the first panic
///   and the [token](Pipeline::cancelled_by) stop all stages: no further item is read, no further call is
///   made, and every thread has left when the sink returns or the output is dropped.
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
/// Borrowed data, the first error, and a token that stops every stage:
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
/// assert!(parsed(&lines)?.is_err());      // "warp"; "7" may never have been read
/// stop.cancel();
/// assert_eq!(parsed(&lines), Err(Cancelled));
/// # Ok::<(), Cancelled>(())
/// ```
///
/// # Blocking
/// A sink blocks until the pipeline has ended. Threads of a pipeline park and are woken; none of them polls:
/// a reader waits for room, the consumer for the next output.
///
/// # Cancellation
/// A pipeline without a token cannot be cancelled, and its sinks return their value. After
/// [`cancelled_by`](Pipeline::cancelled_by) the sinks return `Err(Cancelled)` if items are missing. A
/// pipeline that reached its end has succeeded, even if the token was cancelled meanwhile. Each stage checks
/// the token before it calls a closure, so no call begins after the cancellation; a call in progress is not
/// interrupted.
///
/// A silent source does not hide a cancellation: [`receiver`](Pipeline::receiver) and
/// [`queue`](Pipeline::queue) are woken at once. An iterator that waits for anything else (a socket, a
/// channel of std) cannot be woken. If a `par_map` or `buffered` comes after it, the sink still learns of the
/// cancellation at once, since another thread is blocked in the iterator; but the sink cannot return before
/// that thread does, because the thread may use what the pipeline borrows. Give such an iterator the token or
/// a time-out of its own.
///
/// # Panics
/// A panic in a stage or in the source reaches the sink at its place in the order, with its payload, after
/// every thread has left. No call for a later item begins once it has happened. If the source or an item
/// panics again when it is dropped as a result, the sink still resumes the first panic. A panic in such a
/// drop alone arrives like a panic in a stage.
///
/// # Ordering
/// What a stage did before it passed an item on is visible to the next stage.
///
/// # Proof
/// The models in `loom-tests/tests/pipeline.rs`: among them `an_item_and_the_end_wake_the_consumer`,
/// `room_wakes_the_reader_that_waits_for_it`, `nothing_is_read_beyond_the_bound`,
/// `dropping_the_output_wakes_a_sleeping_stage_and_waits_for_it`, `a_cancel_wakes_consumer_and_stage`,
/// `items_wait_for_all_outputs_before_them` and `no_item_is_begun_after_the_first_error`. They check at most
/// two workers and four items, and with sampled schedules nine.
///
/// # Cost
/// Bench `pipeline`; the README has the ratios. A run costs an allocation for each batch that is read. An
/// item costs three atomic read-modify-write operations in a `par_map` and no lock: one when it is read, one
/// when it is computed, one when it is delivered, 20 to 40 ns together. Cheap items are read, computed and
/// passed on in batches while all threads are busy, and one at a time while one of them waits. Threads come
/// from the cache that [`group`](crate::group) uses.
///
/// # Instead
/// std's iterators without threads; rayon where the input is a slice and the order, the bound, errors and
/// cancellation do not matter: rayon splits its input instead of reading it.
#[must_use = "a pipeline does nothing until a sink pulls: `collect`, `for_each`, a `for` loop"]
pub struct Pipeline<S, G = Free> {
    stage: S,
    mode: G,
    config: Config,
}

/// What a run needs besides its stages.
#[derive(Default)]
struct Config {
    /// The threads to run on; `None` for the crate's own.
    spawn: Option<Arc<dyn Spawn>>,
    figures: Option<Figures>,
}

impl<S> Pipeline<S> {
    fn new(stage: S) -> Pipeline<S> {
        Pipeline { stage, mode: Free, config: Config::default() }
    }

    /// The same stages in a mode of `mode`'s kind, with its token but a record of truncation of their own.
    fn with_mode_of<G: CancelMode>(self, mode: &G) -> Pipeline<S, G> {
        let mode = mode.token().map_or_else(G::fresh, |token| mode.with_token(token));
        Pipeline { stage: self.stage, mode, config: self.config }
    }
}

impl<S: Stage, G: CancelMode> Pipeline<S, G> {
    fn then<T>(self, next: impl FnOnce(S) -> T) -> Pipeline<T, G> {
        Pipeline { stage: next(self.stage), mode: self.mode, config: self.config }
    }

    fn stepped<K: Step<S::Item>>(self, step: K) -> Pipeline<Stepped<S, K>, G> {
        self.then(|stage| Stepped { stage, step })
    }

    /// Lets `token` cancel the pipeline, including the stages before this call. Sinks return
    /// `Result<_, Cancelled>` from here on. For a time limit, use `token.child_until(duration)`.
    ///
    /// A second call replaces the token of the first.
    pub fn cancelled_by(self, token: &CancelToken) -> Pipeline<S, Cancellable> {
        Pipeline { stage: self.stage, mode: Cancellable::new(token.clone()), config: self.config }
    }

    /// Runs the stages that need threads on the workers of a pool instead of the crate's own threads,
    /// including the stages before this call.
    ///
    /// A worker that enters a stage stays there until the stage ends. If no worker is free, the thread that
    /// pulls does the work, so a pipeline inside a task of the same pool does not deadlock.
    pub fn on(mut self, pool: &Pool) -> Self {
        self.config.spawn = Some(pool.executor());
        self
    }

    /// Records figures of each stage that has threads.
    pub fn watched_by(mut self, figures: &Figures) -> Self {
        self.config.figures = Some(figures.clone());
        self
    }

    /// Passes the pipeline through a function, so that a sequence of stages can have a name.
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
