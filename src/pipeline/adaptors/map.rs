//! `map`: a function of each item.

use crate::pipeline::Pipeline;
use crate::pipeline::cancel_mode::CancelMode;
use crate::pipeline::stage::Stage;
use crate::pipeline::step::{Flow, Step, Stepped};

impl<S: Stage, G: CancelMode> Pipeline<S, G> {
    /// Replaces each item by what `f` returns for it.
    ///
    /// ```
    /// let lengths = selvedge::Pipeline::source(["warp", "weft"]).map(str::len);
    /// assert_eq!(lengths.collect::<Vec<_>>(), [4, 4]);
    /// ```
    pub fn map<U, F: FnMut(S::Item) -> U>(self, f: F) -> Pipeline<Stepped<S, Map<F>>, G> {
        self.stepped(Map(f))
    }
}

/// See [`Pipeline::map`].
#[derive(Clone, Debug)]
pub struct Map<F>(F);

impl<T, U, F: FnMut(T) -> U> Step<T> for Map<F> {
    type Out = U;

    #[inline]
    fn step(&mut self, item: T) -> Flow<U> {
        Flow::Emit((self.0)(item))
    }

    fn size_hint(&self, hint: (usize, Option<usize>)) -> (usize, Option<usize>) {
        hint
    }
}
