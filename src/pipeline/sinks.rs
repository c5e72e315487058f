//! Methods that run a pipeline to its end on the calling thread.

use std::fmt;

use super::cancel_mode::CancelMode;
use super::output::run_token;
use super::stage::{Run, RunContext};
use super::step::{Identity, StepIter, Stepped};
use super::{Config, Pipeline};
use crate::group::{self, Nursery};
use crate::panics::{self, Held};
use crate::sync::Arc;

impl<S, G: CancelMode> Pipeline<S, G> {
    /// Runs the stages, lets `body` pull, and returns when every thread has left.
    #[track_caller]
    fn with<'a, R>(self, body: impl FnOnce(&mut StepIter<S::Iter, Identity, G>) -> R) -> G::Of<R>
    where
        S: Run<'a, G>,
    {
        let Pipeline { stage, mode, config: Config { spawn, figures } } = self;
        let stage = Stepped { stage, step: Identity };
        let token = run_token(&mode);
        let mode = mode.with_token(&token);
        let borrowed = spawn.is_some();
        let work = |nursery: &Arc<Nursery<'a>>| {
            let context =
                RunContext { nursery: Arc::clone(nursery), token: token.clone(), borrowed, figures };
            // Held: a panic of a stage or of the sink unwinds through this frame, and the stages may panic
            // again when they are dropped.
            let mut items = Held::new(stage.run(&context, mode.clone()));
            let result = body(&mut items);
            panics::drop_before(items, result)
        };
        let result = group::nursery(spawn, work, || token.cancel());
        mode.outcome(result)
    }

    /// Calls `f` with each item.
    ///
    /// # Panics
    /// Every sink resumes the first panic of the pipeline, after every thread has left.
    #[track_caller]
    pub fn for_each<'a, F: FnMut(S::Item)>(self, mut f: F) -> G::Of<()>
    where
        S: Run<'a, G>,
    {
        self.with(|items| items.for_each(&mut f))
    }

    /// Calls `f` with each item until it fails, then stops every stage.
    #[track_caller]
    pub fn try_for_each<'a, E, F>(self, mut f: F) -> G::Of<Result<(), E>>
    where
        S: Run<'a, G>,
        F: FnMut(S::Item) -> Result<(), E>,
    {
        self.with(|items| items.try_for_each(&mut f))
    }

    /// Folds all items into a value.
    #[track_caller]
    pub fn fold<'a, B, F: FnMut(B, S::Item) -> B>(self, init: B, f: F) -> G::Of<B>
    where
        S: Run<'a, G>,
    {
        self.with(|items| items.fold(init, f))
    }

    /// Collects the items. Collecting into a `Result` returns the first error, if there is one, and stops
    /// every stage at it.
    ///
    /// ```
    /// use selvedge::Pipeline;
    ///
    /// let sum: Result<Vec<u32>, _> = Pipeline::source(["1", "2", "x", "4"])
    ///     .try_par_map(2, |text| text.parse::<u32>())
    ///     .collect();
    /// assert!(sum.is_err());
    /// ```
    #[track_caller]
    pub fn collect<'a, C: FromIterator<S::Item>>(self) -> G::Of<C>
    where
        S: Run<'a, G>,
    {
        self.with(|items| items.collect())
    }

    /// Counts the items.
    #[track_caller]
    pub fn count<'a>(self) -> G::Of<usize>
    where
        S: Run<'a, G>,
    {
        self.with(|items| items.fold(0, |count, _| count + 1))
    }

    /// Passes the items to `body` as an iterator, and stops every stage when `body` returns. This is for
    /// stages that borrow from the stack; a pipeline that borrows nothing is an iterator by itself, through
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
    #[track_caller]
    pub fn pull<'a, R>(self, body: impl FnOnce(&mut BorrowedIter<'_, S::Item>) -> R) -> G::Of<R>
    where
        S: Run<'a, G>,
    {
        self.with(|items| body(&mut BorrowedIter { items }))
    }
}

/// The items of a pipeline, borrowed by the closure of [`Pipeline::pull`]. Dropping it stops nothing; the end
/// of the closure does.
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
