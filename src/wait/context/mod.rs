//! What the crate knows of the thread that it runs on.
//!
//! Which pools and groups the thread works for, who hears of its sleeps, which locks it holds that are not
//! reentrant, which clock it reads, how deep tasks and drops are nested on its stack, and whether it is one of
//! the crate's own. A child module has each part that is more than a flag.
//!
//! All of it is one thread-local *without a destructor*: a thread that is on its way out runs the destructors
//! of its other thread-locals, these may call anything of this crate, and find the context as it was. With a
//! destructor it would be gone by then, depending on which thread-local was used first, and the call would
//! abort the process.
//!
//! What has no destructor must not own memory. So the lists are emptied by the guards that filled them, and
//! what they have allocated is freed by [`Tidy`], a thread-local with a destructor that nothing depends on;
//! once that has gone, the guard that empties a list frees it.
//!
//! One more thread-local of the crate's is elsewhere: a pool's worker finds its local queue by one of the
//! pool's own, since that queue's type belongs there, and a trait object here would cost each submit a call.

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

/// See the module.
pub(crate) struct Context {
    /// The pools and groups that the thread is inside of, innermost last.
    inside: List<usize>,
    /// Those who hear of the thread's sleeps, outermost first.
    observers: List<Arc<dyn Blocking>>,
    /// The monitors that the thread has locked, by their addresses; almost always none or one.
    monitors: List<usize>,
    /// The map whose lock the thread took last, by its address; 0 if it holds none.
    map: Cell<usize>,
    /// The maps around that one, outermost first; almost always none.
    outer_maps: List<usize>,
    clocks: List<Clock>,
    nesting: Cell<Nesting>,
    /// Drops of handles that are under way inside each other.
    links: Cell<u32>,
    /// What is left to be dropped when the outermost of those drops has come so far.
    later: List<Later>,
    owes: Cell<usize>,
    /// Of [`random`]; 0 before it is used.
    dice: Cell<u64>,
    is_helper: Cell<bool>,
    is_leaving: Cell<bool>,
    /// [`Tidy`] has gone: whoever empties a list frees it.
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

// With a destructor the context would not outlive those of other thread-locals.
const _: () = assert!(!std::mem::needs_drop::<Context>());

/// Calls `f` with this thread's context. `None` happens in models alone, whose thread-locals end with their
/// thread, destructor or not.
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(&Context) -> R) -> Option<R> {
    CONTEXT.try_with(f).ok()
}

/// A random number, by Marsaglia's xorshift and Vigna's multiplication: for choices that are to be even, not
/// secret. A thread's numbers follow from where its context lies; those of a model are the same in every execution.
#[inline]
pub(crate) fn random() -> u64 {
    with(|context| {
        let mut state = match context.dice.get() {
            0 => seed(std::ptr::from_ref(context).addr()),
            state => state,
        };
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        context.dice.set(state);
        state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    })
    .unwrap_or(0)
}

/// Not 0. Neighbouring threads have contexts at neighbouring addresses, so the bits are spread.
#[cold]
fn seed(address: usize) -> u64 {
    (sized(address, 1) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1
}

/// A number that no other living thread has: where its context is. A tenth of the cost of asking for the
/// thread's id.
#[inline]
pub(crate) fn this_thread() -> usize {
    with(|context| std::ptr::from_ref(context).addr()).unwrap_or(0)
}

impl Context {
    /// The monitors that the thread has locked.
    #[inline]
    pub(crate) fn with_monitors<R>(&self, f: impl FnOnce(&mut Vec<usize>) -> R) -> R {
        self.with_list(&self.monitors, f)
    }

    /// The map whose lock the thread took last.
    #[inline]
    pub(crate) fn map(&self) -> &Cell<usize> {
        &self.map
    }

    /// The maps around that one.
    pub(crate) fn with_outer_maps<R>(&self, f: impl FnOnce(&mut Vec<usize>) -> R) -> R {
        self.with_list(&self.outer_maps, f)
    }

    /// The clocks that stand in the place of the system's, innermost last; almost always none. The last
    /// reference to one may lead to the caller's code, so it is not dropped in `f`.
    #[inline]
    pub(crate) fn with_clocks<R>(&self, f: impl FnOnce(&mut Vec<Clock>) -> R) -> R {
        self.with_list(&self.clocks, f)
    }

    /// None of the caller's code may run in `f`.
    #[inline]
    fn with_list<T, R>(&self, list: &List<T>, f: impl FnOnce(&mut Vec<T>) -> R) -> R {
        let mut list = list.0.borrow_mut();
        let (was_empty, result) = (list.is_empty(), f(&mut list));
        if was_empty && !list.is_empty() {
            // Has the memory freed when the thread ends.
            let _ = TIDY.try_with(|_| ());
        } else if self.is_tidied.get() && list.is_empty() {
            **list = Vec::new();
        }
        result
    }

    /// Others may wait for what this thread does now, once more.
    pub(crate) fn owe(&self) {
        self.owes.set(self.owes.get() + 1);
    }

    /// Takes one [`owe`](Context::owe) back.
    pub(crate) fn settle(&self) {
        self.owes.set(self.owes.get() - 1);
    }

    /// Whether somebody may wait for what this thread does now.
    pub(crate) fn is_owing(&self) -> bool {
        self.owes.get() > 0
    }

    /// Whether this is one of the [cache](super::cache)'s threads.
    pub(crate) fn is_helper(&self) -> bool {
        self.is_helper.get()
    }

    pub(crate) fn become_helper(&self) {
        self.is_helper.set(true);
    }

    /// Whether this is a thread of the crate's that has done its work.
    pub(crate) fn is_leaving(&self) -> bool {
        self.is_leaving.get()
    }

    /// The thread has done its work: what it runs from here on are the destructors of thread-locals.
    pub(crate) fn leave(&self) {
        self.is_leaving.set(true);
    }
}

/// Frees the memory of the lists when the thread ends.
struct Tidy;

impl Drop for Tidy {
    fn drop(&mut self) {
        with(|context| {
            context.is_tidied.set(true);
            // Frees what is empty.
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
