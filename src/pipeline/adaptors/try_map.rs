//! `try_map`: a function that may fail; the first error is the last item.

use crate::pipeline::Pipeline;
use crate::pipeline::cancel_mode::CancelMode;
use crate::pipeline::stage::Stage;
use crate::pipeline::step::{Flow, Step, Stepped};

impl<S: Stage, G: CancelMode> Pipeline<S, G> {
    /// Replaces each item by the result of `f`. The first error is the last item.
    ///
    /// ```
    /// let parsed = selvedge::Pipeline::source(["1", "x", "3"]).try_map(|text| text.parse::<u32>());
    /// assert_eq!(parsed.count(), 2);
    /// ```
    pub fn try_map<U, E, F>(self, f: F) -> Pipeline<Stepped<S, TryMap<F>>, G>
    where
        F: FnMut(S::Item) -> Result<U, E>,
    {
        self.stepped(TryMap(f))
    }
}

/// See [`Pipeline::try_map`].
#[derive(Clone, Debug)]
pub struct TryMap<F>(F);

impl<T, U, E, F: FnMut(T) -> Result<U, E>> Step<T> for TryMap<F> {
    type Out = Result<U, E>;

    #[inline]
    fn step(&mut self, item: T) -> Flow<Result<U, E>> {
        let result = (self.0)(item);
        if result.is_ok() { Flow::Emit(result) } else { Flow::Last(result) }
    }
}
