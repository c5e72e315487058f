//! `fan_out`: several outputs share one input, and each item goes to the output that asks first.
//!
//! There is no thread and no buffer. The input lies behind a lock; an output takes it out, advances it
//! without the lock, and puts it back. The lock orders everything in this file.

use std::fmt;

use crate::error::{TryError, WaitError};
use crate::panics;
use crate::pipeline::Pipeline;
use crate::pipeline::cancel_mode::CancelMode;
use crate::pipeline::output::{Output, Truncatable};
use crate::pipeline::stage::{Run, RunContext, Stage};
use crate::sync::{Arc, Mutex};
use crate::until::Until;
use crate::wait::{Turn, TurnPoint, Turns, WaitList};

/// An output of [`Pipeline::fan_out`].
pub type Shared<S, G> = Pipeline<Share<Output<<S as Run<'static, G>>::Iter, G>>, G>;

impl<S, G> Pipeline<S, G>
where
    S: Run<'static, G>,
    G: CancelMode,
{
    /// Shares the items among `outputs` pipelines: each item goes to one of them, whichever asks first. An
    /// output that loses 32 times to faster ones is next.
    ///
    /// Nothing is read ahead. So no item is stuck in an output that is not read or is dropped. The stages
    /// before this call run on the threads that pull from the outputs, one at a time; a
    /// [`buffered`](Pipeline::buffered) or `par_map` before this call moves them to threads of their own.
    ///
    /// ```
    /// use selvedge::Pipeline;
    ///
    /// let outputs = Pipeline::source(0..100_u32).fan_out(3);
    /// let sums = std::thread::scope(|s| {
    ///     let threads: Vec<_> =
    ///         outputs.into_iter().map(|output| s.spawn(|| output.fold(0_u32, |sum, n| sum + n))).collect();
    ///     threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u32>()
    /// });
    /// assert_eq!(sums, 4_950);
    /// ```
    ///
    /// # Panics
    /// If `outputs` is 0: the items would have nowhere to go.
    #[track_caller]
    pub fn fan_out(self, outputs: usize) -> Vec<Shared<S, G>> {
        assert!(outputs > 0, "a fan-out to 0 outputs would lose every item; the least is 1");
        let mode = self.mode.clone();
        let input = SharedInput::new(self.into_iter());
        (0..outputs).map(|_| Pipeline::new(Share(Arc::clone(&input))).with_mode_of(&mode)).collect()
    }
}

/// An input that one output at a time advances.
struct SharedInput<I> {
    state: Mutex<State<I>>,
}

struct State<I> {
    /// `None` while an output advances the input, and after the end.
    input: Option<Box<I>>,
    /// The input has ended; true if it was truncated by a cancellation.
    ended: Option<bool>,
    waiting: WaitList,
    /// Outputs that have lost too often. While there are any, only they are admitted.
    turns: Turns,
}

impl<I> SharedInput<I> {
    fn new(input: I) -> Arc<Self> {
        let state = State {
            input: Some(Box::new(input)),
            ended: None,
            waiting: WaitList::new(),
            turns: Turns::new(),
        };
        Arc::new(SharedInput { state: Mutex::new(state) })
    }

    fn take(&self, limit: Until<'_>) -> Result<InputGuard<'_, I>, WaitError> {
        // Waits until the input is back or has ended. `put` does both under the state's lock, under which the
        // waiter joins the list, so no wake-up is missed. An output that asks again at once would always beat
        // a waiter that first has to wake up, hence the turns.
        let point = TurnPoint::new(
            &self.state,
            |state| (&mut state.waiting, &mut state.turns),
            State::is_worth_a_try,
        );
        limit.called("Pipeline::fan_out").retry(&point, || self.try_take(point.turn()))
    }

    fn try_take(&self, turn: Option<Turn>) -> Result<InputGuard<'_, I>, TryError> {
        let mut state = self.state.lock();
        if state.ended.is_some() {
            return Err(TryError::Closed);
        }
        if !state.turns.admits(turn) {
            return Err(TryError::WouldBlock);
        }
        // Taken out of the state, so that it is advanced without the lock.
        let input = state.input.take().ok_or(TryError::WouldBlock)?;
        Ok(InputGuard { shared: self, input: Some(input) })
    }

    fn put(&self, input: Option<Box<I>>, ended: Option<bool>) {
        let mut state = self.state.lock();
        state.input = input;
        state.ended = state.ended.or(ended);
        // The input is for one waiter, any of which can use it; the end is for all.
        let count = if state.ended.is_some() { usize::MAX } else { 1 };
        let wakes = state.waiting.take(count);
        // Woken after unlocking, so that a waiter does not wake up only to block on the lock.
        drop(state);
        drop(wakes);
    }
}

/// The input, while one output advances it. If the input panics, the others find that it has ended.
struct InputGuard<'b, I> {
    shared: &'b SharedInput<I>,
    input: Option<Box<I>>,
}

impl<I> InputGuard<'_, I> {
    fn put_back(mut self) {
        self.shared.put(self.input.take(), None);
    }

    /// Drops the input, then wakes every output, even if the drop panics.
    fn end(mut self, truncated: bool) {
        let input = self.input.take();
        // Its threads are joined by the drop, so they have left before any output finds the end.
        let dropped = panics::catch(|| drop(input));
        self.shared.put(None, Some(truncated));
        if let Err(payload) = dropped {
            panics::resume(payload);
        }
    }
}

impl<I> Drop for InputGuard<'_, I> {
    fn drop(&mut self) {
        if let Some(input) = self.input.take() {
            // The input panicked and is unwinding this thread.
            panics::discard(input);
            self.shared.put(None, Some(false));
        }
    }
}

impl<I> State<I> {
    fn is_worth_a_try(&self, turn: Option<Turn>) -> bool {
        self.ended.is_some() || (self.input.is_some() && self.turns.admits(turn))
    }
}

/// The source of an output of [`Pipeline::fan_out`].
#[must_use = "a stage does nothing by itself"]
pub struct Share<I>(Arc<SharedInput<I>>);

impl<I: Iterator> Stage for Share<I> {
    type Item = I::Item;
}

#[allow(private_bounds, reason = "only the crate's own outputs are shared")]
impl<I: Truncatable, G: CancelMode> Run<'_, G> for Share<I> {
    type Iter = ShareIter<I, G>;

    fn run(self, _: &RunContext<'_>, mode: G) -> Self::Iter {
        ShareIter { shared: self.0, mode }
    }
}

#[doc(hidden)]
pub struct ShareIter<I, G> {
    shared: Arc<SharedInput<I>>,
    mode: G,
}

#[allow(private_bounds, reason = "only the crate's own outputs are shared")]
impl<I: Truncatable, G: CancelMode> Iterator for ShareIter<I, G> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        let limit = self.mode.token().map_or_else(Until::forever, Until::from);
        match self.shared.take(limit) {
            Ok(mut guard) => {
                let input = guard.input.as_mut()?;
                let item = input.next();
                let truncated = item.is_none() && input.is_truncated();
                if truncated {
                    self.mode.mark_truncated();
                }
                match item.is_some() {
                    true => guard.put_back(),
                    false => guard.end(truncated),
                }
                item
            }
            Err(WaitError::Closed) => {
                if self.shared.state.lock().ended == Some(true) {
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

impl<I> fmt::Debug for Share<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Share")
    }
}

impl<I, G> fmt::Debug for ShareIter<I, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShareIter")
    }
}
