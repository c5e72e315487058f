//! Operations on one key.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::mem;

use hashbrown::hash_table;

use super::ShardedMap;
use super::entry::{Entry, OccupiedEntry, VacantEntry};
use super::shard::Pair;
use crate::panics;

impl<K: Eq + Hash, V, S: BuildHasher> ShardedMap<K, V, S> {
    /// Returns a clone of the value. For values that are expensive to clone, store an `Arc`, or use
    /// [`with`](ShardedMap::with).
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
        // A shared lock: the clone may be slow, and other readers do not wait for it.
        self.read(hash).find(hash, key).map(|pair| pair.value.clone())
    }

    /// Calls `f` with a reference to the value and returns its result; `None` if the key is not in the map.
    ///
    /// `f` runs under the shard's lock, which other readers share.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map, or if `f` panics.
    #[inline]
    #[track_caller]
    pub fn with<Q, R>(&self, key: &Q, f: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let hash = self.hash(key);
        // A shared lock, released when `f` has returned or panicked.
        self.read(hash).find(hash, key).map(|pair| f(&pair.value))
    }

    /// Returns true if the key is in the map. That may have changed by the time the caller acts on it;
    /// [`entry`](ShardedMap::entry) checks and inserts in one step.
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
        // A shared lock, held for one lookup.
        self.read(hash).find(hash, key).is_some()
    }

    /// Inserts a value and returns the old one. Of any number of threads that insert the same key, exactly
    /// one gets `None`: the first.
    ///
    /// As in std's map, the old key is kept.
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
                // The old value leaves the lock before it is dropped or returned.
                let before = mem::replace(&mut pair.get_mut().value, value);
                drop(shard); // before the key that is not needed
                Some(panics::drop_before(key, before))
            }
            hash_table::Entry::Vacant(place) => {
                // No code of the caller runs here: the room is there, and no hash is needed.
                place.insert(Pair { key, value });
                None
            }
        }
    }

    /// Removes the key and returns the value.
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
        // The key is dropped after unlocking: its drop is the caller's code.
        self.remove_entry(key).map(|(key, value)| panics::drop_before(key, value))
    }

    /// Removes the key and returns it with the value.
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

    /// Removes the key if `condition` returns true for its value, and returns the value.
    ///
    /// `condition` runs under the shard's lock.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map; or if `condition` panics, in which case
    /// nothing is removed.
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
        // Before `condition` runs: a `Hash` that panics must not lose a removed entry.
        shard.shrink_if_sparse(|key| self.hash(key));
        let found = shard.find_entry(hash, key)?;
        // Under the lock, so that no other thread changes the value between the condition and the removal.
        if !condition(&found.get().value) {
            return None;
        }
        let (pair, _) = found.remove();
        drop(shard); // before the key
        Some(panics::drop_before(pair.key, pair.value))
    }

    /// Calls `f` with a mutable reference to the value and returns its result; `None` if the key is not in
    /// the map.
    ///
    /// `f` runs under the shard's lock.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map; or if `f` panics, in which case the value
    /// is as `f` left it.
    #[inline]
    #[track_caller]
    pub fn update<Q, R>(&self, key: &Q, f: impl FnOnce(&mut V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let hash = self.hash(key);
        // An exclusive lock for the whole of `f`: an update is one step for all other threads.
        self.write(hash).find_mut(hash, key).map(|pair| f(&mut pair.value))
    }

    /// Calls `f` with the key's entry, for operations that check and then act in one step.
    ///
    /// `f` runs under the shard's lock.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map; or if `f` panics, in which case the entry
    /// is as `f` left it.
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
    /// The entry cannot escape from the closure:
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
        // Declared last, so dropped first: unused keys are dropped after unlocking, since their drop is the
        // caller's code.
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
