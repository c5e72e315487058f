//! Nodes that are in nobody's list until somebody must be told of their end.
//!
//! Entering the parent's list and leaving it is two thirds of the price of a child that nobody ever sleeps
//! on: 100 of 160 ns, and such is the token of most scopes. So a scope's node is *loose* at first: it is in
//! no list, and whoever looks at it looks at its parent too. The first watcher ties it.
//!
//! # Invariants
//! 1. A loose node has no watchers. So whoever finds its parent cancelled can end it on the spot, and calls
//!    nobody.
//! 2. A node is in its parent's list before it is tied, or it ends with the parent's cause. So at each moment
//!    either a look at the node sees the parent's end, or the parent's canceller tells the node.
//! 3. A loose node that has been seen cancelled stays so: it is ended before anybody is told that it is.
//! 4. The parent of a loose node is not loose, so a look goes up one step at most.

use super::{CANCELLED, LIVE, LOOSE, Node};
use crate::sync::atomic::Ordering;
use crate::sync::weak::Arc;

impl Node {
    /// A child that enters its parent's list when somebody must be told of its end.
    pub(in crate::cancel) fn loose_child(parent: &Arc<Node>) -> Arc<Node> {
        Node::tie(parent);
        let (clock, above) = (parent.clock.clone(), Some(Arc::clone(parent)));
        Arc::new(Node::new(clock, parent.deadline, above, LOOSE))
    }

    /// Lets a loose node enter its parent's list, so that it is told.
    #[inline]
    pub(super) fn tie(node: &Arc<Self>) {
        // Relaxed: who sees an old value ties it again, and takes that back.
        if node.stage.load(Ordering::Relaxed) == LOOSE {
            Node::tie_loose(node);
        }
    }

    #[cold]
    fn tie_loose(node: &Arc<Self>) {
        let parent = node.parent.as_ref().expect("a loose node has a parent");
        let Some(key) = Node::enter(node, parent) else { return };
        // Two threads may tie it at once: then it is in the list twice for a moment, and one of them leaves
        // it.
        if let Err(second) = node.key.set(key) {
            drop(parent.forget(second));
        }
        // Not before it is in the list: until then whoever looks at it must look at the parent. Relaxed: it
        // publishes nothing.
        let state = node.state.lock();
        if state.cause.is_none() {
            node.stage.store(LIVE, Ordering::Relaxed);
        }
    }

    /// Whether the parent of a loose node was cancelled; then the node is, with its cause, before it is seen
    /// so. Runs nobody's code, because a loose node has no watchers.
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
        // Tied meanwhile: it is in the list of the parent, whose canceller may be on its way.
        self.was_cancelled()
    }
}
