//! Chunks by size or age: what is there goes on when its oldest item has waited long enough.

use std::fmt;
use std::time::Duration;

use super::Buffered;
use super::cancel_mode::{CancelMode, Cancellable};
use super::par::{ParMap, Parallel};
use super::stage::{Run, RunContext, Stage};
use crate::clock::Clock;
use crate::until::Until;

/// See [`Pipeline::chunks_within`](super::Pipeline::chunks_within).
#[must_use = "a stage does nothing by itself"]
pub struct ChunksWithin<S: Stage> {
    input: Buffered<S>,
    size: usize,
    age: Duration,
}

impl<S: Stage> ChunksWithin<S> {
    pub(super) fn new(stage: S, size: usize, age: Duration) -> Self {
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
    type Iter = ChunkingWithin<'a, S::Iter, G>;

    fn run(self, context: &RunContext<'a>, mode: G) -> Self::Iter {
        let clock = mode.token().map_or_else(Clock::current, |token| token.clock().clone());
        // The consumer never sits in the source: it would not see the chunk's time run out.
        let items = self.input.start(context, mode, false);
        ChunkingWithin { items, size: self.size, age: self.age, clock }
    }
}

#[doc(hidden)]
pub struct ChunkingWithin<'a, I, G>
where
    I: Iterator + Send + 'a,
    I::Item: Send + 'a,
{
    items: Parallel<'a, I, Same<I::Item>, I::Item, G>,
    size: usize,
    age: Duration,
    clock: Clock,
}

impl<'a, I, G> Iterator for ChunkingWithin<'a, I, G>
where
    I: Iterator + Send + 'a,
    I::Item: Send + 'a,
    G: CancelMode,
{
    type Item = Vec<I::Item>;

    fn next(&mut self) -> Option<Vec<I::Item>> {
        let mut chunk = vec![self.items.next()?];
        // From here on the oldest item waits. Too far away means for ever.
        let at = self.clock.after(self.age);
        while chunk.len() < self.size {
            let limit = at.map_or_else(Until::forever, |at| Until::from((&self.clock, at)));
            match self.items.next_until(limit) {
                Ok(Some(item)) => chunk.push(item),
                // The end, which is told again; or the chunk's time.
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

impl<'a, I, G> fmt::Debug for ChunkingWithin<'a, I, G>
where
    I: Iterator + Send + 'a,
    I::Item: Send + 'a,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkingWithin").field("items", &self.items).finish_non_exhaustive()
    }
}
