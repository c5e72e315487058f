//! A key's place in the map, for as long as a closure has it.

use std::fmt;
use std::mem;

use hashbrown::hash_table;

use super::shard::Pair;

/// What [`ShardedMap::entry`](super::ShardedMap::entry) lends: the place of a key, under its shard's lock.
pub enum Entry<'a, K, V> {
    /// The key is there.
    Occupied(OccupiedEntry<'a, K, V>),
    /// It is not.
    Vacant(VacantEntry<'a, K, V>),
}

/// The place of a key that is there.
pub struct OccupiedEntry<'a, K, V> {
    inner: hash_table::OccupiedEntry<'a, Pair<K, V>>,
    /// Where a removed key is put, to be dropped after unlocking.
    removed: &'a mut Option<K>,
}

/// The place of a key that is not there. Dropping it leaves it so.
pub struct VacantEntry<'a, K, V> {
    inner: hash_table::VacantEntry<'a, Pair<K, V>>,
    /// Full until this place is used up. It lies outside, so that a key that is not put in is dropped after
    /// unlocking.
    key: &'a mut Option<K>,
}

const FULL: &str = "the key is taken with the place itself";

impl<'a, K, V> Entry<'a, K, V> {
    /// The key.
    pub fn key(&self) -> &K {
        match self {
            Entry::Occupied(entry) => entry.key(),
            Entry::Vacant(entry) => entry.key(),
        }
    }

    /// Puts `default` in if the key is not there, and lends the value.
    pub fn or_insert(self, default: V) -> &'a mut V {
        self.or_insert_with(|| default)
    }

    /// Puts what `default` returns in if the key is not there, and lends the value. `default` runs under the
    /// shard's lock; [`get_or_insert_with`](super::ShardedMap::get_or_insert_with) is for what takes long.
    pub fn or_insert_with(self, default: impl FnOnce() -> V) -> &'a mut V {
        match self {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(default()),
        }
    }

    /// Puts the type's default in if the key is not there, and lends the value.
    pub fn or_default(self) -> &'a mut V
    where
        V: Default,
    {
        self.or_insert_with(V::default)
    }

    /// Changes the value if the key is there.
    #[must_use = "an entry that is dropped inserts nothing"]
    pub fn and_modify(mut self, f: impl FnOnce(&mut V)) -> Self {
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

    /// The key that is in the map.
    pub fn key(&self) -> &K {
        &self.inner.get().key
    }

    /// The value.
    pub fn get(&self) -> &V {
        &self.inner.get().value
    }

    /// The value, to be changed.
    pub fn get_mut(&mut self) -> &mut V {
        &mut self.inner.get_mut().value
    }

    /// The value, to be changed for as long as the closure has the place.
    pub fn into_mut(self) -> &'a mut V {
        &mut self.inner.into_mut().value
    }

    /// Puts another value in, and returns the one that was there.
    pub fn insert(&mut self, value: V) -> V {
        mem::replace(self.get_mut(), value)
    }

    /// Takes the value out. The key is dropped after unlocking.
    pub fn remove(self) -> V {
        let (pair, _) = self.inner.remove();
        *self.removed = Some(pair.key);
        pair.value
    }
}

impl<'a, K, V> VacantEntry<'a, K, V> {
    pub(super) fn new(inner: hash_table::VacantEntry<'a, Pair<K, V>>, key: &'a mut Option<K>) -> Self {
        VacantEntry { inner, key }
    }

    /// The key that was asked for.
    pub fn key(&self) -> &K {
        self.key.as_ref().expect(FULL)
    }

    /// Takes the key back, and leaves the place empty.
    pub fn into_key(self) -> K {
        self.key.take().expect(FULL)
    }

    /// Puts a value in, and lends it.
    pub fn insert(self, value: V) -> &'a mut V {
        let key = self.key.take().expect(FULL);
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
