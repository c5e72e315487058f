//! For which pools a thread works: whose workers wait for it, or are it.
//!
//! A worker that waits for room in the queue of its own pool, or for a task in it, may wait for itself. So does a
//! thread that helps a worker with a scope: the worker waits for the helper. Such threads are *inside* the pool,
//! and its calls treat them alike.

use std::cell::RefCell;
use std::mem;

use crate::sync::thread_local;

thread_local! {
    static INSIDE: RefCell<Inside> = RefCell::new(Inside::default());
    /// Its address is what matters.
    static KEY: u8 = const { 0 };
}

/// Pools, by the addresses of what their threads share. Each is alive for as long as somebody is inside it, so no
/// address is that of a later pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inside(Vec<usize>);

impl Inside {
    /// Where this thread is.
    pub(crate) fn current() -> Self {
        INSIDE.with(|inside| inside.borrow().clone())
    }

    /// The same, and inside `pool` as well.
    pub(crate) fn and(mut self, pool: usize) -> Self {
        if !self.0.contains(&pool) {
            self.0.push(pool);
        }
        self
    }

    /// Puts this thread there, until the guard is dropped.
    pub(crate) fn enter(self) -> Entered {
        Entered { before: INSIDE.with(|inside| mem::replace(&mut *inside.borrow_mut(), self)) }
    }
}

/// True if this thread is inside the pool.
#[inline]
pub(crate) fn is_inside(pool: usize) -> bool {
    // A thread whose thread-locals are gone is no worker any more.
    INSIDE.try_with(|inside| inside.borrow().0.contains(&pool)).unwrap_or(false)
}

/// A number that no other living thread has; a tenth of the cost of asking for the thread's id.
#[inline]
pub(crate) fn this_thread() -> usize {
    KEY.with(|key| std::ptr::from_ref(key).addr())
}

/// See [`Inside::enter`].
#[must_use = "dropping it puts the thread back"]
pub(crate) struct Entered {
    before: Inside,
}

impl Drop for Entered {
    fn drop(&mut self) {
        INSIDE.with(|inside| mem::swap(&mut *inside.borrow_mut(), &mut self.before));
    }
}
