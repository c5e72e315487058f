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

use super::{CANCELLED, LIVE, LOOSE, Node};
use crate::sync::atomic::Ordering;
use crate::sync::weak::Arc;

impl Node {
    /// Makes a child that joins its parent's list when something must be notified of its end.
    #[track_caller]
    pub(in crate::cancel) fn loose_child(parent: &Arc<Node>) -> Arc<Node> {
        Node::tie(parent);
        let (clock, above) = (parent.clock.clone(), Some(Arc::clone(parent)));
        Arc::new(Node::new(clock, parent.deadline, above, LOOSE))
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
        if let Err(second) = node.key.set(key) {
            drop(parent.forget(second));
        }
        // Only now that it is in the list: until then each check must check the parent. Relaxed: it publishes
        // nothing.
        let state = node.state.lock();
        if state.cause.is_none() {
            node.stage.store(LIVE, Ordering::Relaxed);
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
        let cause = parent.state.lock().cause.clone();
        let mut state = self.state.lock();
        if self.stage.load(Ordering::Relaxed) == LOOSE && state.cause.is_none() {
            state.cause = cause;
            // Release: see `was_cancelled`.
            self.stage.store(CANCELLED, Ordering::Release);
        }
        drop(state);
        // If the node was tied meanwhile, it is in the list of its parent, whose canceller may not have
        // reached it.
        self.was_cancelled()
    }
}
