//! Operations on the whole map, one shard at a time.
//!
//! Written as loops rather than iterators: a closure does not forward `#[track_caller]`, and the message of a
//! re-entrant call must name the caller's line.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::ops::ControlFlow;

use super::ShardedMap;
use super::iter::{Drain, Iter};
use crate::panics::{self, FirstPanic};

impl<K, V, S> ShardedMap<K, V, S> {
    /// Returns the number of entries: the sum of the shards' lengths, each read at its own moment.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map.
    #[track_caller]
    pub fn len(&self) -> usize {
        let mut len = 0;
        for index in 0..self.shards() {
            // One shard at a time: holding all locks at once would order them and stop every writer.
            len += self.read_at(index).pairs.len();
        }
        len
    }

    /// Returns true if every shard was empty when it was visited.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map.
    #[track_caller]
    pub fn is_empty(&self) -> bool {
        for index in 0..self.shards() {
            // The first entry decides; the other shards are not locked.
            if !self.read_at(index).pairs.is_empty() {
                return false;
            }
        }
        true
    }

    /// Returns the number of entries for which memory is allocated.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map.
    #[track_caller]
    pub fn capacity(&self) -> usize {
        let mut capacity = 0;
        for index in 0..self.shards() {
            // As in `len`, one shard at a time.
            capacity += self.read_at(index).pairs.capacity();
        }
        capacity
    }

    /// Removes all entries and returns their memory. An entry that is inserted meanwhile stays if its shard
    /// was cleared before.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map; or if the drop of an entry panics, after
    /// all entries are removed and dropped.
    #[track_caller]
    pub fn clear(&self) {
        let mut panicked = FirstPanic::new();
        for index in 0..self.shards() {
            // A separate statement, so that the entries are dropped after unlocking.
            let taken = self.write_at(index).take_all();
            panicked.call(|| panics::drop_each(taken));
        }
        panicked.resume();
    }

    /// Calls `f` with every entry, one shard at a time, without copying.
    ///
    /// `f` runs under the shard's lock, which other readers share; writers of that shard wait until the shard
    /// is done. [`iter`](ShardedMap::iter) copies a shard and runs the caller's code under no lock.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map, or if `f` panics.
    #[track_caller]
    pub fn for_each(&self, mut f: impl FnMut(&K, &V)) {
        for index in 0..self.shards() {
            // A shared lock: only writers of this shard wait for `f`.
            self.read_at(index).pairs.iter().for_each(|pair| f(&pair.key, &pair.value));
        }
    }

    /// Like [`for_each`](ShardedMap::for_each), until `f` breaks.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map, or if `f` panics.
    ///
    /// # Examples
    /// ```
    /// use selvedge::ShardedMap;
    /// use std::ops::ControlFlow::{Break, Continue};
    ///
    /// let map = ShardedMap::from([(1, "odd"), (2, "even")]);
    /// let even = map.try_for_each(|key, word| if key % 2 == 0 { Break(word.len()) } else { Continue(()) });
    /// assert_eq!(even, Break(4));
    /// ```
    #[track_caller]
    pub fn try_for_each<B>(&self, mut f: impl FnMut(&K, &V) -> ControlFlow<B>) -> ControlFlow<B> {
        for index in 0..self.shards() {
            // Released by the `?` below as well as by the end of the shard.
            let shard = self.read_at(index);
            for pair in &shard.pairs {
                f(&pair.key, &pair.value)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Calls `f` with a mutable reference to every value, one shard at a time.
    ///
    /// `f` runs under the shard's lock.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map; or if `f` panics, in which case the
    /// values are as `f` left them.
    #[track_caller]
    pub fn for_each_mut(&self, mut f: impl FnMut(&K, &mut V)) {
        for index in 0..self.shards() {
            // Exclusive for the whole shard: `f` may change every value in it.
            let mut shard = self.write_at(index);
            // Values only: changing a key in place would lose its bucket.
            shard.pairs.iter_mut().for_each(|pair| f(&pair.key, &mut pair.value));
        }
    }

    /// Removes all entries and returns them, one shard at a time: a shard is emptied when the iterator
    /// reaches it, and its entries then belong to the iterator. Dropping the iterator removes the rest, as in
    /// std's map.
    ///
    /// # Panics
    /// If the iterator is used in a closure that runs under a lock of this map.
    pub fn drain(&self) -> Drain<'_, K, V, S> {
        Drain::new(self)
    }

    /// Returns clones of all entries, one shard at a time, so that memory holds one shard's clones at a time.
    ///
    /// The clones are made under the shard's lock, which other readers share. The caller's code between two
    /// items runs under no lock, and may use the map.
    ///
    /// # Panics
    /// If the iterator is used in a closure that runs under a lock of this map.
    ///
    /// # Examples
    /// ```
    /// use selvedge::ShardedMap;
    ///
    /// let map = (0..100).map(|n| (n, n * n)).collect::<ShardedMap<_, _>>();
    /// for (key, square) in map.iter().filter(|(_, square)| square % 2 == 1) {
    ///     map.remove(&key);
    ///     assert_eq!(square, key * key);
    /// }
    /// assert_eq!(map.len(), 50);
    /// ```
    pub fn iter(&self) -> Iter<'_, K, V, S, (K, V)>
    where
        K: Clone,
        V: Clone,
    {
        Iter::new(self, |key, value| (key.clone(), value.clone()))
    }

    /// Returns clones of all keys, as [`iter`](ShardedMap::iter) does for entries.
    pub fn keys(&self) -> Iter<'_, K, V, S, K>
    where
        K: Clone,
    {
        Iter::new(self, |key, _| key.clone())
    }

    /// Returns clones of all values, as [`iter`](ShardedMap::iter) does for entries.
    pub fn values(&self) -> Iter<'_, K, V, S, V>
    where
        V: Clone,
    {
        Iter::new(self, |_, value| value.clone())
    }

    /// The figures that `Debug` shows; `None` if a shard is locked exclusively.
    pub(super) fn figures(&self) -> Option<Figures> {
        let mut sum = Figures::default();
        for shard in &self.shards {
            // Never blocks, and takes no part in the re-entry check: `Debug` may run under a lock of this
            // map.
            let shard = shard.0.try_read()?;
            let (running, waiting) = shard.running.figures();
            sum.len += shard.pairs.len();
            sum.running += running;
            sum.waiting += waiting;
        }
        Some(sum)
    }
}

impl<K: Eq + Hash, V, S: BuildHasher> ShardedMap<K, V, S> {
    /// Reserves capacity for `additional` more entries, if they spread evenly over the shards.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map, or if they do not fit into memory.
    #[track_caller]
    pub fn reserve(&self, additional: usize) {
        let each = additional.div_ceil(self.shards());
        for index in 0..self.shards() {
            // Unlocked at the end of the statement, before the panic below.
            let reserved = self.write_at(index).reserve(each, |key| self.hash(key));
            if reserved.is_err() {
                panic!("room for {additional} entries more does not fit into memory");
            }
        }
    }

    /// Returns all memory that is not needed now. Removals return memory too, but not all of it; see
    /// [Cost](ShardedMap#cost).
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map.
    #[track_caller]
    pub fn shrink_to_fit(&self) {
        for index in 0..self.shards() {
            // A `Hash` that panics leaves this shard as it was, and the later ones unvisited.
            self.write_at(index).shrink_to_fit(|key| self.hash(key));
        }
    }

    /// Removes the entries for which `keep` returns false, one shard at a time.
    ///
    /// `keep` runs under the shard's lock; removed entries are dropped after unlocking.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map; if `keep` panics, in which case the
    /// entries it has rejected are gone; or if the drop of a removed entry panics, after all removed entries
    /// of its shard are dropped.
    #[track_caller]
    pub fn retain(&self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        for index in 0..self.shards() {
            let (mut removed, mut panicked) = (Vec::new(), FirstPanic::new());
            // A panic of `keep` is caught below, so the shard is unlocked before the removed entries are
            // dropped.
            let mut shard = self.write_at(index);
            panicked.call(|| {
                removed.extend(shard.pairs.extract_if(|pair| !keep(&pair.key, &mut pair.value)));
                if !removed.is_empty() {
                    // After the removals: if a `Hash` panics, the removed entries are still dropped below.
                    shard.shrink_if_sparse(|key| self.hash(key));
                }
            });
            // Unlocked first: the entries' drops are the caller's code.
            drop(shard);
            panicked.call(|| panics::drop_each(removed));
            panicked.resume();
        }
    }
}

/// See [`ShardedMap::figures`].
#[derive(Default)]
pub(super) struct Figures {
    len: usize,
    /// Running closures of `get_or_insert_with`.
    running: usize,
    /// Threads that wait for one.
    waiting: usize,
}

impl Figures {
    pub(super) fn describe(&self, out: &mut fmt::DebugStruct<'_, '_>) {
        out.field("len", &self.len).field("running", &self.running).field("waiting", &self.waiting);
    }
}
