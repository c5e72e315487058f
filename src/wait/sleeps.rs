//! Who is asleep, where, and for what: the register that [`inspect`](crate::inspect) reads.
//!
//! A thread enters itself just before it sleeps and leaves just after, so a call that does not sleep costs
//! nothing. The register is split into shards, each with a lock of its own, and a thread uses the shard that
//! its number gives, so threads that go to sleep at once seldom meet at a lock. An entry is written and
//! removed in constant time.
//!
//! What an entry says of the object is a copy of two numbers, taken before the sleep. A reference to the
//! object would be more recent, but a thread that wakes up would have to wait for a reader to let go of it.
//!
//! # Cost
//! 60 to 90 ns a sleep, of which the clock takes 30, beside the 30,000 to 45,000 that waking a thread costs.
//! Not in models: there is nothing to read them.

use std::panic::Location;
use std::time::Instant;

use crossbeam_utils::CachePadded;

use super::context::this_thread;
use crate::sync::thread::{self, Thread};
use crate::sync::{Mutex, lazy_static, sized, time};

/// Shards of the register. With 64 runnable threads, four a shard; reading it takes as many locks.
const SHARDS: usize = 16;

/// What a thread waits for, as a person reads it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject {
    /// `BoundedQueue::pop`.
    pub(crate) operation: &'static str,
    /// The address of the object, which tells one queue from another.
    pub(crate) object: usize,
    /// What the object was like when the sleep began: up to two numbers with their names.
    pub(crate) state: [Option<(&'static str, usize)>; 2],
}

impl Subject {
    /// Of no object in particular.
    pub(crate) fn named(operation: &'static str) -> Self {
        Subject { operation, object: 0, state: [None; 2] }
    }

    pub(crate) fn new<T: ?Sized>(operation: &'static str, object: &T) -> Self {
        Subject::named(operation).on(object)
    }

    /// On `object` instead: where what was waited on lies on the waiter's stack.
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
    /// When it ends at the latest, and what a manual clock showed when it began.
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

/// Enters this thread, which is about to sleep.
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
    // A thread's number is an address, whose low bits are alike for all.
    let shard = (thread_number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) as usize >> (usize::BITS - 4);
    let entry = Entry { number: 0, thread, subject, at, since, deadline, is_cancellable, thread_number };
    let index = REGISTER[shard].lock().insert(shard, entry);
    Some(Entered { shard, index })
}

impl Drop for Entered {
    fn drop(&mut self) {
        let entry = REGISTER[self.shard].lock().remove(self.index);
        // Under no lock: it may be the thread's last handle.
        drop(entry);
    }
}

/// All who sleep now, in no order. Each shard is locked for as long as it takes to copy its entries.
pub(crate) fn all() -> Vec<Entry> {
    let mut entries = Vec::new();
    for shard in REGISTER.iter() {
        entries.extend(shard.lock().entries.iter().flatten().cloned());
    }
    entries
}

impl Shard {
    fn insert(&mut self, shard: usize, entry: Entry) -> usize {
        self.last_number += 1;
        // Unique among all shards.
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
            // A burst of sleepers is over.
            (self.entries, self.free) = (Vec::new(), Vec::new());
        }
        entry
    }
}

/// Entries that an idle shard keeps room for.
const KEPT: usize = 16;
