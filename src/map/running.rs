//! The initialisers that run for keys of one shard, and who waits for them. All of it is under the shard's lock;
//! [`once`](super::once) has the rules.

use std::collections::VecDeque;

use super::circle::{self, Noted, Runner};
use crate::inside::this_thread;
use crate::sync::Arc;
use crate::wait::{Slot, Wake};

/// The initialisers of one shard.
pub(super) struct Running<K> {
    /// As many as there are threads that run one now, so a scan of the list is short.
    pub(super) list: Vec<Initialiser<K>>,
    next_serial: u64,
}

/// A key whose value is being made.
pub(super) struct Initialiser<K> {
    /// Tells it from all others of its shard, so that it is found again without the key's `Eq`.
    pub(super) serial: u64,
    hash: u64,
    pub(super) key: K,
    /// Who makes it.
    pub(super) thread: usize,
    /// The same for those who follow a circle; made when the first waits.
    pub(super) runner: Option<Arc<Runner>>,
    pub(super) line: VecDeque<Waiter>,
}

pub(super) struct Waiter {
    pub(super) thread: usize,
    pub(super) slot: Arc<Slot>,
}

/// This thread's place in a line.
pub(super) struct InLine {
    pub(super) serial: u64,
    pub(super) slot: Arc<Slot>,
    /// Where the wait has no limit.
    _noted: Option<Noted>,
}

impl<K> Running<K> {
    pub(super) fn new() -> Self {
        Running { list: Vec::new(), next_serial: 0 }
    }

    pub(super) fn shrink_to_fit(&mut self) {
        self.list.shrink_to_fit();
    }

    /// How many run, and how many threads wait for one.
    pub(super) fn figures(&self) -> (usize, usize) {
        (self.list.len(), self.list.iter().map(|it| it.line.len()).sum())
    }

    pub(super) fn of_key(&mut self, hash: u64, key: &K) -> Option<&mut Initialiser<K>>
    where
        K: Eq,
    {
        self.list.iter_mut().find(|it| it.hash == hash && it.key == *key)
    }

    pub(super) fn position(&self, serial: u64) -> Option<usize> {
        self.list.iter().position(|it| it.serial == serial)
    }

    pub(super) fn begin(&mut self, hash: u64, key: K) -> u64 {
        let serial = self.next_serial;
        self.next_serial += 1;
        let (thread, line) = (this_thread(), VecDeque::new());
        self.list.push(Initialiser { serial, hash, key, thread, runner: None, line });
        serial
    }
}

impl<K> Initialiser<K> {
    /// Puts this thread in line; `None` if it would close a circle.
    pub(super) fn join(&mut self, limited: bool) -> Option<InLine> {
        let runner = self.runner.get_or_insert_with(|| Runner::new(self.thread));
        let _noted = if limited { None } else { Some(circle::note(runner)?) };
        let slot = Slot::new();
        self.line.push_back(Waiter { thread: this_thread(), slot: Arc::clone(&slot) });
        Some(InLine { serial: self.serial, slot, _noted })
    }

    /// Gives the turn to the first in line that still waits.
    pub(super) fn hand_on(&mut self) -> Option<Wake> {
        while let Some(waiter) = self.line.pop_front() {
            if let Some(wake) = waiter.slot.end(Ok(())) {
                self.thread = waiter.thread;
                if let Some(runner) = &self.runner {
                    runner.pass_to(waiter.thread);
                }
                return Some(wake);
            }
        }
        None
    }
}
