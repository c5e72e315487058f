//! Tokens.

use std::time::Instant;

use crate::cancel::{CancelToken, Watch};
use crate::clock::Clock;
use crate::select::arm::Arm;
use crate::select::engine::RawArm;
use crate::wait::Waiter;

/// Waits until a token is cancelled, or its deadline passes.
///
/// It is an arm like others: of several that are ready any may take effect. The token of `until` comes before
/// all of them.
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
        self.token.is_cancelled()
    }

    fn join(&mut self, waiter: &Waiter) -> bool {
        // If the token is cancelled by now, this has ended the waiter.
        self.watch = self.token.end_wait(waiter, Ok(()));
        true
    }

    fn leave(&mut self, _waiter: &Waiter) {
        self.watch = None;
    }

    fn instant(&self) -> Option<(Clock, Instant)> {
        Some((self.token.clock().clone(), self.token.deadline()?))
    }
}

impl Arm for Cancelled<'_> {
    type Output = ();

    fn output(&mut self) {}
}
