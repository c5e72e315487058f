//! `inspect`: a look at each item.

use crate::pipeline::Pipeline;
use crate::pipeline::cancel_mode::CancelMode;
use crate::pipeline::stage::Stage;
use crate::pipeline::step::{Flow, Step, Stepped};

impl<S: Stage, G: CancelMode> Pipeline<S, G> {
    /// Calls `f` with a reference to each item, and yields the item unchanged.
    ///
    /// ```
    /// let mut sum = 0;
    /// let count = selvedge::Pipeline::source(1..=3).inspect(|n| sum += n).count();
    /// assert_eq!((count, sum), (3, 6));
    /// ```
    pub fn inspect<F: FnMut(&S::Item)>(self, f: F) -> Pipeline<Stepped<S, Inspect<F>>, G> {
        self.stepped(Inspect(f))
    }
}

/// See [`Pipeline::inspect`].
#[derive(Clone, Debug)]
pub struct Inspect<F>(F);

impl<T, F: FnMut(&T)> Step<T> for Inspect<F> {
    type Out = T;

    #[inline]
    fn step(&mut self, item: T) -> Flow<T> {
        (self.0)(&item);
        Flow::Emit(item)
    }

    fn size_hint(&self, hint: (usize, Option<usize>)) -> (usize, Option<usize>) {
        hint
    }
}
