//! What the crate stores about each thread.
//!
//! The pools and groups that the thread works for, the observers of its sleeps, the non-reentrant locks that
//! it holds, the clock that it reads, the depth of nested tasks and drops on its stack, and whether it is a
//! thread of the crate. Each part that is more than a flag has a child module.
//!
//! All of it is one thread-local *without a destructor*: an exiting thread runs the destructors of its other
//! thread-locals, which may call anything in this crate and find the context intact. With a destructor the
//! context could be gone by then, depending on which thread-local was used first, and the call would abort
//! the process.
//!
//! A thread-local without a destructor must not own memory at the end. So the guards that fill the lists
//! empty them again, and the allocations are freed by [`Tidy`], a thread-local with a destructor that nothing
//! depends on. After `Tidy` has run, the guard that empties a list frees it.
//!
//! One other thread-local exists in the crate: a pool's worker finds its local queue through one of the
//! pool's own, since the type of the queue belongs there, and a trait object here would cost each submit an
//! indirect call.

mod blocking;
mod chain;
mod inherited;
mod inside;
mod nesting;

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;

pub(crate) use blocking::{Blocking, Observers, inherited, observed_by, observers, unobserved, work_for};
pub(crate) use chain::drop_link;
pub(crate) use inherited::Inherited;
pub(crate) use inside::{Entered, Inside, enter, is_inside};
pub(crate) use nesting::{enter_anyway, enter_nested};

use crate::clock::Clock;
use crate::sync::{Arc, sized, thread_local};
use chain::Later;
use nesting::Nesting;

/// See the module's documentation.
pub(crate) struct Context {
    /// The pools and groups that the thread works for, innermost last.
    inside: List<usize>,
    /// The observers of the thread's sleeps, outermost first.
    observers: List<Arc<dyn Blocking>>,
    /// The addresses of the monitors that the thread has locked; almost always none or one.
    monitors: List<usize>,
    /// The address of the map whose lock the thread took last; 0 if it holds none.
    map: Cell<usize>,
    /// The addresses of the maps locked before that one, outermost first; almost always none.
    outer_maps: List<usize>,
    clocks: List<Clock>,
    nesting: Cell<Nesting>,
    /// The number of nested drops of handles: see [`drop_link`].
    links: Cell<u32>,
    /// The drops that are left for the outermost of them.
    later: List<Later>,
    owes: Cell<usize>,
    /// The state of [`random`]; 0 before its first use.
    dice: Cell<u64>,
    is_helper: Cell<bool>,
    is_leaving: Cell<bool>,
    /// [`Tidy`] has run: the guard that empties a list frees it.
    is_tidied: Cell<bool>,
}

struct List<T>(RefCell<ManuallyDrop<Vec<T>>>);

impl<T> List<T> {
    const fn new() -> Self {
        List(RefCell::new(ManuallyDrop::new(Vec::new())))
    }
}

thread_local! {
    static CONTEXT: Context = const {
        Context {
            inside: List::new(),
            observers: List::new(),
            monitors: List::new(),
            map: Cell::new(0),
            outer_maps: List::new(),
            clocks: List::new(),
            nesting: Cell::new(Nesting::NONE),
            links: Cell::new(0),
            later: List::new(),
            owes: Cell::new(0),
            dice: Cell::new(0),
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

/// Returns a random number, by Marsaglia's xorshift and Vigna's multiplication: for choices that must be
/// even, not unpredictable. The address of the thread's context is the seed; in a model the numbers are the
/// same in every execution.
#[inline]
pub(crate) fn random() -> u64 {
    with(|context| {
        let mut state = match context.dice.get() {
            0 => seed(std::ptr::from_ref(context).addr()),
            state => state,
        };
        // Never 0: xorshift maps no other state to 0, and the seed is odd.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        context.dice.set(state);
        state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    })
    .unwrap_or(0)
}

/// A seed that is not 0. The contexts of threads may lie close together, so the bits are spread.
#[cold]
fn seed(address: usize) -> u64 {
    // In a model the address may differ between executions, and loom needs them all alike.
    (sized(address, 1) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1
}

/// Returns a number that no other living thread has: the address of its context. That takes a tenth of the
/// time of reading the thread's id.
#[inline]
pub(crate) fn this_thread() -> usize {
    // Unique among living threads, since each context has its own address. A thread that starts later may get
    // the same number: keys that outlive their thread must not be compared with it.
    with(|context| std::ptr::from_ref(context).addr()).unwrap_or(0)
}

impl Context {
    /// The monitors that the thread has locked.
    #[inline]
    pub(crate) fn with_monitors<R>(&self, f: impl FnOnce(&mut Vec<usize>) -> R) -> R {
        self.with_list(&self.monitors, f)
    }

    /// The address of the map whose lock the thread took last.
    #[inline]
    pub(crate) fn map(&self) -> &Cell<usize> {
        &self.map
    }

    /// The addresses of the maps locked before that one.
    pub(crate) fn with_outer_maps<R>(&self, f: impl FnOnce(&mut Vec<usize>) -> R) -> R {
        self.with_list(&self.outer_maps, f)
    }

    /// The clocks that replace the system's clock, innermost last; almost always none. `f` must not drop one,
    /// since the last reference may run the caller's code.
    #[inline]
    pub(crate) fn with_clocks<R>(&self, f: impl FnOnce(&mut Vec<Clock>) -> R) -> R {
        self.with_list(&self.clocks, f)
    }

    /// `f` must not run the caller's code.
    #[inline]
    fn with_list<T, R>(&self, list: &List<T>, f: impl FnOnce(&mut Vec<T>) -> R) -> R {
        // Cannot be borrowed already: `f` runs none of the caller's code, and the closures of this crate do
        // not nest.
        let mut list = list.0.borrow_mut();
        let (was_empty, result) = (list.is_empty(), f(&mut list));
        if was_empty && !list.is_empty() {
            // Registers the destructor that frees the memory when the thread exits.
            let _ = TIDY.try_with(|_| ());
        // `Tidy` does not run again, so the allocation would leak.
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

    /// Whether this thread belongs to the thread [cache](super::cache).
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
            // First: a destructor that runs later and fills a list again must find that it has to free it.
            context.is_tidied.set(true);
            // Each access frees the list if it is empty.
            let Context { inside, observers, monitors, outer_maps, clocks, later, .. } = context;
            for list in [inside, monitors, outer_maps] {
                context.with_list(list, |_| ());
            }
            context.with_list(observers, |_| ());
            context.with_list(clocks, |_| ());
            context.with_list(later, |_| ());
        });
    }
}
