//! The depth of tasks nested on a thread's stack.

use super::with;
use crate::sync::sized;

/// The number of tasks nested on one stack.
const LEVELS: u32 = sized(64, 1) as u32;
/// The stack that they may use. A thread has a stack of 2 MiB by default.
const BYTES: usize = 256 << 10;

#[derive(Clone, Copy)]
pub(super) struct Nesting {
    levels: u32,
    /// The stack address at the first level.
    base: usize,
}

impl Nesting {
    pub(super) const NONE: Nesting = Nesting { levels: 0, base: 0 };
}

#[inline]
fn current() -> Nesting {
    with(|context| context.nesting.get()).unwrap_or(Nesting::NONE)
}

/// Enters another level of nesting, until the guard is dropped. `None` if the tasks on this stack are nested
/// too deeply already.
#[inline]
pub(crate) fn enter_nested() -> Option<Nested> {
    let before = current();
    // The address of a local is close to the stack pointer. The first level is the base, so the stack that
    // the caller used before is not counted.
    let here = std::ptr::from_ref(&before).addr();
    let base = if before.levels == 0 { here } else { before.base };
    // Both limits: frames may be large, so the number of levels alone does not bound the stack.
    (before.levels < LEVELS && here.abs_diff(base) < BYTES).then(|| Nested::new(before, base))
}

/// Enters a level even if [`enter_nested`] would not.
pub(crate) fn enter_anyway() -> Nested {
    let before = current();
    Nested::new(before, before.base)
}

/// See [`enter_nested`]. Guards are dropped in the reverse order of their creation.
#[must_use = "dropping it ends the level"]
pub(crate) struct Nested {
    before: Nesting,
}

impl Nested {
    #[inline]
    fn new(before: Nesting, base: usize) -> Self {
        with(|context| context.nesting.set(Nesting { levels: before.levels + 1, base }));
        Nested { before }
    }
}

impl Drop for Nested {
    #[inline]
    fn drop(&mut self) {
        with(|context| context.nesting.set(self.before));
    }
}
