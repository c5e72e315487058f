//! Items of queues.

use std::cell::Cell;

use crate::error::{Closed, Rejected, TryError};
use crate::queue::{BoundedQueue, Items, Receiver, Room, Sender, Stand};
use crate::select::arm::Arm;
use crate::select::engine::RawArm;
use crate::sync::Arc;
use crate::wait::{Outcome, PATIENCE, WaitPoint, Waiter};

/// What items are [popped](pop) from: a [`BoundedQueue`], a [`Receiver`], or a reference count of one.
#[diagnostic::on_unimplemented(
    message = "items cannot be popped from `{Self}`",
    note = "`pop` takes a reference to a `BoundedQueue` or to a `queue::Receiver`"
)]
pub trait PopFrom: sealed::Pop {
    /// What is popped.
    type Item;

    #[doc(hidden)]
    fn popped(&self) -> &BoundedQueue<Self::Item>;
}

/// What items are [pushed](push) into: a [`BoundedQueue`], a [`Sender`], or a reference count of one.
#[diagnostic::on_unimplemented(
    message = "items cannot be pushed into `{Self}`",
    note = "`push` takes a reference to a `BoundedQueue` or to a `queue::Sender`"
)]
pub trait PushInto: sealed::Push {
    /// What is pushed.
    type Item;

    #[doc(hidden)]
    fn pushed(&self) -> &BoundedQueue<Self::Item>;
}

/// Takes the first item of a queue, as [`BoundedQueue::pop`] does.
///
/// Brings the item, or [`Closed`] if the queue is closed and empty: an arm of a closed queue is always ready,
/// so a loop should leave it out from then on, by an `Option` that is `None`.
#[inline]
pub fn pop<'a, Q: PopFrom + ?Sized>(queue: &'a Q) -> impl Arm<Output = Result<Q::Item, Closed>> + use<'a, Q> {
    let queue = queue.popped();
    Pop { queue, items: queue.items(), lost: 0, number: 0, outcome: None }
}

/// Puts an item into a queue, as [`BoundedQueue::push`] does.
///
/// The item is taken out of the `Option` when this arm takes effect. It stays there if another does, and if
/// this one brings [`Closed`]. An `Option` that is `None` turns the arm off: it is never ready.
#[inline]
pub fn push<'a, Q: PushInto + ?Sized>(
    queue: &'a Q,
    item: &'a mut Option<Q::Item>,
) -> impl Arm<Output = Result<(), Closed>> + use<'a, Q> {
    push_from(queue, Cell::from_mut(item))
}

/// Like [`push`], with an item that others can reach: for a [`Select`](crate::select::Select) that is used
/// again.
///
/// While a wait lasts, the cell is empty at times.
#[inline]
pub fn push_from<'a, Q: PushInto + ?Sized>(
    queue: &'a Q,
    item: &'a Cell<Option<Q::Item>>,
) -> impl Arm<Output = Result<(), Closed>> + use<'a, Q> {
    let queue = queue.pushed();
    Push { queue, room: queue.room(), item, is_on: false, lost: 0, outcome: None }
}

struct Pop<'a, T> {
    queue: &'a BoundedQueue<T>,
    items: Items<'a, T>,
    lost: usize,
    /// Under which an item is left at a rendezvous.
    number: u64,
    outcome: Option<Result<T, Closed>>,
}

struct Push<'a, T> {
    queue: &'a BoundedQueue<T>,
    room: Room<'a, T>,
    /// The item, while no producer's entry has it.
    item: &'a Cell<Option<T>>,
    /// There was an item at the last attempt.
    is_on: bool,
    lost: usize,
    outcome: Option<Result<(), Closed>>,
}

impl<T> RawArm for Pop<'_, T> {
    #[inline]
    fn attempt(&mut self) -> bool {
        self.outcome = match self.queue.try_pop_at(&self.items) {
            Ok(item) => Some(Ok(item)),
            Err(TryError::WouldBlock) => None,
            Err(_) => Some(Err(Closed)),
        };
        self.outcome.is_some()
    }

    fn join(&mut self, waiter: &Waiter) -> bool {
        let Some(meeting) = self.queue.meeting() else { return self.items.join(waiter) };
        match meeting.join_consumers(waiter, Stand::Meets) {
            Some(number) => self.number = number,
            None => return false,
        }
        true
    }

    fn join_to_ask(&mut self, waiter: &Waiter) -> bool {
        match self.queue.meeting() {
            Some(meeting) => meeting.join_consumers(waiter, Stand::Asks).is_some(),
            None => self.items.join(waiter),
        }
    }

    fn leave(&mut self, waiter: &Waiter) {
        match self.queue.meeting() {
            Some(meeting) => meeting.leave_consumers(waiter),
            None => self.items.leave(waiter),
        }
    }

    fn claim(&mut self, ended: Outcome) -> bool {
        match self.queue.meeting() {
            // Handed over with the end.
            Some(meeting) if ended.is_ok() => {
                self.outcome = Some(Ok(meeting.fetch(self.number)));
                true
            }
            _ => self.attempt(),
        }
    }

    fn pass_on(&mut self, _ended: Outcome) {
        if self.queue.meeting().is_none() {
            self.items.pass_on();
        }
    }

    fn lose(&mut self) {
        self.lost += 1;
        if self.lost == PATIENCE {
            self.items.take_turn();
        }
    }

    fn rest(&mut self) {
        self.lost = 0;
        self.items.end_turn();
    }
}

impl<T> Arm for Pop<'_, T> {
    type Output = Result<T, Closed>;

    #[inline]
    fn output(&mut self) -> Self::Output {
        super::brought(&mut self.outcome)
    }
}

impl<T> RawArm for Push<'_, T> {
    #[inline]
    fn attempt(&mut self) -> bool {
        let item = self.item.take();
        self.is_on = item.is_some();
        let Some(item) = item else { return false };
        self.outcome = match self.queue.try_push_at(item, &self.room) {
            Ok(()) => Some(Ok(())),
            Err(Rejected { value, error }) => {
                self.item.set(Some(value));
                (error != TryError::WouldBlock).then_some(Err(Closed))
            }
        };
        self.outcome.is_some()
    }

    fn join(&mut self, waiter: &Waiter) -> bool {
        let Some(meeting) = self.queue.meeting() else { return !self.is_on || self.room.join(waiter) };
        let mut item = self.item.take();
        let joined = item.is_none() || meeting.join_producers(waiter, &mut item, Stand::Meets);
        self.item.set(item);
        joined
    }

    fn join_to_ask(&mut self, waiter: &Waiter) -> bool {
        let item = self.item.take();
        self.is_on = item.is_some();
        self.item.set(item);
        match self.queue.meeting() {
            Some(meeting) => !self.is_on || meeting.join_producers(waiter, &mut None, Stand::Asks),
            None => self.join(waiter),
        }
    }

    fn leave(&mut self, waiter: &Waiter) {
        match self.queue.meeting() {
            None => self.room.leave(waiter),
            Some(meeting) => {
                if let Some(item) = meeting.leave_producers(waiter) {
                    self.item.set(Some(item));
                }
            }
        }
    }

    fn claim(&mut self, ended: Outcome) -> bool {
        if self.queue.meeting().is_none() {
            return self.attempt();
        }
        // Whoever ended the wait has the item; or there is none to hand it to any more.
        self.outcome = Some(ended.map_err(|_| Closed));
        true
    }

    fn pass_on(&mut self, _ended: Outcome) {
        if self.queue.meeting().is_none() {
            self.room.pass_on();
        }
    }

    fn lose(&mut self) {
        self.lost += 1;
        if self.lost == PATIENCE {
            self.room.take_turn();
        }
    }

    fn rest(&mut self) {
        self.lost = 0;
        self.room.end_turn();
    }
}

impl<T> Arm for Push<'_, T> {
    type Output = Result<(), Closed>;

    #[inline]
    fn output(&mut self) -> Self::Output {
        super::brought(&mut self.outcome)
    }
}

mod sealed {
    pub trait Pop {}
    pub trait Push {}
}

impl<T> sealed::Pop for BoundedQueue<T> {}
impl<T> PopFrom for BoundedQueue<T> {
    type Item = T;

    #[inline]
    fn popped(&self) -> &BoundedQueue<T> {
        self
    }
}

impl<T> sealed::Pop for Receiver<T> {}
impl<T> PopFrom for Receiver<T> {
    type Item = T;

    #[inline]
    fn popped(&self) -> &BoundedQueue<T> {
        self.queue()
    }
}

impl<Q: PopFrom + ?Sized> sealed::Pop for Arc<Q> {}
impl<Q: PopFrom + ?Sized> PopFrom for Arc<Q> {
    type Item = Q::Item;

    #[inline]
    fn popped(&self) -> &BoundedQueue<Q::Item> {
        (**self).popped()
    }
}

impl<Q: PopFrom + ?Sized> sealed::Pop for &Q {}
impl<Q: PopFrom + ?Sized> PopFrom for &Q {
    type Item = Q::Item;

    #[inline]
    fn popped(&self) -> &BoundedQueue<Q::Item> {
        (**self).popped()
    }
}

impl<T> sealed::Push for BoundedQueue<T> {}
impl<T> PushInto for BoundedQueue<T> {
    type Item = T;

    #[inline]
    fn pushed(&self) -> &BoundedQueue<T> {
        self
    }
}

impl<T> sealed::Push for Sender<T> {}
impl<T> PushInto for Sender<T> {
    type Item = T;

    #[inline]
    fn pushed(&self) -> &BoundedQueue<T> {
        self.queue()
    }
}

impl<Q: PushInto + ?Sized> sealed::Push for Arc<Q> {}
impl<Q: PushInto + ?Sized> PushInto for Arc<Q> {
    type Item = Q::Item;

    #[inline]
    fn pushed(&self) -> &BoundedQueue<Q::Item> {
        (**self).pushed()
    }
}

impl<Q: PushInto + ?Sized> sealed::Push for &Q {}
impl<Q: PushInto + ?Sized> PushInto for &Q {
    type Item = Q::Item;

    #[inline]
    fn pushed(&self) -> &BoundedQueue<Q::Item> {
        (**self).pushed()
    }
}
