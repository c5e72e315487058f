//! Slots in which threads announce what they read, so that readers write to no memory that others write to.
//!
//! A thread has one slot, with its [index](crate::wait::thread_index). Before a read it stores the lock's
//! address there, and afterwards 0. A writer of that lock looks through the slots that are in use, and waits
//! for each that has the address. The slots are shared by all maps of the program: 128 bytes for a thread,
//! whatever the number of maps.
//!
//! # Ordering
//! Every access that changes a slot, and the writer's first look at it, is a read-modify-write operation, so
//! each reads the value that the one before it wrote, and synchronises with it. Of a reader's entry and a
//! writer's first look, one comes first. If it is the entry, the writer finds the address. If it is the look,
//! the reader's next load sees all that the writer wrote before it, which is the notice that readers must not
//! enter ([`lock`](super::lock)). Plain loads and stores would need a sequentially consistent fence on both
//! sides, which takes longer than a swap on a cache line that the thread has to itself.

use crossbeam_utils::CachePadded;

use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex, lazy_static, sized};
use crate::wait::{spin_until, thread_index};

/// Threads with a higher index take the lock instead.
const SLOTS: usize = sized(128, 3);
/// A writer sleeps until the slot changes. Addresses of locks are even.
const AWAITED: usize = 1;

/// See the module's documentation.
pub(super) struct Slot {
    /// The address of the lock that the thread reads under, or 0; and [`AWAITED`].
    reading: AtomicUsize,
    /// Guards the step from the writer's look to its sleep.
    sleep: Mutex<()>,
    left: Condvar,
}

lazy_static! {
    static ref ALL: [CachePadded<Slot>; SLOTS] = std::array::from_fn(|_| CachePadded::new(Slot::new()));
}

impl Slot {
    fn new() -> Self {
        Slot { reading: AtomicUsize::new(0), sleep: Mutex::new(()), left: Condvar::new() }
    }

    /// This thread's slot, unless it is in use: a closure that reads one map may read another.
    #[inline]
    pub(super) fn free() -> Option<&'static Slot> {
        let slot = ALL.get(thread_index::current()?)?;
        // Relaxed: only this thread stores addresses in it. A writer adds a bit, but not to 0.
        (slot.reading.load(Ordering::Relaxed) == 0).then_some(slot)
    }

    /// Announces a read under the lock at that address.
    #[inline]
    pub(super) fn enter(&self, lock: usize) {
        self.reading.swap(lock, Ordering::AcqRel);
    }

    /// Ends the read. What this thread has read was read before a writer of the lock goes on.
    #[inline]
    pub(super) fn leave(&self) {
        // A swap, not a store: it tells whether a writer sleeps.
        if self.reading.swap(0, Ordering::AcqRel) & AWAITED != 0 {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        // The writer set the bit under this lock, and holds it until it sleeps: the notice is not missed.
        drop(self.sleep.lock());
        // At most one writer sleeps here, since it holds the lock whose address was in the slot.
        self.left.notify_all();
    }

    #[cold]
    fn wait_until_left(&self, lock: usize) {
        // A lookup is over in nanoseconds; a closure, or a pass over a shard, may take long.
        // Acquire, here and below: the reads of this slot's thread end before the writer's accesses.
        if spin_until(|| self.reading.load(Ordering::Acquire) != lock) {
            return;
        }
        let mut sleep = self.sleep.lock();
        loop {
            // The reader's `leave` reads what this has written, and wakes this thread. If the bit is still
            // there, the wake-up was spurious.
            match self.reading.compare_exchange(lock, lock | AWAITED, Ordering::AcqRel, Ordering::Acquire) {
                Err(now) if now != lock | AWAITED => return,
                _ => self.left.wait(&mut sleep),
            }
        }
    }
}

/// Gives this thread a slot, if it has none and there is one.
#[cold]
pub(super) fn register() -> Option<&'static Slot> {
    thread_index::current().or_else(thread_index::assign)?;
    Slot::free()
}

/// Waits until no slot has the address of that lock. The caller has seen to it that a thread that enters from
/// now on finds a notice to leave.
pub(super) fn wait_until_gone(lock: usize) {
    // A thread that gets an index later synchronises with this call, through the lock that numbers threads.
    for slot in ALL.iter().take(thread_index::used()) {
        // Adds nothing; see the module's documentation for why it is not a load.
        if slot.reading.fetch_add(0, Ordering::AcqRel) == lock {
            slot.wait_until_left(lock);
        }
    }
}
