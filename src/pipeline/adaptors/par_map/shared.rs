//! The state that the threads of a parallel map share, its invariants, and wake-ups.
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
//!    waits for (each chunk, if the order does not matter) is marked `WANTED`: the thread that puts an output
//!    there wakes it. A chunk that is made while the consumer sleeps, and that it would wait for, is marked
//!    from the start.
//! 4. No permit is given for a chunk while an earlier one is *left over*: has inputs, no owner and no reader.
//!    The consumer, which computes only the first item of a chunk, may leave the rest over while others have
//!    permits for later chunks; it returns its own permit before it does anything else. So if all permits are
//!    taken, the first chunk with inputs has an owner, or it is the last chunk and the permits are held for
//!    earlier ones.
//!
//! # Why nothing is stuck
//! An item may wait for what the consumer does with all outputs before it. So the first item that is not
//! computed must be in progress, or a thread must be about to begin it. Its chunk is in one of these states:
//!
//! | the chunk | who begins the item |
//! |---|---|
//! | has an owner | the owner, which computes the items of its chunk in order and nothing else |
//! | is left over, a permit is free | a worker, by invariant 2, before it reads or takes a later chunk |
//! | is left over, no permit is free | by invariant 4 an owner of the items before, which returns its permit |
//! | is being read | its reader, after its quota; or the consumer, which the reader wakes if it sleeps |
//!
//! In each state but the first the consumer computes the item itself when it waits for it and a permit is
//! free, unless the order does not matter.
//!
//! A chunk becomes left over when its reader ends and gets no permit, because none is free or an earlier
//! chunk is left over; or when the consumer leaves it. Other owners leave a chunk when it has no inputs: they
//! computed them, or a failure or a cancellation took them away. A worker leaves the map once the input has
//! ended and there is no work that it may take. If the consumer leaves items over after that, it spawns
//! another worker, and if the system refuses that, it computes them itself.
//!
//! # Locks
//! The list of chunks changes under the lock of the state. A chunk has a word of its own, which its owner,
//! its reader and the consumer change without a lock. Where the two must agree (the reader moves to another
//! chunk, the consumer goes to sleep), the word is changed while the lock is held.

use std::collections::VecDeque;
use std::time::Duration;

use super::choice::Role;
use super::chunk::Chunk;
use super::live::ListedMap;
use super::window::Window;
use crate::group::Nursery;
use crate::panics::Held;
use crate::pipeline::cancel_mode::Cancellable;
use crate::pipeline::figures::Meter;
use crate::sync::{Arc, Mutex, MutexGuard, sized};
use crate::wait::{WaitList, Wake};

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

pub(super) type ChunkOf<I, U> = Arc<Chunk<<I as Iterator>::Item, U>>;

pub(super) struct State<I: Iterator, U> {
    /// `None` while a thread reads, and after the end.
    pub(super) input: Option<Box<I>>,
    /// Nothing more will be read; true if that is because the pipeline was cancelled.
    pub(super) ended: Option<bool>,
    /// The number of items read, without those of the chunk that is being read.
    pub(super) read: usize,
    /// In the order of the input. Only the last can be in the process of being read.
    pub(super) chunks: VecDeque<ChunkOf<I, U>>,
    /// A chunk may be left over. Set under the lock by the thread that left it, before it returns its permit.
    pub(super) has_left_over: bool,
    /// The consumer may be in the caller's code.
    pub(super) consumer_computes: bool,
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

impl<I: Iterator, U> State<I, U> {
    pub(super) fn new(input: I, consumer_reads: bool) -> Self {
        State {
            input: Some(Box::new(input)),
            ended: None,
            read: 0,
            chunks: VecDeque::new(),
            has_left_over: false,
            consumer_computes: false,
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

    /// The first chunk that is left over.
    pub(super) fn left_over(&self) -> Option<usize> {
        let chunks = self.has_left_over.then(|| self.chunks.iter());
        chunks.and_then(|mut chunks| chunks.position(|chunk| chunk.is_left_over()))
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
    /// Unlocks, and wakes or spawns a worker if there is work for one.
    pub(super) fn wake_worker(self: &Arc<Self>, mut state: MutexGuard<'_, State<I, U>>) {
        if state.stopped || state.waking || self.has_nothing_for(&state, Role::Worker) {
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
        // One more than there are permits, since a reader may wait for the input while there are items to
        // compute: in its chunk, or left over.
        let has_items = state.has_left_over || self.quota(&state) > 1;
        let reads = state.input.is_none() && state.ended.is_none() && has_items;
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
