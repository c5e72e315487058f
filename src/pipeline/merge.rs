//! Fan-in: as items come, one input after the other, or in the order of the items.

use std::cmp::Ordering;
use std::fmt;

use super::gate::{Cancellable, Gate};
use super::stage::{Run, Site, Stage};
use crate::cancel::CancelToken;
use crate::error::WaitError;
use crate::panics::{self, Payload};
use crate::queue::{Receiver, Sender, bounded};
use crate::sync::Arc;
use crate::sync::atomic::{AtomicBool, Ordering as Memory};
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
    G: Gate,
{
    type Iter = Merging<S::Item, G>;

    fn run(self, site: &Site<'a>, gate: G) -> Self::Iter {
        let token = gate.token().unwrap_or(&site.root).child();
        let cut = Arc::new(AtomicBool::new(false));
        let (sender, receiver) = bounded(self.bound);
        for stage in self.inputs {
            let inside = Cancellable::new(token.clone());
            let input = stage.run(site, inside.clone());
            let (sender, cut) = (sender.clone(), Arc::clone(&cut));
            site.yard.spawn(move || pump(input, &sender, &inside, &cut));
        }
        Merging { receiver, token, cut, gate, finished: false }
    }
}

/// Sends what an input has. The last sender to be dropped closes the queue.
fn pump<T, I: Iterator<Item = T>>(
    mut input: I,
    sender: &Sender<Sent<T>>,
    gate: &Cancellable,
    cut: &AtomicBool,
) {
    loop {
        let sent = match panics::catch(|| input.next()) {
            Ok(Some(item)) => {
                let sent = sender.push_until(Ok(item), gate.shut());
                let is_sent = sent.is_ok();
                if !is_sent {
                    // An item is missing now. Relaxed: the queue's lock, by which the end is told, orders it.
                    cut.store(true, Memory::Relaxed);
                }
                panics::discard(sent);
                is_sent
            }
            Ok(None) => {
                if gate.is_cut() {
                    cut.store(true, Memory::Relaxed);
                }
                false
            }
            Err(payload) => {
                // Nobody reads any more if it fails.
                panics::discard(sender.push_until(Err(payload), gate.shut()));
                false
            }
        };
        if !sent {
            break;
        }
    }
    // Its threads have ended before the end is told.
    if let Err(payload) = panics::catch(|| drop(input)) {
        panics::discard(sender.push_until(Err(payload), gate.shut()));
    }
}

#[doc(hidden)]
pub struct Merging<T, G> {
    receiver: Receiver<Sent<T>>,
    token: CancelToken,
    cut: Arc<AtomicBool>,
    gate: G,
    finished: bool,
}

impl<T, G: Gate> Merging<T, G> {
    fn finish(&mut self, cut: bool) -> Option<T> {
        self.finished = true;
        self.token.cancel();
        if cut {
            self.gate.cut();
        }
        None
    }
}

impl<T, G: Gate> Iterator for Merging<T, G> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if self.finished {
            return None;
        }
        let limit = self.gate.token().map_or_else(Until::forever, Until::from);
        match self.receiver.pop_until(limit) {
            Ok(Ok(item)) => Some(item),
            Ok(Err(payload)) => {
                self.finish(false);
                panics::resume(payload)
            }
            Err(WaitError::Closed) => {
                let cut = self.cut.load(Memory::Relaxed);
                self.finish(cut)
            }
            Err(_) => self.finish(true),
        }
    }
}

impl<T, G> Drop for Merging<T, G> {
    /// Stops the inputs. Whoever runs the pipeline waits for their threads.
    fn drop(&mut self) {
        self.token.cancel();
        // From here on, who has something to send keeps it. A payload that is here is nobody's.
        let unread = self.receiver.close_and_drain().into_iter();
        panics::drop_each(unread.filter_map(|sent| sent.map_err(panics::discard).ok()));
    }
}

impl<T, G> fmt::Debug for Merging<T, G> {
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

impl<'a, S: Run<'a, G>, G: Gate> Run<'a, G> for Chain<S> {
    type Iter = std::iter::Flatten<std::vec::IntoIter<S::Iter>>;

    fn run(self, site: &Site<'a>, gate: G) -> Self::Iter {
        let inputs: Vec<S::Iter> = self.0.into_iter().map(|stage| stage.run(site, gate.clone())).collect();
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
    G: Gate,
{
    type Iter = Sorted<S::Iter, F, G>;

    fn run(self, site: &Site<'a>, gate: G) -> Self::Iter {
        let inputs = self.inputs.into_iter().map(|stage| stage.run(site, gate.clone()).peekable()).collect();
        Sorted { inputs, compare: self.compare, gate }
    }
}

#[doc(hidden)]
pub struct Sorted<I: Iterator, F, G> {
    inputs: Vec<std::iter::Peekable<I>>,
    compare: F,
    gate: G,
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
    G: Gate,
{
    type Item = I::Item;

    /// The least of the heads; of equal ones, that of the earlier input. Inputs are few, so all heads are looked at.
    fn next(&mut self) -> Option<I::Item> {
        let mut least: Option<(usize, &I::Item)> = None;
        for (index, input) in self.inputs.iter_mut().enumerate() {
            let Some(head) = input.peek() else { continue };
            if !self.gate.is_open() {
                self.gate.cut();
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
