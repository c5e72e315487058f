//! Which monitors this thread has locked, so that it is told instead of waiting for itself.
//!
//! A list of the thread's and not a mark in the monitor, because a mark would be one more store for other
//! threads to see, and a model would try all the moments at which they might.

use crate::wait::context;

/// This thread has the monitor at that address locked, until it is dropped.
#[must_use = "dropping it forgets that the lock is held"]
pub(super) struct Held(usize);

impl Held {
    #[inline]
    pub(super) fn new(monitor: usize) -> Self {
        context::with(|context| context.with_monitors(|held| held.push(monitor)));
        Held(monitor)
    }
}

/// Whether this thread has the monitor at that address locked.
pub(super) fn is_held(monitor: usize) -> bool {
    context::with(|context| context.with_monitors(|held| held.contains(&monitor))).unwrap_or(false)
}

impl Drop for Held {
    #[inline]
    fn drop(&mut self) {
        context::with(|context| {
            context.with_monitors(|held| {
                // Guards may be dropped in any order; the last is by far the likeliest.
                if let Some(at) = held.iter().rposition(|other| *other == self.0) {
                    held.swap_remove(at);
                }
            });
        });
    }
}
