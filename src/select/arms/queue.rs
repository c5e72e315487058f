//! The arms that pop from and push into a queue.
//!
//! A queue of capacity 1 or more only wakes a waiter, and the arm then makes an attempt, which can fail. A
//! queue of capacity 0 (`meeting`) hands the item over when it ends the wait, so a claim cannot fail.

use std::cell::Cell;

use crate::error::{Closed, Rejected, TryError};
use crate::queue::{BoundedQueue, Items, Receiver, Room, Sender, Stand};
use crate::select::arm::Arm;
use crate::select::engine::RawArm;
use crate::sync::Arc;
use crate::wait::{Outcome, PATIENCE, WaitPoint, Waiter};

/// An object that items are [popped](pop) from: a [`BoundedQueue`], a [`Receiver`], or an `Arc` of one.
#[diagnostic::on_unimplemented(
    message = "items cannot be popped from `{Self}`",
    note = "`pop` takes a reference to a `BoundedQueue` or to a `queue::Receiver`"
)]
pub trait PopFrom: sealed::Pop {
    /// The type of the items.
    type Item;

    #[doc(hidden)]
    fn popped(&self) -> &BoundedQueue<Self::Item>;
}

/// An object that items are [pushed](push) into: a [`BoundedQueue`], a [`Sender`], or an `Arc` of one.
#[diagnostic::on_unimplemented(
    message = "items cannot be pushed into `{Self}`",
    note = "`push` takes a reference to a `BoundedQueue` or to a `queue::Sender`"
)]
pub trait PushInto: sealed::Push {
    /// The type of the items.
    type Item;

    #[doc(hidden)]
    fn pushed(&self) -> &BoundedQueue<Self::Item>;
}

/// Pops the first item of a queue, as [`BoundedQueue::pop`] does.
///
/// The result is the item, or [`Closed`] if the queue is closed and empty. If another arm takes effect, no
/// item is popped. The arm of a closed queue is always ready, so a loop should disable it from then on, with
/// an `Option` that is `None`.
///
/// # Fairness
/// A selection that was woken for the queue 32 times and lost takes a [turn](BoundedQueue#fairness).
#[inline]
pub fn pop<'a, Q: PopFrom + ?Sized>(queue: &'a Q) -> impl Arm<Output = Result<Q::Item, Closed>> + use<'a, Q> {
    let queue = queue.popped();
    Pop { queue, items: queue.items(), lost: 0, number: 0, outcome: None }
}

/// Pushes an item into a queue, as [`BoundedQueue::push`] does.
///
/// The item is taken out of the `Option` if this arm takes effect with `Ok`. It stays there if another arm
/// takes effect, or if the result is [`Closed`]. An `Option` that is `None` disables the arm: it is never
/// ready.
///
/// # Fairness
/// As for [`pop`].
///
/// # Proof
/// Models `push_and_pop_arms_of_one_queue_against_each_other_lose_nothing` in `loom-tests/tests/select.rs`
/// and `a_selection_that_gives_up_has_its_item` in `loom-tests/tests/rendezvous.rs`.
#[inline]
pub fn push<'a, Q: PushInto + ?Sized>(
    queue: &'a Q,
    item: &'a mut Option<Q::Item>,
) -> impl Arm<Output = Result<(), Closed>> + use<'a, Q> {
    push_from(queue, Cell::from_mut(item))
}

/// Like [`push`], but takes the item from a shared cell, so that a [`Select`](crate::select::Select) can be
/// refilled and reused.
///
/// During a wait, the cell may be empty temporarily.
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
    /// Identifies the item that is left for this wait at a rendezvous.
    number: u64,
    outcome: Option<Result<T, Closed>>,
}

struct Push<'a, T> {
    queue: &'a BoundedQueue<T>,
    room: Room<'a, T>,
    /// The item, while it is not in a producer's entry.
    item: &'a Cell<Option<T>>,
    /// True if there was an item at the last attempt.
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
            // The only other error is `Closed`. It is a result, so that a loop sees the end.
            Err(_) => Some(Err(Closed)),
        };
        self.outcome.is_some()
    }

    #[inline]
    fn attempt_if_likely(&mut self) -> bool {
        self.queue.may_pop() && self.attempt()
    }

    fn join(&mut self, waiter: &Waiter) -> bool {
        // The wait point checks and joins in one critical section, so no push is missed in between.
        let Some(meeting) = self.queue.meeting() else { return self.items.join(waiter) };
        match meeting.join_consumers(waiter, Stand::Meets) {
            Some(number) => self.number = number,
            None => return false,
        }
        true
    }

    fn join_to_ask(&mut self, waiter: &Waiter) -> bool {
        match self.queue.meeting() {
            // Only told of a producer: no item is left for it, since the caller may not want one.
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
            // The producer left the item in the critical section that ended the wait, so it is there. An end
            // with an error is close; the attempt then returns `Closed`.
            Some(meeting) if ended.is_ok() => {
                self.outcome = Some(Ok(meeting.fetch(self.number)));
                true
            }
            _ => self.attempt(),
        }
    }

    fn pass_on(&mut self, _ended: Outcome) {
        // At a rendezvous nothing is passed on: a wait that only asks was told of a partner, not given one.
        if self.queue.meeting().is_none() {
            self.items.pass_on();
        }
    }

    fn lose(&mut self) {
        self.lost += 1;
        // Once, when the count is reached: the turn lasts until it is ended in `rest`.
        if self.lost == PATIENCE {
            self.items.take_turn();
        }
    }

    fn rest(&mut self) {
        // The selection may take effect through another arm; a turn kept then would exclude others for
        // nothing.
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
        // Taken out for the attempt and put back if it fails, so the item is in one place at a time.
        let item = self.item.take();
        self.is_on = item.is_some();
        let Some(item) = item else { return false };
        self.outcome = match self.queue.try_push_at(item, &self.room) {
            Ok(()) => Some(Ok(())),
            Err(Rejected { value, error }) => {
                // Put back with either error: the caller keeps the item.
                self.item.set(Some(value));
                (error != TryError::WouldBlock).then_some(Err(Closed))
            }
        };
        self.outcome.is_some()
    }

    #[inline]
    fn attempt_if_likely(&mut self) -> bool {
        if self.queue.may_push() {
            return self.attempt();
        }
        self.look_for_item();
        false
    }

    fn join(&mut self, waiter: &Waiter) -> bool {
        // Without an item the arm is disabled: it claims to have joined, and it is in no list.
        let Some(meeting) = self.queue.meeting() else { return !self.is_on || self.room.join(waiter) };
        // The item moves into the entry, where a consumer can take it while this thread sleeps. If the list
        // is not joined, it comes back at once.
        let mut item = self.item.take();
        let joined = item.is_none() || meeting.join_producers(waiter, &mut item, Stand::Meets);
        self.item.set(item);
        joined
    }

    fn join_to_ask(&mut self, waiter: &Waiter) -> bool {
        self.look_for_item();
        match self.queue.meeting() {
            Some(meeting) => !self.is_on || meeting.join_producers(waiter, &mut None, Stand::Asks),
            None => self.join(waiter),
        }
    }

    fn leave(&mut self, waiter: &Waiter) {
        match self.queue.meeting() {
            // The entry holds no item here: the item stays in the cell.
            None => self.room.leave(waiter),
            Some(meeting) => {
                // No consumer took it, whatever ended the wait: it is the caller's again.
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
        // The consumer that ended the wait has the item, or close ended the wait and the entry keeps it for
        // `leave`.
        self.outcome = Some(ended.map_err(|_| Closed));
        true
    }

    fn pass_on(&mut self, _ended: Outcome) {
        // At a rendezvous nothing is passed on: a wait that only asks was told of a partner, not given one.
        if self.queue.meeting().is_none() {
            self.room.pass_on();
        }
    }

    fn lose(&mut self) {
        self.lost += 1;
        // Once, when the count is reached: the turn lasts until it is ended in `rest`.
        if self.lost == PATIENCE {
            self.room.take_turn();
        }
    }

    fn rest(&mut self) {
        // The selection may take effect through another arm; a turn kept then would exclude others for
        // nothing.
        self.lost = 0;
        self.room.end_turn();
    }
}

impl<T> Push<'_, T> {
    /// Notes whether there is an item.
    fn look_for_item(&mut self) {
        // A cell has no way to look at its content, so the item is taken out and put back.
        let item = self.item.take();
        self.is_on = item.is_some();
        self.item.set(item);
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
