//! What a selection is made of.

use std::time::Instant;

use super::engine::RawArm;
use crate::clock::Clock;
use crate::sync::Arc;
use crate::wait::graph::Awaited;
use crate::wait::{Outcome, Waiter};

/// One of the operations that a selection waits for.
///
/// The functions of [this module](super) make them; no other type can be one. An `Option` is an arm, too:
/// `None` is never ready.
#[must_use = "an arm does nothing until a selection is made of it"]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an operation that can be selected",
    note = "arms are made by the functions of `selvedge::select`, such as `pop(&queue)` or `join(&mut task)`"
)]
pub trait Arm: RawArm {
    /// What the operation brings.
    type Output;

    /// Takes what it brought. Called once after it has taken effect.
    #[doc(hidden)]
    fn output(&mut self) -> Self::Output;
}

/// `None` is never ready: the arm is turned off.
impl<A: RawArm> RawArm for Option<A> {
    #[inline]
    fn attempt(&mut self) -> bool {
        self.as_mut().is_some_and(A::attempt)
    }

    fn join(&mut self, waiter: &Waiter) -> bool {
        self.as_mut().is_none_or(|arm| arm.join(waiter))
    }

    fn join_to_ask(&mut self, waiter: &Waiter) -> bool {
        self.as_mut().is_none_or(|arm| arm.join_to_ask(waiter))
    }

    fn leave(&mut self, waiter: &Waiter) {
        self.as_mut().into_iter().for_each(|arm| arm.leave(waiter));
    }

    fn claim(&mut self, ended: Outcome) -> bool {
        self.as_mut().is_some_and(|arm| arm.claim(ended))
    }

    fn pass_on(&mut self, ended: Outcome) {
        self.as_mut().into_iter().for_each(|arm| arm.pass_on(ended));
    }

    fn lose(&mut self) {
        self.as_mut().into_iter().for_each(A::lose);
    }

    fn rest(&mut self) {
        self.as_mut().into_iter().for_each(A::rest);
    }

    fn instant(&self) -> Option<(Clock, Instant)> {
        self.as_ref()?.instant()
    }

    fn help(&mut self) -> bool {
        self.as_mut().is_some_and(A::help)
    }

    fn awaited(&self) -> Option<Arc<dyn Awaited>> {
        self.as_ref()?.awaited()
    }

    fn refuse(&mut self) {
        self.as_mut().into_iter().for_each(A::refuse);
    }
}

impl<A: Arm> Arm for Option<A> {
    type Output = A::Output;

    #[inline]
    fn output(&mut self) -> A::Output {
        self.as_mut().expect("an arm that is turned off takes no effect").output()
    }
}

/// The same arm: in the macro, for one that was made before, or is an `Option`.
#[inline]
pub fn arm<A: Arm>(arm: A) -> A {
    arm
}
