//! Implementations of std's traits.

use std::fmt;
use std::hash::{BuildHasher, Hash};

use super::iter::{IntoIter, Iter};
use super::running::Running;
use super::shard::Shard;
use super::{Part, ShardedMap};

impl<K, V, S: Default> Default for ShardedMap<K, V, S> {
    fn default() -> Self {
        Self::with_hasher(S::default())
    }
}

/// Clones one shard at a time, with the `Clone` of keys and values under the shard's lock. A value that
/// `get_or_insert_with` is computing is not part of the clone.
impl<K: Clone, V: Clone, S: Clone> Clone for ShardedMap<K, V, S> {
    #[track_caller]
    fn clone(&self) -> Self {
        let mut shards = Vec::with_capacity(self.shards());
        for index in 0..self.shards() {
            // A shared lock for each shard in turn: the clone blocks writers of one shard at a time.
            let pairs = self.read_at(index).pairs.clone();
            shards.push(Part::new(Shard { pairs, running: Running::new() }));
        }
        ShardedMap { shards: shards.into(), hasher: self.hasher.clone() }
    }
}

/// Inserts one entry after another; the iterator runs under no lock. A shared map can be extended too, as
/// `&map`.
impl<K: Eq + Hash, V, S: BuildHasher> Extend<(K, V)> for &ShardedMap<K, V, S> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            // The iterator runs before the lock is taken: it may use the map itself.
            self.insert(key, value);
        }
    }
}

impl<K: Eq + Hash, V, S: BuildHasher> Extend<(K, V)> for ShardedMap<K, V, S> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        let mut shared = &*self;
        shared.extend(entries);
    }
}

impl<K: Eq + Hash, V, S: BuildHasher + Default> FromIterator<(K, V)> for ShardedMap<K, V, S> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = ShardedMap::default();
        map.extend(entries);
        map
    }
}

impl<K: Eq + Hash, V, const N: usize> From<[(K, V); N]> for ShardedMap<K, V> {
    fn from(entries: [(K, V); N]) -> Self {
        ShardedMap::from_iter(entries)
    }
}

impl<K, V, S> IntoIterator for ShardedMap<K, V, S> {
    type Item = (K, V);
    type IntoIter = IntoIter<K, V>;

    fn into_iter(self) -> IntoIter<K, V> {
        IntoIter::new(self)
    }
}

impl<'a, K: Clone, V: Clone, S> IntoIterator for &'a ShardedMap<K, V, S> {
    type Item = (K, V);
    type IntoIter = Iter<'a, K, V, S, (K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K, V, S> fmt::Debug for ShardedMap<K, V, S> {
    /// Shows figures, not entries. Never blocks: if a shard is locked exclusively, the figures are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("ShardedMap");
        out.field("shards", &self.shards());
        if let Some(figures) = self.figures() {
            figures.describe(&mut out);
        }
        out.finish_non_exhaustive()
    }
}
