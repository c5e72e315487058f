//! The end of a call: those who wait are told, whatever happens on the way.

use super::table::Flight;
use crate::sync::Arc;
use crate::wait::Line;

/// What is published if the leader unwinds before it could publish anything else: the value's `clone`, or
/// the drop of what `clone` left behind, panicked.
const UNSHARED: &str = "the result could not be cloned";

/// A call whose closure has ended; dropping it wakes everybody who waits.
pub(super) struct Landing<K, V> {
    flight: Arc<Flight<K, V>>,
    waiting: Line,
}

impl<K, V> Landing<K, V> {
    /// `end` takes the call out of its table, and with it those who wait: from then on nobody joins.
    pub(super) fn new(flight: Arc<Flight<K, V>>, end: impl FnOnce(&Arc<Flight<K, V>>) -> Line) -> Self {
        let waiting = end(&flight);
        Landing { flight, waiting }
    }

    /// True if somebody waits, or has given up only now.
    pub(super) fn is_awaited(&self) -> bool {
        self.waiting.len() > 0
    }

    /// Leaves what those who wait will get.
    pub(super) fn publish(&self, outcome: Result<V, Arc<str>>) {
        // Nobody else sets it, and this thread does so once.
        let _ = self.flight.outcome.set(outcome);
    }
}

impl<K, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        if self.is_awaited() && self.flight.outcome.get().is_none() {
            self.publish(Err(UNSHARED.into()));
        }
        // The outcome is set before the first of them wakes, and is visible to it through its slot's lock.
        drop(self.waiting.take_all());
    }
}
