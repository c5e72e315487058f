//! The end of a watch that sets the value.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::Watcher;
use crate::sync::Arc;
use crate::wait::Monitor;

/// Gives many threads the latest value of something, and lets them wait for its next change: a configuration,
/// a leader, a progress.
///
/// Each [`Watcher`] sees the value that is current when it looks. It waits for a value that it has not seen,
/// and skips those that were replaced meanwhile; the last one it never misses. [`set`](Watch::set) never
/// waits for a watcher. Clones are further senders; when the last is dropped, each watcher gets the last
/// value, if it has not seen it, and then [`Closed`](crate::error::Closed).
///
/// # Examples
/// ```
/// use selvedge::Watch;
///
/// let speed = Watch::new(1);
/// let mut watcher = speed.subscribe();
/// assert_eq!(*watcher.changed()?, 1); // the first look sees the current value
/// let thread = std::thread::spawn(move || watcher.map(|speed| *speed).last());
/// speed.set(2);
/// speed.set(3);
/// drop(speed);
/// assert_eq!(thread.join().unwrap(), Some(3)); // with or without the 2
/// # Ok::<(), selvedge::error::Closed>(())
/// ```
///
/// A value that is made from the one before, and a wait for a certain value:
/// ```
/// use selvedge::Watch;
/// use std::time::Duration;
///
/// let progress = Watch::new(0);
/// let mut watcher = progress.subscribe();
/// std::thread::scope(|s| {
///     for _ in 0..4 {
///         s.spawn(|| progress.update(|done| done + 1));
///     }
///     let all = watcher.wait_for_until(|done| *done == 4, Duration::from_secs(60));
///     assert_eq!(*all.unwrap(), 4);
/// });
/// ```
///
/// # Blocking
/// No method of `Watch` waits for another thread's progress. Those of the [`Watcher`] that wait are woken by
/// each `set`, `update` and close.
///
/// # Panics
/// A panic of `update`'s closure reaches its caller, and the value stays. A value is dropped by the last
/// thread that holds it, outside of any lock.
///
/// # Fairness
/// A change wakes all watchers.
///
/// # Ordering
/// What a thread did before it set a value is visible to a thread that has that value or a later one, and to
/// one that got `Closed` if it was the thread that closed.
///
/// # Proof
/// Models in `loom-tests/tests/watch.rs`: `a_change_reaches_a_watcher_that_is_about_to_wait`,
/// `the_last_value_comes_before_the_end`, `two_updates_at_once_both_count`.
///
/// # Cost
/// A `set` is an allocation and a lock, and wakes the watchers that wait. A look is a lock and a reference
/// count.
///
/// # Instead
/// [`Broadcast`](super::Broadcast) if each value counts; `RwLock` if no thread waits for changes; a
/// [`Monitor`](crate::Monitor) if watchers change the state too.
pub struct Watch<T> {
    end: Arc<SetEnd<T>>,
}

/// Dropped with the last sender.
struct SetEnd<T>(Arc<Shared<T>>);

pub(super) struct Shared<T> {
    pub(super) state: Monitor<State<T>>,
}

pub(crate) struct State<T> {
    pub(super) value: Arc<T>,
    /// Counts the values; that of the first is 1, and 0 is that of none.
    pub(super) version: u64,
    pub(super) closed: bool,
}

impl<T> Drop for SetEnd<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<T> Shared<T> {
    fn close(&self) -> bool {
        // The unlock lets every waiting watcher go on: it sees the last value, or the end.
        let mut state = self.state.lock();
        let closes = !state.closed;
        state.closed = true;
        closes
    }
}

impl<T> State<T> {
    /// Puts a value in; returns the one before, for the caller to drop after unlocking.
    fn replace(&mut self, value: Arc<T>) -> Arc<T> {
        self.version += 1;
        std::mem::replace(&mut self.value, value)
    }
}

impl<T> Watch<T> {
    /// Makes a watch with its first value.
    pub fn new(value: T) -> Self {
        let state = State { value: Arc::new(value), version: 1, closed: false };
        Watch { end: Arc::new(SetEnd(Arc::new(Shared { state: Monitor::new(state) }))) }
    }

    fn shared(&self) -> &Arc<Shared<T>> {
        &self.end.0
    }

    /// Sets the value. Every watcher that waits for a change goes on. After a [`close`](Watch::close),
    /// watchers still see the value when they look, but none is told of it.
    pub fn set(&self, value: T) {
        let value = Arc::new(value);
        let before = self.shared().state.lock().replace(value);
        // After unlocking, which the end of the statement did: the drop is the caller's code.
        drop(before);
    }

    /// Sets the value to what `next` makes of the current one, and returns it. No other change falls in
    /// between: if another sender is faster, `next` is called again, with its value.
    pub fn update(&self, mut next: impl FnMut(&T) -> T) -> Arc<T> {
        loop {
            let (value, version) = self.shared().look();
            // Without the lock, since it is the caller's code.
            let changed = Arc::new(next(&value));
            let mut state = self.shared().state.lock();
            if state.version == version {
                let before = state.replace(Arc::clone(&changed));
                // Unlocked first, as in `set`. The clone `value` goes with the scope, after that.
                drop(state);
                drop(before);
                return changed;
            }
        }
    }

    /// Returns the current value.
    pub fn get(&self) -> Arc<T> {
        self.shared().look().0
    }

    /// Makes a watcher that has seen no value yet, so that its first wait returns the current one at once.
    pub fn subscribe(&self) -> Watcher<T> {
        Watcher::new(Arc::clone(self.shared()))
    }

    /// Tells the watchers that no change will come, before the last sender is dropped. Returns true if this
    /// call closed the watch; closing it again has no effect.
    pub fn close(&self) -> bool {
        self.shared().close()
    }

    /// Returns true once the watch is closed.
    pub fn is_closed(&self) -> bool {
        self.shared().state.lock().closed
    }
}

impl<T> Shared<T> {
    /// The current value and its version.
    pub(super) fn look(&self) -> (Arc<T>, u64) {
        let state = self.state.lock();
        (Arc::clone(&state.value), state.version)
    }
}

impl<T> Clone for Watch<T> {
    fn clone(&self) -> Self {
        Watch { end: Arc::clone(&self.end) }
    }
}

impl<T: Default> Default for Watch<T> {
    fn default() -> Self {
        Watch::new(T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for Watch<T> {
    /// Never blocks: leaves out the value while another thread has it locked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared().describe(f.debug_struct("Watch"))
    }
}

impl<T: fmt::Debug> Shared<T> {
    pub(super) fn describe(&self, mut out: fmt::DebugStruct<'_, '_>) -> fmt::Result {
        // Copied out, so that the value's own `Debug` runs without the lock.
        let seen = self.state.try_lock().map(|state| (Arc::clone(&state.value), state.version, state.closed));
        if let Some((value, version, closed)) = seen {
            out.field("value", &value).field("version", &version).field("closed", &closed);
        }
        out.finish_non_exhaustive()
    }
}

// None of the caller's code runs under the lock, so no panic leaves the state half changed.
impl<T> UnwindSafe for Watch<T> {}
impl<T> RefUnwindSafe for Watch<T> {}
