//! The waiters of a monitor, and the one place where a closure on a entry's stack is called by other
//! threads.

use std::collections::VecDeque;
use std::ptr::NonNull;

use super::{Inner, Monitor, MonitorGuard};
use crate::error::WaitError;
use crate::wait::{Waiter, Wake};

/// What a entry wants to do to the state.
pub(super) trait Attempt<S>: Send {
    /// Does it if the state allows it, and keeps the result; says whether it did. Does not unwind.
    fn attempt(&mut self, state: &mut S) -> bool;
}

/// Those who wait, first come first.
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
    /// Lets every entry go on that can, until none is left that can; they are to be woken after unlocking.
    #[cold]
    pub(super) fn settle(&mut self) -> Vec<Wake> {
        let mut wakes = Vec::new();
        let mut at = 0;
        while let Some(entry) = self.waiting.0.get_mut(at) {
            // One whose limit has ended it makes no attempt any more, and leaves by itself: what comes later
            // is for those behind it. If its limit ends it during the attempt, success wins, since the result
            // is there.
            let has_left = entry.waiter.outcome().is_some();
            // SAFETY: it is in the list, so the pointer is to a live value, and `self`, which is behind the
            // lock, is borrowed mutably, so nobody else is here.
            if has_left || !unsafe { entry.attempt.as_mut() }.attempt(&mut self.state) {
                at += 1;
                continue;
            }
            // Out of the list before it is told, because from then on its closure may be gone.
            if let Some(entry) = self.waiting.0.remove(at) {
                wakes.extend(entry.waiter.end(Ok(())));
            }
            // What it did may let an earlier one go on.
            at = 0;
        }
        wakes
    }
}

/// Puts `attempt` at the end of the list, unlocks, and calls `sleep`, which returns `Ok` only if the waiter
/// was granted. When this returns, or unwinds, nobody accesses `attempt` any more.
pub(super) fn wait<S>(
    monitor: &Monitor<S>,
    mut guard: MonitorGuard<'_, S>,
    attempt: &mut (dyn Attempt<S> + '_),
    sleep: impl FnOnce(&Waiter) -> Result<(), WaitError>,
) -> Result<(), WaitError> {
    let waiter = Waiter::new();
    // SAFETY: the two types differ in a lifetime only. What is borrowed outlives the pointer's use: it is
    // used while it is in the list alone, and `registered` takes it out before this function returns or
    // unwinds.
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

/// Takes a entry out of the list, wherever it is: while it is in there, its closure may be called.
struct Registered<'a, S> {
    monitor: &'a Monitor<S>,
    waiter: &'a Waiter,
}

impl<S> Drop for Registered<'_, S> {
    fn drop(&mut self) {
        // `settle` took it out before it granted the waiter; if the limit ended it, it may still be there,
        // and somebody may be making its attempt this moment, under the lock.
        if self.waiter.outcome() != Some(Ok(())) {
            self.monitor.inner.lock().waiting.remove(self.waiter);
        }
    }
}
