//! A queue of capacity 0: a thread passes its item to another directly.
//!
//! The thread that arrives first waits. The thread that arrives second completes both calls under one lock,
//! and neither waits for the other to wake up: a consumer takes the item out of a waiting producer's entry,
//! and a producer leaves its item for a waiting consumer. A wait is ended once, through its [`Waiter`], by a
//! partner, by close or by its limit. Therefore an item that comes back from a push was not taken, and an
//! item that was taken does not come back.
//!
//! # Invariants
//! 1. The entry of a waiting producer holds its item. The thread that grants the producer takes the item.
//!    Otherwise the item stays in the list until the producer removes it, even after the wait has ended.
//! 2. If a consumer was granted, `left` holds its item until it fetches it.
//! 3. With the lock free, the two lists do not both contain unended waits that could meet each other. A
//!    selection may be in both lists, and it does not meet itself.
//!
//! One mutex orders everything here, except the state inside the waiters, which order themselves. None of the
//! caller's code runs under it.
//!
//! # Why not
//! *A slot and two condition variables.* A producer would then wait twice, for a free slot and for its item
//! to be taken, and a limit could end the wait in between without knowing whether the item was taken.

use crate::error::{Closed, Rejected, TryError, WaitError};
use crate::sync::Mutex;
use crate::until::Until;
use crate::wait::{WaitList, Waiter, Wake};

pub(crate) struct Rendezvous<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    /// With their items; `None` for a selection that only asks whether a consumer is waiting.
    producers: WaitList<Option<T>>,
    /// With the numbers under which their items will be left; `None` for a selection that only asks.
    consumers: WaitList<Option<Number>>,
    /// Items for consumers that were granted and have not fetched them yet.
    left: Vec<(Number, T)>,
    next: Number,
    closed: bool,
}

/// Identifies one wait of a consumer.
type Number = u64;

/// Why a selection is in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    /// To hand an item over, or to take one.
    Meets,
    /// To learn that an attempt is worthwhile.
    Asks,
}

impl<T> Rendezvous<T> {
    pub(super) fn new() -> Self {
        let (producers, consumers) = (WaitList::new(), WaitList::new());
        let state = State { producers, consumers, left: Vec::new(), next: 0, closed: false };
        Rendezvous { state: Mutex::new(state) }
    }

    /// Hands the item to a waiting consumer.
    pub(super) fn try_push(&self, item: T) -> Result<(), Rejected<T, TryError>> {
        let mut state = self.state.lock();
        let handed = state.hand_over(item);
        drop(state);
        // Woken after unlocking, so that the consumer does not run into the held lock when it fetches the
        // item.
        handed.map(drop::<Wake>)
    }

    /// Hands the item to a waiting consumer, or returns it as the item that was removed to make room.
    pub(super) fn force_push(&self, item: T) -> Result<Option<T>, Rejected<T, Closed>> {
        match self.try_push(item) {
            Ok(()) => Ok(None),
            Err(Rejected { value, error: TryError::WouldBlock }) => Ok(Some(value)),
            Err(Rejected { value, .. }) => Err(Rejected::new(value, Closed)),
        }
    }

    /// Takes the item of a waiting producer.
    pub(super) fn try_pop(&self) -> Result<T, TryError> {
        let mut state = self.state.lock();
        let taken = state.take();
        drop(state);
        // Woken after unlocking: `_wake` is dropped here. Only the producer that had this item: the others
        // wait on.
        taken.map(|(_wake, item)| item)
    }

    /// Waits until a consumer takes the item, at most until `limit`.
    pub(super) fn push(&self, item: T, limit: Until<'_>) -> Result<(), Rejected<T, WaitError>> {
        let limit = limit.start();
        let waiter = Waiter::new();
        let mut state = self.state.lock();
        // Tries again in the critical section in which this thread joins the list, so no consumer can come
        // between the attempt and the wait. Tie: a consumer that is waiting wins over a limit that has
        // passed.
        let item = match state.hand_over(item) {
            Ok(wake) => {
                drop(state);
                drop(wake);
                return Ok(());
            }
            Err(Rejected { value, error: TryError::WouldBlock }) => value,
            Err(Rejected { value, error }) => return Err(Rejected::new(value, error.for_good())),
        };
        // The item has not been offered, so it comes back without a race.
        if let Err(ended) = limit.check() {
            return Err(Rejected::new(item, ended));
        }
        state.producers.join_with(&waiter, Some(item));
        // A selection that asked for a producer has one now. It is ended under the lock that added the entry,
        // so the answer is true at that moment, and woken after unlocking.
        let asked = state.tell_consumers_that_ask();
        drop(state);
        drop(asked);
        // Waits for a consumer, close or the limit. The entry was added under the lock under which consumers
        // and `close` look for entries, so the wake-up cannot be missed. A consumer ends the wait and takes
        // the item in one critical section; close and the limit leave the item in the entry.
        limit.spin(|| waiter.has_ended());
        limit.sleep(&waiter).map_err(|ended| {
            let item = self.leave_producers(&waiter);
            Rejected::new(item.expect("the item of a wait that was not granted is in its entry"), ended)
        })
    }

    /// Waits until a producer hands an item over, at most until `limit`.
    pub(super) fn pop(&self, limit: Until<'_>) -> Result<T, WaitError> {
        let limit = limit.start();
        let waiter = Waiter::new();
        let mut state = self.state.lock();
        match state.take() {
            Ok((wake, item)) => {
                drop(state);
                drop(wake);
                return Ok(item);
            }
            // Tie: the producer that was found wins over a limit that has passed.
            Err(TryError::WouldBlock) => limit.check()?,
            Err(error) => return Err(error.for_good()),
        }
        // Joins in the critical section of the failed attempt, so no producer can come in between.
        let number = state.join_consumers(&waiter);
        let asked = state.tell_producers_that_ask();
        drop(state);
        drop(asked);
        // Waits for a producer, close or the limit. A producer leaves the item and ends the wait in one
        // critical section under this lock, so a granted consumer always finds its item.
        limit.spin(|| waiter.has_ended());
        match limit.sleep(&waiter) {
            Ok(()) => Ok(self.fetch(number)),
            // Not granted, so no item was left under the number, and none is lost.
            Err(ended) => {
                self.leave_consumers(&waiter);
                Err(ended)
            }
        }
    }

    /// Adds a selection to the producers, with its item if it [meets](Stand::Meets). Returns false, and
    /// leaves the item, if a consumer is waiting or the queue is closed.
    pub(crate) fn join_producers(&self, waiter: &Waiter, item: &mut Option<T>, stand: Stand) -> bool {
        let mut state = self.state.lock();
        // Checked and joined in one critical section. Another wait of the same selection does not count, or
        // it would meet itself; neither does a selection that only asks, since it takes no item.
        if state.closed || state.consumers.any_other(waiter, Option::is_some) {
            return false;
        }
        // A selection that only asks offers no item: its caller may do something else when it is told.
        let offer = if stand == Stand::Meets { item.take() } else { None };
        let asked = if offer.is_some() { state.tell_consumers_that_ask() } else { Vec::new() };
        state.producers.join_with(waiter, offer);
        drop(state);
        drop(asked);
        true
    }

    /// Removes a producer. Returns its item unless a consumer took it.
    pub(crate) fn leave_producers(&self, waiter: &Waiter) -> Option<T> {
        self.state.lock().producers.leave(waiter).flatten()
    }

    /// Adds a selection to the consumers. Returns the number under which its item will be
    /// [left](Rendezvous::fetch), or `None` if a producer is waiting or the queue is closed.
    pub(crate) fn join_consumers(&self, waiter: &Waiter, stand: Stand) -> Option<u64> {
        let mut state = self.state.lock();
        // Checked and joined in one critical section. Another wait of the same selection does not count, or
        // it would meet itself; neither does a selection that only asks, since it has no item.
        if state.closed || state.producers.any_other(waiter, Option::is_some) {
            return None;
        }
        if stand == Stand::Asks {
            state.consumers.join_with(waiter, None);
            // Never fetched: no item is left for a selection that only asks.
            return Some(Number::MAX);
        }
        let number = state.join_consumers(waiter);
        let asked = state.tell_producers_that_ask();
        drop(state);
        drop(asked);
        Some(number)
    }

    pub(crate) fn leave_consumers(&self, waiter: &Waiter) {
        self.state.lock().consumers.leave(waiter);
    }

    /// Takes the item that was left for a granted consumer.
    pub(crate) fn fetch(&self, number: u64) -> T {
        let left = &mut self.state.lock().left;
        let at = left.iter().position(|(other, _)| *other == number);
        // The order does not matter: each consumer fetches by its number.
        left.swap_remove(at.expect("a consumer is granted when its item is left")).1
    }

    /// Ends all waits. Producers remove their items themselves.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        // In place: the entries stay, because each producer still has to remove its item. All, because no
        // other event would end these waits.
        let wakes = [
            state.producers.end_in_place(Err(WaitError::Closed)),
            state.consumers.end_in_place(Err(WaitError::Closed)),
        ];
        drop(state);
        drop(wakes);
    }

    /// Returns the numbers of waiting consumers and producers, or `None` if another thread holds the lock.
    pub(super) fn waiting(&self) -> Option<(usize, usize)> {
        self.state.try_lock().map(|state| (state.consumers.len(), state.producers.len()))
    }
}

impl<T> State<T> {
    /// Leaves the item for the first waiting consumer.
    fn hand_over(&mut self, item: T) -> Result<Wake, Rejected<T, TryError>> {
        if self.closed {
            return Err(Rejected::new(item, TryError::Closed));
        }
        // Granting skips a consumer whose limit has ended its wait. The item is left in the same critical
        // section, so it is there before the consumer can look for it. The first consumer, since an item
        // handed over cannot be overtaken.
        match self.consumers.grant_first_where(Option::is_some) {
            Some((wake, number)) => {
                self.left.extend(number.map(|number| (number, item)));
                Ok(wake)
            }
            None => Err(Rejected::new(item, TryError::WouldBlock)),
        }
    }

    /// Takes the item of the first waiting producer.
    fn take(&mut self) -> Result<(Wake, T), TryError> {
        // Close ends every wait under this lock, so after close there is nothing to take. Granting skips a
        // producer whose limit has ended its wait, so that producer keeps its item.
        match self.producers.grant_first_where(Option::is_some) {
            Some((wake, Some(item))) => Ok((wake, item)),
            _ if self.closed => Err(TryError::Closed),
            _ => Err(TryError::WouldBlock),
        }
    }

    fn join_consumers(&mut self, waiter: &Waiter) -> Number {
        // A 64-bit count does not wrap in practice, so no two waits have the same number.
        self.next += 1;
        self.consumers.join_with(waiter, Some(self.next));
        self.next
    }

    fn tell_consumers_that_ask(&mut self) -> Vec<Wake> {
        self.consumers.end_where(|number| number.is_none().then_some(Ok(())))
    }

    fn tell_producers_that_ask(&mut self) -> Vec<Wake> {
        self.producers.end_where(|item| item.is_none().then_some(Ok(())))
    }
}
