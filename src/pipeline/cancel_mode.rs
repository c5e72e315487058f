//! Whether a token can cancel a pipeline, decided by type.
//!
//! Each stage checks its mode before it runs the caller's code. For a pipeline without a token the check
//! compiles to nothing.

use crossbeam_channel::{Receiver, select};

use crate::cancel::CancelToken;
use crate::error::{Cancelled, WaitError};
use crate::queue::BoundedQueue;
use crate::sync::Arc;
use crate::sync::atomic::{AtomicBool, Ordering};

/// Whether a pipeline can be cancelled, which decides what its sinks return: [`Free`] or [`Cancellable`].
pub trait CancelMode: Clone + Send + 'static + seal::Sealed {
    /// What a sink returns: the value itself, or a result that tells whether items are missing.
    type Of<T>;

    #[doc(hidden)]
    fn is_cancelled(&self) -> bool;
    /// Records that items are missing because the pipeline was cancelled.
    #[doc(hidden)]
    fn mark_truncated(&self);
    #[doc(hidden)]
    fn is_truncated(&self) -> bool;
    /// A mode of this kind that nothing has cancelled.
    #[doc(hidden)]
    fn fresh() -> Self;
    #[doc(hidden)]
    fn outcome<T>(&self, value: T) -> Self::Of<T>;
    #[doc(hidden)]
    fn token(&self) -> Option<&CancelToken>;
    /// A mode of this kind that `token` cancels.
    #[doc(hidden)]
    fn with_token(&self, token: &CancelToken) -> Self;
    #[doc(hidden)]
    fn receive<T>(&self, channel: &Receiver<T>) -> Option<T>;
    #[doc(hidden)]
    fn pop<T>(&self, queue: &BoundedQueue<T>) -> Option<T>;
}

mod seal {
    pub trait Sealed {}
    impl Sealed for super::Free {}
    impl Sealed for super::Cancellable {}
}

/// The pipeline has no token: its sinks return their value, and the checks cost nothing.
#[derive(Clone, Copy, Debug)]
pub struct Free;

/// A token cancels the pipeline: its sinks return `Result<_, Cancelled>`, and each stage checks the token
/// before it calls a closure.
#[derive(Clone, Debug)]
pub struct Cancellable {
    token: CancelToken,
    /// An item is missing because of the token. A stage sets this before it returns the `None` that stands
    /// for the item; only the thread that received that `None`, or a thread to which a lock passed it, reads
    /// it.
    truncated: Arc<AtomicBool>,
}

impl CancelMode for Free {
    type Of<T> = T;

    #[inline(always)]
    fn is_cancelled(&self) -> bool {
        false
    }

    #[inline(always)]
    fn mark_truncated(&self) {}

    fn is_truncated(&self) -> bool {
        false
    }

    fn fresh() -> Self {
        Free
    }

    fn outcome<T>(&self, value: T) -> T {
        value
    }

    fn token(&self) -> Option<&CancelToken> {
        None
    }

    fn with_token(&self, _token: &CancelToken) -> Self {
        Free
    }

    fn receive<T>(&self, channel: &Receiver<T>) -> Option<T> {
        channel.recv().ok()
    }

    fn pop<T>(&self, queue: &BoundedQueue<T>) -> Option<T> {
        queue.pop().ok()
    }
}

impl Cancellable {
    pub(super) fn new(token: CancelToken) -> Self {
        Cancellable { token, truncated: Arc::default() }
    }

    pub(super) fn cancel_token(&self) -> &CancelToken {
        &self.token
    }
}

impl CancelMode for Cancellable {
    type Of<T> = Result<T, Cancelled>;

    #[inline]
    fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    #[cold]
    fn mark_truncated(&self) {
        // Relaxed: the `None` that follows carries it, on this thread or through a lock.
        self.truncated.store(true, Ordering::Relaxed);
    }

    fn is_truncated(&self) -> bool {
        // Relaxed: the caller has received the `None` that followed the store.
        self.truncated.load(Ordering::Relaxed)
    }

    fn fresh() -> Self {
        Cancellable::new(CancelToken::new())
    }

    fn outcome<T>(&self, value: T) -> Result<T, Cancelled> {
        // Tie: a pipeline that reached its end has succeeded, even if its token was cancelled meanwhile.
        if self.is_truncated() { Err(Cancelled) } else { Ok(value) }
    }

    fn token(&self) -> Option<&CancelToken> {
        Some(&self.token)
    }

    fn with_token(&self, token: &CancelToken) -> Self {
        Cancellable::new(token.clone())
    }

    /// Returns the next message. A cancellation while the channel is silent ends the wait.
    fn receive<T>(&self, channel: &Receiver<T>) -> Option<T> {
        // Tie: a message that is ready is taken, since `select!` would choose at random.
        if let Ok(item) = channel.try_recv() {
            return Some(item);
        }
        select! {
            recv(channel) -> item => item.ok(),
            recv(self.token.done()) -> _ => {
                self.mark_truncated();
                None
            }
        }
    }

    fn pop<T>(&self, queue: &BoundedQueue<T>) -> Option<T> {
        match queue.pop_until(&self.token) {
            Ok(item) => Some(item),
            Err(WaitError::Closed) => None,
            Err(_) => {
                self.mark_truncated();
                None
            }
        }
    }
}
