//! `merge`: several inputs at once, each on a thread of its own.
//!
//! Each input pushes its items into one bounded queue, which the consumer pops. The consumer is also the
//! spare thread: an input for which the system refuses a thread is advanced by the thread that pulls.

use std::collections::VecDeque;
use std::fmt;

use super::join_inputs;
use crate::cancel::CancelToken;
use crate::error::WaitError;
use crate::group::Nursery;
use crate::panics::{self, FirstPanic, Payload};
use crate::pipeline::cancel_mode::{CancelMode, Cancellable};
use crate::pipeline::stage::{Run, RunContext, Stage};
use crate::pipeline::{NoSource, Pipeline};
use crate::queue::{Receiver, Sender, bounded};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Mutex};
use crate::until::Until;

impl Pipeline<NoSource> {
    /// Merges pipelines: yields an item of any input as soon as it arrives, with each input on a thread of
    /// its own. Up to 64 items wait to be taken; [`capacity`](Pipeline::capacity) sets another limit.
    ///
    /// A silent input does not delay the others. The merge ends when every input has ended; a panic of one
    /// input stops all of them. If the inputs have tokens, the token of the first applies. On a
    /// [pool](Pipeline::on) the merge needs a worker for each input; inputs without a worker do not run. If
    /// the operating system refuses a thread, the thread that pulls advances the inputs that no thread has
    /// taken, one item of each in turn. While it is blocked in one of them, the others are left to threads
    /// that become free.
    ///
    /// ```
    /// use selvedge::Pipeline;
    ///
    /// let inputs = [0..10, 10..20].map(Pipeline::source);
    /// let mut all: Vec<u32> = Pipeline::merge(inputs).collect();
    /// all.sort();
    /// assert!(all.into_iter().eq(0..20));
    /// ```
    pub fn merge<S: Stage, G: CancelMode>(
        inputs: impl IntoIterator<Item = Pipeline<S, G>>,
    ) -> Pipeline<Merge<S>, G> {
        join_inputs(inputs, |inputs| Merge { inputs, bound: 64 })
    }
}

impl<S, G> Pipeline<Merge<S>, G> {
    /// Limits the items that wait to be taken to `bound`, and one more in progress for each input.
    ///
    /// # Panics
    /// If `bound` is 0. The sink panics if so many items do not fit into memory.
    #[track_caller]
    pub fn capacity(mut self, bound: usize) -> Self {
        assert!(bound > 0, "a bound of 0 items would let none in; the least is 1");
        self.stage.bound = bound;
        self
    }
}

/// See [`Pipeline::merge`].
#[derive(Clone, Debug)]
#[must_use = "a stage does nothing by itself"]
pub struct Merge<S> {
    inputs: Vec<S>,
    bound: usize,
}

/// What an input sends: an item, or the payload of its panic.
type Sent<T> = Result<T, Payload>;

impl<S: Stage> Stage for Merge<S> {
    type Item = S::Item;
}

impl<'a, S, G> Run<'a, G> for Merge<S>
where
    S: Run<'a, Cancellable>,
    S::Iter: Send + 'a,
    S::Item: Send + 'a,
    G: CancelMode,
{
    type Iter = MergeIter<'a, S::Iter, G>;

    fn run(self, context: &RunContext<'a>, mode: G) -> Self::Iter {
        let token = mode.token().unwrap_or(&context.token).child();
        let refused = token.child();
        // Before the first task is offered, so that no refusal is missed.
        context.nursery.tell_of_refusal(refused.clone());
        let truncated = Arc::new(AtomicBool::new(false));
        let (sender, receiver) = bounded(self.bound);
        let mut offered = VecDeque::new();
        for stage in self.inputs {
            let inner = Cancellable::new(token.clone());
            let items = stage.run(context, inner.clone());
            let input =
                Input { items, sender: sender.clone(), mode: inner, truncated: Arc::clone(&truncated) };
            let input = Arc::new(Mutex::new(Some(input)));
            let for_task = Arc::clone(&input);
            // If the system refuses a thread, the nursery cancels `refused`.
            let task = context.nursery.offer(move || {
                let input = for_task.lock().take();
                if let Some(input) = input {
                    input.drive();
                }
            });
            offered.extend(task.map(|task| Offered { task, input }));
        }
        MergeIter {
            receiver,
            token,
            truncated,
            mode,
            nursery: Arc::clone(&context.nursery),
            refused,
            offered,
            own: VecDeque::new(),
            finished: false,
        }
    }
}

/// An input, owned by the thread that advances it.
struct Input<I: Iterator> {
    items: I,
    /// Dropping the last sender closes the queue.
    sender: Sender<Sent<I::Item>>,
    mode: Cancellable,
    truncated: Arc<AtomicBool>,
}

/// An input that was offered to the nursery's threads.
struct Offered<I: Iterator> {
    /// The number of the task that drives it.
    task: usize,
    /// Emptied by that task, or by the consumer after it has withdrawn the task.
    input: Arc<Mutex<Option<Input<I>>>>,
}

impl<I: Iterator> Input<I> {
    /// Returns the next item or the payload of a panic, or `None` at the end.
    fn next(&mut self) -> Option<Sent<I::Item>> {
        match panics::catch(|| self.items.next()) {
            Ok(Some(item)) => Some(Ok(item)),
            Ok(None) => {
                if self.mode.is_truncated() {
                    // Relaxed: this input's sender is dropped after the store, and the queue's lock, through
                    // which the consumer learns that the queue is closed, publishes it.
                    self.truncated.store(true, Ordering::Relaxed);
                }
                None
            }
            Err(payload) => Some(Err(payload)),
        }
    }

    /// Drops the items, which joins their threads. Returns the payload if that panics.
    fn end(self) -> Option<Payload> {
        let Input { items, .. } = self;
        panics::catch(|| drop(items)).err()
    }

    /// Sends every item into the queue.
    fn drive(mut self) {
        while let Some(sent) = self.next() {
            let panicked = sent.is_err();
            // Fails if the consumer has closed the queue or the token is cancelled.
            let pushed = self.sender.push_until(sent, self.mode.cancel_token());
            let was_pushed = pushed.is_ok();
            // The item is lost. If the consumer has closed the queue, it does not read the mark any more.
            if !was_pushed && !panicked {
                self.truncated.store(true, Ordering::Relaxed);
            }
            panics::discard(pushed);
            if !was_pushed || panicked {
                break;
            }
        }
        // The clone keeps the queue open until the input's own threads have ended.
        let (sender, mode) = (self.sender.clone(), self.mode.clone());
        if let Some(payload) = self.end() {
            panics::discard(sender.push_until(Err(payload), mode.cancel_token()));
        }
    }
}

#[doc(hidden)]
pub struct MergeIter<'a, I: Iterator, G> {
    receiver: Receiver<Sent<I::Item>>,
    token: CancelToken,
    truncated: Arc<AtomicBool>,
    mode: G,
    nursery: Arc<Nursery<'a>>,
    /// A child of `token`, cancelled when the system refuses a thread for an input.
    refused: CancelToken,
    /// Inputs that may still be waiting for a thread.
    offered: VecDeque<Offered<I>>,
    /// Inputs that got no thread: this thread advances them in turn.
    own: VecDeque<Input<I>>,
    finished: bool,
}

impl<I: Iterator, G: CancelMode> MergeIter<'_, I, G> {
    fn finish(&mut self, truncated: bool) -> Option<I::Item> {
        self.finished = true;
        // Stops the inputs, some of which may be running ahead.
        self.token.cancel();
        if truncated {
            self.mode.mark_truncated();
        }
        None
    }

    fn deliver(&mut self, sent: Sent<I::Item>) -> I::Item {
        sent.unwrap_or_else(|payload| {
            self.finish(false);
            panics::resume(payload)
        })
    }

    /// Takes over an input that no thread has taken, once a thread was refused.
    ///
    /// An input that a thread has taken stays with that thread, even if it has not begun: it may be silent
    /// until another input has run, and that other input may be one for this thread. Only one input is taken
    /// at a time, since a thread that finishes an earlier input may take the next.
    fn take_over(&mut self) {
        while let Some(Offered { task, input }) = self.offered.pop_front() {
            if self.nursery.withdraw(task) {
                // In front: the inputs that this thread already advances are an item ahead of it.
                if let Some(input) = input.lock().take() {
                    self.own.push_front(input);
                }
                break;
            }
        }
    }

    /// Returns the next item of the inputs that this thread advances, or one that the others have ready.
    fn advance(&mut self) -> Option<I::Item> {
        while let Some(mut input) = self.own.pop_front() {
            // The queue is checked before each item of an own input, so that neither side starves the other.
            if let Ok(sent) = self.receiver.try_pop() {
                self.own.push_back(input);
                return Some(self.deliver(sent));
            }
            match input.next() {
                Some(Ok(item)) => {
                    self.own.push_back(input);
                    return Some(item);
                }
                Some(Err(payload)) => {
                    panics::discard(input.end());
                    return Some(self.deliver(Err(payload)));
                }
                None => {
                    if let Some(payload) = input.end() {
                        return Some(self.deliver(Err(payload)));
                    }
                }
            }
        }
        None
    }
}

impl<I: Iterator, G: CancelMode> Iterator for MergeIter<'_, I, G> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        loop {
            if self.finished {
                return None;
            }
            let was_refused = !self.offered.is_empty() && self.refused.is_cancelled();
            if was_refused && !self.token.is_cancelled() {
                self.take_over();
            }
            if let Some(item) = self.advance() {
                return Some(item);
            }
            // While inputs may still lack a thread, a refusal ends the wait too. No other thread would run
            // them, and this thread would sleep forever.
            let limit = match self.offered.is_empty() {
                true => self.mode.token().map_or_else(Until::forever, Until::from),
                false => Until::from(&self.refused),
            };
            match self.receiver.pop_until(limit) {
                Ok(sent) => return Some(self.deliver(sent)),
                Err(WaitError::Closed) => {
                    // Relaxed: each store was followed by the drop of a sender, under the queue's lock, and
                    // the pop has seen the last of those drops.
                    let truncated = self.truncated.load(Ordering::Relaxed);
                    return self.finish(truncated);
                }
                // A refusal and no cancellation: `refused` is cancelled together with `token`, too.
                Err(_) if !self.offered.is_empty() && !self.token.is_cancelled() => {}
                Err(_) => return self.finish(true),
            }
        }
    }
}

impl<I: Iterator, G> Drop for MergeIter<'_, I, G> {
    /// Stops the inputs. The sink joins their threads afterwards, through the nursery.
    fn drop(&mut self) {
        // First, so that an input that is blocked in a push gives up instead of refilling the queue.
        self.token.cancel();
        // Once the queue is closed, a push returns its item to the input. A payload in the queue has no
        // receiver any more.
        let unread = self.receiver.close_and_drain();
        let mut first = FirstPanic::new();
        for sent in unread {
            match sent {
                Ok(item) => {
                    first.call(|| drop(item));
                }
                Err(payload) => panics::discard(payload),
            }
        }
        for input in self.own.drain(..) {
            first.call(|| drop(input));
        }
        first.resume();
    }
}

impl<I: Iterator, G> fmt::Debug for MergeIter<'_, I, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MergeIter").field("finished", &self.finished).finish_non_exhaustive()
    }
}
