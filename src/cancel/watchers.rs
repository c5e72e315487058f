//! The list of those who must hear of a cancellation.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::node::Watcher;

/// Watchers under keys that are given once, so that a guard's key never finds another's watcher.
///
/// Not a slab, whose places are its keys: one watcher that stays keeps every place of the largest burst
/// before it. Here a burst is given back as it goes, for an amortised constant price.
#[derive(Default)]
pub(super) struct Watchers {
    by_key: HashMap<Key, Watcher, BuildHasherDefault<Spread>>,
    next: Key,
}

pub(super) type Key = u64;

/// Room for so many is kept, so that a token that is slept on again and again does not allocate each time.
const KEPT: usize = 64;

impl Watchers {
    pub(super) fn insert(&mut self, watcher: Watcher) -> Key {
        let key = self.next;
        self.next += 1;
        self.by_key.insert(key, watcher);
        key
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Watcher> {
        let watcher = self.by_key.remove(&key);
        if self.by_key.capacity() > 4 * self.by_key.len().max(KEPT) {
            self.by_key.shrink_to(2 * self.by_key.len());
        }
        watcher
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// All of them, in the order in which they came.
    pub(super) fn in_order(self) -> impl Iterator<Item = Watcher> + use<> {
        let mut watchers: Vec<_> = self.by_key.into_iter().collect();
        watchers.sort_unstable_by_key(|(key, _)| *key);
        watchers.into_iter().map(|(_, watcher)| watcher)
    }
}

/// Hashes numbers that count up: a multiplication spreads them over all bits (Knuth's, with the golden
/// ratio).
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        unreachable!("a key is a number, not {} bytes", bytes.len())
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
