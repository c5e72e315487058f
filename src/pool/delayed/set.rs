//! The delayed tasks of a pool, and the alarms that make them due.
//!
//! A task has a [`Place`] from its submission until its closure is gone: run, cancelled or dropped. While the
//! task is not due, its place holds the task and an alarm of the pool's clock. When the alarm fires, the task
//! enters the pool's queue, beyond the bound: the places bound the delayed tasks, and the thread that fires
//! alarms must not wait for room.
//!
//! # Invariants
//! 1. *A task leaves its place once.* The alarm, the close of the pool and the drop of the place each take it
//!    out under the lock, so one of them has it.
//! 2. *What is due is queued before the pool is closed.* The alarm queues its task in the critical section in
//!    which it takes the task out. A close empties the places under the same lock before it closes the queue.
//!    So a task is either handed back by the close, or queued while workers still take tasks.
//!
//! # Lock order
//! The lock here, then the tail's lock of the injector. Alarms are set and removed without a lock, since the
//! clock has one of its own and calls the callback at once if the time has passed.

use std::collections::BTreeMap;
use std::time::Instant;

use super::job::{Delayed, HandedBack, Queued};
use crate::clock::Alarm;
use crate::error::TryError;
use crate::pool::raw_job::RawJob;
use crate::pool::shared::Shared;
use crate::pool::unstarted::Unstarted;
use crate::sync::{Arc, Mutex, MutexGuard};

/// The places of a pool's delayed tasks.
pub(in crate::pool) struct Delays {
    state: Mutex<State>,
    capacity: usize,
}

struct State {
    /// By number.
    places: BTreeMap<u64, Occupant>,
    next_number: u64,
    closed: bool,
}

/// What is in a place.
#[derive(Default)]
struct Occupant {
    /// `None` until the job is made. The job owns its place; the circle ends with the job's closure.
    job: Option<Arc<dyn Delayed>>,
    /// `None` while the task is due, and before it is armed.
    waiting: Option<Waiting>,
}

/// A time that has not come.
struct Waiting {
    /// `None` is never.
    at: Option<Instant>,
    /// `None` until it is set, and for a task that is never due. Dropping it removes it.
    alarm: Option<Alarm>,
}

/// When a task becomes due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Now,
    At(Instant),
    Never,
}

/// The place of a delayed task. Dropping it takes the task out, if it is there.
pub(super) struct Place {
    number: u64,
    pool: Arc<Shared>,
}

impl Place {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn pool(&self) -> &Arc<Shared> {
        &self.pool
    }
}

impl Delays {
    pub(in crate::pool) fn new(capacity: usize) -> Self {
        let state = State { places: BTreeMap::new(), next_number: 0, closed: false };
        Delays { state: Mutex::new(state), capacity }
    }

    /// The number of tasks that are not due.
    pub(in crate::pool) fn waiting(&self) -> usize {
        self.state.lock().waiting()
    }

    /// The same, if the lock is free.
    pub(in crate::pool) fn try_waiting(&self) -> Option<usize> {
        self.state.try_lock().map(|state| state.waiting())
    }
}

impl State {
    fn waiting(&self) -> usize {
        self.places.values().filter(|place| place.waiting.is_some()).count()
    }
}

impl Shared {
    /// Takes a place for a task.
    ///
    /// # Errors
    /// [`TryError::WouldBlock`] if all places are taken, [`TryError::Closed`].
    pub(super) fn take_place(self: &Arc<Self>) -> Result<Place, TryError> {
        let mut state = self.delays.state.lock();
        if state.closed {
            return Err(TryError::Closed);
        }
        if state.places.len() >= self.delays.capacity {
            return Err(TryError::WouldBlock);
        }
        let number = state.next_number;
        state.next_number += 1;
        state.places.insert(number, Occupant::default());
        Ok(Place { number, pool: Arc::clone(self) })
    }

    /// Puts the job into its place.
    pub(super) fn introduce(&self, number: u64, job: Arc<dyn Delayed>) {
        let mut state = self.delays.state.lock();
        if let Some(place) = state.places.get_mut(&number) {
            place.job = Some(job);
        }
    }

    /// Queues the task in that place when it is due. Returns false if the pool is closed.
    #[must_use = "a task that is refused never becomes due"]
    pub(super) fn arm(self: &Arc<Self>, number: u64, when: When) -> bool {
        let mut state = self.delays.state.lock();
        if state.closed {
            return false;
        }
        let at = match when {
            When::Now => {
                self.queue(state, number);
                return true;
            }
            When::At(at) => Some(at),
            When::Never => None,
        };
        // A task that was cancelled meanwhile has lost its place.
        if let Some(place) = state.places.get_mut(&number) {
            place.waiting = Some(Waiting { at, alarm: None });
            // Unlocked: the clock has a lock of its own.
            drop(state);
            at.into_iter().for_each(|at| self.set_alarm(number, at));
        }
        true
    }

    fn set_alarm(self: &Arc<Self>, number: u64, at: Instant) {
        let pool = Arc::clone(self);
        // Without the lock, since an alarm whose time has passed fires at once, on this thread.
        let mut alarm = self.config.clock.call_at(at, move || pool.fire(number));
        let mut state = self.delays.state.lock();
        // If it has fired by now, it is dropped: the place may even wait for the next round.
        if let Some(waiting) = state.places.get_mut(&number).and_then(|place| place.waiting.as_mut())
            && waiting.at == Some(at)
        {
            waiting.alarm = alarm.take();
        }
        // Unlocked first: dropping an alarm takes the clock's lock.
        drop(state);
        drop(alarm);
    }

    /// Called when the time of a task has come.
    fn fire(self: &Arc<Self>, number: u64) {
        let mut state = self.delays.state.lock();
        // Tie with a cancel and a close: the first to take the wait out of the place has the task.
        let Some(waiting) = state.places.get_mut(&number).and_then(|place| place.waiting.take()) else {
            return;
        };
        self.queue(state, number);
        // The alarm that has just fired.
        drop(waiting);
    }

    /// Queues a task that is due, in the critical section in which it became due, so that no close falls in
    /// between.
    fn queue(self: &Arc<Self>, state: MutexGuard<'_, State>, number: u64) {
        let Some(job) = state.places.get(&number).and_then(|place| place.job.clone()) else { return };
        // Due before it is queued: a worker skips a task that is not due.
        job.make_due();
        // Beyond the bound, since this may be the alarm thread, which must not wait; the places bound it.
        let queued = self.injector.push_beyond(RawJob::new(Queued::new(Arc::clone(&job), Arc::clone(self))));
        drop(state);
        self.perform(queued.unwrap_or_else(|_| unreachable!("the places are closed before the queue")));
        // A worker that joins the task may be the only one that could take it from the queue: it runs it.
        job.wake_joiners();
    }

    /// Closes the pool to new tasks, delayed ones first. Returns the delayed tasks that were not due, the
    /// earliest first; the periodic ones among them are cancelled.
    pub(in crate::pool) fn close(self: &Arc<Self>) -> Vec<Unstarted> {
        let mut state = self.delays.state.lock();
        state.closed = true;
        // The places stay: each goes with its task's closure.
        let left = |place: &mut Occupant| Some((place.waiting.take()?, place.job.clone()?));
        let mut left: Vec<_> = state.places.values_mut().filter_map(left).collect();
        drop(state);
        // Before the queue, as the delayed tasks: their runners are queued under their own lock.
        self.close_keyed();
        self.injector.close();
        // Stable, so tasks of one instant stay in the order of submission. Those that are never due are last.
        left.sort_by_key(|(waiting, _)| (waiting.at.is_none(), waiting.at));
        let hand_back = |(waiting, job): (Waiting, Arc<dyn Delayed>)| {
            // Without a lock: the clock has one of its own.
            drop(waiting);
            let is_left = job.leave_behind(self.external());
            is_left.then(|| Unstarted::of(RawJob::new(HandedBack(job)), self)).flatten()
        };
        left.into_iter().filter_map(hand_back).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let occupant = self.pool.delays.state.lock().places.remove(&self.number);
        // Dropped after unlocking: the alarm takes the clock's lock, and the job may hold the caller's
        // result.
        drop(occupant);
    }
}
