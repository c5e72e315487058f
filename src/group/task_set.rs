//! What a group still has to do, and who does it.
//!
//! Tasks are posted on the task set. Helpers take them down, and so does whoever waits for the group. Where
//! helpers come from is said by [`Spawn`], or they are the [`crew`]'s. One mutex orders everything here;
//! what it guards is in [`state`](super::state).
//!
//! # Who is called
//! At most one helper is *on its way* at a time. It is called when a task is posted, and when it arrives and
//! takes a task while others are left, it calls the next before it begins. So a thousand small tasks do not
//! cost a thousand wake-ups: whoever is awake takes the next one. Who takes the last one takes back the call
//! of a helper that has not come by then. And still every task gets a thread even if all of them block,
//! because of
//!
//! # Invariant
//! With the lock free: if a task is posted that the limit allows to run, then a helper is on its way, or
//! somebody who waits is taking tasks, or no thread is to be had. It is made by `settle`, before each
//! unlocking that could break it: a post, a raised limit, a task that is taken, and one that falls asleep.
//!
//! # No thread to be had
//! Then whoever ends a task takes the next, and who waits for the group takes them all; a
//! [handle](super::Handle)'s joiner takes the one that it waits for, which it does with a thread to be had,
//! too; those who wait elsewhere for what a task does are told by a token ([`TaskSet::tell_of_refusal`]). The
//! call stays with the thread cache, whose next free helper comes for it, and the next post asks for a thread
//! again.
//!
//! # Lock order
//! The task set's, then the thread cache's.

mod helpers;
mod owner;

use std::fmt;
use std::io;
use std::mem;

use super::state::{State, Task};
use crate::cancel::CancelToken;
use crate::sync::{Arc, Mutex};
use crate::wait::context::Inherited;

/// What a helper does, once: takes tasks from the task set that called it, until there are none for it.
///
/// Whoever is handed one runs it or drops it; dropped, it counts as a thread that was not to be had.
pub(crate) type HelperFn = Box<dyn FnOnce() + Send>;

/// Where a task set gets its helpers from.
pub(crate) trait Spawn: Send + Sync {
    /// Lets some thread run `help` soon, without waiting for it; false if there is none to be had.
    ///
    /// A task set whose helper does not come is not stuck: its owner takes the tasks when its body is done.
    /// But until then, tasks that the body waits for do not run.
    fn call(self: Arc<Self>, help: HelperFn) -> bool;
}

/// Sends nobody: only the thread that waits for a task set runs its tasks, so a task that has run was waited
/// for.
#[cfg(test)]
pub(super) struct Nobody;

#[cfg(test)]
impl Spawn for Nobody {
    fn call(self: Arc<Self>, _: HelperFn) -> bool {
        false
    }
}

pub(super) struct TaskSet {
    state: Mutex<State>,
    /// `None` for the thread cache, which always has a thread unless the operating system refuses.
    spawn: Option<Arc<dyn Spawn>>,
    /// Its maker's, who waits for whoever helps.
    inherited: Inherited,
}

impl TaskSet {
    pub(super) fn new(spawn: Option<Arc<dyn Spawn>>) -> Self {
        TaskSet { spawn, inherited: Inherited::current(), state: Mutex::new(State::new()) }
    }

    /// Posts a task.
    ///
    /// # Errors
    /// If it needed another thread and none was to be had; it is posted all the same.
    pub(super) fn push(set: &Arc<Self>, name: Option<Arc<str>>, task: Task) -> io::Result<()> {
        let mut state = set.state.lock();
        state.push(name, task);
        TaskSet::settle_patiently(set, state)
    }

    /// Like [`post`](TaskSet::post), for a task that is joined: its number.
    pub(super) fn post_joined(set: &Arc<Self>, task: Task) -> usize {
        let mut state = set.state.lock();
        let number = state.push(None, task);
        let _ = TaskSet::settle_patiently(set, state);
        number
    }

    /// Posts a task without calling anybody; [`call`](TaskSet::call) must follow. Returns the task's number.
    pub(super) fn put(&self, task: Task) -> usize {
        self.state.lock().push(None, task)
    }

    /// Takes back a task that nobody has taken.
    pub(super) fn withdraw(set: &Arc<Self>, number: usize) -> Option<Task> {
        let mut state = set.state.lock();
        let task = state.withdraw(number)?;
        let wakes = state.wake_if_finished();
        let _ = TaskSet::settle(set, state);
        drop(wakes);
        Some(task)
    }

    /// Calls a helper if one is needed.
    ///
    /// # Errors
    /// If none was to be had.
    pub(super) fn call(set: &Arc<Self>) -> io::Result<()> {
        TaskSet::settle(set, set.state.lock())
    }

    /// Cancels `token` when a helper was called from now on and is not to be had.
    pub(super) fn tell_of_refusal(&self, token: CancelToken) {
        let mut state = self.state.lock();
        // Of those who have left meanwhile nobody listens.
        state.refusals.retain(|token| !token.is_cancelled());
        state.refusals.push(token);
    }

    /// Keeps a place for a task, if the limit has one.
    pub(super) fn reserve(&self) -> bool {
        self.state.lock().reserve()
    }

    pub(super) fn post_reserved(set: &Arc<Self>, name: Option<Arc<str>>, task: Task) {
        let mut state = set.state.lock();
        state.give_back_place();
        state.push(name, task);
        let _ = TaskSet::settle(set, state);
    }

    pub(super) fn limit(set: &Arc<Self>, limit: usize) {
        let mut state = set.state.lock();
        state.limit = limit;
        let _ = TaskSet::settle(set, state);
    }

    /// Keeps `closer` until the group stops; calls it at once if it has. Says whether it is kept.
    pub(super) fn keep_closer(&self, closer: Task) -> bool {
        let mut state = self.state.lock();
        if !state.has_stopped {
            state.closers.push(closer);
            return true;
        }
        drop(state);
        TaskSet::run(closer);
        false
    }

    /// The group stops: calls the closers.
    pub(super) fn stop(&self) {
        let mut state = self.state.lock();
        state.has_stopped = true;
        let closers = mem::take(&mut state.closers);
        state.closing += 1;
        drop(state);
        for closer in closers {
            TaskSet::run(closer);
        }
        let mut state = self.state.lock();
        state.closing -= 1;
        let wakes = state.wake_if_finished();
        drop(state);
        drop(wakes);
    }

    /// True if some task was not started.
    pub(super) fn skipped(&self) -> bool {
        self.state.lock().skipped
    }
}

impl fmt::Debug for TaskSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("TaskSet");
        if let Some(state) = self.state.try_lock() {
            let (queued, running) = state.figures();
            out.field("queued", &queued).field("running", &running);
        }
        out.finish_non_exhaustive()
    }
}
