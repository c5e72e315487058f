//! A shard's lock: a read-write lock whose readers do without it as long as nobody writes. The only unsafe
//! code of the map.
//!
//! # Why not a plain read-write lock
//! A reader of one changes its state twice, which moves a cache line from processor to processor, although
//! the readers do not exclude each other. Here a shard that is only read becomes *biased* towards readers
//! (BRAVO: Dice and Kogan, 2019): they announce themselves in a [slot](super::readers) of their own and leave
//! the lock alone. A writer revokes the bias and waits for the announced readers; the readers then use the
//! lock until so many of them in a row have come without a writer as a [threshold](ShardLock::threshold)
//! says.
//!
//! Epochs, and copies of a shard's table, let readers in as cheaply, but then a writer copies, values live
//! until all readers have moved on, and a value cannot be changed in place, as `update` does. A sequence lock
//! does not suit values that are not `Copy`.
//!
//! # Invariants
//! Each with the models in `loom-tests/tests/map.rs` that fail without it.
//!
//! 1. A reader holds the inner lock for reading, or its slot has the address of this lock and it has seen
//!    the bias since (`a_writer_waits_for_a_reader_that_does_not_lock`).
//! 2. `is_biased` is set by a thread that holds the inner lock for reading, and cleared by one that holds it
//!    for writing. What the last writer did is published with it
//!    (`a_reader_that_does_not_lock_sees_the_last_write`).
//! 3. A writer holds the inner lock for writing. Unless it found no bias, it has cleared it and then seen
//!    each slot without the address of this lock (`a_writer_waits_for_a_reader_that_does_not_lock`,
//!    `a_reader_that_leaves_lets_the_writer_go_on`).
//!
//! So no thread reads while another writes: a reader that entered its slot after the writer's look sees the
//! cleared flag, and the flag is not set again while the writer has the lock.
//!
//! # Cost
//! 2 threads that read 1,000 keys, `u64`: 19 ns a call, as without any lock; 31 with a read-write lock a
//! shard, 31 in dashmap, 37 in scc, 42 in papaya (a program with the code of bench `ratios`; medians of 7
//! interleaved rounds, 2 cores). 100,000 keys: 39, 59, 58, 54, 74. A writer reads one flag more. If it is
//! set, the writer locks the list of thread indices and accesses a cache line for each index in use: 10 ns
//! with 8 idle threads, 190 with 100. That happens once in [`MIN_READS`] reads of the shard at most.
//!
//! # How many reads make a shard biased
//! A revocation takes as long as a few dozen reads gain. If a shard is read more often than that between two
//! writes, on average, it should become biased at once, and otherwise never. So the threshold falls whenever
//! it was reached before a write, and rises whenever it was not. Of 1,000 keys, with 1 % of writes, two
//! threads take 0.68 of the time that they take with a constant threshold of 64; with 2 %, 0.85; without
//! writes, and from 5 % on, the same (medians of 5 interleaved rounds).

use std::ops::{Deref, DerefMut};

use super::readers::{self, Slot};
use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::sync::cell::UnsafeCell;
use crate::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, sized};

/// The bounds of [`ShardLock::threshold`]. With the minimum and few threads, a revocation takes about as long
/// as the reads before it, at most.
const MIN_READS: u32 = sized(16, 3) as u32;
const MAX_READS: u32 = sized(64, 3) as u32;

/// See the module's documentation.
pub(super) struct ShardLock<T> {
    lock: RwLock<()>,
    is_biased: AtomicBool,
    /// Reads since the last write; some may be missing.
    reads: AtomicU32,
    /// The number of reads in a row, without a write, that makes the shard biased. A guess, written under the
    /// inner lock only.
    threshold: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the lock lends `&T` to several threads at once, for which `T: Sync` is needed, and `&mut T` to one,
// for which `T: Send` is.
unsafe impl<T: Send + Sync> Sync for ShardLock<T> {}

/// Shared access to a shard.
pub(super) struct ReadGuard<'a, T> {
    value: &'a UnsafeCell<T>,
    held: Held<'a>,
}

enum Held<'a> {
    Slot(&'static Slot),
    /// Held, not used.
    Lock(#[allow(dead_code)] RwLockReadGuard<'a, ()>),
}

/// Exclusive access to a shard.
pub(super) struct WriteGuard<'a, T> {
    value: &'a UnsafeCell<T>,
    _lock: RwLockWriteGuard<'a, ()>,
}

impl<T> ShardLock<T> {
    pub(super) fn new(value: T) -> Self {
        ShardLock {
            lock: RwLock::new(()),
            is_biased: AtomicBool::new(false),
            reads: AtomicU32::new(0),
            threshold: AtomicU32::new(MAX_READS),
            value: UnsafeCell::new(value),
        }
    }

    pub(super) fn into_inner(self) -> T {
        self.value.into_inner()
    }

    /// Blocks until no thread writes.
    #[inline]
    pub(super) fn read(&self) -> ReadGuard<'_, T> {
        // Relaxed: a hint; `enter` looks again.
        if self.is_biased.load(Ordering::Relaxed)
            && let Some(slot) = self.enter()
        {
            return ReadGuard { value: &self.value, held: Held::Slot(slot) };
        }
        let lock = self.lock.read();
        self.count_read();
        ReadGuard { value: &self.value, held: Held::Lock(lock) }
    }

    /// Never blocks.
    pub(super) fn try_read(&self) -> Option<ReadGuard<'_, T>> {
        Some(ReadGuard { value: &self.value, held: Held::Lock(self.lock.try_read()?) })
    }

    /// Announces this thread in its slot.
    #[inline]
    fn enter(&self) -> Option<&'static Slot> {
        let slot = Slot::free().or_else(readers::register)?;
        slot.enter(self.address());
        // Acquire: pairs with the store in `bias`, and so with the last writer's unlock before it.
        if self.is_biased.load(Ordering::Acquire) {
            return Some(slot);
        }
        // Revoked in between. The writer may wait for this slot.
        slot.leave();
        None
    }

    /// Called with the lock held for reading.
    #[inline]
    fn count_read(&self) {
        // Relaxed, and not one step: a count that is too low delays the bias.
        let reads = self.reads.load(Ordering::Relaxed);
        match reads < self.threshold.load(Ordering::Relaxed) {
            true => self.reads.store(reads + 1, Ordering::Relaxed),
            false => self.bias(),
        }
    }

    #[cold]
    fn bias(&self) {
        // Release: publishes what the last writer did, which this thread knows from the inner lock, to
        // readers who do not lock. No writer can be clearing the flag, since this thread has the lock.
        self.is_biased.store(true, Ordering::Release);
    }

    /// Blocks until no other thread reads or writes.
    #[inline]
    pub(super) fn write(&self) -> WriteGuard<'_, T> {
        let lock = self.lock.write();
        // Relaxed: the inner lock orders all changes of these fields, except for counts that are too low.
        if self.is_biased.load(Ordering::Relaxed) {
            self.revoke();
        } else {
            self.raise_threshold();
        }
        if self.reads.load(Ordering::Relaxed) != 0 {
            self.reads.store(0, Ordering::Relaxed);
        }
        WriteGuard { value: &self.value, _lock: lock }
    }

    /// The threshold was not reached.
    #[inline]
    fn raise_threshold(&self) {
        let threshold = self.threshold.load(Ordering::Relaxed);
        if threshold < MAX_READS {
            self.threshold.store(MAX_READS.min(2 * threshold), Ordering::Relaxed);
        }
    }

    /// The threshold was reached: faster than it rises, since shards that are read often reach it late or
    /// never once it is high.
    fn lower_threshold(&self) {
        let threshold = self.threshold.load(Ordering::Relaxed);
        if threshold > MIN_READS {
            self.threshold.store(MIN_READS.max(threshold / 4), Ordering::Relaxed);
        }
    }

    #[cold]
    fn revoke(&self) {
        self.lower_threshold();
        // Relaxed: the accesses to the slots release it.
        self.is_biased.store(false, Ordering::Relaxed);
        readers::wait_until_gone(self.address());
    }

    #[inline]
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl<T> Deref for ReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.value.with(|value| {
            // SAFETY:
            // - The pointer is that of a cell that the guard borrows: aligned, and the value is initialised.
            // - No `&mut T` exists while the guard lives, by the module's invariants 1 and 3: a writer that
            //   holds the inner lock excludes readers that hold it, and has waited until this guard's slot
            //   was left.
            // - The reference lives no longer than the guard that it is borrowed from.
            unsafe { &*value }
        })
    }
}

impl<T> Drop for ReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // For models only: until here the value may have been read.
        self.value.with(|_| ());
        match &self.held {
            Held::Slot(slot) => slot.leave(),
            // Unlocked after this, with the field.
            Held::Lock(_) => {}
        }
    }
}

impl<T> Deref for WriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.value.with(|value| {
            // SAFETY: as in `deref_mut`; here the reference is shared, as is the borrow of the guard.
            unsafe { &*value }
        })
    }
}

impl<T> DerefMut for WriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.value.with_mut(|value| {
            // SAFETY:
            // - The pointer is that of a cell that the guard borrows: aligned, and the value is initialised.
            // - No other reference exists while the guard lives: it holds the inner lock for writing, which
            //   excludes other writers and readers that hold it; by invariant 3 readers with a slot have
            //   left, and later ones do not enter.
            // - The reference lives no longer than the exclusive borrow of the guard.
            unsafe { &mut *value }
        })
    }
}
