//! What the crate stores about each thread.
//!
//! The pools and groups that the thread works for, the observers of its sleeps, the monitors that it has
//! locked, the clock that it reads, and whether it is a thread of the crate. All of it is one thread-local
//! *without a destructor*: an exiting thread runs the destructors of its other thread-locals, which may call
//! anything in this crate and find the context intact. With a destructor the context could be gone by then,
//! depending on which thread-local was used first, and the call would abort the process.
//!
//! A thread-local without a destructor must not own memory at the end. So the guards that fill the lists
//! empty them again, and the allocations are freed by [`Tidy`], a thread-local with a destructor that nothing
//! depends on. After `Tidy` has run, the guard that empties a list frees it.

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;

use super::Observers;
use crate::clock::Clock;
use crate::sync::thread_local;

/// See the module's documentation.
pub(crate) struct Context {
    inside: List<usize>,
    observers: RefCell<ManuallyDrop<Observers>>,
    held: List<usize>,
    clocks: List<Clock>,
    owes: Cell<usize>,
    is_helper: Cell<bool>,
    is_leaving: Cell<bool>,
    /// [`Tidy`] has run: the guard that empties a list frees it.
    is_tidied: Cell<bool>,
}

type List<T> = RefCell<ManuallyDrop<Vec<T>>>;

thread_local! {
    static CONTEXT: Context = const {
        Context {
            inside: RefCell::new(ManuallyDrop::new(Vec::new())),
            observers: RefCell::new(ManuallyDrop::new(Vec::new())),
            held: RefCell::new(ManuallyDrop::new(Vec::new())),
            clocks: RefCell::new(ManuallyDrop::new(Vec::new())),
            owes: Cell::new(0),
            is_helper: Cell::new(false),
            is_leaving: Cell::new(false),
            is_tidied: Cell::new(false),
        }
    };
    static TIDY: Tidy = const { Tidy };
}

// With a destructor the context would not outlive other thread-locals.
const _: () = assert!(!std::mem::needs_drop::<Context>());

/// Calls `f` with this thread's context. `None` occurs only in models, whose thread-locals end with their
/// thread even without a destructor.
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(&Context) -> R) -> Option<R> {
    CONTEXT.try_with(f).ok()
}

impl Context {
    /// The pools and groups that the thread works for, innermost last.
    #[inline]
    pub(crate) fn with_inside<R>(&self, f: impl FnOnce(&mut Vec<usize>) -> R) -> R {
        self.with_list(&self.inside, f)
    }

    /// The observers of the thread's sleeps, outermost first. `f` must not run the caller's code.
    #[inline]
    pub(crate) fn with_observers<R>(&self, f: impl FnOnce(&mut Observers) -> R) -> R {
        self.with_list(&self.observers, f)
    }

    /// The addresses of the monitors that the thread has locked; almost always none or one.
    #[inline]
    pub(crate) fn with_held<R>(&self, f: impl FnOnce(&mut Vec<usize>) -> R) -> R {
        self.with_list(&self.held, f)
    }

    /// The clocks that replace the system's clock, innermost last; almost always none. `f` must not drop one,
    /// since the last reference may run the caller's code.
    #[inline]
    pub(crate) fn with_clocks<R>(&self, f: impl FnOnce(&mut Vec<Clock>) -> R) -> R {
        self.with_list(&self.clocks, f)
    }

    #[inline]
    fn with_list<T, R>(&self, list: &List<T>, f: impl FnOnce(&mut Vec<T>) -> R) -> R {
        let mut list = list.borrow_mut();
        let (was_empty, result) = (list.is_empty(), f(&mut list));
        if was_empty && !list.is_empty() {
            // Registers the destructor that frees the memory when the thread exits.
            let _ = TIDY.try_with(|_| ());
        } else if self.is_tidied.get() && list.is_empty() {
            **list = Vec::new();
        }
        result
    }

    /// Increments the number of results that this thread owes.
    pub(crate) fn owe(&self) {
        self.owes.set(self.owes.get() + 1);
    }

    /// Decrements it.
    pub(crate) fn settle(&self) {
        self.owes.set(self.owes.get() - 1);
    }

    /// Whether other threads may wait for this one.
    pub(crate) fn is_owing(&self) -> bool {
        self.owes.get() > 0
    }

    /// Whether this thread belongs to the thread [`cache`](super::cache).
    pub(crate) fn is_helper(&self) -> bool {
        self.is_helper.get()
    }

    pub(crate) fn become_helper(&self) {
        self.is_helper.set(true);
    }

    /// Whether this is a thread of the crate that has finished its work.
    pub(crate) fn is_leaving(&self) -> bool {
        self.is_leaving.get()
    }

    /// Records that the thread has finished its work: from here on it runs only destructors of thread-locals.
    pub(crate) fn leave(&self) {
        self.is_leaving.set(true);
    }
}

/// Frees the memory of the lists when the thread exits.
struct Tidy;

impl Drop for Tidy {
    fn drop(&mut self) {
        with(|context| {
            context.is_tidied.set(true);
            // Each access frees the list if it is empty.
            context.with_inside(|_| ());
            context.with_observers(|_| ());
            context.with_held(|_| ());
            context.with_clocks(|_| ());
        });
    }
}
