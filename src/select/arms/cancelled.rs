//! The arm that waits for a cancel.

use std::time::Instant;

use crate::cancel::{CancelToken, Watch};
use crate::clock::Clock;
use crate::select::arm::Arm;
use crate::select::engine::RawArm;
use crate::wait::Waiter;

/// Waits until a token is cancelled or its deadline passes.
///
/// This is an arm like any other: if several arms are ready, any of them may take effect. The token of
/// `until`, in contrast, has precedence over all arms.
///
/// # Ordering
/// A thread's actions before it cancels the token are visible after the wait.
#[inline]
pub fn cancelled(token: &CancelToken) -> impl Arm<Output = ()> {
    Cancelled { token, watch: None }
}

struct Cancelled<'a> {
    token: &'a CancelToken,
    watch: Option<Watch<'a>>,
}

impl RawArm for Cancelled<'_> {
    fn attempt(&mut self) -> bool {
        // Nothing is taken, so a claim cannot fail and nothing need be passed on.
        self.token.is_cancelled()
    }

    fn join(&mut self, waiter: &Waiter) -> bool {
        // If the token is already cancelled, this ends the waiter at once, so no cancel is missed between the
        // attempt and the sleep.
        self.watch = self.token.end_wait(waiter, Ok(()));
        true
    }

    fn leave(&mut self, _waiter: &Waiter) {
        // Dropping the watch removes the waiter from the token.
        self.watch = None;
    }

    fn instant(&self) -> Option<(Clock, Instant)> {
        // A deadline calls no list; the engine's sleep ends at this instant instead.
        Some((self.token.clock().clone(), self.token.deadline()?))
    }
}

impl Arm for Cancelled<'_> {
    type Output = ();

    fn output(&mut self) {}
}
