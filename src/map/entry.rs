//! An entry of the map, lent to a closure.

use std::fmt;
use std::mem;

use hashbrown::hash_table;

use super::shard::Pair;

/// A key's entry, which [`ShardedMap::entry`](super::ShardedMap::entry) lends under the shard's lock.
pub enum Entry<'a, K, V> {
    /// The key is in the map.
    Occupied(OccupiedEntry<'a, K, V>),
    /// The key is not in the map.
    Vacant(VacantEntry<'a, K, V>),
}

/// The entry of a key that is in the map.
pub struct OccupiedEntry<'a, K, V> {
    inner: hash_table::OccupiedEntry<'a, Pair<K, V>>,
    /// Receives a removed key, to be dropped after unlocking.
    removed: &'a mut Option<K>,
}

/// The entry of a key that is not in the map. Dropping it inserts nothing.
pub struct VacantEntry<'a, K, V> {
    inner: hash_table::VacantEntry<'a, Pair<K, V>>,
    /// `Some` until the entry is used up. Stored outside the closure, so that a key that is not inserted is
    /// dropped after unlocking.
    key: &'a mut Option<K>,
}

const FULL: &str = "the key is taken with the place itself";

impl<'a, K, V> Entry<'a, K, V> {
    /// Returns the key.
    pub fn key(&self) -> &K {
        match self {
            Entry::Occupied(entry) => entry.key(),
            Entry::Vacant(entry) => entry.key(),
        }
    }

    /// Inserts `default` if the key is not in the map, and returns a reference to the value.
    pub fn or_insert(self, default: V) -> &'a mut V {
        self.or_insert_with(|| default)
    }

    /// Inserts what `default` returns if the key is not in the map, and returns a reference to the value.
    /// `default` runs under the shard's lock; use
    /// [`get_or_insert_with`](super::ShardedMap::get_or_insert_with) for slow closures.
    pub fn or_insert_with(self, default: impl FnOnce() -> V) -> &'a mut V {
        match self {
            Entry::Occupied(entry) => entry.into_mut(),
            // Only called if it is needed: it runs under the shard's lock, and may be expensive.
            Entry::Vacant(entry) => entry.insert(default()),
        }
    }

    /// Inserts the type's default if the key is not in the map, and returns a reference to the value.
    pub fn or_default(self) -> &'a mut V
    where
        V: Default,
    {
        self.or_insert_with(V::default)
    }

    /// Modifies the value if the key is in the map.
    #[must_use = "an entry that is dropped inserts nothing"]
    pub fn and_modify(mut self, f: impl FnOnce(&mut V)) -> Self {
        // A vacant entry passes through unchanged, so that an insertion can follow.
        if let Entry::Occupied(entry) = &mut self {
            f(entry.get_mut());
        }
        self
    }
}

impl<'a, K, V> OccupiedEntry<'a, K, V> {
    pub(super) fn new(inner: hash_table::OccupiedEntry<'a, Pair<K, V>>, removed: &'a mut Option<K>) -> Self {
        OccupiedEntry { inner, removed }
    }

    /// Returns the key in the map.
    pub fn key(&self) -> &K {
        &self.inner.get().key
    }

    /// Returns a reference to the value.
    pub fn get(&self) -> &V {
        &self.inner.get().value
    }

    /// Returns a mutable reference to the value.
    pub fn get_mut(&mut self) -> &mut V {
        &mut self.inner.get_mut().value
    }

    /// Converts the entry into a mutable reference to the value, which lives as long as the closure runs.
    pub fn into_mut(self) -> &'a mut V {
        &mut self.inner.into_mut().value
    }

    /// Replaces the value, and returns the old one.
    pub fn insert(&mut self, value: V) -> V {
        // Returned rather than dropped: its drop must not run under the lock unless the closure drops it.
        mem::replace(self.get_mut(), value)
    }

    /// Removes the entry and returns the value. The key is dropped after unlocking.
    pub fn remove(self) -> V {
        let (pair, _) = self.inner.remove();
        // Not dropped here: its drop is the caller's code, which must not run under the shard's lock.
        *self.removed = Some(pair.key);
        pair.value
    }
}

impl<'a, K, V> VacantEntry<'a, K, V> {
    pub(super) fn new(inner: hash_table::VacantEntry<'a, Pair<K, V>>, key: &'a mut Option<K>) -> Self {
        VacantEntry { inner, key }
    }

    /// Returns the key that was looked up.
    pub fn key(&self) -> &K {
        self.key.as_ref().expect(FULL)
    }

    /// Returns the key without inserting anything.
    pub fn into_key(self) -> K {
        self.key.take().expect(FULL)
    }

    /// Inserts a value and returns a reference to it.
    pub fn insert(self, value: V) -> &'a mut V {
        let key = self.key.take().expect(FULL);
        // The lookup has reserved room, so this insertion does not rehash.
        let pair = Pair { key, value };
        &mut self.inner.insert(pair).into_mut().value
    }
}

impl<K, V> fmt::Debug for Entry<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Entry::Occupied(_) => "Entry::Occupied",
            Entry::Vacant(_) => "Entry::Vacant",
        })
    }
}

impl<K, V> fmt::Debug for OccupiedEntry<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OccupiedEntry").finish_non_exhaustive()
    }
}

impl<K, V> fmt::Debug for VacantEntry<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VacantEntry").finish_non_exhaustive()
    }
}
