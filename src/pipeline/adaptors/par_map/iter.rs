//! The consumer of a parallel map.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::mem;

use super::choice::Role;
use super::chunk::{Chunk, Out};
use super::live::ListedMap;
use super::shared::Shared;
use crate::cancel::CancelToken;
use crate::error::{TryError, WaitError};
use crate::panics::{self, FirstPanic};
use crate::pipeline::cancel_mode::CancelMode;
use crate::sync::Arc;
use crate::until::Until;
use crate::wait::graph::Awaited;
use crate::wait::sleeps::Subject;
use crate::wait::{WaitPoint, Waiter};

/// The outputs of a parallel map. Dropping it stops the workers and waits until they have left.
#[doc(hidden)]
pub struct ParMapIter<'a, I, F, U, G>
where
    I: Iterator + Send + 'a,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> U + Send + Sync + 'a,
    U: Send + 'a,
{
    shared: Arc<Shared<'a, I, F, U>>,
    /// The mode of the stages after this one.
    mode: G,
    /// Cancelled when the system refuses a worker; `None` if the consumer does the work in any case.
    refused: Option<CancelToken>,
    /// Outputs that were taken out of the chunks and not delivered yet.
    ready: VecDeque<Out<U>>,
    finished: bool,
}

/// What `refill` found.
enum Found {
    Something,
    /// The end; true if the pipeline was cancelled before it.
    End(bool),
}

impl<'a, I, F, U, G> ParMapIter<'a, I, F, U, G>
where
    I: Iterator + Send + 'a,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> U + Send + Sync + 'a,
    U: Send + 'a,
    G: CancelMode,
{
    pub(super) fn new(shared: Shared<'a, I, F, U>, mode: G, refused: Option<CancelToken>) -> Self {
        ParMapIter { shared: Arc::new(shared), mode, refused, ready: VecDeque::new(), finished: false }
    }

    /// Returns the next output, or an error if `limit` ends first.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`].
    pub(crate) fn next_until(&mut self, limit: Until<'_>) -> Result<Option<U>, WaitError> {
        loop {
            if self.finished {
                return Ok(None);
            }
            // Before the outputs that are ready: after a cancellation none is delivered.
            if self.mode.is_cancelled() {
                return Ok(self.finish(true));
            }
            if let Some(out) = self.ready.pop_front() {
                return Ok(Some(self.deliver(out)));
            }
            let ParMapIter { shared, ready, refused, .. } = self;
            let shared = &*shared;
            let output = OutputWait { shared, inputs_seen: Cell::new(0) };
            // Under a time limit an output that is ready is taken at once.
            let mut is_patient = limit.is_unlimited();
            // The token of the stages before, or a child of it: either is cancelled when the pipeline stops.
            let limit = limit.or_cancelled(refused.as_ref().unwrap_or(shared.mode.cancel_token()));
            let attempt = || refill(shared, ready, mem::take(&mut is_patient));
            match limit.called("Pipeline::par_map").retry(&output, attempt) {
                Ok(Found::Something) => {}
                Ok(Found::End(truncated)) => return Ok(self.finish(truncated)),
                Err(WaitError::TimedOut) => return Err(WaitError::TimedOut),
                // The refusal and no cancellation. From now on this thread does the work while no worker
                // runs; `take`, so that the token, which stays cancelled, does not end the next wait.
                Err(_) if !shared.mode.is_cancelled() && refused.take().is_some() => {
                    shared.state.lock().consumer_reads = true;
                }
                Err(_) => return Ok(self.finish(true)),
            }
        }
    }

    /// Counts the item out of the window, and returns it.
    #[inline]
    fn deliver(&mut self, out: Out<U>) -> U {
        // Counted before the item is returned, so the reader is woken while the caller uses the item.
        if self.shared.window.deliver() {
            self.shared.room_available();
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
    fn finish(&mut self, truncated: bool) -> Option<U> {
        if truncated {
            self.mode.mark_truncated();
        }
        self.finished = true;
        self.shared.stop();
        None
    }
}

/// Waits until no worker is running.
fn join<I: Iterator, F, U>(shared: &Arc<Shared<'_, I, F, U>>) {
    // Waits for the last worker to leave. `leave` takes the waiters out of the list under this lock, so the
    // wake-up cannot be missed.
    let waited = Until::forever().called("Pipeline::par_map, its end").wait_until_ready(
        &shared.state,
        |state| &mut state.leaving,
        |state| state.running == 0,
    );
    debug_assert!(waited.is_ok(), "a forever limit does not end");
}

/// Takes the outputs that are ready, or computes the item that the consumer waits for until one is. A patient
/// consumer leaves few outputs of cheap items for the first attempt after a spin phase.
fn refill<'a, I, F, U>(
    shared: &Arc<Shared<'a, I, F, U>>,
    ready: &mut VecDeque<Out<U>>,
    mut is_patient: bool,
) -> Result<Found, TryError>
where
    I: Iterator + Send + 'a,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> U + Send + Sync + 'a,
    U: Send + 'a,
{
    loop {
        let mut state = shared.state.lock();
        state.consumer_computes = false;
        if is_patient && shared.has_few_outputs(&state) {
            return Err(TryError::WouldBlock);
        }
        take_outputs(&mut state.chunks, shared.rules.ordered, ready);
        if !ready.is_empty() {
            // A worker that is not woken now is woken when an item is delivered, or when the consumer waits.
            shared.wake_worker(state);
            return Ok(Found::Something);
        }
        // Only with no chunk left: the end comes after all items that were read.
        if let (Some(truncated), true) = (state.ended, state.chunks.is_empty()) {
            return Ok(Found::End(truncated));
        }
        match shared.take_job(&mut state, Role::Consumer) {
            Some(job) => {
                shared.wake_worker(state);
                shared.perform(job);
                // It has returned a permit, and may have left items over: a worker is woken for them below.
                is_patient = false;
            }
            None => {
                shared.wake_worker(state);
                return Err(TryError::WouldBlock);
            }
        }
    }
}

/// Moves the outputs that may be delivered now into `ready`, and drops the chunks that are done.
fn take_outputs<T, U>(chunks: &mut VecDeque<Arc<Chunk<T, U>>>, ordered: bool, ready: &mut VecDeque<Out<U>>) {
    if !ordered {
        return chunks.retain(|chunk| !chunk.take_outputs(ready));
    }
    while chunks.front().is_some_and(|head| head.take_outputs(ready)) {
        chunks.pop_front();
    }
}

/// Where the consumer waits for an output.
struct OutputWait<'w, W> {
    shared: &'w Arc<W>,
    /// The number of inputs in the first chunk at the last look.
    inputs_seen: Cell<usize>,
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
        let (heads, few) = (self.shared.heads(), self.shared.few(&state));
        // An item that the consumer would compute itself. While more of them arrive, they are left to the
        // reader, which computes many cheap ones faster than two threads do in turn.
        let inputs = state.chunks.front().map_or(0, |head| head.inputs());
        let is_steady = self.inputs_seen.replace(inputs) == inputs || few == 1;
        if is_steady && !self.shared.has_nothing_for(&state, Role::Consumer) {
            return true;
        }
        state.chunks.iter().take(heads).any(|chunk| chunk.is_ready(few))
    }

    fn join(&self, waiter: &Waiter) -> bool {
        // Waits for an output or the end. Both come about under the locks held here, so either this check
        // sees them, or the thread that brings them about sees `wanted` and the waiter: invariant 3.
        let mut state = self.shared.state.lock();
        if state.chunks.is_empty() && state.ended.is_some()
            || !self.shared.has_nothing_for(&state, Role::Consumer)
        {
            return false;
        }
        if !state.chunks.iter().take(self.shared.heads()).all(|chunk| chunk.want()) {
            return false;
        }
        state.consumer.join(waiter);
        // With the consumer asleep, every input is worth stealing, so there may be work for another worker.
        self.shared.wake_worker(state);
        true
    }

    fn leave(&self, waiter: &Waiter) {
        self.shared.state.lock().consumer.leave(waiter);
    }

    fn describe(&self, subject: Subject) -> Subject {
        subject.on(&**self.shared)
    }

    fn awaited(&self) -> Option<Arc<dyn Awaited>> {
        // `None` in a model. The wait has a token, so there is no edge in the graph.
        self.shared.listed.as_ref().map(ListedMap::awaited)
    }
}

impl<'a, I, F, U, G> Iterator for ParMapIter<'a, I, F, U, G>
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
        // An unlimited wait does not time out.
        self.next_until(Until::forever()).unwrap_or(None)
    }
}

impl<'a, I, F, U, G> Drop for ParMapIter<'a, I, F, U, G>
where
    I: Iterator + Send + 'a,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> U + Send + Sync + 'a,
    U: Send + 'a,
{
    fn drop(&mut self) {
        self.shared.stop();
        join(&self.shared);
        // All workers have left, and a worker that starts later touches neither. The caller's drops run
        // without a lock.
        let mut state = self.shared.state.lock();
        let (input, chunks) = (state.input.take(), mem::take(&mut state.chunks));
        drop(state);
        let mut panicked = FirstPanic::new();
        panicked.call(|| drop(input));
        panicked.call(|| Out::drop_each(mem::take(&mut self.ready)));
        for chunk in chunks {
            let (inputs, outputs) = chunk.empty();
            panicked.call(|| panics::drop_each(inputs));
            panicked.call(|| Out::drop_each(outputs));
        }
        panicked.resume();
    }
}

impl<'a, I, F, U, G> fmt::Debug for ParMapIter<'a, I, F, U, G>
where
    I: Iterator + Send + 'a,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> U + Send + Sync + 'a,
    U: Send + 'a,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("ParMapIter");
        out.field("ready", &self.ready.len());
        if let Some(state) = self.shared.state.try_lock() {
            out.field("chunks", &state.chunks.len()).field("workers", &state.running);
        }
        out.finish_non_exhaustive()
    }
}
