//! Helpers: when one is requested for a task set, and what happens when it arrives or is refused.

use std::io;
use std::mem;
use std::time::Instant;

use super::TaskSet;
use crate::cancel::CancelToken;
use crate::group::state::{Helper, State};
use crate::sync::{Arc, MutexGuard};
use crate::wait::cache::{self, Call, Caller, Urgency};
use crate::wait::context;
use crate::wait::graph;
use crate::wait::{Blocking, observed_by};

impl TaskSet {
    /// Like [`settle`](TaskSet::settle), but does not wake an idle helper for the first task: most scopes of
    /// one task end before it would arrive.
    pub(super) fn settle_deferrable(set: &Arc<Self>, state: MutexGuard<'_, State>) -> io::Result<()> {
        match (state.is_first(), state.helper, &set.executor) {
            (true, None, None) if state.has_work() => TaskSet::call_cache(set, state, Urgency::Deferrable),
            _ => TaskSet::settle(set, state),
        }
    }

    /// Unlocks. Requests a helper if there is work for one and none is outstanding; withdraws the request if
    /// one is outstanding and no work is left.
    ///
    /// # Errors
    /// If no thread was available. The thread that ends a task takes the next one; if none is running, the
    /// thread that waits for the group takes it.
    pub(super) fn settle(set: &Arc<Self>, mut state: MutexGuard<'_, State>) -> io::Result<()> {
        match (state.has_work(), state.helper, &set.executor) {
            (true, None, None) => TaskSet::call_cache(set, state, Urgency::Immediate),
            (true, None, Some(executor)) => {
                // Before unlocking, so that no other thread requests a second helper.
                state.helper = Some(Helper::FromExecutor);
                // Unlocked: the executor is another object with locks of its own.
                drop(state);
                let ticket = HelperTicket(Some(Arc::clone(set)));
                // Dropped by the executor if no thread is available.
                match Arc::clone(executor).spawn_helper(Box::new(move || ticket.arrive())) {
                    true => Ok(()),
                    false => Err(io::ErrorKind::WouldBlock.into()),
                }
            }
            // A second task, or one that blocks: now the helper is needed at once.
            (true, Some(Helper::Deferrable(number)), _) => {
                state.helper = Some(Helper::Immediate(number));
                drop(state);
                // After unlocking: it takes the cache's lock and wakes a thread.
                cache::expedite();
                Ok(())
            }
            (true, Some(Helper::Refused(number)), _) => {
                state.helper = Some(Helper::Immediate(number));
                drop(state);
                cache::call_again(number).inspect_err(|_| set.helper_refused(number))
            }
            (
                false,
                Some(Helper::Immediate(number) | Helper::Deferrable(number) | Helper::Refused(number)),
                _,
            ) => {
                // The cache's lock is taken under this one: the lock order.
                let call = cache::withdraw(number);
                if call.is_some() {
                    state.helper = None;
                }
                drop(state);
                // The call holds a reference to the task set; it is not the last one, so this drop frees
                // nothing.
                drop(call);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn call_cache(set: &Arc<Self>, mut state: MutexGuard<'_, State>, urgency: Urgency) -> io::Result<()> {
        let called = cache::add(Call::Shared(Arc::clone(set) as Arc<dyn Caller>), urgency);
        let number = called.number;
        // Set under this lock, so that a thread that finds no work left also finds the call to withdraw.
        state.helper = Some(match urgency {
            Urgency::Deferrable => Helper::Deferrable(number),
            Urgency::Immediate => Helper::Immediate(number),
        });
        // Unlocked before a thread is woken or started, which may take long.
        drop(state);
        called.send().inspect_err(|_| set.helper_refused(number))
    }

    /// The thread cache could not provide the requested helper.
    #[cold]
    fn helper_refused(&self, call: u64) {
        let mut state = self.state.lock();
        // The call may have been withdrawn, and another made.
        if let Some(Helper::Immediate(number) | Helper::Deferrable(number)) = state.helper
            && number == call
        {
            state.helper = Some(Helper::Refused(number));
        }
        TaskSet::report_refusal(state);
    }

    /// The executor could not provide the requested helper.
    #[cold]
    pub(super) fn executor_refused(&self) {
        let mut state = self.state.lock();
        // No longer outstanding: the next push may request another.
        if state.helper == Some(Helper::FromExecutor) {
            state.helper = None;
        }
        TaskSet::report_refusal(state);
    }

    /// Wakes all waiters, of which one takes the task instead.
    fn report_refusal(mut state: MutexGuard<'_, State>) {
        let (wakes, tokens) = (state.waiting.take_all(), mem::take(&mut state.refusals));
        // Unlocked: cancelling the tokens runs callbacks.
        drop(state);
        drop(wakes);
        tokens.iter().for_each(CancelToken::cancel);
    }

    /// What a helper runs, in the context of the set's owner.
    fn arrive(set: &Arc<Self>) {
        set.inherited.run(|| TaskSet::as_worker(set, || TaskSet::help(set)));
    }

    /// Runs `f` as a thread of this task set: inside the group, and observed when it blocks.
    pub(super) fn as_worker(set: &Arc<Self>, f: impl FnOnce()) {
        // Calls that would wait for the group are refused from here on.
        let _inside = context::enter(set.key());
        let _owing = graph::owe();
        let _observed = observed_by(Arc::clone(set) as Arc<dyn Blocking>);
        f();
    }

    /// Identifies the group among those that a thread can be inside.
    pub(super) fn key(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// True on threads that run the group's tasks, and on threads that work for them.
    pub(in crate::group) fn is_inside(&self) -> bool {
        context::is_inside(self.key())
    }

    /// What a helper does when it arrives.
    fn help(set: &Arc<Self>) {
        let mut state = set.state.lock();
        state.helper = None;
        // The lock of the list is nothing beside the wake-up of this thread.
        TaskSet::list(set, &mut state);
        TaskSet::take_all(set, state);
    }
}

/// A helper requested from an executor. It arrives, or is dropped if the executor does not provide a thread.
struct HelperTicket(Option<Arc<TaskSet>>);

impl HelperTicket {
    fn arrive(mut self) {
        let set = self.0.take().expect("only this empties it, and consumes it");
        TaskSet::arrive(&set);
    }
}

impl Drop for HelperTicket {
    fn drop(&mut self) {
        if let Some(set) = self.0.take() {
            set.executor_refused();
        }
    }
}

impl Caller for TaskSet {
    fn arrive(self: Arc<Self>) {
        TaskSet::arrive(&self);
    }
}

/// Blocked tasks make room under the limit; see [`state`](super::state).
impl Blocking for TaskSet {
    fn blocked(self: Arc<Self>, deadline: Option<Instant>) -> bool {
        let mut state = self.state.lock();
        // Under the lock that admits tasks, so the last awake task that blocks lets the next one start.
        let sleeps = state.block(deadline);
        // Without a limit, the thread that took the task has requested the next helper already.
        if sleeps && state.is_limited() {
            let _ = TaskSet::settle(&self, state);
        }
        sleeps
    }

    fn resumed(&self) {
        self.state.lock().resume();
    }

    fn counts_helpers(&self) -> bool {
        true
    }
}
