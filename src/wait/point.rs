//! Waiting for a state that is under one lock, together with the list of its waiters.
//!
//! Most types of this crate wait in this way. The exceptions have two locks (the queue, the pool's injector),
//! or a payload for each waiter (the semaphore, the limiter, a one-shot result). A thread that changes the
//! state takes waiters out of the list in the same critical section, and drops their [`Wake`](super::Wake)s
//! after unlocking. A waiter joins the list in the critical section in which it finds that it must wait. No
//! change therefore falls between the look and the list, and no wake-up is missed.

use std::cell::Cell;

use super::graph::Awaited;
use super::sleeps::Subject;
use super::{Turn, Turns, WaitList, WaitPoint, Waiter};
use crate::error::{TryError, WaitError};
use crate::sync::{Arc, Mutex};
use crate::until::Until;

impl Until<'_> {
    /// Waits in `list` until the state under `mutex` is `ready`. The wait takes nothing from the state.
    #[inline]
    #[track_caller]
    pub(crate) fn wait_until_ready<S>(
        self,
        mutex: &Mutex<S>,
        list: fn(&mut S) -> &mut WaitList,
        ready: impl Fn(&S) -> bool,
    ) -> Result<(), WaitError> {
        Point::new(mutex, list, ready).wait(self)
    }
}

/// A wait point whose waiters are all released by the same change, such as a count that reaches zero.
pub(crate) struct Point<'a, S, F> {
    mutex: &'a Mutex<S>,
    list: fn(&mut S) -> &mut WaitList,
    ready: F,
    awaited: Option<Arc<dyn Awaited>>,
}

impl<'a, S, F: Fn(&S) -> bool> Point<'a, S, F> {
    pub(crate) fn new(mutex: &'a Mutex<S>, list: fn(&mut S) -> &mut WaitList, ready: F) -> Self {
        Point { mutex, list, ready, awaited: None }
    }

    /// For the wait-for graph: certain threads alone can bring it.
    pub(crate) fn brought_by(mut self, awaited: Arc<dyn Awaited>) -> Self {
        self.awaited = Some(awaited);
        self
    }

    /// Waits until the state is ready. The wait takes nothing from the state.
    #[inline]
    #[track_caller]
    pub(crate) fn wait(&self, limit: Until<'_>) -> Result<(), WaitError> {
        let is_ready = || (self.ready)(&self.mutex.lock());
        // An attempt only looks. Tie of a change and the end of the limit: the waiter's first outcome holds.
        limit.retry(self, || if is_ready() { Ok(()) } else { Err(TryError::WouldBlock) })
    }
}

impl<S, F: Fn(&S) -> bool> WaitPoint for Point<'_, S, F> {
    fn looks_ready(&self) -> bool {
        // `try_lock`, so that a spinning waiter does not delay the thread that makes the state ready.
        self.mutex.try_lock().is_some_and(|state| (self.ready)(&state))
    }

    fn join(&self, waiter: &Waiter) -> bool {
        let mut state = self.mutex.lock();
        // Under one lock with the list: the thread that makes the state ready takes the waiters out in the
        // critical section of its change, which comes either before this look or after the waiter is in.
        let must_wait = !(self.ready)(&state);
        (self.list)(&mut state).join_if(must_wait, waiter)
    }

    fn leave(&self, waiter: &Waiter) {
        (self.list)(&mut self.mutex.lock()).leave(waiter);
    }

    fn describe(&self, subject: Subject) -> Subject {
        // The address of the mutex, since the wait point itself is a temporary of one call.
        subject.on(self.mutex)
    }

    fn awaited(&self) -> Option<Arc<dyn Awaited>> {
        self.awaited.clone()
    }
}

/// A wait point for something that one waiter takes, in [turns](super::turns) if waiters lose too often.
///
/// An attempt passes [`turn`](TurnPoint::turn) to the state. Dropping the wait point ends its turn, if it has
/// one.
pub(crate) struct TurnPoint<'a, S, F: Fn(&S, Option<Turn>) -> bool> {
    mutex: &'a Mutex<S>,
    parts: fn(&mut S) -> (&mut WaitList, &mut Turns),
    /// True if an attempt by a waiter with that turn may succeed.
    ready: F,
    /// The turn of the waiter, if it has lost too often.
    turn: Cell<Option<Turn>>,
    awaited: Option<Arc<dyn Awaited>>,
}

impl<'a, S, F: Fn(&S, Option<Turn>) -> bool> TurnPoint<'a, S, F> {
    pub(crate) fn new(
        mutex: &'a Mutex<S>,
        parts: fn(&mut S) -> (&mut WaitList, &mut Turns),
        ready: F,
    ) -> Self {
        TurnPoint { mutex, parts, ready, turn: Cell::new(None), awaited: None }
    }

    /// For the wait-for graph: certain threads alone can bring it.
    pub(crate) fn brought_by(mut self, awaited: Arc<dyn Awaited>) -> Self {
        self.awaited = Some(awaited);
        self
    }
}

impl<S, F: Fn(&S, Option<Turn>) -> bool> TurnPoint<'_, S, F> {
    /// The turn of the waiter, if it has lost too often.
    pub(crate) fn turn(&self) -> Option<Turn> {
        self.turn.get()
    }
}

impl<S, F: Fn(&S, Option<Turn>) -> bool> WaitPoint for TurnPoint<'_, S, F> {
    fn looks_ready(&self) -> bool {
        self.mutex.try_lock().is_some_and(|state| (self.ready)(&state, self.turn.get()))
    }

    fn join(&self, waiter: &Waiter) -> bool {
        let mut state = self.mutex.lock();
        // As in `Point::join`. A waiter that must keep off because of another's turn finds the state not
        // ready and joins too; the end of that turn wakes it.
        if (self.ready)(&state, self.turn.get()) {
            return false;
        }
        let (list, turns) = (self.parts)(&mut state);
        // First in the list, since a change wakes the first waiter and only this one may take.
        list.join_in_turn(waiter, turns.is_of(self.turn.get()));
        true
    }

    fn leave(&self, waiter: &Waiter) {
        (self.parts)(&mut self.mutex.lock()).0.leave(waiter);
    }

    fn describe(&self, subject: Subject) -> Subject {
        subject.on(self.mutex)
    }

    fn take_turn(&self) {
        self.turn.set(Some((self.parts)(&mut self.mutex.lock()).1.take()));
    }

    fn end_turn(&self) {
        let Some(turn) = self.turn.take() else { return };
        let mut state = self.mutex.lock();
        let (list, turns) = (self.parts)(&mut state);
        turns.end(turn);
        // All: the waiters that kept off because of this turn are in the list though there may be something
        // for several of them. Woken after unlocking, since each takes the lock first.
        let wakes = list.take_all();
        drop(state);
        drop(wakes);
    }

    fn awaited(&self) -> Option<Arc<dyn Awaited>> {
        self.awaited.clone()
    }
}

impl<S, F: Fn(&S, Option<Turn>) -> bool> Drop for TurnPoint<'_, S, F> {
    fn drop(&mut self) {
        // However the wait ended, also if it unwinds: all other waiters keep off until the turn ends.
        self.end_turn();
    }
}
