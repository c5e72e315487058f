//! The register of sleeping threads, which [`inspect`](crate::inspect) reads.
//!
//! A thread enters itself just before it sleeps and leaves just after, so a call that does not sleep costs
//! nothing. The register is split into shards, each with a lock of its own. The number of a thread selects
//! its shard, so threads that go to sleep at the same time seldom contend. An entry is written and removed in
//! constant time.
//!
//! An entry describes the object by a copy of two numbers, taken before the sleep. A reference to the object
//! would give more recent numbers, but a thread that wakes up would have to wait for a reader to release it.
//!
//! A shard's lock is held only by this module, which calls nothing under it but the allocator, `Clone` of a
//! thread handle, and no code of the caller. So the lock comes after every other lock, and nests with none.
//!
//! # Cost
//! 120 ns for each sleep, of which reading the clock takes 30; waking a thread costs 30,000 to 45,000.
//! Nothing in models, which have no reader.

use std::panic::Location;
use std::time::Instant;

use crossbeam_utils::CachePadded;

use super::context::this_thread;
use crate::sync::thread::{self, Thread};
use crate::sync::{Mutex, lazy_static, sized, time};

/// Shards of the register: with 64 runnable threads, four for each shard. A reader takes as many locks.
const SHARDS: usize = 16;

/// What a thread waits for, in a form for people to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject {
    /// The type and the method, as in `BoundedQueue::pop`.
    pub(crate) operation: &'static str,
    /// The address of the object, which distinguishes one queue from another.
    pub(crate) object: usize,
    /// The state of the object when the sleep began: up to two numbers with their names.
    pub(crate) state: [Option<(&'static str, usize)>; 2],
}

impl Subject {
    /// A subject without an object.
    pub(crate) fn named(operation: &'static str) -> Self {
        Subject { operation, object: 0, state: [None; 2] }
    }

    pub(crate) fn new<T: ?Sized>(operation: &'static str, object: &T) -> Self {
        Subject::named(operation).on(object)
    }

    /// The same operation on `object`, for a wait point that is a temporary on the waiter's stack.
    pub(crate) fn on<T: ?Sized>(self, object: &T) -> Self {
        Subject { object: std::ptr::from_ref(object).addr(), ..self }
    }

    pub(crate) fn with(mut self, name: &'static str, value: usize) -> Self {
        if let Some(free) = self.state.iter_mut().find(|place| place.is_none()) {
            *free = Some((name, value));
        }
        self
    }
}

/// One sleep.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) number: u64,
    pub(crate) thread: Thread,
    pub(crate) subject: Subject,
    pub(crate) at: &'static Location<'static>,
    pub(crate) since: Instant,
    /// The instant at which it ends at the latest; and, on a manual clock, that clock's time when it began.
    pub(crate) deadline: Option<(Instant, Option<Instant>)>,
    pub(crate) is_cancellable: bool,
    /// For the wait-for graph.
    pub(crate) thread_number: usize,
}

/// Entries under one lock; an index is free or holds one.
#[derive(Default)]
struct Shard {
    entries: Vec<Option<Entry>>,
    free: Vec<usize>,
    last_number: u64,
}

lazy_static! {
    static ref REGISTER: [CachePadded<Mutex<Shard>>; SHARDS] =
        std::array::from_fn(|_| CachePadded::new(Mutex::new(Shard::default())));
}

/// This thread's entry, until it is dropped.
#[must_use = "dropping it removes the entry"]
pub(crate) struct Entered {
    shard: usize,
    index: usize,
}

/// Enters this thread, which is about to sleep. `None` in models.
pub(crate) fn enter(
    subject: Subject,
    at: &'static Location<'static>,
    deadline: Option<(Instant, Option<Instant>)>,
    is_cancellable: bool,
) -> Option<Entered> {
    if sized(1, 0) == 0 {
        return None;
    }
    let (thread, since, thread_number) = (thread::current(), time::now(), this_thread());
    // A thread's number is an address, whose low bits are equal for all threads. Fibonacci hashing spreads it
    // over the top bits, as many as number the shards.
    let hash = (thread_number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let shard = (hash >> (u64::BITS - SHARDS.ilog2())) as usize;
    let entry = Entry { number: 0, thread, subject, at, since, deadline, is_cancellable, thread_number };
    let index = REGISTER[shard].lock().insert(shard, entry);
    Some(Entered { shard, index })
}

impl Drop for Entered {
    fn drop(&mut self) {
        let entry = REGISTER[self.shard].lock().remove(self.index);
        // Dropped after unlocking: it may be the last handle of the thread, and frees memory.
        drop(entry);
    }
}

/// The entries of all sleeping threads, in no order.
pub(crate) fn all() -> Vec<Entry> {
    let mut entries = Vec::new();
    // One shard at a time, each locked while its entries are copied: threads of the other shards go to sleep
    // and wake up meanwhile, so the result is no snapshot of one instant.
    for shard in REGISTER.iter() {
        entries.extend(shard.lock().entries.iter().flatten().cloned());
    }
    entries
}

impl Shard {
    fn insert(&mut self, shard: usize, entry: Entry) -> usize {
        self.last_number += 1;
        // Unique among all shards, so that a watchdog reports each sleep once. The index is not, since it is
        // used again.
        let entry = Some(Entry { number: self.last_number * SHARDS as u64 + shard as u64, ..entry });
        match self.free.pop() {
            Some(index) => {
                self.entries[index] = entry;
                index
            }
            None => {
                self.entries.push(entry);
                self.entries.len() - 1
            }
        }
    }

    fn remove(&mut self, index: usize) -> Option<Entry> {
        let entry = self.entries[index].take();
        self.free.push(index);
        if self.free.len() == self.entries.len() && self.entries.len() > KEPT {
            // The last of many sleepers has left: returns the memory of a burst. Only when the shard is
            // empty, since an index of another entry must stay valid.
            (self.entries, self.free) = (Vec::new(), Vec::new());
        }
        entry
    }
}

/// The number of entries for which an empty shard keeps its memory.
const KEPT: usize = 16;
