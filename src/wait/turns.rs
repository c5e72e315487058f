//! Who may take what others are waiting for, when somebody has lost too often.
//!
//! Whoever waits is told that there is something, not handed it, because a thread that is awake can use it at once and
//! one that sleeps needs 35 µs to come. So others may be faster, again and again. A waiter that has lost
//! [so often](PATIENCE) takes a turn: from then on all others keep off until it has got what it waits for, or gives
//! up. Turns are in the order in which they were taken. So whoever waits is served after a bounded number of others,
//! and where nobody loses that often, all that this costs is one look at an empty list.

use std::collections::VecDeque;

/// Lost attempts after which a waiter takes a turn. Each has cost it a wake-up or a look-out, so turns cost little
/// beside that; and a queue that many threads fight over is not slowed down by them.
pub(crate) const PATIENCE: usize = crate::sync::sized(32, 1);

/// The waiters that have lost too often. It lives under the lock that everybody takes who takes.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    order: VecDeque<Turn>,
    next: u64,
}

/// A waiter's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn(u64);

impl Turns {
    pub(crate) const fn new() -> Self {
        Turns { order: VecDeque::new(), next: 0 }
    }

    /// True if nobody comes before the one who has this turn, or none.
    #[inline]
    pub(crate) fn admits(&self, turn: Option<Turn>) -> bool {
        match self.order.front() {
            None => true,
            Some(first) => turn == Some(*first),
        }
    }

    pub(crate) fn take(&mut self) -> Turn {
        let turn = Turn(self.next);
        self.next += 1;
        self.order.push_back(turn);
        turn
    }

    pub(crate) fn end(&mut self, turn: Turn) {
        self.order.retain(|other| *other != turn);
    }
}
