//! One shard: a hash table and the initialisers that run for keys of it, under one lock.
//!
//! # Invariants
//! 1. A key is in the table at most once, and in the list of [running](super::running) initialisers at most
//!    once.
//! 2. Between any two calls of the caller's code the table is whole: a panic of it finds nothing half done.
//!
//! # Growing and shrinking
//! hashbrown calls the key's `Hash` while it moves entries, and forgets some of them if that panics. So the
//! table is never asked to make room: a shard hashes all its keys first, which may panic and changes nothing,
//! and then moves them, which calls nobody. Keeping each hash beside its key would save the first step and
//! cost 8 bytes an entry, which made reads of 100,000 `u64` a third slower than the table that fits the
//! cache.

use std::borrow::Borrow;
use std::mem::{self, needs_drop};

use hashbrown::HashTable;
use hashbrown::hash_table::{Entry, OccupiedEntry};

use super::running::Running;
use crate::panics;

/// A table with no more buckets than this is never rebuilt to save memory.
const SMALL: usize = 64;
/// A table is rebuilt when it holds fewer entries than that part of its buckets. It then gets room for twice
/// what it holds, which are less than five buckets an entry; so it must lose a third of them before the next
/// time, and the entries moved are paid for by the entries removed.
const SPARSE: usize = 8;

/// So many entries do not fit into memory.
#[derive(Debug)]
pub(super) struct TooMany;

/// An entry.
#[derive(Clone)]
pub(super) struct Pair<K, V> {
    pub(super) key: K,
    pub(super) value: V,
}

pub(super) struct Shard<K, V> {
    pub(super) pairs: HashTable<Pair<K, V>>,
    pub(super) running: Running<K>,
}

impl<K, V> Drop for Shard<K, V> {
    /// Drops each entry: a table by itself leaves out those after one that panics.
    fn drop(&mut self) {
        if needs_drop::<Pair<K, V>>() {
            panics::drop_each(self.pairs.drain());
        }
    }
}

impl<K, V> Shard<K, V> {
    pub(super) fn with_capacity(capacity: usize) -> Result<Self, TooMany> {
        Ok(Shard { pairs: table(capacity)?, running: Running::new() })
    }

    /// Makes room for one more, so that the table need not.
    #[inline]
    pub(super) fn make_room(&mut self, hash: impl Fn(&K) -> u64) {
        // Also when removed entries have left marks everywhere; then the size stays and the marks go.
        if self.pairs.len() == self.pairs.capacity() {
            self.rebuild((self.pairs.len() * 2).max(1), hash);
        }
    }

    pub(super) fn reserve(&mut self, additional: usize, hash: impl Fn(&K) -> u64) -> Result<(), TooMany> {
        if additional <= self.pairs.capacity() - self.pairs.len() {
            return Ok(());
        }
        self.try_rebuild(self.pairs.len().checked_add(additional).ok_or(TooMany)?, hash)
    }

    /// Gives all memory back that is not needed.
    pub(super) fn shrink_to_fit(&mut self, hash: impl Fn(&K) -> u64) {
        let len = self.pairs.len();
        if HashTable::<()>::with_capacity(len).num_buckets() < self.pairs.num_buckets() {
            self.rebuild(len, hash);
        }
        self.running.shrink_to_fit();
    }

    /// Gives memory back if removals have left the table sparse. It comes before the next removal, so that a
    /// `Hash` that panics here has nothing to lose.
    #[inline]
    pub(super) fn shrink_if_sparse(&mut self, hash: impl Fn(&K) -> u64) {
        // By buckets: the capacity shrinks with marks that removed entries leave.
        let (len, buckets) = (self.pairs.len(), self.pairs.num_buckets());
        if buckets > SMALL && len < buckets / SPARSE {
            self.rebuild(len * 2, hash);
        }
    }

    fn rebuild(&mut self, capacity: usize, hash: impl Fn(&K) -> u64) {
        self.try_rebuild(capacity, hash)
            .unwrap_or_else(|TooMany| panic!("{capacity} entries of a shard do not fit into memory"));
    }

    /// Moves everything into a table with room for `capacity`.
    #[cold]
    fn try_rebuild(&mut self, capacity: usize, hash: impl Fn(&K) -> u64) -> Result<(), TooMany> {
        let hashes: Vec<u64> = self.pairs.iter().map(|pair| hash(&pair.key)).collect();
        let mut roomy = table(capacity)?;
        // The last of the caller's code is behind. A table that nobody changes has one order.
        for (pair, hash) in self.pairs.drain().zip(hashes) {
            roomy.insert_unique(hash, pair, has_room);
        }
        self.pairs = roomy;
        Ok(())
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
        self.pairs.find(hash, |pair| pair.key.borrow() == key)
    }

    #[inline]
    pub(super) fn find_mut<Q>(&mut self, hash: u64, key: &Q) -> Option<&mut Pair<K, V>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.pairs.find_mut(hash, |pair| pair.key.borrow() == key)
    }

    #[inline]
    pub(super) fn find_entry<Q>(&mut self, hash: u64, key: &Q) -> Option<OccupiedEntry<'_, Pair<K, V>>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.pairs.find_entry(hash, |pair| pair.key.borrow() == key).ok()
    }

    /// The place of a key. Where it may be filled, there must be [room](Shard::make_room) before.
    #[inline]
    pub(super) fn entry(&mut self, hash: u64, key: &K) -> Entry<'_, Pair<K, V>>
    where
        K: Eq,
    {
        self.pairs.entry(hash, |pair| pair.key == *key, has_room)
    }

    /// Puts in a key that is not there, where there is [room](Shard::make_room).
    pub(super) fn insert_unique(&mut self, hash: u64, pair: Pair<K, V>) {
        self.pairs.insert_unique(hash, pair, has_room);
    }
}

/// An empty table with room, where `HashTable::with_capacity` would end the process if there is too little
/// memory.
fn table<T>(capacity: usize) -> Result<HashTable<T>, TooMany> {
    let mut table = HashTable::new();
    table.try_reserve(capacity, has_room).map_err(|_| TooMany)?;
    Ok(table)
}

/// The hasher for a table that has room and asks for no hash.
fn has_room<T>(_: &T) -> u64 {
    unreachable!("the shard makes room before it puts something in")
}
