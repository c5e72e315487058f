//! Fan-out by key, and broadcast: each output has a buffer, and whoever finds its own empty routes the next
//! item.
//!
//! There is no thread. One output at a time holds the input; it advances it, and puts the item where it
//! belongs: into its own hand, or into the others' buffers. If one of those is full it waits for room there,
//! while the others go on taking what they have. Items are routed, cloned and dropped outside the lock.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::mem;

use super::cancel_mode::CancelMode;
use super::share::Cuttable;
use super::stage::{Run, RunContext, Stage};
use crate::error::{TryError, WaitError};
use crate::panics;
use crate::sync::{Arc, Mutex};
use crate::until::Until;
use crate::wait::{Point, WaitList, Wake};

/// Where an item goes.
pub trait Route<T>: seal::Sealed {
    #[doc(hidden)]
    fn route(&self, item: T, outputs: usize, put: &mut dyn FnMut(usize, T) -> bool) -> bool;
}

mod seal {
    pub trait Sealed {}
    impl<F> Sealed for super::ByKey<F> {}
    impl Sealed for super::ToAll {}
}

/// To the output that its key belongs to.
#[derive(Clone, Debug)]
pub struct ByKey<F>(pub(super) F);

/// To every output.
#[derive(Clone, Copy, Debug)]
pub struct ToAll;

impl<T, K: Hash, F: Fn(&T) -> K> Route<T> for ByKey<F> {
    fn route(&self, item: T, outputs: usize, put: &mut dyn FnMut(usize, T) -> bool) -> bool {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one((self.0)(&item));
        // Less than the number of outputs, so it fits.
        put((hash % outputs as u64) as usize, item)
    }
}

impl<T: Clone> Route<T> for ToAll {
    fn route(&self, item: T, outputs: usize, put: &mut dyn FnMut(usize, T) -> bool) -> bool {
        (1..outputs).all(|output| put(output, item.clone())) && put(0, item)
    }
}

pub(super) struct Splitter<I: Iterator, R> {
    state: Mutex<State<I>>,
    capacity: usize,
    route: R,
}

struct State<I: Iterator> {
    /// `None` while somebody has it, and after the end.
    input: Option<Box<I>>,
    ended: Option<bool>,
    outputs: Vec<Buffer<I::Item>>,
    /// Everybody who waits: for an item, for the input, for room. Few, and each change may concern any of
    /// them.
    waiting: WaitList,
}

struct Buffer<T> {
    items: VecDeque<T>,
    /// The output was dropped: what would come here is dropped too.
    gone: bool,
}

/// What an output finds to do.
enum Found<I: Iterator> {
    Item(I::Item),
    Input(Box<I>),
}

impl<I: Iterator, R> Splitter<I, R> {
    pub(super) fn split(input: I, outputs: usize, capacity: usize, route: R) -> Vec<Split<I, R>> {
        let buffer = || Buffer { items: VecDeque::new(), gone: false };
        let state = State {
            input: Some(Box::new(input)),
            ended: None,
            outputs: (0..outputs).map(|_| buffer()).collect(),
            waiting: WaitList::new(),
        };
        let splitter = Arc::new(Splitter { state: Mutex::new(state), capacity, route });
        (0..outputs).map(|index| Split(End { splitter: Arc::clone(&splitter), index })).collect()
    }

    fn look(&self, index: usize) -> Result<Found<I>, TryError> {
        let mut state = self.state.lock();
        if let Some(item) = state.outputs[index].items.pop_front() {
            let wakes = state.waiting.take_all();
            drop(state);
            drop(wakes);
            return Ok(Found::Item(item));
        }
        match state.input.take() {
            Some(input) => Ok(Found::Input(input)),
            None if state.ended.is_some() => Err(TryError::Closed),
            None => Err(TryError::WouldBlock),
        }
    }

    /// Puts an item into another's buffer, or drops it if that output is gone.
    fn try_put(&self, index: usize, item: &mut Option<I::Item>) -> Result<(), TryError> {
        let mut state = self.state.lock();
        let buffer = &mut state.outputs[index];
        if !buffer.gone && buffer.items.len() >= self.capacity {
            return Err(TryError::WouldBlock);
        }
        let unwanted = if buffer.gone { item.take() } else { None };
        buffer.items.extend(item.take());
        let wakes = state.waiting.take_all();
        drop(state);
        drop(wakes);
        // The output that it was for is gone; the one whose thread this is has nothing to do with it.
        panics::discard(unwanted);
        Ok(())
    }

    fn put_back(&self, input: Option<Box<I>>, ended: Option<bool>) {
        let mut state = self.state.lock();
        state.input = input;
        state.ended = state.ended.or(ended);
        let wakes = state.waiting.take_all();
        drop(state);
        drop(wakes);
    }
}

impl<I: Iterator> State<I> {
    /// True if output `index` need not wait for an item or the input.
    fn has_something(&self, index: usize) -> bool {
        !self.outputs[index].items.is_empty() || self.input.is_some() || self.ended.is_some()
    }

    /// True if nobody need wait for room in output `index`.
    fn has_room(&self, index: usize, capacity: usize) -> bool {
        let buffer = &self.outputs[index];
        buffer.gone || buffer.items.len() < capacity
    }
}

/// One of the outputs of [`Pipeline::fan_out_by`](super::Pipeline::fan_out_by) or
/// [`Pipeline::broadcast`](super::Pipeline::broadcast).
#[must_use = "a stage does nothing by itself"]
pub struct Split<I: Iterator, R>(End<I, R>);

/// The one holder of an output; dropped, it takes the output out.
struct End<I: Iterator, R> {
    splitter: Arc<Splitter<I, R>>,
    index: usize,
}

impl<I: Iterator, R> Drop for End<I, R> {
    fn drop(&mut self) {
        let mut state = self.splitter.state.lock();
        let buffer = &mut state.outputs[self.index];
        buffer.gone = true;
        let unread = mem::take(&mut buffer.items);
        let last = state.outputs.iter().all(|buffer| buffer.gone);
        let input = if last { state.input.take() } else { None };
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
impl<I: Cuttable, R: Route<I::Item>, G: CancelMode> Run<'_, G> for Split<I, R> {
    type Iter = Splitting<I, R, G>;

    fn run(self, _: &RunContext<'_>, mode: G) -> Self::Iter {
        Splitting { end: self.0, mode }
    }
}

#[doc(hidden)]
pub struct Splitting<I: Iterator, R, G> {
    end: End<I, R>,
    mode: G,
}

/// Ends everything if the caller's code panics while the input is in somebody's hand.
struct Hand<'s, I: Iterator, R> {
    splitter: &'s Splitter<I, R>,
    input: Option<Box<I>>,
}

impl<I: Iterator, R> Drop for Hand<'_, I, R> {
    fn drop(&mut self) {
        if let Some(input) = self.input.take() {
            panics::discard(input);
            self.splitter.put_back(None, Some(false));
        }
    }
}

#[allow(private_bounds, reason = "only the crate's own outputs are split")]
impl<I, R, G> Splitting<I, R, G>
where
    I: Cuttable,
    R: Route<I::Item>,
    G: CancelMode,
{
    fn limit(&self) -> Until<'_> {
        self.mode.token().map_or_else(Until::forever, Until::from)
    }

    /// Advances the input and routes what comes, until something comes this way.
    fn route(&self, input: Box<I>) -> Option<I::Item> {
        let End { splitter, index } = &self.end;
        let mut hand = Hand { splitter, input: Some(input) };
        let mut mine = None;
        loop {
            let input = hand.input.as_mut()?;
            let Some(item) = input.next() else {
                let cut = input.is_cut();
                if cut {
                    self.mode.cut();
                }
                // The others are told, also if the drop panics.
                let input = hand.input.take();
                let dropped = panics::catch(|| drop(input));
                splitter.put_back(None, Some(cut));
                if let Err(payload) = dropped {
                    panics::resume(payload);
                }
                return None;
            };
            let outputs = splitter.state.lock().outputs.len();
            let routed = splitter.route.route(item, outputs, &mut |to, item| {
                if to == *index {
                    mine = Some(item);
                    return true;
                }
                let has_room = |state: &State<I>| state.has_room(to, splitter.capacity);
                let room = Point::new(&splitter.state, |state| &mut state.waiting, has_room);
                let mut item = Some(item);
                self.limit().retry(&room, || splitter.try_put(to, &mut item)).is_ok()
            });
            if !routed {
                self.mode.cut();
            }
            if mine.is_some() || !routed {
                splitter.put_back(hand.input.take(), None);
                return mine;
            }
        }
    }
}

#[allow(private_bounds, reason = "only the crate's own outputs are split")]
impl<I: Cuttable, R: Route<I::Item>, G: CancelMode> Iterator for Splitting<I, R, G> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        let End { splitter, index } = &self.end;
        // Ended by whoever changes anything here, under this lock.
        let has_something = |state: &State<I>| state.has_something(*index);
        let point = Point::new(&splitter.state, |state| &mut state.waiting, has_something);
        match self.limit().retry(&point, || splitter.look(*index)) {
            Ok(Found::Item(item)) => Some(item),
            Ok(Found::Input(input)) => self.route(input),
            Err(WaitError::Closed) => {
                if splitter.state.lock().ended == Some(true) {
                    self.mode.cut();
                }
                None
            }
            Err(_) => {
                self.mode.cut();
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

impl<I: Iterator, R, G> fmt::Debug for Splitting<I, R, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Splitting").field("index", &self.end.index).finish_non_exhaustive()
    }
}
