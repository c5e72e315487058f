//! The queue of a group's tasks, and the threads that run them.
//!
//! Tasks are pushed onto the task set. Helpers take them, and so does the thread that waits for the group.
//! Helpers come from an executor (see [`Spawn`]) or from the [thread cache](crate::wait::cache). One mutex
//! orders everything here; what it protects is in [`state`](super::state).
//!
//! # When a helper is requested
//! At most one requested helper is *outstanding* at a time. It is requested when a task is pushed. When it
//! arrives and takes a task while others are queued, it requests the next before it runs its own. So a
//! thousand small tasks do not cost a thousand wake-ups: a thread that is awake takes the next task. The
//! thread that takes the last task withdraws an outstanding request. And still every task gets a thread, even
//! if all of them block, because of the
//!
//! # Invariant
//! With the lock free: if a task is queued that the limit admits, then a helper is outstanding, or a waiting
//! thread takes tasks, or no thread is available. `settle` establishes it, before each unlocking that could
//! break it: after a push, after a raised limit, when a task is taken, and when one blocks.
//!
//! # If no thread is available
//! The thread that ends a task takes the next one, and a thread that waits for the group takes them all. The
//! joiner of a [handle](super::Handle) runs the task that it waits for, whether or not a thread is available.
//! Threads that wait elsewhere for what a task does are told through a token ([`TaskSet::tell_of_refusal`]).
//! The request stays with the thread cache, whose next free helper takes it, and the next push requests a
//! thread again.
//!
//! # Lock order
//! The task set's lock, then the thread cache's, or that of the list of [objects](crate::inspect).

mod helpers;
mod owner;

use std::fmt;
use std::io;
use std::mem;
use std::panic::Location;

use super::state::{State, Task};
use crate::cancel::CancelToken;
use crate::inspect::{self, Inspect, Object};
use crate::panics;
use crate::sync::{Arc, Mutex, Weak};
use crate::wait::context::Inherited;

/// What a helper runs, once: it takes tasks from the task set that requested it, until none is left for it.
///
/// The receiver runs it or drops it; a drop counts as a refusal.
pub(crate) type HelperFn = Box<dyn FnOnce() + Send>;

/// A source of helpers for task sets.
pub(crate) trait Spawn: Send + Sync {
    /// Runs `help` on some thread soon, without waiting for it; false if no thread is available.
    ///
    /// A task set whose helper never arrives still ends: its owner takes the tasks when its body is done.
    /// Until then, tasks that the body waits for do not run.
    fn spawn_helper(self: Arc<Self>, help: HelperFn) -> bool;
}

/// Provides no thread: only the thread that waits for a task set runs its tasks, so a task that has run was
/// waited for.
#[cfg(test)]
pub(super) struct Nobody;

#[cfg(test)]
impl Spawn for Nobody {
    fn spawn_helper(self: Arc<Self>, _: HelperFn) -> bool {
        false
    }
}

/// What a task set belongs to, and where that was made: for [`inspect`](crate::inspect).
#[derive(Clone, Copy)]
pub(super) struct Origin {
    kind: &'static str,
    at: &'static Location<'static>,
}

impl Origin {
    #[track_caller]
    pub(super) fn here(kind: &'static str) -> Self {
        Origin { kind, at: Location::caller() }
    }
}

pub(super) struct TaskSet {
    state: Mutex<State>,
    origin: Origin,
    /// `None` for the thread cache, which has a thread unless the operating system refuses one.
    executor: Option<Arc<dyn Spawn>>,
    /// The context of the thread that created the set; that thread waits for its helpers.
    inherited: Inherited,
}

impl TaskSet {
    pub(super) fn new(executor: Option<Arc<dyn Spawn>>, origin: Origin) -> Self {
        TaskSet { executor, origin, inherited: Inherited::current(), state: Mutex::new(State::new()) }
    }

    /// Lists the set in [`inspect`](crate::inspect), if it is not listed already. Most scopes are short, and
    /// their tasks run on the thread that opened them; so a set is listed only once it has a task with a
    /// name, a helper, or an owner that sleeps.
    fn list(set: &Arc<Self>, state: &mut State) {
        if state.listed.is_none() {
            // Weak, since the set owns its entry in the list.
            state.listed = inspect::list(|| Arc::new(Arc::downgrade(set)) as Arc<dyn Inspect>);
        }
    }

    /// Pushes a task.
    ///
    /// # Errors
    /// If no thread was available for it; the task is queued nevertheless.
    pub(super) fn push(set: &Arc<Self>, name: Option<Arc<str>>, task: Task) -> io::Result<()> {
        let mut state = set.state.lock();
        if name.is_some() {
            TaskSet::list(set, &mut state);
        }
        state.push(name, task);
        // The first task alone seldom needs a helper: the owner usually runs it before one arrives.
        TaskSet::settle_deferrable(set, state)
    }

    /// Like [`push`](TaskSet::push), for a task that is joined; returns its number.
    pub(super) fn push_joined(set: &Arc<Self>, task: Task) -> usize {
        let mut state = set.state.lock();
        let number = state.push(None, task);
        let _ = TaskSet::settle_deferrable(set, state);
        number
    }

    /// Pushes a task without requesting a helper; [`notify`](TaskSet::notify) must follow. Returns the task's
    /// number.
    pub(super) fn push_only(&self, task: Task) -> usize {
        // No helper yet: the caller holds a lock of its own, under which no thread may be started.
        self.state.lock().push(None, task)
    }

    /// Removes a task from the queue, if it is still there.
    pub(super) fn withdraw(set: &Arc<Self>, number: usize) -> Option<Task> {
        let mut state = set.state.lock();
        let task = state.withdraw(number)?;
        // It may have been the last: nothing is left for the waiters then.
        let wakes = state.wake_if_finished();
        let _ = TaskSet::settle(set, state);
        drop(wakes);
        Some(task)
    }

    /// Requests a helper if one is needed.
    ///
    /// # Errors
    /// If none was available.
    pub(super) fn notify(set: &Arc<Self>) -> io::Result<()> {
        TaskSet::settle(set, set.state.lock())
    }

    /// Cancels `token` when a helper that is requested from now on is refused.
    pub(super) fn tell_of_refusal(&self, token: CancelToken) {
        let mut state = self.state.lock();
        // Threads that have stopped waiting have cancelled their tokens.
        state.refusals.retain(|token| !token.is_cancelled());
        state.refusals.push(token);
    }

    /// Reserves capacity for a task, if the limit admits one.
    pub(super) fn reserve(&self) -> bool {
        self.state.lock().reserve()
    }

    pub(super) fn push_reserved(set: &Arc<Self>, name: Option<Arc<str>>, task: Task) {
        let mut state = set.state.lock();
        // In one critical section with the push, so that the capacity is never free in between.
        state.unreserve();
        if name.is_some() {
            TaskSet::list(set, &mut state);
        }
        state.push(name, task);
        let _ = TaskSet::settle(set, state);
    }

    pub(super) fn limit(set: &Arc<Self>, limit: usize) {
        let mut state = set.state.lock();
        // A raised limit may admit queued tasks, so `settle` requests a helper.
        state.limit = limit;
        let _ = TaskSet::settle(set, state);
    }

    /// Stores `hook` until the group stops; calls it at once if the group has stopped. Returns whether it was
    /// stored.
    pub(super) fn add_stop_hook(&self, hook: Task) -> bool {
        let mut state = self.state.lock();
        // The flag and the list change under one lock: a hook is either stored before the stop, or called
        // here.
        if !state.has_stopped {
            state.stop_hooks.push(hook);
            return true;
        }
        // Unlocked: the hook is the caller's code.
        drop(state);
        TaskSet::run(hook);
        false
    }

    /// Stops the group: calls the stop hooks.
    pub(super) fn stop(&self) {
        let mut state = self.state.lock();
        state.has_stopped = true;
        let stop_hooks = mem::take(&mut state.stop_hooks);
        // Counted as present until the hooks have returned: they may borrow, so the scope must not end.
        state.running_hooks += 1;
        // Unlocked: hooks are the caller's code, and may spawn or wait.
        drop(state);
        for hook in stop_hooks {
            TaskSet::run(hook);
        }
        let mut state = self.state.lock();
        state.running_hooks -= 1;
        let wakes = state.wake_if_finished();
        // Woken after unlocking, since the waiters take this lock first.
        drop(state);
        drop(wakes);
    }

    /// True if a task was not started.
    pub(super) fn skipped(&self) -> bool {
        self.state.lock().skipped
    }
}

impl Inspect for Weak<TaskSet> {
    fn object(&self) -> Option<Object> {
        let set = self.upgrade()?;
        let Origin { kind, at } = set.origin;
        let object = Object { location: Some(at), ..Object::new(kind, set.key()) };
        let object = set.state.lock().describe(object);
        // Contained: this may be the last reference, and hooks that were never called are the caller's.
        panics::discard(set);
        Some(object)
    }
}

impl fmt::Debug for TaskSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("TaskSet");
        // `Debug` never blocks.
        if let Some(state) = self.state.try_lock() {
            let (queued, running) = state.figures();
            out.field("queued", &queued).field("running", &running);
        }
        out.finish_non_exhaustive()
    }
}
