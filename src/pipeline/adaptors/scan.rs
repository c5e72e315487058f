//! `scan`: a function of each item and a state.

use crate::pipeline::Pipeline;
use crate::pipeline::cancel_mode::CancelMode;
use crate::pipeline::stage::Stage;
use crate::pipeline::step::{Flow, Step, Stepped};

impl<S: Stage, G: CancelMode> Pipeline<S, G> {
    /// Replaces each item by what `f` returns for it and a mutable state. `None` ends the stage.
    ///
    /// ```
    /// let sums = selvedge::Pipeline::source([1, 2, 3]).scan(0, |sum, n| {
    ///     *sum += n;
    ///     Some(*sum)
    /// });
    /// assert_eq!(sums.collect::<Vec<_>>(), [1, 3, 6]);
    /// ```
    pub fn scan<B, U, F>(self, state: B, f: F) -> Pipeline<Stepped<S, Scan<B, F>>, G>
    where
        F: FnMut(&mut B, S::Item) -> Option<U>,
    {
        self.stepped(Scan { state, f })
    }
}

/// See [`Pipeline::scan`].
#[derive(Clone, Debug)]
pub struct Scan<B, F> {
    state: B,
    f: F,
}

impl<T, B, U, F: FnMut(&mut B, T) -> Option<U>> Step<T> for Scan<B, F> {
    type Out = U;

    #[inline]
    fn step(&mut self, item: T) -> Flow<U> {
        (self.f)(&mut self.state, item).map_or(Flow::End, Flow::Emit)
    }
}
