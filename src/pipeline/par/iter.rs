//! The consumer's side of a parallel map.

use std::collections::VecDeque;
use std::fmt;

use super::chunk::Out;
use super::works::{Who, Works};
use crate::cancel::CancelToken;
use crate::error::{TryError, WaitError};
use crate::panics::{self, FirstPanic};
use crate::pipeline::gate::Gate;
use crate::sync::Arc;
use crate::until::Until;
use crate::wait::{Place, Slot};

/// What comes out of a parallel map. Dropping it stops the workers and waits until they have left.
#[doc(hidden)]
pub struct Parallel<'a, I, F, U, G>
where
    I: Iterator + Send + 'a,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> U + Send + Sync + 'a,
    U: Send + 'a,
{
    works: Arc<Works<'a, I, F, U>>,
    /// Of those who pull.
    gate: G,
    /// Cancelled when a worker is not to be had; `None` if this thread does what there is to do anyhow.
    alone: Option<CancelToken>,
    /// Taken out of the chunks, not handed out yet.
    ready: VecDeque<Out<U>>,
    finished: bool,
}

/// What the consumer found.
enum Found {
    Something,
    /// The end; true if the pipeline was cancelled before its own.
    End(bool),
}

impl<'a, I, F, U, G> Parallel<'a, I, F, U, G>
where
    I: Iterator + Send + 'a,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> U + Send + Sync + 'a,
    U: Send + 'a,
    G: Gate,
{
    pub(super) fn new(works: Works<'a, I, F, U>, gate: G, alone: Option<CancelToken>) -> Self {
        Parallel { works: Arc::new(works), gate, alone, ready: VecDeque::new(), finished: false }
    }

    /// The next output, if it comes before `limit`.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`].
    pub(crate) fn next_until(&mut self, limit: Until<'_>) -> Result<Option<U>, WaitError> {
        loop {
            if self.finished {
                return Ok(None);
            }
            if !self.gate.is_open() {
                return Ok(self.finish(true));
            }
            if let Some(out) = self.ready.pop_front() {
                return Ok(Some(self.hand_out(out)));
            }
            let Parallel { works, ready, alone, .. } = self;
            let outlet = Outlet { works };
            // The token of the stages above, which is cancelled with whatever stops the pipeline, or a child
            // of it.
            let limit = limit.or_cancelled(alone.as_ref().unwrap_or(works.gate.shut()));
            match limit.retry(&outlet, || refill(works, ready)) {
                Ok(Found::Something) => {}
                Ok(Found::End(cut)) => return Ok(self.finish(cut)),
                Err(WaitError::TimedOut) => return Err(WaitError::TimedOut),
                Err(_) if works.gate.is_open() && alone.take().is_some() => {
                    works.state.lock().consumer_reads = true;
                }
                Err(_) => return Ok(self.finish(true)),
            }
        }
    }

    /// Counts the item out, and gives it away.
    #[inline]
    fn hand_out(&mut self, out: Out<U>) -> U {
        if self.works.window.hand_out() {
            self.works.room_came();
        }
        if let Some(meter) = &self.works.meter {
            meter.give_out();
        }
        match out {
            Out::Item(item) => item,
            Out::Last(item) => {
                self.finish(false);
                item
            }
            Out::Panic(payload) => {
                self.finish(false);
                join(&self.works);
                panics::resume(payload)
            }
        }
    }

    #[cold]
    fn finish(&mut self, cut: bool) -> Option<U> {
        if cut {
            self.gate.cut();
        }
        self.finished = true;
        self.works.stop();
        None
    }
}

/// Waits until no worker is here.
fn join<I: Iterator, F, U>(works: &Arc<Works<'_, I, F, U>>) {
    // Ended by the last worker that leaves, under this lock.
    let waited = Until::forever().wait_until_ready(
        &works.state,
        |state| &mut state.leaving,
        |state| state.present == 0,
    );
    debug_assert!(waited.is_ok(), "a forever limit does not end");
}

/// Takes out what has come, or lends a hand until something has.
fn refill<'a, I, F, U>(
    works: &Arc<Works<'a, I, F, U>>,
    ready: &mut VecDeque<Out<U>>,
) -> Result<Found, TryError>
where
    I: Iterator + Send + 'a,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> U + Send + Sync + 'a,
    U: Send + 'a,
{
    loop {
        let mut state = works.state.lock();
        if works.rules.ordered {
            while let Some(head) = state.chunks.front() {
                let mut contents = head.lock();
                ready.append(&mut contents.outputs);
                if !contents.is_done() {
                    break;
                }
                drop(contents);
                state.chunks.pop_front();
            }
        } else {
            state.chunks.retain(|chunk| {
                let mut contents = chunk.lock();
                ready.append(&mut contents.outputs);
                !contents.is_done()
            });
        }
        if !ready.is_empty() {
            // Whoever is not called now is called when the items are handed out, or when the next are waited
            // for.
            works.call(state);
            return Ok(Found::Something);
        }
        if let (Some(cut), true) = (state.ended, state.chunks.is_empty()) {
            return Ok(Found::End(cut));
        }
        match works.take_job(&mut state, Who::Consumer) {
            Some(job) => {
                works.call(state);
                works.perform(job);
            }
            None => {
                works.call(state);
                return Err(TryError::WouldBlock);
            }
        }
    }
}

/// Where the consumer waits for an output.
struct Outlet<'w, W> {
    works: &'w Arc<W>,
}

impl<'a, I, F, U> Place for Outlet<'_, Works<'a, I, F, U>>
where
    I: Iterator + Send + 'a,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> U + Send + Sync + 'a,
    U: Send + 'a,
{
    fn looks_ready(&self) -> bool {
        let Some(state) = self.works.state.try_lock() else { return false };
        if state.chunks.is_empty() && state.ended.is_some() {
            return true;
        }
        let heads = if self.works.rules.ordered { 1 } else { usize::MAX };
        state.chunks.iter().take(heads).any(|chunk| {
            chunk.try_lock().is_some_and(|contents| !contents.outputs.is_empty() || contents.is_done())
        })
    }

    fn join(&self) -> Option<Arc<Slot>> {
        // Invariant 3: what would end the wait is found here, or ends it, because both are under these locks.
        let mut state = self.works.state.lock();
        if state.chunks.is_empty() && state.ended.is_some()
            || !self.works.has_nothing_for(&state, Who::Consumer)
        {
            return None;
        }
        let heads = if self.works.rules.ordered { 1 } else { usize::MAX };
        for chunk in state.chunks.iter().take(heads) {
            let mut contents = chunk.lock();
            if !contents.outputs.is_empty() || contents.is_done() {
                return None;
            }
            contents.wanted = true;
        }
        let slot = state.consumer.join();
        // With the consumer asleep, there is more to do for another worker.
        self.works.call(state);
        Some(slot)
    }

    fn leave(&self, slot: &Arc<Slot>) {
        self.works.state.lock().consumer.leave(slot);
    }
}

impl<'a, I, F, U, G> Iterator for Parallel<'a, I, F, U, G>
where
    I: Iterator + Send + 'a,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> U + Send + Sync + 'a,
    U: Send + 'a,
    G: Gate,
{
    type Item = U;

    #[inline]
    fn next(&mut self) -> Option<U> {
        // A forever limit does not time out.
        self.next_until(Until::forever()).unwrap_or(None)
    }
}

impl<'a, I, F, U, G> Drop for Parallel<'a, I, F, U, G>
where
    I: Iterator + Send + 'a,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> U + Send + Sync + 'a,
    U: Send + 'a,
{
    fn drop(&mut self) {
        self.works.stop();
        join(&self.works);
        // Nobody else is here, and whoever comes late touches neither: the caller's code runs here, without a
        // lock.
        let mut state = self.works.state.lock();
        let (input, chunks) = (state.input.take(), std::mem::take(&mut state.chunks));
        drop(state);
        let mut panicked = FirstPanic::new();
        panicked.call(|| drop(input));
        panicked.call(|| Out::drop_each(std::mem::take(&mut self.ready)));
        for chunk in chunks {
            let (inputs, outputs) = chunk.empty();
            panicked.call(|| panics::drop_each(inputs));
            panicked.call(|| Out::drop_each(outputs));
        }
        panicked.resume();
    }
}

impl<'a, I, F, U, G> fmt::Debug for Parallel<'a, I, F, U, G>
where
    I: Iterator + Send + 'a,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> U + Send + Sync + 'a,
    U: Send + 'a,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Parallel");
        out.field("ready", &self.ready.len());
        if let Some(state) = self.works.state.try_lock() {
            out.field("chunks", &state.chunks.len()).field("workers", &state.present);
        }
        out.finish_non_exhaustive()
    }
}
