//! `take_while`: the items before the first that fails a predicate.

use crate::pipeline::Pipeline;
use crate::pipeline::cancel_mode::CancelMode;
use crate::pipeline::stage::Stage;
use crate::pipeline::step::{Flow, Step, Stepped};

impl<S: Stage, G: CancelMode> Pipeline<S, G> {
    /// Yields items until `f` returns false for one, which is dropped.
    ///
    /// ```
    /// let small = selvedge::Pipeline::source([1, 2, 9, 3]).take_while(|n| *n < 5);
    /// assert_eq!(small.collect::<Vec<_>>(), [1, 2]);
    /// ```
    pub fn take_while<F: FnMut(&S::Item) -> bool>(self, f: F) -> Pipeline<Stepped<S, TakeWhile<F>>, G> {
        self.stepped(TakeWhile(f))
    }
}

/// See [`Pipeline::take_while`].
#[derive(Clone, Debug)]
pub struct TakeWhile<F>(F);

impl<T, F: FnMut(&T) -> bool> Step<T> for TakeWhile<F> {
    type Out = T;

    #[inline]
    fn step(&mut self, item: T) -> Flow<T> {
        if (self.0)(&item) { Flow::Emit(item) } else { Flow::End }
    }
}
