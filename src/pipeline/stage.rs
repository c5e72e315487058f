//! How a pipeline is put together from its description, and the stages it begins with.

use crossbeam_channel::Receiver;

use super::cancel_mode::CancelMode;
use super::figures::Figures;
use crate::cancel::CancelToken;
use crate::group::Nursery;
use crate::queue;
use crate::sync::Arc;

/// A part of a pipeline as it is described: from the source up to some stage.
///
/// You meet it in bounds only; the stages are this crate's, and a [`Pipeline`](super::Pipeline)'s methods
/// make them. A function that returns a pipeline names [`Run`] instead, which says that the pipeline can be
/// set to work.
pub trait Stage {
    /// What comes out of it.
    type Item;
}

/// A stage that can be set to work where threads may hold it for `'a`.
///
/// Stages without a thread boundary implement it for every `'a`, whatever they borrow; those with one only
/// for lifetimes that their functions and items outlive. So a pipeline of the former can be iterated over,
/// fanned out and sent around while it borrows, and one of the latter while it owns.
///
/// It is what a function that returns a pipeline promises of it:
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
    message = "a pipeline of `{Self}` cannot be set to work here",
    label = "this sets the pipeline to work",
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

/// Where a pipeline runs: whose threads, and what stops them all.
#[doc(hidden)]
#[derive(Clone)]
pub struct RunContext<'a> {
    pub(super) nursery: Arc<Nursery<'a>>,
    /// Cancelled when the sink is done, or by the pipeline's token.
    pub(super) root: CancelToken,
    /// The threads belong to somebody else, and may never come.
    pub(super) borrowed: bool,
    pub(super) figures: Option<Figures>,
}

impl std::fmt::Debug for RunContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunContext").field("borrowed", &self.borrowed).finish_non_exhaustive()
    }
}

/// Any iterator, as a source.
#[derive(Clone, Debug)]
#[must_use = "a stage does nothing by itself"]
pub struct Items<I>(pub(super) I);

/// A source that asks the cancel mode before it advances the caller's iterator.
#[derive(Debug)]
#[doc(hidden)]
pub struct Gated<I, G> {
    items: I,
    mode: G,
}

impl<I: Iterator> Stage for Items<I> {
    type Item = I::Item;
}

impl<I: Iterator, G: CancelMode> Run<'_, G> for Items<I> {
    type Iter = Gated<I, G>;

    fn run(self, _: &RunContext<'_>, mode: G) -> Gated<I, G> {
        Gated { items: self.0, mode }
    }
}

impl<I: Iterator, G: CancelMode> Iterator for Gated<I, G> {
    type Item = I::Item;

    #[inline]
    fn next(&mut self) -> Option<I::Item> {
        if !self.mode.is_open() {
            self.mode.cut();
            return None;
        }
        self.items.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}

/// A crossbeam receiver, as a source.
#[derive(Clone, Debug)]
#[must_use = "a stage does nothing by itself"]
pub struct Messages<T>(pub(super) Receiver<T>);

/// A receiver of this crate's queue, as a source.
#[derive(Clone, Debug)]
#[must_use = "a stage does nothing by itself"]
pub struct Queued<T>(pub(super) queue::Receiver<T>);

#[derive(Debug)]
#[doc(hidden)]
pub struct Receiving<R, G> {
    from: R,
    mode: G,
}

impl<T> Stage for Messages<T> {
    type Item = T;
}

impl<T, G: CancelMode> Run<'_, G> for Messages<T> {
    type Iter = Receiving<Receiver<T>, G>;

    fn run(self, _: &RunContext<'_>, mode: G) -> Self::Iter {
        Receiving { from: self.0, mode }
    }
}

impl<T, G: CancelMode> Iterator for Receiving<Receiver<T>, G> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if !self.mode.is_open() {
            self.mode.cut();
            return None;
        }
        self.mode.receive(&self.from)
    }
}

impl<T> Stage for Queued<T> {
    type Item = T;
}

impl<T, G: CancelMode> Run<'_, G> for Queued<T> {
    type Iter = Receiving<queue::Receiver<T>, G>;

    fn run(self, _: &RunContext<'_>, mode: G) -> Self::Iter {
        Receiving { from: self.0, mode }
    }
}

impl<T, G: CancelMode> Iterator for Receiving<queue::Receiver<T>, G> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.mode.pop(self.from.queue())
    }
}
