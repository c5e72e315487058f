//! The map and rayon, with feature `rayon`.
//!
//! A shard is the unit of work. None of the caller's closures runs under a lock here: a rayon worker that
//! waits inside one takes other work, which could be another part of the same pass, and would wait for its
//! own thread.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::vec;

use hashbrown::HashTable;
use rayon::iter::plumbing::UnindexedConsumer;
use rayon::iter::{FromParallelIterator, IntoParallelIterator, ParallelExtend, ParallelIterator};

use super::ShardedMap;
use super::shard::Pair;

/// A parallel iterator over clones of a map's entries, one shard at a time; made by `par_iter` of a `&map`.
#[must_use = "an iterator does nothing until it is asked"]
pub struct ParIter<'a, K, V, S> {
    map: &'a ShardedMap<K, V, S>,
}

/// A parallel owning iterator over a map's entries, one shard at a time.
#[must_use = "an iterator does nothing until it is asked"]
pub struct IntoParIter<K, V> {
    shards: vec::IntoIter<HashTable<Pair<K, V>>>,
}

impl<K, V, S> ParallelIterator for ParIter<'_, K, V, S>
where
    K: Clone + Send + Sync,
    V: Clone + Send + Sync,
    S: Sync,
{
    type Item = (K, V);

    fn drive_unindexed<C: UnindexedConsumer<(K, V)>>(self, consumer: C) -> C::Result {
        let map = self.map;
        // Copies under the shard's lock; the consumer runs on the copies, with no lock held.
        let copy = |index| map.copy_of(index, |key, value| (key.clone(), value.clone()));
        (0..map.shards()).into_par_iter().flat_map_iter(copy).drive_unindexed(consumer)
    }
}

impl<K: Send, V: Send> ParallelIterator for IntoParIter<K, V> {
    type Item = (K, V);

    fn drive_unindexed<C: UnindexedConsumer<(K, V)>>(self, consumer: C) -> C::Result {
        // Collected, because rayon splits a vector evenly.
        let shards: Vec<_> = self.shards.collect();
        let entries = |table: HashTable<Pair<K, V>>| table.into_iter().map(|pair| (pair.key, pair.value));
        shards.into_par_iter().flat_map_iter(entries).drive_unindexed(consumer)
    }
}

impl<'a, K, V, S> IntoParallelIterator for &'a ShardedMap<K, V, S>
where
    K: Clone + Send + Sync,
    V: Clone + Send + Sync,
    S: Sync,
{
    type Item = (K, V);
    type Iter = ParIter<'a, K, V, S>;

    fn into_par_iter(self) -> Self::Iter {
        ParIter { map: self }
    }
}

impl<K: Send, V: Send, S> IntoParallelIterator for ShardedMap<K, V, S> {
    type Item = (K, V);
    type Iter = IntoParIter<K, V>;

    fn into_par_iter(self) -> IntoParIter<K, V> {
        IntoParIter { shards: self.into_tables().into_iter() }
    }
}

/// Workers insert concurrently; of two entries with the same key, either may stay.
impl<K, V, S> ParallelExtend<(K, V)> for &ShardedMap<K, V, S>
where
    K: Eq + Hash + Send + Sync,
    V: Send + Sync,
    S: BuildHasher + Sync,
{
    fn par_extend<I: IntoParallelIterator<Item = (K, V)>>(&mut self, entries: I) {
        let map = *self;
        // The replaced value is dropped here, after `insert` has unlocked.
        entries.into_par_iter().for_each(|(key, value)| drop(map.insert(key, value)));
    }
}

impl<K, V, S> ParallelExtend<(K, V)> for ShardedMap<K, V, S>
where
    K: Eq + Hash + Send + Sync,
    V: Send + Sync,
    S: BuildHasher + Sync,
{
    fn par_extend<I: IntoParallelIterator<Item = (K, V)>>(&mut self, entries: I) {
        // The map is shared with the workers, so the exclusive borrow gains nothing.
        let mut shared = &*self;
        shared.par_extend(entries);
    }
}

impl<K, V, S> FromParallelIterator<(K, V)> for ShardedMap<K, V, S>
where
    K: Eq + Hash + Send + Sync,
    V: Send + Sync,
    S: BuildHasher + Default + Sync,
{
    fn from_par_iter<I: IntoParallelIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = ShardedMap::default();
        map.par_extend(entries);
        map
    }
}

impl<K, V, S> fmt::Debug for ParIter<'_, K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParIter").field("shards", &self.map.shards()).finish_non_exhaustive()
    }
}

impl<K, V> fmt::Debug for IntoParIter<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoParIter").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}
