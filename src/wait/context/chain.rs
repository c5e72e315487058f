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

use std::mem;

use super::{Context, with};
use crate::panics;

/// Links inside each other on one stack. One takes 1 KiB in a build without optimisation, and what the
/// caller's own drops take.
const LINKS: u32 = 32;

/// A handle's result that is dropped when the outermost drop has come so far, which leaves none of them.
pub(super) type Later = Box<dyn FnOnce()>;

/// Drops what a handle holds: by `here`, or where too many such drops are under way on this stack, by what
/// `later` gives, when they have ended.
#[inline]
pub(crate) fn drop_link<V>(held: V, here: impl FnOnce(V), later: impl FnOnce(V) -> Box<dyn FnOnce()>) {
    // A model's thread-locals end with their thread, destructor or not; then nothing is counted.
    let Some(depth) = with(|context| context.links.get()) else { return here(held) };
    if depth >= LINKS {
        let later = later(held);
        with(|context| context.with_later(|list| list.push(later)));
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
        with(|context| context.links.set(before + 1));
        Link { before }
    }
}

impl Drop for Link {
    #[inline]
    fn drop(&mut self) {
        with(|context| {
            if self.before == 0 {
                context.drop_later();
            }
            context.links.set(self.before);
        });
    }
}

impl Context {
    /// Drops what was left, and what that leaves. This drop is under way meanwhile, so each begins at the
    /// second link.
    #[inline]
    fn drop_later(&self) {
        while let Some(batch) = self.take_later() {
            // What is run here is the caller's drops, which nobody may unwind into: the others are to go as
            // well.
            batch.into_iter().for_each(|drop| _ = panics::contain(drop));
        }
    }

    #[inline]
    fn take_later(&self) -> Option<Vec<Later>> {
        self.with_later(|later| (!later.is_empty()).then(|| mem::take(later)))
    }

    #[inline]
    fn with_later<R>(&self, f: impl FnOnce(&mut Vec<Later>) -> R) -> R {
        self.with_list(&self.later, f)
    }
}
