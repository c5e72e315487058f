//! Putting items in.

use std::collections::VecDeque;

use super::wait_points::Room;
use super::{BoundedQueue, Rendezvous, Rest};
use crate::error::{Closed, Rejected, TryError, WaitError};
use crate::panics;
use crate::sync::sized;
use crate::until::Until;
use crate::wait::Turn;

/// Items that `push_all` collects before it takes the lock once for all of them: 32 at a time cost a tenth
/// of one at a time (bench `queue`), and more bring nothing further.
const BATCH: usize = sized(32, 2);

impl<T> BoundedQueue<T> {
    /// Puts an item in, and waits for room as long as it takes.
    ///
    /// # Errors
    /// [`Closed`], with the item, if the queue is or becomes closed.
    #[track_caller]
    pub fn push(&self, item: T) -> Result<(), Rejected<T, Closed>> {
        self.push_until(item, Until::forever()).map_err(only_closed)
    }

    /// Puts an item in if there is room now, and nobody has a [turn](BoundedQueue#fairness).
    ///
    /// # Errors
    /// With the item: [`TryError::WouldBlock`] if the queue is full or somebody else has a turn,
    /// [`TryError::Closed`] if it is closed.
    #[inline]
    pub fn try_push(&self, item: T) -> Result<(), Rejected<T, TryError>> {
        self.push_or_else(item, None, Self::push_by_meeting)
    }

    /// The ring has no room: it may be one that never has any.
    #[cold]
    fn push_by_meeting(&self, item: T) -> Result<(), Rejected<T, TryError>> {
        match self.meeting() {
            Some(meeting) => meeting.try_push(item),
            None => Err(Rejected::new(item, TryError::WouldBlock)),
        }
    }

    /// Puts an item in without waiting; if the queue is full, it takes out the first item to make room, and
    /// returns that. For a queue that holds the latest: of readings, say, or of pictures to be shown.
    ///
    /// It does not wait, so it does not keep off for a [turn](BoundedQueue#fairness) of others, and it makes
    /// no room for producers that wait. A queue of capacity 0 has no room to make: there the item itself
    /// comes back, unless a consumer waits for it.
    ///
    /// # Errors
    /// [`Closed`], with the item.
    ///
    /// # Examples
    /// ```
    /// let latest = selvedge::BoundedQueue::new(2);
    /// let dropped: Vec<_> = (0..4).filter_map(|number| latest.force_push(number).unwrap()).collect();
    /// assert_eq!((dropped, latest.close_and_drain()), (vec![0, 1], vec![2, 3]));
    /// ```
    pub fn force_push(&self, item: T) -> Result<Option<T>, Rejected<T, Closed>> {
        let mut tail = self.tail.lock();
        if tail.closed {
            return Err(Rejected::new(item, Closed));
        }
        let mut first = None;
        if let Err(item) = tail.ring.push(item) {
            if let Some(meeting) = self.meeting() {
                drop(tail);
                return meeting.force_push(item);
            }
            // In the order in which `close` takes the two. With both, nobody makes room that is not seen.
            let mut head = self.head.lock();
            if let Err(item) = tail.ring.push(item) {
                first = head.ring.pop();
                let pushed = tail.ring.push(item);
                debug_assert!(
                    pushed.is_ok(),
                    "there is room for the item of a full queue whose first was taken"
                );
            }
        }
        // Only a queue that was not full has consumers that wait; a look at an empty list costs nothing.
        let woken = tail.poppers.next();
        drop(tail);
        drop(woken);
        Ok(first)
    }

    /// Puts an item in, and waits for room at most until `limit`.
    ///
    /// # Errors
    /// With the item: [`WaitError::TimedOut`], [`WaitError::Cancelled`], or [`WaitError::Closed`].
    #[inline]
    #[track_caller]
    pub fn push_until<'a>(&self, item: T, limit: impl Into<Until<'a>>) -> Result<(), Rejected<T, WaitError>> {
        let limit = limit.into();
        // A token that was cancelled before the call gives nothing, though there is room.
        if let Err(error) = limit.check_token() {
            return Err(Rejected::new(item, error));
        }
        match self.push_in_turn(item, None) {
            Ok(()) => Ok(()),
            Err(Rejected { value, error: TryError::WouldBlock }) => self.push_slowly(value, limit),
            Err(Rejected { value, .. }) => Err(Rejected::new(value, WaitError::Closed)),
        }
    }

    /// Waits for room. Apart, because the waiter's turn costs those who need not wait a nanosecond.
    #[cold]
    #[track_caller]
    fn push_slowly(&self, item: T, limit: Until<'_>) -> Result<(), Rejected<T, WaitError>> {
        if let Some(meeting) = self.meeting() {
            return meeting.push(item, limit.called("BoundedQueue::push"));
        }
        let mut waiting = Some(item);
        let room = Room::new(self);
        let attempt = || {
            let item = waiting.take().expect("an attempt that fails puts the item back");
            self.push_in_turn(item, room.turn()).map_err(|rejected| {
                waiting = Some(rejected.value);
                rejected.error
            })
        };
        limit.called("BoundedQueue::push").retry_slowly(&room, attempt).map_err(|error| {
            let item = waiting.take().expect("an attempt that fails puts the item back");
            Rejected::new(item, error)
        })
    }

    /// Where to wait for room; with it come a [`try_push_at`](BoundedQueue::try_push_at) for each attempt.
    #[inline]
    pub(crate) fn room(&self) -> Room<'_, T> {
        Room::new(self)
    }

    #[inline]
    pub(crate) fn try_push_at(&self, item: T, room: &Room<'_, T>) -> Result<(), Rejected<T, TryError>> {
        self.push_or_else(item, room.turn(), Self::push_by_meeting)
    }

    #[inline]
    fn push_in_turn(&self, item: T, turn: Option<Turn>) -> Result<(), Rejected<T, TryError>> {
        self.push_or_else(item, turn, |_, item| Err(Rejected::new(item, TryError::WouldBlock)))
    }

    /// Pushes, and calls `full` if the ring is. A branch of its own: a look at the result afterwards cost
    /// each push two nanoseconds.
    #[inline]
    fn push_or_else(
        &self,
        item: T,
        turn: Option<Turn>,
        full: impl FnOnce(&Self, T) -> Result<(), Rejected<T, TryError>>,
    ) -> Result<(), Rejected<T, TryError>> {
        let mut tail = self.tail.lock();
        if let Err(error) = tail.admit(turn) {
            return Err(Rejected::new(item, error));
        }
        match tail.ring.push(item) {
            Ok(()) => {
                let wake = tail.poppers.next();
                drop(tail);
                drop(wake);
                Ok(())
            }
            Err(item) => {
                drop(tail);
                full(self, item)
            }
        }
    }

    /// Puts all of `items` in, in order and many under one lock, and waits for room as long as it takes.
    /// Items of other producers may come in between.
    ///
    /// `items` is advanced up to 33 items ahead of what has been put in, and outside the queue's locks.
    ///
    /// # Errors
    /// [`Closed`], with an iterator over the items that were not put in.
    ///
    /// # Panics
    /// If `items` does, when the items that it gave before have been put in.
    #[track_caller]
    pub fn push_all<I: IntoIterator<Item = T>>(
        &self,
        items: I,
    ) -> Result<(), Rejected<Rest<I::IntoIter>, Closed>> {
        self.push_all_until(items, Until::forever()).map_err(only_closed)
    }

    /// Like [`push_all`](BoundedQueue::push_all), and waits for room at most until `limit`, counted anew
    /// each time that it must wait.
    ///
    /// # Errors
    /// With an iterator over the items that were not put in: [`WaitError::TimedOut`],
    /// [`WaitError::Cancelled`], or [`WaitError::Closed`].
    ///
    /// # Panics
    /// If `items` does, when the items that it gave before have been put in; those that do not get in,
    /// because the limit has passed or the queue is closed, are dropped.
    #[track_caller]
    pub fn push_all_until<'a, I: IntoIterator<Item = T>>(
        &self,
        items: I,
        limit: impl Into<Until<'a>>,
    ) -> Result<(), Rejected<Rest<I::IntoIter>, WaitError>> {
        let limit = limit.into();
        let mut items = items.into_iter().fuse();
        let mut batch = VecDeque::new();
        if let Err(error) = limit.check_token() {
            return Err(Rejected::new(Rest::new(batch, items), error));
        }
        loop {
            // The caller's iterator runs here, outside the locks.
            let advanced = panics::catch(|| batch.extend(items.by_ref().take(BATCH.min(self.capacity))));
            let pushed = self.push_batch(&mut batch, limit);
            let next = match advanced {
                Ok(()) if pushed.is_ok() => panics::catch(|| items.next()),
                other => other.map(|()| None),
            };
            match (next, pushed) {
                (Err(payload), _) => {
                    panics::discard_each(batch);
                    panics::discard(items);
                    panics::resume(payload)
                }
                (Ok(_), Err(error)) => return Err(Rejected::new(Rest::new(batch, items), error)),
                (Ok(None), Ok(())) => return Ok(()),
                (Ok(next), Ok(())) => batch.extend(next),
            }
        }
    }

    /// Puts a batch in, and waits for room; leaves what it could not put in.
    #[track_caller]
    fn push_batch(&self, batch: &mut VecDeque<T>, limit: Until<'_>) -> Result<(), WaitError> {
        if let Some(meeting) = self.meeting() {
            return meet_each(meeting, batch, limit.called("BoundedQueue::push_all"));
        }
        while !batch.is_empty() {
            let room = Room::new(self);
            limit.called("BoundedQueue::push_all").retry(&room, || self.push_some(batch, room.turn()))?;
        }
        Ok(())
    }

    /// Puts in what fits of a batch that is not empty.
    fn push_some(&self, batch: &mut VecDeque<T>, turn: Option<Turn>) -> Result<(), TryError> {
        let mut tail = self.tail.lock();
        tail.admit(turn)?;
        let count = tail.ring.push_many(batch);
        let wakes = tail.poppers.take(count);
        drop(tail);
        drop(wakes);
        if count == 0 { Err(TryError::WouldBlock) } else { Ok(()) }
    }
}

/// Hands the items of a batch over, one after another; leaves what nobody took.
#[cold]
fn meet_each<T>(meeting: &Rendezvous<T>, batch: &mut VecDeque<T>, limit: Until<'_>) -> Result<(), WaitError> {
    while let Some(item) = batch.pop_front() {
        if let Err(Rejected { value, error }) = meeting.push(item, limit) {
            batch.push_front(value);
            return Err(error);
        }
    }
    Ok(())
}

/// An unlimited wait ends only in one way.
fn only_closed<V>(rejected: Rejected<V, WaitError>) -> Rejected<V, Closed> {
    Rejected::new(rejected.value, Closed)
}
