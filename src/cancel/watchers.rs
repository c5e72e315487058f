//! The list of what must be notified of a cancellation.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::node::Watcher;

/// Watchers under keys that are used once, so that the key of a guard never finds another watcher.
///
/// A slab, whose keys are indices, would keep the memory of the largest burst for as long as one watcher of
/// it stays. This map shrinks as a burst leaves, at an amortised constant cost.
#[derive(Default)]
pub(super) struct Watchers {
    by_key: HashMap<Key, Watcher, BuildHasherDefault<Spread>>,
    next: Key,
}

pub(super) type Key = u64;

/// The number of watchers for which memory is kept, so that repeated sleeps on a token do not allocate each
/// time.
const KEPT: usize = 64;

impl Watchers {
    pub(super) fn insert(&mut self, watcher: Watcher) -> Key {
        // Never reused: at a billion registrations a second, 64 bits last for centuries.
        let key = self.next;
        self.next += 1;
        self.by_key.insert(key, watcher);
        key
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Watcher> {
        let watcher = self.by_key.remove(&key);
        // Shrinks to twice the length, so half of the watchers must leave before the next time: the cost is
        // amortised.
        if self.by_key.capacity() > 4 * self.by_key.len().max(KEPT) {
            self.by_key.shrink_to(2 * self.by_key.len());
        }
        watcher
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// All watchers in the order of their registration.
    pub(super) fn in_order(self) -> impl Iterator<Item = Watcher> + use<> {
        let mut watchers: Vec<_> = self.by_key.into_iter().collect();
        // Keys grow with time, so this is the order of registration.
        watchers.sort_unstable_by_key(|(key, _)| *key);
        watchers.into_iter().map(|(_, watcher)| watcher)
    }
}

/// Hashes consecutive numbers: a multiplication spreads them over all bits (Knuth's multiplicative hash, with
/// the golden ratio).
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
