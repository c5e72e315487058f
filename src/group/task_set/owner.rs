//! Taking tasks: as a helper, as the owner that waits for all of them, or as a joiner that waits for one.

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
    /// Takes tasks until none is left for this thread.
    pub(super) fn take_all<'a>(set: &'a Arc<Self>, mut state: MutexGuard<'a, State>) {
        while let Some(taken) = state.take() {
            state = TaskSet::perform(set, state, taken);
        }
    }

    /// Runs a task that was taken, unlocking for it.
    fn perform<'a>(
        set: &'a Arc<Self>,
        state: MutexGuard<'a, State>,
        (number, task): (usize, Task),
    ) -> MutexGuard<'a, State> {
        // Settled before the task runs: it may block for the tasks behind it, so they need a helper of their
        // own.
        let _ = TaskSet::settle(set, state);
        // With no lock held; the box and its captures are dropped in here.
        let ran = TaskSet::run(task);
        let mut state = set.state.lock();
        // Under the lock that the owner checks: it sees either the running task or its end.
        let wakes = state.end(number, ran);
        if wakes.is_empty() {
            return state;
            // Woken after unlocking, since the waiters take this lock first.
        }
        drop(state);
        drop(wakes);
        set.state.lock()
    }

    /// Runs the task of that number, for a thread that is about to wait for its end, if the task is queued
    /// and the limit admits it. The thread waits for nothing else, so it runs no other task.
    ///
    /// Returns true if the task is left for a helper because of the limit.
    pub(in crate::group) fn run_joined(set: &Arc<Self>, number: usize) -> bool {
        let state = set.state.lock();
        // A helper has taken it, or the limit defers it.
        if !state.admits(number) {
            return state.has(number);
        }
        // Unlocked to set up the context below. If a helper takes the task meanwhile, `take_number` finds
        // nothing.
        drop(state);
        // In the same context as a helper: the joiner need not be the thread that created the group.
        let run = move |set: &Arc<Self>| {
            let take = || {
                let mut state = set.state.lock();
                if let Some(taken) = state.take_number(number) {
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

    /// Runs a task and drops its captures. Tasks catch the panics of the caller's closure. What remains is
    /// the drop of an unwanted result; if it panics, the task has ended nevertheless.
    pub(super) fn run(task: Task) -> bool {
        panics::contain(task).unwrap_or(true)
    }

    /// Waits, without a limit, until nothing is queued and nothing runs. Takes tasks, and waits for those
    /// that helpers run when none is left to take.
    #[track_caller]
    pub(in crate::group) fn finish(self: &Arc<Self>) {
        let waited = self.work_and_wait(true);
        debug_assert!(waited.is_ok(), "a wait that must stay is not told");
    }

    /// Like [`finish`](TaskSet::finish), for a caller that can handle a wait that would never end.
    #[track_caller]
    pub(in crate::group) fn wait(self: &Arc<Self>) -> Result<(), WouldDeadlock> {
        // One of the group's own tasks would wait for itself.
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
            let all_ended = AllEnded { set: self, must_stay };
            // An unlimited wait fails in no other way.
            // The condition is work for this thread, or the end. A helper that ends the last task, and one
            // that is refused, wakes the waiters under this lock or after it; see `AllEnded::join`.
            Until::forever()
                .called("group::scope, its end")
                .retry(&all_ended, || self.check())
                .map_err(|_| WouldDeadlock)?;
        }
    }

    /// Takes tasks on this stack, or on another thread's if too many are nested here.
    fn work(self: &Arc<Self>) {
        // On the group's clock: the thread that waits need not be the one that created the group.
        let work = |set: &Arc<Self>| {
            let _clock = set.inherited.enter_clock();
            TaskSet::as_worker(set, || TaskSet::take_all(set, set.state.lock()));
        };
        match context::enter_nested() {
            Some(_nested) => work(self),
            None => {
                let set = Arc::clone(self);
                nested::run_elsewhere(Arc::new(move || work(&set)));
            }
        }
    }

    /// Like [`finish`](TaskSet::finish). Also drops the stop hooks that were not called, and checks in the
    /// same critical section that nothing else is left, so that nothing that was ever pushed remains.
    ///
    /// True if a task was not started.
    #[track_caller]
    pub(in crate::group) fn finish_and_clear(self: &Arc<Self>) -> bool {
        loop {
            // The check and the removal of the hooks are one critical section, so
            // nothing is overlooked. What the drops below push is found by the next round.
            let mut state = self.state.lock();
            if !state.is_finished() {
                drop(state);
                self.finish();
                continue;
            }
            let uncalled = mem::take(&mut state.stop_hooks);
            if uncalled.is_empty() {
                return state.skipped;
            }
            drop(state);
            // Unlocked: their captures may use the group when they are dropped.
            panics::discard_each(uncalled);
        }
    }

    /// Succeeds if the owner has something to do: a task to take, or nothing left at all.
    fn check(&self) -> Result<(), TryError> {
        let state = self.state.lock();
        if state.has_work() || state.is_finished() { Ok(()) } else { Err(TryError::WouldBlock) }
    }

    /// Waits until nothing is queued and nothing runs, until `limit` at most. Takes no task, since a task may
    /// outlast the limit: by the invariant, helpers take them all.
    ///
    /// If no thread was available, they do not. Then one is requested again; a wait without a limit takes the
    /// tasks itself.
    ///
    /// # Errors
    /// With the unfinished tasks.
    #[track_caller]
    pub(in crate::group) fn wait_until(
        self: &Arc<Self>,
        limit: Until<'_>,
    ) -> Result<(), Partial<Unfinished>> {
        self.wait_within(limit).map_err(|error| Partial::new(self.state.lock().unfinished(), error))
    }

    /// Returns the tasks that have not ended.
    pub(in crate::group) fn unfinished(&self) -> Unfinished {
        self.state.lock().unfinished()
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
        let _ = TaskSet::notify(self);
        // No missed wake-up: the thread that ends the last task takes the waiters out of the list under this
        // lock.
        limit.called("Group::wait").wait_until_ready(
            &self.state,
            |state| &mut state.waiting,
            State::is_finished,
        )
    }
}

/// The end of all tasks, for a thread that takes those that are left.
struct AllEnded<'a> {
    set: &'a Arc<TaskSet>,
    /// The wait may not fail: a scope does not return before its tasks have ended.
    must_stay: bool,
}

impl WaitPoint for AllEnded<'_> {
    fn looks_ready(&self) -> bool {
        // A guess while spinning: a lock that is held counts as not ready.
        self.set.state.try_lock().is_some_and(|state| state.has_work() || state.is_finished())
    }

    fn join(&self, waiter: &Waiter) -> bool {
        // No missed wake-up: the helper that ends the last task does so under this lock. Tasks that are
        // pushed meanwhile are left to helpers: by the invariant, one is outstanding.
        let mut state = self.set.state.lock();
        let wait = !state.has_work() && !state.is_finished();
        if wait {
            TaskSet::list(self.set, &mut state);
        }
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
        // The group cannot end before each running task has, whatever becomes of the queued ones.
        threads.extend(self.state.lock().threads());
        Needs::All
    }
}
