//! Who may take what others are waiting for, when somebody has lost too often.
//!
//! Whoever waits is told that there is something, not handed it, because a thread that is awake can use it at
//! once and one that sleeps needs 35 µs to come. So others may be faster, again and again. A waiter that has
//! lost [so often](PATIENCE) takes a turn: from then on all others keep off until it has got what it waits
//! for, or gives up. Turns are in the order in which they were taken. So whoever waits is served after a
//! bounded number of others, and where nobody loses that often, all that this costs is one look at an empty
//! list.

use std::collections::VecDeque;

use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Lost attempts after which a waiter takes a turn. Each has cost it a wake-up or a look-out, so turns cost
/// little beside that; and a queue that many threads fight over is not slowed down by them.
pub(crate) const PATIENCE: usize = crate::sync::sized(32, 1);

/// The waiters that have lost too often. It lives under the lock that everybody takes who takes.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    order: VecDeque<Turn>,
    last: usize,
}

/// A waiter's turn. Its number is not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn(usize);

impl Turns {
    pub(crate) const fn new() -> Self {
        Turns { order: VecDeque::new(), last: 0 }
    }

    /// True if nobody comes before the one who has this turn, or none.
    #[inline]
    pub(crate) fn admits(&self, turn: Option<Turn>) -> bool {
        match self.order.front() {
            None => true,
            Some(first) => turn == Some(*first),
        }
    }

    /// True if it is the turn of whoever has this one.
    pub(crate) fn is_of(&self, turn: Option<Turn>) -> bool {
        turn.is_some() && self.admits(turn)
    }

    /// True if nobody has a turn.
    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(crate) fn take(&mut self) -> Turn {
        self.last = self.last.wrapping_add(1).max(1);
        let turn = Turn(self.last);
        self.order.push_back(turn);
        turn
    }

    pub(crate) fn end(&mut self, turn: Turn) {
        self.order.retain(|other| *other != turn);
    }
}

/// Whose turn it is, for those who do not hold the lock that the [`Turns`] are under.
///
/// # Orderings
/// Relaxed, because it publishes nothing: who trusts an old one makes an attempt in vain, or keeps off.
/// Before a thread sleeps because it must keep off, it looks here under the lock that the sleepers are under.
/// Whoever ends a turn [notes](NextTurn::note) it here first, and takes that lock afterwards to wake them. So
/// if the thread has not seen the end of the turn, its waiter is found.
#[derive(Debug)]
pub(crate) struct NextTurn(AtomicUsize);

impl NextTurn {
    pub(crate) fn new() -> Self {
        NextTurn(AtomicUsize::new(0))
    }

    /// To be called under the lock of the turns when they have changed.
    pub(crate) fn note(&self, turns: &Turns) {
        self.0.store(turns.order.front().map_or(0, |first| first.0), Relaxed);
    }

    /// Like [`Turns::admits`].
    pub(crate) fn admits(&self, turn: Option<Turn>) -> bool {
        let next = self.0.load(Relaxed);
        next == 0 || turn.is_some_and(|turn| next == turn.0)
    }

    /// True if nobody has a turn.
    pub(crate) fn is_open(&self) -> bool {
        self.0.load(Relaxed) == 0
    }

    /// True if it is the turn of whoever has this one.
    pub(crate) fn is_of(&self, turn: Option<Turn>) -> bool {
        turn.is_some_and(|turn| self.0.load(Relaxed) == turn.0)
    }
}
