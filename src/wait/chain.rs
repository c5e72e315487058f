//! Results in which lie handles to further results, dropped without a stack frame for each.
//!
//! Dropping a handle drops the result that nobody will take, and that may hold another handle: a chain of
//! tasks, each of which has the one before in its result, is as long as the caller made it. Each link is a
//! few frames on the stack, of which a thread has 2 MiB where nothing else is said: a chain of 100,000 ended
//! the process. So the links are counted, and one that would be too deep goes into a list of the thread's.
//! The outermost drop empties that list before it returns, link by link, on the stack that it has. Trees of
//! handles go the same way.
//!
//! Seen from outside, such a handle is dropped, and its result goes a little later: still on the same thread,
//! and before the drop of the outermost handle returns. So this is for handles whose results borrow nothing.

use std::cell::{Cell, RefCell};
use std::mem::{self, ManuallyDrop};

use crate::panics;
use crate::sync::thread_local;

/// Links inside each other on one stack. One takes 1 KiB in a build without optimisation, and what the
/// caller's own drops take.
const LINKS: u32 = 32;

/// What is left to be dropped when the outermost drop has come so far.
type Later = Vec<Box<dyn FnOnce()>>;

/// Without a destructor: handles are dropped in those of other thread-locals, too. What the list has
/// allocated is freed by the outermost drop, which leaves it empty.
struct Chain {
    depth: Cell<u32>,
    later: RefCell<ManuallyDrop<Later>>,
}

thread_local! {
    static CHAIN: Chain =
        const { Chain { depth: Cell::new(0), later: RefCell::new(ManuallyDrop::new(Vec::new())) } };
}

const _: () = assert!(!mem::needs_drop::<Chain>());

/// Drops what a handle holds: by `here`, or where too many such drops are under way on this stack, by what
/// `later` gives, when they have ended.
#[inline]
pub(crate) fn drop_link<V>(held: V, here: impl FnOnce(V), later: impl FnOnce(V) -> Box<dyn FnOnce()>) {
    // A model's thread-locals end with their thread, destructor or not; then nothing is counted.
    let Ok(depth) = CHAIN.try_with(|chain| chain.depth.get()) else { return here(held) };
    if depth >= LINKS {
        let later = later(held);
        CHAIN.with(|chain| chain.later.borrow_mut().push(later));
        return;
    }
    let _link = Link::enter(depth);
    here(held);
}

/// One drop more is under way.
struct Link {
    before: u32,
}

impl Link {
    #[inline]
    fn enter(before: u32) -> Self {
        CHAIN.with(|chain| chain.depth.set(before + 1));
        Link { before }
    }
}

impl Drop for Link {
    #[inline]
    fn drop(&mut self) {
        CHAIN.with(|chain| {
            if self.before == 0 {
                chain.empty();
            }
            chain.depth.set(self.before);
        });
    }
}

impl Chain {
    /// Drops what was left, and what that leaves. This drop is under way meanwhile, so each begins at the
    /// second link.
    #[inline]
    fn empty(&self) {
        while let Some(batch) = self.take() {
            // What is run here is the caller's drops, which nobody may unwind into: the others are to go as
            // well.
            batch.into_iter().for_each(|drop| _ = panics::contain(drop));
        }
    }

    #[inline]
    fn take(&self) -> Option<Later> {
        let mut later = self.later.borrow_mut();
        (!later.is_empty()).then(|| mem::take(&mut **later))
    }
}
