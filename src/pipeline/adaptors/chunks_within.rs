//! `chunks_within`: chunks that are yielded when they are full or their oldest item has waited long enough.

use std::fmt;
use std::time::Duration;

use super::Buffered;
use super::par_map::{ParMap, ParMapIter};
use crate::clock::Clock;
use crate::pipeline::Pipeline;
use crate::pipeline::cancel_mode::{CancelMode, Cancellable};
use crate::pipeline::stage::{Run, RunContext, Stage};
use crate::until::Until;

impl<S: Stage, G: CancelMode> Pipeline<S, G> {
    /// Collects `size` items at a time into a `Vec`, or fewer once the oldest of them has waited for `age`.
    /// The stages before this call run on a thread of their own, up to `size` items ahead. Time is measured
    /// by the clock of the pipeline's token, or by the system's clock.
    ///
    /// # Panics
    /// If `size` is 0.
    #[track_caller]
    pub fn chunks_within(self, size: usize, age: Duration) -> Pipeline<ChunksWithin<S>, G> {
        assert!(size > 0, "a chunk of 0 items would never be full; the least is 1");
        self.then(|stage| ChunksWithin::new(stage, size, age))
    }
}

/// See [`Pipeline::chunks_within`].
#[must_use = "a stage does nothing by itself"]
pub struct ChunksWithin<S: Stage> {
    input: Buffered<S>,
    size: usize,
    age: Duration,
}

impl<S: Stage> ChunksWithin<S> {
    fn new(stage: S, size: usize, age: Duration) -> Self {
        let item: fn(S::Item) -> S::Item = |item| item;
        let mut input = ParMap::new(stage, 1, item, |_| false);
        input.bound = size;
        ChunksWithin { input, size, age }
    }
}

impl<S: Stage> Stage for ChunksWithin<S> {
    type Item = Vec<S::Item>;
}

type Same<T> = fn(T) -> T;

impl<'a, S, G> Run<'a, G> for ChunksWithin<S>
where
    S: Run<'a, Cancellable>,
    S::Iter: Send + 'a,
    S::Item: Send + 'a,
    G: CancelMode,
{
    type Iter = ChunksWithinIter<'a, S::Iter, G>;

    fn run(self, context: &RunContext<'a>, mode: G) -> Self::Iter {
        let clock = mode.token().map_or_else(Clock::current, |token| token.clock().clone());
        // The consumer never reads the source itself: blocked there, it would miss the deadline of the chunk.
        let items = self.input.start(context, mode, false);
        ChunksWithinIter { items, size: self.size, age: self.age, clock }
    }
}

#[doc(hidden)]
pub struct ChunksWithinIter<'a, I, G>
where
    I: Iterator + Send + 'a,
    I::Item: Send + 'a,
{
    items: ParMapIter<'a, I, Same<I::Item>, I::Item, G>,
    size: usize,
    age: Duration,
    clock: Clock,
}

impl<'a, I, G> Iterator for ChunksWithinIter<'a, I, G>
where
    I: Iterator + Send + 'a,
    I::Item: Send + 'a,
    G: CancelMode,
{
    type Item = Vec<I::Item>;

    fn next(&mut self) -> Option<Vec<I::Item>> {
        let mut chunk = vec![self.items.next()?];
        // The age counts from the first item. `None`, a deadline beyond the clock's range, means no limit.
        let deadline = self.clock.after(self.age);
        while chunk.len() < self.size {
            let limit = deadline.map_or_else(Until::forever, |at| Until::from((&self.clock, at)));
            match self.items.next_until(limit) {
                Ok(Some(item)) => chunk.push(item),
                // The end, which the next call finds again, or the deadline.
                Ok(None) | Err(_) => break,
            }
        }
        Some(chunk)
    }
}

impl<S: Stage> fmt::Debug for ChunksWithin<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunksWithin")
            .field("size", &self.size)
            .field("age", &self.age)
            .finish_non_exhaustive()
    }
}

impl<'a, I, G> fmt::Debug for ChunksWithinIter<'a, I, G>
where
    I: Iterator + Send + 'a,
    I::Item: Send + 'a,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunksWithinIter").field("items", &self.items).finish_non_exhaustive()
    }
}
