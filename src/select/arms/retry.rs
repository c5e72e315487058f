//! An arm that is woken when an attempt may succeed, and then makes the attempt itself. Most arms work this
//! way.

use crate::select::arm::Arm;
use crate::select::engine::RawArm;
use crate::sync::Arc;
use crate::wait::graph::Awaited;
use crate::wait::{Outcome, PATIENCE, WaitPoint, Waiter};

/// A wait point, and the attempt that is made when it is ready.
pub(super) struct Retry<P, F, R> {
    point: P,
    attempt: F,
    outcome: Option<R>,
    lost: usize,
}

impl<P: WaitPoint, F: FnMut(&P) -> Option<R>, R> Retry<P, F, R> {
    #[inline]
    pub(super) fn new(point: P, attempt: F) -> Self {
        Retry { point, attempt, outcome: None, lost: 0 }
    }
}

impl<P: WaitPoint, F: FnMut(&P) -> Option<R>, R> RawArm for Retry<P, F, R> {
    #[inline]
    fn attempt(&mut self) -> bool {
        self.outcome = (self.attempt)(&self.point);
        self.outcome.is_some()
    }

    fn join(&mut self, waiter: &Waiter) -> bool {
        // The wait point checks and joins in one critical section, so no wake-up is missed in between.
        self.point.join(waiter)
    }

    fn leave(&mut self, waiter: &Waiter) {
        self.point.leave(waiter);
    }

    fn pass_on(&mut self, _ended: Outcome) {
        // Woken and not claimed: the next waiter gets the wake-up, if there still is something to take.
        self.point.pass_on();
    }

    fn lose(&mut self) {
        self.lost += 1;
        // Once, when the count is reached: the turn lasts until it is ended in `rest`.
        if self.lost == PATIENCE {
            self.point.take_turn();
        }
    }

    fn rest(&mut self) {
        // The selection is over. A turn that outlived it would exclude other threads for nothing.
        self.lost = 0;
        self.point.end_turn();
    }

    fn awaited(&self) -> Option<Arc<dyn Awaited>> {
        self.point.awaited()
    }
}

impl<P: WaitPoint, F: FnMut(&P) -> Option<R>, R> Arm for Retry<P, F, R> {
    type Output = R;

    #[inline]
    fn output(&mut self) -> R {
        super::brought(&mut self.outcome)
    }
}
