//! One shard: a hash table and the initialisers that run for keys of it, under one lock.
//!
//! # Invariants
//! 1. A key is in the table at most once, and in the list of [running](super::once) initialisers at most once.
//! 2. The table holds each key's hash beside it, so that it grows and shrinks without calling the key's `Hash`:
//!    the caller's code that runs under the lock is `Eq`, and what the method's docs name. It costs 8 bytes an
//!    entry.
//! 3. Between any two calls of the caller's code the table is whole: a panic of it finds nothing half done.

use std::borrow::Borrow;
use std::mem;

use hashbrown::HashTable;
use hashbrown::hash_table::{Entry, OccupiedEntry};

use super::once::Running;

/// A shard with room for no more than this is never rebuilt to save memory.
const SMALL: usize = 64;
/// A shard is rebuilt when it holds less than that part of what it has room for. It then gets room for twice what
/// it holds, which the table rounds up to less than four times; so it must lose half again before the next time,
/// and the entries moved are paid for by the entries removed.
const SPARSE: usize = 8;

/// An entry.
#[derive(Clone)]
pub(super) struct Pair<K, V> {
    pub(super) hash: u64,
    pub(super) key: K,
    pub(super) value: V,
}

pub(super) struct Shard<K, V> {
    pub(super) pairs: HashTable<Pair<K, V>>,
    pub(super) running: Running<K>,
}

impl<K, V> Shard<K, V> {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Shard { pairs: HashTable::with_capacity(capacity), running: Running::new() }
    }

    pub(super) fn reserve(&mut self, additional: usize) {
        self.pairs.reserve(additional, |pair| pair.hash);
    }

    /// Gives all memory back that is not needed.
    pub(super) fn shrink_to_fit(&mut self) {
        self.pairs.shrink_to_fit(|pair| pair.hash);
        self.running.shrink_to_fit();
    }

    /// Gives memory back if a removal has left the table sparse.
    #[inline]
    pub(super) fn shrink_if_sparse(&mut self) {
        let (len, room) = (self.pairs.len(), self.pairs.capacity());
        if room > SMALL && len < room / SPARSE {
            self.shrink_to_twice(len);
        }
    }

    #[cold]
    fn shrink_to_twice(&mut self, len: usize) {
        self.pairs.shrink_to(len * 2, |pair| pair.hash);
    }

    /// Takes the whole table, and leaves an empty one without memory.
    pub(super) fn take_all(&mut self) -> HashTable<Pair<K, V>> {
        mem::take(&mut self.pairs)
    }
}

impl<K, V> Shard<K, V> {
    #[inline]
    pub(super) fn find<Q>(&self, hash: u64, key: &Q) -> Option<&Pair<K, V>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.pairs.find(hash, |pair| is(pair, hash, key))
    }

    #[inline]
    pub(super) fn find_mut<Q>(&mut self, hash: u64, key: &Q) -> Option<&mut Pair<K, V>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.pairs.find_mut(hash, |pair| is(pair, hash, key))
    }

    #[inline]
    pub(super) fn find_entry<Q>(&mut self, hash: u64, key: &Q) -> Option<OccupiedEntry<'_, Pair<K, V>>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.pairs.find_entry(hash, |pair| is(pair, hash, key)).ok()
    }

    #[inline]
    pub(super) fn entry(&mut self, hash: u64, key: &K) -> Entry<'_, Pair<K, V>>
    where
        K: Eq,
    {
        self.pairs.entry(hash, |pair| is(pair, hash, key), |pair| pair.hash)
    }
}

/// The hashes first: they tell almost all different keys apart without a look at the keys.
#[inline]
fn is<K: Borrow<Q>, Q: Eq + ?Sized, V>(pair: &Pair<K, V>, hash: u64, key: &Q) -> bool {
    pair.hash == hash && pair.key.borrow() == key
}
