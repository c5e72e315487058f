//! The consumer's side of a parallel map.

use std::collections::VecDeque;
use std::fmt;

use super::chunk::Out;
use super::shared::{Shared, Who};
use crate::cancel::CancelToken;
use crate::error::{TryError, WaitError};
use crate::panics::{self, FirstPanic};
use crate::pipeline::cancel_mode::CancelMode;
use crate::sync::Arc;
use crate::until::Until;
use crate::wait::{WaitPoint, Waiter};

/// What comes out of a parallel map. Dropping it stops the workers and waits until they have left.
#[doc(hidden)]
pub struct Parallel<'a, I, F, U, G>
where
    I: Iterator + Send + 'a,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> U + Send + Sync + 'a,
    U: Send + 'a,
{
    shared: Arc<Shared<'a, I, F, U>>,
    /// Of those who pull.
    mode: G,
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
    G: CancelMode,
{
    pub(super) fn new(shared: Shared<'a, I, F, U>, mode: G, alone: Option<CancelToken>) -> Self {
        Parallel { shared: Arc::new(shared), mode, alone, ready: VecDeque::new(), finished: false }
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
            if !self.mode.is_open() {
                return Ok(self.finish(true));
            }
            if let Some(out) = self.ready.pop_front() {
                return Ok(Some(self.hand_out(out)));
            }
            let Parallel { shared, ready, alone, .. } = self;
            let output = OutputWait { shared };
            // The token of the stages above, which is cancelled with whatever stops the pipeline, or a child
            // of it.
            let limit = limit.or_cancelled(alone.as_ref().unwrap_or(shared.mode.shut()));
            match limit.retry(&output, || refill(shared, ready)) {
                Ok(Found::Something) => {}
                Ok(Found::End(cut)) => return Ok(self.finish(cut)),
                Err(WaitError::TimedOut) => return Err(WaitError::TimedOut),
                Err(_) if shared.mode.is_open() && alone.take().is_some() => {
                    shared.state.lock().consumer_reads = true;
                }
                Err(_) => return Ok(self.finish(true)),
            }
        }
    }

    /// Counts the item out, and gives it away.
    #[inline]
    fn hand_out(&mut self, out: Out<U>) -> U {
        if self.shared.window.hand_out() {
            self.shared.room_came();
        }
        if let Some(meter) = &self.shared.meter {
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
                join(&self.shared);
                panics::resume(payload)
            }
        }
    }

    #[cold]
    fn finish(&mut self, cut: bool) -> Option<U> {
        if cut {
            self.mode.cut();
        }
        self.finished = true;
        self.shared.stop();
        None
    }
}

/// Waits until no worker is here.
fn join<I: Iterator, F, U>(shared: &Arc<Shared<'_, I, F, U>>) {
    // Ended by the last worker that leaves, under this lock.
    let waited = Until::forever().wait_until_ready(
        &shared.state,
        |state| &mut state.leaving,
        |state| state.present == 0,
    );
    debug_assert!(waited.is_ok(), "a forever limit does not end");
}

/// Takes out what has come, or lends a hand until something has.
fn refill<'a, I, F, U>(
    shared: &Arc<Shared<'a, I, F, U>>,
    ready: &mut VecDeque<Out<U>>,
) -> Result<Found, TryError>
where
    I: Iterator + Send + 'a,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> U + Send + Sync + 'a,
    U: Send + 'a,
{
    loop {
        let mut state = shared.state.lock();
        if shared.rules.ordered {
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
            shared.call(state);
            return Ok(Found::Something);
        }
        if let (Some(cut), true) = (state.ended, state.chunks.is_empty()) {
            return Ok(Found::End(cut));
        }
        match shared.take_job(&mut state, Who::Consumer) {
            Some(job) => {
                shared.call(state);
                shared.perform(job);
            }
            None => {
                shared.call(state);
                return Err(TryError::WouldBlock);
            }
        }
    }
}

/// Where the consumer waits for an output.
struct OutputWait<'w, W> {
    shared: &'w Arc<W>,
}

impl<'a, I, F, U> WaitPoint for OutputWait<'_, Shared<'a, I, F, U>>
where
    I: Iterator + Send + 'a,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> U + Send + Sync + 'a,
    U: Send + 'a,
{
    fn looks_ready(&self) -> bool {
        let Some(state) = self.shared.state.try_lock() else { return false };
        if state.chunks.is_empty() && state.ended.is_some() {
            return true;
        }
        let heads = if self.shared.rules.ordered { 1 } else { usize::MAX };
        state.chunks.iter().take(heads).any(|chunk| {
            chunk.try_lock().is_some_and(|contents| !contents.outputs.is_empty() || contents.is_done())
        })
    }

    fn join(&self, waiter: &Waiter) -> bool {
        // Invariant 3: what would end the wait is found here, or ends it, because both are under these locks.
        let mut state = self.shared.state.lock();
        if state.chunks.is_empty() && state.ended.is_some()
            || !self.shared.has_nothing_for(&state, Who::Consumer)
        {
            return false;
        }
        let heads = if self.shared.rules.ordered { 1 } else { usize::MAX };
        for chunk in state.chunks.iter().take(heads) {
            let mut contents = chunk.lock();
            if !contents.outputs.is_empty() || contents.is_done() {
                return false;
            }
            contents.wanted = true;
        }
        state.consumer.join(waiter);
        // With the consumer asleep, there is more to do for another worker.
        self.shared.call(state);
        true
    }

    fn leave(&self, waiter: &Waiter) {
        self.shared.state.lock().consumer.leave(waiter);
    }
}

impl<'a, I, F, U, G> Iterator for Parallel<'a, I, F, U, G>
where
    I: Iterator + Send + 'a,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> U + Send + Sync + 'a,
    U: Send + 'a,
    G: CancelMode,
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
        self.shared.stop();
        join(&self.shared);
        // Nobody else is here, and whoever comes late touches neither: the caller's code runs here, without a
        // lock.
        let mut state = self.shared.state.lock();
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
        if let Some(state) = self.shared.state.try_lock() {
            out.field("chunks", &state.chunks.len()).field("workers", &state.present);
        }
        out.finish_non_exhaustive()
    }
}
