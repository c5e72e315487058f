//! The choice of what a thread does next: read, steal, or nothing.
//!
//! # What is worth it
//! A wake-up costs 3 µs and more, and a cache line that passes from one core to another 0.1 to 0.7 µs. So
//! items that cost less than that are left to one worker, and the consumer takes several of their outputs at
//! once. With an item that costs nothing these two rules halved the time, and at 200 ns they took a fifth off
//! (bench `pipeline`, 2 cores). Neither rule is applied by a thread that is about to sleep.

use std::time::Duration;

use super::chunk::{Chunk, Stolen};
use super::shared::{ChunkOf, Shared, State};
use crate::sync::{Arc, model};

/// The time that the items of a chunk should take: long compared with passing it to another thread, which
/// takes less than a microsecond, and short compared with a time slice.
const CHUNK_TIME: Duration = Duration::from_micros(50);
/// Inputs that take less than this are not worth stealing, nor waking a worker for, unless the consumer
/// sleeps.
const MIN_STEAL: Duration = Duration::from_micros(10);

/// Outputs that take less time together than this are left a moment for more to join them: who takes one at a
/// time has the cache line come and go for each.
const WORTH_TAKING: Duration = Duration::from_micros(2);

pub(super) enum Job<I: Iterator, U> {
    Read {
        input: Box<I>,
        chunk: ChunkOf<I, U>,
        quota: usize,
    },
    Compute(ChunkOf<I, U>),
    /// To compute only the first item.
    ComputeFirst(ChunkOf<I, U>),
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

impl<'a, I, F, U> Shared<'a, I, F, U>
where
    I: Iterator + Send + 'a,
    I::Item: Send + 'a,
    F: Fn(I::Item) -> U + Send + Sync + 'a,
    U: Send + 'a,
{
    /// Returns how many items to read at once: one while their cost is unknown, so that the first output
    /// comes out at once, and at most a quarter of the bound, which leaves room for other readers.
    pub(super) fn quota(&self, state: &State<I, U>) -> usize {
        let max = (self.rules.bound / 4).max(1);
        if model::IS_MODEL {
            return (self.rules.bound / 2).clamp(1, 3);
        }
        match state.cost {
            None => 1,
            Some(cost) => {
                let fitting = CHUNK_TIME.as_nanos() / cost.as_nanos().max(1);
                usize::try_from(fitting).unwrap_or(max).clamp(1, max)
            }
        }
    }

    /// How many chunks the consumer takes outputs of.
    pub(super) fn heads(&self) -> usize {
        if self.rules.ordered { 1 } else { usize::MAX }
    }

    /// The number of outputs that are worth the consumer's coming, if it can wait for them without sleeping.
    pub(super) fn few(&self, state: &State<I, U>) -> usize {
        let Some(cost) = state.cost.filter(|_| !model::IS_MODEL) else { return 1 };
        let count = WORTH_TAKING.as_nanos() / cost.as_nanos().max(1);
        usize::try_from(count).unwrap_or(usize::MAX).clamp(1, (self.rules.bound / 8).max(1))
    }

    /// True if a worker is about to add outputs to those that there are.
    pub(super) fn has_few_outputs(&self, state: &State<I, U>) -> bool {
        let few = self.few(state);
        few > 1
            && state.running > 0
            && !state.chunks.iter().take(self.heads()).any(|chunk| chunk.is_ready(few))
            && !state.chunks.is_empty()
    }

    /// True if reading is worth another thread: cheap items keep one worker busy with passing them on, and a
    /// second would only get in its way. While the consumer sleeps or computes, everything is worth it: the
    /// item that it waits for may itself wait for a later one.
    fn is_worth_reading(&self, state: &State<I, U>) -> bool {
        if state.computing == 0 || state.consumer_computes || !state.consumer.is_empty() {
            return true;
        }
        let quota = u32::try_from(self.quota(state)).unwrap_or(u32::MAX);
        state.cost.is_none_or(|cost| cost.saturating_mul(quota) >= MIN_STEAL)
    }

    fn available_work(&self, state: &State<I, U>, role: Role) -> Option<Work> {
        // No permit, no work: this bounds the concurrent calls of the function on all threads together.
        if state.computing >= self.rules.workers {
            return None;
        }
        match role {
            Role::Worker => self.available_to_worker(state),
            Role::Consumer => self.available_to_consumer(state),
        }
    }

    fn available_to_worker(&self, state: &State<I, U>) -> Option<Work> {
        // Before reading, since the input may be silent: see "Why nothing is stuck".
        if let Some(index) = state.left_over() {
            return Some(Work::Steal(index));
        }
        if self.is_worth_reading(state) && self.is_readable(state) {
            return Some(Work::Read);
        }
        let worth = |chunk| self.is_worth_stealing(state, chunk);
        state.chunks.iter().position(worth).map(Work::Steal)
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
        let count = chunk.inputs();
        // While the consumer sleeps or computes, every input is worth it: the item that it waits for may
        // itself wait for one of these.
        if count == 0 || state.consumer_computes || !state.consumer.is_empty() {
            return count > 0;
        }
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        state.cost.is_none_or(|cost| cost.saturating_mul(count) >= MIN_STEAL)
    }

    /// Takes a job, if there is one for `role`.
    pub(super) fn take_job(&self, state: &mut State<I, U>, role: Role) -> Option<Job<I, U>> {
        state.has_left_over &= state.left_over().is_some();
        let work = self.available_work(state, role)?;
        state.consumer_computes |= role == Role::Consumer;
        let job = match (work, role) {
            (Work::Read, _) => {
                let input = state.input.take()?;
                let quota = match role {
                    Role::Worker => self.quota(state).min(self.window.room(state.read)),
                    // One: while the consumer waited for a second item, it would delay the first.
                    Role::Consumer => 1,
                };
                let chunk = Chunk::to_read(quota, self.is_wanted(state));
                state.chunks.push_back(Arc::clone(&chunk));
                return Some(Job::Read { input, chunk, quota });
            }
            (Work::Steal(index), Role::Worker) => Job::Compute(self.steal(state, index)?),
            (Work::Steal(_), Role::Consumer) => {
                let chunk = state.chunks.front()?;
                chunk.steal_first().then(|| Job::ComputeFirst(Arc::clone(chunk)))?
            }
        };
        state.computing += 1;
        Some(job)
    }

    fn steal(&self, state: &mut State<I, U>, index: usize) -> Option<ChunkOf<I, U>> {
        // If the order does not matter, the consumer waits for a new chunk too.
        let wanted = !self.rules.ordered && !state.consumer.is_empty();
        let quota = self.quota(state);
        loop {
            match state.chunks[index].steal(quota, wanted)? {
                Stolen::Whole => return Some(Arc::clone(&state.chunks[index])),
                Stolen::Back(chunk) => {
                    state.chunks.insert(index + 1, Arc::clone(&chunk));
                    return Some(chunk);
                }
                // The items behind the owner's would be out of reach while the input is silent. The reader
                // goes on in a chunk of its own, the last.
                Stolen::Attached => {
                    let capacity = state.chunks[index].capacity();
                    state.chunks.push_back(Chunk::to_read(capacity, wanted));
                    state.chunks[index].detach();
                }
            }
        }
    }

    /// True if the consumer sleeps and would wait for a chunk that is now added at the end.
    fn is_wanted(&self, state: &State<I, U>) -> bool {
        !state.consumer.is_empty() && (!self.rules.ordered || state.chunks.is_empty())
    }

    /// True if a thread of this role may sleep or leave.
    pub(super) fn has_nothing_for(&self, state: &State<I, U>, role: Role) -> bool {
        self.available_work(state, role).is_none()
    }
}
