//! The running initialisers of one shard, under the shard's lock; [`once`](super::once) has the rules.

use crate::sync::Arc;
use crate::wait::context::this_thread;
use crate::wait::{OneShot, Wake};

/// The initialisers of one shard. The list is allocated by the first of them, so that a shard fits on one
/// cache line.
pub(super) struct Running<K>(Option<Box<List<K>>>);

struct List<K> {
    /// As long as the number of threads that run one, so a linear search is fast.
    running: Vec<Initialiser<K>>,
    next_serial: u64,
}

/// A key whose value is being computed.
pub(super) struct Initialiser<K> {
    /// Unique in its shard, so that it can be found without the key's `Eq`.
    pub(super) serial: u64,
    hash: u64,
    pub(super) key: K,
    /// The thread that started to compute it.
    thread: usize,
    /// The wait point of other threads, and the owner once the turn was passed on; created by the first
    /// waiter.
    turn: Option<Arc<InitTurn>>,
}

/// The turn to compute a value: claimed by the computing thread, passed on if that fails, ended once the
/// value is in the table.
pub(super) type InitTurn = OneShot<(), ()>;

impl<K> Running<K> {
    pub(super) fn new() -> Self {
        Running(None)
    }

    pub(super) fn shrink_to_fit(&mut self) {
        // Keeps the next serial number: a turn that has ended looks for its own once more.
        if let Some(list) = &mut self.0 {
            list.running.shrink_to_fit();
        }
    }

    pub(super) fn list(&self) -> &[Initialiser<K>] {
        self.0.as_ref().map_or(&[], |list| &list.running)
    }

    /// The number of running initialisers, and of threads that wait for one.
    pub(super) fn figures(&self) -> (usize, usize) {
        let waiting = |it: &Initialiser<K>| it.turn.as_ref().map_or(0, |turn| turn.waiting());
        (self.list().len(), self.list().iter().map(waiting).sum())
    }

    pub(super) fn find(&mut self, hash: u64, key: &K) -> Option<&mut Initialiser<K>>
    where
        K: Eq,
    {
        self.0.as_mut()?.running.iter_mut().find(|it| it.hash == hash && it.key == *key)
    }

    pub(super) fn position(&self, serial: u64) -> Option<usize> {
        // By serial number: comparing keys would run the caller's code.
        self.list().iter().position(|it| it.serial == serial)
    }

    pub(super) fn insert(&mut self, hash: u64, key: K) -> u64 {
        let list = self.0.get_or_insert_with(|| Box::new(List { running: Vec::new(), next_serial: 0 }));
        let serial = list.next_serial;
        list.next_serial += 1;
        // No one-shot yet: most initialisers end before another thread wants the value.
        list.running.push(Initialiser { serial, hash, key, thread: this_thread(), turn: None });
        serial
    }

    pub(super) fn remove(&mut self, at: usize) -> Initialiser<K> {
        self.0.as_mut().expect("it has the initialiser at that position").running.swap_remove(at)
    }
}

impl<K> Initialiser<K> {
    /// The wait point for the value, or for the turn to compute it.
    pub(super) fn turn(&mut self) -> Arc<InitTurn> {
        // Claimed in the name of the thread that started, so that the wait-for graph knows the owner.
        let turn = self.turn.get_or_insert_with(|| Arc::new(OneShot::claimed_by(self.thread)));
        Arc::clone(turn)
    }

    /// Passes the turn to the first waiter that accepts it.
    pub(super) fn pass_on(&self) -> Option<Wake> {
        // Without a one-shot there was no waiter, so there is none to pass the turn to.
        self.turn.as_ref()?.pass_on()
    }

    /// Ends the initialiser: the value is in the table. Returns the key, and the turn whose waiters may look.
    pub(super) fn end(self) -> (K, Option<Arc<InitTurn>>) {
        (self.key, self.turn)
    }
}
