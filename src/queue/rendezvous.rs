//! A queue of capacity 0: an item goes from the hand of one thread into that of another.
//!
//! Whoever comes first waits; whoever comes second does both halves of the hand-over under one lock, and
//! neither waits for the other to wake up: a consumer takes the item out of the entry of a producer that
//! sleeps, a producer leaves it for a consumer that sleeps. That a wait has ended, and by whom, is decided by
//! its [`Waiter`], so an item that comes back from a push was not taken, and one that was taken does not come
//! back.
//!
//! # Invariants
//! 1. An entry of a producer that waits holds its item. It is taken by whoever grants the producer, and else
//!    stays in the list until the producer comes for it, also when its wait has ended.
//! 2. A consumer that was granted has an item among those that are left for somebody.
//! 3. With the lock free, not both lists have waits in them that have not ended and could meet. A selection
//!    may stand in both, and does not meet itself.
//!
//! One mutex orders everything here, but for the waiters' own.

use crate::error::{Closed, Rejected, TryError, WaitError};
use crate::sync::Mutex;
use crate::until::Until;
use crate::wait::{WaitList, Waiter, Wake};

pub(crate) struct Rendezvous<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    /// With their items; `None` for one that only asks whether there is a consumer.
    producers: WaitList<Option<T>>,
    /// With the numbers under which their items will be left; `None` for one that only asks.
    consumers: WaitList<Option<Number>>,
    /// What was left for consumers that have not come for it yet.
    left: Vec<(Number, T)>,
    next: Number,
    closed: bool,
}

/// One wait of a consumer.
type Number = u64;

/// What somebody does who stands in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    /// Hands over or takes.
    Meets,
    /// Only asks whether an attempt is worth while.
    Asks,
}

impl<T> Rendezvous<T> {
    pub(super) fn new() -> Self {
        let (producers, consumers) = (WaitList::new(), WaitList::new());
        let state = State { producers, consumers, left: Vec::new(), next: 0, closed: false };
        Rendezvous { state: Mutex::new(state) }
    }

    /// Hands the item to a consumer that waits.
    pub(super) fn try_push(&self, item: T) -> Result<(), Rejected<T, TryError>> {
        let mut state = self.state.lock();
        let handed = state.hand_over(item);
        drop(state);
        handed.map(drop::<Wake>)
    }

    /// Hands the item to a consumer that waits, or gives it back as what was dropped out.
    pub(super) fn force_push(&self, item: T) -> Result<Option<T>, Rejected<T, Closed>> {
        match self.try_push(item) {
            Ok(()) => Ok(None),
            Err(Rejected { value, error: TryError::WouldBlock }) => Ok(Some(value)),
            Err(Rejected { value, .. }) => Err(Rejected::new(value, Closed)),
        }
    }

    /// Takes the item of a producer that waits.
    pub(super) fn try_pop(&self) -> Result<T, TryError> {
        let mut state = self.state.lock();
        let taken = state.take();
        drop(state);
        taken.map(|(_wake, item)| item)
    }

    /// Waits for a consumer.
    pub(super) fn push(&self, item: T, limit: Until<'_>) -> Result<(), Rejected<T, WaitError>> {
        let limit = limit.start();
        let waiter = Waiter::new();
        let mut state = self.state.lock();
        // Anew, under the lock under which this thread joins: no consumer comes between.
        let item = match state.hand_over(item) {
            Ok(wake) => {
                drop(state);
                drop(wake);
                return Ok(());
            }
            Err(Rejected { value, error: TryError::WouldBlock }) => value,
            Err(Rejected { value, error }) => return Err(Rejected::new(value, error.for_good())),
        };
        if let Err(ended) = limit.check() {
            return Err(Rejected::new(item, ended));
        }
        state.producers.join_with(&waiter, Some(item));
        let asked = state.tell_consumers_that_ask();
        drop(state);
        drop(asked);
        // A consumer ends the wait under the lock, and has the item then; close and the limit leave it.
        limit.spin(|| waiter.has_ended());
        limit.sleep(&waiter).map_err(|ended| {
            let item = self.leave_producers(&waiter);
            Rejected::new(item.expect("nobody takes the item of a wait that was not granted"), ended)
        })
    }

    /// Waits for a producer.
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
            Err(TryError::WouldBlock) => limit.check()?,
            Err(error) => return Err(error.for_good()),
        }
        let number = state.join_consumers(&waiter);
        let asked = state.tell_producers_that_ask();
        drop(state);
        drop(asked);
        // A producer leaves the item and ends the wait under the lock.
        limit.spin(|| waiter.has_ended());
        match limit.sleep(&waiter) {
            Ok(()) => Ok(self.fetch(number)),
            Err(ended) => {
                self.leave_consumers(&waiter);
                Err(ended)
            }
        }
    }

    /// Puts a selection among the producers, with its item if it [meets](Stand::Meets). Not if a consumer
    /// waits by now, or it is closed: then the item comes back.
    pub(crate) fn join_producers(&self, waiter: &Waiter, item: &mut Option<T>, stand: Stand) -> bool {
        let mut state = self.state.lock();
        if state.closed || state.consumers.any_other(waiter, Option::is_some) {
            return false;
        }
        let offer = if stand == Stand::Meets { item.take() } else { None };
        let asked = if offer.is_some() { state.tell_consumers_that_ask() } else { Vec::new() };
        state.producers.join_with(waiter, offer);
        drop(state);
        drop(asked);
        true
    }

    /// Leaves the producers; the item, if nobody has taken it.
    pub(crate) fn leave_producers(&self, waiter: &Waiter) -> Option<T> {
        self.state.lock().producers.leave(waiter).flatten()
    }

    /// Puts a selection among the consumers; under the number its item will be [left](Rendezvous::fetch).
    /// Not if a producer waits by now, or it is closed.
    pub(crate) fn join_consumers(&self, waiter: &Waiter, stand: Stand) -> Option<u64> {
        let mut state = self.state.lock();
        if state.closed || state.producers.any_other(waiter, Option::is_some) {
            return None;
        }
        if stand == Stand::Asks {
            state.consumers.join_with(waiter, None);
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

    /// Takes what was left for a consumer that was granted.
    pub(crate) fn fetch(&self, number: u64) -> T {
        let left = &mut self.state.lock().left;
        let at = left.iter().position(|(other, _)| *other == number);
        left.swap_remove(at.expect("a consumer is granted when its item is left")).1
    }

    /// Ends all waits. Producers come for their items.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let wakes = [
            state.producers.end_in_place(Err(WaitError::Closed)),
            state.consumers.end_in_place(Err(WaitError::Closed)),
        ];
        drop(state);
        drop(wakes);
    }

    /// Threads that wait for an item, and for somebody to take one, unless another thread has the lock.
    pub(super) fn waiting(&self) -> Option<(usize, usize)> {
        self.state.try_lock().map(|state| (state.consumers.len(), state.producers.len()))
    }
}

impl<T> State<T> {
    /// Leaves the item for the first consumer that waits.
    fn hand_over(&mut self, item: T) -> Result<Wake, Rejected<T, TryError>> {
        if self.closed {
            return Err(Rejected::new(item, TryError::Closed));
        }
        match self.consumers.grant_first_where(Option::is_some) {
            Some((wake, number)) => {
                self.left.extend(number.map(|number| (number, item)));
                Ok(wake)
            }
            None => Err(Rejected::new(item, TryError::WouldBlock)),
        }
    }

    /// Takes the item of the first producer that waits.
    fn take(&mut self) -> Result<(Wake, T), TryError> {
        match self.producers.grant_first_where(Option::is_some) {
            Some((wake, Some(item))) => Ok((wake, item)),
            _ if self.closed => Err(TryError::Closed),
            _ => Err(TryError::WouldBlock),
        }
    }

    fn join_consumers(&mut self, waiter: &Waiter) -> Number {
        // Not in the life of the universe again.
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
