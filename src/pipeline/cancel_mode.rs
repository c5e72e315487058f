//! What every stage asks before it runs the caller's code: may it still?

use crossbeam_channel::{Receiver, select};

use crate::cancel::CancelToken;
use crate::error::{Cancelled, WaitError};
use crate::queue::BoundedQueue;
use crate::sync::Arc;
use crate::sync::atomic::{AtomicBool, Ordering};

/// Whether a pipeline can be cancelled, and so what its sinks return: [`Free`] or [`Cancellable`].
pub trait CancelMode: Clone + Send + 'static + seal::Sealed {
    /// What a sink returns: the value itself, or that the pipeline was cancelled before its end.
    type Of<T>;

    #[doc(hidden)]
    fn is_open(&self) -> bool;
    /// Notes that items are missing because the cancel mode was shut.
    #[doc(hidden)]
    fn cut(&self);
    #[doc(hidden)]
    fn is_cut(&self) -> bool;
    /// One that nobody has shut.
    #[doc(hidden)]
    fn fresh() -> Self;
    #[doc(hidden)]
    fn outcome<T>(&self, value: T) -> Self::Of<T>;
    #[doc(hidden)]
    fn token(&self) -> Option<&CancelToken>;
    /// The same kind of cancel mode, shut by `token`.
    #[doc(hidden)]
    fn under(&self, token: &CancelToken) -> Self;
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

/// Nobody can cancel the pipeline: its sinks return their value, and asking costs nothing.
#[derive(Clone, Copy, Debug)]
pub struct Free;

/// A token cancels the pipeline: its sinks return `Result<_, Cancelled>`, and each stage asks the token
/// before it runs a function of yours.
#[derive(Clone, Debug)]
pub struct Cancellable {
    token: CancelToken,
    /// Some item is missing because of the token. Set before the `None` that stands in its place is returned,
    /// and read by whoever got that `None`; on the same thread, or handed over by a lock.
    cut: Arc<AtomicBool>,
}

impl CancelMode for Free {
    type Of<T> = T;

    #[inline(always)]
    fn is_open(&self) -> bool {
        true
    }

    #[inline(always)]
    fn cut(&self) {}

    fn is_cut(&self) -> bool {
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

    fn under(&self, _token: &CancelToken) -> Self {
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
        Cancellable { token, cut: Arc::default() }
    }

    pub(super) fn shut(&self) -> &CancelToken {
        &self.token
    }
}

impl CancelMode for Cancellable {
    type Of<T> = Result<T, Cancelled>;

    #[inline]
    fn is_open(&self) -> bool {
        !self.token.is_cancelled()
    }

    #[cold]
    fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }

    fn is_cut(&self) -> bool {
        // Relaxed: see the field.
        self.cut.load(Ordering::Relaxed)
    }

    fn fresh() -> Self {
        Cancellable::new(CancelToken::new())
    }

    /// Success wins: a pipeline that came to its end has succeeded, though it was cancelled meanwhile.
    fn outcome<T>(&self, value: T) -> Result<T, Cancelled> {
        if self.is_cut() { Err(Cancelled) } else { Ok(value) }
    }

    fn token(&self) -> Option<&CancelToken> {
        Some(&self.token)
    }

    fn under(&self, token: &CancelToken) -> Self {
        Cancellable::new(token.clone())
    }

    /// The next item; a token that is cancelled while the channel is silent ends the wait.
    fn receive<T>(&self, channel: &Receiver<T>) -> Option<T> {
        if let Ok(item) = channel.try_recv() {
            return Some(item);
        }
        select! {
            recv(channel) -> item => item.ok(),
            recv(self.token.done()) -> _ => {
                self.cut();
                None
            }
        }
    }

    fn pop<T>(&self, queue: &BoundedQueue<T>) -> Option<T> {
        match queue.pop_until(&self.token) {
            Ok(item) => Some(item),
            Err(WaitError::Closed) => None,
            Err(_) => {
                self.cut();
                None
            }
        }
    }
}
