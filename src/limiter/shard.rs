//! A shard of a keyed limiter: entries by hash, and the sweep that forgets idle ones.
//!
//! A map of limiters is easy; forgetting is not. A timer for each key would need a thread and a second
//! structure. Here a shard is swept when it has grown to twice what its last sweep left, so the cost of a
//! sweep is paid by the insertions since the last one.
//!
//! The lock around a shard orders everything here. None of the caller's code runs under it.

use std::time::Duration;

use hashbrown::HashTable;

use super::RateLimiter;
use crate::sync::{Arc, Mutex, sized};

/// The number of keys up to which a shard is not swept. Making a forgotten key again costs four times as much
/// as finding it (280 against 74 ns), so a thousand keys that are always idle should stay.
const FEW: usize = sized(64, 1);

/// Entries by the hash of their key. Comparing keys is the caller's code, so it must not happen under the
/// lock: the entries of one hash are cloned one by one, and are compared after unlocking.
pub(super) struct Shard<K> {
    /// The rate and the burst of each new key.
    pub(super) rate: Rate,
    by_hash: HashTable<(u64, Arc<Entry<K>>)>,
    /// The length at which the next sweep is due, if it is at least [`FEW`].
    sweep_at: usize,
}

/// A rate and a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) tokens: u64,
    pub(super) period: Duration,
    pub(super) burst: u64,
}

/// Why an entry was not inserted.
pub(super) enum NotEntered<K> {
    /// Another entry has that hash: for the caller to compare.
    Found(Arc<Entry<K>>),
    /// The rate has changed since the entry was made.
    Stale(Rate),
}

pub(super) struct Entry<K> {
    pub(super) key: K,
    pub(super) limiter: RateLimiter,
}

/// Takes the idle keys out of a shard, for the caller to drop with no lock held.
pub(super) fn swept<K>(shard: &Mutex<Shard<K>>) -> Vec<Arc<Entry<K>>> {
    shard.lock().sweep()
}

impl<K> Shard<K> {
    pub(super) fn new(rate: Rate) -> Self {
        Shard { rate, by_hash: HashTable::new(), sweep_at: 0 }
    }

    /// The number of entries.
    pub(super) fn len(&self) -> usize {
        self.by_hash.len()
    }

    /// An entry with that hash that is none of `strangers`.
    #[inline]
    pub(super) fn next(&self, hash: u64, strangers: &[Arc<Entry<K>>]) -> Option<Arc<Entry<K>>> {
        let known = |entry: &Arc<Entry<K>>| strangers.iter().any(|other| Arc::ptr_eq(entry, other));
        // Cloned under the lock: from here on a sweep leaves the entry in place.
        let (_, entry) = self.by_hash.find(hash, |(other, entry)| *other == hash && !known(entry))?;
        Some(Arc::clone(entry))
    }

    /// Inserts `new`, which was made for `rate`, if its hash has no entries but `strangers`, and returns
    /// whether a sweep is due.
    pub(super) fn enter(
        &mut self,
        hash: u64,
        new: &Arc<Entry<K>>,
        rate: Rate,
        strangers: &[Arc<Entry<K>>],
    ) -> Result<bool, NotEntered<K>> {
        // Looked up again in the critical section of the insertion: an entry that another thread has inserted
        // since the caller's lookup may be for the same key, and a key has one bucket.
        if let Some(other) = self.next(hash, strangers) {
            return Err(NotEntered::Found(other));
        }
        // In the same critical section too: a change of the rate either comes later and finds the entry, or
        // is seen here.
        if self.rate != rate {
            return Err(NotEntered::Stale(self.rate));
        }
        self.by_hash.insert_unique(hash, (hash, Arc::clone(new)), |(hash, _)| *hash);
        Ok(self.len() >= self.sweep_at.max(FEW))
    }

    /// The entries, for the caller to change with no lock held.
    pub(super) fn entries(&self) -> Vec<Arc<Entry<K>>> {
        self.by_hash.iter().map(|(_, entry)| Arc::clone(entry)).collect()
    }

    /// Removes the idle entries, and sets the length at which the next sweep is due.
    pub(super) fn sweep(&mut self) -> Vec<Arc<Entry<K>>> {
        // An entry that a caller holds stays, since that caller is about to take tokens from it. Entries are
        // cloned only under this lock, so an entry with a count of 1 stays unheld until it is removed. What
        // its last holder did is visible through the limiter's own lock.
        let is_idle =
            |(_, entry): &mut (u64, Arc<Entry<K>>)| Arc::strong_count(entry) == 1 && entry.limiter.is_idle();
        let idle = self.by_hash.extract_if(is_idle).map(|(_, entry)| entry).collect();
        let len = self.len();
        self.sweep_at = len * 2;
        // The memory of a burst of keys is returned, but not so eagerly that the map soon grows again.
        if self.by_hash.capacity() > 4 * len.max(FEW) {
            self.by_hash.shrink_to(2 * len, |(hash, _)| *hash);
        }
        idle
    }
}
