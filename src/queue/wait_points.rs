//! Where threads sleep on a queue: producers under the consumers' lock, consumers under the producers'.

//!
//! And what they do when they have lost too often: they take turns. A turn is under the lock of those who do
//! the same, where each of them comes by: a producer's under the producers'. Who must keep off because of it
//! sleeps under the other lock, as whoever finds no room does, and is woken from there when the turn ends.
//!
//! Locks: a turn is taken and ended under the one, and sleepers are woken under the other afterwards; nobody
//! here holds both.

use std::cell::Cell;
use std::fmt;

use super::{BoundedQueue, HeadSide, TailSide};
use crate::error::TryError;
use crate::wait::sleeps::Subject;
use crate::wait::{Turn, WaitPoint, Waiter};

/// Where producers wait for room.
pub(crate) struct Room<'a, T> {
    queue: &'a BoundedQueue<T>,
    turn: Cell<Option<Turn>>,
}

impl<'a, T> Room<'a, T> {
    #[inline]
    pub(super) fn new(queue: &'a BoundedQueue<T>) -> Self {
        Room { queue, turn: Cell::new(None) }
    }

    /// The turn of whoever waits here, if it has lost too often.
    #[inline]
    pub(super) fn turn(&self) -> Option<Turn> {
        self.turn.get()
    }

    #[cold]
    fn end(&self, turn: Turn) {
        let queue = self.queue;
        let mut tail = queue.tail.lock();
        tail.turns.end(turn);
        tail.restricted = tail.closed || !tail.turns.is_empty();
        queue.next_push.note(&tail.turns);
        drop(tail);
        // Those who kept off are in the line, though there may be room: or have not joined yet, and then find
        // the turn ended, which was noted before this lock. As many are called as there is room for; if
        // others have turns, all, because whose turn it is stands anywhere among them.
        let mut head = queue.head.lock();
        let count = if queue.next_push.is_open() { queue.capacity - head.ring.len() } else { usize::MAX };
        let wakes = head.pushers.take(count);
        drop(head);
        drop(wakes);
    }
}

impl<T> WaitPoint for Room<'_, T> {
    fn looks_ready(&self) -> bool {
        // Whoever must keep off is not told of room, or it would look, try, and lose its patience in no time.
        self.queue.gauge.len() < self.queue.capacity && self.queue.next_push.admits(self.turn())
    }

    fn join(&self, waiter: &Waiter) -> bool {
        // Whoever makes room holds this lock: it pops after this, and finds the waiter, or before, and then
        // the ring is not full, for its head is exact here. Whoever ends a turn notes that before it takes
        // this lock. Nobody need wait for room in a closed queue.
        let mut head = self.queue.head.lock();
        let must_wait = head.ring.is_full() || !self.queue.next_push.admits(self.turn());
        if head.closed || !must_wait {
            return false;
        }
        let first = self.queue.next_push.is_of(self.turn());
        head.pushers.join_in_turn(waiter, first);
        true
    }

    fn leave(&self, waiter: &Waiter) {
        self.queue.head.lock().pushers.leave(waiter);
    }

    fn pass_on(&self) {
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
        let mut tail = self.queue.tail.lock();
        self.turn.set(Some(tail.turns.take()));
        tail.restricted = true;
        self.queue.next_push.note(&tail.turns);
    }
}

impl<T> Drop for Room<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.end_turn();
    }
}

/// Where consumers wait for items.
pub(crate) struct Items<'a, T> {
    queue: &'a BoundedQueue<T>,
    turn: Cell<Option<Turn>>,
}

impl<'a, T> Items<'a, T> {
    #[inline]
    pub(super) fn new(queue: &'a BoundedQueue<T>) -> Self {
        Items { queue, turn: Cell::new(None) }
    }

    /// The turn of whoever waits here, if it has lost too often.
    #[inline]
    pub(super) fn turn(&self) -> Option<Turn> {
        self.turn.get()
    }

    #[cold]
    fn end(&self, turn: Turn) {
        let queue = self.queue;
        let mut head = queue.head.lock();
        head.turns.end(turn);
        head.restricted = !head.closed && !head.turns.is_empty();
        queue.next_pop.note(&head.turns);
        drop(head);
        // As for producers.
        let mut tail = queue.tail.lock();
        let count = if queue.next_pop.is_open() { tail.ring.len() } else { usize::MAX };
        let wakes = tail.poppers.take(count);
        drop(tail);
        drop(wakes);
    }
}

impl<T> WaitPoint for Items<'_, T> {
    fn looks_ready(&self) -> bool {
        self.queue.gauge.len() > 0 && self.queue.next_pop.admits(self.turn())
    }

    fn join(&self, waiter: &Waiter) -> bool {
        // As above with the sides changed: whoever pushes or closes holds this lock. In a closed queue turns
        // do not count.
        let mut tail = self.queue.tail.lock();
        let must_wait = tail.ring.is_empty() || !self.queue.next_pop.admits(self.turn());
        if tail.closed || !must_wait {
            return false;
        }
        let first = self.queue.next_pop.is_of(self.turn());
        tail.poppers.join_in_turn(waiter, first);
        true
    }

    fn leave(&self, waiter: &Waiter) {
        self.queue.tail.lock().poppers.leave(waiter);
    }

    fn pass_on(&self) {
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
        let mut head = self.queue.head.lock();
        self.turn.set(Some(head.turns.take()));
        head.restricted = !head.closed;
        self.queue.next_pop.note(&head.turns);
    }
}

impl<T> Drop for Items<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.end_turn();
    }
}

impl<T> BoundedQueue<T> {
    /// For the register of sleeps.
    fn describe(&self, subject: Subject) -> Subject {
        subject.on(self).with("len", self.gauge.len()).with("capacity", self.capacity)
    }
}

impl<T> TailSide<T> {
    /// Whether one with that turn, or none, may push.
    #[inline]
    pub(super) fn admit(&self, turn: Option<Turn>) -> Result<(), TryError> {
        if self.restricted { self.admit_in_turn(turn) } else { Ok(()) }
    }

    #[cold]
    fn admit_in_turn(&self, turn: Option<Turn>) -> Result<(), TryError> {
        match self.closed {
            true => Err(TryError::Closed),
            false if self.turns.admits(turn) => Ok(()),
            false => Err(TryError::WouldBlock),
        }
    }
}

impl<T> HeadSide<T> {
    /// Whether one with that turn, or none, may pop.
    #[inline]
    pub(super) fn admit(&self, turn: Option<Turn>) -> Result<(), TryError> {
        if self.restricted && !self.turns.admits(turn) { Err(TryError::WouldBlock) } else { Ok(()) }
    }
}

impl<T> fmt::Debug for BoundedQueue<T> {
    /// Never waits: what another thread has locked is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("BoundedQueue");
        out.field("len", &self.gauge.len()).field("capacity", &self.capacity);
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
