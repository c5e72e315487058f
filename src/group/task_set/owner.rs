//! Taking tasks: what a helper does, what an owner does who waits for them all, and a joiner who waits for
//! one.

use std::mem;

use super::TaskSet;
use crate::error::{Partial, TryError, WaitError, WouldDeadlock};
use crate::group::Unfinished;
use crate::group::state::{State, Task};
use crate::panics;
use crate::sync::{Arc, MutexGuard};
use crate::until::Until;
use crate::wait::cache::nested;
use crate::wait::context;
use crate::wait::graph::{Awaited, Needs};
use crate::wait::sleeps::Subject;
use crate::wait::{WaitPoint, Waiter};

impl TaskSet {
    /// Takes tasks until there are none for this thread.
    pub(super) fn take_all<'a>(set: &'a Arc<Self>, mut state: MutexGuard<'a, State>) {
        while let Some(taken) = state.take() {
            state = TaskSet::perform(set, state, taken);
        }
    }

    /// Runs a task that was taken with the lock held, and gives the lock back.
    fn perform<'a>(
        set: &'a Arc<Self>,
        state: MutexGuard<'a, State>,
        (number, task): (usize, Task),
    ) -> MutexGuard<'a, State> {
        let _ = TaskSet::settle(set, state);
        let ran = TaskSet::run(task);
        let mut state = set.state.lock();
        let wakes = state.end(number, ran);
        if wakes.is_empty() {
            return state;
        }
        drop(state);
        drop(wakes);
        set.state.lock()
    }

    /// What a thread does that is about to wait for the end of one task: it runs the task if nobody has
    /// started it and the limit allows it. It waits for nothing else, so it runs no other task.
    ///
    /// Says whether the task is left for a helper because of the limit.
    pub(in crate::group) fn run_joined(set: &Arc<Self>, number: usize) -> bool {
        let state = set.state.lock();
        if !state.admits(number) {
            return state.has(number);
        }
        drop(state);
        // In the place of the helper that is on its way: the thread need not be the group's maker.
        let run = move |set: &Arc<Self>| {
            let take = || {
                let mut state = set.state.lock();
                if let Some(taken) = state.take_this(number) {
                    drop(TaskSet::perform(set, state, taken));
                }
            };
            set.inherited.run(|| TaskSet::as_worker(set, take));
        };
        match context::enter_nested() {
            Some(_nested) => run(set),
            None => {
                let set = Arc::clone(set);
                nested::run_elsewhere(Arc::new(move || run(&set)));
            }
        }
        false
    }

    /// Runs a task and drops what it holds. Tasks catch the panics of the caller's function; what is left is
    /// the drop of a result that nobody waits for, and the task has ended all the same.
    pub(super) fn run(task: Task) -> bool {
        panics::contain(task).unwrap_or(true)
    }

    /// What an owner does who waits for as long as it takes: takes tasks, and when there are none for it,
    /// waits for those that helpers run. Returns when nothing is posted and nothing runs.
    #[track_caller]
    pub(in crate::group) fn finish(self: &Arc<Self>) {
        let waited = self.work_and_wait(true);
        debug_assert!(waited.is_ok(), "a wait that must stay is not told");
    }

    /// Like [`finish`](TaskSet::finish), for a caller that can be told that its wait would never end.
    #[track_caller]
    pub(in crate::group) fn wait(self: &Arc<Self>) -> Result<(), WouldDeadlock> {
        if self.is_inside() {
            return Err(WouldDeadlock);
        }
        self.work_and_wait(false)
    }

    fn work_and_wait(self: &Arc<Self>, must_stay: bool) -> Result<(), WouldDeadlock> {
        loop {
            let state = self.state.lock();
            if state.is_finished() {
                return Ok(());
            }
            if state.has_work() {
                drop(state);
                self.work();
                continue;
            }
            drop(state);
            let finish = Finish { set: self, must_stay };
            // A forever limit does not end in another way.
            Until::forever()
                .called("group::scope, its end")
                .retry(&finish, || self.look())
                .map_err(|_| WouldDeadlock)?;
        }
    }

    /// Takes tasks on this stack, or if too many run inside each other there already, on another.
    fn work(self: &Arc<Self>) {
        let work = |set: &Arc<Self>| TaskSet::as_worker(set, || TaskSet::take_all(set, set.state.lock()));
        match context::enter_nested() {
            Some(_nested) => work(self),
            None => {
                let set = Arc::clone(self);
                nested::run_elsewhere(Arc::new(move || work(&set)));
            }
        }
    }

    /// Like [`finish`](TaskSet::finish); also drops the closers that nobody called, and in the same critical
    /// section that finds nothing else left: so nothing that came to the task set is there afterwards.
    ///
    /// True if some task was not started.
    #[track_caller]
    pub(in crate::group) fn finish_for_good(self: &Arc<Self>) -> bool {
        loop {
            let mut state = self.state.lock();
            if !state.is_finished() {
                drop(state);
                self.finish();
                continue;
            }
            let uncalled = mem::take(&mut state.closers);
            if uncalled.is_empty() {
                return state.skipped;
            }
            drop(state);
            // Not under the lock: what they hold may use the group when it is dropped.
            panics::discard_each(uncalled);
        }
    }

    /// Whether an owner has something to do: a task to take, or nothing left at all.
    fn look(&self) -> Result<(), TryError> {
        let state = self.state.lock();
        if state.has_work() || state.is_finished() { Ok(()) } else { Err(TryError::WouldBlock) }
    }

    /// Waits until nothing is posted and nothing runs, at most until `limit`. Takes no task, because a task
    /// may outlast the limit: by the invariant, helpers take them all.
    ///
    /// If no thread was to be had they do not; then one is asked for again, and a wait without a limit takes
    /// the tasks.
    ///
    /// # Errors
    /// With who has not ended.
    #[track_caller]
    pub(in crate::group) fn wait_until(
        self: &Arc<Self>,
        limit: Until<'_>,
    ) -> Result<(), Partial<Unfinished>> {
        self.wait_within(limit).map_err(|error| Partial::new(self.state.lock().unfinished(), error))
    }

    #[track_caller]
    fn wait_within(self: &Arc<Self>, limit: Until<'_>) -> Result<(), WaitError> {
        limit.check_token()?;
        if limit.is_unlimited() {
            return Ok(self.wait()?);
        }
        if self.is_inside() {
            return Err(WaitError::WouldDeadlock);
        }
        let _ = TaskSet::call(self);
        limit.called("Group::wait").wait_until_ready(
            &self.state,
            |state| &mut state.waiting,
            State::is_finished,
        )
    }
}

/// The end of all tasks, for one who takes those that are left.
struct Finish<'a> {
    set: &'a Arc<TaskSet>,
    /// A scope does not return before its tasks have ended.
    must_stay: bool,
}

impl WaitPoint for Finish<'_> {
    fn looks_ready(&self) -> bool {
        self.set.state.try_lock().is_some_and(|state| state.has_work() || state.is_finished())
    }

    fn join(&self, waiter: &Waiter) -> bool {
        // Ended by the helper that ends the last task, under this lock. Tasks that are posted meanwhile are
        // the helpers': by the invariant, one of them is on its way.
        let mut state = self.set.state.lock();
        let wait = !state.has_work() && !state.is_finished();
        state.waiting.join_if(wait, waiter)
    }

    fn leave(&self, waiter: &Waiter) {
        self.set.state.lock().waiting.leave(waiter);
    }

    fn awaited(&self) -> Option<Arc<dyn Awaited>> {
        Some(Arc::clone(self.set) as Arc<dyn Awaited>)
    }

    fn must_stay(&self) -> bool {
        self.must_stay
    }

    fn describe(&self, subject: Subject) -> Subject {
        subject.on(&**self.set)
    }
}

/// For the wait-for graph: the group ends when each of its tasks has.
impl Awaited for TaskSet {
    fn providers(&self, threads: &mut Vec<usize>) -> Needs {
        threads.extend(self.state.lock().threads());
        Needs::All
    }
}
