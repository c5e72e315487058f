//! Where a worker picks up its next task, or is told to sleep or to leave.
//!
//! The worker's side of the [`Intake`], under both of its locks but for the fast path.

use std::mem;

use super::desk::Desk;
use super::intake::{Head, Intake, Tail};
use super::parcel::Parcel;
use super::staff::Call;
use crate::burst;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::{Arc, MutexGuard};
use crate::wait::{Slot, Wake, spin_until};

/// What a worker is told to do.
pub(super) enum Next {
    Run(Parcel),
    /// Sleep in this slot, with limited or unlimited time, and come again.
    Idle(Arc<Slot>, bool),
    Leave,
}

/// From where a worker comes for its next task.
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
    /// The fast path of [`next`](Intake::next), for a worker that comes from a task: the next one, if nothing
    /// about the staff is to be seen to.
    #[inline]
    pub(super) fn take(&self, desk: &Desk) -> Option<Parcel> {
        if self.attention.load(Relaxed) {
            return None;
        }
        if let Some(parcel) = desk.take() {
            return Some(parcel);
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
        burst::give_back(&mut head.ready);
        self.head.count.store(head.ready.len(), Relaxed);
        // Any of them will do, and the first has waited longest; it is told to look, not handed the room, so
        // one that comes by at the right moment may be faster, until the first takes a turn.
        head.submitters.next()
    }

    /// What the worker at the desk does next. The [`Call`] is to be answered first. `turn` says where it
    /// looks first, of the queue and all the desks.
    #[cold]
    pub(super) fn next(&self, desk: &Desk, comes: Comes, turn: usize) -> (Next, Option<Call>) {
        let mut head = self.head.lock();
        let mut tail = self.tail.lock();
        match comes {
            Comes::Called => tail.staff.arrive(),
            Comes::FromLookOut => tail.staff.stop_looking(),
            Comes::FromTask | Comes::Late => {}
        }
        let crowded = tail.staff.is_crowded();
        if !crowded && let Some((parcel, room)) = self.find(&mut head, &mut tail, turn) {
            let call = self.settle(tail);
            drop(head);
            drop(room);
            return (Next::Run(parcel), call);
        }
        // Nothing for this worker.
        let unwanted = tail.closed || tail.staff.is_overfull();
        if unwanted || (comes == Comes::Late && tail.staff.is_above_minimum()) {
            self.clear(desk, &mut tail);
            tail.desks.retain(|other| !std::ptr::eq(&**other, desk));
            let (closers, call) = self.leave(tail);
            drop(head);
            drop(closers);
            return (Next::Leave, call);
        }
        if !crowded && comes != Comes::FromLookOut && tail.staff.may_look_out() {
            let desks = tail.desks.clone();
            drop(tail);
            drop(head);
            let queued = || self.tail.count.load(Relaxed) > 0 || desks.iter().any(|desk| desk.count() > 0);
            spin_until(|| queued() || self.attention.load(Relaxed));
            return self.next(desk, Comes::FromLookOut, turn);
        }
        self.clear(desk, &mut tail);
        let (slot, limited) = tail.staff.go_idle();
        (Next::Idle(slot, limited), self.settle(tail))
    }

    /// Takes a task from wherever there is one, and says whom that lets in.
    fn find(&self, head: &mut Head, tail: &mut Tail, turn: usize) -> Option<(Parcel, Option<Wake>)> {
        let sources = tail.desks.len() + 2;
        (turn..turn + sources).find_map(|source| match (source % sources).checked_sub(1) {
            Some(desk) if desk < tail.desks.len() => Some((tail.desks[desk].take()?, None)),
            Some(_) => {
                let parcel = tail.beyond.pop_front()?;
                self.note_count(tail);
                Some((parcel, None))
            }
            None => {
                let parcel = self.advance(head, tail)?;
                Some((parcel, self.took(head)))
            }
        })
    }

    /// The first task in the queue; brings what was posted to the head if that is empty.
    fn advance(&self, head: &mut Head, tail: &mut Tail) -> Option<Parcel> {
        if head.ready.is_empty() {
            // The tail's lock is needed for this, and the head's count rises here only. Two empty deques stay
            // where they are: each fruitless look would otherwise decide anew which of the two the next burst
            // has to grow.
            if !tail.posted.is_empty() {
                mem::swap(&mut tail.posted, &mut head.ready);
            }
            tail.ready_seen = head.ready.len();
            self.note_count(tail);
        }
        head.ready.pop_front()
    }

    /// Takes the places of a desk back whose worker goes to bed or leaves; tasks that lie there, because the
    /// worker is one too many, go into the queue.
    fn clear(&self, desk: &Desk, tail: &mut Tail) {
        let (tasks, places) = desk.clear();
        tail.posted.extend(tasks);
        self.note_count(tail);
        self.lent.store(self.lent.load(Relaxed) - places, Relaxed);
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

    /// A task for who stands in for a worker; none if there is a real one, or none is queued: then it has
    /// left.
    pub(super) fn take_standing_in(&self) -> Option<Parcel> {
        let mut head = self.head.lock();
        let mut tail = self.tail.lock();
        if tail.staff.is_standing_in()
            && let Some(parcel) =
                head.ready.pop_front().or_else(|| tail.posted.pop_front()).or_else(|| tail.beyond.pop_front())
        {
            self.note_count(&tail);
            drop(tail);
            let room = self.took(&mut head);
            drop(head);
            drop(room);
            return Some(parcel);
        }
        tail.staff.stop_standing_in();
        // Who went idle while the refused thread was coming was not called for what came meanwhile: now it
        // is. Another thread is not started, because the system has just refused one.
        let call = if self.is_call_for(&tail) { tail.staff.call_idle() } else { None };
        let closers = if tail.staff.is_empty() { tail.closers.take_all() } else { Vec::new() };
        drop(tail);
        drop(head);
        drop((closers, call));
        None
    }
}
