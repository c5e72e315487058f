//! `chunks`: a fixed number of items at a time.

use crate::pipeline::Pipeline;
use crate::pipeline::cancel_mode::CancelMode;
use crate::pipeline::stage::{Run, RunContext, Stage};

impl<S: Stage, G: CancelMode> Pipeline<S, G> {
    /// Collects `size` items at a time into a `Vec`. The last chunk may be smaller.
    ///
    /// ```
    /// let chunks = selvedge::Pipeline::source(0..5).chunks(2);
    /// assert_eq!(chunks.collect::<Vec<_>>(), [vec![0, 1], vec![2, 3], vec![4]]);
    /// ```
    ///
    /// # Panics
    /// If `size` is 0.
    #[track_caller]
    pub fn chunks(self, size: usize) -> Pipeline<Chunks<S>, G> {
        assert!(size > 0, "a chunk of 0 items would never be full; the least is 1");
        self.then(|stage| Chunks { stage, size })
    }
}

/// See [`Pipeline::chunks`].
#[derive(Clone, Debug)]
#[must_use = "a stage does nothing by itself"]
pub struct Chunks<S> {
    stage: S,
    size: usize,
}

impl<S: Stage> Stage for Chunks<S> {
    type Item = Vec<S::Item>;
}

impl<'a, S: Run<'a, G>, G: CancelMode> Run<'a, G> for Chunks<S> {
    type Iter = ChunksIter<S::Iter>;

    fn run(self, context: &RunContext<'a>, mode: G) -> Self::Iter {
        ChunksIter { items: self.stage.run(context, mode), size: self.size, ended: false }
    }
}

#[derive(Debug)]
#[doc(hidden)]
pub struct ChunksIter<I> {
    items: I,
    size: usize,
    ended: bool,
}

impl<I: Iterator> Iterator for ChunksIter<I> {
    type Item = Vec<I::Item>;

    fn next(&mut self) -> Option<Vec<I::Item>> {
        if self.ended {
            return None;
        }
        let chunk: Vec<I::Item> = self.items.by_ref().take(self.size).collect();
        // A short chunk means that the input has ended, and it is not asked again.
        self.ended = chunk.len() < self.size;
        (!chunk.is_empty()).then_some(chunk)
    }
}
