//! The stages that have threads of their own, as methods.

use std::time::Duration;

use super::Pipeline;
use super::cancel_mode::CancelMode;
use super::par::ParMap;
use super::stage::Stage;
use super::within::ChunksWithin;

impl<S: Stage, G: CancelMode> Pipeline<S, G> {
    /// Computes `f` on up to `workers` threads at a time. Outputs come in the order of the inputs.
    ///
    /// At most 64 items a worker are under way: read, and not taken yet. [`bound`](Pipeline::bound) sets
    /// another number, [`ordered(false)`](Pipeline::ordered) lets each out as soon as it is computed.
    ///
    /// The stages before this one are run by whichever worker reads. The thread that pulls computes the item
    /// that it waits for if no worker has begun it, in a worker's place, and never another: `f` may wait for
    /// what the consumer does with earlier outputs.
    ///
    /// # Panics
    /// If `workers` is 0.
    #[track_caller]
    pub fn par_map<U, F>(self, workers: usize, f: F) -> Pipeline<ParMap<S, F, U>, G>
    where
        F: Fn(S::Item) -> U,
    {
        // Not in a closure, which would hide the caller's line.
        let stage = ParMap::new(self.stage, workers, f, |_| false);
        Pipeline { stage, mode: self.mode, plan: self.plan }
    }

    /// Like [`par_map`](Pipeline::par_map), with a function that may fail: the first error is the last item.
    /// When it has happened nothing more is read, and nothing behind it is begun.
    ///
    /// # Panics
    /// If `workers` is 0.
    #[track_caller]
    pub fn try_par_map<U, E, F>(self, workers: usize, f: F) -> Pipeline<ParMap<S, F, Result<U, E>>, G>
    where
        F: Fn(S::Item) -> Result<U, E>,
    {
        let stage = ParMap::new(self.stage, workers, f, Result::is_err);
        Pipeline { stage, mode: self.mode, plan: self.plan }
    }

    /// Puts items together: `size` at a time, or fewer when the oldest of them has waited for `age`. What is
    /// before it runs on a thread of its own, up to `size` items ahead. The time is that of the pipeline's
    /// token, else the system's.
    ///
    /// # Panics
    /// If `size` is 0.
    #[track_caller]
    pub fn chunks_within(self, size: usize, age: Duration) -> Pipeline<ChunksWithin<S>, G> {
        assert!(size > 0, "a chunk of 0 items would never be full; the least is 1");
        self.then(|stage| ChunksWithin::new(stage, size, age))
    }

    /// Runs everything before it on a thread of its own, up to `bound` items ahead.
    ///
    /// # Panics
    /// If `bound` is 0.
    #[track_caller]
    pub fn buffered(self, bound: usize) -> Pipeline<Buffered<S>, G> {
        let map: fn(S::Item) -> S::Item = |item| item;
        self.par_map(1, map).bound(bound)
    }
}

/// See [`Pipeline::buffered`].
pub type Buffered<S> = ParMap<S, fn(<S as Stage>::Item) -> <S as Stage>::Item, <S as Stage>::Item>;

impl<S, F, U, G> Pipeline<ParMap<S, F, U>, G> {
    /// At most `bound` items are under way: input k + `bound` is not read before output k was taken.
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

    /// What the stage is called in the [`Figures`](super::Figures).
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.stage.name = Some(name.into());
        self
    }

    /// Whether outputs come in the order of the inputs, which they do without this call. If not, each comes
    /// as soon as it is computed.
    pub fn ordered(mut self, ordered: bool) -> Self {
        self.stage.ordered = ordered;
        self
    }
}
