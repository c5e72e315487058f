//! A result that one thread brings and another takes, and the closure that it comes from.
//!
//! It is what lies under every handle: a pool's `Task`, a group's `Handle`, the `Running` of a function with
//! a time limit, a single flight. Whoever claims the closure has it alone: a worker that runs it, a joiner
//! that will not wait for one, a canceller, an abort. So it runs at most once, and one that was claimed
//! elsewhere is passed over.
//!
//! | from | to | by |
//! |---|---|---|
//! | `Unclaimed` | `Claimed` | [`claim`](OneShot::claim) |
//! | `Unclaimed` | `Kept` | [`revoke`](OneShot::revoke): a result instead of a run |
//! | `Unclaimed`, `Claimed` | `Gone` | [`abandon`](OneShot::abandon), [`take_back`](OneShot::take_back): there will be no result |
//! | `Claimed` | `Claimed`, by the first waiter | [`pass_on`](OneShot::pass_on) |
//! | `Claimed` | `Kept` | [`keep`](OneShot::keep); `Gone` at once if nobody has a handle any more |
//! | `Kept` | `Gone` | [`take`](OneShot::take), [`detach`](OneShot::detach) |
//!
//! One mutex orders everything here. None of the caller's code runs under it, but for
//! [`look`](OneShot::look)'s closure, which is ours.

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
    /// With their threads' keys.
    joiners: WaitList<usize>,
    /// Nobody has a handle any more.
    detached: bool,
    /// The claimant, for the wait-for graph; made when the first waiter asks.
    owner: Option<Arc<Owner>>,
}

enum Stage<F, V> {
    Unclaimed(F),
    /// By the thread with this key.
    Claimed(usize),
    Kept(V),
    /// The result was taken, or never comes.
    Gone,
}

impl<F, V> OneShot<F, V> {
    pub(crate) fn new(f: F) -> Self {
        OneShot::at(Stage::Unclaimed(f))
    }

    /// One whose closure runs already, on the thread with that key.
    pub(crate) fn claimed_by(thread: usize) -> Self {
        OneShot::at(Stage::Claimed(thread))
    }

    fn at(stage: Stage<F, V>) -> Self {
        let state = State { stage, joiners: WaitList::new(), detached: false, owner: None };
        OneShot { state: Mutex::new(state) }
    }

    /// Takes the closure for this thread, which is to bring the result; `None` if it is claimed.
    pub(crate) fn claim(&self) -> Option<F> {
        let mut state = self.state.lock();
        let this = this_thread();
        let f = state.replace_unclaimed(|| Stage::Claimed(this))?;
        if let Some(owner) = &state.owner {
            owner.set(this);
        }
        Some(f)
    }

    /// Takes the closure and leaves `result` in its place, for those who wait; `None` if it is claimed.
    pub(crate) fn revoke(&self, result: impl FnOnce() -> V) -> Option<F> {
        let mut state = self.state.lock();
        let f = state.replace_unclaimed(|| Stage::Kept(result()))?;
        let wakes = state.joiners.take_all();
        drop(state);
        drop(wakes);
        Some(f)
    }

    /// Takes back the closure of one that nobody else has seen.
    pub(crate) fn take_back(&self) -> F {
        self.abandon().unwrap_or_else(|| unreachable!("nobody else has seen it, so nobody has claimed it"))
    }

    /// Says that there will be no result, unless it is there; the closure, if nobody has claimed it.
    pub(crate) fn abandon(&self) -> Option<F> {
        let mut state = self.state.lock();
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

    /// Hands the claim to the first one who still waits. If nobody does, there will be no result: `None`.
    pub(crate) fn pass_on(&self) -> Option<Wake> {
        let mut state = self.state.lock();
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

    /// Leaves the result, and wakes those who wait for it. Gives it back if nobody has a handle any more.
    pub(crate) fn keep(&self, result: V) -> Option<V> {
        let mut state = self.state.lock();
        if state.detached {
            state.end(Stage::Gone);
            return Some(result);
        }
        state.end(Stage::Kept(result));
        let wakes = state.joiners.take_all();
        drop(state);
        drop(wakes);
        None
    }

    /// Takes the result.
    ///
    /// # Errors
    /// [`TryError::WouldBlock`] if it is not there yet, [`TryError::Closed`] if it never will be.
    pub(crate) fn take(&self) -> Result<V, TryError> {
        self.state.lock().take()
    }

    /// The last handle goes: takes the result if it is there, and [`keep`](OneShot::keep) gives it back
    /// otherwise.
    pub(crate) fn detach(&self) -> Option<V> {
        let mut state = self.state.lock();
        state.detached = true;
        state.take().ok()
    }

    /// What `look` says of the result, which stays.
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

    /// True once there is a result, or never will be.
    pub(crate) fn is_finished(&self) -> bool {
        self.state.lock().is_finished()
    }

    /// The thread that has claimed it and is at it.
    pub(crate) fn claimant(&self) -> Option<usize> {
        match self.state.lock().stage {
            Stage::Claimed(thread) => Some(thread),
            _ => None,
        }
    }

    /// True if this thread is the one that is to bring the result.
    pub(crate) fn is_claimed_here(&self) -> bool {
        self.claimant() == Some(this_thread())
    }

    /// Waits until there is a result, or never will be, at most until `limit`.
    pub(crate) fn wait(&self, limit: Until<'_>) -> Result<(), WaitError> {
        limit.check_token()?;
        if self.is_finished() {
            return Ok(());
        }
        // With a limit as well: this much is known at once.
        if self.is_claimed_here() {
            return Err(WaitError::WouldDeadlock);
        }
        limit.retry(self, || if self.is_finished() { Ok(()) } else { Err(TryError::WouldBlock) })
    }

    /// Like [`abandon`](OneShot::abandon), if nobody waits for the result now; says whether.
    pub(crate) fn abandon_unless_awaited(&self) -> bool {
        let mut state = self.state.lock();
        let unwanted = state.joiners.len() == 0;
        if unwanted {
            state.end(Stage::Gone);
        }
        unwanted
    }

    /// Threads that wait for the result.
    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().joiners.len()
    }
}

impl<F, V> State<F, V> {
    fn is_finished(&self) -> bool {
        matches!(self.stage, Stage::Kept(_) | Stage::Gone)
    }

    /// Moves the closure out and puts `next` in its place, if it is still there.
    fn replace_unclaimed(&mut self, next: impl FnOnce() -> Stage<F, V>) -> Option<F> {
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

    /// The owner stays as it was: the waiters of those who wait end in the same critical section, and a
    /// thread whose waiter has ended is not taken for one that waits.
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
        // Whoever ends it does so under this lock and takes everybody out of the list.
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
        let owner = state.owner.get_or_insert_with(|| Owner::new(claimant));
        Some(Arc::clone(owner) as Arc<dyn Awaited>)
    }
}
