//! Where threads wait for a pool: for room in its queue, and for its end.

use super::intake::Intake;
use crate::sync::Arc;
use crate::sync::atomic::Ordering::Relaxed;
use crate::wait::{Place, Slot};

/// Where submitters wait for room.
pub(super) struct Room<'a>(pub(super) &'a Intake);

impl Place for Room<'_> {
    fn looks_ready(&self) -> bool {
        let intake = self.0;
        let queued = intake.tail.count.load(Relaxed) + intake.head.count.load(Relaxed);
        queued + intake.lent.load(Relaxed) < intake.capacity
    }

    fn join(&self) -> Option<Arc<Slot>> {
        // Whoever takes a task holds the head's lock: it comes after this, and finds the slot, or came before,
        // and is counted here. Nobody need wait for room in a closed pool.
        let mut head = self.0.head.lock();
        let tail = self.0.tail.lock();
        let taken = tail.posted.len() + self.0.lent.load(Relaxed);
        drop(tail);
        let full = taken + head.ready.len() >= self.0.capacity;
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
