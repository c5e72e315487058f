//! Where a worker picks up its next task, or is told to sleep or to leave.
//!
//! The worker's side of the [`Injector`], under both of its locks but for the fast path.

use std::mem;

use super::{Head, Injector, Tail};
use crate::burst;
use crate::pool::local_queue::LocalQueue;
use crate::pool::raw_job::RawJob;
use crate::pool::worker_counts::Call;
use crate::sync::MutexGuard;
use crate::sync::atomic::Ordering::Relaxed;
use crate::wait::{Waiter, Wake, spin_until};

/// What a worker is told to do.
pub(in crate::pool) enum Next {
    Run(RawJob),
    /// Sleep in this waiter, with limited or unlimited time, and come again.
    Idle(Waiter, bool),
    Leave,
}

/// From where a worker comes for its next task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) enum Comes {
    /// From a task.
    FromTask,
    /// It was called: started or woken.
    Called,
    /// It looked out for a moment.
    FromLookOut,
    /// From its bed, uncalled: its time was up.
    Late,
}

impl Injector {
    /// The fast path of [`next`](Injector::next), for a worker that comes from a task: the next one, if
    /// nothing about the worker counts is to be seen to.
    #[inline]
    pub(in crate::pool) fn take(&self, local: &LocalQueue) -> Option<RawJob> {
        if self.attention.load(Relaxed) {
            return None;
        }
        if let Some(raw) = local.take() {
            return Some(raw);
        }
        let mut head = self.head.lock();
        let raw = head.ready.pop_front()?;
        let room = self.took(&mut head);
        drop(head);
        drop(room);
        Some(raw)
    }

    /// A task was taken from the head: counts it, and calls a submitter into the room that it left.
    #[inline]
    fn took(&self, head: &mut Head) -> Option<Wake> {
        burst::give_back(&mut head.ready);
        self.head.count.store(head.ready.len(), Relaxed);
        // Any of them will do, and the first has waited longest; it is told to look, not handed the room, so
        // one that comes by at the right moment may be faster, until the first takes a turn.
        head.submitters.next()
    }

    /// What the worker at the local queue does next. The [`Call`] is to be answered first. `turn` says where
    /// it looks first, of the queue and all the local queues.
    #[cold]
    pub(in crate::pool) fn next(
        &self,
        local: &LocalQueue,
        comes: Comes,
        turn: usize,
    ) -> (Next, Option<Call>) {
        let mut head = self.head.lock();
        let mut tail = self.tail.lock();
        match comes {
            Comes::Called => tail.counts.arrive(),
            Comes::FromLookOut => tail.counts.stop_looking(),
            Comes::FromTask | Comes::Late => {}
        }
        let crowded = tail.counts.is_crowded();
        if !crowded && let Some((raw, room)) = self.find(&mut head, &mut tail, turn) {
            let call = self.settle(tail);
            drop(head);
            drop(room);
            return (Next::Run(raw), call);
        }
        // Nothing for this worker.
        let unwanted = tail.closed || tail.counts.is_overfull();
        if unwanted || (comes == Comes::Late && tail.counts.is_above_minimum()) {
            self.clear(local, &mut tail);
            tail.locals.retain(|other| !std::ptr::eq(&**other, local));
            let (closers, call) = self.leave(tail);
            drop(head);
            drop(closers);
            return (Next::Leave, call);
        }
        if !crowded && comes != Comes::FromLookOut && tail.counts.may_look_out() {
            let locals = tail.locals.clone();
            drop(tail);
            drop(head);
            let queued = || self.tail.count.load(Relaxed) > 0 || locals.iter().any(|local| local.count() > 0);
            spin_until(|| queued() || self.attention.load(Relaxed));
            return self.next(local, Comes::FromLookOut, turn);
        }
        self.clear(local, &mut tail);
        let (waiter, limited) = tail.counts.go_idle();
        (Next::Idle(waiter, limited), self.settle(tail))
    }

    /// Takes a task from wherever there is one, and says whom that lets in.
    fn find(&self, head: &mut Head, tail: &mut Tail, turn: usize) -> Option<(RawJob, Option<Wake>)> {
        let sources = tail.locals.len() + 2;
        (turn..turn + sources).find_map(|source| match (source % sources).checked_sub(1) {
            Some(local) if local < tail.locals.len() => Some((tail.locals[local].take()?, None)),
            Some(_) => {
                let raw = tail.beyond.pop_front()?;
                self.note_count(tail);
                Some((raw, None))
            }
            None => {
                let raw = self.advance(head, tail)?;
                Some((raw, self.took(head)))
            }
        })
    }

    /// The first task in the queue; brings what was posted to the head if that is empty.
    fn advance(&self, head: &mut Head, tail: &mut Tail) -> Option<RawJob> {
        if head.ready.is_empty() {
            // The tail's lock is needed for this, and the head's count rises here only. Two empty deques stay
            // where they are: each fruitless look would otherwise decide anew which of the two the next burst
            // has to grow.
            if !tail.queued.is_empty() {
                mem::swap(&mut tail.queued, &mut head.ready);
            }
            tail.ready_seen = head.ready.len();
            self.note_count(tail);
        }
        head.ready.pop_front()
    }

    /// Takes the places of a local queue back whose worker goes to bed or leaves; tasks that lie there,
    /// because the worker is one too many, go into the queue.
    fn clear(&self, local: &LocalQueue, tail: &mut Tail) {
        let (tasks, places) = local.clear();
        tail.queued.extend(tasks);
        self.note_count(tail);
        self.borrowed.store(self.borrowed.load(Relaxed) - places, Relaxed);
    }

    /// A worker leaves; wakes those who wait for the last one, when dropped.
    fn leave(&self, mut tail: MutexGuard<'_, Tail>) -> (Vec<Wake>, Option<Call>) {
        tail.counts.leave();
        let closers = if tail.counts.is_empty() { tail.closers.take_all() } else { Vec::new() };
        (closers, self.settle(tail))
    }

    /// A worker was called away by its time limit, or woken: under which name it comes.
    pub(in crate::pool) fn get_up(&self, waiter: &Waiter) -> Comes {
        if self.tail.lock().counts.get_up(waiter) { Comes::Late } else { Comes::Called }
    }

    /// A thread that was to be started could not be: the caller has come in its place.
    pub(in crate::pool) fn run_inline(&self) {
        self.tail.lock().counts.run_inline();
    }

    /// A task for who stands in for a worker; none if there is a real one, or none is queued: then it has
    /// left.
    pub(in crate::pool) fn take_standing_in(&self) -> Option<RawJob> {
        let mut head = self.head.lock();
        let mut tail = self.tail.lock();
        if tail.counts.is_standing_in()
            && let Some(raw) =
                head.ready.pop_front().or_else(|| tail.queued.pop_front()).or_else(|| tail.beyond.pop_front())
        {
            self.note_count(&tail);
            drop(tail);
            let room = self.took(&mut head);
            drop(head);
            drop(room);
            return Some(raw);
        }
        tail.counts.stop_standing_in();
        // Who went idle while the refused thread was coming was not called for what came meanwhile: now it
        // is. Another thread is not started, because the system has just refused one.
        let call = if self.is_call_for(&tail) { tail.counts.call_idle() } else { None };
        let closers = if tail.counts.is_empty() { tail.closers.take_all() } else { Vec::new() };
        drop(tail);
        drop(head);
        drop((closers, call));
        None
    }
}
