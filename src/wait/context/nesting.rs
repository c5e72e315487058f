//! How deep tasks run inside each other on the thread's stack.

use super::with;
use crate::sync::sized;

/// Tasks inside each other on one stack.
const LEVELS: u32 = sized(64, 1) as u32;
/// What they may take of the stack, of which a thread has 2 MiB where nothing else is said.
const BYTES: usize = 256 << 10;

#[derive(Clone, Copy)]
pub(super) struct Nesting {
    levels: u32,
    /// Where the stack was at the first level.
    base: usize,
}

impl Nesting {
    pub(super) const NONE: Nesting = Nesting { levels: 0, base: 0 };
}

#[inline]
fn current() -> Nesting {
    with(|context| context.nesting.get()).unwrap_or(Nesting::NONE)
}

/// Another task runs on this thread's stack, inside the one that runs there, until the guard is dropped.
/// `None` if it should not, because too many do.
#[inline]
pub(crate) fn enter_nested() -> Option<Nested> {
    let before = current();
    let here = std::ptr::from_ref(&before).addr();
    let base = if before.levels == 0 { here } else { before.base };
    (before.levels < LEVELS && here.abs_diff(base) < BYTES).then(|| Nested::new(before, base))
}

/// Counts a level more than [`enter_nested`] allows.
pub(crate) fn enter_anyway() -> Nested {
    let before = current();
    Nested::new(before, before.base)
}

/// See [`enter_nested`]. Guards are dropped in the reverse of the order in which they were made.
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
