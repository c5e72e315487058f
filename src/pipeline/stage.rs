//! The traits of a stage: what it yields, and how it becomes an iterator.

use std::fmt;

use super::cancel_mode::CancelMode;
use super::figures::Figures;
use crate::cancel::CancelToken;
use crate::group::Nursery;
use crate::sync::Arc;

/// A description of a pipeline from its source up to some stage.
///
/// It appears in bounds only. The methods of [`Pipeline`](super::Pipeline) make the stages, and all of them
/// belong to this crate. A function that returns a pipeline names [`Run`] instead, which says that the
/// pipeline can be run.
pub trait Stage {
    /// The items that the stage yields.
    type Item;
}

/// A stage that can be run, on threads that may hold it for `'a`.
///
/// Stages without threads implement it for every `'a`, whatever they borrow. Stages with threads implement
/// it only for lifetimes that their closures and items outlive. So a pipeline without threads can be
/// iterated over and fanned out while it borrows, and one with threads once it owns what it uses.
///
/// A function that returns a pipeline names it:
/// ```
/// use selvedge::pipeline::{Free, Pipeline, Run};
///
/// fn squares(last: u32) -> Pipeline<impl Run<'static, Free, Item = u32>> {
///     Pipeline::source(1..=last).par_map(2, |n| n * n)
/// }
///
/// assert_eq!(squares(4).filter(|n| n % 2 == 0).collect::<Vec<_>>(), [4, 16]);
/// ```
#[diagnostic::on_unimplemented(
    message = "a pipeline of `{Self}` cannot be run here",
    label = "this runs the pipeline",
    note = "a function that returns a pipeline promises that it runs: `Pipeline<impl Run<'static, Free, Item = T>>`, \
            or `Pipeline<impl Run<'static, Cancellable, Item = T>, Cancellable>` under a token",
    note = "otherwise an item or a function is missing a bound: what goes to other threads must be `Send`"
)]
pub trait Run<'a, G: CancelMode>: Stage {
    #[doc(hidden)]
    type Iter: Iterator<Item = Self::Item>;

    #[doc(hidden)]
    fn run(self, context: &RunContext<'a>, mode: G) -> Self::Iter;
}

/// The threads of one run of a pipeline, and the token that stops all of them.
#[doc(hidden)]
#[derive(Clone)]
pub struct RunContext<'a> {
    pub(super) nursery: Arc<Nursery<'a>>,
    /// A child of the pipeline's token, also cancelled when the sink is done.
    pub(super) token: CancelToken,
    /// The threads belong to a pool or to rayon, which may never have one free.
    pub(super) borrowed: bool,
    pub(super) figures: Option<Figures>,
}

impl fmt::Debug for RunContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunContext").field("borrowed", &self.borrowed).finish_non_exhaustive()
    }
}
