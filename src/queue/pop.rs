//! Taking items out.

use super::wait_points::Items;
use super::{BoundedQueue, Rendezvous};
use crate::error::{Closed, TryError, WaitError};
use crate::until::Until;
use crate::wait::Turn;

impl<T> BoundedQueue<T> {
    /// Takes the first item, and waits for one as long as it takes.
    ///
    /// # Errors
    /// [`Closed`] once the queue is closed and empty.
    #[track_caller]
    pub fn pop(&self) -> Result<T, Closed> {
        self.pop_until(Until::forever()).map_err(|_| Closed)
    }

    /// Takes the first item if there is one now, and nobody has a [turn](BoundedQueue#fairness).
    ///
    /// # Errors
    /// [`TryError::WouldBlock`] if the queue is empty or somebody else has a turn, [`TryError::Closed`] if it
    /// is empty and closed.
    #[inline]
    pub fn try_pop(&self) -> Result<T, TryError> {
        self.try_pop_in_turn(None)
    }

    /// Takes the first item, and waits for one at most until `limit`.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`], [`WaitError::Cancelled`], or [`WaitError::Closed`] once the queue is closed
    /// and empty.
    #[inline]
    #[track_caller]
    pub fn pop_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<T, WaitError> {
        let limit = limit.into();
        // A token that was cancelled before the call takes nothing, though there is an item.
        limit.check_token()?;
        match self.pop_in_turn(None) {
            Ok(item) => Ok(item),
            Err(TryError::WouldBlock) => self.pop_slowly(limit),
            Err(_) => Err(WaitError::Closed),
        }
    }

    /// Waits for an item. Apart, because the waiter's turn costs those who need not wait a nanosecond.
    #[cold]
    #[track_caller]
    fn pop_slowly(&self, limit: Until<'_>) -> Result<T, WaitError> {
        if let Some(meeting) = self.meeting() {
            return meeting.pop(limit.called("BoundedQueue::pop"));
        }
        let items = Items::new(self);
        limit.called("BoundedQueue::pop").retry_slowly(&items, || self.pop_in_turn(items.turn()))
    }

    /// Where to wait for an item; with it come a [`try_pop_at`](BoundedQueue::try_pop_at) for each attempt.
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

    /// The ring holds nothing: it may be one that never does.
    #[cold]
    fn pop_by_meeting(&self) -> Result<T, TryError> {
        self.meeting().map_or(Err(TryError::WouldBlock), Rendezvous::try_pop)
    }

    #[inline]
    fn pop_in_turn(&self, turn: Option<Turn>) -> Result<T, TryError> {
        self.pop_or_else(turn, |_| Err(TryError::WouldBlock))
    }

    /// Pops, and calls `empty` if the ring is. A branch of its own: a look at the result afterwards cost each
    /// pop two nanoseconds.
    #[inline]
    fn pop_or_else(
        &self,
        turn: Option<Turn>,
        empty: impl FnOnce(&Self) -> Result<T, TryError>,
    ) -> Result<T, TryError> {
        let mut head = self.head.lock();
        head.admit(turn)?;
        match head.ring.pop() {
            Some(item) => {
                let wake = head.pushers.next();
                drop(head);
                drop(wake);
                Ok(item)
            }
            None if head.closed => Err(TryError::Closed),
            None => {
                drop(head);
                empty(self)
            }
        }
    }

    /// Takes what is there, first to last and at most `max` items, under one lock; waits for the first one
    /// as long as it takes. With `max` 0 it takes nothing and returns at once.
    ///
    /// # Errors
    /// [`Closed`] once the queue is closed and empty.
    #[track_caller]
    pub fn pop_many(&self, max: usize) -> Result<Vec<T>, Closed> {
        self.pop_many_until(max, Until::forever()).map_err(|_| Closed)
    }

    /// Like [`pop_many`](BoundedQueue::pop_many), without waiting.
    ///
    /// # Errors
    /// [`TryError::WouldBlock`] if the queue is empty or somebody else has a [turn](BoundedQueue#fairness),
    /// [`TryError::Closed`] if it is empty and closed.
    pub fn try_pop_many(&self, max: usize) -> Result<Vec<T>, TryError> {
        match self.meeting() {
            Some(_) if max > 0 => Ok(self.and_more(self.try_pop()?, max)),
            _ => self.pop_many_in_turn(max, None),
        }
    }

    /// An item that was handed over, and those that other producers have in their hands now.
    #[cold]
    fn and_more(&self, first: T, max: usize) -> Vec<T> {
        let more = std::iter::from_fn(|| self.try_pop().ok()).take(max - 1);
        std::iter::once(first).chain(more).collect()
    }

    /// Like [`pop_many`](BoundedQueue::pop_many), and waits for the first item at most until `limit`.
    ///
    /// # Errors
    /// As [`pop_until`](BoundedQueue::pop_until).
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
        if max == 0 {
            return Ok(Vec::new());
        }
        let mut head = self.head.lock();
        head.admit(turn)?;
        let items = head.ring.pop_many(max);
        let wakes = head.pushers.take(items.len());
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
