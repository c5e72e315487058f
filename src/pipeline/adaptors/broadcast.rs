//! `broadcast`: each output yields every item.

use super::split::{Route, Routed, seal};
use crate::pipeline::Pipeline;
use crate::pipeline::cancel_mode::CancelMode;
use crate::pipeline::stage::Run;

impl<S, G> Pipeline<S, G>
where
    S: Run<'static, G>,
    G: CancelMode,
{
    /// Gives every item to each of `outputs` pipelines.
    ///
    /// Each output has a buffer of `capacity` items, so the fastest output is at most that far ahead of the
    /// slowest. An output that is not read delays the others; an output that is dropped does not. Read the
    /// outputs on threads of their own.
    ///
    /// # Panics
    /// If `outputs` or `capacity` is 0.
    #[track_caller]
    pub fn broadcast(self, outputs: usize, capacity: usize) -> Vec<Routed<S, ToAll, G>>
    where
        S::Item: Clone,
    {
        self.split(outputs, capacity, ToAll)
    }
}

/// Routes a clone of each item to every output.
#[derive(Clone, Copy, Debug)]
pub struct ToAll;

impl seal::Sealed for ToAll {}

impl<T: Clone> Route<T> for ToAll {
    fn route(&self, item: T, outputs: usize, put: &mut dyn FnMut(usize, T) -> bool) -> bool {
        // Output 0 gets the item itself, which saves a clone.
        (1..outputs).all(|output| put(output, item.clone())) && put(0, item)
    }
}
