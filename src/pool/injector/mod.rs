//! The queue between submitters and workers, and the local queue where workers come for the next task.
//!
//! Two deques, two locks: submitters post at the *tail*, workers take from the *head*, and a worker that
//! finds the head empty takes both locks and swaps the deques. So in a burst a submitter and a worker meet
//! once in many tasks, and no line of memory travels with each.
//!
//! As in [`BoundedQueue`](crate::BoundedQueue) the places to sleep are crossed. Who is idle stands in the
//! [`WorkerCounts`], under the *tail's* lock, which a submitter holds anyway; submitters that wait for room
//! stand under the *head's*, which a worker holds anyway. So the side that changes something holds the lock
//! under which the other went to sleep, and no wake-up falls between look and sleep.
//!
//! What a task submits from inside goes past both ends, to its worker's [`LocalQueue`]. What a worker does
//! here is in [`next`]; the submitters' side in [`push`].
//!
//! Lock order: head, then tail, then a local queue's. Submitters take the tail's alone.
//!
//! # How many are queued
//! The bound is on both deques and the places that were lent to local queues together, but a submitter holds
//! the tail's lock only. The length of the head grows in a swap alone, which needs both locks, so under the
//! tail's lock it can only fall: the number that the submitter last saw is never too low, and when that
//! number says full it looks again.

mod next;
mod push;
mod room;

use std::collections::VecDeque;
use std::fmt;

use crossbeam_utils::CachePadded;

pub(super) use next::{Comes, Next};
pub(super) use room::Room;

use super::local_queue::LocalQueue;
use super::raw_job::RawJob;
use super::worker_counts::{Call, WorkerCounts};
use crate::error::WaitError;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use crate::sync::{Arc, Mutex, MutexGuard};
use crate::until::Until;
use crate::wait::graph::{Awaited, Needs};
use crate::wait::{Point, Turns, WaitList, look};

pub(super) struct Injector {
    tail: CachePadded<End<Tail>>,
    head: CachePadded<End<Head>>,
    /// Places that were lent to local queues. Relaxed: written under the tail's lock, read without for a
    /// guess.
    borrowed: AtomicUsize,
    /// A worker that comes by should look at the staff: there are too many. Relaxed: the decision is made
    /// under the lock; a worker that sees it late has run one task more.
    attention: AtomicBool,
    capacity: usize,
}

/// One of the two ends. The number lies beside the lock that it is written under, in the line of memory that
/// the writer has just made its own.
struct End<T> {
    lock: Mutex<T>,
    /// Tasks there. Relaxed: a number, which publishes nothing.
    count: AtomicUsize,
}

impl<T> End<T> {
    fn new(value: T) -> CachePadded<Self> {
        CachePadded::new(End { lock: Mutex::new(value), count: AtomicUsize::new(0) })
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.lock.lock()
    }
}

struct Tail {
    queued: VecDeque<RawJob>,
    /// What was queued though there was no room. It takes no place, so that it does not keep others out.
    beyond: VecDeque<RawJob>,
    /// Submitters that have waited too long: while there are any, nobody else gets a place.
    turns: Turns,
    /// What `ready_count` was once, not lower than it is.
    ready_seen: usize,
    peak: usize,
    closed: bool,
    /// What was queued was taken out, and may be run by anybody.
    drained: bool,
    counts: WorkerCounts,
    /// The workers' own.
    locals: Vec<Arc<LocalQueue>>,
    /// Those who wait for the last worker to leave.
    closers: WaitList,
}

struct Head {
    ready: VecDeque<RawJob>,
    submitters: WaitList,
    closed: bool,
}

impl Injector {
    pub(super) fn new(capacity: usize, counts: WorkerCounts) -> Self {
        let tail = Tail {
            queued: VecDeque::new(),
            beyond: VecDeque::new(),
            turns: Turns::new(),
            ready_seen: 0,
            peak: 0,
            closed: false,
            drained: false,
            counts,
            locals: Vec::new(),
            closers: WaitList::new(),
        };
        let head = Head { ready: VecDeque::new(), submitters: WaitList::new(), closed: false };
        Injector {
            tail: End::new(tail),
            head: End::new(head),
            borrowed: AtomicUsize::new(0),
            attention: AtomicBool::new(false),
            capacity,
        }
    }

    /// A local queue for a worker that begins.
    pub(super) fn new_local(&self) -> Arc<LocalQueue> {
        let local = LocalQueue::new();
        self.tail.lock().locals.push(Arc::clone(&local));
        local
    }

    /// To be called where the tail's tasks have become more or fewer.
    #[inline]
    fn note_count(&self, tail: &Tail) {
        self.tail.count.store(tail.queued.len() + tail.beyond.len(), Relaxed);
    }

    /// How many are queued in places: exactly, or more than there are by those that are being taken this
    /// moment.
    fn recount(&self, tail: &mut Tail) -> usize {
        tail.ready_seen = self.head.count.load(Relaxed);
        tail.queued.len() + tail.ready_seen
    }

    /// Unlocks the tail so that the invariant of the worker counts holds.
    fn settle(&self, mut tail: MutexGuard<'_, Tail>) -> Option<Call> {
        self.attention.store(tail.counts.is_crowded() || tail.counts.is_overfull(), Relaxed);
        if self.is_call_for(&tail) { tail.counts.call() } else { None }
    }

    /// True if a task is queued, as far as that matters: somebody should be called if anybody is to be had.
    fn is_call_for(&self, tail: &Tail) -> bool {
        // The head's count rises under this lock only, so a task that is there is seen. One that is being
        // taken may be seen too, where the caller does not hold the head's lock; then somebody is called for
        // nothing. Local queues are looked at only if somebody could be called; where none holds a task, the
        // next will be told of.
        !tail.queued.is_empty()
            || !tail.beyond.is_empty()
            || self.head.count.load(Relaxed) > 0
            || (tail.counts.could_call() && tail.locals.iter().any(|local| local.watch()))
    }

    /// Does something to the worker counts, and says whom that calls.
    pub(super) fn with_counts(&self, change: impl FnOnce(&mut WorkerCounts)) -> Option<Call> {
        let mut tail = self.tail.lock();
        change(&mut tail.counts);
        self.settle(tail)
    }

    /// Starts a thread if there are fewer than the minimum, and the pool is open.
    pub(super) fn fill(&self) -> Option<Call> {
        let mut tail = self.tail.lock();
        if tail.closed { None } else { tail.counts.fill() }
    }

    pub(super) fn resize(&self, min: usize, max: usize) -> Option<Call> {
        let mut tail = self.tail.lock();
        tail.counts.resize(min, max);
        // Those who are too many leave; those whose time was unlimited see whether it still is.
        let woken = tail.counts.wake_all();
        let call = self.settle(tail);
        drop(woken);
        call
    }

    /// Takes no more tasks. Workers leave when there is nothing left.
    pub(super) fn close(&self) {
        let mut tail = self.tail.lock();
        tail.closed = true;
        tail.locals.iter().for_each(|local| local.close());
        let workers = tail.counts.wake_all();
        drop(tail);
        let mut head = self.head.lock();
        head.closed = true;
        let submitters = head.submitters.take_all();
        drop(head);
        drop(workers);
        drop(submitters);
    }

    /// Takes out all that is queued, first to last.
    pub(super) fn drain(&self) -> Vec<RawJob> {
        let mut head = self.head.lock();
        let mut tail = self.tail.lock();
        tail.drained = true;
        let mut all: Vec<RawJob> = head.ready.drain(..).collect();
        all.extend(tail.queued.drain(..));
        all.extend(tail.beyond.drain(..));
        tail.locals.iter().for_each(|local| all.extend(local.drain()));
        self.head.count.store(0, Relaxed);
        self.tail.count.store(0, Relaxed);
        drop(tail);
        let room = head.submitters.take_all();
        drop(head);
        drop(room);
        all
    }

    pub(super) fn is_closed(&self) -> bool {
        self.tail.lock().closed
    }

    /// Waits until no worker is there; for good, once the pool is closed.
    #[track_caller]
    pub(super) fn wait_until_deserted(
        &self,
        limit: Until<'_>,
        leave: Arc<dyn Awaited>,
    ) -> Result<(), WaitError> {
        // The last worker leaves under this lock, and takes everybody out of the list.
        let is_empty = |tail: &Tail| tail.counts.is_empty();
        Point::new(&self.tail.lock, |tail| &mut tail.closers, is_empty)
            .brought_by(leave)
            .wait(limit.called("Pool::shutdown"))
    }

    /// For the wait-for graph: who can take what is queued. Any worker can, and while there may be more of
    /// them than there are, so can one that does not exist yet.
    pub(super) fn takers(&self, threads: &mut Vec<usize>) -> Needs {
        let tail = self.tail.lock();
        if !tail.counts.is_complete() || tail.drained {
            return Needs::Nobody;
        }
        tail.workers(threads, Needs::One)
    }

    /// For the wait-for graph: who must leave, so that no worker is there.
    pub(super) fn leavers(&self, threads: &mut Vec<usize>) -> Needs {
        self.tail.lock().workers(threads, Needs::All)
    }

    /// How things stand, at one moment.
    pub(super) fn figures(&self) -> Figures {
        look(&self.tail.lock, |tail| tail.figures(self))
    }

    /// The same for `Debug`, which never waits.
    pub(super) fn describe(&self, out: &mut fmt::DebugStruct<'_, '_>) {
        out.field("capacity", &self.capacity);
        if let Some(mut tail) = self.tail.lock.try_lock() {
            let Figures { workers, idle, blocked, queued, .. } = tail.figures(self);
            out.field("workers", &workers).field("idle", &idle).field("blocked", &blocked);
            out.field("queued", &queued).field("closed", &tail.closed);
        }
        if let Some(head) = self.head.lock.try_lock() {
            out.field("waiting_to_submit", &head.submitters.len());
        }
    }
}

/// How things stand in a pool.
pub(super) struct Figures {
    pub(super) workers: usize,
    pub(super) idle: usize,
    pub(super) blocked: usize,
    pub(super) peak_workers: usize,
    pub(super) queued: usize,
    pub(super) peak_queued: usize,
}

impl Tail {
    /// The workers' threads, of which so many are needed; nobody knows while one is being started.
    fn workers(&self, threads: &mut Vec<usize>, needs: Needs) -> Needs {
        if self.counts.count() != self.locals.len() {
            return Needs::Nobody;
        }
        threads.extend(self.locals.iter().map(|local| local.worker()));
        needs
    }

    /// What is queued at the two ends and on the local queues; the most that there ever was is kept.
    fn note_peak(&mut self, at_the_ends: usize) -> usize {
        let queued =
            at_the_ends + self.beyond.len() + self.locals.iter().map(|local| local.count()).sum::<usize>();
        self.peak = self.peak.max(queued);
        queued
    }

    fn figures(&mut self, injector: &Injector) -> Figures {
        let queued = injector.recount(self);
        let queued = self.note_peak(queued);
        let (workers, idle, blocked, peak_workers) = self.counts.figures();
        Figures { workers, idle, blocked, peak_workers, queued, peak_queued: self.peak }
    }
}
