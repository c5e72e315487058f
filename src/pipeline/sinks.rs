//! Where a pipeline ends: calls that pull until there is nothing left, and iterators for those who pull.

use std::fmt;

use super::cancel_mode::CancelMode;
use super::share::Cuttable;
use super::stage::{Run, RunContext};
use super::steps::{Identity, Stepped, Steps};
use super::{Pipeline, Plan};
use crate::cancel::CancelToken;
use crate::group::{self, Nursery};
use crate::panics::{self, FirstPanic, Held};
use crate::sync::Arc;

impl<S, G: CancelMode> Pipeline<S, G> {
    /// Sets the stages to work, lets `body` pull, and returns when every thread has left.
    fn with<'a, R>(self, body: impl FnOnce(&mut Steps<S::Iter, Identity, G>) -> R) -> G::Of<R>
    where
        S: Run<'a, G>,
    {
        let Pipeline { stage, mode, plan: Plan { spawn, figures } } = self;
        let stage = Stepped { stage, step: Identity };
        let root = below(&mode);
        let mode = mode.under(&root);
        let borrowed = spawn.is_some();
        let work = |nursery: &Arc<Nursery<'a>>| {
            let context = RunContext { nursery: Arc::clone(nursery), root: root.clone(), borrowed, figures };
            // A panic of a stage or of the sink unwinds past it, and what it holds may panic when it is
            // dropped.
            let mut items = Held::new(stage.run(&context, mode.clone()));
            let result = body(&mut items);
            panics::drop_before(items, result)
        };
        let result = group::nursery(spawn, work, || root.cancel());
        mode.outcome(result)
    }

    /// Calls `f` with each item.
    ///
    /// # Panics
    /// As any sink: with the payload of the first panic in the pipeline, when every thread has left.
    pub fn for_each<'a, F: FnMut(S::Item)>(self, mut f: F) -> G::Of<()>
    where
        S: Run<'a, G>,
    {
        self.with(|items| items.for_each(&mut f))
    }

    /// Calls `f` with each item until it fails, and stops everything then.
    pub fn try_for_each<'a, E, F>(self, mut f: F) -> G::Of<Result<(), E>>
    where
        S: Run<'a, G>,
        F: FnMut(S::Item) -> Result<(), E>,
    {
        self.with(|items| items.try_for_each(&mut f))
    }

    /// Folds every item into a value.
    pub fn fold<'a, B, F: FnMut(B, S::Item) -> B>(self, init: B, f: F) -> G::Of<B>
    where
        S: Run<'a, G>,
    {
        self.with(|items| items.fold(init, f))
    }

    /// Collects the items; into a `Result` as well, which is the first error if there is one, and stops
    /// everything then.
    ///
    /// ```
    /// use selvedge::Pipeline;
    ///
    /// let sum: Result<Vec<u32>, _> = Pipeline::source(["1", "2", "x", "4"])
    ///     .try_par_map(2, |text| text.parse::<u32>())
    ///     .collect();
    /// assert!(sum.is_err());
    /// ```
    pub fn collect<'a, C: FromIterator<S::Item>>(self) -> G::Of<C>
    where
        S: Run<'a, G>,
    {
        self.with(|items| items.collect())
    }

    /// Counts the items.
    pub fn count<'a>(self) -> G::Of<usize>
    where
        S: Run<'a, G>,
    {
        self.with(|items| items.fold(0, |count, _| count + 1))
    }

    /// Lends `body` the items to pull as it likes, and stops everything when it returns: for stages that
    /// borrow from the stack. A pipeline that borrows nothing is an iterator itself,
    /// [`into_iter`](IntoIterator::into_iter).
    ///
    /// ```
    /// use selvedge::Pipeline;
    ///
    /// let words = [String::from("warp"), String::from("weft"), String::from("selvedge")];
    /// let first = Pipeline::source(&words)
    ///     .par_map(2, |word| word.len())
    ///     .pull(|lengths| lengths.next());
    /// assert_eq!(first, Some(4));
    /// ```
    pub fn pull<'a, R>(self, body: impl FnOnce(&mut BorrowedIter<'_, S::Item>) -> R) -> G::Of<R>
    where
        S: Run<'a, G>,
    {
        self.with(|items| body(&mut BorrowedIter { items }))
    }
}

/// A token for one run: cancelled with the pipeline's, and when the sink is done.
fn below(mode: &impl CancelMode) -> CancelToken {
    mode.token().map_or_else(CancelToken::new, CancelToken::child)
}

/// The items of a pipeline, lent by [`Pipeline::pull`].
pub struct BorrowedIter<'a, T> {
    items: &'a mut dyn Iterator<Item = T>,
}

impl<T> Iterator for BorrowedIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.items.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}

impl<T> fmt::Debug for BorrowedIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BorrowedIter").field("size_hint", &self.size_hint()).finish_non_exhaustive()
    }
}

/// A pipeline at work, for whoever pulls; made by its [`into_iter`](IntoIterator::into_iter).
///
/// Dropping it stops every stage and waits until each thread has left: at the latest when the items under way
/// are computed, none is begun. If a stage waits in an iterator of yours that does not know the pipeline's
/// token, that is when it returns.
#[must_use = "dropping it stops the pipeline"]
pub struct Output<I: Iterator, G: CancelMode> {
    /// `None` only while it is dropped.
    items: Option<I>,
    mode: G,
    root: CancelToken,
    nursery: Arc<Nursery<'static>>,
}

impl<S, G> IntoIterator for Pipeline<S, G>
where
    G: CancelMode,
    S: Run<'static, G>,
{
    type Item = S::Item;
    type IntoIter = Output<S::Iter, G>;

    /// Sets the stages to work.
    fn into_iter(self) -> Output<S::Iter, G> {
        let Pipeline { stage, mode, plan: Plan { spawn, figures } } = self;
        let root = below(&mode);
        let mode = mode.under(&root);
        let borrowed = spawn.is_some();
        let nursery = Nursery::owned(spawn);
        let context = RunContext { nursery: Arc::clone(&nursery), root: root.clone(), borrowed, figures };
        let items = stage.run(&context, mode.clone());
        Output { items: Some(items), mode, root, nursery }
    }
}

impl<I: Iterator, G: CancelMode> Output<I, G> {
    /// Whether items are missing: after the `None`, this says whether that was the end of the source or the
    /// pipeline was cancelled. Without a token there is nothing to say, `()`.
    ///
    /// # Errors
    /// [`Cancelled`](crate::error::Cancelled) if it was.
    pub fn outcome(&self) -> G::Of<()> {
        self.mode.outcome(())
    }

    /// Says that an item was taken from here and has gone nowhere: this was no success.
    pub(super) fn lose(&self) {
        self.mode.cut();
    }

    /// What stops the whole run.
    pub(super) fn root(&self) -> &CancelToken {
        &self.root
    }
}

impl<I: Iterator, G: CancelMode> Cuttable for Output<I, G> {
    fn is_cut(&self) -> bool {
        self.mode.is_cut()
    }
}

impl<I: Iterator, G: CancelMode> Iterator for Output<I, G> {
    type Item = I::Item;

    #[inline]
    fn next(&mut self) -> Option<I::Item> {
        self.items.as_mut()?.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.as_ref().map_or((0, Some(0)), Iterator::size_hint)
    }
}

impl<I: Iterator, G: CancelMode> Drop for Output<I, G> {
    fn drop(&mut self) {
        let mut panicked = FirstPanic::new();
        let items = self.items.take();
        panicked.call(|| drop(items));
        panicked.call(|| self.root.cancel());
        // Workers that were asked for and have not come are called off here.
        self.nursery.close();
        panicked.resume();
    }
}

impl<I: Iterator, G: CancelMode> fmt::Debug for Output<I, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("size_hint", &self.size_hint()).finish_non_exhaustive()
    }
}
