//! A pipeline as an iterator that owns its threads.

use std::fmt;

use super::cancel_mode::CancelMode;
use super::stage::{Run, RunContext};
use super::{Config, Pipeline};
use crate::cancel::CancelToken;
use crate::group::Nursery;
use crate::panics::FirstPanic;
use crate::sync::Arc;

/// The items of a running pipeline; made by its [`into_iter`](IntoIterator::into_iter).
///
/// It owns the pipeline's threads, so it can be stored, sent to another thread, and dropped early.
///
/// # Blocking
/// `next` blocks until an item arrives or the pipeline ends. Dropping it stops every stage and blocks until
/// each thread has left: items in progress are finished, and no further one is begun. A stage that waits in
/// an iterator without the pipeline's token leaves when that iterator returns.
///
/// # Cancellation
/// After a cancellation `next` returns `None`; [`outcome`](Output::outcome) distinguishes it from the end of
/// the source.
///
/// # Panics
/// `next` resumes the panic of a stage at its place in the order. A panic of an unread item that is dropped
/// leaves the drop of the output, unless another panic is unwinding.
#[must_use = "dropping it stops the pipeline"]
pub struct Output<I: Iterator, G: CancelMode> {
    /// `None` only during drop.
    items: Option<I>,
    mode: G,
    token: CancelToken,
    nursery: Arc<Nursery<'static>>,
}

/// An iterator that knows whether it ended because it was cancelled.
pub(super) trait Truncatable: Iterator {
    fn is_truncated(&self) -> bool;
}

impl<S, G> IntoIterator for Pipeline<S, G>
where
    G: CancelMode,
    S: Run<'static, G>,
{
    type Item = S::Item;
    type IntoIter = Output<S::Iter, G>;

    /// Starts the pipeline.
    #[track_caller]
    fn into_iter(self) -> Output<S::Iter, G> {
        let Pipeline { stage, mode, config: Config { spawn, figures } } = self;
        let token = run_token(&mode);
        let mode = mode.with_token(&token);
        let borrowed = spawn.is_some();
        let nursery = Nursery::owned(spawn);
        let context = RunContext { nursery: Arc::clone(&nursery), token: token.clone(), borrowed, figures };
        let items = stage.run(&context, mode.clone());
        Output { items: Some(items), mode, token, nursery }
    }
}

/// A token for one run: cancelled with the pipeline's token, and when the sink is done.
pub(super) fn run_token(mode: &impl CancelMode) -> CancelToken {
    mode.token().map_or_else(CancelToken::new, CancelToken::child)
}

impl<I: Iterator, G: CancelMode> Output<I, G> {
    /// Tells, after a `None`, whether the source had ended or the pipeline was cancelled. For a pipeline
    /// without a token the answer is `()`.
    ///
    /// # Errors
    /// [`Cancelled`](crate::error::Cancelled) if items are missing.
    pub fn outcome(&self) -> G::Of<()> {
        self.mode.outcome(())
    }

    /// Records that an item was taken from here and then lost, so that the outcome is not success.
    pub(super) fn mark_truncated(&self) {
        self.mode.mark_truncated();
    }

    /// The token that stops the whole run.
    pub(super) fn token(&self) -> &CancelToken {
        &self.token
    }
}

impl<I: Iterator, G: CancelMode> Truncatable for Output<I, G> {
    fn is_truncated(&self) -> bool {
        self.mode.is_truncated()
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
        // A `par_map` joins its workers when it is dropped; `close` below waits for all other threads.
        let items = self.items.take();
        panicked.call(|| drop(items));
        panicked.call(|| self.token.cancel());
        // Also withdraws workers that were requested and have not started.
        self.nursery.close();
        panicked.resume();
    }
}

impl<I: Iterator, G: CancelMode> fmt::Debug for Output<I, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("size_hint", &self.size_hint()).finish_non_exhaustive()
    }
}
