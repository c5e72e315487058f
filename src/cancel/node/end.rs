//! The end of a node: who may write its stage, and who is notified.

use std::mem;

use super::{BARE, ENDING, FAILED, LATE, LOOSE, Node, REQUESTED, State, WATCHED, Watcher};
use crate::cancel::cause::Cause;
use crate::cancel::watchers::Watchers;
use crate::panics::{self, FirstPanic, Payload};
use crate::sync::atomic::Ordering;
use crate::sync::weak::Arc;

impl Node {
    /// Cancels the node and all nodes below it, and notifies every watcher once. The first cause is kept.
    ///
    /// Returns the payload of the first callback that panicked; every other watcher has been notified all the
    /// same, and no panic unwinds this loop. A list of nodes replaces recursion: a chain of tokens may be
    /// deeper than the stack.
    #[must_use = "a callback's panic must be resumed or discarded"]
    pub(in crate::cancel) fn cancel(node: &Arc<Self>, cause: Cause) -> Option<Payload> {
        // Gives a loose node whose parent was cancelled before the cause of its parent.
        node.was_cancelled();
        if node.end_bare(&cause) {
            return None;
        }
        let (mut below, mut panicked) = (Vec::new(), FirstPanic::new());
        node.end_and_notify(&cause, &mut below, &mut panicked);
        while let Some(node) = below.pop() {
            node.end_and_notify(&cause, &mut below, &mut panicked);
        }
        panicked.into_payload()
    }

    /// Cancels this node, and leaves those of its children that are not bare in `below`.
    fn end_and_notify(&self, cause: &Cause, below: &mut Vec<Arc<Node>>, panicked: &mut FirstPanic) {
        for watcher in self.end(cause) {
            match watcher {
                Watcher::Waiter(waiter, outcome) => drop(waiter.end(outcome)),
                // `None` for a child that is being dropped: no thread can be waiting on it.
                Watcher::Child(child) => below.extend(child.upgrade().filter(|child| !child.end_bare(cause))),
                // Caught, so that a panic does not keep later watchers from being notified.
                Watcher::Call(callback) => {
                    panicked.call(callback);
                }
            }
        }
    }

    /// Cancels a node that was never claimed, and so has nothing to notify. False if it was, or if an error
    /// must be stored.
    #[inline]
    fn end_bare(&self, cause: &Cause) -> bool {
        let stage = match cause {
            Cause::Requested => REQUESTED,
            Cause::DeadlinePassed => LATE,
            Cause::Error(_) => return false,
        };
        // Release: see `was_cancelled`. Relaxed: a failure is acted upon under the lock.
        self.stage.compare_exchange(BARE, stage, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// Cancels the node because its deadline has passed.
    ///
    /// A panic of a callback ends here, after the panic hook has reported it: the thread that finds the
    /// deadline passed may be in the middle of a wait with other waiters behind it, and did not ask for the
    /// callback.
    pub(super) fn expire(node: &Arc<Self>) {
        panics::discard(Node::cancel(node, Cause::DeadlinePassed));
    }

    /// Makes a bare node watched, so that from now on its stage changes under the lock, which the caller
    /// holds. False if the node is cancelled.
    pub(super) fn claim(&self) -> bool {
        // Relaxed: a watched node changes under the lock only, so what this loads is the latest.
        if self.stage.load(Ordering::Relaxed) == WATCHED {
            return true;
        }
        // Acquire: the caller acts upon a cancellation, which may have been made without the lock. Relaxed:
        // the lock publishes what the caller does next.
        match self.stage.compare_exchange(BARE, WATCHED, Ordering::Relaxed, Ordering::Acquire) {
            Ok(_) => true,
            Err(stage) => stage == LOOSE,
        }
    }

    /// Writes the stage and takes out the watchers; none if the node was cancelled already.
    fn end(&self, cause: &Cause) -> impl Iterator<Item = Watcher> + use<> {
        let mut state = self.state.lock();
        let (watchers, rare) = if self.claim() {
            let mut rare = state.rare.take();
            if let Some(done) = rare.as_mut().and_then(|rare| rare.done.take()) {
                // Relaxed: only a thread that has seen the disconnection must see this, and crossbeam's
                // channel publishes it to that thread.
                self.stage.store(ENDING, Ordering::Relaxed);
                // Under the lock, although this wakes threads in `select!`: a thread that checks the node
                // meanwhile must wait until `done` is disconnected. It runs none of the caller's code.
                drop(done);
            }
            self.finish(&mut state, cause);
            (mem::take(&mut state.watchers), rare)
        } else {
            (Watchers::default(), None)
        };
        drop(state);
        // Dropped without the lock, since an alarm takes the clock's lock.
        drop(rare);
        watchers.in_order()
    }

    /// Writes the cause of a node that is claimed.
    pub(super) fn finish(&self, state: &mut State, cause: &Cause) {
        let stage = match cause {
            Cause::Requested => REQUESTED,
            Cause::DeadlinePassed => LATE,
            Cause::Error(error) => {
                state.error = Some(error.clone());
                FAILED
            }
        };
        // Release: see `was_cancelled`.
        self.stage.store(stage, Ordering::Release);
    }
}
