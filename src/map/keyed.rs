//! Calls on one key.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::mem;

use hashbrown::hash_table;

use super::ShardedMap;
use super::entry::{Entry, OccupiedEntry, VacantEntry};
use super::shard::Pair;
use crate::panics;

impl<K: Eq + Hash, V, S: BuildHasher> ShardedMap<K, V, S> {
    /// Gives a clone of the value. Wrap what is dear to clone in an `Arc`, or use [`with`](ShardedMap::with).
    ///
    /// The value's `Clone` runs under the shard's lock, which other readers share.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map.
    #[inline]
    #[track_caller]
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
        V: Clone,
    {
        let hash = self.hash(key);
        self.read(hash).find(hash, key).map(|pair| pair.value.clone())
    }

    /// Lends the value to `f`, and returns what `f` does; `None` if there is no such key.
    ///
    /// `f` runs under the shard's lock, which other readers share.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map, and when `f` does.
    #[inline]
    #[track_caller]
    pub fn with<Q, R>(&self, key: &Q, f: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let hash = self.hash(key);
        self.read(hash).find(hash, key).map(|pair| f(&pair.value))
    }

    /// True if the key is there. By the time the caller acts on it, it may be otherwise: if you would insert
    /// then, [`entry`](ShardedMap::entry) does both at once.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map.
    #[inline]
    #[track_caller]
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let hash = self.hash(key);
        self.read(hash).find(hash, key).is_some()
    }

    /// Puts a value in, and returns the one that was there. `None` tells exactly one of any number of threads
    /// that it was the first.
    ///
    /// As in std's map, the key that was there stays.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map.
    #[inline]
    #[track_caller]
    pub fn insert(&self, key: K, value: V) -> Option<V> {
        let hash = self.hash(&key);
        let mut shard = self.write(hash);
        shard.make_room(|key| self.hash(key));
        match shard.entry(hash, &key) {
            hash_table::Entry::Occupied(mut pair) => {
                let before = mem::replace(&mut pair.get_mut().value, value);
                drop(shard); // before the key that is not needed
                Some(panics::drop_before(key, before))
            }
            hash_table::Entry::Vacant(place) => {
                place.insert(Pair { key, value });
                None
            }
        }
    }

    /// Takes the value out.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map.
    #[inline]
    #[track_caller]
    pub fn remove<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.remove_entry(key).map(|(key, value)| panics::drop_before(key, value))
    }

    /// Takes the key and the value out.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map.
    #[inline]
    #[track_caller]
    pub fn remove_entry<Q>(&self, key: &Q) -> Option<(K, V)>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let hash = self.hash(key);
        let mut shard = self.write(hash);
        shard.shrink_if_sparse(|key| self.hash(key));
        let (pair, _) = shard.find_entry(hash, key)?.remove();
        Some((pair.key, pair.value))
    }

    /// Takes the value out if `condition` says so.
    ///
    /// `condition` runs under the shard's lock.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map; and when `condition` does, with nothing
    /// taken out.
    ///
    /// # Examples
    /// ```
    /// use selvedge::ShardedMap;
    ///
    /// let versions = ShardedMap::from([("a", 1)]);
    /// let seen = versions.get("a").unwrap();
    /// versions.insert("a", 2); // another thread
    /// assert_eq!(versions.remove_if("a", |now| *now == seen), None);
    /// assert_eq!(versions.get("a"), Some(2));
    /// ```
    #[inline]
    #[track_caller]
    pub fn remove_if<Q>(&self, key: &Q, condition: impl FnOnce(&V) -> bool) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let hash = self.hash(key);
        let mut shard = self.write(hash);
        shard.shrink_if_sparse(|key| self.hash(key));
        let found = shard.find_entry(hash, key)?;
        if !condition(&found.get().value) {
            return None;
        }
        let (pair, _) = found.remove();
        drop(shard); // before the key
        Some(panics::drop_before(pair.key, pair.value))
    }

    /// Lends the value to `f` to be changed, and returns what `f` does; `None` if there is no such key.
    ///
    /// `f` runs under the shard's lock.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map; and when `f` does, with the value as `f`
    /// left it.
    #[inline]
    #[track_caller]
    pub fn update<Q, R>(&self, key: &Q, f: impl FnOnce(&mut V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let hash = self.hash(key);
        self.write(hash).find_mut(hash, key).map(|pair| f(&mut pair.value))
    }

    /// Lends the key's place to `f`, filled or empty: whatever has to look and then act, in one step.
    ///
    /// `f` runs under the shard's lock.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map; and when `f` does, with the entry as `f`
    /// left it.
    ///
    /// # Examples
    /// ```
    /// use selvedge::{ShardedMap, map::Entry};
    ///
    /// let stock = ShardedMap::from([("apples", 2)]);
    /// // Takes one, and takes the row out with the last.
    /// let take = |fruit| stock.entry(fruit, |entry| match entry {
    ///     Entry::Vacant(_) => false,
    ///     Entry::Occupied(mut row) => {
    ///         *row.get_mut() -= 1;
    ///         if *row.get() == 0 {
    ///             row.remove();
    ///         }
    ///         true
    ///     }
    /// });
    /// assert_eq!(["apples", "apples", "apples"].map(take), [true, true, false]);
    /// assert!(stock.is_empty());
    /// ```
    ///
    /// Nothing of the place gets out of the closure:
    /// ```compile_fail
    /// let map = selvedge::ShardedMap::<u8, u8>::new();
    /// let escaped: &mut u8 = map.entry(1, |entry| entry.or_insert(2));
    /// ```
    #[inline]
    #[track_caller]
    pub fn entry<R>(&self, key: K, f: impl FnOnce(Entry<'_, K, V>) -> R) -> R {
        let hash = self.hash(&key);
        let mut removed = None;
        let mut key = Some(key);
        // The last to be made and so the first to be dropped: keys that are not needed go after unlocking.
        let mut shard = self.write(hash);
        shard.shrink_if_sparse(|key| self.hash(key));
        shard.make_room(|key| self.hash(key));
        let entry = match shard.entry(hash, key.as_ref().expect("it was put in above")) {
            hash_table::Entry::Occupied(found) => Entry::Occupied(OccupiedEntry::new(found, &mut removed)),
            hash_table::Entry::Vacant(place) => Entry::Vacant(VacantEntry::new(place, &mut key)),
        };
        f(entry)
    }
}
