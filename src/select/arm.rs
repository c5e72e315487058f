//! The arms of a selection, as its caller sees them.

use std::time::Instant;

use super::engine::RawArm;
use crate::clock::Clock;
use crate::sync::Arc;
use crate::wait::graph::Awaited;
use crate::wait::{Outcome, Waiter};

/// An operation that a selection waits for.
///
/// Made by the functions of [this module](super); no other type can implement it. `Option<A>` is an arm if
/// `A` is one: `None` is never ready.
///
/// An arm does nothing until a selection calls it, and nothing more after the selection has ended. Dropping
/// an arm undoes nothing, since an arm that did not take effect has had no effect.
///
/// # Examples
/// ```
/// use selvedge::select::Arm;
/// use selvedge::{BoundedQueue, select};
///
/// fn either<A: Arm, B: Arm<Output = A::Output>>(a: A, b: B) -> A::Output {
///     select! {
///         arm(a) -> output => output,
///         arm(b) -> output => output,
///     }
/// }
///
/// let (first, second) = (BoundedQueue::new(1), BoundedQueue::new(1));
/// second.push(7).unwrap();
/// assert_eq!(either(select::pop(&first), select::pop(&second)), Ok(7));
/// ```
#[must_use = "an arm does nothing until a selection is made of it"]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an operation that can be selected",
    note = "arms are made by the functions of `selvedge::select`, such as `pop(&queue)` or `join(&mut task)`"
)]
pub trait Arm: RawArm {
    /// The result of the operation.
    type Output;

    /// Returns the result. Called once, after the arm has taken effect.
    #[doc(hidden)]
    fn output(&mut self) -> Self::Output;
}

/// `None` is never ready: the arm is disabled.
impl<A: RawArm> RawArm for Option<A> {
    #[inline]
    fn attempt(&mut self) -> bool {
        self.as_mut().is_some_and(A::attempt)
    }

    #[inline]
    fn attempt_if_likely(&mut self) -> bool {
        self.as_mut().is_some_and(A::attempt_if_likely)
    }

    fn join(&mut self, waiter: &Waiter) -> bool {
        // `None` claims to have joined, since false would mean that it is ready. It has no list, so it never
        // ends the wait.
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
        // `None` here means that any thread may end this arm. It is too careful for a disabled arm: a cycle
        // may go unreported, but no wait is refused wrongly.
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

/// Returns its argument. In the macro, it takes an arm that was made before or that is an `Option`.
#[inline]
pub fn arm<A: Arm>(arm: A) -> A {
    arm
}
