//! The waiters of a monitor. This is the only place where a thread calls a closure on another thread's stack.

use std::collections::VecDeque;
use std::ptr::NonNull;

use super::{Inner, Monitor, MonitorGuard};
use crate::error::WaitError;
use crate::wait::{Waiter, Wake};

/// What a waiter does to the state.
pub(super) trait Attempt<S>: Send {
    /// Does it if the state allows it, and keeps the result. Returns whether it did. Does not unwind.
    fn attempt(&mut self, state: &mut S) -> bool;
}

/// The waiters in the order of their arrival.
pub(super) struct Waiting<S>(VecDeque<Entry<S>>);

/// A thread that sleeps in [`wait`].
///
/// While it is in the list, `attempt` points to a live value that nothing but [`Inner::settle`] accesses.
struct Entry<S> {
    waiter: Waiter,
    attempt: NonNull<dyn Attempt<S>>,
}

// SAFETY: `attempt` is used as a `&mut dyn Attempt<S>` would be, and that is `Send` because `Attempt`
// requires it.
unsafe impl<S> Send for Entry<S> {}

impl<S> Waiting<S> {
    pub(super) const fn new() -> Self {
        Waiting(VecDeque::new())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn remove(&mut self, waiter: &Waiter) {
        self.0.retain(|entry| !entry.waiter.is(waiter));
        // A crowd that has gone leaves no memory behind.
        if self.0.is_empty() && self.0.capacity() > 64 {
            self.0 = VecDeque::new();
        }
    }
}

impl<S> Inner<S> {
    /// Makes the attempts of the waiters until none succeeds any more. Returns the wake-ups of those that
    /// succeeded, for after unlocking.
    #[cold]
    pub(super) fn settle(&mut self) -> Vec<Wake> {
        let mut wakes = Vec::new();
        let mut index = 0;
        while let Some(entry) = self.waiting.0.get_mut(index) {
            // A waiter that was ended by its limit makes no attempt: what is available is for later waiters,
            // and it removes itself. If the limit ends it during the attempt, success wins, since the result
            // is there.
            let has_left = entry.waiter.outcome().is_some();
            // SAFETY: the entry is in the list, so the pointer refers to a live value. `self` is behind the
            // lock and borrowed mutably, so no other thread uses the pointer.
            if has_left || !unsafe { entry.attempt.as_mut() }.attempt(&mut self.state) {
                index += 1;
                continue;
            }
            // Removed before it is ended: from then on its closure may be gone.
            if let Some(entry) = self.waiting.0.remove(index) {
                wakes.extend(entry.waiter.end(Ok(())));
            }
            // The change may let an earlier waiter continue.
            index = 0;
        }
        // Last, since they come behind those that could continue.
        wakes.append(&mut self.watching.take_all());
        wakes
    }
}

/// Adds `attempt` to the end of the list, unlocks, and calls `sleep`, which returns `Ok` only if the waiter
/// was granted. Once this returns or unwinds, no other thread accesses `attempt`.
pub(super) fn wait<S>(
    monitor: &Monitor<S>,
    mut guard: MonitorGuard<'_, S>,
    attempt: &mut (dyn Attempt<S> + '_),
    sleep: impl FnOnce(&Waiter) -> Result<(), WaitError>,
) -> Result<(), WaitError> {
    let waiter = Waiter::new();
    // SAFETY: the two types differ only in a lifetime. The pointer is used only while its entry is in the
    // list, and `registered` removes the entry before this function returns or unwinds, so before the borrow
    // ends.
    let attempt = unsafe {
        std::mem::transmute::<NonNull<dyn Attempt<S> + '_>, NonNull<dyn Attempt<S>>>(NonNull::from(attempt))
    };
    guard.inner().waiting.0.push_back(Entry { waiter: waiter.clone(), attempt });
    let registered = Registered { monitor, waiter: &waiter };
    guard.unlock_unchanged();
    let ended = sleep(&waiter);
    drop(registered);
    ended
}

/// Removes the waiter's entry from the list, if it is there: while it is, other threads may call the closure.
struct Registered<'a, S> {
    monitor: &'a Monitor<S>,
    waiter: &'a Waiter,
}

impl<S> Drop for Registered<'_, S> {
    fn drop(&mut self) {
        // If it was granted, `settle` removed the entry before. If its limit ended it, the entry may still be
        // there, and another thread may be making its attempt right now, under the lock.
        if self.waiter.outcome() != Some(Ok(())) {
            self.monitor.inner.lock().waiting.remove(self.waiter);
        }
    }
}
