//! Why a call did not do what it was asked: one type per way of waiting.
//!
//! | call | waits | fails with |
//! |---|---|---|
//! | `x` | as long as it takes | [`Closed`] |
//! | `try_x` | never | [`TryError`] |
//! | `x_until(limit)` | as long as the limit allows | [`WaitError`] |
//!
//! A call that was handed something (an item, a closure) gives it back with the reason: it fails with
//! [`Rejected`]`<T, E>`, where `E` is one of the three.
//!
//! What asks for an amount can also ask for more than will ever be there. Waiting would be a hang, so
//! [`TryError`] and [`WaitError`] have a variant for it, and the unlimited form of such a call fails with
//! [`WaitError`] too.

use std::error::Error;
use std::fmt;

/// Nothing more goes in, and nothing is left to come out: it was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Closed;

/// The token was cancelled: stop now. [`CancelToken::cause`](crate::CancelToken::cause) says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cancelled;

/// Why a call that never waits did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TryError {
    /// It would have had to wait: full, empty, or all taken. Another moment may be better.
    WouldBlock,
    /// It was closed.
    Closed,
    /// It can never succeed: more was asked for than there is in all, or it would wait for itself.
    Impossible,
}

/// Why a wait ended without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaitError {
    /// The time of the limit ran out.
    TimedOut,
    /// The token of the limit was cancelled, or its own deadline passed.
    Cancelled,
    /// It was closed.
    Closed,
    /// It can never succeed: more was asked for than there is in all, or it would wait for itself.
    Impossible,
    /// It would wait for what only this thread can bring, which is inside the thing that it waits for.
    WouldDeadlock,
}

/// What a call was handed and did not take, and why.
///
/// `Debug` and `Display` say nothing of the value, so it need not implement either.
///
/// ```
/// use selvedge::{error::{Rejected, TryError}, queue::BoundedQueue};
///
/// let queue = BoundedQueue::new(1);
/// queue.push("first")?;
/// let Rejected { value, error } = queue.try_push("second").unwrap_err();
/// assert_eq!((value, error), ("second", TryError::WouldBlock));
/// # Ok::<(), selvedge::error::Rejected<&str, selvedge::error::Closed>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rejected<T, E> {
    /// What was handed in.
    pub value: T,
    /// Why it was not taken.
    pub error: E,
}

impl<T, E> Rejected<T, E> {
    pub(crate) fn new(value: T, error: E) -> Self {
        Rejected { value, error }
    }

    /// The value, when the reason does not matter.
    pub fn into_value(self) -> T {
        self.value
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("closed: no more will come")
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cancelled: the token's cause says why")
    }
}

impl fmt::Display for TryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryError::WouldBlock => f.write_str("it would have to wait: try again, or use a call that waits"),
            TryError::Closed => Closed.fmt(f),
            TryError::Impossible => f.write_str(IMPOSSIBLE),
        }
    }
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WaitError::TimedOut => f.write_str("timed out: the limit passed first"),
            WaitError::Cancelled => Cancelled.fmt(f),
            WaitError::Closed => Closed.fmt(f),
            WaitError::Impossible => f.write_str(IMPOSSIBLE),
            WaitError::WouldDeadlock => {
                f.write_str("it would wait for itself: this thread is inside what it would wait for")
            }
        }
    }
}

const IMPOSSIBLE: &str = "impossible: more was asked for than there is in all, or it would wait for itself";

impl<T, E: fmt::Display> fmt::Display for Rejected<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not taken, {} (the value is in this error)", self.error)
    }
}

impl<T, E: fmt::Debug> fmt::Debug for Rejected<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected").field("error", &self.error).finish_non_exhaustive()
    }
}

impl Error for Closed {}
impl Error for Cancelled {}
impl Error for TryError {}
impl Error for WaitError {}

impl<T, E: Error + 'static> Error for Rejected<T, E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

impl From<Closed> for TryError {
    fn from(_: Closed) -> Self {
        TryError::Closed
    }
}

impl From<Closed> for WaitError {
    fn from(_: Closed) -> Self {
        WaitError::Closed
    }
}

impl From<Cancelled> for WaitError {
    fn from(_: Cancelled) -> Self {
        WaitError::Cancelled
    }
}
