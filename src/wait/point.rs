//! Waiting for a state that lies under one lock, with the list of those who wait for it.
//!
//! This is how most types here wait. The exceptions have two locks (the queue, the pool's injector), or a
//! payload for each waiter (the semaphore, the limiter, a one-shot result). Whoever changes the state takes
//! waiters out of the list in the same critical section and drops their [`Wake`](super::Wake)s after
//! unlocking. A waiter joins the list in the critical section in which it found that it must wait, so no
//! change falls between its look and its place in the list.

use std::cell::Cell;

use super::graph::Awaited;
use super::sleeps::Subject;
use super::{Turn, Turns, WaitList, WaitPoint, Waiter};
use crate::error::{TryError, WaitError};
use crate::sync::{Arc, Mutex};
use crate::until::Until;

impl Until<'_> {
    /// Waits in `list` until the state under `mutex` is `ready`, for whoever looks.
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

/// Where threads wait that are all let go by the same change.
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

    /// Waits until the state is ready, for whoever looks.
    #[inline]
    #[track_caller]
    pub(crate) fn wait(&self, limit: Until<'_>) -> Result<(), WaitError> {
        let is_ready = || (self.ready)(&self.mutex.lock());
        limit.retry(self, || if is_ready() { Ok(()) } else { Err(TryError::WouldBlock) })
    }
}

impl<S, F: Fn(&S) -> bool> WaitPoint for Point<'_, S, F> {
    fn looks_ready(&self) -> bool {
        self.mutex.try_lock().is_some_and(|state| (self.ready)(&state))
    }

    fn join(&self, waiter: &Waiter) -> bool {
        let mut state = self.mutex.lock();
        let must_wait = !(self.ready)(&state);
        (self.list)(&mut state).join_if(must_wait, waiter)
    }

    fn leave(&self, waiter: &Waiter) {
        (self.list)(&mut self.mutex.lock()).leave(waiter);
    }

    fn describe(&self, subject: Subject) -> Subject {
        subject.on(self.mutex)
    }

    fn awaited(&self) -> Option<Arc<dyn Awaited>> {
        self.awaited.clone()
    }
}

/// Where threads wait for something that one of them can take, in [turns](super::turns) if they lose too
/// often.
///
/// An attempt asks for [`turn`](TurnPoint::turn). Dropped, the turn ends, and all in the list are called:
/// those who kept off because of it are there, though there may be something for them.
pub(crate) struct TurnPoint<'a, S, F: Fn(&S, Option<Turn>) -> bool> {
    mutex: &'a Mutex<S>,
    parts: fn(&mut S) -> (&mut WaitList, &mut Turns),
    /// Whether an attempt by one with that turn is worth while.
    ready: F,
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
    /// The turn of whoever waits here, if it has lost too often.
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
        if (self.ready)(&state, self.turn.get()) {
            return false;
        }
        let (list, turns) = (self.parts)(&mut state);
        // Where one of the list is called, that is to be the one whose turn it is.
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
        self.end_turn();
    }
}
