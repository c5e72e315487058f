//! The monitors that this thread has locked, so that waiting for itself is an error instead of a hang.
//!
//! A list in the thread rather than a mark in the monitor: a mark would be one more store that other threads
//! see, and models would explore each moment at which they might.

use crate::wait::context;

/// This thread has locked the monitor at that address, until this is dropped.
#[must_use = "dropping it forgets that the lock is held"]
pub(super) struct Held(usize);

impl Held {
    #[inline]
    pub(super) fn new(monitor: usize) -> Self {
        context::with(|context| context.with_monitors(|held| held.push(monitor)));
        Held(monitor)
    }
}

/// Whether this thread has locked the monitor at that address.
pub(super) fn is_held(monitor: usize) -> bool {
    context::with(|context| context.with_monitors(|held| held.contains(&monitor))).unwrap_or(false)
}

impl Drop for Held {
    #[inline]
    fn drop(&mut self) {
        context::with(|context| {
            context.with_monitors(|held| {
                // Guards may be dropped in any order, most often in reverse.
                if let Some(at) = held.iter().rposition(|other| *other == self.0) {
                    held.swap_remove(at);
                }
            });
        });
    }
}
