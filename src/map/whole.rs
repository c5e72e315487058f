//! Calls on the whole map, a shard at a time.
//!
//! Loops, where an iterator would be shorter: a closure does not pass the caller's place on, and who calls
//! back into the map is to be shown their own line.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::ops::ControlFlow;

use super::ShardedMap;
use super::iter::{Drain, Iter};
use crate::panics::{self, FirstPanic};

impl<K, V, S> ShardedMap<K, V, S> {
    /// How many entries there are: the sum of the shards' counts, each taken at its moment.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map.
    #[track_caller]
    pub fn len(&self) -> usize {
        let mut len = 0;
        for index in 0..self.shards() {
            len += self.read_at(index).pairs.len();
        }
        len
    }

    /// True if every shard was empty when it was looked at.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map.
    #[track_caller]
    pub fn is_empty(&self) -> bool {
        for index in 0..self.shards() {
            if !self.read_at(index).pairs.is_empty() {
                return false;
            }
        }
        true
    }

    /// How many entries there is memory for.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map.
    #[track_caller]
    pub fn capacity(&self) -> usize {
        let mut capacity = 0;
        for index in 0..self.shards() {
            capacity += self.read_at(index).pairs.capacity();
        }
        capacity
    }

    /// Removes everything and gives its memory back. What is inserted meanwhile stays if its shard was done.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map; and if the drop of an entry does, when
    /// everything is removed and dropped.
    #[track_caller]
    pub fn clear(&self) {
        let mut panicked = FirstPanic::new();
        for index in 0..self.shards() {
            // Taken in a statement of its own, so that it is dropped after unlocking.
            let taken = self.write_at(index).take_all();
            panicked.call(|| panics::drop_each(taken));
        }
        panicked.resume();
    }

    /// Lends every entry to `f`, a shard at a time, without copying anything.
    ///
    /// `f` runs under the shard's lock, which other readers share; writers of that shard wait for it to be
    /// through. [`iter`](ShardedMap::iter) copies a shard and runs your code under no lock.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map, and when `f` does.
    #[track_caller]
    pub fn for_each(&self, mut f: impl FnMut(&K, &V)) {
        for index in 0..self.shards() {
            self.read_at(index).pairs.iter().for_each(|pair| f(&pair.key, &pair.value));
        }
    }

    /// [`for_each`](ShardedMap::for_each) until `f` breaks off.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map, and when `f` does.
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
            let shard = self.read_at(index);
            for pair in &shard.pairs {
                f(&pair.key, &pair.value)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Lends every value to `f` to be changed, a shard at a time.
    ///
    /// `f` runs under the shard's lock.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map; and when `f` does, with the values as `f`
    /// left them.
    #[track_caller]
    pub fn for_each_mut(&self, mut f: impl FnMut(&K, &mut V)) {
        for index in 0..self.shards() {
            let mut shard = self.write_at(index);
            shard.pairs.iter_mut().for_each(|pair| f(&pair.key, &mut pair.value));
        }
    }

    /// Takes everything out, a shard at a time: each shard is emptied when the iterator comes to it, and its
    /// entries are then the iterator's own. Dropping the iterator removes the rest, as in std's map.
    ///
    /// # Panics
    /// If the iterator is used in a closure that runs under a lock of this map.
    pub fn drain(&self) -> Drain<'_, K, V, S> {
        Drain::new(self)
    }

    /// Clones of every entry, a shard at a time: what is held in memory is one shard's share.
    ///
    /// The clones are made under the shard's lock, which other readers share; your code between two items
    /// runs under none, and may use the map.
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

    /// Clones of every key, as [`iter`](ShardedMap::iter) makes them.
    pub fn keys(&self) -> Iter<'_, K, V, S, K>
    where
        K: Clone,
    {
        Iter::new(self, |key, _| key.clone())
    }

    /// Clones of every value, as [`iter`](ShardedMap::iter) makes them.
    pub fn values(&self) -> Iter<'_, K, V, S, V>
    where
        V: Clone,
    {
        Iter::new(self, |_, value| value.clone())
    }

    /// What `Debug` shows: `None` if another thread changes a shard just now.
    pub(super) fn figures(&self) -> Option<Figures> {
        let mut sum = Figures::default();
        for shard in &self.shards {
            let shard = shard.try_read()?;
            let (running, waiting) = shard.running.figures();
            sum.len += shard.pairs.len();
            sum.running += running;
            sum.waiting += waiting;
        }
        Some(sum)
    }
}

impl<K: Eq + Hash, V, S: BuildHasher> ShardedMap<K, V, S> {
    /// Makes room for `additional` entries more, if they spread evenly.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map, or if so many do not fit into memory.
    #[track_caller]
    pub fn reserve(&self, additional: usize) {
        let each = additional.div_ceil(self.shards());
        for index in 0..self.shards() {
            let reserved = self.write_at(index).reserve(each, |key| self.hash(key));
            if reserved.is_err() {
                panic!("room for {additional} entries more does not fit into memory");
            }
        }
    }

    /// Gives all memory back that is not needed now. It comes back by itself, but not to the last byte; see
    /// Cost at the top.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map.
    #[track_caller]
    pub fn shrink_to_fit(&self) {
        for index in 0..self.shards() {
            self.write_at(index).shrink_to_fit(|key| self.hash(key));
        }
    }

    /// Removes the entries that `keep` says no to, a shard at a time.
    ///
    /// `keep` runs under the shard's lock; what is removed is dropped after unlocking.
    ///
    /// # Panics
    /// If called from a closure that runs under a lock of this map; when `keep` does, with those gone that it
    /// had said no to; and if the drop of a removed entry does, with all of its shard dropped that were to
    /// be.
    #[track_caller]
    pub fn retain(&self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        for index in 0..self.shards() {
            let (mut removed, mut panicked) = (Vec::new(), FirstPanic::new());
            let mut shard = self.write_at(index);
            panicked.call(|| {
                removed.extend(shard.pairs.extract_if(|pair| !keep(&pair.key, &mut pair.value)));
                if !removed.is_empty() {
                    shard.shrink_if_sparse(|key| self.hash(key));
                }
            });
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
    /// Closures of `get_or_insert_with` that run.
    running: usize,
    /// Threads that wait for one.
    waiting: usize,
}

impl Figures {
    pub(super) fn describe(&self, out: &mut fmt::DebugStruct<'_, '_>) {
        out.field("len", &self.len).field("running", &self.running).field("waiting", &self.waiting);
    }
}
