//! Fan-in: as items come, one input after the other, or in the order of the items.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::fmt;

use super::cancel_mode::{CancelMode, Cancellable};
use super::stage::{Run, RunContext, Stage};
use crate::cancel::CancelToken;
use crate::error::WaitError;
use crate::group::Nursery;
use crate::panics::{self, FirstPanic, Payload};
use crate::queue::{Receiver, Sender, bounded};
use crate::sync::atomic::{AtomicBool, Ordering as Memory};
use crate::sync::{Arc, Mutex};
use crate::until::Until;

/// See [`Pipeline::merge`](super::Pipeline::merge).
#[derive(Clone, Debug)]
#[must_use = "a stage does nothing by itself"]
pub struct Merge<S> {
    pub(super) inputs: Vec<S>,
    pub(super) bound: usize,
}

/// What an input sends: an item, or what it panicked with.
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
    type Iter = Merging<'a, S::Iter, G>;

    fn run(self, context: &RunContext<'a>, mode: G) -> Self::Iter {
        let token = mode.token().unwrap_or(&context.root).child();
        let alone = token.child();
        context.nursery.tell_of_refusal(alone.clone());
        let cut = Arc::new(AtomicBool::new(false));
        let (sender, receiver) = bounded(self.bound);
        let mut offered = VecDeque::new();
        for stage in self.inputs {
            let inside = Cancellable::new(token.clone());
            let items = stage.run(context, inside.clone());
            let input = Input { items, sender: sender.clone(), mode: inside, cut: Arc::clone(&cut) };
            let input = Arc::new(Mutex::new(Some(input)));
            let place = Arc::clone(&input);
            // If no thread is to be had, `alone` is cancelled.
            let task = context.nursery.offer(move || {
                let input = place.lock().take();
                if let Some(input) = input {
                    input.drive();
                }
            });
            offered.extend(task.map(|task| Offered { task, input }));
        }
        let nursery = Arc::clone(&context.nursery);
        Merging { receiver, token, cut, mode, nursery, alone, offered, own: VecDeque::new(), finished: false }
    }
}

/// An input, on the thread that advances it.
struct Input<I: Iterator> {
    items: I,
    /// The last sender to be dropped closes the queue.
    sender: Sender<Sent<I::Item>>,
    mode: Cancellable,
    cut: Arc<AtomicBool>,
}

/// An input that was offered to the nursery's threads.
struct Offered<I: Iterator> {
    /// The number of the task that pumps it.
    task: usize,
    /// Emptied by that task, or by the consumer once it has withdrawn the task.
    input: Arc<Mutex<Option<Input<I>>>>,
}

impl<I: Iterator> Input<I> {
    /// The next item, the end, or what it panicked with.
    fn next(&mut self) -> Option<Sent<I::Item>> {
        match panics::catch(|| self.items.next()) {
            Ok(Some(item)) => Some(Ok(item)),
            Ok(None) => {
                if self.mode.is_cut() {
                    // An item is missing now. Relaxed: the queue's lock, by which the end is told, orders it.
                    self.cut.store(true, Memory::Relaxed);
                }
                None
            }
            Err(payload) => Some(Err(payload)),
        }
    }

    /// Drops the items, whose threads have ended then; gives back what that panicked with.
    fn end(self) -> Option<Payload> {
        let Input { items, .. } = self;
        panics::catch(|| drop(items)).err()
    }

    /// Sends what there is.
    fn drive(mut self) {
        while let Some(sent) = self.next() {
            let panicked = sent.is_err();
            // Nobody reads any more if this fails.
            let pushed = self.sender.push_until(sent, self.mode.shut());
            let is_taken = pushed.is_ok();
            if !is_taken && !panicked {
                self.cut.store(true, Memory::Relaxed);
            }
            panics::discard(pushed);
            if !is_taken || panicked {
                break;
            }
        }
        // Its threads have ended before the end is told.
        let (sender, mode) = (self.sender.clone(), self.mode.clone());
        if let Some(payload) = self.end() {
            panics::discard(sender.push_until(Err(payload), mode.shut()));
        }
    }
}

#[doc(hidden)]
pub struct Merging<'a, I: Iterator, G> {
    receiver: Receiver<Sent<I::Item>>,
    token: CancelToken,
    cut: Arc<AtomicBool>,
    mode: G,
    nursery: Arc<Nursery<'a>>,
    /// A child of the token that is cancelled when a thread for an input is not to be had.
    alone: CancelToken,
    /// Inputs that no thread may have taken.
    offered: VecDeque<Offered<I>>,
    /// Those for which no thread was to be had: this one advances them, one after the other.
    own: VecDeque<Input<I>>,
    finished: bool,
}

impl<I: Iterator, G: CancelMode> Merging<'_, I, G> {
    fn finish(&mut self, cut: bool) -> Option<I::Item> {
        self.finished = true;
        self.token.cancel();
        if cut {
            self.mode.cut();
        }
        None
    }

    fn hand_out(&mut self, sent: Sent<I::Item>) -> I::Item {
        sent.unwrap_or_else(|payload| {
            self.finish(false);
            panics::resume(payload)
        })
    }

    /// Takes over an input that no thread has taken, once a thread was refused.
    ///
    /// One that a thread has taken is left to it, although it may not have begun: it may be silent until
    /// another has run, and that other is then for this thread. And no more than one at a time, because the
    /// next may be for a thread that has done with an earlier one.
    fn take_over(&mut self) {
        while let Some(Offered { task, input }) = self.offered.pop_front() {
            if self.nursery.withdraw(task) {
                // It is its turn: those that this thread advances already are an item ahead of it.
                if let Some(input) = input.lock().take() {
                    self.own.push_front(input);
                }
                break;
            }
        }
    }

    /// The next item of those inputs that this thread advances, or of the others if one is there.
    fn advance(&mut self) -> Option<I::Item> {
        while let Some(mut input) = self.own.pop_front() {
            // In turn, so that neither side keeps the other waiting.
            if let Ok(sent) = self.receiver.try_pop() {
                self.own.push_back(input);
                return Some(self.hand_out(sent));
            }
            match input.next() {
                Some(Ok(item)) => {
                    self.own.push_back(input);
                    return Some(item);
                }
                Some(Err(payload)) => {
                    panics::discard(input.end());
                    return Some(self.hand_out(Err(payload)));
                }
                None => {
                    if let Some(payload) = input.end() {
                        return Some(self.hand_out(Err(payload)));
                    }
                }
            }
        }
        None
    }
}

impl<I: Iterator, G: CancelMode> Iterator for Merging<'_, I, G> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        loop {
            if self.finished {
                return None;
            }
            let is_alone = !self.offered.is_empty() && self.alone.is_cancelled();
            if is_alone && !self.token.is_cancelled() {
                self.take_over();
            }
            if let Some(item) = self.advance() {
                return Some(item);
            }
            let limit = match self.offered.is_empty() {
                true => self.mode.token().map_or_else(Until::forever, Until::from),
                false => Until::from(&self.alone),
            };
            match self.receiver.pop_until(limit) {
                Ok(sent) => return Some(self.hand_out(sent)),
                Err(WaitError::Closed) => {
                    let cut = self.cut.load(Memory::Relaxed);
                    return self.finish(cut);
                }
                // `alone`, which is cancelled with the token too.
                Err(_) if !self.offered.is_empty() && !self.token.is_cancelled() => {}
                Err(_) => return self.finish(true),
            }
        }
    }
}

impl<I: Iterator, G> Drop for Merging<'_, I, G> {
    /// Stops the inputs. Whoever runs the pipeline waits for their threads.
    fn drop(&mut self) {
        self.token.cancel();
        // From here on, who has something to send keeps it. A payload that is here is nobody's.
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

impl<I: Iterator, G> fmt::Debug for Merging<'_, I, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merging").field("finished", &self.finished).finish_non_exhaustive()
    }
}

/// See [`Pipeline::chain`](super::Pipeline::chain).
#[derive(Clone, Debug)]
#[must_use = "a stage does nothing by itself"]
pub struct Chain<S>(pub(super) Vec<S>);

impl<S: Stage> Stage for Chain<S> {
    type Item = S::Item;
}

impl<'a, S: Run<'a, G>, G: CancelMode> Run<'a, G> for Chain<S> {
    type Iter = std::iter::Flatten<std::vec::IntoIter<S::Iter>>;

    fn run(self, context: &RunContext<'a>, mode: G) -> Self::Iter {
        let inputs: Vec<S::Iter> = self.0.into_iter().map(|stage| stage.run(context, mode.clone())).collect();
        inputs.into_iter().flatten()
    }
}

/// See [`Pipeline::merge_sorted_by`](super::Pipeline::merge_sorted_by).
#[derive(Clone, Debug)]
#[must_use = "a stage does nothing by itself"]
pub struct MergeSorted<S, F> {
    pub(super) inputs: Vec<S>,
    pub(super) compare: F,
}

impl<S: Stage, F> Stage for MergeSorted<S, F> {
    type Item = S::Item;
}

impl<'a, S, F, G> Run<'a, G> for MergeSorted<S, F>
where
    S: Run<'a, G>,
    F: FnMut(&S::Item, &S::Item) -> Ordering,
    G: CancelMode,
{
    type Iter = Sorted<S::Iter, F, G>;

    fn run(self, context: &RunContext<'a>, mode: G) -> Self::Iter {
        let inputs =
            self.inputs.into_iter().map(|stage| stage.run(context, mode.clone()).peekable()).collect();
        Sorted { inputs, compare: self.compare, mode }
    }
}

#[doc(hidden)]
pub struct Sorted<I: Iterator, F, G> {
    inputs: Vec<std::iter::Peekable<I>>,
    compare: F,
    mode: G,
}

impl<I: Iterator, F, G> fmt::Debug for Sorted<I, F, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sorted").field("inputs", &self.inputs.len()).finish_non_exhaustive()
    }
}

impl<I, F, G> Iterator for Sorted<I, F, G>
where
    I: Iterator,
    F: FnMut(&I::Item, &I::Item) -> Ordering,
    G: CancelMode,
{
    type Item = I::Item;

    /// The least of the heads; of equal ones, that of the earlier input. Inputs are few, so all heads are
    /// looked at.
    fn next(&mut self) -> Option<I::Item> {
        let mut least: Option<(usize, &I::Item)> = None;
        for (index, input) in self.inputs.iter_mut().enumerate() {
            let Some(head) = input.peek() else { continue };
            if !self.mode.is_open() {
                self.mode.cut();
                return None;
            }
            match least {
                Some((_, other)) if (self.compare)(other, head) != Ordering::Greater => {}
                _ => least = Some((index, head)),
            }
        }
        let (index, _) = least?;
        self.inputs[index].next()
    }
}
