//! `dedup`: runs of equal items become one.

use crate::pipeline::Pipeline;
use crate::pipeline::cancel_mode::CancelMode;
use crate::pipeline::stage::Stage;
use crate::pipeline::step::{Flow, Step, Stepped};

impl<S: Stage, G: CancelMode> Pipeline<S, G> {
    /// Drops items that equal the one before.
    ///
    /// ```
    /// let runs = selvedge::Pipeline::source([1, 1, 2, 2, 1]).dedup();
    /// assert_eq!(runs.collect::<Vec<_>>(), [1, 2, 1]);
    /// ```
    pub fn dedup(self) -> Pipeline<Stepped<S, Dedup<S::Item>>, G>
    where
        S::Item: PartialEq + Clone,
    {
        self.stepped(Dedup { last: None })
    }
}

/// See [`Pipeline::dedup`].
#[derive(Clone, Debug)]
pub struct Dedup<T> {
    last: Option<T>,
}

impl<T: PartialEq + Clone> Step<T> for Dedup<T> {
    type Out = T;

    #[inline]
    fn step(&mut self, item: T) -> Flow<T> {
        if self.last.as_ref() == Some(&item) {
            return Flow::Skip;
        }
        self.last = Some(item.clone());
        Flow::Emit(item)
    }
}
