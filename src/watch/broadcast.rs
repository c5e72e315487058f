//! The end of a broadcast that sends.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::Listener;
use crate::error::{Closed, Rejected};
use crate::sync::Arc;
use crate::wait::Monitor;

/// Sends each value to every listener, and never waits for one: events, log lines, prices.
///
/// The last `capacity` values are kept. A [`Listener`] gets every value that was sent since it subscribed, in
/// order. One that falls further behind than `capacity` continues with the oldest value that is kept, and is
/// told [how many](super::Heard::missed) it missed. Clones are further senders; when the last is dropped,
/// listeners get what is left and then [`Closed`].
///
/// # Examples
/// ```
/// use selvedge::watch::Broadcast;
///
/// let events = Broadcast::new(2);
/// let (mut quick, mut slow) = (events.subscribe(), events.subscribe());
/// for event in ["login", "upload", "logout"] {
///     events.send(event)?;
///     assert_eq!(*quick.hear()?.value, event);
/// }
/// drop(events);
/// let heard = slow.hear()?;
/// assert_eq!((*heard.value, heard.missed), ("upload", 1));
/// assert_eq!(slow.map(|heard| *heard.value).collect::<Vec<_>>(), ["logout"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Blocking
/// No method of `Broadcast` waits for another thread's progress. Those of the [`Listener`] that wait are
/// woken by each `send` and by the close.
///
/// # Panics
/// [`new`](Broadcast::new) panics if `capacity` is 0. A value is dropped by the last thread that holds it,
/// outside of any lock.
///
/// # Fairness
/// A value wakes all listeners.
///
/// # Ordering
/// What a thread did before it sent a value is visible to the threads that hear it.
///
/// # Proof
/// Models in `loom-tests/tests/watch.rs`: `a_value_reaches_every_listener`,
/// `a_listener_that_is_overtaken_counts_what_it_missed`.
///
/// # Cost
/// A `send` is an allocation and a lock, and wakes the listeners that wait. To hear a value is a lock and a
/// reference count. Memory: `capacity` values.
///
/// # Instead
/// [`BoundedQueue`](crate::BoundedQueue) if each value is for one thread;
/// [`Pipeline::broadcast`](crate::Pipeline::broadcast) if the listeners should hold up the sender;
/// [`Watch`](super::Watch) if only the latest value counts.
pub struct Broadcast<T> {
    end: Arc<SendEnd<T>>,
}

/// Dropped with the last sender.
struct SendEnd<T>(Arc<Monitor<Kept<T>>>);

/// The values that are kept.
pub(crate) struct Kept<T> {
    values: VecDeque<Arc<T>>,
    capacity: usize,
    /// The number of the first value that is kept; also, the number of values that were dropped.
    first: u64,
    closed: bool,
}

impl<T> Drop for SendEnd<T> {
    fn drop(&mut self) {
        // The unlock lets every waiting listener go on.
        self.0.lock().closed = true;
    }
}

impl<T> Kept<T> {
    /// The number of the next value.
    fn end(&self) -> u64 {
        self.first + self.values.len() as u64
    }

    /// Takes the next value for a listener that has heard those before number `next`, and the count of those
    /// that it missed. `None` is "not yet".
    pub(crate) fn hear(&self, next: &mut u64) -> Option<Result<(Arc<T>, u64), Closed>> {
        let missed = self.first.saturating_sub(*next);
        let at = *next + missed;
        // Within the capacity, which is a `usize`.
        match self.values.get((at - self.first) as usize) {
            Some(value) => {
                *next = at + 1;
                Some(Ok((Arc::clone(value), missed)))
            }
            // Tie: the values that were sent before the close come first.
            None => self.closed.then_some(Err(Closed)),
        }
    }

    /// How many values a listener has not heard, those that it missed included.
    pub(super) fn ahead_of(&self, next: u64) -> u64 {
        self.end() - next
    }
}

impl<T> Broadcast<T> {
    /// Makes a broadcast that keeps the last `capacity` values.
    ///
    /// # Panics
    /// If `capacity` is 0.
    #[track_caller]
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "a broadcast that keeps 0 values would lose every value; the least is 1");
        // Grown as needed, so that a large bound costs nothing until it is used.
        let kept = Kept { values: VecDeque::new(), capacity, first: 0, closed: false };
        Broadcast { end: Arc::new(SendEnd(Arc::new(Monitor::new(kept)))) }
    }

    fn kept(&self) -> &Arc<Monitor<Kept<T>>> {
        &self.end.0
    }

    /// Sends a value to every listener. Without a listener, it is kept for nobody: a listener hears what is
    /// sent after it subscribed.
    ///
    /// # Errors
    /// [`Closed`], with the value, after a [`close`](Broadcast::close).
    pub fn send(&self, value: T) -> Result<(), Rejected<T, Closed>> {
        let mut kept = self.kept().lock();
        if kept.closed {
            // Unlocked before the caller has the value back.
            drop(kept);
            return Err(Rejected::new(value, Closed));
        }
        let oldest = match kept.values.len() < kept.capacity {
            true => None,
            false => kept.values.pop_front(),
        };
        kept.first += u64::from(oldest.is_some());
        kept.values.push_back(Arc::new(value));
        drop(kept);
        // After unlocking: its drop is the caller's code.
        drop(oldest);
        Ok(())
    }

    /// Makes a listener for what is sent from now on.
    pub fn subscribe(&self) -> Listener<T> {
        let next = self.kept().lock().end();
        Listener::new(Arc::clone(self.kept()), next)
    }

    /// Tells the listeners that no further value will come, before the last sender is dropped. Returns true
    /// if this call closed the broadcast; closing it again has no effect.
    pub fn close(&self) -> bool {
        let mut kept = self.kept().lock();
        let closes = !kept.closed;
        kept.closed = true;
        closes
    }

    /// Returns true once the broadcast is closed.
    pub fn is_closed(&self) -> bool {
        self.kept().lock().closed
    }

    /// Returns the number of values that are kept at most.
    pub fn capacity(&self) -> usize {
        self.kept().lock().capacity
    }
}

impl<T> Clone for Broadcast<T> {
    fn clone(&self) -> Self {
        Broadcast { end: Arc::clone(&self.end) }
    }
}

impl<T> fmt::Debug for Broadcast<T> {
    /// Never blocks: leaves out the figures while another thread has them locked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Broadcast");
        if let Some(kept) = self.kept().try_lock() {
            out.field("sent", &kept.end()).field("capacity", &kept.capacity).field("closed", &kept.closed);
        }
        out.finish_non_exhaustive()
    }
}

// None of the caller's code runs under the lock, so no panic leaves the state half changed.
impl<T> UnwindSafe for Broadcast<T> {}
impl<T> RefUnwindSafe for Broadcast<T> {}
