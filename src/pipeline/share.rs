//! Fan-out by sharing: several outputs, and whoever asks gets the next item.
//!
//! There is no thread and no buffer. The outputs pass the input around like a baton: who finds it free
//! advances it, outside the lock, and puts it back.

use std::fmt;

use super::cancel_mode::CancelMode;
use super::stage::{Run, RunContext, Stage};
use crate::error::{TryError, WaitError};
use crate::panics;
use crate::sync::{Arc, Mutex};
use crate::until::Until;
use crate::wait::{Turn, TurnPoint, Turns, WaitList};

/// An input that is advanced by one at a time.
pub(super) struct Baton<I> {
    state: Mutex<State<I>>,
}

struct State<I> {
    /// `None` while somebody has it, and after the end.
    input: Option<Box<I>>,
    /// True if the end came because the pipeline was cancelled.
    ended: Option<bool>,
    waiting: WaitList,
    /// Outputs that have lost too often: while there are any, nobody else gets the input.
    turns: Turns,
}

impl<I> Baton<I> {
    pub(super) fn new(input: I) -> Arc<Self> {
        let state = State {
            input: Some(Box::new(input)),
            ended: None,
            waiting: WaitList::new(),
            turns: Turns::new(),
        };
        Arc::new(Baton { state: Mutex::new(state) })
    }

    fn take(&self, limit: Until<'_>) -> Result<Held<'_, I>, WaitError> {
        // An output that asks again at once would always be faster, so they take turns. `put` is under this
        // lock.
        let hand = TurnPoint::new(
            &self.state,
            |state| (&mut state.waiting, &mut state.turns),
            State::is_worth_a_try,
        );
        limit.retry(&hand, || self.try_take(hand.turn()))
    }

    fn try_take(&self, turn: Option<Turn>) -> Result<Held<'_, I>, TryError> {
        let mut state = self.state.lock();
        if state.ended.is_some() {
            return Err(TryError::Closed);
        }
        if !state.turns.admits(turn) {
            return Err(TryError::WouldBlock);
        }
        let input = state.input.take().ok_or(TryError::WouldBlock)?;
        Ok(Held { baton: self, input: Some(input) })
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

impl<I> State<I> {
    fn is_worth_a_try(&self, turn: Option<Turn>) -> bool {
        self.ended.is_some() || (self.input.is_some() && self.turns.admits(turn))
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
impl<I: Cuttable, G: CancelMode> Run<'_, G> for Share<I> {
    type Iter = Sharing<I, G>;

    fn run(self, _: &RunContext<'_>, mode: G) -> Self::Iter {
        Sharing { baton: self.0, mode }
    }
}

#[doc(hidden)]
pub struct Sharing<I, G> {
    baton: Arc<Baton<I>>,
    mode: G,
}

#[allow(private_bounds, reason = "only the crate's own outputs are shared")]
impl<I: Cuttable, G: CancelMode> Iterator for Sharing<I, G> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        let limit = self.mode.token().map_or_else(Until::forever, Until::from);
        match self.baton.take(limit) {
            Ok(mut held) => {
                let input = held.input.as_mut()?;
                let item = input.next();
                let cut = item.is_none() && input.is_cut();
                if cut {
                    self.mode.cut();
                }
                match item.is_some() {
                    true => held.put_back(),
                    false => held.end(cut),
                }
                item
            }
            Err(WaitError::Closed) => {
                if self.baton.state.lock().ended == Some(true) {
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
