//! `chain`: one input after another.

use std::{iter, vec};

use super::join_inputs;
use crate::pipeline::cancel_mode::CancelMode;
use crate::pipeline::stage::{Run, RunContext, Stage};
use crate::pipeline::{NoSource, Pipeline};

impl Pipeline<NoSource> {
    /// Concatenates pipelines: all items of the first input, then all items of the second. The inputs run on
    /// the thread that pulls; [`buffered`](Pipeline::buffered) lets one run ahead.
    ///
    /// ```
    /// use selvedge::Pipeline;
    ///
    /// let inputs = [0..2, 5..7].map(Pipeline::source);
    /// assert_eq!(Pipeline::chain(inputs).collect::<Vec<_>>(), [0, 1, 5, 6]);
    /// ```
    pub fn chain<S: Stage, G: CancelMode>(
        inputs: impl IntoIterator<Item = Pipeline<S, G>>,
    ) -> Pipeline<Chain<S>, G> {
        join_inputs(inputs, Chain)
    }
}

/// See [`Pipeline::chain`].
#[derive(Clone, Debug)]
#[must_use = "a stage does nothing by itself"]
pub struct Chain<S>(Vec<S>);

impl<S: Stage> Stage for Chain<S> {
    type Item = S::Item;
}

impl<'a, S: Run<'a, G>, G: CancelMode> Run<'a, G> for Chain<S> {
    type Iter = iter::Flatten<vec::IntoIter<S::Iter>>;

    fn run(self, context: &RunContext<'a>, mode: G) -> Self::Iter {
        let inputs: Vec<S::Iter> = self.0.into_iter().map(|stage| stage.run(context, mode.clone())).collect();
        inputs.into_iter().flatten()
    }
}
