//! The state under the task set's lock: queued tasks, running tasks, and the rule of the limit.
//!
//! # The limit
//! The limit bounds the running tasks. That alone could deadlock: ten of a hundred tasks wait for the cancel
//! that the eleventh would cause, and a limit of ten never starts the eleventh. What a thread waits for is
//! unknown in general, but whether it is blocked is known, because all blocking goes through one module. So
//! *if none of the running tasks is awake, one more is started*, repeatedly, until one is awake. While any
//! task is awake, the limit holds.
//!
//! A wait that ends by itself soon counts as work, as in a task that backs off before it tries again or waits
//! for a rate limiter. Otherwise every such wait would start another task. The exception is a group in which
//! nothing has started or ended for as long: a task that polls for its cancellation every tenth of a second
//! sleeps briefly forever.

use std::time::{Duration, Instant};

use super::Unfinished;
use super::tasks::{Running, Waiting};
use crate::cancel::CancelToken;
use crate::inspect::{Began, Listed, Object};
use crate::sync::{Arc, time};
use crate::wait::context::this_thread;
use crate::wait::{WaitList, Wake};

/// A task; returns false if it was not started because its group had been cancelled.
pub(super) type Task = Box<dyn FnOnce() -> bool + Send + 'static>;

/// A wait that ends sooner counts as work. Longer than usual back-offs and waits for a rate limiter, shorter
/// than a user's patience with a program that hangs.
const SHORT_SLEEP: Duration = Duration::from_secs(3);

pub(super) struct State {
    queued: Waiting,
    /// Taken from the queue and not dropped yet.
    running: Running,
    /// Threads that run tasks, or help those that do, and are not blocked.
    awake: usize,
    /// The start of a short sleep, with no task started or ended since.
    quiet_since: Option<Instant>,
    /// Capacity that `try_spawn` reserves between its check and its push.
    reserved: usize,
    pub(super) limit: usize,
    pub(super) helper: Option<Helper>,
    /// Tokens to cancel when a helper is refused.
    pub(super) refusals: Vec<CancelToken>,
    /// A task was not started.
    pub(super) skipped: bool,
    /// The number of tasks spawned; the number of the next one.
    spawned: usize,
    /// To be called when the group stops.
    pub(super) stop_hooks: Vec<Task>,
    /// The group has stopped: a hook that is added now is called at once.
    pub(super) has_stopped: bool,
    /// Threads that call stop hooks now.
    pub(super) running_hooks: usize,
    /// Threads that wait for tasks that other threads run.
    pub(super) waiting: WaitList,
    /// Lists the set in [`inspect`](crate::inspect).
    pub(super) listed: Option<Listed>,
}

/// A helper that was requested for a task set and has not arrived.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Helper {
    /// From the thread cache, by the number of the call, which can be withdrawn.
    Immediate(u64),
    /// The same, and an idle helper need not be woken early for it.
    Deferrable(u64),
    /// Refused by the operating system: the call is kept until a thread of the thread cache is free.
    Refused(u64),
    /// Requested from the executor.
    FromExecutor,
}

pub(super) struct Queued {
    pub(super) label: Label,
    task: Task,
}

pub(super) struct RunningTask {
    pub(super) label: Label,
    /// The thread that runs it.
    thread: usize,
    /// For [`inspect`](crate::inspect), if the task has a name.
    began: Option<Began>,
}

/// A task's label: its name, or its number if it has none.
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
            stop_hooks: Vec::new(),
            has_stopped: false,
            running_hooks: 0,
            waiting: WaitList::new(),
            listed: None,
        }
    }

    /// Queues a task; returns its number.
    pub(super) fn push(&mut self, name: Option<Arc<str>>, task: Task) -> usize {
        let number = self.spawned;
        self.spawned += 1;
        self.queued.push(Queued { label: Label { number, name }, task });
        number
    }

    /// Removes a task from the queue, if it is still there.
    pub(super) fn withdraw(&mut self, number: usize) -> Option<Task> {
        self.queued.remove(number).map(|queued| queued.task)
    }

    /// Reserves capacity for a task, if the limit admits one.
    pub(super) fn reserve(&mut self) -> bool {
        // Reservations count, so that two threads that spawn at once do not exceed the limit together.
        let free = self.queued.len() + self.running.len() + self.reserved < self.limit;
        self.reserved += usize::from(free);
        free
    }

    pub(super) fn unreserve(&mut self) {
        self.reserved -= 1;
    }

    /// True if a task is queued that the limit admits.
    pub(super) fn has_work(&self) -> bool {
        // Beyond the limit only if no running task is awake: then nothing else would start the next one.
        !self.queued.is_empty() && (self.running.len() < self.limit || self.awake == 0)
    }

    pub(super) fn is_finished(&self) -> bool {
        // A running hook may borrow from the scope, so it counts like a task.
        self.queued.is_empty() && self.running.is_empty() && self.running_hooks == 0
    }

    /// Takes the next task, with its number.
    pub(super) fn take(&mut self) -> Option<(usize, Task)> {
        if !self.has_work() {
            return None;
        }
        let queued = self.queued.pop()?;
        Some(self.start(queued))
    }

    /// Takes the task of that number, if it is queued and the limit admits it.
    pub(super) fn take_number(&mut self, number: usize) -> Option<(usize, Task)> {
        if !self.has_work() {
            return None;
        }
        let queued = self.queued.remove(number)?;
        Some(self.start(queued))
    }

    /// True if the task of that number is queued and the limit admits it.
    pub(super) fn admits(&self, number: usize) -> bool {
        self.has_work() && self.queued.has(number)
    }

    /// True if the first task is queued and nothing else has been: the thread that spawned it may be about to
    /// wait for it.
    pub(super) fn is_first(&self) -> bool {
        self.spawned == 1 && self.queued.len() == 1
    }

    /// True if the task of that number is queued.
    pub(super) fn has(&self, number: usize) -> bool {
        self.queued.has(number)
    }

    fn start(&mut self, Queued { label, task }: Queued) -> (usize, Task) {
        let number = label.number;
        // Only for a task with a name is the clock read: that takes half as long as starting a task.
        let began = label.name.as_ref().and_then(|_| Began::now());
        self.running.push(RunningTask { label, thread: this_thread(), began });
        // Awake until its thread reports that it blocks.
        self.awake += 1;
        self.quiet_since = None;
        (number, task)
    }

    /// A task has ended and is dropped. Returns the waiters to wake if it was the last. (If others are
    /// queued, the thread that ran this one takes the next, so no helper is needed.)
    pub(super) fn end(&mut self, number: usize, ran: bool) -> Vec<Wake> {
        // Only now, after the task and its captures are dropped: a scope that ends frees what they borrow.
        self.running.remove(number);
        self.awake -= 1;
        self.quiet_since = None;
        // Kept forever: every later wait of a group reports it.
        self.skipped |= !ran;
        self.wake_if_finished()
    }

    pub(super) fn wake_if_finished(&mut self) -> Vec<Wake> {
        // All waiters: each of them waits for the same end.
        if self.is_finished() { self.waiting.take_all() } else { Vec::new() }
    }

    pub(super) fn is_limited(&self) -> bool {
        self.limit < usize::MAX
    }

    /// A thread that works for this group blocks; false if that counts as work.
    pub(super) fn block(&mut self, deadline: Option<Instant>) -> bool {
        if deadline.is_some_and(|at| self.is_short_sleep(at)) {
            return false;
        }
        self.awake -= 1;
        true
    }

    /// A thread that works for this group continues after it was blocked, or starts.
    pub(super) fn resume(&mut self) {
        self.awake += 1;
    }

    fn is_short_sleep(&mut self, until: Instant) -> bool {
        // Without a limit there is nothing to decide, so the clock is not read.
        if !self.is_limited() {
            return false;
        }
        let now = time::now();
        // The first short sleep since a task has started or ended sets the time.
        let quiet_since = *self.quiet_since.get_or_insert(now);
        // The second condition ends the exception: a group in which only short sleeps happen makes no
        // progress.
        until < now + SHORT_SLEEP && now < quiet_since + SHORT_SLEEP
    }

    /// The threads that run tasks.
    pub(super) fn threads(&self) -> impl Iterator<Item = usize> {
        self.running.iter().map(|running| running.thread)
    }

    /// The set as a report shows it.
    pub(super) fn describe(&self, object: Object) -> Object {
        let running = |task: &RunningTask| Some(task.began.as_ref()?.running(task.label.name.as_ref()?));
        let (queued, count) = self.figures();
        let mut figures = vec![("queued", queued), ("running", count)];
        if self.is_limited() {
            figures.push(("limit", self.limit));
        }
        Object {
            figures,
            running: self.running.iter().filter_map(running).collect(),
            is_stuck: queued > 0 && count > 0 && self.awake == 0,
            ..object
        }
    }

    /// The numbers of queued and running tasks.
    pub(super) fn figures(&self) -> (usize, usize) {
        (self.queued.len(), self.running.len())
    }

    pub(super) fn unfinished(&self) -> Unfinished {
        let name = |label: &Label| match &label.name {
            Some(name) => name.to_string(),
            None => format!("task {}", label.number),
        };
        let mut running: Vec<&Label> = self.running.iter().map(|running| &running.label).collect();
        // In the order of spawning; the list itself is unordered.
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
        state.quiet_since = time::now().checked_sub(SHORT_SLEEP);
        assert!(state.quiet_since.is_some() && !short_sleep_is_work(&mut state));
        state.resume();
        state
    }

    /// Whether a sleep of a moment counts as work.
    fn short_sleep_is_work(state: &mut State) -> bool {
        !state.block(Some(time::now() + Duration::from_millis(1)))
    }

    #[test]
    fn short_sleep_is_work_again_once_a_task_has_begun() {
        let mut state = long_quiet();
        drop(state.take());
        assert!(short_sleep_is_work(&mut state));
    }

    #[test]
    fn short_sleep_is_work_again_once_a_task_has_ended() {
        let mut state = long_quiet();
        drop(state.take());
        state.quiet_since = time::now().checked_sub(SHORT_SLEEP);
        drop(state.end(0, true));
        assert!(short_sleep_is_work(&mut state));
    }

    #[test]
    fn long_sleep_and_sleep_without_a_limit_are_not_work() {
        let mut state = long_quiet();
        state.quiet_since = None;
        assert!(state.block(Some(time::now() + 2 * SHORT_SLEEP)));
        state.resume();
        assert!(state.block(None));
        state.resume();
        state.limit = usize::MAX;
        assert!(!short_sleep_is_work(&mut state));
    }
}
