//! What those who read and compute do.

use std::cell::Cell;
use std::mem;

use super::chunk::{Chunk, Out};
use super::shared::{Job, Shared, State, Who};
use crate::clock::Clock;
use crate::error::TryError;
use crate::panics::{self, Payload};
use crate::pipeline::cancel_mode::CancelMode;
use crate::pipeline::figures::{Spent, measured};
use crate::sync::{Arc, MutexGuard};
use crate::until::Until;
use crate::wait::{WaitPoint, Waiter, Wake};

/// Inputs of chunks, that are dropped where no lock is held.
type Dropped<T> = Vec<std::collections::VecDeque<T>>;

/// How reading ended.
enum End {
    /// It did not: others may go on.
    No,
    Yes,
    Panic(Payload),
}

/// An idle worker's place.
struct IdleWait<'w, W> {
    shared: &'w Arc<W>,
    /// It has slept since it last looked, so it may be the one that was called.
    slept: Cell<bool>,
}

impl<'a, I, F, U> Shared<'a, I, F, U>
where
    I: Iterator + Send + 'a,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> U + Send + Sync + 'a,
    U: Send + 'a,
{
    /// A worker's life.
    pub(super) fn work(self: Arc<Self>) {
        {
            let mut state = self.state.lock();
            state.posting = false;
            if state.stopped {
                return;
            }
            state.present += 1;
        }
        let idle = IdleWait { shared: &self, slept: Cell::new(false) };
        let limit = Until::from(self.mode.shut());
        let meter = self.meter.as_deref();
        while let Ok(job) = measured(meter, Spent::Idle, || limit.retry(&idle, || self.find(&idle))) {
            self.perform(job);
        }
        // Woken with the lock free.
        drop(self.leave());
    }

    /// Counts a worker out; who waits until none is here.
    fn leave(&self) -> Vec<Wake> {
        let mut state = self.state.lock();
        state.present -= 1;
        state.workers -= 1;
        if state.present == 0 { state.leaving.take_all() } else { Vec::new() }
    }

    fn find(self: &Arc<Self>, idle: &IdleWait<'_, Self>) -> Result<Job<I, U>, TryError> {
        let mut state = self.state.lock();
        if idle.slept.take() {
            state.waking = false;
        }
        if state.stopped {
            return Err(TryError::Closed);
        }
        match self.take_job(&mut state, Who::Worker) {
            Some(job) => {
                self.call(state);
                Ok(job)
            }
            // What is left has an owner, who goes on with it.
            None if state.ended.is_some() => Err(TryError::Closed),
            None => Err(TryError::WouldBlock),
        }
    }

    pub(super) fn perform(self: &Arc<Self>, job: Job<I, U>) {
        match job {
            Job::Compute(chunk) => self.compute(&chunk),
            Job::Read { input, chunk, quota } => {
                let meter = self.meter.as_deref();
                if measured(meter, Spent::Reading, || self.read(input, &chunk, quota)) {
                    self.compute(&chunk);
                }
            }
        }
    }

    /// Reads up to `quota` items into the chunk; true if the caller has got a seat to compute them.
    fn read(self: &Arc<Self>, mut input: Box<I>, chunk: &Arc<Chunk<I::Item, U>>, quota: usize) -> bool {
        let mut count = 0;
        let mut end = End::No;
        while count < quota {
            // Asked before each item, and not under a lock: the input is the caller's code.
            match panics::catch(|| input.next()) {
                Ok(Some(item)) => {
                    count += 1;
                    let mut contents = chunk.lock();
                    // `fail` says so, if something before this chunk has ended everything.
                    if !contents.being_read {
                        drop(contents);
                        panics::discard(item);
                        break;
                    }
                    contents.inputs.push_back(item);
                    // The next item may be long in coming. If somebody waits for this one, it is not left
                    // lying.
                    let wanted = quota > 1 && mem::take(&mut contents.wanted);
                    drop(contents);
                    if wanted {
                        self.offer();
                    }
                }
                Ok(None) => {
                    end = End::Yes;
                    break;
                }
                Err(payload) => {
                    end = End::Panic(payload);
                    break;
                }
            }
        }
        let input = match end {
            End::No => Some(input),
            // What it holds is gone, and its threads have ended, before anybody hears of the end.
            End::Yes | End::Panic(_) => {
                if let Err(payload) = panics::catch(|| drop(input)) {
                    match end {
                        End::Panic(_) => panics::discard(payload),
                        End::Yes | End::No => end = End::Panic(payload),
                    }
                }
                None
            }
        };
        self.put_back(input, end, chunk, count)
    }

    /// Calls the consumer to an item that was read and that nobody computes, and another worker.
    #[cold]
    fn offer(self: &Arc<Self>) {
        // Before the consumer is gone from its line: while it sleeps, every item is worth calling a worker
        // for.
        self.call(self.state.lock());
        self.wake_consumer();
    }

    /// Ends reading, and says whether the reader has got a seat.
    fn put_back(
        self: &Arc<Self>,
        input: Option<Box<I>>,
        end: End,
        chunk: &Arc<Chunk<I::Item, U>>,
        count: usize,
    ) -> bool {
        if let Some(meter) = &self.meter {
            meter.take_in(count);
        }
        let mut state = self.state.lock();
        state.read += count;
        let failed = state.ended.is_some();
        let mut wakes = Vec::new();
        let (mut unwanted, mut late) = (None, None);
        match (input, end) {
            (Some(input), _) if failed => unwanted = Some(input),
            (Some(input), _) => state.input = Some(input),
            (None, end) if failed => late = Some(end),
            (None, end) => {
                if let End::Panic(payload) = end {
                    state.chunks.push_back(Chunk::of_panic(payload));
                }
                wakes = self.end(&mut state, self.mode.is_cut());
            }
        }
        let mut contents = chunk.lock();
        contents.being_read = false;
        // Whoever failed takes no interest in what came later.
        let rejected = if failed { mem::take(&mut contents.inputs) } else { Default::default() };
        let free = state.computing < self.rules.workers;
        let seat = !contents.inputs.is_empty() && free;
        contents.owned = seat;
        state.computing += usize::from(seat);
        let left = !seat && contents.wanted;
        drop(contents);
        // Left over, or empty: the consumer goes on with it, or to the next.
        let consumer = if left { state.consumer.take_all() } else { Vec::new() };
        self.call(state);
        drop((wakes, consumer));
        // Something before has ended everything, and is what the consumer gets.
        panics::discard(unwanted);
        panics::discard(late);
        panics::discard_each(rejected);
        seat
    }

    /// Computes what is in the chunk, and gives the seat back.
    fn compute(self: &Arc<Self>, chunk: &Arc<Chunk<I::Item, U>>) {
        let start = Clock::system().now();
        let mut count = 0;
        let mut output = None;
        while let Some(item) = self.exchange(chunk, output.take()) {
            if !self.mode.is_open() {
                panics::discard(item);
                self.abandon(chunk);
                break;
            }
            count += 1;
            match panics::catch(|| (self.f)(item)) {
                Ok(result) if (self.rules.is_last)(&result) => {
                    self.fail(chunk, Out::Last(result));
                    break;
                }
                Ok(result) => output = Some(Out::Item(result)),
                Err(payload) => {
                    self.fail(chunk, Out::Panic(payload));
                    break;
                }
            }
        }
        let end = Clock::system().now();
        let time = end.saturating_duration_since(start);
        if let Some(meter) = &self.meter {
            meter.add(Spent::Working, start, end);
        }
        let mut state = self.state.lock();
        state.learn(time, count);
        state.computing -= 1;
    }

    /// Puts an output in and takes the next input out; without one the chunk is no longer owned.
    #[inline]
    fn exchange(&self, chunk: &Chunk<I::Item, U>, output: Option<Out<U>>) -> Option<I::Item> {
        let mut contents = chunk.lock();
        contents.outputs.extend(output);
        let input = contents.inputs.pop_front();
        contents.owned = input.is_some();
        // The consumer sleeps on this chunk: there is an output, or there will be none.
        let wake = contents.wanted && (!contents.outputs.is_empty() || contents.is_done());
        contents.wanted &= !wake;
        drop(contents);
        if wake {
            self.wake_consumer();
        }
        input
    }

    /// Drops what is left in a chunk, because everything was stopped. From here on the end is not the input's
    /// own, whatever it was before: the consumer may be on its way to it, past its look at the token.
    fn abandon(&self, chunk: &Chunk<I::Item, U>) {
        let mut state = self.state.lock();
        state.ended = Some(true);
        let mut contents = chunk.lock();
        let left = mem::take(&mut contents.inputs);
        contents.owned = false;
        drop(contents);
        drop(state);
        panics::discard_each(left);
    }

    /// An item of the chunk has ended everything: what comes after it is not begun, what comes before it is.
    /// Where the order does not matter, nothing more is begun.
    fn fail(&self, chunk: &Arc<Chunk<I::Item, U>>, out: Out<U>) {
        let mut state = self.state.lock();
        let input = state.input.take();
        let wakes = self.end(&mut state, false);
        let mut dropped = self.later_inputs(&state, chunk);
        let mut contents = chunk.lock();
        dropped.push(mem::take(&mut contents.inputs));
        contents.outputs.push_back(out);
        contents.owned = false;
        let wanted = mem::take(&mut contents.wanted);
        drop(contents);
        let consumer = if wanted { state.consumer.take_all() } else { Vec::new() };
        drop(state);
        drop((wakes, consumer));
        // What ended everything is what the consumer gets; and this thread, whose seat is still to be given
        // back, must not unwind.
        panics::discard(input);
        panics::discard_each(dropped.into_iter().flatten());
    }

    fn later_inputs(
        &self,
        state: &MutexGuard<'_, State<I, U>>,
        chunk: &Arc<Chunk<I::Item, U>>,
    ) -> Dropped<I::Item> {
        let position = state.chunks.iter().position(|other| Arc::ptr_eq(other, chunk));
        let first = if self.rules.ordered { position.map_or(0, |position| position + 1) } else { 0 };
        let inputs = |chunk: &Arc<Chunk<I::Item, U>>| {
            let mut contents = chunk.lock();
            contents.being_read = false;
            mem::take(&mut contents.inputs)
        };
        state.chunks.range(first..).map(inputs).collect()
    }
}

impl<'a, I, F, U> WaitPoint for IdleWait<'_, Shared<'a, I, F, U>>
where
    I: Iterator + Send + 'a,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> U + Send + Sync + 'a,
    U: Send + 'a,
{
    fn looks_ready(&self) -> bool {
        let Some(state) = self.shared.state.try_lock() else { return false };
        state.stopped || state.ended.is_some() || !self.shared.has_nothing_for(&state, Who::Worker)
    }

    fn join(&self, waiter: &Waiter) -> bool {
        // Ended by `call`, `end` and `stop`, under this lock.
        let mut state = self.shared.state.lock();
        if state.stopped || state.ended.is_some() || !self.shared.has_nothing_for(&state, Who::Worker) {
            return false;
        }
        self.slept.set(true);
        state.idle.join(waiter);
        true
    }

    fn leave(&self, waiter: &Waiter) {
        self.shared.state.lock().idle.leave(waiter);
    }
}
