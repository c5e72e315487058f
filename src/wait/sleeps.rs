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
//! A thread that goes to sleep holds no other lock of this crate, so a sleeper takes the lock of its shard
//! alone. A reader asks under it what each entry [awaits](Awaited): cloning the reference instead would let a
//! reader drop the last one, and with it what is the caller's. What is asked takes its own lock, runs none of
//! the caller's code, and never sleeps.
//!
//! # Cost
//! 90 to 100 ns for each sleep, of which the two locks take half, and the handle of the thread 17; waking a
//! thread costs 30,000 to 45,000. The clock, which takes 30 more, is read only if the thread has not just
//! read it while it looked out. Nothing in models, which have no reader.

use std::panic::Location;
use std::time::Instant;

use crossbeam_utils::CachePadded;

use super::context::{self, Context, this_thread};
use super::graph::{Awaited, Needs};
use super::timeline::{self, What};
use crate::sync::recording::is_recording;
use crate::sync::thread::{self, Thread};
use crate::sync::{Arc, Mutex, lazy_static, sized, time};

/// Shards of the register: with 64 runnable threads, four for each shard. A reader takes as many locks.
pub(crate) const SHARDS: usize = 16;

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

/// The token that can end a sleep: its address, and where it was made.
pub(crate) type TokenOf = (usize, &'static Location<'static>);

/// What is known of a sleep before it begins.
pub(crate) struct Planned<'a> {
    pub(crate) subject: Subject,
    pub(crate) at: &'static Location<'static>,
    /// The instant at which it ends at the latest; and, on a manual clock, that clock's time when it began.
    pub(crate) deadline: Option<(Instant, Option<Instant>)>,
    pub(crate) token: Option<TokenOf>,
    /// What is waited for, if only certain threads can bring it.
    pub(crate) awaited: Option<&'a Arc<dyn Awaited>>,
    /// When the thread last read the clock, if that was a moment ago.
    pub(crate) since: Option<Instant>,
    /// The address of the waiter, for the [timeline](super::timeline).
    pub(crate) waiter: usize,
}

/// One sleep.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) number: u64,
    pub(crate) thread: Thread,
    pub(crate) subject: Subject,
    pub(crate) at: &'static Location<'static>,
    pub(crate) since: Instant,
    /// See [`Planned::deadline`].
    pub(crate) deadline: Option<(Instant, Option<Instant>)>,
    pub(crate) token: Option<TokenOf>,
    /// The innermost pool or group that the thread is inside; 0 if there is none.
    pub(crate) inside: usize,
    /// The thread's number in the wait-for graph.
    pub(crate) thread_number: usize,
    pub(crate) waiter: usize,
}

/// An entry, with the threads that can bring what it waits for.
pub(crate) struct Found {
    pub(crate) entry: Entry,
    pub(crate) needs: Needs,
    pub(crate) providers: Vec<usize>,
}

/// An entry in its shard.
struct Kept {
    entry: Entry,
    awaited: Option<Arc<dyn Awaited>>,
}

impl Kept {
    fn find(&self) -> Found {
        let mut providers = Vec::new();
        let needs = self.awaited.as_ref().map_or(Needs::Nobody, |awaited| awaited.providers(&mut providers));
        Found { entry: self.entry.clone(), needs, providers }
    }
}

/// Entries under one lock; an index is free or holds one.
#[derive(Default)]
struct Shard {
    entries: Vec<Option<Kept>>,
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

/// False in models: nothing reads the register there.
pub(crate) const fn is_kept() -> bool {
    sized(1, 0) == 1
}

/// Enters this thread, which is about to sleep. `None` in models.
pub(crate) fn enter(planned: Planned<'_>) -> Option<Entered> {
    if !is_kept() {
        return None;
    }
    let Planned { subject, at, deadline, token, awaited, since, waiter } = planned;
    let (thread, thread_number) = (thread::current(), this_thread());
    let since = since.unwrap_or_else(time::now);
    let inside = context::with(Context::innermost).unwrap_or(0);
    let shard = shard_of(thread_number);
    let entry =
        Entry { number: 0, thread, subject, at, since, deadline, token, inside, thread_number, waiter };
    let index = REGISTER[shard].lock().insert(shard, Kept { entry, awaited: awaited.cloned() });
    Some(Entered { shard, index })
}

/// The shard of the thread with that number.
pub(crate) fn shard_of(thread_number: usize) -> usize {
    // The number is an address, whose low bits are equal for all threads. Fibonacci hashing spreads it over
    // the top bits, as many as number the shards.
    let hash = (thread_number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (hash >> (u64::BITS - SHARDS.ilog2())) as usize
}

impl Drop for Entered {
    fn drop(&mut self) {
        let kept = REGISTER[self.shard].lock().remove(self.index);
        // The one place where sleeps are recorded, since every sleep with a subject passes it.
        if is_recording()
            && let Some(Kept { entry: Entry { subject, at, since, waiter, .. }, .. }) = &kept
        {
            let Subject { operation, object, .. } = *subject;
            timeline::record(*since, What::Sleep { operation, object, at: Some(at), waiter: *waiter });
        }
        // Dropped after unlocking: it may hold the last handle of the thread, and frees memory.
        drop(kept);
    }
}

/// The entries of all sleeping threads, in no order.
pub(crate) fn all() -> Vec<Found> {
    let mut found = Vec::new();
    // One shard at a time, each locked while its entries are copied: threads of the other shards go to sleep
    // and wake up meanwhile, so the result is no snapshot of one instant.
    for shard in REGISTER.iter() {
        found.extend(shard.lock().entries.iter().flatten().map(Kept::find));
    }
    found
}

impl Shard {
    fn insert(&mut self, shard: usize, mut kept: Kept) -> usize {
        self.last_number += 1;
        // Unique among all shards, so that a watchdog reports each sleep once. The index is not, since it is
        // used again.
        kept.entry.number = self.last_number * SHARDS as u64 + shard as u64;
        match self.free.pop() {
            Some(index) => {
                self.entries[index] = Some(kept);
                index
            }
            None => {
                self.entries.push(Some(kept));
                self.entries.len() - 1
            }
        }
    }

    fn remove(&mut self, index: usize) -> Option<Kept> {
        let kept = self.entries[index].take();
        self.free.push(index);
        if self.free.len() == self.entries.len() && self.entries.len() > KEPT {
            // The last of many sleepers has left: returns the memory of a burst. Only when the shard is
            // empty, since an index of another entry must stay valid.
            (self.entries, self.free) = (Vec::new(), Vec::new());
        }
        kept
    }
}

/// The number of entries for which an empty shard keeps its memory.
const KEPT: usize = 16;
