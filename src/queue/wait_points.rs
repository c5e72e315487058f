//! The wait points of a queue: producers wait under the consumers' lock, consumers under the producers'.
//!
//! A thread that pops makes room while it holds the consumers' lock. A producer that waits for room registers
//! under the same lock, so no wake-up falls between its check and its wait, and a pop takes only one lock.
//!
//! A waiter that has lost too often takes a turn (see [`Turns`](crate::wait::Turns)). A producer's turn is
//! kept under the producers' lock, since every push checks it there. A thread that is kept off by a turn
//! waits under the other lock like one that found no room, and the end of the turn wakes it there.
//!
//! # Locks
//! A turn is taken and ended under one lock, and waiters are woken under the other afterwards. No function
//! here holds both.

use std::cell::Cell;
use std::fmt;

use super::{BoundedQueue, HeadSide, TailSide};
use crate::error::TryError;
use crate::wait::sleeps::Subject;
use crate::wait::{Turn, WaitPoint, Waiter, Wake};

/// The wait point of a producer that waits for room.
pub(crate) struct Room<'a, T> {
    queue: &'a BoundedQueue<T>,
    turn: Cell<Option<Turn>>,
}

impl<'a, T> Room<'a, T> {
    #[inline]
    pub(super) fn new(queue: &'a BoundedQueue<T>) -> Self {
        Room { queue, turn: Cell::new(None) }
    }

    /// The turn of this waiter, if it has lost too often.
    #[inline]
    pub(super) fn turn(&self) -> Option<Turn> {
        self.turn.get()
    }

    #[cold]
    fn end(&self, turn: Turn) {
        let queue = self.queue;
        let mut tail = queue.tail.lock();
        // Ended and noted in one critical section, so the notes are in the order of the turns.
        tail.turns.end(turn);
        // A closed queue stays restricted: pushes must keep failing.
        tail.restricted = tail.closed || !tail.turns.is_empty();
        queue.next_push.note(&tail.turns);
        // Unlocked first, so that the waiters woken below do not run into this lock.
        drop(tail);
        // A producer that the turn kept off is in the list even if there is room, or has not joined yet. In
        // the latter case it finds the turn ended, since that was noted before this lock was taken.
        let mut head = queue.head.lock();
        let wakes = queue.take_pushers(&mut head);
        drop(head);
        drop(wakes);
    }
}

impl<T> WaitPoint for Room<'_, T> {
    fn looks_ready(&self) -> bool {
        // False for a thread that a turn keeps off, even if there is room. Otherwise it would stop spinning,
        // fail its attempt, and lose 32 times within microseconds.
        self.queue.gauge.looks_roomy(self.queue.capacity()) && self.queue.next_push.admits(self.turn())
    }

    fn spin_first(&self) -> bool {
        let queue = self.queue;
        queue.push_spin.spin_until(
            || queue.gauge.pushed(),
            || queue.next_push.admits(self.turn()),
            || queue.gauge.looks_roomy(queue.capacity()),
        )
    }

    fn join(&self, waiter: &Waiter) -> bool {
        // Waits for room, close or the end of a turn. A thread that pops holds this lock. If it pops later,
        // it finds the waiter; if it popped earlier, the ring is not full here, since its head is exact under
        // this lock. A thread that ends a turn publishes that before it takes this lock, so it finds the
        // waiter or the waiter sees the end. `close` sets `closed` under this lock and then takes all
        // waiters.
        let mut head = self.queue.head.lock();
        let must_wait = head.ring.is_full() || !self.queue.next_push.admits(self.turn());
        if head.closed || !must_wait {
            return false;
        }
        // A turn's owner joins at the front, so that the next pop wakes it and not a thread that it keeps
        // off.
        let first = self.queue.next_push.is_of(self.turn());
        head.pushers.join_in_turn(waiter, first);
        true
    }

    fn leave(&self, waiter: &Waiter) {
        // A thread that granted this waiter has removed it under the same lock; then this does nothing.
        self.queue.head.lock().pushers.leave(waiter);
    }

    fn pass_on(&self) {
        // Called by a waiter that was woken and takes no room. The next waiter gets the wake-up only if there
        // still is room; otherwise the next pop wakes it.
        let mut head = self.queue.head.lock();
        let wake = if head.ring.is_full() { None } else { head.pushers.next() };
        drop(head);
        drop(wake);
    }

    #[inline]
    fn end_turn(&self) {
        if let Some(turn) = self.turn.take() {
            self.end(turn);
        }
    }

    fn describe(&self, subject: Subject) -> Subject {
        self.queue.describe(subject)
    }

    fn take_turn(&self) {
        // Taken under the lock of the pushes, so every later push sees it. The order of turns is the order of
        // this lock. No waiter is woken: a turn admits fewer threads than before.
        let mut tail = self.queue.tail.lock();
        self.turn.set(Some(tail.turns.take()));
        tail.restricted = true;
        self.queue.next_push.note(&tail.turns);
    }
}

impl<T> Drop for Room<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // Also when a wait panics or gives up: a turn without an owner would keep all others off forever.
        self.end_turn();
    }
}

/// The wait point of a consumer that waits for an item.
pub(crate) struct Items<'a, T> {
    queue: &'a BoundedQueue<T>,
    turn: Cell<Option<Turn>>,
}

impl<'a, T> Items<'a, T> {
    #[inline]
    pub(super) fn new(queue: &'a BoundedQueue<T>) -> Self {
        Items { queue, turn: Cell::new(None) }
    }

    /// The turn of this waiter, if it has lost too often.
    #[inline]
    pub(super) fn turn(&self) -> Option<Turn> {
        self.turn.get()
    }

    #[cold]
    fn end(&self, turn: Turn) {
        let queue = self.queue;
        let mut head = queue.head.lock();
        // As for producers, but a closed queue is unrestricted: any consumer may pop what is left.
        head.turns.end(turn);
        head.restricted = !head.closed && !head.turns.is_empty();
        queue.next_pop.note(&head.turns);
        // Unlocked first, since the other lock comes before this one in the lock order.
        drop(head);
        // As for producers: a consumer that the turn kept off is in the list, or finds the turn ended.
        let mut tail = queue.tail.lock();
        let count = if queue.next_pop.is_open() { tail.ring.len() } else { usize::MAX };
        let wakes = tail.poppers.take(count);
        drop(tail);
        drop(wakes);
    }
}

impl<T> WaitPoint for Items<'_, T> {
    fn looks_ready(&self) -> bool {
        // As for producers. The gauge is a hint; `join` decides under the lock.
        self.queue.gauge.looks_filled() && self.queue.next_pop.admits(self.turn())
    }

    fn spin_first(&self) -> bool {
        let queue = self.queue;
        queue.pop_spin.spin_until(
            || queue.gauge.popped(),
            || queue.next_pop.admits(self.turn()),
            || queue.gauge.looks_filled(),
        )
    }

    fn join(&self, waiter: &Waiter) -> bool {
        // As for producers, with the sides exchanged: threads that push or close hold this lock. In a closed
        // queue, turns do not count and no consumer waits.
        let mut tail = self.queue.tail.lock();
        let must_wait = tail.ring.is_empty() || !self.queue.next_pop.admits(self.turn());
        if tail.closed || !must_wait {
            return false;
        }
        // A turn's owner joins at the front, so that the next push wakes it and not a thread that it keeps
        // off.
        let first = self.queue.next_pop.is_of(self.turn());
        tail.poppers.join_in_turn(waiter, first);
        true
    }

    fn leave(&self, waiter: &Waiter) {
        // A thread that granted this waiter has removed it under the same lock; then this does nothing.
        self.queue.tail.lock().poppers.leave(waiter);
    }

    fn pass_on(&self) {
        // As for producers: the next waiter is woken only if there still is an item.
        let mut tail = self.queue.tail.lock();
        let wake = if tail.ring.is_empty() { None } else { tail.poppers.next() };
        drop(tail);
        drop(wake);
    }

    #[inline]
    fn end_turn(&self) {
        if let Some(turn) = self.turn.take() {
            self.end(turn);
        }
    }

    fn describe(&self, subject: Subject) -> Subject {
        self.queue.describe(subject)
    }

    fn take_turn(&self) {
        // As for producers. In a closed queue the turn is taken but does not restrict.
        let mut head = self.queue.head.lock();
        self.turn.set(Some(head.turns.take()));
        head.restricted = !head.closed;
        self.queue.next_pop.note(&head.turns);
    }
}

impl<T> Drop for Items<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // As for producers: a turn never outlives its wait.
        self.end_turn();
    }
}

impl<T> BoundedQueue<T> {
    /// Describes the queue for the register of sleeping threads.
    fn describe(&self, subject: Subject) -> Subject {
        subject.on(self).with("len", self.gauge.len()).with("capacity", self.capacity())
    }

    /// Grants as many producers as there is room for, for the caller to wake after unlocking. All of them if
    /// one has a turn, since the list does not tell which.
    pub(super) fn take_pushers(&self, head: &mut HeadSide<T>) -> Vec<Wake> {
        let count = if self.next_push.is_open() { head.ring.room() } else { usize::MAX };
        head.pushers.take(count)
    }
}

impl<T> TailSide<T> {
    /// Checks that the owner of `turn`, or a thread without one, may push.
    #[inline]
    pub(super) fn admit(&self, turn: Option<Turn>) -> Result<(), TryError> {
        if self.restricted { self.admit_in_turn(turn) } else { Ok(()) }
    }

    #[cold]
    fn admit_in_turn(&self, turn: Option<Turn>) -> Result<(), TryError> {
        // Closed wins over a turn: a caller that a turn would keep off must not wait in a closed queue.
        match self.closed {
            true => Err(TryError::Closed),
            false if self.turns.admits(turn) => Ok(()),
            false => Err(TryError::WouldBlock),
        }
    }
}

impl<T> HeadSide<T> {
    /// Grants a producer for the cell that a pop has freed.
    #[inline]
    pub(super) fn next_pusher(&mut self) -> Option<Wake> {
        // The common case, kept small enough to be inlined into every pop.
        if self.pushers.is_empty() { None } else { self.next_pusher_of_some() }
    }

    #[cold]
    fn next_pusher_of_some(&mut self) -> Option<Wake> {
        // After the capacity was lowered, a freed cell may be no room yet. A producer that is woken for it
        // would lose its position in the list. The pop that brings the number below the capacity wakes it.
        if self.ring.is_full() { None } else { self.pushers.next() }
    }

    /// Checks that the owner of `turn`, or a thread without one, may pop.
    #[inline]
    pub(super) fn admit(&self, turn: Option<Turn>) -> Result<(), TryError> {
        if self.restricted && !self.turns.admits(turn) { Err(TryError::WouldBlock) } else { Ok(()) }
    }
}

impl<T> fmt::Debug for BoundedQueue<T> {
    /// Never waits: leaves out the fields under a lock that another thread holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("BoundedQueue");
        out.field("len", &self.gauge.len()).field("capacity", &self.capacity());
        if let Some(tail) = self.tail.try_lock() {
            out.field("closed", &tail.closed);
            if self.meeting.is_none() {
                out.field("waiting_to_pop", &tail.poppers.len());
            }
        }
        if let Some(meeting) = self.meeting() {
            if let Some((consumers, producers)) = meeting.waiting() {
                out.field("waiting_to_pop", &consumers).field("waiting_to_push", &producers);
            }
            return out.finish();
        }
        if let Some(head) = self.head.try_lock() {
            out.field("waiting_to_push", &head.pushers.len());
        }
        out.finish()
    }
}
