//! `skip`: all but the first items.

use std::iter;

use crate::pipeline::Pipeline;
use crate::pipeline::cancel_mode::CancelMode;
use crate::pipeline::stage::{Run, RunContext, Stage};

impl<S: Stage, G: CancelMode> Pipeline<S, G> {
    /// Drops the first `count` items.
    ///
    /// ```
    /// let rest = selvedge::Pipeline::source(0..5).skip(3);
    /// assert_eq!(rest.collect::<Vec<_>>(), [3, 4]);
    /// ```
    pub fn skip(self, count: usize) -> Pipeline<Skip<S>, G> {
        self.then(|stage| Skip { stage, count })
    }
}

/// See [`Pipeline::skip`].
#[derive(Clone, Debug)]
#[must_use = "a stage does nothing by itself"]
pub struct Skip<S> {
    stage: S,
    count: usize,
}

impl<S: Stage> Stage for Skip<S> {
    type Item = S::Item;
}

impl<'a, S: Run<'a, G>, G: CancelMode> Run<'a, G> for Skip<S> {
    type Iter = iter::Skip<S::Iter>;

    fn run(self, context: &RunContext<'a>, mode: G) -> Self::Iter {
        self.stage.run(context, mode).skip(self.count)
    }
}
