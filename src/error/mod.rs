//! Why a call did not succeed: one error type per way of waiting.
//!
//! | call | waits | fails with |
//! |---|---|---|
//! | `x` | as long as it takes | [`Closed`] |
//! | `try_x` | never | [`TryError`] |
//! | `x_until(limit)` | as long as the limit allows | [`WaitError`] |
//!
//! A call that was handed a value (an item, a closure) returns it with the reason: it fails with
//! [`Rejected`]`<T, E>`, where `E` is one of the three.
//!
//! A wait for several tasks that ends early reports how far they were: it fails with [`Partial`].
//!
//! A handle's join fails with [`JoinError`]: the task panicked, was cancelled before it started, or waits for
//! the calling thread.
//!
//! # Waits that could never end
//! Two variants say that waiting would not help. `InsufficientCapacity`: more was asked for than there will
//! ever be, such as four permits of a semaphore of three. `WouldDeadlock`: what this thread would wait for
//! waits, directly or through others, for this thread. Calls that can fail in only one of these ways fail
//! with the type of the same name.
//!
//! The exception is a *lock* that this thread holds. [`Monitor::lock`](crate::Monitor::lock),
//! [`Monitor::wait`](crate::Monitor::wait) and the calls of a [`ShardedMap`](crate::ShardedMap) from a
//! closure that runs under its lock panic, on every run and from the first time, since they return a guard or
//! a value and the mistake is in the code around them. Their forms that can fail, such as
//! [`Monitor::wait_until`](crate::Monitor::wait_until) and
//! [`ShardedMap::get_or_insert_with`](crate::ShardedMap::get_or_insert_with), return `WouldDeadlock` there
//! too.
//!
//! All enums here are `#[non_exhaustive]`: match them with a `_` arm that treats an unknown reason as a
//! failure.

mod join;
mod partial;

use std::error::Error;
use std::{fmt, io};

pub use join::{JoinError, Panic};
pub use partial::Partial;
pub(crate) use partial::still_running;

/// Closed: nothing more can be added, and nothing is left to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Closed;

/// The token was cancelled. [`CancelToken::cause`](crate::CancelToken::cause) says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cancelled;

/// The wait would never end: what this thread would wait for waits, directly or through others, for this
/// thread.
///
/// A thread that blocks without a time limit and without a token records what it waits for, if another thread
/// may be waiting for it in turn. So a cycle is found through any mixture of tasks, scopes, single flights,
/// initialisers of a map, batches and functions with a time limit. A cycle is reported only if nothing else
/// could end one of its waits: another worker of a pool, a limit, a token. What only an unrelated thread
/// might do (abort or resize a pool, cancel a queued task through a shared handle) is not considered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WouldDeadlock;

/// Why a call that never blocks did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TryError {
    /// It would have had to wait: full, empty, or all taken. A later call may succeed.
    WouldBlock,
    /// It was closed.
    Closed,
    /// More was asked for than there will ever be.
    InsufficientCapacity,
    /// The wait would never end, because what it is for waits for the calling thread.
    WouldDeadlock,
}

/// Why a wait ended without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaitError {
    /// The limit's time has passed.
    TimedOut,
    /// The limit's token was cancelled, or its own deadline passed.
    Cancelled,
    /// It was closed.
    Closed,
    /// More was asked for than there will ever be.
    InsufficientCapacity,
    /// The wait would never end, because what it is for waits for the calling thread.
    WouldDeadlock,
}

/// A value that a call was handed and did not take, and why.
///
/// `Debug` and `Display` do not show the value, so it need not implement either.
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
    /// The value that was handed in.
    pub value: T,
    /// Why it was not taken.
    pub error: E,
}

impl<T, E> Rejected<T, E> {
    pub(crate) fn new(value: T, error: E) -> Self {
        Rejected { value, error }
    }

    /// Returns the value.
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
    /// The error of a wait whose attempt failed for another reason than that it would block.
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

/// Lets a task whose error is an [`io::Error`] propagate it with `?`.
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
