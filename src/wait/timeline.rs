//! The recorder of what each thread did when, which [`inspect::record`](crate::inspect::record) turns on.
//!
//! While it is off, a task costs a load and a branch, and a sleep as much in addition to its entry in the
//! [register](super::sleeps). While it is on, a thread writes each task when the task ends, and each sleep
//! when it leaves the register: a complete event, so that an old one can be dropped without leaving half of
//! a pair behind.
//!
//! Events are kept in shards, which the number of a thread selects, as in the register. The bound is on all
//! of them together: a shard that is full takes another block from what is left, and drops its oldest event
//! once nothing is left. So a program whose work is on two threads may use the whole of the memory.
//!
//! A shard's lock is held only by this module, which calls nothing under it but the allocator.

use std::collections::VecDeque;
use std::panic::Location;
use std::time::Instant;

use crossbeam_utils::CachePadded;

use super::context::this_thread;
use super::sleeps::{SHARDS, shard_of};
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::sync::recording::{is_recording, set_recording};
use crate::sync::thread::{self, Thread};
use crate::sync::{Arc, Mutex, lazy_static, time};

/// How many events a shard takes at a time from what is left.
pub(crate) const BLOCK: usize = 64;

/// What a thread did, from `start` to `end`.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) thread: Thread,
    pub(crate) what: What,
    pub(crate) start: Instant,
    pub(crate) end: Instant,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Task {
        kind: &'static str,
        name: Option<Arc<str>>,
    },
    Sleep {
        operation: &'static str,
        object: usize,
        /// `None` for a thread without work.
        at: Option<&'static Location<'static>>,
        waiter: usize,
    },
    /// The end of the sleep in the waiter at that address.
    Wake {
        waiter: usize,
    },
}

lazy_static! {
    static ref RECORDER: Recorder = Recorder {
        shards: std::array::from_fn(|_| CachePadded::new(Mutex::new(Shard::default()))),
        blocks: AtomicUsize::new(0),
    };
}

struct Recorder {
    shards: [CachePadded<Mutex<Shard>>; SHARDS],
    /// The blocks that no shard has taken. Relaxed: a number that publishes nothing.
    blocks: AtomicUsize,
}

#[derive(Default)]
struct Shard {
    /// Oldest first.
    events: VecDeque<Event>,
    /// How many it may hold; 0 while nothing is recorded.
    allowed: usize,
    dropped: usize,
}

/// Begins to record, with room for about `capacity` events. Only the holder of the one
/// [`Recording`](crate::inspect::Recording) calls it.
pub(crate) fn start(capacity: usize) {
    // Each shard has a block from the start, so that no thread is without one.
    let blocks = capacity.div_ceil(BLOCK).saturating_sub(SHARDS);
    RECORDER.blocks.store(blocks, Relaxed);
    RECORDER.shards.iter().for_each(|shard| shard.lock().allowed = BLOCK);
    set_recording(true);
}

/// Ends recording, and frees the events.
pub(crate) fn stop() {
    set_recording(false);
    for shard in &RECORDER.shards {
        // A thread that saw the flag a moment ago finds under the lock that nothing is recorded any more.
        let shard = std::mem::take(&mut *shard.lock());
        drop(shard);
    }
}

/// Copies the events, in no order; and the number of those that were dropped.
pub(crate) fn events() -> (Vec<Event>, usize) {
    let (mut events, mut dropped) = (Vec::new(), 0);
    for shard in &RECORDER.shards {
        let shard = shard.lock();
        events.extend(shard.events.iter().cloned());
        dropped += shard.dropped;
    }
    (events, dropped)
}

/// A task that is recorded when this is dropped, also by a panic.
#[must_use = "dropping it ends the task"]
pub(crate) struct Task<'a> {
    /// `None` if nothing was recorded when it began.
    began: Option<Instant>,
    kind: &'static str,
    name: Option<&'a Arc<str>>,
}

/// A task begins on this thread.
#[inline]
pub(crate) fn task<'a>(kind: &'static str, name: Option<&'a Arc<str>>) -> Task<'a> {
    Task { began: is_recording().then(time::now), kind, name }
}

impl Drop for Task<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(start) = self.began {
            record(start, What::Task { kind: self.kind, name: self.name.cloned() });
        }
    }
}

/// A sleep of a thread that has no work, which the register of sleeps does not contain.
#[must_use = "dropping it ends the sleep"]
pub(crate) struct Idle {
    since: Instant,
    waiter: usize,
}

/// This thread is about to sleep in the waiter at that address. `None` if nothing is recorded.
pub(crate) fn idle(waiter: usize) -> Option<Idle> {
    is_recording().then(|| Idle { since: time::now(), waiter })
}

impl Drop for Idle {
    fn drop(&mut self) {
        let what = What::Sleep { operation: "idle", object: 0, at: None, waiter: self.waiter };
        record(self.since, what);
    }
}

/// This thread ends the sleep in the waiter at that address.
#[inline]
pub(crate) fn wake(waiter: usize) {
    if is_recording() {
        record(time::now(), What::Wake { waiter });
    }
}

/// Records what this thread has done since `start`.
#[cold]
pub(crate) fn record(start: Instant, what: What) {
    let end = if let What::Wake { .. } = what { start } else { time::now() };
    let event = Event { thread: thread::current(), what, start, end };
    let dropped = RECORDER.shards[shard_of(this_thread())].lock().push(event);
    // Dropped after unlocking: it may hold the last handle of a thread.
    drop(dropped);
}

impl Shard {
    /// Adds an event, and returns the one that has to go for it.
    fn push(&mut self, event: Event) -> Option<Event> {
        if self.allowed == 0 {
            // The recording has ended.
            return Some(event);
        }
        let mut oldest = None;
        if self.events.len() >= self.allowed {
            if RECORDER.take_block() {
                self.allowed += BLOCK;
            } else {
                oldest = self.events.pop_front();
                self.dropped += 1;
            }
        }
        self.events.push_back(event);
        oldest
    }
}

impl Recorder {
    fn take_block(&self) -> bool {
        self.blocks.fetch_update(Relaxed, Relaxed, |blocks| blocks.checked_sub(1)).is_ok()
    }
}
