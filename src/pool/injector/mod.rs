//! The queue between submitters and workers, and the wait points of both.
//!
//! There are two deques with a lock each. Submitters push at the *tail*; workers take from the *head*; a
//! worker that finds the head empty takes both locks and swaps the deques. In a burst, a submitter and a
//! worker thus contend once in many tasks, and no cache line moves with every task.
//!
//! As in [`BoundedQueue`](crate::BoundedQueue), the wait points are crossed. Idle workers are listed in the
//! [`WorkerCounts`], under the *tail's* lock, which a submitter holds anyway. Submitters that wait for room
//! are listed under the *head's* lock, which a worker holds anyway. The side that changes the state therefore
//! holds the lock under which the other side registered, and no wake-up is lost between its check and its
//! sleep.
//!
//! A task that submits to its own pool bypasses both ends and pushes onto its worker's [`LocalQueue`]. The
//! workers' side is in [`next`], the submitters' in [`push`].
//!
//! Lock order: head, then tail, then a local queue's. Submitters take the tail's lock only.
//!
//! # How many are queued
//! The bound covers both deques and the capacity lent to local queues, but a submitter holds the tail's lock
//! only. The head grows only in a swap, which needs both locks; under the tail's lock it can only shrink. So
//! the length that the submitter saw last is never too low, and if it says that the queue is full, the
//! submitter reads it again.

mod next;
mod push;
mod room;

use std::fmt;

use crossbeam_utils::CachePadded;

pub(super) use next::{Arrival, Next};
pub(super) use room::Room;

use super::job_queue::JobQueue;
use super::local_queue::LocalQueue;
use super::raw_job::RawJob;
use super::worker_counts::{Notify, WorkerCounts};
use crate::error::WaitError;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use crate::sync::{Arc, Mutex, MutexGuard};
use crate::until::Until;
use crate::wait::graph::{Awaited, Needs};
use crate::wait::{Point, Turns, WaitList, look};

pub(super) struct Injector {
    tail: CachePadded<End<Tail>>,
    head: CachePadded<End<Head>>,
    /// Capacity lent to local queues. Relaxed: written under the tail's lock; reads without the lock are
    /// guesses.
    borrowed: AtomicUsize,
    /// There are too many workers, so one should leave or go idle. Relaxed: the decision is made under the
    /// lock; a worker that sees it late has run one more task.
    surplus: AtomicBool,
    capacity: usize,
}

/// One of the two ends. The count shares a cache line with the lock it is written under, which the writer has
/// just acquired.
#[repr(C)]
struct End<T> {
    /// The number of tasks. Relaxed: a figure, which publishes nothing.
    count: AtomicUsize,
    lock: Mutex<T>,
}

impl<T> End<T> {
    fn new(value: T) -> CachePadded<Self> {
        CachePadded::new(End { lock: Mutex::new(value), count: AtomicUsize::new(0) })
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.lock.lock()
    }
}

/// In this order, after the count and the lock, so that a push accesses few cache lines: each moves from one
/// submitter's processor to the other's. Bursts of two submitters take 0.93 of the time.
#[repr(C)]
struct Tail {
    queued: JobQueue,
    /// An earlier length of the head, not lower than its length now.
    ready_seen: usize,
    peak: usize,
    closed: bool,
    /// The queued tasks were taken out, and any thread may run them.
    drained: bool,
    counts: WorkerCounts,
    /// Submitters that have waited too long: while there are any, no other submitter gets room.
    turns: Turns,
    /// Tasks that were queued beyond the bound. They use no capacity, so they keep no submitter out.
    beyond: JobQueue,
    /// The workers' local queues.
    locals: Vec<Arc<LocalQueue>>,
    /// Threads that wait for the last worker to leave.
    closers: WaitList,
}

struct Head {
    ready: JobQueue,
    submitters: WaitList,
    closed: bool,
}

impl Injector {
    pub(super) fn new(capacity: usize, counts: WorkerCounts) -> Self {
        let tail = Tail {
            queued: JobQueue::new(),
            beyond: JobQueue::new(),
            turns: Turns::new(),
            ready_seen: 0,
            peak: 0,
            closed: false,
            drained: false,
            counts,
            locals: Vec::new(),
            closers: WaitList::new(),
        };
        let head = Head { ready: JobQueue::new(), submitters: WaitList::new(), closed: false };
        Injector {
            tail: End::new(tail),
            head: End::new(head),
            borrowed: AtomicUsize::new(0),
            surplus: AtomicBool::new(false),
            capacity,
        }
    }

    /// Creates the local queue of a worker that starts.
    pub(super) fn new_local(&self) -> Arc<LocalQueue> {
        let local = LocalQueue::new();
        // Listed under the tail's lock, so that `settle` looks at it from now on.
        self.tail.lock().locals.push(Arc::clone(&local));
        local
    }

    /// Publishes the tail's length; to be called after each change of it.
    #[inline]
    fn note_count(&self, tail: &Tail) {
        self.tail.count.store(tail.queued.len() + tail.beyond.len(), Relaxed);
    }

    /// How many tasks use capacity: exact, or too high by tasks that are being taken at this moment.
    fn recount(&self, tail: &mut Tail) -> usize {
        // Relaxed: a rise is written under this lock and so is seen; a fall may be seen late, which only
        // makes the number too high.
        tail.ready_seen = self.head.count.load(Relaxed);
        tail.queued.len() + tail.ready_seen
    }

    /// Unlocks the tail such that the invariant of the worker counts holds.
    fn settle(&self, mut tail: MutexGuard<'_, Tail>) -> Option<Notify> {
        self.surplus.store(tail.counts.has_surplus_active() || tail.counts.has_surplus_threads(), Relaxed);
        if self.needs_worker(&tail) { tail.counts.notify() } else { None }
    }

    /// True if a task is queued that a worker should be notified for.
    fn needs_worker(&self, tail: &Tail) -> bool {
        // The head's count rises under this lock only, so a task that is there is seen. Without the head's
        // lock, a task that is being taken may be seen too; then a worker is notified for nothing. Local
        // queues are looked at only if a worker could be notified: `watch` arms an empty one, so that its
        // next task reaches the injector.
        !tail.queued.is_empty()
            || !tail.beyond.is_empty()
            || self.head.count.load(Relaxed) > 0
            || (tail.counts.can_notify() && tail.locals.iter().any(|local| local.watch()))
    }

    /// Changes the worker counts, and returns the worker to notify for that.
    pub(super) fn with_counts(&self, change: impl FnOnce(&mut WorkerCounts)) -> Option<Notify> {
        let mut tail = self.tail.lock();
        change(&mut tail.counts);
        self.settle(tail)
    }

    /// Counts a thread to start if there are fewer than the minimum and the pool is open.
    pub(super) fn fill(&self) -> Option<Notify> {
        let mut tail = self.tail.lock();
        // A closed pool starts no threads: its workers are leaving.
        if tail.closed { None } else { tail.counts.fill() }
    }

    /// Changes the limits, and returns the worker to notify for that.
    pub(super) fn resize(&self, min: usize, max: usize) -> Option<Notify> {
        let mut tail = self.tail.lock();
        tail.counts.resize(min, max);
        // Surplus workers leave; idle ones that had no keep-alive see whether they have one now.
        let woken = tail.counts.wake_all();
        let notify = self.settle(tail);
        // Woken after unlocking: each of them takes this lock first.
        drop(woken);
        notify
    }

    /// Refuses further tasks. Workers leave once the queue is empty.
    pub(super) fn close(&self) {
        let mut tail = self.tail.lock();
        // Armed, so that a worker's next submit comes here and sees that the pool is closed.
        tail.closed = true;
        tail.locals.iter().for_each(|local| local.close());
        // Unlocked: the lock order is head before tail. Submitters between the two locks are not missed: they
        // check `head.closed` when they register.
        let workers = tail.counts.wake_all();
        drop(tail);
        let mut head = self.head.lock();
        head.closed = true;
        let submitters = head.submitters.take_all();
        // Woken after both locks are free.
        drop(head);
        drop(workers);
        drop(submitters);
    }

    /// Takes out all queued tasks, first to last.
    pub(super) fn drain(&self) -> Vec<RawJob> {
        let mut head = self.head.lock();
        let mut tail = self.tail.lock();
        // For the wait-for graph: from now on any thread may run these tasks.
        tail.drained = true;
        let mut all: Vec<RawJob> = head.ready.take().collect();
        all.extend(tail.queued.take());
        all.extend(tail.beyond.take());
        tail.locals.iter().for_each(|local| all.extend(local.drain()));
        // Both counts while both locks are held, so that they agree with the deques.
        self.head.count.store(0, Relaxed);
        self.tail.count.store(0, Relaxed);
        // Woken after unlocking: all of the capacity is free, for as many submitters as are waiting.
        drop(tail);
        let room = head.submitters.take_all();
        drop(head);
        drop(room);
        all
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn is_closed(&self) -> bool {
        self.tail.lock().closed
    }

    /// Waits until no worker is left. Final once the pool is closed.
    #[track_caller]
    pub(super) fn wait_until_empty(
        &self,
        limit: Until<'_>,
        leave: Arc<dyn Awaited>,
    ) -> Result<(), WaitError> {
        // No missed wake-up: the last worker leaves under this lock and takes all waiters out of the list.
        let is_empty = |tail: &Tail| tail.counts.is_empty();
        Point::new(&self.tail.lock, |tail| &mut tail.closers, is_empty)
            .brought_by(leave)
            .wait(limit.called("Pool::shutdown"))
    }

    /// For the wait-for graph: the workers that can take a queued task. Any one of them can. While more could
    /// be started, a thread that does not exist yet could too, so nothing is known.
    pub(super) fn takers(&self, threads: &mut Vec<usize>) -> Needs {
        let tail = self.tail.lock();
        if !tail.counts.is_complete() || tail.drained {
            return Needs::Nobody;
        }
        tail.workers(threads, Needs::One)
    }

    /// For the wait-for graph: the workers that must leave until none is left.
    pub(super) fn leavers(&self, threads: &mut Vec<usize>) -> Needs {
        self.tail.lock().workers(threads, Needs::All)
    }

    /// The pool's figures at one moment.
    pub(super) fn figures(&self) -> Figures {
        look(&self.tail.lock, |tail| tail.figures(self))
    }

    /// The same for `Debug`, which never blocks.
    pub(super) fn describe(&self, out: &mut fmt::DebugStruct<'_, '_>) {
        out.field("capacity", &self.capacity);
        // `Debug` never blocks: what is locked is left out.
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

/// A snapshot of the injector.
pub(super) struct Figures {
    pub(super) workers: usize,
    pub(super) idle: usize,
    pub(super) blocked: usize,
    pub(super) peak_workers: usize,
    pub(super) queued: usize,
    pub(super) peak_queued: usize,
}

impl Tail {
    /// Adds the workers' threads to `threads`. Nothing is known while a worker is being started.
    fn workers(&self, threads: &mut Vec<usize>, needs: Needs) -> Needs {
        // A started thread that has not registered its local queue may take the task.
        if self.counts.count() != self.locals.len() {
            return Needs::Nobody;
        }
        threads.extend(self.locals.iter().map(|local| local.worker()));
        needs
    }

    /// The number of tasks at the ends and on the local queues; updates the peak.
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
