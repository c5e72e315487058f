//! Counts that reach zero.

use super::retry::Retry;
use crate::latch::{Count, Latch, WaitGroup};
use crate::select::arm::Arm;

/// What opens when a count is zero: a [`Latch`] or a [`WaitGroup`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no count that reaches zero",
    note = "`wait` takes a reference to a `Latch` or to a `WaitGroup`; for a handle there is `join`"
)]
pub trait Opens: sealed::Opens {}

/// Waits until a latch opens or nobody is in a wait group.
#[inline]
pub fn wait<O: Opens + ?Sized>(counted: &O) -> impl Arm<Output = ()> + use<'_, O> {
    let count = counted.count_to_zero();
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
