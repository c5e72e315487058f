//! For which pools a thread works: whose workers wait for it, or are it.
//!
//! A worker that waits for room in the queue of its own pool, or for a task in it, may wait for itself. So does a
//! thread that helps a worker with a scope: the worker waits for the helper. Such threads are *inside* the pool,
//! and its calls treat them alike.
//!
//! The threads that run a group's tasks are inside the group, in the same sense: a task that waits for its own group
//! would wait for itself.

use std::cell::RefCell;

use crate::sync::thread_local;

thread_local! {
    static INSIDE: RefCell<Inside> = RefCell::new(Inside::default());
    /// Its address is what matters.
    static KEY: u8 = const { 0 };
}

/// Pools and groups, by the addresses of what their threads share. Each is alive for as long as somebody is inside it, so no
/// address is that of a later pool.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inside(Vec<usize>);

impl Inside {
    /// Where this thread is.
    pub(crate) fn current() -> Self {
        INSIDE.with(|inside| inside.borrow().clone())
    }

    /// Inside that one pool.
    pub(crate) fn of(pool: usize) -> Self {
        Inside(vec![pool])
    }

    /// Puts this thread there, besides where it is, until the guard is dropped.
    pub(crate) fn enter(&self) -> Entered {
        INSIDE.with(|inside| {
            let mut inside = inside.borrow_mut();
            let before = inside.0.len();
            let new: Vec<usize> = self.0.iter().copied().filter(|pool| !inside.0.contains(pool)).collect();
            inside.0.extend(new);
            Entered { before }
        })
    }
}

/// Puts this thread inside one more, which it is not inside of yet, until the guard is dropped.
pub(crate) fn enter(key: usize) -> Entered {
    INSIDE.with(|inside| {
        let mut inside = inside.borrow_mut();
        let before = inside.0.len();
        inside.0.push(key);
        Entered { before }
    })
}

/// True if this thread is inside the pool.
#[inline]
pub(crate) fn is_inside(pool: usize) -> bool {
    // A thread whose thread-locals are gone is no worker any more.
    INSIDE.try_with(|inside| inside.borrow().0.contains(&pool)).unwrap_or(false)
}

/// True if this thread is inside any pool.
pub(crate) fn is_anywhere() -> bool {
    INSIDE.try_with(|inside| !inside.borrow().0.is_empty()).unwrap_or(false)
}

/// A number that no other living thread has; a tenth of the cost of asking for the thread's id.
#[inline]
pub(crate) fn this_thread() -> usize {
    KEY.with(|key| std::ptr::from_ref(key).addr())
}

/// See [`Inside::enter`]. Guards are dropped in the reverse of the order in which they were made.
#[must_use = "dropping it puts the thread back"]
pub(crate) struct Entered {
    before: usize,
}

impl Drop for Entered {
    fn drop(&mut self) {
        INSIDE.with(|inside| inside.borrow_mut().0.truncate(self.before));
    }
}
