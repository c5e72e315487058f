//! `filter_map`: a function of each item that may drop it.

use crate::pipeline::Pipeline;
use crate::pipeline::cancel_mode::CancelMode;
use crate::pipeline::stage::Stage;
use crate::pipeline::step::{Flow, Step, Stepped};

impl<S: Stage, G: CancelMode> Pipeline<S, G> {
    /// Replaces each item by what `f` returns for it, and drops those for which that is `None`.
    ///
    /// ```
    /// let numbers = selvedge::Pipeline::source(["1", "x", "3"]).filter_map(|text| text.parse::<u32>().ok());
    /// assert_eq!(numbers.collect::<Vec<_>>(), [1, 3]);
    /// ```
    pub fn filter_map<U, F>(self, f: F) -> Pipeline<Stepped<S, FilterMap<F>>, G>
    where
        F: FnMut(S::Item) -> Option<U>,
    {
        self.stepped(FilterMap(f))
    }
}

/// See [`Pipeline::filter_map`].
#[derive(Clone, Debug)]
pub struct FilterMap<F>(F);

impl<T, U, F: FnMut(T) -> Option<U>> Step<T> for FilterMap<F> {
    type Out = U;

    #[inline]
    fn step(&mut self, item: T) -> Flow<U> {
        (self.0)(item).map_or(Flow::Skip, Flow::Emit)
    }
}
