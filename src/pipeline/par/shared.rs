//! What the threads of a parallel map share, and who does what next.
//!
//! # Roles
//! One thread at a time *reads*: it holds the input, which lies in the state otherwise. Everybody who has a
//! *seat* computes: as many as the map has workers, no more. The *consumer*, who is whoever pulls, takes what
//! has come out. It computes the item that it waits for, if nobody does and a seat is free: so the first item
//! of a run waits for no thread to wake up.
//!
//! None of the caller's code (the input, the function, drops) runs under a lock, and no panic of it unwinds a
//! thread that is counted here: it would be waited for, and its seat lost.
//!
//! # Invariants
//! With the lock of the state free:
//! 1. `read` minus what was handed out is at most the bound ([`Window`]).
//! 2. If there is something for another worker to do, then one is awake and will look, or was called and is
//!    on its way. `call` makes it so, after each change that could break it; a worker looks again before it
//!    sleeps.
//! 3. If the consumer sleeps, then nothing is ready, it has nothing that it may help with, and the chunk that
//!    it waits for (any, if the order does not matter) is marked `wanted`: whoever puts an output there wakes
//!    it. A chunk that is made while it sleeps, and that it would wait for, is marked from the start.
//!
//! # Lock order
//! The state's, then a chunk's. A thread that holds a chunk's lock takes no other.

use std::collections::VecDeque;
use std::time::Duration;

use super::chunk::{Chunk, Claim};
use super::window::Window;
use crate::group::Nursery;
use crate::panics::Held;
use crate::pipeline::cancel_mode::Cancellable;
use crate::pipeline::figures::Meter;
use crate::sync::{Arc, Mutex, MutexGuard, model, sized};
use crate::wait::{WaitList, Wake};

/// What one thread should have at a time: long beside the cost of handing it over (under a microsecond),
/// short beside the time slice of a thread.
const CHUNK: Duration = Duration::from_micros(50);
/// What a worker takes over from another must be worth its trouble, and being woken for it, unless the
/// consumer sleeps.
const WORTH_TAKING: Duration = Duration::from_micros(10);

pub(super) struct Rules<U> {
    pub(super) workers: usize,
    pub(super) bound: usize,
    pub(super) ordered: bool,
    /// Says of an output that nothing after it counts.
    pub(super) is_last: fn(&U) -> bool,
}

pub(super) struct Shared<'a, I: Iterator, F, U> {
    pub(super) state: Mutex<State<I, U>>,
    pub(super) window: Window,
    pub(super) f: Held<F>,
    /// Shut to stop everybody; the input has the same.
    pub(super) mode: Cancellable,
    pub(super) rules: Rules<U>,
    pub(super) nursery: Arc<Nursery<'a>>,
    /// Where somebody collects figures.
    pub(super) meter: Option<Arc<Meter>>,
}

type ChunkOf<I, U> = Arc<Chunk<<I as Iterator>::Item, U>>;

pub(super) struct State<I: Iterator, U> {
    /// `None` while somebody reads, and after the end.
    pub(super) input: Option<Box<I>>,
    /// Nothing more will be read; true if that is because the pipeline was cancelled.
    pub(super) ended: Option<bool>,
    /// Items that were ever read, without those of a chunk that is being read.
    pub(super) read: usize,
    /// In the order of the input. The last is the one that is being read.
    pub(super) chunks: VecDeque<ChunkOf<I, U>>,
    /// Seats that are taken.
    pub(super) computing: usize,
    /// What an item costs, lately.
    pub(super) cost: Option<Duration>,
    /// Workers that were ever asked for and have not left.
    pub(super) workers: usize,
    /// Workers that are here.
    pub(super) present: usize,
    /// One was asked for and is not here yet.
    pub(super) posting: bool,
    /// An idle one was called and has not looked yet.
    pub(super) waking: bool,
    /// The consumer reads while no worker is here.
    pub(super) consumer_reads: bool,
    pub(super) stopped: bool,
    pub(super) idle: WaitList,
    pub(super) consumer: WaitList,
    /// Whoever waits for the workers to leave.
    pub(super) leaving: WaitList,
}

pub(super) enum Job<I: Iterator, U> {
    Read { input: Box<I>, chunk: ChunkOf<I, U>, quota: usize },
    Compute(ChunkOf<I, U>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Worker,
    Consumer,
}

/// What there is to do.
enum Prospect {
    Read,
    /// To take over inputs of the chunk of that index.
    TakeOver(usize),
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
            workers: 0,
            present: 0,
            posting: false,
            waking: false,
            consumer_reads,
            stopped: false,
            idle: WaitList::new(),
            consumer: WaitList::new(),
            leaving: WaitList::new(),
        }
    }

    /// Takes in what `count` items cost together.
    pub(super) fn learn(&mut self, time: Duration, count: usize) {
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
    /// How many items to read at once: one while the cost is not known, so that the first comes out at once;
    /// and no more than leaves room for others to read as much.
    fn quota(&self, state: &State<I, U>) -> usize {
        let most = (self.rules.bound / 4).max(1);
        if model::IS_MODEL {
            return (self.rules.bound / 2).clamp(1, 2);
        }
        match state.cost {
            None => 1,
            Some(cost) => {
                let fitting = CHUNK.as_nanos() / cost.as_nanos().max(1);
                usize::try_from(fitting).unwrap_or(most).clamp(1, most)
            }
        }
    }

    fn prospect(&self, state: &State<I, U>, who: Who) -> Option<Prospect> {
        if state.computing >= self.rules.workers {
            return None;
        }
        match who {
            Who::Worker if self.is_readable(state) => Some(Prospect::Read),
            Who::Worker => {
                let worth = |chunk| self.is_worth_taking(state, chunk);
                state.chunks.iter().position(worth).map(Prospect::TakeOver)
            }
            Who::Consumer => self.prospect_of_consumer(state),
        }
    }

    /// The consumer computes nothing but the one item that it waits for: another might wait for what the
    /// consumer would do if it were not computing. So there is nothing for it where the order does not
    /// matter, unless no worker may ever come.
    fn prospect_of_consumer(&self, state: &State<I, U>) -> Option<Prospect> {
        let alone = state.present == 0 && state.consumer_reads;
        match state.chunks.front() {
            Some(head) if self.rules.ordered || alone => {
                head.first_is_free().then_some(Prospect::TakeOver(0))
            }
            None if alone && self.is_readable(state) => Some(Prospect::Read),
            _ => None,
        }
    }

    /// The input is here, and there is room. If there is not, the consumer will call somebody when there is.
    fn is_readable(&self, state: &State<I, U>) -> bool {
        if state.input.is_none() {
            return false;
        }
        let want = self.quota(state);
        self.window.room(state.read) >= want || self.window.wait_for_room(state.read, want) >= want
    }

    fn is_worth_taking(&self, state: &State<I, U>, chunk: &ChunkOf<I, U>) -> bool {
        let contents = chunk.lock();
        let there = contents.inputs.len();
        // While the consumer sleeps, everything is: the item that it waits for may wait for one of these.
        if there == 0 || !contents.owned || state.consumer.len() > 0 {
            return there > 0;
        }
        let there = u32::try_from(there).unwrap_or(u32::MAX);
        state.cost.is_none_or(|cost| cost.saturating_mul(there) >= WORTH_TAKING)
    }

    /// Takes something to do, if there is anything for `who`.
    pub(super) fn take_job(&self, state: &mut State<I, U>, who: Who) -> Option<Job<I, U>> {
        let chunk = match (self.prospect(state, who)?, who) {
            (Prospect::Read, _) => {
                let input = state.input.take()?;
                let quota = match who {
                    Who::Worker => self.quota(state).min(self.window.room(state.read)),
                    // Whoever hands things out must not wait for a second item with the first in its hand.
                    Who::Consumer => 1,
                };
                let chunk = Chunk::to_read(self.is_wanted(state));
                state.chunks.push_back(Arc::clone(&chunk));
                return Some(Job::Read { input, chunk, quota });
            }
            (Prospect::TakeOver(index), Who::Worker) => self.take_over(state, index)?,
            (Prospect::TakeOver(_), Who::Consumer) => {
                let chunk = state.chunks.front()?.take_first()?;
                state.chunks.push_front(Arc::clone(&chunk));
                chunk
            }
        };
        state.computing += 1;
        Some(Job::Compute(chunk))
    }

    fn take_over(&self, state: &mut State<I, U>, index: usize) -> Option<ChunkOf<I, U>> {
        Some(match state.chunks[index].take_over(self.quota(state))? {
            Claim::Itself => Arc::clone(&state.chunks[index]),
            Claim::Before(chunk) => {
                state.chunks.insert(index, Arc::clone(&chunk));
                chunk
            }
            Claim::Behind(chunk) => {
                // Where the order does not matter, the consumer waits for this one too.
                chunk.lock().wanted = !self.rules.ordered && state.consumer.len() > 0;
                state.chunks.insert(index + 1, Arc::clone(&chunk));
                chunk
            }
        })
    }

    /// Whether the consumer sleeps until something comes out of a chunk that is added now at the end.
    fn is_wanted(&self, state: &State<I, U>) -> bool {
        state.consumer.len() > 0 && (!self.rules.ordered || state.chunks.is_empty())
    }

    /// Whether somebody who has nothing to do may go to sleep, or leave.
    pub(super) fn has_nothing_for(&self, state: &State<I, U>, who: Who) -> bool {
        self.prospect(state, who).is_none()
    }

    /// Unlocks, and calls another worker if there is something for it to do.
    pub(super) fn call(self: &Arc<Self>, mut state: MutexGuard<'_, State<I, U>>) {
        if state.stopped || state.waking || self.prospect(&state, Who::Worker).is_none() {
            return;
        }
        if let Some(wake) = state.idle.next() {
            state.waking = true;
            drop(state);
            drop(wake);
            return;
        }
        // One more than there are seats while one may wait for the input with items in its hand.
        let reads = state.input.is_none() && state.ended.is_none() && self.quota(&state) > 1;
        if state.posting || state.workers >= self.rules.workers + usize::from(reads) {
            return;
        }
        state.posting = true;
        state.workers += 1;
        drop(state);
        let shared = Arc::clone(self);
        if self.nursery.spawn(move || shared.work()).is_err() {
            // No thread is to be had: then whoever pulls does it all.
            self.state.lock().consumer_reads = true;
        }
    }

    /// A reader that waited for room may have enough now.
    #[cold]
    pub(super) fn room_came(self: &Arc<Self>) {
        let state = self.state.lock();
        self.window.told();
        self.call(state);
    }

    /// Wakes the consumer if it sleeps.
    #[cold]
    pub(super) fn wake_consumer(&self) {
        let wakes = self.state.lock().consumer.take_all();
        drop(wakes);
    }

    /// Stops everybody: no item is read and none is begun from here on. The token wakes those who sleep, at
    /// the bench, in a source, or in the stages above.
    pub(super) fn stop(&self) {
        self.state.lock().stopped = true;
        self.mode.shut().cancel();
    }

    /// Nothing will be read any more: workers leave. (The consumer sleeps until something comes of a chunk,
    /// and whoever ends a chunk wakes it.)
    #[must_use = "dropping these wakes the threads: do that after unlocking"]
    pub(super) fn end(&self, state: &mut State<I, U>, cut: bool) -> Vec<Wake> {
        state.ended.get_or_insert(cut);
        state.idle.take_all()
    }
}

/// Enough for a model's three threads, and two chunks under way for each worker otherwise.
pub(super) const BOUND_PER_WORKER: usize = sized(64, 2);
