//! Nodes that join their parent's list only when something must be notified of their end.
//!
//! Joining the parent's list and leaving it takes 100 of the 160 ns of a child that no thread ever sleeps on,
//! such as the token of most scopes. So the node of a scope is *loose* at first: it is in no list, and each
//! check of it checks its parent too. The first watcher ties it.
//!
//! # Invariants
//! 1. A loose node has no watchers. So a thread that finds its parent cancelled can end it at once, and calls
//!    nothing.
//! 2. A node joins its parent's list before it is tied, or it ends with the parent's cause. So at each
//!    moment, either a check of the node sees the parent's end, or the parent's canceller notifies the node.
//! 3. A loose node that was seen cancelled stays so: it is ended before any check returns that it is.
//! 4. The parent of a loose node is not loose, so a check goes up one level at most.

use std::time::Instant;

use super::super::watchers::Key;
use super::{LOOSE, NO_KEY, Node, WATCHED};
use crate::sync::atomic::Ordering;
use crate::sync::weak::Arc;

impl Node {
    /// Makes a child that joins its parent's list when something must be notified of its end.
    #[track_caller]
    pub(in crate::cancel) fn loose_child(parent: &Arc<Node>, deadline: Option<Instant>) -> Arc<Node> {
        Node::tie(parent);
        let (clock, above) = (parent.clock.clone(), Some(Arc::clone(parent)));
        Arc::new(Node::new(clock, parent.first_of(deadline), above, LOOSE))
    }

    /// Makes a loose node join its parent's list.
    #[inline]
    pub(super) fn tie(node: &Arc<Self>) {
        // Relaxed: a thread that sees an old value ties it a second time, and undoes that.
        if node.stage.load(Ordering::Relaxed) == LOOSE {
            Node::tie_loose(node);
        }
    }

    #[cold]
    fn tie_loose(node: &Arc<Self>) {
        let parent = node.parent.as_ref().expect("a loose node has a parent");
        let Some(key) = Node::enter(node, parent) else { return };
        // Two threads may tie the node at once. Then it is in the list twice for a moment, and one of them
        // removes its entry.
        let second = key.into_raw();
        if node.key.compare_exchange(NO_KEY, second, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            drop(parent.forget(Key::from_raw(second)));
        }
        // Only now that it is in the list: until then each check must check the parent. Relaxed: it publishes
        // nothing.
        let _state = node.state.lock();
        if node.stage.load(Ordering::Relaxed) == LOOSE {
            node.stage.store(WATCHED, Ordering::Relaxed);
        }
    }

    /// Checks the parent of a loose node. If that is cancelled, the node is ended with its cause first. Runs
    /// none of the caller's code, because a loose node has no watchers.
    pub(super) fn is_cancelled_above(&self) -> bool {
        let parent = self.parent.as_ref().expect("a loose node has a parent");
        parent.was_cancelled() && self.end_loose(parent)
    }

    #[cold]
    fn end_loose(&self, parent: &Node) -> bool {
        let cause = parent.written_cause().expect("the parent is cancelled");
        let mut state = self.state.lock();
        if self.stage.load(Ordering::Relaxed) == LOOSE {
            self.finish(&mut state, &cause);
        }
        drop(state);
        // If the node was tied meanwhile, it is in the list of its parent, whose canceller may not have
        // reached it.
        self.was_cancelled()
    }
}
