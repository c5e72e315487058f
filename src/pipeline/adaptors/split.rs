//! The machinery of `fan_out_by` and `broadcast`: outputs with buffers of their own, fed from one input.
//!
//! There is no thread. One output at a time holds the input. It advances the input without the lock and
//! routes the items into the buffers of the other outputs, until one is for itself. If a buffer is full, it
//! waits for room there while the other outputs go on taking items from theirs. Items are routed, cloned and
//! dropped outside the lock. One mutex orders everything in this file.

use std::collections::VecDeque;
use std::fmt;
use std::mem;

use crate::error::{TryError, WaitError};
use crate::panics;
use crate::pipeline::Pipeline;
use crate::pipeline::cancel_mode::CancelMode;
use crate::pipeline::output::{Output, Truncatable};
use crate::pipeline::stage::{Run, RunContext, Stage};
use crate::sync::{Arc, Mutex};
use crate::until::Until;
use crate::wait::{Point, WaitList, Wake};

/// Decides which outputs an item goes to.
pub trait Route<T>: seal::Sealed {
    /// Passes the item, or clones of it, to `put` with the index of an output. Returns false as soon as `put`
    /// does, which means that the pipeline was cancelled.
    #[doc(hidden)]
    fn route(&self, item: T, outputs: usize, put: &mut dyn FnMut(usize, T) -> bool) -> bool;
}

pub(super) mod seal {
    pub trait Sealed {}
}

/// An output of [`Pipeline::fan_out_by`] or [`Pipeline::broadcast`].
pub type Routed<S, R, G> = Pipeline<Split<Output<<S as Run<'static, G>>::Iter, G>, R>, G>;

impl<S, G> Pipeline<S, G>
where
    S: Run<'static, G>,
    G: CancelMode,
{
    #[track_caller]
    pub(super) fn split<R>(self, outputs: usize, capacity: usize, route: R) -> Vec<Routed<S, R, G>>
    where
        R: Route<S::Item>,
    {
        assert!(outputs > 0, "a fan-out to 0 outputs would lose every item; the least is 1");
        assert!(capacity > 0, "an output with room for 0 items could never be sent one; the least is 1");
        let fits = Vec::<Routed<S, R, G>>::new().try_reserve_exact(outputs);
        assert!(fits.is_ok(), "a fan-out to {outputs} outputs does not fit into memory");
        let mode = self.mode.clone();
        let outputs = Splitter::split(self.into_iter(), outputs, capacity, route);
        outputs.into_iter().map(|output| Pipeline::new(output).with_mode_of(&mode)).collect()
    }
}

struct Splitter<I: Iterator, R> {
    state: Mutex<State<I>>,
    capacity: usize,
    route: R,
}

struct State<I: Iterator> {
    /// `None` while an output advances the input, and after the end.
    input: Option<Box<I>>,
    /// The input has ended; true if it was truncated by a cancellation.
    ended: Option<bool>,
    outputs: Vec<Buffer<I::Item>>,
    /// Outputs that wait for an item, for the input, or for room. One list for all: they are few, and any
    /// change may concern any of them.
    waiting: WaitList,
}

struct Buffer<T> {
    items: VecDeque<T>,
    /// The output was dropped, and its items are dropped too.
    is_dropped: bool,
}

/// What an output obtains: an item from its buffer, or the input, to advance it.
enum Found<I: Iterator> {
    Item(I::Item),
    Input(Box<I>),
}

impl<I: Iterator, R> Splitter<I, R> {
    fn split(input: I, outputs: usize, capacity: usize, route: R) -> Vec<Split<I, R>> {
        let buffer = || Buffer { items: VecDeque::new(), is_dropped: false };
        let state = State {
            input: Some(Box::new(input)),
            ended: None,
            outputs: (0..outputs).map(|_| buffer()).collect(),
            waiting: WaitList::new(),
        };
        let splitter = Arc::new(Splitter { state: Mutex::new(state), capacity, route });
        (0..outputs).map(|index| Split(Endpoint { splitter: Arc::clone(&splitter), index })).collect()
    }

    fn try_next(&self, index: usize) -> Result<Found<I>, TryError> {
        let mut state = self.state.lock();
        if let Some(item) = state.outputs[index].items.pop_front() {
            // There is room in this buffer now, for which the output that holds the input may wait.
            let wakes = state.waiting.take_all();
            drop(state);
            drop(wakes);
            return Ok(Found::Item(item));
        }
        // Only with an empty buffer: an output takes what it has before it advances the input for all.
        match state.input.take() {
            Some(input) => Ok(Found::Input(input)),
            None if state.ended.is_some() => Err(TryError::Closed),
            None => Err(TryError::WouldBlock),
        }
    }

    /// Puts an item into the buffer of another output, or drops it if that output was dropped.
    fn try_put(&self, index: usize, item: &mut Option<I::Item>) -> Result<(), TryError> {
        let mut state = self.state.lock();
        let buffer = &mut state.outputs[index];
        if !buffer.is_dropped && buffer.items.len() >= self.capacity {
            return Err(TryError::WouldBlock);
        }
        // Taken out here and dropped below, without the lock.
        let unwanted = if buffer.is_dropped { item.take() } else { None };
        buffer.items.extend(item.take());
        // All: the list does not say which waiter is the reader of this buffer, and outputs are few.
        let wakes = state.waiting.take_all();
        drop(state);
        drop(wakes);
        // Contained: a panic of this drop concerns the dropped output, not the one whose thread runs it.
        panics::discard(unwanted);
        Ok(())
    }

    fn put_back(&self, input: Option<Box<I>>, ended: Option<bool>) {
        let mut state = self.state.lock();
        state.input = input;
        state.ended = state.ended.or(ended);
        // All: the input is for any output whose buffer is empty, and some of the waiters wait for room
        // instead.
        let wakes = state.waiting.take_all();
        drop(state);
        drop(wakes);
    }
}

impl<I: Iterator> State<I> {
    /// True unless output `index` has to wait for an item or for the input.
    fn has_something(&self, index: usize) -> bool {
        !self.outputs[index].items.is_empty() || self.input.is_some() || self.ended.is_some()
    }

    /// True if an item for output `index` can be put into its buffer, or dropped.
    fn has_room(&self, index: usize, capacity: usize) -> bool {
        let buffer = &self.outputs[index];
        buffer.is_dropped || buffer.items.len() < capacity
    }
}

/// The source of an output of [`Pipeline::fan_out_by`] or [`Pipeline::broadcast`].
#[must_use = "a stage does nothing by itself"]
pub struct Split<I: Iterator, R>(Endpoint<I, R>);

/// The only handle of an output. Dropping it removes the output.
struct Endpoint<I: Iterator, R> {
    splitter: Arc<Splitter<I, R>>,
    index: usize,
}

impl<I: Iterator, R> Drop for Endpoint<I, R> {
    fn drop(&mut self) {
        let mut state = self.splitter.state.lock();
        let buffer = &mut state.outputs[self.index];
        buffer.is_dropped = true;
        let unread = mem::take(&mut buffer.items);
        // Decided under the lock, so exactly one of several dropped outputs is the last.
        let last = state.outputs.iter().all(|buffer| buffer.is_dropped);
        let input = if last { state.input.take() } else { None };
        // An output that waits for room here need not wait any more.
        let wakes: Vec<Wake> = state.waiting.take_all();
        drop(state);
        drop(wakes);
        let mut panicked = panics::FirstPanic::new();
        panicked.call(|| drop(input));
        panicked.call(|| panics::drop_each(unread));
        panicked.resume();
    }
}

impl<I: Iterator, R: Route<I::Item>> Stage for Split<I, R> {
    type Item = I::Item;
}

#[allow(private_bounds, reason = "only the crate's own outputs are split")]
impl<I: Truncatable, R: Route<I::Item>, G: CancelMode> Run<'_, G> for Split<I, R> {
    type Iter = SplitIter<I, R, G>;

    fn run(self, _: &RunContext<'_>, mode: G) -> Self::Iter {
        SplitIter { endpoint: self.0, mode }
    }
}

#[doc(hidden)]
pub struct SplitIter<I: Iterator, R, G> {
    endpoint: Endpoint<I, R>,
    mode: G,
}

/// The input, while one output advances it. If the input panics, the other outputs find that it has ended.
struct InputGuard<'s, I: Iterator, R> {
    splitter: &'s Splitter<I, R>,
    input: Option<Box<I>>,
}

impl<I: Iterator, R> Drop for InputGuard<'_, I, R> {
    fn drop(&mut self) {
        if let Some(input) = self.input.take() {
            panics::discard(input);
            self.splitter.put_back(None, Some(false));
        }
    }
}

#[allow(private_bounds, reason = "only the crate's own outputs are split")]
impl<I, R, G> SplitIter<I, R, G>
where
    I: Truncatable,
    R: Route<I::Item>,
    G: CancelMode,
{
    fn limit(&self) -> Until<'_> {
        self.mode.token().map_or_else(Until::forever, Until::from)
    }

    /// Drops the input, which has ended, and tells the other outputs, even if the drop panics.
    fn end(&self, input: Box<I>) {
        let truncated = input.is_truncated();
        if truncated {
            self.mode.mark_truncated();
        }
        let dropped = panics::catch(|| drop(input));
        self.endpoint.splitter.put_back(None, Some(truncated));
        if let Err(payload) = dropped {
            panics::resume(payload);
        }
    }

    /// Advances the input and routes its items, until one is for this output.
    fn route(&self, input: Box<I>) -> Option<I::Item> {
        let Endpoint { splitter, index } = &self.endpoint;
        let mut guard = InputGuard { splitter, input: Some(input) };
        let mut mine = None;
        loop {
            let input = guard.input.as_mut()?;
            let Some(item) = input.next() else {
                self.end(guard.input.take()?);
                return None;
            };
            let outputs = splitter.state.lock().outputs.len();
            let routed = splitter.route.route(item, outputs, &mut |to, item| {
                if to == *index {
                    mine = Some(item);
                    return true;
                }
                // Waits until the buffer has room. The reader of that buffer and the drop of its output wake
                // this thread under the state's lock.
                let has_room = |state: &State<I>| state.has_room(to, splitter.capacity);
                let room = Point::new(&splitter.state, |state| &mut state.waiting, has_room);
                let mut item = Some(item);
                self.limit()
                    .called("Pipeline::fan_out, room")
                    .retry(&room, || splitter.try_put(to, &mut item))
                    .is_ok()
            });
            if !routed {
                self.mode.mark_truncated();
            }
            // After a cancellation the input goes back too, since the other outputs may have no token.
            if mine.is_some() || !routed {
                splitter.put_back(guard.input.take(), None);
                return mine;
            }
        }
    }
}

#[allow(private_bounds, reason = "only the crate's own outputs are split")]
impl<I: Truncatable, R: Route<I::Item>, G: CancelMode> Iterator for SplitIter<I, R, G> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        let Endpoint { splitter, index } = &self.endpoint;
        // Waits for an item or the input. Every change of the state takes all waiters out of the list, under
        // the lock under which this output joins it.
        let has_something = |state: &State<I>| state.has_something(*index);
        let point = Point::new(&splitter.state, |state| &mut state.waiting, has_something);
        match self.limit().called("Pipeline::fan_out").retry(&point, || splitter.try_next(*index)) {
            Ok(Found::Item(item)) => Some(item),
            Ok(Found::Input(input)) => self.route(input),
            Err(WaitError::Closed) => {
                if splitter.state.lock().ended == Some(true) {
                    self.mode.mark_truncated();
                }
                None
            }
            Err(_) => {
                self.mode.mark_truncated();
                None
            }
        }
    }
}

impl<I: Iterator, R> fmt::Debug for Split<I, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Split").field("index", &self.0.index).finish_non_exhaustive()
    }
}

impl<I: Iterator, R, G> fmt::Debug for SplitIter<I, R, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SplitIter").field("index", &self.endpoint.index).finish_non_exhaustive()
    }
}
