//! The calls in flight.
//!
//! A shard's lock orders everything here. A call is in its shard from before its closure starts until after
//! it has ended; a caller that finds it there may wait for its [`OneShot`]. The leader removes the call
//! before it ends the one-shot, so a caller that finds the one-shot ended without a result may look again.
//!
//! Keys are the caller's, so they are compared, cloned and dropped with no lock held. Under the lock, a shard
//! compares hashes only. Calls with the right hash are cloned out one by one and compared outside; a call
//! that turns out to have another key is skipped in the next look.

use std::fmt;

use crossbeam_utils::CachePadded;

use super::callers::Callers;
use crate::panics;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use crate::sync::model::IS_MODEL;
use crate::sync::{Arc, Mutex, sized};
use crate::wait::context::this_thread;
use crate::wait::{BriefSpin, OneShot};

/// Enough that eight threads on as many keys seldom contend.
const SHARDS: usize = sized(16, 1);

pub(super) struct Table<K, V> {
    shards: [CachePadded<Shard<K, V>>; SHARDS],
    /// How long followers spin.
    spin: BriefSpin,
}

struct Shard<K, V> {
    calls: Mutex<Calls<K, V>>,
    /// A hint: the number of calls, of which most shards have none. Relaxed: written under the lock, which
    /// decides.
    count: AtomicUsize,
}

/// The calls in flight of one shard: seldom more than a few, and at most one per thread and nesting level, so
/// a linear search is fast.
struct Calls<K, V> {
    entries: Vec<Entry<K, V>>,
}

struct Entry<K, V> {
    flight: Arc<Flight<K, V>>,
    hash: u64,
    /// Not to be joined by new callers.
    forgotten: bool,
}

/// A call in flight.
pub(super) struct Flight<K, V> {
    key: K,
    hash: u64,
    /// Counted if the closure is told when nobody wants its result any more.
    pub(super) callers: Option<Arc<Callers>>,
    /// A follower spins, and so is not among the waiters of the one-shot. Relaxed: a follower that the leader
    /// does not see finds no result, and looks for another call.
    has_spinning: AtomicBool,
    /// A hint for followers that spin, which so leave the lock of the one-shot to the leader. Relaxed: the
    /// lock publishes the end.
    has_ended: AtomicBool,
    /// The closure stays with the leader; the followers share the result, or the message of a panic.
    pub(super) end: OneShot<(), Arc<Result<V, String>>>,
}

pub(super) enum Role<K, V> {
    /// No call is in flight: this thread makes it.
    Leader(Arc<Flight<K, V>>),
    Follower(Arc<Flight<K, V>>),
}

impl<K, V> Table<K, V> {
    pub(super) fn new() -> Self {
        let shard = || Shard { calls: Mutex::new(Calls { entries: Vec::new() }), count: AtomicUsize::new(0) };
        let shards = std::array::from_fn(|_| CachePadded::new(shard()));
        Table { shards, spin: BriefSpin::new() }
    }

    fn shard(&self, hash: u64) -> &Shard<K, V> {
        &self.shards[hash as usize % self.shards.len()]
    }

    /// Finds the call for the key that `is_key` accepts, or enters a new one.
    pub(super) fn find_or_enter(
        &self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        key: impl FnOnce() -> K,
        callers: impl FnOnce() -> Option<Arc<Callers>>,
    ) -> Role<K, V> {
        // Most calls find none, and make their own without taking the lock twice.
        if !self.shard(hash).looks_empty()
            && let Some(flight) = self.find(hash, &is_key)
        {
            return Role::Follower(flight);
        }
        // Made before locking: the key's clone is the caller's code. It is dropped if another caller leads.
        let end = OneShot::claimed_by(this_thread());
        let new = Arc::new(Flight {
            key: key(),
            hash,
            callers: callers(),
            has_spinning: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            end,
        });
        let mut others = Vec::new();
        loop {
            // The look and the entry are one critical section, so of two callers that find no call, one
            // enters its own.
            let found = {
                let shard = self.shard(hash);
                let mut calls = shard.calls.lock();
                let found = calls.next(hash, &others);
                if found.is_none() {
                    calls.enter(Arc::clone(&new));
                    shard.publish(&calls);
                }
                found
            };
            match found {
                None => {
                    panics::discard_each(others);
                    return Role::Leader(new);
                }
                Some(flight) if is_key(&flight.key) => {
                    panics::discard(new);
                    panics::discard_each(others);
                    return Role::Follower(flight);
                }
                Some(flight) => others.push(flight),
            }
        }
    }

    /// Finds the call for the key that `is_key` accepts.
    pub(super) fn find(&self, hash: u64, is_key: impl Fn(&K) -> bool) -> Option<Arc<Flight<K, V>>> {
        let mut others = Vec::new();
        loop {
            let found = self.shard(hash).calls.lock().next(hash, &others);
            match found {
                Some(flight) if !is_key(&flight.key) => others.push(flight),
                found => {
                    // Some of these calls may have ended meanwhile; then these are the last references, and
                    // drop keys of the caller.
                    panics::discard_each(others);
                    return found;
                }
            }
        }
    }

    /// Hides `flight` from new callers; false if it had ended or was forgotten before.
    pub(super) fn forget(&self, flight: &Arc<Flight<K, V>>) -> bool {
        let mut calls = self.shard(flight.hash).calls.lock();
        let entry = calls.entry(flight).filter(|entry| !entry.forgotten);
        // Not removed: the leader removes it, and finds it by identity.
        entry.map(|entry| entry.forgotten = true).is_some()
    }

    /// Removes `flight`.
    pub(super) fn end(&self, flight: &Arc<Flight<K, V>>) {
        let shard = self.shard(flight.hash);
        let mut calls = shard.calls.lock();
        let index = calls.entries.iter().position(|entry| Arc::ptr_eq(&entry.flight, flight));
        let entry = calls.entries.swap_remove(index.expect("its leader alone takes a call out"));
        shard.publish(&calls);
        drop(calls);
        // Not the last reference: the leader has one. So no key is dropped here.
        drop(entry);
    }

    /// Spins until the leader of `flight` has ended it, for a few microseconds at most.
    pub(super) fn spin(&self, flight: &Flight<K, V>) {
        if !IS_MODEL {
            flight.has_spinning.store(true, Relaxed);
            self.spin.until(|| flight.has_ended.load(Relaxed));
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.shards.iter().map(|shard| shard.calls.lock().entries.len()).sum()
    }

    pub(super) fn waiting(&self) -> usize {
        self.shards.iter().map(|shard| shard.calls.lock().waiting()).sum()
    }

    pub(super) fn describe(&self, out: &mut fmt::DebugStruct<'_, '_>) {
        let seen = || self.shards.iter().filter_map(|shard| shard.calls.try_lock());
        out.field("in_flight", &seen().map(|calls| calls.entries.len()).sum::<usize>())
            .field("waiting", &seen().map(|calls| calls.waiting()).sum::<usize>());
    }
}

impl<K, V> Flight<K, V> {
    /// Ends the call without a result, unless there are followers. Returns whether it did.
    pub(super) fn abandon_unless_followed(&self) -> bool {
        let has_spinning = !IS_MODEL && self.has_spinning.load(Relaxed);
        !has_spinning && self.end.abandon_unless_awaited()
    }

    /// Keeps a result for the followers.
    pub(super) fn keep(&self, result: Result<V, String>) {
        self.end.keep(Arc::new(result));
        // Nobody spins in a model.
        if !IS_MODEL {
            self.has_ended.store(true, Relaxed);
        }
    }
}

impl<K, V> Shard<K, V> {
    /// False in a model, which explores both looks under the lock.
    fn looks_empty(&self) -> bool {
        !IS_MODEL && self.count.load(Relaxed) == 0
    }

    /// Publishes the number of calls; to be called after each change.
    fn publish(&self, calls: &Calls<K, V>) {
        // Nobody reads it in a model, where each operation multiplies the schedules.
        if !IS_MODEL {
            self.count.store(calls.entries.len(), Relaxed);
        }
    }
}

impl<K, V> Calls<K, V> {
    /// A call with that hash that may be joined and is not in `others`.
    fn next(&self, hash: u64, others: &[Arc<Flight<K, V>>]) -> Option<Arc<Flight<K, V>>> {
        let known = |flight: &Arc<_>| others.iter().any(|other| Arc::ptr_eq(other, flight));
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

#[cfg(all(test, not(any(loom, selvedge_loom))))]
mod tests {
    use super::*;

    fn led() -> (Table<u32, u32>, Arc<Flight<u32, u32>>) {
        let table = Table::new();
        match table.find_or_enter(7, |_| true, || 7, || None) {
            Role::Leader(flight) => (table, flight),
            Role::Follower(_) => unreachable!("the table is new"),
        }
    }

    /// Fails if only followers that sleep count (edit `flight-overlooks-who-spins`). Without them the other
    /// ones would make the call again.
    #[test]
    fn call_with_a_follower_that_spins_keeps_its_result() {
        let (table, flight) = led();
        table.spin(&flight);
        table.end(&flight);
        assert!(!flight.abandon_unless_followed());
        flight.keep(Ok(1));
        assert_eq!(flight.end.look(|result| (**result).clone()), Ok(Ok(1)));
    }

    #[test]
    fn call_without_followers_keeps_nothing() {
        let (table, flight) = led();
        table.end(&flight);
        assert!(flight.abandon_unless_followed());
        assert!(flight.end.look(|_| ()).is_err());
    }
}
