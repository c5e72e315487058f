//! The jobs of a parallel map: reading and computing.

use std::cell::Cell;

use super::choice::{Job, Role};
use super::chunk::{Chunk, Out};
use super::shared::{ChunkOf, Shared, State};
use crate::clock::Clock;
use crate::error::TryError;
use crate::panics::{self, Payload};
use crate::pipeline::cancel_mode::CancelMode;
use crate::pipeline::figures::{Spent, measured};
use crate::sync::{Arc, MutexGuard};
use crate::until::Until;
use crate::wait::{WaitPoint, Waiter, Wake, timeline};

/// Inputs that are dropped once no lock is held.
type Dropped<T> = Vec<Vec<T>>;

/// The state of the input after reading from it.
enum InputState {
    /// There may be more items.
    Open,
    Ended,
    Panicked(Payload),
}

/// Where an idle worker waits for work.
struct IdleWait<'w, W> {
    shared: &'w Arc<W>,
    /// The worker has slept since it last looked for work, so it may be the one that was woken.
    slept: Cell<bool>,
}

impl<'a, I, F, U> Shared<'a, I, F, U>
where
    I: Iterator + Send + 'a,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> U + Send + Sync + 'a,
    U: Send + 'a,
{
    /// Runs a worker, from its start until there is no more work.
    pub(super) fn work(self: Arc<Self>) {
        {
            let mut state = self.state.lock();
            // Cleared even if the map has stopped: no worker is on its way any more.
            state.starting = false;
            if state.stopped {
                return;
            }
            state.running += 1;
        }
        if let Some(listed) = &self.listed {
            listed.begin();
        }
        let idle = IdleWait { shared: &self, slept: Cell::new(false) };
        let limit = Until::from(self.mode.cancel_token());
        let meter = self.meter.as_deref();
        while let Ok(job) = measured(meter, Spent::Idle, || limit.retry(&idle, || self.find_job(&idle))) {
            self.perform(job);
        }
        // Woken after `leave` has unlocked.
        drop(self.leave());
    }

    /// Counts a worker out, and returns the threads that wait until no worker is running.
    fn leave(&self) -> Vec<Wake> {
        if let Some(listed) = &self.listed {
            listed.leave();
        }
        let mut state = self.state.lock();
        state.running -= 1;
        state.spawned -= 1;
        if state.running == 0 { state.leaving.take_all() } else { Vec::new() }
    }

    fn find_job(self: &Arc<Self>, idle: &IdleWait<'_, Self>) -> Result<Job<I, U>, TryError> {
        let mut state = self.state.lock();
        // This worker may be the one that was woken. If it is not, one more than needed may be woken, which
        // does no harm.
        if idle.slept.take() {
            state.waking = false;
        }
        if state.stopped {
            return Err(TryError::Closed);
        }
        match self.take_job(&mut state, Role::Worker) {
            Some(job) => {
                // Invariant 2: this worker is busy now, and there may be work for another.
                self.wake_worker(state);
                Ok(job)
            }
            // Every chunk left has an owner, which finishes it; or all permits are taken, and a thread that
            // returns one looks for work.
            None if state.ended.is_some() => Err(TryError::Closed),
            None => Err(TryError::WouldBlock),
        }
    }

    pub(super) fn perform(self: &Arc<Self>, job: Job<I, U>) {
        match job {
            Job::Compute(chunk) => self.compute(&chunk, true),
            Job::ComputeFirst(chunk) => self.compute(&chunk, false),
            Job::Read { input, chunk, quota } => {
                let meter = self.meter.as_deref();
                let recorded = timeline::task("Pipeline::par_map, reading", None);
                let permitted = measured(meter, Spent::Reading, || self.read(input, chunk, quota));
                drop(recorded);
                if let Some(chunk) = permitted {
                    self.compute(&chunk, true);
                }
            }
        }
    }

    /// Reads up to `quota` items into the chunk. If the caller got a permit to compute items that it has
    /// read, returns their chunk.
    fn read(
        self: &Arc<Self>,
        mut input: Box<I>,
        mut chunk: ChunkOf<I, U>,
        quota: usize,
    ) -> Option<ChunkOf<I, U>> {
        let mut count = 0;
        let mut end = InputState::Open;
        while count < quota {
            // Without a lock: the input is the caller's code. The input itself checks the cancel mode.
            match panics::catch(|| input.next()) {
                Ok(Some(item)) => {
                    count += 1;
                    // The next item may be slow to arrive. If the consumer waits for this one, another thread
                    // gets it now.
                    match chunk.push(item, quota > 1) {
                        Ok(false) => {}
                        Ok(true) => self.offer(),
                        Err(item) => match self.push_elsewhere(item) {
                            Some(other) => chunk = other,
                            None => break,
                        },
                    }
                }
                Ok(None) => {
                    end = InputState::Ended;
                    break;
                }
                Err(payload) => {
                    end = InputState::Panicked(payload);
                    break;
                }
            }
        }
        if matches!(end, InputState::Open) {
            return self.put_back(Some(input), end, chunk, count);
        }
        // The input is dropped, and its threads joined, before any other thread learns of the end.
        if let Err(payload) = panics::catch(|| drop(input)) {
            match end {
                // Tie: of a panic in `next` and one in the drop, the consumer gets the first.
                InputState::Panicked(_) => panics::discard(payload),
                InputState::Ended | InputState::Open => end = InputState::Panicked(payload),
            }
        }
        self.put_back(None, end, chunk, count)
    }

    /// Stores an item whose chunk was detached from its reader, this thread, and returns the chunk to read
    /// into now. If an earlier item has ended the stage meanwhile, drops the item.
    #[cold]
    fn push_elsewhere(self: &Arc<Self>, item: I::Item) -> Option<ChunkOf<I, U>> {
        let state = self.state.lock();
        // Under the lock, under which chunks are detached, so this chunk is not detached before the push.
        let chunk = state.chunks.back().filter(|_| state.ended.is_none()).map(Arc::clone);
        let pushed = match &chunk {
            Some(chunk) => chunk.push(item, true),
            None => Err(item),
        };
        drop(state);
        match pushed {
            Ok(wanted) => {
                if wanted {
                    self.offer();
                }
                chunk
            }
            Err(item) => {
                panics::discard(item);
                None
            }
        }
    }

    /// Wakes a thread because there is an item that no thread computes, and for which the consumer waits.
    #[cold]
    fn offer(self: &Arc<Self>) {
        // The consumer computes it, unless the order does not matter. If it cannot, it wakes a worker before
        // it sleeps again, while every input is worth a wake-up.
        if !self.rules.ordered {
            // The worker first: while the consumer is in the wait list, every input is worth a wake-up.
            self.wake_worker(self.state.lock());
        }
        self.wake_consumer();
    }

    /// Returns the input and ends reading. Returns the chunk if the reader got a permit.
    fn put_back(
        self: &Arc<Self>,
        input: Option<Box<I>>,
        end: InputState,
        chunk: ChunkOf<I, U>,
        count: usize,
    ) -> Option<ChunkOf<I, U>> {
        if let Some(meter) = &self.meter {
            meter.take_in(count);
        }
        let mut state = self.state.lock();
        state.read += count;
        if let Some(listed) = &self.listed {
            listed.has_read(state.read);
        }
        let failed = state.ended.is_some();
        // The last chunk is the one to leave, if the reader has stored nothing since it was detached.
        let chunk = match state.chunks.back() {
            Some(last) if !chunk.is_being_read() => Arc::clone(last),
            _ => chunk,
        };
        let mut wakes = Vec::new();
        let (mut unwanted, mut late) = (None, None);
        match (input, end) {
            (Some(input), _) if failed => unwanted = Some(input),
            (Some(input), _) => state.input = Some(input),
            (None, end) if failed => late = Some(end),
            (None, end) => {
                if let InputState::Panicked(payload) = end {
                    state.chunks.push_back(Chunk::of_panic(payload));
                }
                wakes = self.end_input(&mut state, self.mode.is_truncated());
            }
        }
        // After a failure, items that were read later are dropped: taken out here, and dropped below without
        // the locks.
        let rejected = if failed { chunk.reject() } else { Vec::new() };
        // The chunk is left to other threads now, unless this thread gets a permit to compute it.
        // Invariant 4: no permit for this chunk before an earlier one that is left over.
        let permitted = state.computing < self.rules.workers && state.left_over().is_none();
        let left = chunk.end_reading(permitted);
        state.computing += usize::from(left.owned);
        state.has_left_over |= left.left_over;
        // The chunk has no owner, or is empty: the consumer computes its first item, or skips it.
        let consumer = if left.unclaimed { state.consumer.take_all() } else { Vec::new() };
        self.wake_worker(state);
        // `wake_worker` has unlocked.
        drop((wakes, consumer));
        // An earlier item has ended the stage, and the consumer gets that.
        panics::discard(unwanted);
        panics::discard(late);
        panics::discard_each(rejected);
        left.owned.then_some(chunk)
    }

    /// Computes the items of the chunk, or only the first, then releases the permit.
    fn compute(self: &Arc<Self>, chunk: &ChunkOf<I, U>, all: bool) {
        let start = Clock::system().now();
        let recorded = timeline::task("Pipeline::par_map", Some(&self.name));
        let mut count = 0;
        let mut output = None;
        while let Some(item) = self.exchange(chunk, output.take(), all || count == 0) {
            if self.mode.is_cancelled() {
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
                Ok(result) => output = Some(result),
                Err(payload) => {
                    self.fail(chunk, Out::Panic(payload));
                    break;
                }
            }
        }
        drop(recorded);
        let end = Clock::system().now();
        let time = end.saturating_duration_since(start);
        if let Some(meter) = &self.meter {
            meter.add(Spent::Working, start, end);
        }
        let mut state = self.state.lock();
        state.record_cost(time, count);
        // Before the permit is returned: invariant 4.
        state.has_left_over |= chunk.is_left_over();
        // Wakes no worker for the permit, since this thread looks for work next.
        state.computing -= 1;
    }

    /// Stores an output and begins the next item. If there is none, the chunk loses its owner.
    #[inline]
    fn exchange(&self, chunk: &ChunkOf<I, U>, output: Option<U>, go_on: bool) -> Option<I::Item> {
        let (input, wake) = chunk.exchange(output, go_on);
        if wake {
            self.wake_consumer();
        }
        input
    }

    /// Drops the rest of a chunk after a cancellation. From here on the end counts as truncated, even if the
    /// input had ended by itself: the consumer may already have checked the token and be about to report that
    /// end.
    fn abandon(&self, chunk: &ChunkOf<I, U>) {
        let mut state = self.state.lock();
        // Overwrites an earlier end, unlike `end_input`: an item is missing, so no end is success any more.
        state.ended = Some(true);
        let (rest, _) = chunk.close(None);
        drop(state);
        panics::discard_each(rest);
    }

    /// Ends the stage because of an item of this chunk. Later items are not begun; earlier items are. If the
    /// order does not matter, no further item is begun.
    fn fail(&self, chunk: &ChunkOf<I, U>, out: Out<U>) {
        let mut state = self.state.lock();
        let input = state.input.take();
        let wakes = self.end_input(&mut state, false);
        let mut dropped = self.later_inputs(&state, chunk);
        let (rest, wanted) = chunk.close(Some(out));
        dropped.push(rest);
        // Under the state's lock, which `join` holds from setting `wanted` until the consumer is in the list.
        let consumer = if wanted { state.consumer.take_all() } else { Vec::new() };
        drop(state);
        drop((wakes, consumer));
        // Contained: the consumer gets the failure of the item instead, and this thread must not unwind while
        // it holds a permit.
        panics::discard(input);
        panics::discard_each(dropped.into_iter().flatten());
    }

    fn later_inputs(&self, state: &MutexGuard<'_, State<I, U>>, chunk: &ChunkOf<I, U>) -> Dropped<I::Item> {
        let position = state.chunks.iter().position(|other| Arc::ptr_eq(other, chunk));
        let first = if self.rules.ordered { position.map_or(0, |position| position + 1) } else { 0 };
        state.chunks.range(first..).map(|chunk| chunk.reject()).collect()
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
        state.stopped || state.ended.is_some() || !self.shared.has_nothing_for(&state, Role::Worker)
    }

    fn join(&self, waiter: &Waiter) -> bool {
        // Waits for work, the end, or a stop. `wake_worker` and `end_input` take waiters out of the list
        // under this lock, and `stop` cancels the token that limits the wait, so no wake-up is missed.
        let mut state = self.shared.state.lock();
        if state.stopped || state.ended.is_some() || !self.shared.has_nothing_for(&state, Role::Worker) {
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
