//! Drops chains of handles without a stack frame for each.
//!
//! Dropping a handle drops its untaken result, which may hold another handle. In a chain of tasks, each with
//! the previous one in its result, the caller decides the length. Each link takes a few stack frames, and a
//! thread has a stack of 2 MiB by default: a chain of 100,000 aborted the process. So nested links are
//! counted, and a link that would be too deep goes to a list of the thread, which the outermost drop empties
//! before it returns. Trees of handles work the same way.
//!
//! To the caller, the handle is dropped and its result slightly later: on the same thread, and before the
//! drop of the outermost handle returns. So this suits only handles whose results borrow nothing.

use std::mem;

use super::{Context, with};
use crate::panics;

/// The number of links nested on one stack. In an unoptimised build a link takes 1 KiB, plus what the
/// caller's own drops take.
const LINKS: u32 = 32;

/// A drop that is left for the outermost one, which empties the list before it returns.
pub(super) type Later = Box<dyn FnOnce()>;

/// Drops the contents of a handle: with `here`, or, if too many such drops are nested on this stack, with
/// what `later` returns, after they have returned.
#[inline]
pub(crate) fn drop_link<V>(held: V, here: impl FnOnce(V), later: impl FnOnce(V) -> Box<dyn FnOnce()>) {
    // `None` in a model, whose thread-locals end with their thread; then links are not counted.
    let Some(depth) = with(|context| context.links.get()) else { return here(held) };
    if depth >= LINKS {
        let later = later(held);
        with(|context| context.with_later(|list| list.push(later)));
        return;
    }
    let _link = Link::enter(depth);
    here(held);
}

/// A nested drop.
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
                // Before the depth is reset, so that the drops in the list count as nested in this one.
                context.drop_later();
            }
            context.links.set(self.before);
        });
    }
}

impl Context {
    /// Runs the drops that were left, and those that they leave. This drop is still on the stack, so each
    /// begins as the second link.
    #[inline]
    fn drop_later(&self) {
        // Taken out first, so that the list is not borrowed while a drop runs, which may add to it.
        while let Some(batch) = self.take_later() {
            // Contained: the list holds the caller's drops, and a panic of one must not skip the others.
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
