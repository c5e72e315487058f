//! Iterators over a map, one shard at a time.

use std::fmt;
use std::iter::FusedIterator;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::vec;

use hashbrown::{HashTable, hash_table};

use super::ShardedMap;
use super::shard::Pair;
use crate::panics::{self, FirstPanic};
use crate::sync::thread;

/// An iterator over clones of a map's entries, keys or values; made by [`iter`](ShardedMap::iter),
/// [`keys`](ShardedMap::keys) and [`values`](ShardedMap::values). It holds no lock between two items.
#[must_use = "an iterator does nothing until it is asked"]
pub struct Iter<'a, K, V, S, T> {
    map: &'a ShardedMap<K, V, S>,
    /// The next shard to copy.
    next: usize,
    copied: vec::IntoIter<T>,
    copy: fn(&K, &V) -> T,
}

/// An iterator that removes a map's entries; made by [`drain`](ShardedMap::drain). Dropping it removes the
/// rest.
#[must_use = "dropping it removes everything"]
pub struct Drain<'a, K, V, S> {
    map: &'a ShardedMap<K, V, S>,
    /// The next shard to empty.
    next: usize,
    taken: hash_table::IntoIter<Pair<K, V>>,
}

/// An owning iterator over the entries of a map.
#[must_use = "an iterator does nothing until it is asked"]
pub struct IntoIter<K, V> {
    shards: vec::IntoIter<HashTable<Pair<K, V>>>,
    current: hash_table::IntoIter<Pair<K, V>>,
    /// The number of remaining entries.
    left: usize,
}

impl<'a, K, V, S, T> Iter<'a, K, V, S, T> {
    pub(super) fn new(map: &'a ShardedMap<K, V, S>, copy: fn(&K, &V) -> T) -> Self {
        Iter { map, next: 0, copied: Vec::new().into_iter(), copy }
    }
}

impl<K, V, S, T> Iterator for Iter<'_, K, V, S, T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        loop {
            // Copies of the current shard first: no lock is held while the caller uses them.
            if let Some(item) = self.copied.next() {
                return Some(item);
            }
            if self.next == self.map.shards() {
                return None;
            }
            // The lock is released at the end of the statement. A clone that panics leaves `next` unchanged;
            // the shard is copied again by the next call.
            self.copied = self.map.copy_of(self.next, self.copy).into_iter();
            self.next += 1;
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.copied.len();
        // An upper bound is known only once the last shard was copied: the others may grow.
        (left, (self.next == self.map.shards()).then_some(left))
    }
}

impl<K, V, S> ShardedMap<K, V, S> {
    /// Copies the entries of one shard, under its lock.
    #[track_caller]
    pub(super) fn copy_of<T>(&self, index: usize, copy: fn(&K, &V) -> T) -> Vec<T> {
        // Collected before the guard is dropped; the size is known, so this allocates once.
        self.read_at(index).pairs.iter().map(|pair| copy(&pair.key, &pair.value)).collect()
    }
}

impl<K, V, S> ShardedMap<K, V, S> {
    pub(super) fn into_tables(self) -> Vec<HashTable<Pair<K, V>>> {
        self.shards.into_iter().map(|shard| shard.0.into_inner().take_all()).collect()
    }
}

impl<'a, K, V, S> Drain<'a, K, V, S> {
    pub(super) fn new(map: &'a ShardedMap<K, V, S>) -> Self {
        Drain { map, next: 0, taken: HashTable::new().into_iter() }
    }
}

impl<K, V, S> Iterator for Drain<'_, K, V, S> {
    type Item = (K, V);

    #[track_caller]
    fn next(&mut self) -> Option<(K, V)> {
        loop {
            if let Some(pair) = self.taken.next() {
                return Some((pair.key, pair.value));
            }
            if self.next == self.map.shards() {
                return None;
            }
            // Taken as a whole table, which copies nothing; the lock is released at the end of the statement.
            self.taken = self.map.write_at(self.next).take_all().into_iter();
            self.next += 1;
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.taken.len();
        // As for `Iter`: shards that were not visited yet may grow.
        (left, (self.next == self.map.shards()).then_some(left))
    }
}

impl<K, V, S> Drop for Drain<'_, K, V, S> {
    fn drop(&mut self) {
        // A re-entrant call has panicked and is being unwound. A second panic would abort, and locking here
        // would deadlock.
        let shards = match thread::panicking() && self.map.is_entered() {
            true => 0..0,
            false => self.next..self.map.shards(),
        };
        // All shards are emptied even if the drop of an entry panics.
        let mut panicked = FirstPanic::new();
        // Each entry is dropped even if the drop of another panics; the first panic resumes at the end.
        panicked.call(|| panics::drop_each(self.taken.by_ref()));
        for index in shards {
            // Unlocked at the end of the statement: the entries' drops are the caller's code.
            let taken = self.map.write_at(index).take_all();
            panicked.call(|| panics::drop_each(taken));
        }
        panicked.resume();
    }
}

impl<K, V> IntoIter<K, V> {
    pub(super) fn new<S>(map: ShardedMap<K, V, S>) -> Self {
        let tables = map.into_tables();
        // Exact, because the map is no longer shared.
        let left = tables.iter().map(HashTable::len).sum();
        IntoIter { shards: tables.into_iter(), current: HashTable::new().into_iter(), left }
    }
}

impl<K, V> Drop for IntoIter<K, V> {
    fn drop(&mut self) {
        // The rest is dropped entry by entry: a table's own drop would skip the entries after one that
        // panics.
        let tables = self.shards.by_ref().flatten();
        panics::drop_each(self.current.by_ref().chain(tables));
    }
}

impl<K, V> Iterator for IntoIter<K, V> {
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        loop {
            if let Some(pair) = self.current.next() {
                self.left -= 1;
                return Some((pair.key, pair.value));
            }
            self.current = self.shards.next()?.into_iter();
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<K, V, S, T> FusedIterator for Iter<'_, K, V, S, T> {}
impl<K, V, S> FusedIterator for Drain<'_, K, V, S> {}
impl<K, V> FusedIterator for IntoIter<K, V> {}
impl<K, V> ExactSizeIterator for IntoIter<K, V> {}

impl<K, V, S, T> fmt::Debug for Iter<'_, K, V, S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter")
            .field("next_shard", &self.next)
            .field("copied", &self.copied.len())
            .finish_non_exhaustive()
    }
}

impl<K, V, S> fmt::Debug for Drain<'_, K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain")
            .field("next_shard", &self.next)
            .field("taken", &self.taken.len())
            .finish_non_exhaustive()
    }
}

impl<K, V> fmt::Debug for IntoIter<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoIter").field("left", &self.left).finish_non_exhaustive()
    }
}

// These own their entries, and only move them out whole.
impl<K, V, S> UnwindSafe for Drain<'_, K, V, S> {}
impl<K, V, S> RefUnwindSafe for Drain<'_, K, V, S> {}
impl<K, V> UnwindSafe for IntoIter<K, V> {}
impl<K, V> RefUnwindSafe for IntoIter<K, V> {}
