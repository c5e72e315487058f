//! What a pipeline begins with: an iterator, a channel, a queue.

use std::iter;

use crossbeam_channel::Receiver;

use super::Pipeline;
use super::cancel_mode::CancelMode;
use super::stage::{Run, RunContext, Stage};
use crate::queue;

/// The stage of a pipeline that has no source yet; never constructed.
#[doc(hidden)]
#[derive(Debug)]
pub enum NoSource {}

impl Pipeline<NoSource> {
    /// Begins with an iterator.
    pub fn source<I: IntoIterator>(items: I) -> Pipeline<Items<I::IntoIter>> {
        Pipeline::new(Items(items.into_iter()))
    }

    /// Begins with the values that `f` returns, until it returns `None`.
    ///
    /// ```
    /// use selvedge::Pipeline;
    ///
    /// let mut n = 1;
    /// let powers = Pipeline::generate(|| {
    ///     n *= 2;
    ///     (n < 20).then_some(n)
    /// });
    /// assert_eq!(powers.collect::<Vec<_>>(), [2, 4, 8, 16]);
    /// ```
    pub fn generate<T, F: FnMut() -> Option<T>>(f: F) -> Pipeline<Items<iter::FromFn<F>>> {
        Pipeline::new(Items(iter::from_fn(f)))
    }

    /// Begins with the messages of a crossbeam channel, until the channel is disconnected and empty. A
    /// cancellation ends a wait for the next message.
    pub fn receiver<T>(messages: Receiver<T>) -> Pipeline<Messages<T>> {
        Pipeline::new(Messages(messages))
    }

    /// Begins with the items of a queue, until the queue is closed and empty. A cancellation ends a wait for
    /// the next item. The pipeline drops the receiver when it ends, which closes the queue if the receiver
    /// was the last.
    pub fn queue<T>(items: queue::Receiver<T>) -> Pipeline<Queued<T>> {
        Pipeline::new(Queued(items))
    }
}

/// An iterator as a source.
#[derive(Clone, Debug)]
#[must_use = "a stage does nothing by itself"]
pub struct Items<I>(I);

/// Checks the cancel mode before each call of the caller's iterator.
#[derive(Debug)]
#[doc(hidden)]
pub struct ItemsIter<I, G> {
    items: I,
    mode: G,
}

impl<I: Iterator> Stage for Items<I> {
    type Item = I::Item;
}

impl<I: Iterator, G: CancelMode> Run<'_, G> for Items<I> {
    type Iter = ItemsIter<I, G>;

    fn run(self, _: &RunContext<'_>, mode: G) -> ItemsIter<I, G> {
        ItemsIter { items: self.0, mode }
    }
}

impl<I: Iterator, G: CancelMode> Iterator for ItemsIter<I, G> {
    type Item = I::Item;

    #[inline]
    fn next(&mut self) -> Option<I::Item> {
        if self.mode.is_cancelled() {
            self.mode.mark_truncated();
            return None;
        }
        self.items.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}

/// A crossbeam receiver as a source.
#[derive(Clone, Debug)]
#[must_use = "a stage does nothing by itself"]
pub struct Messages<T>(Receiver<T>);

/// A receiver of this crate's queue as a source.
#[derive(Clone, Debug)]
#[must_use = "a stage does nothing by itself"]
pub struct Queued<T>(queue::Receiver<T>);

/// Receives from a channel or a queue until it is closed or the pipeline is cancelled.
#[derive(Debug)]
#[doc(hidden)]
pub struct ReceiverIter<R, G> {
    from: R,
    mode: G,
}

impl<T> Stage for Messages<T> {
    type Item = T;
}

impl<T, G: CancelMode> Run<'_, G> for Messages<T> {
    type Iter = ReceiverIter<Receiver<T>, G>;

    fn run(self, _: &RunContext<'_>, mode: G) -> Self::Iter {
        ReceiverIter { from: self.0, mode }
    }
}

impl<T, G: CancelMode> Iterator for ReceiverIter<Receiver<T>, G> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        // A message that is ready would otherwise win over a token that was cancelled long ago.
        if self.mode.is_cancelled() {
            self.mode.mark_truncated();
            return None;
        }
        self.mode.receive(&self.from)
    }
}

impl<T> Stage for Queued<T> {
    type Item = T;
}

impl<T, G: CancelMode> Run<'_, G> for Queued<T> {
    type Iter = ReceiverIter<queue::Receiver<T>, G>;

    fn run(self, _: &RunContext<'_>, mode: G) -> Self::Iter {
        ReceiverIter { from: self.0, mode }
    }
}

impl<T, G: CancelMode> Iterator for ReceiverIter<queue::Receiver<T>, G> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.mode.pop(self.from.queue())
    }
}
