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
//! A wait for several things that ends early says how far they were: it fails with [`Partial`].
//!
//! A handle to somebody else's work has one more way to fail, [`JoinError`]: the work panicked, was cancelled
//! before it began, or waits for this thread.
//!
//! # Waits that could never end
//! Two variants say that no time would help. `InsufficientCapacity`: more was asked for than there will ever
//! be, such as four permits of a semaphore of three. `WouldDeadlock`: what this thread would wait for waits,
//! itself or through others, for this thread. Calls that can only fail in one of these ways fail with the
//! type of the same name.
//!
//! The exception is a *lock* that this thread holds: [`Monitor::lock`](crate::Monitor::lock),
//! [`Monitor::wait`](crate::Monitor::wait) and the calls of a [`ShardedMap`](crate::ShardedMap) from a
//! closure that runs under its lock panic, the first time and on every run, since they return a guard or a
//! value and the mistake is in the lines around them. Their forms that can fail, such as
//! [`Monitor::wait_until`](crate::Monitor::wait_until) and
//! [`ShardedMap::get_or_insert_with`](crate::ShardedMap::get_or_insert_with), return `WouldDeadlock` there
//! too.
//!
//! All enums here are `#[non_exhaustive]`: match with a `_` arm, which treats an unknown reason as a failure.

mod join;
mod partial;

use std::error::Error;
use std::{fmt, io};

pub use join::{JoinError, Panic};
pub use partial::Partial;
pub(crate) use partial::still_running;

/// Nothing more goes in, and nothing is left to come out: it was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Closed;

/// The token was cancelled: stop now. [`CancelToken::cause`](crate::CancelToken::cause) says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cancelled;

/// The wait could never end: what this thread would wait for waits, itself or through others, for this
/// thread.
///
/// Which thread waits for which is written down when a thread goes to sleep without a time limit and without
/// a token, and somebody may be waiting for that thread in turn. So a circle is found through any mixture of
/// tasks, scopes, single flights, initialisers of a map, batches and functions with a time limit. Nothing is
/// found, and so nothing is claimed, where anything else could end one of the waits: another worker of a
/// pool, a limit, a token. What only somebody outside might do (abort or resize a pool, cancel a queued task
/// through a shared handle) is not waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WouldDeadlock;

/// Why a call that never waits did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TryError {
    /// It would have had to wait: full, empty, or all taken. Another moment may be better.
    WouldBlock,
    /// It was closed.
    Closed,
    /// More was asked for than there will ever be.
    InsufficientCapacity,
    /// Waiting for it would never end, because it waits for this thread.
    WouldDeadlock,
}

/// Why a wait ended without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaitError {
    /// The time of the limit ran out.
    TimedOut,
    /// The token of the limit was cancelled, or its own deadline passed.
    Cancelled,
    /// It was closed.
    Closed,
    /// More was asked for than there will ever be.
    InsufficientCapacity,
    /// The wait would never end, because what is waited for waits for this thread.
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
            TryError::InsufficientCapacity => f.write_str(INSUFFICIENT),
            TryError::WouldDeadlock => WouldDeadlock.fmt(f),
        }
    }
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WaitError::TimedOut => f.write_str("timed out: the limit passed first"),
            WaitError::Cancelled => Cancelled.fmt(f),
            WaitError::Closed => Closed.fmt(f),
            WaitError::InsufficientCapacity => f.write_str(INSUFFICIENT),
            WaitError::WouldDeadlock => WouldDeadlock.fmt(f),
        }
    }
}

const INSUFFICIENT: &str = "insufficient capacity: more was asked for than there will ever be";

impl fmt::Display for WouldDeadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it would wait for itself: what it waits for waits for this thread")
    }
}

impl<T, E: fmt::Display> fmt::Display for Rejected<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not taken, {}", self.error)
    }
}

impl<T, E: fmt::Debug> fmt::Debug for Rejected<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected").field("error", &self.error).finish_non_exhaustive()
    }
}

impl Error for Closed {}
impl Error for Cancelled {}
impl Error for WouldDeadlock {}
impl Error for TryError {}
impl Error for WaitError {}

impl<T, E: Error + 'static> Error for Rejected<T, E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

impl TryError {
    /// Why a wait ends whose attempt failed for another reason than that it would block.
    pub(crate) fn for_good(self) -> WaitError {
        match self {
            TryError::WouldBlock => unreachable!("an attempt that would block is made again"),
            TryError::Closed => WaitError::Closed,
            TryError::InsufficientCapacity => WaitError::InsufficientCapacity,
            TryError::WouldDeadlock => WaitError::WouldDeadlock,
        }
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

/// So that a task whose error is an [`io::Error`] passes it on by `?`.
impl From<WouldDeadlock> for io::Error {
    fn from(deadlock: WouldDeadlock) -> Self {
        io::Error::new(io::ErrorKind::Deadlock, deadlock)
    }
}

impl From<WouldDeadlock> for TryError {
    fn from(_: WouldDeadlock) -> Self {
        TryError::WouldDeadlock
    }
}

impl From<WouldDeadlock> for WaitError {
    fn from(_: WouldDeadlock) -> Self {
        WaitError::WouldDeadlock
    }
}
