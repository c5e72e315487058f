//! The state that the threads of a parallel map share, and the choice of what a thread does next.
//!
//! # Roles
//! One thread at a time *reads*: it takes the input out of the state. A thread that holds a *permit*
//! computes; there are as many permits as the map has workers. The *consumer*, the thread that pulls, takes
//! the outputs. It also computes the item that it waits for, if no thread has begun it and a permit is free,
//! so that the first item of a run does not wait for a thread to wake up.
//!
//! None of the caller's code (the input, the function, drops) runs under a lock. No panic of it unwinds a
//! thread that is counted here: `join` would wait for that thread forever, and its permit would be lost.
//!
//! # Invariants
//! While the lock of the state is free:
//! 1. `read` minus the number of delivered items is at most the bound ([`Window`]).
//! 2. If there is work for another worker, then a worker is awake and will look for it, or one was woken or
//!    spawned and is on its way. `wake_worker` restores this after each change that could break it. A worker
//!    looks again before it sleeps.
//! 3. If the consumer sleeps, then no output is ready and there is no work for it, and the chunk that it
//!    waits for (each chunk, if the order does not matter) is marked `wanted`: the thread that puts an output
//!    there wakes it. A chunk that is made while the consumer sleeps, and that it would wait for, is marked
//!    from the start.
//!
//! # Lock order
//! The state, then a chunk. A thread that holds the lock of a chunk takes no other lock.

use std::collections::VecDeque;
use std::time::Duration;

use super::chunk::{Chunk, Stolen};
use super::live::ListedMap;
use super::window::Window;
use crate::group::Nursery;
use crate::panics::Held;
use crate::pipeline::cancel_mode::Cancellable;
use crate::pipeline::figures::Meter;
use crate::sync::{Arc, Mutex, MutexGuard, model, sized};
use crate::wait::{WaitList, Wake};

/// The time that the items of a chunk should take: long compared with passing it to another thread, which
/// takes less than a microsecond, and short compared with a time slice.
const CHUNK_TIME: Duration = Duration::from_micros(50);
/// Inputs that take less than this are not worth stealing, nor waking a worker for, unless the consumer
/// sleeps.
const MIN_STEAL: Duration = Duration::from_micros(10);

pub(super) struct Rules<U> {
    pub(super) workers: usize,
    pub(super) bound: usize,
    pub(super) ordered: bool,
    /// True for an output after which nothing counts.
    pub(super) is_last: fn(&U) -> bool,
}

pub(super) struct Shared<'a, I: Iterator, F, U> {
    pub(super) state: Mutex<State<I, U>>,
    pub(super) window: Arc<Window>,
    /// `None` in a model.
    pub(super) listed: Option<ListedMap>,
    pub(super) f: Held<F>,
    /// Its token stops all threads. The input has the same mode.
    pub(super) mode: Cancellable,
    pub(super) rules: Rules<U>,
    pub(super) nursery: Arc<Nursery<'a>>,
    pub(super) name: Arc<str>,
    /// Present if figures are recorded.
    pub(super) meter: Option<Arc<Meter>>,
}

type ChunkOf<I, U> = Arc<Chunk<<I as Iterator>::Item, U>>;

pub(super) struct State<I: Iterator, U> {
    /// `None` while a thread reads, and after the end.
    pub(super) input: Option<Box<I>>,
    /// Nothing more will be read; true if that is because the pipeline was cancelled.
    pub(super) ended: Option<bool>,
    /// The number of items read, without those of the chunk that is being read.
    pub(super) read: usize,
    /// In the order of the input. Only the last can be in the process of being read.
    pub(super) chunks: VecDeque<ChunkOf<I, U>>,
    /// Permits that are taken.
    pub(super) computing: usize,
    /// A moving average of the time that an item takes.
    pub(super) cost: Option<Duration>,
    /// Workers that were spawned and have not left.
    pub(super) spawned: usize,
    /// Workers that have started and have not left.
    pub(super) running: usize,
    /// A worker was spawned and has not started.
    pub(super) starting: bool,
    /// An idle worker was woken and has not looked for work yet.
    pub(super) waking: bool,
    /// The consumer reads while no worker runs.
    pub(super) consumer_reads: bool,
    pub(super) stopped: bool,
    pub(super) idle: WaitList,
    pub(super) consumer: WaitList,
    /// Threads that wait for the workers to leave.
    pub(super) leaving: WaitList,
}

pub(super) enum Job<I: Iterator, U> {
    Read { input: Box<I>, chunk: ChunkOf<I, U>, quota: usize },
    Compute(ChunkOf<I, U>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Worker,
    Consumer,
}

/// Work that a thread could take.
enum Work {
    Read,
    /// To steal inputs of the chunk at this index.
    Steal(usize),
}

impl<I: Iterator, U> State<I, U> {
    pub(super) fn new(input: I, consumer_reads: bool) -> Self {
        State {
            input: Some(Box::new(input)),
            ended: None,
            read: 0,
            chunks: VecDeque::new(),
            computing: 0,
            cost: None,
            spawned: 0,
            running: 0,
            starting: false,
            waking: false,
            consumer_reads,
            stopped: false,
            idle: WaitList::new(),
            consumer: WaitList::new(),
            leaving: WaitList::new(),
        }
    }

    /// Updates the average cost with `count` items that took `time` together.
    pub(super) fn record_cost(&mut self, time: Duration, count: usize) {
        let Ok(count) = u32::try_from(count) else { return };
        if let Some(new) = time.checked_div(count) {
            self.cost = Some(self.cost.map_or(new, |old| (old * 3 + new) / 4));
        }
    }
}

impl<'a, I, F, U> Shared<'a, I, F, U>
where
    I: Iterator + Send + 'a,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> U + Send + Sync + 'a,
    U: Send + 'a,
{
    /// Returns how many items to read at once: one while their cost is unknown, so that the first output
    /// comes out at once, and at most a quarter of the bound, which leaves room for other readers.
    fn quota(&self, state: &State<I, U>) -> usize {
        let max = (self.rules.bound / 4).max(1);
        if model::IS_MODEL {
            return (self.rules.bound / 2).clamp(1, 2);
        }
        match state.cost {
            None => 1,
            Some(cost) => {
                let fitting = CHUNK_TIME.as_nanos() / cost.as_nanos().max(1);
                usize::try_from(fitting).unwrap_or(max).clamp(1, max)
            }
        }
    }

    fn available_work(&self, state: &State<I, U>, role: Role) -> Option<Work> {
        // No permit, no work: this bounds the concurrent calls of the function on all threads together.
        if state.computing >= self.rules.workers {
            return None;
        }
        match role {
            Role::Worker if self.is_readable(state) => Some(Work::Read),
            Role::Worker => {
                let worth = |chunk| self.is_worth_stealing(state, chunk);
                state.chunks.iter().position(worth).map(Work::Steal)
            }
            Role::Consumer => self.available_to_consumer(state),
        }
    }

    /// The consumer computes only the item that it waits for. Any other item might wait for something that
    /// the consumer would do next. So there is no work for it if the order does not matter, unless no worker
    /// may ever start.
    fn available_to_consumer(&self, state: &State<I, U>) -> Option<Work> {
        let no_worker = state.running == 0 && state.consumer_reads;
        match state.chunks.front() {
            Some(head) if self.rules.ordered || no_worker => head.first_is_free().then_some(Work::Steal(0)),
            None if no_worker && self.is_readable(state) => Some(Work::Read),
            _ => None,
        }
    }

    /// True if the input is here and there is room. If there is no room, this asks the consumer to wake a
    /// worker.
    fn is_readable(&self, state: &State<I, U>) -> bool {
        if state.input.is_none() {
            return false;
        }
        let want = self.quota(state);
        // First without the mark, which would make the consumer take the lock. Then again with the mark set,
        // since an item may have been delivered in between.
        self.window.room(state.read) >= want || self.window.wait_for_room(state.read, want) >= want
    }

    fn is_worth_stealing(&self, state: &State<I, U>, chunk: &ChunkOf<I, U>) -> bool {
        let contents = chunk.lock();
        let count = contents.inputs.len();
        // While the consumer sleeps, every input is worth it: the item that the consumer waits for may itself
        // wait for one of these.
        if count == 0 || !contents.owned || !state.consumer.is_empty() {
            return count > 0;
        }
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        state.cost.is_none_or(|cost| cost.saturating_mul(count) >= MIN_STEAL)
    }

    /// Takes a job, if there is one for `role`.
    pub(super) fn take_job(&self, state: &mut State<I, U>, role: Role) -> Option<Job<I, U>> {
        let chunk = match (self.available_work(state, role)?, role) {
            (Work::Read, _) => {
                let input = state.input.take()?;
                let quota = match role {
                    Role::Worker => self.quota(state).min(self.window.room(state.read)),
                    // One: while the consumer waited for a second item, it would delay the first.
                    Role::Consumer => 1,
                };
                let chunk = Chunk::to_read(self.is_wanted(state));
                state.chunks.push_back(Arc::clone(&chunk));
                return Some(Job::Read { input, chunk, quota });
            }
            (Work::Steal(index), Role::Worker) => self.steal(state, index)?,
            (Work::Steal(_), Role::Consumer) => {
                let chunk = state.chunks.front()?.steal_first()?;
                // In front of the rest of its chunk, so the order is kept.
                state.chunks.push_front(Arc::clone(&chunk));
                chunk
            }
        };
        state.computing += 1;
        Some(Job::Compute(chunk))
    }

    fn steal(&self, state: &mut State<I, U>, index: usize) -> Option<ChunkOf<I, U>> {
        Some(match state.chunks[index].steal(self.quota(state))? {
            Stolen::Whole => Arc::clone(&state.chunks[index]),
            Stolen::Front(chunk) => {
                state.chunks.insert(index, Arc::clone(&chunk));
                chunk
            }
            Stolen::Back(chunk) => {
                // If the order does not matter, the consumer waits for this chunk too.
                chunk.lock().wanted = !self.rules.ordered && !state.consumer.is_empty();
                state.chunks.insert(index + 1, Arc::clone(&chunk));
                chunk
            }
        })
    }

    /// True if the consumer sleeps and would wait for a chunk that is now added at the end.
    fn is_wanted(&self, state: &State<I, U>) -> bool {
        !state.consumer.is_empty() && (!self.rules.ordered || state.chunks.is_empty())
    }

    /// True if a thread of this role may sleep or leave.
    pub(super) fn has_nothing_for(&self, state: &State<I, U>, role: Role) -> bool {
        self.available_work(state, role).is_none()
    }

    /// Unlocks, and wakes or spawns a worker if there is work for one.
    pub(super) fn wake_worker(self: &Arc<Self>, mut state: MutexGuard<'_, State<I, U>>) {
        if state.stopped || state.waking || self.available_work(&state, Role::Worker).is_none() {
            return;
        }
        // One at a time: the worker calls this again once it has taken a job. `waking` keeps other threads
        // from waking a second worker for the same work meanwhile. Any idle worker will do.
        if let Some(wake) = state.idle.next() {
            state.waking = true;
            drop(state);
            drop(wake);
            return;
        }
        // One more than there are permits, since a reader may wait for the input with items in its chunk.
        let reads = state.input.is_none() && state.ended.is_none() && self.quota(&state) > 1;
        if state.starting || state.spawned >= self.rules.workers + usize::from(reads) {
            return;
        }
        state.starting = true;
        state.spawned += 1;
        if let Some(listed) = &self.listed {
            listed.expect_one();
        }
        // Unlocked first: spawning takes long, and may run tasks of others on this thread.
        drop(state);
        let shared = Arc::clone(self);
        if self.nursery.spawn(move || shared.work()).is_err() {
            // No thread is available, so the consumer does all the work.
            self.state.lock().consumer_reads = true;
        }
    }

    /// Wakes a worker, since a reader that waited for room may have enough now.
    #[cold]
    pub(super) fn room_available(self: &Arc<Self>) {
        let state = self.state.lock();
        // Under the lock, so the mark of a reader that looks next is not cleared.
        self.window.clear_mark();
        self.wake_worker(state);
    }

    /// Wakes the consumer if it sleeps.
    #[cold]
    pub(super) fn wake_consumer(&self) {
        let wakes = self.state.lock().consumer.take_all();
        drop(wakes);
    }

    /// Stops all threads: no item is read and none is begun from here on. The token wakes threads that sleep
    /// for work, in a source, or in the stages before.
    pub(super) fn stop(&self) {
        // Unlocked at the end of the statement: the cancellation runs callbacks and wakes threads.
        self.state.lock().stopped = true;
        self.mode.cancel_token().cancel();
    }

    /// Marks the input as ended, and returns the idle workers to be woken, which leave. The consumer is woken
    /// later, by the thread that finishes the chunk it waits for.
    #[must_use = "dropping these wakes the threads: do that after unlocking"]
    pub(super) fn end_input(&self, state: &mut State<I, U>, truncated: bool) -> Vec<Wake> {
        // Tie: the first end holds.
        state.ended.get_or_insert(truncated);
        state.idle.take_all()
    }
}

/// Two chunks in progress for each worker; in a model, enough for its three threads.
pub(super) const BOUND_PER_WORKER: usize = sized(64, 2);
