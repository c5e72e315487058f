//! What is under the task set's lock: tasks that are posted, tasks that run, and the rule of the limit.
//!
//! # The limit
//! It bounds the tasks that are taken down. That alone would hang: ten of a hundred tasks wait for the cancel
//! that the eleventh brings, and a limit of ten never starts the eleventh. What a thread waits for cannot be
//! known, but whether it sleeps can, because all sleeping goes through one place. So *if none of the tasks
//! that run is awake, one more is started*, and that is repeated until one is awake. Where anybody works, the
//! limit holds.
//!
//! A sleep that ends by itself soon is work too: a task that holds off for a moment before it tries again, or
//! waits for its turn at a rate limiter, is at it. Else every such moment would start another task. Unless
//! nothing has begun or ended for as long: a task that looks every tenth of a second whether it is cancelled
//! naps for ever.

use std::time::{Duration, Instant};

use super::Unfinished;
use super::tasks::{Running, Waiting};
use crate::cancel::CancelToken;
use crate::sync::{Arc, time};
use crate::wait::context::this_thread;
use crate::wait::{WaitList, Wake};

/// A task: says whether it ran, or was not started because its group had been cancelled.
pub(super) type Task = Box<dyn FnOnce() -> bool + Send + 'static>;

/// A sleep that ends sooner is work. Longer than people hold off or wait for a rate limiter, shorter than
/// they wait for a program that hangs.
const NAP: Duration = Duration::from_secs(3);

pub(super) struct State {
    queued: Waiting,
    /// Taken down, and not dropped yet.
    running: Running,
    /// Threads that run tasks, or help those who do, and do not sleep.
    awake: usize,
    /// When a nap began with nothing begun or ended since.
    quiet_since: Option<Instant>,
    /// Places that `try_spawn` keeps between its look and its post.
    reserved: usize,
    pub(super) limit: usize,
    pub(super) helper: Option<Helper>,
    /// Cancelled when a helper turns out not to be had.
    pub(super) refusals: Vec<CancelToken>,
    /// Some task was not started.
    pub(super) skipped: bool,
    /// The number of the next task.
    spawned: usize,
    /// What is called when the group stops.
    pub(super) closers: Vec<Task>,
    /// The group has stopped: a closer that comes now is called at once.
    pub(super) has_stopped: bool,
    /// Threads that call closers now.
    pub(super) closing: usize,
    /// Those who wait for the tasks that others run.
    pub(super) waiting: WaitList,
}

/// The helper that is on its way to a task set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Helper {
    /// The thread cache's, by the number of the call, which can be taken back.
    ThreadCache(u64),
    /// The same, and it may finish its nap before it comes.
    Patient(u64),
    /// None is on its way, because the system has refused a thread: the call waits for one of the thread
    /// cache to become free.
    Refused(u64),
    /// Somebody else's.
    Borrowed,
}

pub(super) struct Queued {
    pub(super) label: Label,
    task: Task,
}

pub(super) struct RunningTask {
    pub(super) label: Label,
    /// Where it runs.
    thread: usize,
}

/// How a task is called: by its name, or by its number if it has none.
#[derive(Clone)]
pub(super) struct Label {
    pub(super) number: usize,
    name: Option<Arc<str>>,
}

impl State {
    pub(super) fn new() -> Self {
        State {
            queued: Waiting::default(),
            running: Running::default(),
            awake: 0,
            quiet_since: None,
            reserved: 0,
            limit: usize::MAX,
            helper: None,
            refusals: Vec::new(),
            skipped: false,
            spawned: 0,
            closers: Vec::new(),
            has_stopped: false,
            closing: 0,
            waiting: WaitList::new(),
        }
    }

    /// Posts a task; its number.
    pub(super) fn push(&mut self, name: Option<Arc<str>>, task: Task) -> usize {
        let number = self.spawned;
        self.spawned += 1;
        self.queued.push(Queued { label: Label { number, name }, task });
        number
    }

    /// Takes back a task that was posted, if nobody has taken it.
    pub(super) fn withdraw(&mut self, number: usize) -> Option<Task> {
        self.queued.remove(number).map(|queued| queued.task)
    }

    /// Keeps a place for a task, if the limit has one.
    pub(super) fn reserve(&mut self) -> bool {
        let free = self.queued.len() + self.running.len() + self.reserved < self.limit;
        self.reserved += usize::from(free);
        free
    }

    pub(super) fn give_back_place(&mut self) {
        self.reserved -= 1;
    }

    /// A task is posted that the limit allows to run.
    pub(super) fn has_work(&self) -> bool {
        !self.queued.is_empty() && (self.running.len() < self.limit || self.awake == 0)
    }

    pub(super) fn is_finished(&self) -> bool {
        self.queued.is_empty() && self.running.is_empty() && self.closing == 0
    }

    /// Takes a task down, with its number.
    pub(super) fn take(&mut self) -> Option<(usize, Task)> {
        if !self.has_work() {
            return None;
        }
        let queued = self.queued.pop()?;
        Some(self.start(queued))
    }

    /// Takes down the task of that number, if nobody has and the limit allows it to run.
    pub(super) fn take_this(&mut self, number: usize) -> Option<(usize, Task)> {
        if !self.has_work() {
            return None;
        }
        let queued = self.queued.remove(number)?;
        Some(self.start(queued))
    }

    /// The task of that number is posted, and the limit allows it to run.
    pub(super) fn admits(&self, number: usize) -> bool {
        self.has_work() && self.queued.has(number)
    }

    /// The first task is posted, and nothing else has been: the thread that posted it may be about to wait
    /// for it.
    pub(super) fn is_first(&self) -> bool {
        self.spawned == 1 && self.queued.len() == 1
    }

    /// The task of that number is posted.
    pub(super) fn has(&self, number: usize) -> bool {
        self.queued.has(number)
    }

    fn start(&mut self, Queued { label, task }: Queued) -> (usize, Task) {
        let number = label.number;
        self.running.push(RunningTask { label, thread: this_thread() });
        self.awake += 1;
        self.quiet_since = None;
        (number, task)
    }

    /// A task has ended and is gone. Wakes those who wait if it was the last. (If others are posted, whoever
    /// ran this one takes the next, so nobody need be called.)
    pub(super) fn end(&mut self, number: usize, ran: bool) -> Vec<Wake> {
        self.running.remove(number);
        self.awake -= 1;
        self.quiet_since = None;
        self.skipped |= !ran;
        self.wake_if_finished()
    }

    pub(super) fn wake_if_finished(&mut self) -> Vec<Wake> {
        if self.is_finished() { self.waiting.take_all() } else { Vec::new() }
    }

    pub(super) fn is_limited(&self) -> bool {
        self.limit < usize::MAX
    }

    /// A thread that works for this group goes to sleep; false if that counts as work.
    pub(super) fn falls_asleep(&mut self, deadline: Option<Instant>) -> bool {
        if deadline.is_some_and(|at| self.is_nap(at)) {
            return false;
        }
        self.awake -= 1;
        true
    }

    /// A thread that works for this group goes on after a sleep, or begins to.
    pub(super) fn wakes_up(&mut self) {
        self.awake += 1;
    }

    fn is_nap(&mut self, until: Instant) -> bool {
        // Where the limit holds nobody up there is nothing to decide, and no clock is read.
        if !self.is_limited() {
            return false;
        }
        let now = time::now();
        let quiet_since = *self.quiet_since.get_or_insert(now);
        until < now + NAP && now < quiet_since + NAP
    }

    /// The threads that run tasks.
    pub(super) fn threads(&self) -> impl Iterator<Item = usize> {
        self.running.iter().map(|running| running.thread)
    }

    /// Tasks posted and running.
    pub(super) fn figures(&self) -> (usize, usize) {
        (self.queued.len(), self.running.len())
    }

    pub(super) fn unfinished(&self) -> Unfinished {
        let name = |label: &Label| match &label.name {
            Some(name) => name.to_string(),
            None => format!("task {}", label.number),
        };
        let mut running: Vec<&Label> = self.running.iter().map(|running| &running.label).collect();
        running.sort_by_key(|label| label.number);
        Unfinished { running: running.into_iter().map(name).collect(), waiting: self.queued.len() }
    }
}

#[cfg(all(test, not(any(loom, selvedge_loom))))]
mod tests {
    use super::*;

    /// A state with one task that runs, one that is posted, and a nap that began so long ago that another no
    /// longer counts as work.
    fn long_quiet() -> State {
        let mut state = State::new();
        state.limit = 2;
        for _ in 0..2 {
            state.push(None, Box::new(|| true));
        }
        drop(state.take());
        state.quiet_since = time::now().checked_sub(NAP);
        assert!(state.quiet_since.is_some() && !naps_at_work(&mut state));
        state.wakes_up();
        state
    }

    /// Whether a sleep of a moment counts as work.
    fn naps_at_work(state: &mut State) -> bool {
        !state.falls_asleep(Some(time::now() + Duration::from_millis(1)))
    }

    #[test]
    fn nap_is_work_again_once_a_task_has_begun() {
        let mut state = long_quiet();
        drop(state.take());
        assert!(naps_at_work(&mut state));
    }

    #[test]
    fn nap_is_work_again_once_a_task_has_ended() {
        let mut state = long_quiet();
        drop(state.take());
        state.quiet_since = time::now().checked_sub(NAP);
        drop(state.end(0, true));
        assert!(naps_at_work(&mut state));
    }

    #[test]
    fn long_sleep_and_one_where_no_limit_holds_are_no_naps() {
        let mut state = long_quiet();
        state.quiet_since = None;
        assert!(state.falls_asleep(Some(time::now() + 2 * NAP)));
        state.wakes_up();
        assert!(state.falls_asleep(None));
        state.wakes_up();
        state.limit = usize::MAX;
        assert!(!naps_at_work(&mut state));
    }
}
