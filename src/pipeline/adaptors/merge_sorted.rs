//! `merge_sorted_by`: sorted inputs become one sorted output.

use std::cmp::Ordering;
use std::fmt;
use std::iter::Peekable;

use super::join_inputs;
use crate::pipeline::cancel_mode::CancelMode;
use crate::pipeline::stage::{Run, RunContext, Stage};
use crate::pipeline::{NoSource, Pipeline};

impl Pipeline<NoSource> {
    /// Merges sorted pipelines into a sorted one. It yields the least of the inputs' next items, and of equal
    /// items the one of the earliest input. The inputs run on the thread that pulls, which waits for the
    /// slowest; [`buffered`](Pipeline::buffered) lets one run ahead.
    ///
    /// ```
    /// use selvedge::Pipeline;
    ///
    /// let inputs = [vec![1, 4, 9], vec![2, 4, 6, 8]].map(|items| Pipeline::source(items).buffered(16));
    /// let sorted: Vec<u32> = Pipeline::merge_sorted_by(inputs, u32::cmp).collect();
    /// assert_eq!(sorted, [1, 2, 4, 4, 6, 8, 9]);
    /// ```
    pub fn merge_sorted_by<S: Stage, G: CancelMode, F>(
        inputs: impl IntoIterator<Item = Pipeline<S, G>>,
        compare: F,
    ) -> Pipeline<MergeSorted<S, F>, G>
    where
        F: FnMut(&S::Item, &S::Item) -> Ordering,
    {
        join_inputs(inputs, |inputs| MergeSorted { inputs, compare })
    }
}

/// See [`Pipeline::merge_sorted_by`].
#[derive(Clone, Debug)]
#[must_use = "a stage does nothing by itself"]
pub struct MergeSorted<S, F> {
    inputs: Vec<S>,
    compare: F,
}

impl<S: Stage, F> Stage for MergeSorted<S, F> {
    type Item = S::Item;
}

impl<'a, S, F, G> Run<'a, G> for MergeSorted<S, F>
where
    S: Run<'a, G>,
    F: FnMut(&S::Item, &S::Item) -> Ordering,
    G: CancelMode,
{
    type Iter = MergeSortedIter<S::Iter, F, G>;

    fn run(self, context: &RunContext<'a>, mode: G) -> Self::Iter {
        let inputs =
            self.inputs.into_iter().map(|stage| stage.run(context, mode.clone()).peekable()).collect();
        MergeSortedIter { inputs, compare: self.compare, mode }
    }
}

#[doc(hidden)]
pub struct MergeSortedIter<I: Iterator, F, G> {
    inputs: Vec<Peekable<I>>,
    compare: F,
    mode: G,
}

impl<I: Iterator, F, G> fmt::Debug for MergeSortedIter<I, F, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MergeSortedIter").field("inputs", &self.inputs.len()).finish_non_exhaustive()
    }
}

impl<I, F, G> Iterator for MergeSortedIter<I, F, G>
where
    I: Iterator,
    F: FnMut(&I::Item, &I::Item) -> Ordering,
    G: CancelMode,
{
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        // A linear search and no heap: inputs are few.
        let mut least: Option<(usize, &I::Item)> = None;
        for (index, input) in self.inputs.iter_mut().enumerate() {
            let Some(head) = input.peek() else { continue };
            if self.mode.is_cancelled() {
                self.mode.mark_truncated();
                return None;
            }
            match least {
                // Tie: of equal heads the earlier input's stays the least, so the merge is stable.
                Some((_, other)) if (self.compare)(other, head) != Ordering::Greater => {}
                _ => least = Some((index, head)),
            }
        }
        let (index, _) = least?;
        self.inputs[index].next()
    }
}
