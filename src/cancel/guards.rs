//! Guards that remove a registration from a token, or cancel it, when they are dropped.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::node::{Callback, Node, Watcher};
use super::watchers::Key;
use super::{CancelToken, Cause};
use crate::panics;
use crate::sync::thread;
use crate::sync::weak::Arc;

/// The registration of a waiter with a token, for one sleep.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    node: &'a Arc<Node>,
    /// `None` once it is used, in the drop.
    key: Option<Key>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(node: &'a Arc<Node>, key: Key) -> Self {
        Watch { node, key: Some(key) }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        // The waiter may have been ended a moment ago; then `forget` finds nothing, and the outcome is
        // already written.
        drop(self.key.take().and_then(|key| self.node.forget(key)));
    }
}

/// Keeps a callback registered with a token; see [`CancelToken::on_cancel`].
///
/// Dropping it removes the callback. [`CallbackGuard::keep`] leaves the callback registered.
///
/// # Blocking
/// Dropping it never blocks: a callback that is running is not waited for.
///
/// # Panics
/// A callback that was not called is dropped here, and a panic of its captures leaves the drop, unless
/// another panic is unwinding.
#[must_use = "dropping the guard removes the callback at once"]
pub struct CallbackGuard {
    /// `None` if the callback has run.
    registration: Option<(Arc<Node>, Key)>,
}

impl CallbackGuard {
    pub(super) fn new(node: &Arc<Node>, callback: Callback) -> Self {
        match Node::watch(node, Watcher::Call(callback)) {
            Ok(key) => CallbackGuard { registration: Some((Arc::clone(node), key)) },
            Err(Watcher::Call(callback)) => {
                // Already cancelled: called here, since no canceller will. No lock is held.
                callback();
                CallbackGuard { registration: None }
            }
            Err(_) => unreachable!("a watcher comes back as it was"),
        }
    }

    /// Leaves the callback registered for the lifetime of the token.
    pub fn keep(mut self) {
        // The watcher stays in the list until it is called or the node is dropped.
        self.registration = None;
    }
}

impl Drop for CallbackGuard {
    fn drop(&mut self) {
        if let Some((node, key)) = self.registration.take() {
            // The callback's captures are the caller's and may panic when they are dropped.
            panics::drop_here(node.forget(key));
        }
    }
}

/// Cancels a token when dropped; see [`CancelToken::drop_guard`].
///
/// # Panics
/// The panic of a callback that the cancellation calls leaves the drop, unless another panic is unwinding.
#[must_use = "dropping the guard cancels the token at once"]
#[derive(Debug)]
pub struct DropGuard {
    /// `None` once disarmed.
    token: Option<CancelToken>,
}

impl DropGuard {
    pub(super) fn new(token: CancelToken) -> Self {
        DropGuard { token: Some(token) }
    }

    /// Returns the token without cancelling it.
    pub fn disarm(mut self) -> CancelToken {
        self.token.take().expect("only this method empties it, and it consumes the guard")
    }
}

impl Drop for DropGuard {
    fn drop(&mut self) {
        if let Some(token) = &self.token {
            // A second panic that leaves this destructor during unwinding would abort the process.
            if thread::panicking() {
                panics::discard(Node::cancel(&token.node, Cause::Requested));
            } else {
                token.cancel();
            }
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").finish_non_exhaustive()
    }
}

impl fmt::Debug for CallbackGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackGuard").field("registered", &self.registration.is_some()).finish()
    }
}

impl UnwindSafe for CallbackGuard {}
impl RefUnwindSafe for CallbackGuard {}
