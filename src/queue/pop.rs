//! Popping, one item or many.
//!
//! The consumers' lock orders everything here. A failed attempt that has to wait goes to [`Items`], which
//! registers the waiter under the producers' lock.

use super::wait_points::Items;
use super::{BoundedQueue, Rendezvous};
use crate::error::{Closed, TryError, WaitError};
use crate::until::Until;
use crate::wait::Turn;

impl<T> BoundedQueue<T> {
    /// Pops the first item, waiting for one as long as it takes.
    ///
    /// # Errors
    /// [`Closed`] once the queue is closed and empty.
    #[track_caller]
    pub fn pop(&self) -> Result<T, Closed> {
        self.pop_until(Until::forever()).map_err(|_| Closed)
    }

    /// Pops the first item if there is one now and no waiter has a [turn](BoundedQueue#fairness).
    ///
    /// # Errors
    /// [`TryError::WouldBlock`] if the queue is empty or a waiter has a turn, [`TryError::Closed`] if it is
    /// closed and empty.
    #[inline]
    pub fn try_pop(&self) -> Result<T, TryError> {
        self.try_pop_in_turn(None)
    }

    /// Pops the first item, waiting for one until `limit` at most.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`], [`WaitError::Cancelled`], or [`WaitError::Closed`] once the queue is closed
    /// and empty.
    #[inline]
    #[track_caller]
    pub fn pop_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<T, WaitError> {
        let limit = limit.into();
        // Tie: a token that was cancelled before the call wins over an item that is there.
        limit.check_token()?;
        // The fast path: the deadline is not computed unless the call must wait.
        match self.pop_in_turn(None) {
            Ok(item) => Ok(item),
            Err(TryError::WouldBlock) => self.pop_slowly(limit),
            Err(_) => Err(WaitError::Closed),
        }
    }

    /// Waits at the wait point. A function of its own, because the drop of the waiter's turn would cost one
    /// nanosecond in each call that need not wait.
    #[cold]
    #[track_caller]
    fn pop_slowly(&self, limit: Until<'_>) -> Result<T, WaitError> {
        if let Some(meeting) = self.meeting() {
            return meeting.pop(limit.called("BoundedQueue::pop"));
        }
        let items = Items::new(self);
        // Waits for an item or close. A producer that pushes holds the lock that `Items::join` checks under,
        // so the wake-up cannot be missed. A waiter that was woken for an item tries before it looks at its
        // limit, so that the item is not left behind.
        limit.called("BoundedQueue::pop").retry_slowly(&items, || self.pop_in_turn(items.turn()))
    }

    /// The wait point for an item. Attempts there go through [`try_pop_at`](BoundedQueue::try_pop_at).
    #[inline]
    pub(crate) fn items(&self) -> Items<'_, T> {
        Items::new(self)
    }

    #[inline]
    pub(crate) fn try_pop_at(&self, items: &Items<'_, T>) -> Result<T, TryError> {
        self.try_pop_in_turn(items.turn())
    }

    #[inline]
    fn try_pop_in_turn(&self, turn: Option<Turn>) -> Result<T, TryError> {
        self.pop_or_else(turn, Self::pop_by_meeting)
    }

    /// The ring is empty; tries the meeting point if the capacity is 0.
    #[cold]
    fn pop_by_meeting(&self) -> Result<T, TryError> {
        self.meeting().map_or(Err(TryError::WouldBlock), Rendezvous::try_pop)
    }

    #[inline]
    fn pop_in_turn(&self, turn: Option<Turn>) -> Result<T, TryError> {
        self.pop_or_else(turn, |_| Err(TryError::WouldBlock))
    }

    /// Pops, or calls `empty` if the ring is empty. A callback instead of a look at the result afterwards,
    /// which cost each pop two nanoseconds.
    #[inline]
    fn pop_or_else(
        &self,
        turn: Option<Turn>,
        empty: impl FnOnce(&Self) -> Result<T, TryError>,
    ) -> Result<T, TryError> {
        let mut head = self.head.lock();
        head.admit(turn)?;
        // After the check for turns and under the same lock, so no thread pops out of turn.
        match head.ring.pop() {
            Some(item) => {
                // One cell is free, so one producer: the first in the list. It has waited longest or has the
                // turn, and any producer can use the room. It is granted under the lock and woken after
                // unlocking, so that it does not run into the held lock.
                let wake = head.next_pusher();
                drop(head);
                drop(wake);
                Ok(item)
            }
            // `closed` of this side means that no further item will come (see `HeadSide`), so empty and
            // closed is the end.
            None if head.closed => Err(TryError::Closed),
            None => {
                // Unlocked, because the meeting point has its own lock, and `close` takes that after this
                // one.
                drop(head);
                empty(self)
            }
        }
    }

    /// Pops the items that are there, in order and at most `max`, under one lock. Waits for the first one as
    /// long as it takes. Returns an empty vector at once if `max` is 0.
    ///
    /// # Errors
    /// [`Closed`] once the queue is closed and empty.
    #[track_caller]
    pub fn pop_many(&self, max: usize) -> Result<Vec<T>, Closed> {
        self.pop_many_until(max, Until::forever()).map_err(|_| Closed)
    }

    /// Like [`pop_many`](BoundedQueue::pop_many), but does not wait.
    ///
    /// # Errors
    /// [`TryError::WouldBlock`] if the queue is empty or a waiter has a [turn](BoundedQueue#fairness),
    /// [`TryError::Closed`] if it is closed and empty.
    pub fn try_pop_many(&self, max: usize) -> Result<Vec<T>, TryError> {
        match self.meeting() {
            Some(_) if max > 0 => Ok(self.and_more(self.try_pop()?, max)),
            _ => self.pop_many_in_turn(max, None),
        }
    }

    /// Returns an item that was handed over, followed by the items of other producers that are waiting now.
    #[cold]
    fn and_more(&self, first: T, max: usize) -> Vec<T> {
        // Never waits: the first failed attempt ends the batch, so an item that is held is not delayed.
        let more = std::iter::from_fn(|| self.try_pop().ok()).take(max - 1);
        std::iter::once(first).chain(more).collect()
    }

    /// Like [`pop_many`](BoundedQueue::pop_many), but waits for the first item until `limit` at most.
    ///
    /// # Errors
    /// As [`pop_until`](BoundedQueue::pop_until) returns.
    #[track_caller]
    pub fn pop_many_until<'a>(&self, max: usize, limit: impl Into<Until<'a>>) -> Result<Vec<T>, WaitError> {
        let limit = limit.into();
        if self.meeting().is_some() && max > 0 {
            return Ok(self.and_more(self.pop_until(limit)?, max));
        }
        let items = Items::new(self);
        limit.called("BoundedQueue::pop_many").retry(&items, || self.pop_many_in_turn(max, items.turn()))
    }

    fn pop_many_in_turn(&self, max: usize, turn: Option<Turn>) -> Result<Vec<T>, TryError> {
        // Before the lock: neither close nor a turn keeps a caller from taking nothing.
        if max == 0 {
            return Ok(Vec::new());
        }
        let mut head = self.head.lock();
        head.admit(turn)?;
        let items = head.ring.pop_many(max);
        // One producer for each free cell, and no more: a further one would wake up for nothing. After the
        // capacity was lowered, not each cell is room.
        let room = if head.pushers.is_empty() { 0 } else { items.len().min(head.ring.room()) };
        let wakes = head.pushers.take(room);
        // Read in the critical section that found the ring empty. Read later, it could be the close that
        // followed a push, and the pushed item would be lost on this caller.
        let closed = head.closed;
        drop(head);
        drop(wakes);
        match items.is_empty() {
            false => Ok(items),
            true if closed => Err(TryError::Closed),
            true => Err(TryError::WouldBlock),
        }
    }
}
