//! One shard: a hash table and the running initialisers of its keys, under one lock.
//!
//! # Invariants
//! 1. A key is in the table at most once, and in the list of [running](super::running) initialisers at most
//!    once.
//! 2. Between any two calls of the caller's code the table is consistent, so a panic in it leaves nothing
//!    half done.
//!
//! # Growing and shrinking
//! hashbrown calls the key's `Hash` while it moves entries, and loses some of them if that panics. So the
//! table never grows by itself: a shard first hashes all its keys, which may panic and changes nothing, and
//! then moves them, which runs no code of the caller. Storing each hash beside its key would save the first
//! step but cost 8 bytes an entry; that made reads of 100,000 `u64` a third slower than a table that fits the
//! cache.

use std::borrow::Borrow;
use std::mem::{self, needs_drop};

use hashbrown::HashTable;
use hashbrown::hash_table::{Entry, OccupiedEntry};

use super::running::Running;
use crate::panics;

/// A table with at most this many buckets is never rebuilt to save memory.
const SMALL: usize = 16;
/// A table is rebuilt when fewer than one in `SPARSE` of its buckets are occupied. It then gets capacity for
/// twice its length, less than five buckets an entry; it must lose a third of its entries before the next
/// rebuild, so the removals pay for the moves.
const SPARSE: usize = 8;

/// The entries do not fit into memory.
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
    /// Drops each entry separately: a table's own drop skips the entries after one that panics.
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

    /// Makes room for one more entry, so that the table itself never rehashes.
    #[inline]
    pub(super) fn make_room(&mut self, hash: impl Fn(&K) -> u64) {
        // Also needed if removed entries have left tombstones everywhere; the rebuilt table is then as large,
        // without them.
        if self.pairs.len() == self.pairs.capacity() {
            // Doubled, so that the moves are amortised over the insertions.
            self.rebuild((self.pairs.len() * 2).max(1), hash);
        }
    }

    pub(super) fn reserve(&mut self, additional: usize, hash: impl Fn(&K) -> u64) -> Result<(), TooMany> {
        // Tombstones reduce the capacity, so this never promises room that is not there.
        if additional <= self.pairs.capacity() - self.pairs.len() {
            return Ok(());
        }
        self.try_rebuild(self.pairs.len().checked_add(additional).ok_or(TooMany)?, hash)
    }

    /// Returns all memory that is not needed.
    pub(super) fn shrink_to_fit(&mut self, hash: impl Fn(&K) -> u64) {
        let len = self.pairs.len();
        // Rebuilt only if that frees a size class: a table of the same size would be copied in vain.
        if HashTable::<()>::with_capacity(len).num_buckets() < self.pairs.num_buckets() {
            self.rebuild(len, hash);
        }
        self.running.shrink_to_fit();
    }

    /// Returns memory if removals have left the table sparse. Called before the next removal, so that a panic
    /// in `Hash` loses nothing.
    #[inline]
    pub(super) fn shrink_if_sparse(&mut self, hash: impl Fn(&K) -> u64) {
        // Measured in buckets: tombstones of removed entries reduce the capacity.
        let (len, buckets) = (self.pairs.len(), self.pairs.num_buckets());
        if buckets > SMALL && len < buckets / SPARSE {
            self.rebuild(len * 2, hash);
        }
    }

    fn rebuild(&mut self, capacity: usize, hash: impl Fn(&K) -> u64) {
        self.try_rebuild(capacity, hash)
            .unwrap_or_else(|TooMany| panic!("{capacity} entries of a shard do not fit into memory"));
    }

    /// Moves all entries into a table with that capacity.
    #[cold]
    fn try_rebuild(&mut self, capacity: usize, hash: impl Fn(&K) -> u64) -> Result<(), TooMany> {
        // All hashes first: if one panics, the old table is untouched.
        let hashes: Vec<u64> = self.pairs.iter().map(|pair| hash(&pair.key)).collect();
        let mut roomy = table(capacity)?;
        // No code of the caller runs from here on. The iteration order of an unchanged table is stable, so
        // the hashes match.
        for (pair, hash) in self.pairs.drain().zip(hashes) {
            roomy.insert_unique(hash, pair, has_room);
        }
        self.pairs = roomy;
        Ok(())
    }

    /// Takes the table, and leaves an empty one without memory.
    pub(super) fn take_all(&mut self) -> HashTable<Pair<K, V>> {
        // The entries leave the shard unread, so no code of the caller runs under the lock.
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

    /// The entry of a key. If it may be inserted, [`make_room`](Shard::make_room) comes first.
    #[inline]
    pub(super) fn entry(&mut self, hash: u64, key: &K) -> Entry<'_, Pair<K, V>>
    where
        K: Eq,
    {
        // `has_room` is never called, since the caller has made room.
        self.pairs.entry(hash, |pair| pair.key == *key, has_room)
    }

    /// Inserts a key that is not in the table, after [`make_room`](Shard::make_room).
    pub(super) fn insert_unique(&mut self, hash: u64, pair: Pair<K, V>) {
        self.pairs.insert_unique(hash, pair, has_room);
    }
}

/// An empty table with that capacity, where `HashTable::with_capacity` would abort the process if memory ran
/// out.
fn table<T>(capacity: usize) -> Result<HashTable<T>, TooMany> {
    let mut table = HashTable::new();
    // An empty table rehashes nothing.
    table.try_reserve(capacity, has_room).map_err(|_| TooMany)?;
    Ok(table)
}

/// The hasher of a table that has room and never rehashes.
fn has_room<T>(_: &T) -> u64 {
    unreachable!("the shard makes room before it puts something in")
}
