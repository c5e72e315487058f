//! Where threads sleep on a queue: producers under the consumers' lock, consumers under the producers'.

use std::fmt;

use super::BoundedQueue;
use crate::sync::Arc;
use crate::wait::{Place, Slot};

/// Where producers wait for room.
pub(super) struct Room<'a, T>(pub(super) &'a BoundedQueue<T>);

impl<T> Place for Room<'_, T> {
    fn looks_ready(&self) -> bool {
        self.0.gauge.len() < self.0.capacity
    }

    fn join(&self) -> Option<Arc<Slot>> {
        // Whoever makes room holds this lock: it pops after this, and finds the slot, or before, and then
        // the ring is not full, for its head is exact here. Nobody need wait for room in a closed queue.
        let mut head = self.0.head.lock();
        (head.ring.is_full() && !head.closed).then(|| head.pushers.join())
    }

    fn leave(&self, slot: &Arc<Slot>) {
        self.0.head.lock().pushers.leave(slot);
    }
}

/// Where consumers wait for items.
pub(super) struct Items<'a, T>(pub(super) &'a BoundedQueue<T>);

impl<T> Place for Items<'_, T> {
    fn looks_ready(&self) -> bool {
        self.0.gauge.len() > 0
    }

    fn join(&self) -> Option<Arc<Slot>> {
        // As above with the sides changed: whoever pushes or closes holds this lock.
        let mut tail = self.0.tail.lock();
        (tail.ring.is_empty() && !tail.closed).then(|| tail.poppers.join())
    }

    fn leave(&self, slot: &Arc<Slot>) {
        self.0.tail.lock().poppers.leave(slot);
    }
}

impl<T> fmt::Debug for BoundedQueue<T> {
    /// Never waits: what another thread has locked is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("BoundedQueue");
        out.field("len", &self.gauge.len()).field("capacity", &self.capacity);
        if let Some(tail) = self.tail.try_lock() {
            out.field("closed", &tail.closed).field("waiting_to_pop", &tail.poppers.len());
        }
        if let Some(head) = self.head.try_lock() {
            out.field("waiting_to_push", &head.pushers.len());
        }
        out.finish()
    }
}
