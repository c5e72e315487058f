//! What a worker does next: run a task, spin, park or leave.
//!
//! This is the workers' side of the [`Injector`]. All but the fast path runs under both locks.

use std::mem;

use super::{Head, Injector, Tail};
use crate::pool::local_queue::LocalQueue;
use crate::pool::raw_job::RawJob;
use crate::pool::worker_counts::Notify;
use crate::sync::MutexGuard;
use crate::sync::atomic::Ordering::Relaxed;
use crate::wait::{Waiter, Wake, spin_until};

/// What a worker does next.
pub(in crate::pool) enum Next {
    Run(RawJob),
    /// Park on the waiter, with a keep-alive if the flag is set, and ask again.
    Idle(Waiter, bool),
    Leave,
}

/// What a worker did before it asks for its next task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) enum Arrival {
    /// It ran a task.
    AfterTask,
    /// It was started or woken.
    Woken,
    /// It spun for a moment.
    AfterSpin,
    /// It was idle, and its keep-alive expired.
    Expired,
}

impl Injector {
    /// The fast path of [`next`](Injector::next), for a worker that has run a task: takes the next one unless
    /// there are too many workers.
    #[inline]
    pub(in crate::pool) fn take(&self, local: &LocalQueue) -> Option<RawJob> {
        // Relaxed: see `surplus`. A worker that misses it sees it after its next task.
        if self.surplus.load(Relaxed) {
            return None;
        }
        if let Some(job) = local.take() {
            return Some(job);
        }
        let mut head = self.head.lock();
        let job = head.ready.pop()?;
        let room = self.took(&mut head);
        // Unlocked before the submitter wakes, which takes this lock first.
        drop(head);
        drop(room);
        Some(job)
    }

    /// Accounts for a task taken from the head; returns a submitter to wake for the room.
    #[inline]
    fn took(&self, head: &mut Head) -> Option<Wake> {
        self.head.count.store(head.ready.len(), Relaxed);
        // One submitter for one free place, and any will do: the first has waited longest. It is told to try,
        // not handed the place, so a submitter that is awake may overtake it, until it takes a turn.
        head.submitters.next()
    }

    /// What the worker of `local` does next. The caller performs the [`Notify`] before it runs the task.
    /// `turn` selects the source that is tried first, among the queue and all local queues.
    #[cold]
    pub(in crate::pool) fn next(
        &self,
        local: &LocalQueue,
        arrival: Arrival,
        turn: usize,
    ) -> (Next, Option<Notify>) {
        let mut head = self.head.lock();
        let mut tail = self.tail.lock();
        // First of all: the invariant counts this worker as waking until it has looked, and it looks now,
        // under the lock.
        match arrival {
            Arrival::Woken => tail.counts.stop_waking(),
            Arrival::AfterSpin => tail.counts.stop_spinning(),
            Arrival::AfterTask | Arrival::Expired => {}
        }
        // A surplus worker takes no task, even if there is one: it would be one active worker too many.
        let surplus_active = tail.counts.has_surplus_active();
        if !surplus_active && let Some((job, room)) = self.find(&mut head, &mut tail, local, turn) {
            let notify = self.settle(tail);
            // Notified and woken by the caller, without a lock.
            drop(head);
            drop(room);
            return (Next::Run(job), notify);
        }
        // No task for this worker.
        // Under the tail's lock: a task that is pushed now finds one worker fewer, and one that was pushed
        // before was found above.
        let unwanted = tail.closed || tail.counts.has_surplus_threads();
        if unwanted || (arrival == Arrival::Expired && tail.counts.is_above_minimum()) {
            self.clear(local, &mut tail);
            // A worker that takes no more tasks is no provider for the wait-for graph either.
            tail.locals.retain(|other| !std::ptr::eq(&**other, local));
            let (closers, notify) = self.leave(tail);
            drop(head);
            drop(closers);
            return (Next::Leave, notify);
        }
        if !surplus_active && arrival != Arrival::AfterSpin && tail.counts.start_spinning() {
            // Unlocked to spin. A task that is pushed meanwhile notifies no worker, since this one counts as
            // waking; it is found by the look below.
            let locals = tail.locals.clone();
            drop(tail);
            drop(head);
            let queued = || self.tail.count.load(Relaxed) > 0 || locals.iter().any(|local| local.count() > 0);
            spin_until(|| queued() || self.surplus.load(Relaxed));
            return self.next(local, Arrival::AfterSpin, turn);
        }
        // No missed wake-up: a submitter pushes and notifies under the tail's lock, under which this worker
        // has found nothing and registers as idle.
        self.clear(local, &mut tail);
        let (waiter, limited) = tail.counts.go_idle();
        (Next::Idle(waiter, limited), self.settle(tail))
    }

    /// Takes a task from any source for the worker of `local`; returns the submitter to wake for the room.
    fn find(
        &self,
        head: &mut Head,
        tail: &mut Tail,
        local: &LocalQueue,
        turn: usize,
    ) -> Option<(RawJob, Option<Wake>)> {
        let sources = tail.locals.len() + 2;
        (turn..turn + sources).find_map(|source| match (source % sources).checked_sub(1) {
            Some(other) if other < tail.locals.len() => {
                let other = &tail.locals[other];
                Some((other.steal(local)?, None))
            }
            Some(_) => {
                let job = tail.beyond.pop()?;
                self.note_count(tail);
                Some((job, None))
            }
            None => {
                let job = self.advance(head, tail)?;
                Some((job, self.took(head)))
            }
        })
    }

    /// Takes the first task of the queue; swaps the deques if the head is empty.
    fn advance(&self, head: &mut Head, tail: &mut Tail) -> Option<RawJob> {
        if head.ready.is_empty() {
            // The swap needs the tail's lock, and is the only place where the head's count rises. Two empty
            // deques are not swapped: otherwise each fruitless look would change which of them the next burst
            // has to grow.
            if !tail.queued.is_empty() {
                mem::swap(&mut tail.queued, &mut head.ready);
            }
            tail.ready_seen = head.ready.len();
            self.note_count(tail);
        }
        head.ready.pop()
    }

    /// Takes back the capacity of a local queue whose worker goes idle or leaves. Tasks that are left there,
    /// because the worker is a surplus one, go to the queue.
    fn clear(&self, local: &LocalQueue, tail: &mut Tail) {
        let (tasks, capacity) = local.clear();
        tasks.for_each(|job| tail.queued.push(|| job));
        self.note_count(tail);
        self.borrowed.store(self.borrowed.load(Relaxed) - capacity, Relaxed);
    }

    /// A worker leaves. Returns the closers to wake if it was the last.
    fn leave(&self, mut tail: MutexGuard<'_, Tail>) -> (Vec<Wake>, Option<Notify>) {
        tail.counts.leave();
        let closers = if tail.counts.is_empty() { tail.closers.take_all() } else { Vec::new() };
        (closers, self.settle(tail))
    }

    /// The keep-alive of an idle worker expired: decides between that and a notification.
    pub(in crate::pool) fn expire(&self, waiter: &Waiter) -> Arrival {
        if self.tail.lock().counts.expire(waiter) { Arrival::Expired } else { Arrival::Woken }
    }

    /// A thread could not be started: the caller runs tasks in its place.
    pub(in crate::pool) fn run_inline(&self) {
        self.tail.lock().counts.run_inline();
    }

    /// A task for a caller that runs tasks inline. None if there is a worker, or if nothing is queued; the
    /// caller has stopped then.
    pub(in crate::pool) fn take_inline(&self) -> Option<RawJob> {
        let mut head = self.head.lock();
        let mut tail = self.tail.lock();
        if tail.counts.has_only_inline_runners()
            && let Some(job) = head.ready.pop().or_else(|| tail.queued.pop()).or_else(|| tail.beyond.pop())
        {
            self.note_count(&tail);
            // The tail first: waking a submitter needs the head only.
            drop(tail);
            let room = self.took(&mut head);
            drop(head);
            drop(room);
            return Some(job);
        }
        tail.counts.stop_running_inline();
        // A worker that went idle while the refused thread counted as waking was not notified for the tasks
        // queued since: it is notified now. No other thread is started, since the operating system has just
        // refused one.
        let notify = if self.needs_worker(&tail) { tail.counts.notify_idle() } else { None };
        let closers = if tail.counts.is_empty() { tail.closers.take_all() } else { Vec::new() };
        // Woken after unlocking, by dropping.
        drop(tail);
        drop(head);
        drop((closers, notify));
        None
    }
}
