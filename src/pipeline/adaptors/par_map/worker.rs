//! The jobs of a parallel map: reading and computing.

use std::cell::Cell;
use std::mem;

use super::chunk::{Chunk, Out};
use super::shared::{Job, Role, Shared, State};
use crate::clock::Clock;
use crate::error::TryError;
use crate::panics::{self, Payload};
use crate::pipeline::cancel_mode::CancelMode;
use crate::pipeline::figures::{Spent, measured};
use crate::sync::{Arc, MutexGuard};
use crate::until::Until;
use crate::wait::{WaitPoint, Waiter, Wake, timeline};

/// Inputs that are dropped once no lock is held.
type Dropped<T> = Vec<std::collections::VecDeque<T>>;

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
            // Every chunk left has an owner, which finishes it.
            None if state.ended.is_some() => Err(TryError::Closed),
            None => Err(TryError::WouldBlock),
        }
    }

    pub(super) fn perform(self: &Arc<Self>, job: Job<I, U>) {
        match job {
            Job::Compute(chunk) => self.compute(&chunk),
            Job::Read { input, chunk, quota } => {
                let meter = self.meter.as_deref();
                let recorded = timeline::task("Pipeline::par_map, reading", None);
                let permitted = measured(meter, Spent::Reading, || self.read(input, &chunk, quota));
                drop(recorded);
                if permitted {
                    self.compute(&chunk);
                }
            }
        }
    }

    /// Reads up to `quota` items into the chunk. Returns true if the caller got a permit to compute them.
    fn read(self: &Arc<Self>, mut input: Box<I>, chunk: &Arc<Chunk<I::Item, U>>, quota: usize) -> bool {
        let mut count = 0;
        let mut end = InputState::Open;
        while count < quota {
            // Without a lock: the input is the caller's code. The input itself checks the cancel mode.
            match panics::catch(|| input.next()) {
                Ok(Some(item)) => {
                    count += 1;
                    let mut contents = chunk.lock();
                    // `fail` clears the flag if an earlier item has ended the stage meanwhile.
                    if !contents.being_read {
                        drop(contents);
                        panics::discard(item);
                        break;
                    }
                    contents.inputs.push_back(item);
                    // The next item may be slow to arrive. If the consumer waits for this one, another thread
                    // gets it now.
                    let wanted = quota > 1 && mem::take(&mut contents.wanted);
                    drop(contents);
                    if wanted {
                        self.offer();
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

    /// Wakes the consumer and another worker, because there is an item that no thread computes.
    #[cold]
    fn offer(self: &Arc<Self>) {
        // The worker first: while the consumer is in the wait list, every input is worth a wake-up.
        self.wake_worker(self.state.lock());
        self.wake_consumer();
    }

    /// Returns the input and ends reading. Returns true if the reader got a permit.
    fn put_back(
        self: &Arc<Self>,
        input: Option<Box<I>>,
        end: InputState,
        chunk: &Arc<Chunk<I::Item, U>>,
        count: usize,
    ) -> bool {
        if let Some(meter) = &self.meter {
            meter.take_in(count);
        }
        let mut state = self.state.lock();
        state.read += count;
        if let Some(listed) = &self.listed {
            listed.has_read(state.read);
        }
        let failed = state.ended.is_some();
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
        let mut contents = chunk.lock();
        // The chunk is left to other threads now, unless this thread gets a permit to compute it.
        contents.being_read = false;
        // After a failure, items that were read later are dropped: taken out here, and dropped below without
        // the locks.
        let rejected = if failed { mem::take(&mut contents.inputs) } else { Default::default() };
        let free = state.computing < self.rules.workers;
        let permit = !contents.inputs.is_empty() && free;
        contents.owned = permit;
        state.computing += usize::from(permit);
        let unclaimed = !permit && contents.wanted;
        drop(contents);
        // The chunk has no owner, or is empty: the consumer computes its first item, or skips it.
        let consumer = if unclaimed { state.consumer.take_all() } else { Vec::new() };
        self.wake_worker(state);
        // `wake_worker` has unlocked.
        drop((wakes, consumer));
        // An earlier item has ended the stage, and the consumer gets that.
        panics::discard(unwanted);
        panics::discard(late);
        panics::discard_each(rejected);
        permit
    }

    /// Computes the items of the chunk, then releases the permit.
    fn compute(self: &Arc<Self>, chunk: &Arc<Chunk<I::Item, U>>) {
        let start = Clock::system().now();
        let recorded = timeline::task("Pipeline::par_map", Some(&self.name));
        let mut count = 0;
        let mut output = None;
        while let Some(item) = self.exchange(chunk, output.take()) {
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
                Ok(result) => output = Some(Out::Item(result)),
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
        // Wakes no worker for the permit, since this thread looks for work next.
        state.computing -= 1;
    }

    /// Stores an output and takes the next input. If there is none, the chunk loses its owner.
    #[inline]
    fn exchange(&self, chunk: &Chunk<I::Item, U>, output: Option<Out<U>>) -> Option<I::Item> {
        let mut contents = chunk.lock();
        contents.outputs.extend(output);
        let input = contents.inputs.pop_front();
        contents.owned = input.is_some();
        // The consumer waits for this chunk: it has an output now, or will have none. Cleared under the
        // chunk's lock, under which the consumer sets it, so that each wait gets one wake-up.
        let wake = contents.wanted && (!contents.outputs.is_empty() || contents.is_done());
        contents.wanted &= !wake;
        drop(contents);
        if wake {
            self.wake_consumer();
        }
        input
    }

    /// Drops the rest of a chunk after a cancellation. From here on the end counts as truncated, even if the
    /// input had ended by itself: the consumer may already have checked the token and be about to report that
    /// end.
    fn abandon(&self, chunk: &Chunk<I::Item, U>) {
        let mut state = self.state.lock();
        // Overwrites an earlier end, unlike `end_input`: an item is missing, so no end is success any more.
        state.ended = Some(true);
        let mut contents = chunk.lock();
        let rest = mem::take(&mut contents.inputs);
        contents.owned = false;
        drop(contents);
        drop(state);
        panics::discard_each(rest);
    }

    /// Ends the stage because of an item of this chunk. Later items are not begun; earlier items are. If the
    /// order does not matter, no further item is begun.
    fn fail(&self, chunk: &Arc<Chunk<I::Item, U>>, out: Out<U>) {
        let mut state = self.state.lock();
        let input = state.input.take();
        let wakes = self.end_input(&mut state, false);
        let mut dropped = self.later_inputs(&state, chunk);
        let mut contents = chunk.lock();
        dropped.push(mem::take(&mut contents.inputs));
        contents.outputs.push_back(out);
        contents.owned = false;
        let wanted = mem::take(&mut contents.wanted);
        drop(contents);
        // Under the state's lock, which `join` holds from setting `wanted` until the consumer is in the list.
        let consumer = if wanted { state.consumer.take_all() } else { Vec::new() };
        drop(state);
        drop((wakes, consumer));
        // Contained: the consumer gets the failure of the item instead, and this thread must not unwind while
        // it holds a permit.
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
