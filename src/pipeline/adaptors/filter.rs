//! `filter`: the items that satisfy a predicate.

use crate::pipeline::Pipeline;
use crate::pipeline::cancel_mode::CancelMode;
use crate::pipeline::stage::Stage;
use crate::pipeline::step::{Flow, Step, Stepped};

impl<S: Stage, G: CancelMode> Pipeline<S, G> {
    /// Keeps the items for which `f` returns true.
    ///
    /// ```
    /// let odd = selvedge::Pipeline::source(1..=5).filter(|n| n % 2 == 1);
    /// assert_eq!(odd.collect::<Vec<_>>(), [1, 3, 5]);
    /// ```
    pub fn filter<F: FnMut(&S::Item) -> bool>(self, f: F) -> Pipeline<Stepped<S, Filter<F>>, G> {
        self.stepped(Filter(f))
    }
}

/// See [`Pipeline::filter`].
#[derive(Clone, Debug)]
pub struct Filter<F>(F);

impl<T, F: FnMut(&T) -> bool> Step<T> for Filter<F> {
    type Out = T;

    #[inline]
    fn step(&mut self, item: T) -> Flow<T> {
        if (self.0)(&item) { Flow::Emit(item) } else { Flow::Skip }
    }
}
