//! Turns: bounded overtaking for waiters that are woken to try again.
//!
//! Most waiters are told that there is something to take; it is not handed to them. A running thread can use
//! it at once, while a sleeping one needs 35 µs to wake, so handing over would slow everything down to the
//! rate of wake-ups. The price is that running threads may win again and again. A waiter that has lost
//! [too often](PATIENCE) takes a turn: all others then keep off until it has what it waits for, or gives up.
//! Turns are served in the order in which they were taken. A waiter is therefore served after a bounded
//! number of others. Where no waiter loses that often, the cost is one look at an empty list.

use std::collections::VecDeque;

use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Lost attempts after which a waiter takes a turn. Each has cost a wake-up or a spin, so the cost of a turn
/// is small beside them, and turns are too rare to slow down a queue that many threads contend for.
pub(crate) const PATIENCE: usize = crate::sync::sized(32, 1);

/// The turns that are taken, in order. It is under the lock that every attempt takes.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    order: VecDeque<Turn>,
    /// The number of the last turn taken.
    last: usize,
}

/// A waiter's turn. Its number is never 0, which [`NextTurn`] uses for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn(usize);

impl Turns {
    pub(crate) const fn new() -> Self {
        Turns { order: VecDeque::new(), last: 0 }
    }

    /// True if a waiter with this turn, or without one, may take: no other waiter's turn comes first.
    #[inline]
    pub(crate) fn admits(&self, turn: Option<Turn>) -> bool {
        match self.order.front() {
            None => true,
            Some(first) => turn == Some(*first),
        }
    }

    /// True if there is a turn, and it is next.
    pub(crate) fn is_of(&self, turn: Option<Turn>) -> bool {
        turn.is_some() && self.admits(turn)
    }

    /// True if no turn is taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(crate) fn take(&mut self) -> Turn {
        // Wraps to 1. A turn lasts at most as long as its wait, so no number is in use twice.
        self.last = self.last.wrapping_add(1).max(1);
        let turn = Turn(self.last);
        self.order.push_back(turn);
        turn
    }

    pub(crate) fn end(&mut self, turn: Turn) {
        // Not only the first: a waiter may give up while another's turn comes before its own.
        self.order.retain(|other| *other != turn);
    }
}

/// The next turn, for threads that do not hold the lock of the [`Turns`].
///
/// # Orderings
/// Relaxed, since it publishes nothing: a thread that reads an old value makes an attempt in vain, or keeps
/// off. Before a thread sleeps because it must keep off, it reads the value under the lock of the list of
/// waiters. The thread that ends a turn first [notes](NextTurn::note) it here, and then takes that lock to
/// wake the waiters. If the first thread has not seen the end of the turn, its waiter is therefore found.
#[derive(Debug)]
pub(crate) struct NextTurn(AtomicUsize);

impl NextTurn {
    pub(crate) fn new() -> Self {
        NextTurn(AtomicUsize::new(0))
    }

    /// Stores the next turn. Called under the lock of the turns after each change.
    pub(crate) fn note(&self, turns: &Turns) {
        // Relaxed: see the type. The lock of the turns orders the stores among themselves.
        self.0.store(turns.order.front().map_or(0, |first| first.0), Relaxed);
    }

    /// Like [`Turns::admits`].
    pub(crate) fn admits(&self, turn: Option<Turn>) -> bool {
        // Relaxed: see the type. One load, so that both comparisons see the same turn.
        let next = self.0.load(Relaxed);
        next == 0 || turn.is_some_and(|turn| next == turn.0)
    }

    /// True if no turn is taken.
    pub(crate) fn is_open(&self) -> bool {
        // Relaxed: see the type.
        self.0.load(Relaxed) == 0
    }

    /// True if there is a turn, and it is next.
    pub(crate) fn is_of(&self, turn: Option<Turn>) -> bool {
        // Relaxed: see the type.
        turn.is_some_and(|turn| self.0.load(Relaxed) == turn.0)
    }
}
