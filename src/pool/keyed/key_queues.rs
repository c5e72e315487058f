//! The tasks of each key, and the runners that take them through the pool.
//!
//! A key with tasks has a *key queue*: its waiting tasks in order, and at most `width` *runners*. A runner is
//! a job in the pool's queue. It takes the first task of its key, runs it, and if more are left goes to the
//! end of the pool's queue, so that a key with many tasks holds up no other. A key queue without tasks and
//! runners is removed.
//!
//! Key queues are found by the hash of the key alone. Comparing keys is the caller's code and must not run
//! under the lock; and two keys whose hashes are equal by accident only share a key queue, which keeps the
//! order of both.
//!
//! # Invariants
//! 1. *A key queue with tasks has a runner*, in the pool's queue or at work. A task and its runner come in
//!    one critical section, and a runner ends in the one in which it finds the key queue empty.
//! 2. *An accepted task is run or taken back.* The key queues are closed before the pool's queue, under the
//!    lock under which runners enter it. From then on a runner does not enter it again, but empties its key
//!    queue.
//!
//! # Lock order
//! The monitor here, then the tail's lock of the injector.

use std::collections::{BTreeMap, VecDeque};

use crate::burst;
use crate::error::{Closed, TryError, WaitError};
use crate::pool::raw_job::{Job, RawJob};
use crate::pool::shared::Shared;
use crate::pool::slot::WorkerSlot;
use crate::pool::worker_counts::Notify;
use crate::sync::Arc;
use crate::sync::weak;
use crate::until::Until;
use crate::wait::Monitor;

/// The bounds of a [`Keyed`](super::Keyed).
#[derive(Clone, Copy, Debug)]
pub(in crate::pool) struct Bounds {
    /// How many tasks of a key may run at once.
    pub(super) width: usize,
    /// How many tasks may wait, over all keys.
    pub(super) queue: usize,
    /// How many tasks of a key may wait.
    pub(super) per_key: usize,
}

pub(in crate::pool) struct KeyQueues {
    pub(super) pool: Arc<Shared>,
    pub(super) bounds: Bounds,
    state: Monitor<State>,
}

#[derive(Default)]
struct State {
    /// By the hash of the key.
    queues: BTreeMap<u64, KeyQueue>,
    /// Waiting tasks, of all keys.
    waiting: usize,
    /// The number of the next task, for the order among the keys.
    next_number: u64,
    closed: bool,
}

#[derive(Default)]
struct KeyQueue {
    /// With their numbers.
    waiting: VecDeque<(u64, RawJob)>,
    runners: usize,
}

impl KeyQueues {
    pub(super) fn new(pool: &Arc<Shared>, bounds: Bounds) -> weak::Arc<Self> {
        let queues = weak::Arc::new(KeyQueues { pool: Arc::clone(pool), bounds, state: Monitor::default() });
        if !pool.list_keyed(&queues) {
            queues.close();
        }
        queues
    }

    /// The number of keys that have tasks, and that of tasks that wait.
    pub(super) fn figures(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.queues.len(), state.waiting)
    }

    pub(super) fn try_figures(&self) -> Option<(usize, usize)> {
        let state = self.state.try_lock()?;
        Some((state.queues.len(), state.waiting))
    }

    /// Packs `task` and puts it at the end of its key queue if there is room; leaves it in place otherwise.
    pub(super) fn try_push<T>(
        this: &weak::Arc<Self>,
        hash: u64,
        task: &mut Option<T>,
        pack: fn(T) -> RawJob,
    ) -> Result<(), TryError> {
        let accepted = this.state.lock().accept(this, hash, true, task, pack);
        let notify = accepted.ok_or(TryError::WouldBlock)?.map_err(|Closed| TryError::Closed)?;
        // After unlocking: this may start a thread.
        this.pool.perform(notify);
        Ok(())
    }

    /// Like [`try_push`](KeyQueues::try_push), but waits for room. A thread inside the pool does not wait,
    /// since the room may be its own to make: its task is put beyond the bounds.
    #[track_caller]
    pub(super) fn push<T: Send>(
        this: &weak::Arc<Self>,
        hash: u64,
        task: &mut Option<T>,
        pack: fn(T) -> RawJob,
        limit: Until<'_>,
    ) -> Result<(), WaitError> {
        let bounded = !this.pool.is_inside();
        // Waits until a runner takes a task, which makes room, or for the close. Each is an unlock of the
        // monitor, which makes this attempt.
        let accepted = this.state.wait_until(limit, |state| state.accept(this, hash, bounded, task, pack))?;
        this.pool.perform(accepted.map_err(|Closed| WaitError::Closed)?);
        Ok(())
    }

    /// Takes the next task of a key for its runner, which has ended if there is none.
    fn next(&self, hash: u64) -> Option<RawJob> {
        let mut state = self.state.lock();
        let queue = state.queues.get_mut(&hash)?;
        let Some((_, job)) = queue.waiting.pop_front() else {
            state.end_runner(hash);
            return None;
        };
        burst::give_back(&mut queue.waiting);
        state.waiting -= 1;
        Some(job)
    }

    /// Puts a runner that has run a task into the queue again; gives it back if it must go on at once, and
    /// `None` if it has ended or is queued.
    fn queue_again(this: &weak::Arc<Self>, hash: u64) -> Option<()> {
        let mut state = this.state.lock();
        if state.queues.get(&hash).is_none_or(|queue| queue.waiting.is_empty()) {
            // In the critical section of the look: a task that comes later brings a runner of its own.
            state.end_runner(hash);
            return None;
        }
        if state.closed {
            return Some(());
        }
        let notify = KeyQueues::queue_runner(this, hash);
        drop(state);
        this.pool.perform(notify);
        None
    }

    /// Puts a runner into the pool's queue. Called under the lock, while the key queues are open.
    fn queue_runner(this: &weak::Arc<Self>, hash: u64) -> Option<Notify> {
        let runner = Runner { queues: weak::Arc::clone(this), hash, has_begun: false };
        // Beyond the bound: the tasks are bounded here, and each runner stands for one at least.
        let queued = this.pool.injector.push_beyond(RawJob::new(runner));
        queued.unwrap_or_else(|_| unreachable!("the key queues are closed before the pool's queue"))
    }

    /// Refuses further tasks. Runners go on until their key queues are empty.
    pub(in crate::pool) fn close(&self) {
        // The unlock lets every submitter go on that waits for room.
        self.state.lock().closed = true;
    }

    /// Takes out the waiting tasks, in the order in which they were submitted.
    pub(in crate::pool) fn drain(&self) -> Vec<RawJob> {
        let mut state = self.state.lock();
        state.waiting = 0;
        let mut all: Vec<_> = state.queues.values_mut().flat_map(|queue| queue.waiting.drain(..)).collect();
        // Keys whose runners have been taken out of the queue already are forgotten here, others by their
        // runner.
        state.queues.retain(|_, queue| queue.runners > 0);
        drop(state);
        all.sort_by_key(|(number, _)| *number);
        all.into_iter().map(|(_, job)| job).collect()
    }
}

impl State {
    /// Puts a task into its key queue, and a runner into the pool's queue if the key may have another. `None`
    /// is "not yet".
    fn accept<T>(
        &mut self,
        queues: &weak::Arc<KeyQueues>,
        hash: u64,
        bounded: bool,
        task: &mut Option<T>,
        pack: fn(T) -> RawJob,
    ) -> Option<Result<Option<Notify>, Closed>> {
        if self.closed {
            return Some(Err(Closed));
        }
        let Bounds { width, queue, per_key } = queues.bounds;
        let of_key = self.queues.get(&hash).map_or(0, |queue| queue.waiting.len());
        if bounded && (self.waiting >= queue || of_key >= per_key) {
            return None;
        }
        let queue = self.queues.entry(hash).or_default();
        let job = pack(task.take().expect("an attempt that fails takes nothing"));
        queue.waiting.push_back((self.next_number, job));
        self.next_number += 1;
        self.waiting += 1;
        if queue.runners == width {
            return Some(Ok(None));
        }
        queue.runners += 1;
        // Under the lock, so that no close falls between the task and its runner.
        Some(Ok(KeyQueues::queue_runner(queues, hash)))
    }

    /// Counts a runner that has ended, and forgets the key if it was the last thing there.
    fn end_runner(&mut self, hash: u64) {
        if let Some(queue) = self.queues.get_mut(&hash) {
            queue.runners -= 1;
            if queue.runners == 0 && queue.waiting.is_empty() {
                self.queues.remove(&hash);
            }
        }
    }
}

/// Runs the tasks of a key, one each time that it comes to the head of the pool's queue.
struct Runner {
    queues: weak::Arc<KeyQueues>,
    hash: u64,
    has_begun: bool,
}

impl Job for Runner {
    fn run(mut self, slot: &WorkerSlot) {
        self.has_begun = true;
        while let Some(job) = self.queues.next(self.hash) {
            // A panic is the task's own: it is caught there, and the key goes on.
            self.queues.pool.run(job, slot);
            if KeyQueues::queue_again(&self.queues, self.hash).is_none() {
                return;
            }
        }
    }

    /// An abort takes back the tasks, not the runner.
    fn is_unclaimed(&self) -> bool {
        false
    }

    fn revoke(&self, _: &WorkerSlot) {}
}

impl Drop for Runner {
    fn drop(&mut self) {
        // Taken out of the queue by an abort, which takes the tasks too.
        if !self.has_begun {
            self.queues.state.lock().end_runner(self.hash);
        }
    }
}
