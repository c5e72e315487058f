//! How a group can fail, and which tasks are left when a wait ends early.

use std::any::Any;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::{fmt, io};

use crate::error::{JoinError, WaitError, WouldDeadlock};
use crate::sync::Arc;

/// Why a scope or a group failed.
///
/// It implements [`Error`](StdError) for every `E` that is `Debug` and `Display`, even if `E` is not an error
/// itself: a `Box<dyn Error + Send + Sync>`, an `anyhow::Error`, a `String`. So `?` converts it into any
/// boxed error type.
/// ```
/// use std::error::Error;
/// use selvedge::{CancelToken, group};
///
/// fn parse(texts: &[&str]) -> Result<usize, Box<dyn Error + Send + Sync>> {
///     let parsed = group::scope(&CancelToken::new(), |g| {
///         for text in texts {
///             g.spawn(|_| {
///                 text.parse::<u32>()?;
///                 Ok::<(), Box<dyn Error + Send + Sync>>(())
///             });
///         }
///         Ok(texts.len())
///     })?;
///     Ok(parsed)
/// }
/// assert_eq!(parse(&["1", "2"]).unwrap(), 2);
/// assert_eq!(parse(&["1", "zwei"]).unwrap_err().to_string(), "invalid digit found in string");
/// ```
///
/// Its message is that of the inner error. Its [`source`](StdError::source) is that of the inner error if
/// this is a boxed error, as in a `Box<dyn Error + Send + Sync>`, or an [`io::Error`]. For any other `E`, the
/// language offers no way to ask whether it has a source; [`into_boxed`](Error::into_boxed) keeps the error
/// itself, with its source and its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Error<E> {
    /// A task or the body returned this error, before any other failure.
    Failed(E),
    /// The token was cancelled before every task had started.
    Cancelled,
    /// [`Group::wait`](super::Group::wait) would never return: a task of the group calls it, or waits,
    /// directly or through others, for the calling thread. A scope does not fail with this.
    WouldDeadlock,
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> Error<E> {
    /// Boxes the inner error, which keeps its source and its type.
    ///
    /// ```
    /// use std::{error::Error, num::ParseIntError};
    /// use selvedge::{CancelToken, group};
    ///
    /// #[derive(Debug)]
    /// struct BadLine(ParseIntError);
    /// # impl std::fmt::Display for BadLine {
    /// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("a bad line") }
    /// # }
    /// impl Error for BadLine {
    ///     fn source(&self) -> Option<&(dyn Error + 'static)> { Some(&self.0) }
    /// }
    ///
    /// fn check(line: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
    ///     group::scope(&CancelToken::new(), |g| {
    ///         g.spawn(|_| line.parse::<u32>().map(drop).map_err(BadLine));
    ///         Ok(())
    ///     })
    ///     .map_err(group::Error::into_boxed)
    /// }
    /// let error = check("one").unwrap_err();
    /// assert_eq!(error.source().unwrap().to_string(), "invalid digit found in string");
    /// assert!(error.is::<BadLine>());
    /// ```
    pub fn into_boxed(self) -> Box<dyn StdError + Send + Sync> {
        match self {
            Error::Failed(error) => error.into(),
            // A type without a payload that is `'static` and `Send`, whatever `E` is.
            Error::Cancelled => Box::new(Error::<Infallible>::Cancelled),
            Error::WouldDeadlock => Box::new(WouldDeadlock),
        }
    }
}

/// The tasks that had not ended when a wait for a group did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfinished {
    /// The running tasks, in the order in which they were spawned: their names, or `task 3` for the fourth
    /// that was spawned if it has none.
    pub running: Vec<String>,
    /// The number of tasks that have not started.
    pub waiting: usize,
}

/// A snapshot of this crate's threads for scopes, groups and time-outs; see [`threads`](super::threads).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Threads {
    /// Threads that are busy, idle, or leaving.
    pub alive: usize,
    /// Threads that wait for work.
    pub idle: usize,
    /// Threads that were ever started.
    pub started: usize,
}

impl From<Error<io::Error>> for io::Error {
    fn from(error: Error<io::Error>) -> Self {
        match error {
            Error::Failed(error) => error,
            // `Interrupted` would be wrong: it tells callers to try again.
            Error::Cancelled => io::Error::other(Error::<io::Error>::Cancelled),
            Error::WouldDeadlock => WouldDeadlock.into(),
        }
    }
}

impl<E> From<WouldDeadlock> for Error<E> {
    fn from(_: WouldDeadlock) -> Self {
        Error::WouldDeadlock
    }
}

/// Without errors of tasks, the two remaining reasons are those of every handle's join.
impl From<Error<Infallible>> for JoinError {
    fn from(error: Error<Infallible>) -> Self {
        match error {
            Error::Failed(never) => match never {},
            Error::Cancelled => JoinError::Cancelled,
            Error::WouldDeadlock => JoinError::WouldDeadlock,
        }
    }
}

impl From<Error<Infallible>> for WaitError {
    fn from(error: Error<Infallible>) -> Self {
        match error {
            Error::Failed(never) => match never {},
            Error::Cancelled => WaitError::Cancelled,
            Error::WouldDeadlock => WaitError::WouldDeadlock,
        }
    }
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Failed(error) => error.fmt(f),
            Error::Cancelled => f.write_str("cancelled before every task had started"),
            Error::WouldDeadlock => WouldDeadlock.fmt(f),
        }
    }
}

/// For every `Debug + Display` type, because `Box<dyn Error>` does not implement `Error`, and an
/// implementation for it beside one for all errors is not allowed: the standard library may add that
/// implementation one day.
impl<E: fmt::Debug + fmt::Display + 'static> StdError for Error<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Error::Failed(error) => source_of(error),
            Error::Cancelled | Error::WouldDeadlock => None,
        }
    }
}

/// The source of an error of a known type.
fn source_of(error: &dyn Any) -> Option<&(dyn StdError + 'static)> {
    type Boxed = Box<dyn StdError + Send + Sync>;
    // A group's errors are in an `Arc`.
    fn inner<T: 'static>(error: &dyn Any) -> Option<&T> {
        error.downcast_ref::<T>().or_else(|| error.downcast_ref::<Arc<T>>().map(|shared| &**shared))
    }
    if let Some(error) = inner::<Boxed>(error) {
        return error.source();
    }
    if let Some(error) = inner::<Box<dyn StdError + Send>>(error) {
        return error.source();
    }
    // An `io::Error` implements `Error`, but a generic `E` cannot be asked for that; so it is listed.
    inner::<io::Error>(error)?.source()
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unfinished { running, waiting } = self;
        write!(f, "{} running ({}), {waiting} not started", running.len(), running.join(", "))
    }
}

impl fmt::Display for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Threads { alive, idle, .. } = self;
        write!(f, "{alive} threads left, {idle} of them idle")
    }
}
