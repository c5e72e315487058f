//! How deep tasks run inside each other on one stack, and what becomes of those that would be deeper.
//!
//! A worker that joins a task which nobody has started runs it, a thread that ends a scope runs what is left
//! of it, and those tasks may join and end scopes themselves. Each is a few frames more on the stack, which
//! ends at some 1,000 of them in a build without optimisation. So after so many, or so many bytes, the next
//! one runs on a helper, on a stack of its own, while this thread waits for it. For everybody else nothing is
//! different: the helper is inside what this thread is inside of, and its sleeps are told to those who are
//! told of this thread's. The wait itself is told to nobody, because the work goes on.

use std::cell::Cell;

use super::Inherited;
use crate::inside::this_thread;
use crate::sync::{Arc, sized, thread_local};
use crate::until::Until;
use crate::wait::graph::{self, Owner};
use crate::wait::{Waiter, unobserved};

/// Tasks inside each other on one stack.
const LEVELS: u32 = sized(64, 1) as u32;
/// What they may take of the stack, of which a thread has 2 MiB where nothing else is said.
const BYTES: usize = 256 << 10;

thread_local! {
    static NESTING: Cell<Nesting> = const { Cell::new(Nesting { levels: 0, base: 0 }) };
}

#[derive(Clone, Copy)]
struct Nesting {
    levels: u32,
    /// Where the stack was at the first level.
    base: usize,
}

/// Another task runs on this thread's stack, inside the one that runs there, until the guard is dropped.
/// `None` if it should not, because too many do.
#[inline]
pub(crate) fn enter() -> Option<Nested> {
    // On a thread whose thread-locals are gone nothing is counted, and no worker is such a thread.
    let before = NESTING.try_with(Cell::get).unwrap_or(Nesting { levels: 0, base: 0 });
    let here = std::ptr::from_ref(&before).addr();
    let base = if before.levels == 0 { here } else { before.base };
    (before.levels < LEVELS && here.abs_diff(base) < BYTES).then(|| Nested::new(before, base))
}

/// Counts a level more than [`enter`] allows.
pub(crate) fn enter_anyway() -> Nested {
    let before = NESTING.try_with(Cell::get).unwrap_or(Nesting { levels: 0, base: 0 });
    Nested::new(before, before.base)
}

/// See [`enter`]. Guards are dropped in the reverse of the order in which they were made.
#[must_use = "dropping it ends the level"]
pub(crate) struct Nested {
    before: Nesting,
}

impl Nested {
    #[inline]
    fn new(before: Nesting, base: usize) -> Self {
        let _ = NESTING.try_with(|nesting| nesting.set(Nesting { levels: before.levels + 1, base }));
        Nested { before }
    }
}

impl Drop for Nested {
    #[inline]
    fn drop(&mut self) {
        let _ = NESTING.try_with(|nesting| nesting.set(self.before));
    }
}

/// Runs `f` on a helper, in the place of this thread, and waits for its end. If no thread is to be had it
/// runs here: the stack may well be deep enough.
#[cold]
pub(crate) fn run_elsewhere(f: Arc<dyn Fn() + Send + Sync>) {
    let inherited = Inherited::whole();
    let end = End(Waiter::new());
    let waiter = end.0.clone();
    let owner = Owner::new(None);
    let called = super::call({
        let (f, owner) = (Arc::clone(&f), Arc::clone(&owner));
        move || {
            owner.set(this_thread());
            let _end = end;
            let f = f; // goes before the end is told
            inherited.run(|| f());
        }
    });
    match called {
        // Ended by the guard, which the helper drops whatever becomes of `f`.
        Ok(()) => {
            // Until then this thread stands for what the helper runs: it must not be told of a circle, which
            // whoever closes it inside is.
            let _edge = graph::enter(|| Some(owner), &waiter, false);
            let _ = unobserved(|| Until::forever().start().sleep(&waiter));
        }
        Err(_) => {
            let _nested = enter_anyway();
            f();
        }
    }
}

/// Ends the wait of who called a helper, when dropped.
struct End(Waiter);

impl Drop for End {
    fn drop(&mut self) {
        drop(self.0.end(Ok(())));
    }
}
