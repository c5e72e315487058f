//! The arm that waits until a count is zero.

use super::retry::Retry;
use crate::latch::{Count, Latch, WaitGroup};
use crate::select::arm::Arm;

/// An object that opens when its count is zero: a [`Latch`] or a [`WaitGroup`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no count that reaches zero",
    note = "`wait` takes a reference to a `Latch` or to a `WaitGroup`; for a handle there is `join`"
)]
pub trait Opens: sealed::Opens {}

/// Waits until a latch opens, or until a wait group has no members.
///
/// # Ordering
/// A thread's actions before it counts down, or leaves the group, are visible after the wait.
#[inline]
pub fn wait<O: Opens + ?Sized>(counted: &O) -> impl Arm<Output = ()> + use<'_, O> {
    let count = counted.count_to_zero();
    // Every waiter is woken at zero and nothing is taken, so no wake-up has to be passed on.
    Retry::new(count.point(), |_: &_| (count.get() == 0).then_some(()))
}

mod sealed {
    use super::Count;

    pub trait Opens {
        fn count_to_zero(&self) -> &Count;
    }
}

impl Opens for Latch {}
impl sealed::Opens for Latch {
    fn count_to_zero(&self) -> &Count {
        self.inner()
    }
}

impl Opens for WaitGroup {}
impl sealed::Opens for WaitGroup {
    fn count_to_zero(&self) -> &Count {
        self.inner()
    }
}
