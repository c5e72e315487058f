//! `take`: the first items.

use std::iter;

use crate::pipeline::Pipeline;
use crate::pipeline::cancel_mode::CancelMode;
use crate::pipeline::stage::{Run, RunContext, Stage};

impl<S: Stage, G: CancelMode> Pipeline<S, G> {
    /// Yields the first `count` items, and does not pull another.
    ///
    /// ```
    /// let first = selvedge::Pipeline::source(0..).take(3);
    /// assert_eq!(first.collect::<Vec<_>>(), [0, 1, 2]);
    /// ```
    pub fn take(self, count: usize) -> Pipeline<Take<S>, G> {
        self.then(|stage| Take { stage, count })
    }
}

/// See [`Pipeline::take`].
#[derive(Clone, Debug)]
#[must_use = "a stage does nothing by itself"]
pub struct Take<S> {
    stage: S,
    count: usize,
}

impl<S: Stage> Stage for Take<S> {
    type Item = S::Item;
}

impl<'a, S: Run<'a, G>, G: CancelMode> Run<'a, G> for Take<S> {
    /// std's adaptor also guarantees that it does not pull another item after the last.
    type Iter = iter::Take<S::Iter>;

    fn run(self, context: &RunContext<'a>, mode: G) -> Self::Iter {
        self.stage.run(context, mode).take(self.count)
    }
}
