//! Items of queues.

use std::cell::Cell;

use super::retry::Retry;
use crate::error::{Closed, TryError};
use crate::queue::{BoundedQueue, Receiver, Room, Sender};
use crate::select::arm::Arm;
use crate::sync::Arc;

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
    Retry::new(queue.items(), move |items: &_| match queue.try_pop_at(items) {
        Ok(item) => Some(Ok(item)),
        Err(TryError::WouldBlock) => None,
        Err(_) => Some(Err(Closed)),
    })
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
    let queue = queue.pushed();
    let is_on = item.is_some();
    let arm = Retry::new(queue.room(), move |room: &Room<'_, Q::Item>| attempt(queue, item, room));
    is_on.then_some(arm)
}

/// Like [`push`], with an item that others can reach: for a [`Select`](super::super::Select) that is used
/// again.
///
/// While a wait lasts, the cell is empty at times.
#[inline]
pub fn push_from<'a, Q: PushInto + ?Sized>(
    queue: &'a Q,
    item: &'a Cell<Option<Q::Item>>,
) -> impl Arm<Output = Result<(), Closed>> + use<'a, Q> {
    let queue = queue.pushed();
    Retry::new(queue.room(), move |room: &Room<'_, Q::Item>| {
        let mut held = item.take();
        let pushed = attempt(queue, &mut held, room);
        item.set(held);
        pushed
    })
}

fn attempt<T>(
    queue: &BoundedQueue<T>,
    item: &mut Option<T>,
    room: &Room<'_, T>,
) -> Option<Result<(), Closed>> {
    match queue.try_push_at(item.take()?, room) {
        Ok(()) => Some(Ok(())),
        Err(rejected) => {
            *item = Some(rejected.value);
            (rejected.error != TryError::WouldBlock).then_some(Err(Closed))
        }
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
