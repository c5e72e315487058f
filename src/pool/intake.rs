//! The queue between submitters and workers, and the desk where workers come for the next task.
//!
//! Two deques, two locks: submitters post at the *tail*, workers take from the *head*, and a worker that finds
//! the head empty takes both locks and swaps the deques. So in a burst a submitter and a worker meet once in
//! many tasks, and no line of memory travels with each.
//!
//! As in [`BoundedQueue`](crate::BoundedQueue) the places to sleep are crossed. Who is idle stands in the
//! [`Staff`], under the *tail's* lock, which a submitter holds anyway; submitters that wait for room stand under
//! the *head's*, which a worker holds anyway. So the side that changes something holds the lock under which
//! the other went to sleep, and no wake-up falls between look and sleep.
//!
//! Lock order: head, then tail. Submitters take the tail's alone.
//!
//! # How many are queued
//! The bound is on both deques together, but a submitter holds the tail's lock only. The length of the head
//! grows in a swap alone, which needs both locks, so under the tail's lock it can only fall: the number that
//! the submitter last saw is never too low, and when that number says full it looks again.

use std::collections::VecDeque;
use std::{fmt, mem};

use crossbeam_utils::CachePadded;

use super::parcel::Parcel;
use super::staff::{Call, Staff};
use crate::error::TryError;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use crate::sync::{Arc, Mutex, MutexGuard};
use crate::wait::{Line, Place, Slot, Wake, spin_until};

pub(super) struct Intake {
    tail: CachePadded<End<Tail>>,
    head: CachePadded<End<Head>>,
    /// A worker that comes by should look at the staff: there are too many. Relaxed: the decision is made under
    /// the lock; a worker that sees it late has run one task more.
    attention: AtomicBool,
    capacity: usize,
}

/// One of the two ends. The number lies beside the lock that it is written under, in the line of memory that the
/// writer has just made its own.
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
    posted: VecDeque<Parcel>,
    /// What `ready_count` was once, not lower than it is.
    ready_seen: usize,
    peak: usize,
    closed: bool,
    staff: Staff,
    /// Those who wait for the last worker to leave.
    closers: Line,
}

struct Head {
    ready: VecDeque<Parcel>,
    submitters: Line,
    closed: bool,
}

/// What a worker is told to do.
pub(super) enum Next {
    Run(Parcel),
    /// Sleep in this slot, with limited or unlimited time, and come again.
    Idle(Arc<Slot>, bool),
    Leave,
}

/// In what state a worker comes to the desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comes {
    /// From a task.
    FromTask,
    /// It was called: started or woken.
    Called,
    /// It looked out for a moment.
    FromLookOut,
    /// From its bed, uncalled: its time was up.
    Late,
}

impl Intake {
    pub(super) fn new(capacity: usize, staff: Staff) -> Self {
        let tail = Tail {
            posted: VecDeque::new(),
            ready_seen: 0,
            peak: 0,
            closed: false,
            staff,
            closers: Line::new(),
        };
        let head = Head { ready: VecDeque::new(), submitters: Line::new(), closed: false };
        Intake { tail: End::new(tail), head: End::new(head), attention: AtomicBool::new(false), capacity }
    }

    /// Queues what `make` makes, which it is asked for only if there is room. The [`Call`] is the caller's to
    /// answer.
    #[inline]
    pub(super) fn try_post(&self, make: impl FnOnce() -> Parcel) -> Result<Option<Call>, TryError> {
        let mut tail = self.tail.lock();
        if tail.closed {
            return Err(TryError::Closed);
        }
        if tail.posted.len() + tail.ready_seen >= self.capacity && self.recount(&mut tail) >= self.capacity {
            return Err(TryError::WouldBlock);
        }
        Ok(self.post(tail, make()))
    }

    /// Queues a parcel though there may be no room; gives it back if the pool is closed.
    pub(super) fn post_beyond(&self, parcel: Parcel) -> Result<Option<Call>, Parcel> {
        let tail = self.tail.lock();
        if tail.closed { Err(parcel) } else { Ok(self.post(tail, parcel)) }
    }

    #[inline]
    fn post(&self, mut tail: MutexGuard<'_, Tail>, parcel: Parcel) -> Option<Call> {
        tail.posted.push_back(parcel);
        self.tail.count.store(tail.posted.len(), Relaxed);
        if tail.posted.len() + tail.ready_seen > tail.peak {
            tail.peak = tail.peak.max(self.recount(&mut tail));
        }
        tail.staff.call()
    }

    /// How many are queued: exactly, or more than there are by those that are being taken this moment.
    fn recount(&self, tail: &mut Tail) -> usize {
        tail.ready_seen = self.head.count.load(Relaxed);
        tail.posted.len() + tail.ready_seen
    }

    /// The fast path of the desk, for a worker that comes from a task: the next one, if nothing about the staff
    /// is to be seen to.
    #[inline]
    pub(super) fn take(&self) -> Option<Parcel> {
        if self.attention.load(Relaxed) {
            return None;
        }
        let mut head = self.head.lock();
        let parcel = head.ready.pop_front()?;
        let room = self.took(&mut head);
        drop(head);
        drop(room);
        Some(parcel)
    }

    /// A task was taken from the head: counts it, and calls a submitter into the room that it left.
    #[inline]
    fn took(&self, head: &mut Head) -> Option<Wake> {
        self.head.count.store(head.ready.len(), Relaxed);
        // Any of them will do, and the first has waited longest; it is told to look, not handed the room, so
        // one that comes by at the right moment may be faster.
        head.submitters.next()
    }

    /// The desk: what a worker does next. The [`Call`] is to be answered first.
    #[cold]
    pub(super) fn next(&self, comes: Comes) -> (Next, Option<Call>) {
        let mut head = self.head.lock();
        let mut tail = self.tail.lock();
        match comes {
            Comes::Called => tail.staff.arrive(),
            Comes::FromLookOut => tail.staff.stop_looking(),
            Comes::FromTask | Comes::Late => {}
        }
        let crowded = tail.staff.is_crowded();
        if !crowded && head.ready.is_empty() {
            // The tail's lock is needed for this, and the head's count rises here only.
            let Tail { posted, ready_seen, .. } = &mut *tail;
            mem::swap(posted, &mut head.ready);
            *ready_seen = head.ready.len();
            self.tail.count.store(0, Relaxed);
        }
        if !crowded && let Some(parcel) = head.ready.pop_front() {
            let room = self.took(&mut head);
            let call = self.settle(tail);
            drop(head);
            drop(room);
            return (Next::Run(parcel), call);
        }
        // Nothing for this worker.
        let unwanted = tail.closed || tail.staff.is_overfull();
        if unwanted || (comes == Comes::Late && tail.staff.is_above_minimum()) {
            let (closers, call) = self.leave(tail);
            drop(head);
            drop(closers);
            return (Next::Leave, call);
        }
        if !crowded && comes != Comes::FromLookOut && tail.staff.may_look_out() {
            drop(tail);
            drop(head);
            spin_until(|| self.tail.count.load(Relaxed) > 0 || self.attention.load(Relaxed));
            return self.next(Comes::FromLookOut);
        }
        let (slot, limited) = tail.staff.go_idle();
        (Next::Idle(slot, limited), self.settle(tail))
    }

    /// Unlocks the tail so that the staff's invariant holds.
    fn settle(&self, mut tail: MutexGuard<'_, Tail>) -> Option<Call> {
        self.attention.store(tail.staff.is_crowded() || tail.staff.is_overfull(), Relaxed);
        // The head's count rises under this lock only, so a task that is there is seen. One that is being taken
        // may be seen too, where the caller does not hold the head's lock; then somebody is called for nothing.
        let queued = !tail.posted.is_empty() || self.head.count.load(Relaxed) > 0;
        if queued { tail.staff.call() } else { None }
    }

    /// A worker leaves; wakes those who wait for the last one, when dropped.
    fn leave(&self, mut tail: MutexGuard<'_, Tail>) -> (Vec<Wake>, Option<Call>) {
        tail.staff.leave();
        let closers = if tail.staff.is_empty() { tail.closers.take_all() } else { Vec::new() };
        (closers, self.settle(tail))
    }

    /// A worker was called away by its time limit, or woken: under which name it comes.
    pub(super) fn get_up(&self, slot: &Arc<Slot>) -> Comes {
        if self.tail.lock().staff.get_up(slot) { Comes::Late } else { Comes::Called }
    }

    /// A thread that was to be started could not be: the caller has come in its place.
    pub(super) fn stand_in(&self) {
        self.tail.lock().staff.stand_in();
    }

    /// A task for who stands in for a worker; none if there is a real one, or none is queued: then it has left.
    pub(super) fn take_standing_in(&self) -> Option<Parcel> {
        let mut head = self.head.lock();
        let mut tail = self.tail.lock();
        if tail.staff.is_standing_in()
            && let Some(parcel) = head.ready.pop_front().or_else(|| tail.posted.pop_front())
        {
            self.tail.count.store(tail.posted.len(), Relaxed);
            drop(tail);
            let room = self.took(&mut head);
            drop(head);
            drop(room);
            return Some(parcel);
        }
        let queued = !tail.posted.is_empty() || !head.ready.is_empty();
        let call = tail.staff.stop_standing_in(queued);
        let closers = if tail.staff.is_empty() { tail.closers.take_all() } else { Vec::new() };
        drop(tail);
        drop(head);
        drop((closers, call));
        None
    }

    /// Does something to the staff, and says whom that calls.
    pub(super) fn with_staff(&self, change: impl FnOnce(&mut Staff)) -> Option<Call> {
        let mut tail = self.tail.lock();
        change(&mut tail.staff);
        self.settle(tail)
    }

    /// Starts a thread if there are fewer than the minimum, and the pool is open.
    pub(super) fn fill(&self) -> Option<Call> {
        let mut tail = self.tail.lock();
        if tail.closed { None } else { tail.staff.fill() }
    }

    pub(super) fn resize(&self, min: usize, max: usize) -> Option<Call> {
        let mut tail = self.tail.lock();
        tail.staff.resize(min, max);
        // Those who are too many leave; those whose time was unlimited see whether it still is.
        let woken = tail.staff.wake_all();
        let call = self.settle(tail);
        drop(woken);
        call
    }

    /// Takes no more tasks. Workers leave when there is nothing left.
    pub(super) fn close(&self) {
        let mut tail = self.tail.lock();
        tail.closed = true;
        let workers = tail.staff.wake_all();
        drop(tail);
        let mut head = self.head.lock();
        head.closed = true;
        let submitters = head.submitters.take_all();
        drop(head);
        drop(workers);
        drop(submitters);
    }

    /// Takes out all that is queued, first to last.
    pub(super) fn drain(&self) -> Vec<Parcel> {
        let mut head = self.head.lock();
        let mut tail = self.tail.lock();
        let mut all: Vec<Parcel> = head.ready.drain(..).collect();
        all.extend(tail.posted.drain(..));
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

    /// True if no worker is there; for good, once the pool is closed.
    pub(super) fn is_deserted(&self) -> bool {
        self.tail.lock().staff.is_empty()
    }

    /// How things stand, at one moment.
    pub(super) fn figures(&self) -> Figures {
        self.tail.lock().figures(self)
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
    fn figures(&mut self, intake: &Intake) -> Figures {
        let queued = intake.recount(self);
        let (workers, idle, blocked, peak_workers) = self.staff.figures();
        Figures { workers, idle, blocked, peak_workers, queued, peak_queued: self.peak }
    }
}

/// Where submitters wait for room.
pub(super) struct Room<'a>(pub(super) &'a Intake);

impl Place for Room<'_> {
    fn looks_ready(&self) -> bool {
        let intake = self.0;
        intake.tail.count.load(Relaxed) + intake.head.count.load(Relaxed) < intake.capacity
    }

    fn join(&self) -> Option<Arc<Slot>> {
        // Whoever takes a task holds the head's lock: it comes after this, and finds the slot, or came before,
        // and is counted here. Nobody need wait for room in a closed pool.
        let mut head = self.0.head.lock();
        let posted = self.0.tail.lock().posted.len();
        let full = posted + head.ready.len() >= self.0.capacity;
        (full && !head.closed).then(|| head.submitters.join())
    }

    fn leave(&self, slot: &Arc<Slot>) {
        self.0.head.lock().submitters.leave(slot);
    }
}

/// Where those wait who close the pool: until no worker is there.
pub(super) struct Exit<'a>(pub(super) &'a Intake);

impl Place for Exit<'_> {
    fn looks_ready(&self) -> bool {
        self.0.tail.lock.try_lock().is_some_and(|tail| tail.staff.is_empty())
    }

    fn join(&self) -> Option<Arc<Slot>> {
        // The last worker leaves under this lock, and takes everybody out of the line.
        let mut tail = self.0.tail.lock();
        (!tail.staff.is_empty()).then(|| tail.closers.join())
    }

    fn leave(&self, slot: &Arc<Slot>) {
        self.0.tail.lock().closers.leave(slot);
    }
}
