//! Helpers: when one is called for a task set, by whom it is sent, and what it is told when it comes or
//! cannot.

use std::io;
use std::mem;
use std::time::Instant;

use super::TaskSet;
use crate::cancel::CancelToken;
use crate::group::state::{Helper, State};
use crate::sync::{Arc, MutexGuard};
use crate::wait::cache::{self, Call, Caller, Patience};
use crate::wait::context;
use crate::wait::graph;
use crate::wait::{Blocking, observed_by};

impl TaskSet {
    /// Like [`settle`](TaskSet::settle); calls a helper for a first task with patience. Most scopes of one
    /// task end before it could come.
    pub(super) fn settle_patiently(set: &Arc<Self>, state: MutexGuard<'_, State>) -> io::Result<()> {
        match (state.is_first(), state.helper, &set.spawn) {
            (true, None, None) if state.has_work() => TaskSet::call_cache(set, state, Patience::Patient),
            _ => TaskSet::settle(set, state),
        }
    }

    /// Unlocks. Calls a helper if there is something for it to do and none is on its way, and takes the call
    /// back if one is and there is nothing left.
    ///
    /// # Errors
    /// If there was none to be had. Whoever ends a task takes the next; if nobody runs one, who waits for the
    /// group does.
    pub(super) fn settle(set: &Arc<Self>, mut state: MutexGuard<'_, State>) -> io::Result<()> {
        match (state.has_work(), state.helper, &set.spawn) {
            (true, None, None) => TaskSet::call_cache(set, state, Patience::Impatient),
            (true, None, Some(spawn)) => {
                state.helper = Some(Helper::Borrowed);
                drop(state);
                let ticket = Ticket(Some(Arc::clone(set)));
                // Dropped if no thread is to be had.
                match Arc::clone(spawn).call(Box::new(move || ticket.arrive())) {
                    true => Ok(()),
                    false => Err(io::ErrorKind::WouldBlock.into()),
                }
            }
            (true, Some(Helper::Patient(number)), _) => {
                state.helper = Some(Helper::ThreadCache(number));
                drop(state);
                cache::hurry();
                Ok(())
            }
            (true, Some(Helper::Refused(number)), _) => {
                state.helper = Some(Helper::ThreadCache(number));
                drop(state);
                cache::call_again(number).inspect_err(|_| set.is_refused(number))
            }
            (
                false,
                Some(Helper::ThreadCache(number) | Helper::Patient(number) | Helper::Refused(number)),
                _,
            ) => {
                let call = cache::take_back(number);
                if call.is_some() {
                    state.helper = None;
                }
                drop(state);
                // It holds a reference to the task set, which is not the last.
                drop(call);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn call_cache(set: &Arc<Self>, mut state: MutexGuard<'_, State>, patience: Patience) -> io::Result<()> {
        let called = cache::add(Call::Shared(Arc::clone(set) as Arc<dyn Caller>), patience);
        let number = called.number;
        // Under this lock, so that whoever finds nothing left to do finds the call too.
        state.helper = Some(match patience {
            Patience::Patient => Helper::Patient(number),
            Patience::Impatient => Helper::ThreadCache(number),
        });
        drop(state);
        called.send().inspect_err(|_| set.is_refused(number))
    }

    /// The thread cache's helper that was called is not to be had.
    #[cold]
    fn is_refused(&self, call: u64) {
        let mut state = self.state.lock();
        // The call may have been taken back, and another made.
        if let Some(Helper::ThreadCache(number) | Helper::Patient(number)) = state.helper
            && number == call
        {
            state.helper = Some(Helper::Refused(number));
        }
        TaskSet::tell_refusal(state);
    }

    /// Another's helper that was called is not to be had.
    #[cold]
    pub(super) fn is_refused_a_lent_one(&self) {
        let mut state = self.state.lock();
        if state.helper == Some(Helper::Borrowed) {
            state.helper = None;
        }
        TaskSet::tell_refusal(state);
    }

    /// Whoever waits takes the task instead.
    fn tell_refusal(mut state: MutexGuard<'_, State>) {
        let (wakes, tokens) = (state.waiting.take_all(), mem::take(&mut state.refusals));
        drop(state);
        drop(wakes);
        tokens.iter().for_each(CancelToken::cancel);
    }

    /// What a helper does, on the thread that has come.
    fn arrive(set: &Arc<Self>) {
        set.inherited.run(|| TaskSet::as_worker(set, || TaskSet::help(set)));
    }

    /// Does `f` as one who runs this task set's tasks: inside the group, and its sleeps are counted.
    pub(super) fn as_worker(set: &Arc<Self>, f: impl FnOnce()) {
        let _inside = context::enter(set.key());
        let _owing = graph::owe();
        let _observed = observed_by(Arc::clone(set) as Arc<dyn Blocking>);
        f();
    }

    /// The group's name among those that a thread can be inside.
    fn key(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// True on threads that run the group's tasks, and on those that they wait for.
    pub(in crate::group) fn is_inside(&self) -> bool {
        context::is_inside(self.key())
    }

    /// What a helper does when it arrives.
    fn help(set: &Arc<Self>) {
        let mut state = set.state.lock();
        state.helper = None;
        TaskSet::take_all(set, state);
    }
}

/// A helper on its way that is lent. It arrives, or is dropped by whoever could not or would not send it.
struct Ticket(Option<Arc<TaskSet>>);

impl Ticket {
    fn arrive(mut self) {
        let set = self.0.take().expect("only this empties it, and consumes it");
        TaskSet::arrive(&set);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(set) = self.0.take() {
            set.is_refused_a_lent_one();
        }
    }
}

impl Caller for TaskSet {
    fn arrive(self: Arc<Self>) {
        TaskSet::arrive(&self);
    }
}

/// Tasks that sleep make room under the limit; see [`state`](super::state).
impl Blocking for TaskSet {
    fn blocked(self: Arc<Self>, deadline: Option<Instant>) -> bool {
        let mut state = self.state.lock();
        let sleeps = state.falls_asleep(deadline);
        // Without a limit, whoever took the task has called the next helper.
        if sleeps && state.is_limited() {
            let _ = TaskSet::settle(&self, state);
        }
        sleeps
    }

    fn resumed(&self) {
        self.state.lock().wakes_up();
    }

    fn counts_helpers(&self) -> bool {
        true
    }
}
