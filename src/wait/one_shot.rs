//! A closure that runs at most once, and its result, for a thread that waits.
//!
//! Every handle is built on it: a pool's `Task`, a group's `Handle`, the `Running` of a function with a time
//! limit, a single flight. The thread that claims the closure has it alone: a worker that runs it, a joiner
//! that does not wait for a worker, a canceller, an abort. A worker skips a closure that was claimed
//! elsewhere.
//!
//! | from | to | by |
//! |---|---|---|
//! | `Unclaimed` | `Claimed` | [`claim`](OneShot::claim) |
//! | `Unclaimed` | `Kept` | [`revoke`](OneShot::revoke): a result without a run |
//! | `Unclaimed`, `Claimed` | `Gone` | [`abandon`](OneShot::abandon), [`take_back`](OneShot::take_back): there will be no result |
//! | `Claimed` | `Claimed`, by the first waiter | [`pass_on`](OneShot::pass_on) |
//! | `Claimed` | `Unclaimed` | [`put_back`](OneShot::put_back): another run |
//! | `Claimed` | `Kept` | [`keep`](OneShot::keep); `Gone` at once if there is no handle |
//! | `Kept` | `Gone` | [`take`](OneShot::take), [`detach`](OneShot::detach) |
//!
//! One mutex orders everything here. None of the caller's code runs under it; the closure of
//! [`look`](OneShot::look) is this crate's.

use std::mem;

use super::graph::{Awaited, Owner};
use super::{WaitList, WaitPoint, Waiter, Wake};
use crate::error::{TryError, WaitError};
use crate::sync::{Arc, Mutex};
use crate::until::Until;
use crate::wait::context::this_thread;

pub(crate) struct OneShot<F, V> {
    state: Mutex<State<F, V>>,
}

struct State<F, V> {
    stage: Stage<F, V>,
    /// With the keys of their threads.
    joiners: WaitList<usize>,
    /// The last handle was dropped.
    detached: bool,
    /// The claimant as a node of the wait-for graph; made when the first waiter needs it.
    owner: Option<Arc<Owner>>,
}

enum Stage<F, V> {
    Unclaimed(F),
    /// By the thread with this key.
    Claimed(usize),
    Kept(V),
    /// The result was taken, or there will be none.
    Gone,
}

impl<F, V> OneShot<F, V> {
    pub(crate) fn new(f: F) -> Self {
        OneShot::at(Stage::Unclaimed(f))
    }

    /// Makes one whose closure is already running, on the thread with that key.
    pub(crate) fn claimed_by(thread: usize) -> Self {
        OneShot::at(Stage::Claimed(thread))
    }

    fn at(stage: Stage<F, V>) -> Self {
        let state = State { stage, joiners: WaitList::new(), detached: false, owner: None };
        OneShot { state: Mutex::new(state) }
    }

    /// Takes the closure for this thread, which must provide the result; `None` if it is claimed.
    pub(crate) fn claim(&self) -> Option<F> {
        let mut state = self.state.lock();
        let this = this_thread();
        // Under the lock, so exactly one of `claim`, `revoke` and `abandon` gets the closure.
        let f = state.replace_unclaimed(|| Stage::Claimed(this))?;
        // A waiter that came before the claim has made the owner node without a thread. It is set under the
        // lock under which `awaited` makes it, so the claim is missed by neither order.
        if let Some(owner) = &state.owner {
            owner.set(this);
        }
        Some(f)
    }

    /// Takes the closure and stores `result` for the waiters instead; `None` if it is claimed.
    pub(crate) fn revoke(&self, result: impl FnOnce() -> V) -> Option<F> {
        let mut state = self.state.lock();
        let f = state.replace_unclaimed(|| Stage::Kept(result()))?;
        // All: each waiter waits for the end of the computation, and `take` decides which one gets the
        // result. Woken after unlocking, so that none of them wakes up into the held lock.
        let wakes = state.joiners.take_all();
        drop(state);
        drop(wakes);
        Some(f)
    }

    /// Takes the closure back, if no other thread has seen this object.
    pub(crate) fn take_back(&self) -> F {
        self.abandon().unwrap_or_else(|| unreachable!("nobody else has seen it, so nobody has claimed it"))
    }

    /// Declares that there will be no result, unless there is one already. Returns the closure if it is
    /// unclaimed.
    pub(crate) fn abandon(&self) -> Option<F> {
        let mut state = self.state.lock();
        // Tie: a result that is already there wins.
        if matches!(state.stage, Stage::Kept(_) | Stage::Gone) {
            return None;
        }
        let stage = state.end(Stage::Gone);
        let wakes = state.joiners.take_all();
        drop(state);
        drop(wakes);
        match stage {
            Stage::Unclaimed(f) => Some(f),
            _ => None,
        }
    }

    /// Puts the closure back, to be run again. For a claimant whose waiters do not use the one-shot's own
    /// node of the wait-for graph.
    pub(crate) fn put_back(&self, f: F) {
        let mut state = self.state.lock();
        debug_assert!(state.owner.is_none(), "the node would name this thread from now on");
        // Wakes nobody: no end has come.
        state.end(Stage::Unclaimed(f));
    }

    /// Wakes the waiters, to look again.
    pub(crate) fn wake(&self) {
        let wakes = self.state.lock().joiners.take_all();
        // After unlocking, which the end of the statement did.
        drop(wakes);
    }

    /// Passes the claim to the first waiter. Without a waiter there will be no result, and this returns
    /// `None`.
    pub(crate) fn pass_on(&self) -> Option<Wake> {
        let mut state = self.state.lock();
        // The first waiter that has not given up: a waiter that its limit ended could not take the claim. The
        // claim and the end of the wait are one critical section, so the claim always has a live owner.
        match state.joiners.next_with() {
            Some((wake, thread)) => {
                state.stage = Stage::Claimed(thread);
                if let Some(owner) = &state.owner {
                    owner.set(thread);
                }
                Some(wake)
            }
            None => {
                state.end(Stage::Gone);
                None
            }
        }
    }

    /// Stores the result and wakes its waiters. Returns it if there is no handle any more.
    pub(crate) fn keep(&self, result: V) -> Option<V> {
        let mut state = self.state.lock();
        // Tie with `detach`, under the same lock: the result goes either to that call or back to this caller,
        // and is dropped exactly once.
        if state.detached {
            state.end(Stage::Gone);
            return Some(result);
        }
        // The result is stored before its waiters are ended, so a woken waiter finds it.
        state.end(Stage::Kept(result));
        let wakes = state.joiners.take_all();
        drop(state);
        drop(wakes);
        None
    }

    /// Takes the result.
    ///
    /// # Errors
    /// [`TryError::WouldBlock`] if there is no result yet, [`TryError::Closed`] if there will be none.
    pub(crate) fn take(&self) -> Result<V, TryError> {
        self.state.lock().take()
    }

    /// Called for the last handle. Takes the result if there is one; otherwise [`keep`](OneShot::keep) will
    /// return it to its caller.
    pub(crate) fn detach(&self) -> Option<V> {
        let mut state = self.state.lock();
        // Set together with the look at the result: `keep` comes either before both or after both.
        state.detached = true;
        state.take().ok()
    }

    /// Applies `look` to the result, which stays.
    ///
    /// # Errors
    /// As [`take`](OneShot::take).
    pub(crate) fn look<S>(&self, look: impl FnOnce(&V) -> S) -> Result<S, TryError> {
        match &self.state.lock().stage {
            Stage::Kept(result) => Ok(look(result)),
            Stage::Gone => Err(TryError::Closed),
            Stage::Unclaimed(_) | Stage::Claimed(_) => Err(TryError::WouldBlock),
        }
    }

    pub(crate) fn is_unclaimed(&self) -> bool {
        matches!(self.state.lock().stage, Stage::Unclaimed(_))
    }

    /// True once there is a result, or there will be none.
    pub(crate) fn is_finished(&self) -> bool {
        self.state.lock().is_finished()
    }

    /// The thread that has claimed the closure and not finished it.
    pub(crate) fn claimant(&self) -> Option<usize> {
        match self.state.lock().stage {
            Stage::Claimed(thread) => Some(thread),
            _ => None,
        }
    }

    /// True if this thread must provide the result.
    pub(crate) fn is_claimed_here(&self) -> bool {
        self.claimant() == Some(this_thread())
    }

    /// Waits until there is a result, or there will be none, at most until `limit`.
    #[track_caller]
    pub(crate) fn wait(&self, limit: Until<'_>) -> Result<(), WaitError> {
        limit.check_token()?;
        // Tie: a result that is there wins over an edge of the wait-for graph that would refuse the wait.
        if self.is_finished() {
            return Ok(());
        }
        // Refused with any limit, since it is certain at once that the wait cannot succeed.
        if self.is_claimed_here() {
            return Err(WaitError::WouldDeadlock);
        }
        limit.retry(self, || if self.is_finished() { Ok(()) } else { Err(TryError::WouldBlock) })
    }

    /// Like [`abandon`](OneShot::abandon), but only if no thread waits for the result. Returns whether it
    /// did.
    pub(crate) fn abandon_unless_awaited(&self) -> bool {
        let mut state = self.state.lock();
        // Checked and ended in one critical section, so no thread can begin to wait in between.
        let unwanted = state.joiners.is_empty();
        if unwanted {
            state.end(Stage::Gone);
        }
        unwanted
    }

    /// The number of threads that wait for the result.
    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().joiners.len()
    }
}

impl<F, V> State<F, V> {
    fn is_finished(&self) -> bool {
        matches!(self.stage, Stage::Kept(_) | Stage::Gone)
    }

    /// Moves the closure out and puts `next` in its place, if it is unclaimed.
    fn replace_unclaimed(&mut self, next: impl FnOnce() -> Stage<F, V>) -> Option<F> {
        // `Gone` is a placeholder: the lock is held until the stage is written again.
        match mem::replace(&mut self.stage, Stage::Gone) {
            Stage::Unclaimed(f) => {
                self.stage = next();
                Some(f)
            }
            other => {
                self.stage = other;
                None
            }
        }
    }

    /// Leaves `owner` unchanged: the waiters end in the same critical section, and the wait-for graph ignores
    /// a thread whose waiter has ended.
    fn end(&mut self, last: Stage<F, V>) -> Stage<F, V> {
        mem::replace(&mut self.stage, last)
    }

    fn take(&mut self) -> Result<V, TryError> {
        match mem::replace(&mut self.stage, Stage::Gone) {
            Stage::Kept(result) => Ok(result),
            Stage::Gone => Err(TryError::Closed),
            earlier => {
                self.stage = earlier;
                Err(TryError::WouldBlock)
            }
        }
    }
}

impl<F, V> WaitPoint for OneShot<F, V> {
    fn looks_ready(&self) -> bool {
        self.state.try_lock().is_some_and(|state| state.is_finished())
    }

    fn join(&self, waiter: &Waiter) -> bool {
        // Waits for a result or its absence. Either is written under this lock, together with taking all
        // waiters out of the list, so no wake-up is missed.
        let mut state = self.state.lock();
        let must_wait = !state.is_finished();
        if must_wait {
            state.joiners.join_with(waiter, this_thread());
        }
        must_wait
    }

    fn leave(&self, waiter: &Waiter) {
        self.state.lock().joiners.leave(waiter);
    }

    fn awaited(&self) -> Option<Arc<dyn Awaited>> {
        let mut state = self.state.lock();
        let claimant = match state.stage {
            Stage::Unclaimed(_) => None,
            Stage::Claimed(thread) => Some(thread),
            Stage::Kept(_) | Stage::Gone => return None,
        };
        // Made on demand, since most results are never waited for, and then shared by all waiters.
        let owner = state.owner.get_or_insert_with(|| Owner::new(claimant));
        Some(Arc::clone(owner) as Arc<dyn Awaited>)
    }
}
