//! Fan-out by sharing: several outputs, and whoever asks gets the next item.
//!
//! There is no thread and no buffer. The outputs pass the input around like a baton: who finds it free advances it,
//! outside the lock, and puts it back.

use std::fmt;

use super::gate::Gate;
use super::stage::{Run, Site, Stage};
use crate::error::{TryError, WaitError};
use crate::panics;
use crate::sync::{Arc, Mutex};
use crate::until::Until;
use crate::wait::{Line, Place, Slot};

/// An input that is advanced by one at a time.
pub(super) struct Baton<I> {
    state: Mutex<State<I>>,
}

struct State<I> {
    /// `None` while somebody has it, and after the end.
    input: Option<Box<I>>,
    /// True if the end came because the pipeline was cancelled.
    ended: Option<bool>,
    waiting: Line,
}

impl<I> Baton<I> {
    pub(super) fn new(input: I) -> Arc<Self> {
        let state = State { input: Some(Box::new(input)), ended: None, waiting: Line::new() };
        Arc::new(Baton { state: Mutex::new(state) })
    }

    fn try_take(&self) -> Result<Held<'_, I>, TryError> {
        let mut state = self.state.lock();
        match state.input.take() {
            Some(input) => Ok(Held { baton: self, input: Some(input) }),
            None if state.ended.is_some() => Err(TryError::Closed),
            None => Err(TryError::WouldBlock),
        }
    }

    fn put(&self, input: Option<Box<I>>, ended: Option<bool>) {
        let mut state = self.state.lock();
        state.input = input;
        state.ended = state.ended.or(ended);
        // One input for one; the end is for all.
        let count = if state.ended.is_some() { usize::MAX } else { 1 };
        let wakes = state.waiting.take(count);
        drop(state);
        drop(wakes);
    }
}

/// The input, in somebody's hand. If that hand panics, nobody gets it any more, and all hear of the end.
struct Held<'b, I> {
    baton: &'b Baton<I>,
    input: Option<Box<I>>,
}

impl<I> Held<'_, I> {
    fn put_back(mut self) {
        self.baton.put(self.input.take(), None);
    }

    /// Drops the input, then tells everybody, also if the drop panics.
    fn end(mut self, cut: bool) {
        let input = self.input.take();
        let dropped = panics::catch(|| drop(input));
        self.baton.put(None, Some(cut));
        if let Err(payload) = dropped {
            panics::resume(payload);
        }
    }
}

impl<I> Drop for Held<'_, I> {
    fn drop(&mut self) {
        if let Some(input) = self.input.take() {
            // The input has panicked, and unwinds this thread.
            panics::discard(input);
            self.baton.put(None, Some(false));
        }
    }
}

impl<I> Place for Baton<I> {
    fn looks_ready(&self) -> bool {
        self.state.try_lock().is_some_and(|state| state.input.is_some() || state.ended.is_some())
    }

    fn join(&self) -> Option<Arc<Slot>> {
        // Ended by `put`, under this lock.
        let mut state = self.state.lock();
        (state.input.is_none() && state.ended.is_none()).then(|| state.waiting.join())
    }

    fn leave(&self, slot: &Arc<Slot>) {
        self.state.lock().waiting.leave(slot);
    }
}

/// An iterator that can say whether its end was its own.
pub(super) trait Cuttable: Iterator {
    fn is_cut(&self) -> bool;
}

/// One of the outputs of [`Pipeline::fan_out`](super::Pipeline::fan_out).
#[must_use = "a stage does nothing by itself"]
pub struct Share<I>(pub(super) Arc<Baton<I>>);

impl<I: Iterator> Stage for Share<I> {
    type Item = I::Item;
}

#[allow(private_bounds, reason = "only the crate's own outputs are shared")]
impl<I: Cuttable, G: Gate> Run<'_, G> for Share<I> {
    type Iter = Sharing<I, G>;

    fn run(self, _: &Site<'_>, gate: G) -> Self::Iter {
        Sharing { baton: self.0, gate }
    }
}

#[doc(hidden)]
pub struct Sharing<I, G> {
    baton: Arc<Baton<I>>,
    gate: G,
}

#[allow(private_bounds, reason = "only the crate's own outputs are shared")]
impl<I: Cuttable, G: Gate> Iterator for Sharing<I, G> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        let limit = self.gate.token().map_or_else(Until::forever, Until::from);
        match limit.retry(&*self.baton, || self.baton.try_take()) {
            Ok(mut held) => {
                let input = held.input.as_mut()?;
                let item = input.next();
                let cut = item.is_none() && input.is_cut();
                if cut {
                    self.gate.cut();
                }
                match item.is_some() {
                    true => held.put_back(),
                    false => held.end(cut),
                }
                item
            }
            Err(WaitError::Closed) => {
                if self.baton.state.lock().ended == Some(true) {
                    self.gate.cut();
                }
                None
            }
            Err(_) => {
                self.gate.cut();
                None
            }
        }
    }
}

impl<I> fmt::Debug for Share<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Share")
    }
}

impl<I, G> fmt::Debug for Sharing<I, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sharing")
    }
}
