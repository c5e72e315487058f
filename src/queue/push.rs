//! Pushing, one item or many.
//!
//! The producers' lock orders everything here. A failed attempt that has to wait goes to [`Room`], which
//! registers the waiter under the consumers' lock. Every failed attempt returns the item, so a call that
//! gives up can return it to its caller.

use std::collections::VecDeque;

use super::wait_points::Room;
use super::{BoundedQueue, Rendezvous, Rest};
use crate::error::{Closed, Rejected, TryError, WaitError};
use crate::panics;
use crate::sync::sized;
use crate::until::Until;
use crate::wait::Turn;

/// The number of items that `push_all` collects before it takes the lock once for all of them. With 32, an
/// item costs a tenth of what it costs alone (bench `queue`); larger batches gain nothing further.
const BATCH: usize = sized(32, 2);

impl<T> BoundedQueue<T> {
    /// Pushes an item, waiting for room as long as it takes.
    ///
    /// # Errors
    /// [`Closed`], with the item, if the queue is or becomes closed.
    #[track_caller]
    pub fn push(&self, item: T) -> Result<(), Rejected<T, Closed>> {
        self.push_until(item, Until::forever()).map_err(only_closed)
    }

    /// Pushes an item if there is room now and no waiter has a [turn](BoundedQueue#fairness).
    ///
    /// # Errors
    /// With the item: [`TryError::WouldBlock`] if the queue is full or a waiter has a turn,
    /// [`TryError::Closed`] if it is closed.
    #[inline]
    pub fn try_push(&self, item: T) -> Result<(), Rejected<T, TryError>> {
        self.push_or_else(item, None, Self::push_by_meeting)
    }

    /// The ring is full; tries the meeting point if the capacity is 0.
    #[cold]
    fn push_by_meeting(&self, item: T) -> Result<(), Rejected<T, TryError>> {
        match self.meeting() {
            Some(meeting) => meeting.try_push(item),
            None => Err(Rejected::new(item, TryError::WouldBlock)),
        }
    }

    /// Pushes an item without waiting. If the queue is full, removes the first item to make room and returns
    /// it. Use it for a queue of the latest values, such as sensor readings or video frames.
    ///
    /// If the capacity was lowered below the number of items, that number stays.
    ///
    /// Since it does not wait, it ignores [turns](BoundedQueue#fairness), and it makes no room for producers
    /// that wait. A queue of capacity 0 has no room to make: the item itself comes back unless a consumer is
    /// waiting for it.
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
            // The lock order of `close`. With both locks held, no consumer can pop between the check and the
            // removal. Checked again, because a consumer may have made room before this lock was taken; then
            // the first item stays. The removed item leaves the critical section in `first`, so the caller
            // drops it unlocked. Its cell is filled at once, so no producer is woken.
            let mut head = self.head.lock();
            if let Err(item) = tail.ring.push(item) {
                first = head.ring.pop();
                // In place of the first: after the capacity was lowered, the queue may hold more than it.
                let pushed = tail.ring.push_in_place(item);
                debug_assert!(
                    pushed.is_ok(),
                    "there is room for the item of a full queue whose first was taken"
                );
            }
        }
        // One item, so one consumer. If the queue was full, the list is empty, except for consumers that a
        // turn keeps off; one of those only tries in vain and waits again.
        let woken = tail.poppers.next();
        drop(tail);
        drop(woken);
        Ok(first)
    }

    /// Pushes an item, waiting for room until `limit` at most.
    ///
    /// # Errors
    /// With the item: [`WaitError::TimedOut`], [`WaitError::Cancelled`], or [`WaitError::Closed`].
    #[inline]
    #[track_caller]
    pub fn push_until<'a>(&self, item: T, limit: impl Into<Until<'a>>) -> Result<(), Rejected<T, WaitError>> {
        let limit = limit.into();
        // Tie: a token that was cancelled before the call wins over room that is there.
        if let Err(error) = limit.check_token() {
            return Err(Rejected::new(item, error));
        }
        // The fast path: the deadline is not computed unless the call must wait.
        match self.push_in_turn(item, None) {
            Ok(()) => Ok(()),
            Err(Rejected { value, error: TryError::WouldBlock }) => self.push_slowly(value, limit),
            Err(Rejected { value, .. }) => Err(Rejected::new(value, WaitError::Closed)),
        }
    }

    /// Waits at the wait point. A function of its own, because the drop of the waiter's turn would cost one
    /// nanosecond in each call that need not wait.
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
        // Waits for room or close. A consumer that pops holds the lock that `Room::join` checks under, so the
        // wake-up cannot be missed. A waiter that was woken for room tries before it looks at its limit.
        limit.called("BoundedQueue::push").retry_slowly(&room, attempt).map_err(|error| {
            let item = waiting.take().expect("an attempt that fails puts the item back");
            Rejected::new(item, error)
        })
    }

    /// The wait point for room. Attempts there go through [`try_push_at`](BoundedQueue::try_push_at).
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

    /// Pushes, or calls `full` if the ring is full. A callback instead of a look at the result afterwards,
    /// which cost each push two nanoseconds.
    #[inline]
    fn push_or_else(
        &self,
        item: T,
        turn: Option<Turn>,
        full: impl FnOnce(&Self, T) -> Result<(), Rejected<T, TryError>>,
    ) -> Result<(), Rejected<T, TryError>> {
        let mut tail = self.tail.lock();
        // Closed and turns are checked in the critical section of the push, so no item enters a closed queue
        // or goes ahead of a turn.
        if let Err(error) = tail.admit(turn) {
            return Err(Rejected::new(item, error));
        }
        match tail.ring.push(item) {
            Ok(()) => {
                // One item, so one consumer: the first in the list. It has waited longest or has the turn,
                // and any consumer can use the item. It is granted under the lock and woken after unlocking,
                // so that it does not run into the held lock.
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

    /// Pushes all of `items` in order, many under one lock, waiting for room as long as it takes. Items of
    /// other producers may come in between.
    ///
    /// `items` is advanced outside the queue's locks, up to 33 items beyond those that were pushed.
    ///
    /// # Errors
    /// [`Closed`], with an iterator over the items that were not pushed.
    ///
    /// # Panics
    /// If `items` panics. The items that it returned before are pushed first.
    #[track_caller]
    pub fn push_all<I: IntoIterator<Item = T>>(
        &self,
        items: I,
    ) -> Result<(), Rejected<Rest<I::IntoIter>, Closed>> {
        self.push_all_until(items, Until::forever()).map_err(only_closed)
    }

    /// Like [`push_all`](BoundedQueue::push_all), but waits for room until `limit` at most. A duration starts
    /// again each time the call must wait.
    ///
    /// # Errors
    /// With an iterator over the items that were not pushed: [`WaitError::TimedOut`],
    /// [`WaitError::Cancelled`], or [`WaitError::Closed`].
    ///
    /// # Panics
    /// If `items` panics. The items that it returned before are pushed first; those that cannot be pushed,
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
            // The caller's iterator runs here, outside the locks. Its panic is caught, so that the items it
            // has returned are pushed first.
            let advanced = panics::catch(|| batch.extend(items.by_ref().take(BATCH.min(self.capacity()))));
            let pushed = self.push_batch(&mut batch, limit);
            // Whether there is a further item decides if another round is needed. It is the first item of the
            // next batch, hence 33 items ahead.
            let next = match advanced {
                Ok(()) if pushed.is_ok() => panics::catch(|| items.next()),
                other => other.map(|()| None),
            };
            match (next, pushed) {
                (Err(payload), _) => {
                    // The iterator's panic goes on. Panics of dropped items are swallowed: it came first, and
                    // two would abort.
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

    /// Pushes a batch, waiting for room. The items that it could not push stay in `batch`.
    #[track_caller]
    fn push_batch(&self, batch: &mut VecDeque<T>, limit: Until<'_>) -> Result<(), WaitError> {
        if let Some(meeting) = self.meeting() {
            return meet_each(meeting, batch, limit.called("BoundedQueue::push_all"));
        }
        while !batch.is_empty() {
            // A new wait point for each round, so a turn ends once some items are in: a large batch does not
            // keep other producers out.
            let room = Room::new(self);
            limit.called("BoundedQueue::push_all").retry(&room, || self.push_some(batch, room.turn()))?;
        }
        Ok(())
    }

    /// Pushes as many items of a non-empty batch as fit.
    fn push_some(&self, batch: &mut VecDeque<T>, turn: Option<Turn>) -> Result<(), TryError> {
        let mut tail = self.tail.lock();
        tail.admit(turn)?;
        let count = tail.ring.push_many(batch);
        // As many consumers as there are new items. One of them could not wake the others for the rest
        // without taking this lock again.
        let wakes = tail.poppers.take(count);
        drop(tail);
        drop(wakes);
        if count == 0 { Err(TryError::WouldBlock) } else { Ok(()) }
    }
}

/// Hands over the items of a batch one by one. The items that no consumer took stay in `batch`.
#[cold]
fn meet_each<T>(meeting: &Rendezvous<T>, batch: &mut VecDeque<T>, limit: Until<'_>) -> Result<(), WaitError> {
    while let Some(item) = batch.pop_front() {
        if let Err(Rejected { value, error }) = meeting.push(item, limit) {
            // Back to the front, so that the rest stays in order.
            batch.push_front(value);
            return Err(error);
        }
    }
    Ok(())
}

/// Converts the error of an unlimited wait, which can only be `Closed`.
fn only_closed<V>(rejected: Rejected<V, WaitError>) -> Rejected<V, Closed> {
    Rejected::new(rejected.value, Closed)
}
