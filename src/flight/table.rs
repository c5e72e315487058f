//! Which calls are under way.
//!
//! The lock of a shard orders everything here. A call is in its shard from before its closure starts until
//! after it ended; who finds it there may wait for its [`OneShot`]. The leader takes it out before it ends
//! that one, so a caller that finds it ended may look again.
//!
//! Keys are the caller's, so they are compared, cloned and dropped with no lock held. A shard compares
//! hashes only. Calls with the right hash are taken out one by one and compared outside; one that turns out
//! to be of another key is passed over in the next look.

use std::fmt;

use crossbeam_utils::CachePadded;

use crate::panics;
use crate::sync::{Arc, Mutex, sized};
use crate::wait::OneShot;
use crate::wait::context::this_thread;

/// Enough that eight threads on as many keys seldom meet.
const SHARDS: usize = sized(16, 1);

pub(super) struct Table<K, V> {
    shards: [CachePadded<Mutex<Shard<K, V>>>; SHARDS],
}

/// The calls under way whose hashes end alike: seldom more than a few, and never more than there are
/// threads and nested calls, so they are looked through one by one.
struct Shard<K, V> {
    entries: Vec<Entry<K, V>>,
}

struct Entry<K, V> {
    flight: Arc<Flight<K, V>>,
    hash: u64,
    /// Nobody joins it any more.
    forgotten: bool,
}

/// A call.
pub(super) struct Flight<K, V> {
    key: K,
    hash: u64,
    /// The leader's closure is its own; those who wait share the result, or what the closure panicked with.
    pub(super) end: OneShot<(), Arc<Result<V, String>>>,
}

pub(super) enum Role<K, V> {
    /// Nobody was there: this thread makes the call.
    Leader(Arc<Flight<K, V>>),
    Follower(Arc<Flight<K, V>>),
}

impl<K, V> Table<K, V> {
    pub(super) fn new() -> Self {
        let shard = || CachePadded::new(Mutex::new(Shard { entries: Vec::new() }));
        Table { shards: std::array::from_fn(|_| shard()) }
    }

    fn shard(&self, hash: u64) -> &Mutex<Shard<K, V>> {
        &self.shards[hash as usize % self.shards.len()]
    }

    /// Finds the call for the key that `is_key` knows, or enters a new one.
    pub(super) fn board(
        &self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        key: impl FnOnce() -> K,
    ) -> Role<K, V> {
        if let Some(flight) = self.find(hash, &is_key) {
            return Role::Follower(flight);
        }
        let new = Arc::new(Flight { key: key(), hash, end: OneShot::claimed_by(this_thread()) });
        let mut strangers = Vec::new();
        loop {
            // The look and the entry are one critical section, so of two that find nobody one enters.
            let found = {
                let mut shard = self.shard(hash).lock();
                let found = shard.next(hash, &strangers);
                if found.is_none() {
                    shard.enter(Arc::clone(&new));
                }
                found
            };
            match found {
                None => {
                    panics::discard_each(strangers);
                    return Role::Leader(new);
                }
                Some(flight) if is_key(&flight.key) => {
                    panics::discard(new);
                    panics::discard_each(strangers);
                    return Role::Follower(flight);
                }
                Some(flight) => strangers.push(flight),
            }
        }
    }

    /// Finds the call for the key that `is_key` knows.
    pub(super) fn find(&self, hash: u64, is_key: impl Fn(&K) -> bool) -> Option<Arc<Flight<K, V>>> {
        let mut strangers = Vec::new();
        loop {
            let found = self.shard(hash).lock().next(hash, &strangers);
            match found {
                Some(flight) if !is_key(&flight.key) => strangers.push(flight),
                found => {
                    // Of calls that have ended meanwhile, these may be the last references.
                    panics::discard_each(strangers);
                    return found;
                }
            }
        }
    }

    /// Lets nobody find `flight` any more; false if it had ended or was forgotten before.
    pub(super) fn forget(&self, flight: &Arc<Flight<K, V>>) -> bool {
        let mut shard = self.shard(flight.hash).lock();
        let entry = shard.entry(flight).filter(|entry| !entry.forgotten);
        entry.map(|entry| entry.forgotten = true).is_some()
    }

    /// Takes `flight` out.
    pub(super) fn end(&self, flight: &Arc<Flight<K, V>>) {
        let mut shard = self.shard(flight.hash).lock();
        let place = shard.entries.iter().position(|entry| Arc::ptr_eq(&entry.flight, flight));
        let entry = shard.entries.swap_remove(place.expect("its leader alone takes a call out"));
        drop(shard);
        // Not the last reference: the leader has one.
        drop(entry);
    }

    pub(super) fn in_flight(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().entries.len()).sum()
    }

    pub(super) fn waiting(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().waiting()).sum()
    }

    pub(super) fn describe(&self, out: &mut fmt::DebugStruct<'_, '_>) {
        let seen = || self.shards.iter().filter_map(|shard| shard.try_lock());
        out.field("in_flight", &seen().map(|shard| shard.entries.len()).sum::<usize>())
            .field("waiting", &seen().map(|shard| shard.waiting()).sum::<usize>());
    }
}

impl<K, V> Shard<K, V> {
    /// A call with that hash which may be joined and is none of `strangers`.
    fn next(&self, hash: u64, strangers: &[Arc<Flight<K, V>>]) -> Option<Arc<Flight<K, V>>> {
        let known = |flight: &Arc<_>| strangers.iter().any(|stranger| Arc::ptr_eq(stranger, flight));
        let candidate =
            |entry: &&Entry<K, V>| entry.hash == hash && !entry.forgotten && !known(&entry.flight);
        self.entries.iter().find(candidate).map(|entry| Arc::clone(&entry.flight))
    }

    fn enter(&mut self, flight: Arc<Flight<K, V>>) {
        let hash = flight.hash;
        self.entries.push(Entry { flight, hash, forgotten: false });
    }

    fn entry(&mut self, flight: &Arc<Flight<K, V>>) -> Option<&mut Entry<K, V>> {
        self.entries.iter_mut().find(|entry| Arc::ptr_eq(&entry.flight, flight))
    }

    fn waiting(&self) -> usize {
        self.entries.iter().map(|entry| entry.flight.end.waiting()).sum()
    }
}
