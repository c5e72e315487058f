//! The initialisers that run for keys of one shard. All of it is under the shard's lock;
//! [`once`](super::once) has the rules.

use crate::sync::Arc;
use crate::wait::context::this_thread;
use crate::wait::{OneShot, Wake};

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
    /// Who began to make it.
    thread: usize,
    /// Where others wait for it, and who makes it since it was first passed on; made when the first waits.
    turn: Option<Arc<MakersTurn>>,
}

/// The turn to make a value: claimed by whoever makes it, passed on if that fails, and ended by the value,
/// which is in the table then.
pub(super) type MakersTurn = OneShot<(), ()>;

impl<K> Running<K> {
    pub(super) fn new() -> Self {
        Running { list: Vec::new(), next_serial: 0 }
    }

    pub(super) fn shrink_to_fit(&mut self) {
        self.list.shrink_to_fit();
    }

    /// How many run, and how many threads wait for one.
    pub(super) fn figures(&self) -> (usize, usize) {
        let waiting = |it: &Initialiser<K>| it.turn.as_ref().map_or(0, |turn| turn.waiting());
        (self.list.len(), self.list.iter().map(waiting).sum())
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
        self.list.push(Initialiser { serial, hash, key, thread: this_thread(), turn: None });
        serial
    }
}

impl<K> Initialiser<K> {
    /// Where to wait for the value, or for the turn to make it.
    pub(super) fn turn(&mut self) -> Arc<MakersTurn> {
        let turn = self.turn.get_or_insert_with(|| Arc::new(OneShot::claimed_by(self.thread)));
        Arc::clone(turn)
    }

    /// Gives the turn to the first that still waits.
    pub(super) fn pass_on(&self) -> Option<Wake> {
        self.turn.as_ref()?.pass_on()
    }

    /// The value is in the table: all who wait may look. The key comes back.
    pub(super) fn end(self) -> (K, Option<Arc<MakersTurn>>) {
        (self.key, self.turn)
    }
}
