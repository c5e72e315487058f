//! How a group can fail, and what is left of one whose wait ends early.

use std::any::Any;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::{fmt, io};

use crate::error::{JoinError, WaitError, WouldDeadlock};
use crate::sync::Arc;

/// Why a scope or a group failed.
///
/// It is an [`Error`](StdError) wherever `E` can be shown, also where `E` is not one itself: a
/// `Box<dyn Error + Send + Sync>`, an `anyhow::Error`, a `String`. So it goes through `?` into whatever takes
/// any error.
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
/// Its text is that of the error inside. Its [`source`](StdError::source) is that of the error inside if this
/// is boxed, as in a `Box<dyn Error + Send + Sync>`, or an [`io::Error`]. The language offers no way to ask
/// any other `E` whether it has a source: [`into_boxed`](Error::into_boxed) keeps the error itself, with its
/// source and its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Error<E> {
    /// A task or the body returned this, before any other failed.
    Failed(E),
    /// The token was cancelled before every task had started.
    Cancelled,
    /// [`Group::wait`](super::Group::wait) would never return: a task of the group calls it, or waits, itself
    /// or through others, for the thread that does. A scope does not fail with this.
    WouldDeadlock,
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> Error<E> {
    /// Boxes the error that a task or the body returned, so that its source and its type are kept.
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
            Error::Cancelled => Box::new(Error::<Infallible>::Cancelled),
            Error::WouldDeadlock => Box::new(WouldDeadlock),
        }
    }
}

/// Who had not ended when a wait for a group did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfinished {
    /// The tasks that run, in the order in which they were spawned: by their names, or as `task 3` for the
    /// fourth that was spawned if it has none.
    pub running: Vec<String>,
    /// How many tasks have not started.
    pub waiting: usize,
}

/// Threads that this crate has for scopes, groups and time-outs; see [`threads`](super::threads).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Threads {
    /// At work, idle, or on their way out.
    pub alive: usize,
    /// Of these, those that wait for something to do.
    pub idle: usize,
    /// All that were ever started.
    pub started: usize,
}

impl From<Error<io::Error>> for io::Error {
    fn from(error: Error<io::Error>) -> Self {
        match error {
            Error::Failed(error) => error,
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

/// Where no task can fail, what is left are the two reasons that every handle's join has.
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

/// For all that can be shown, because `Box<dyn Error>` is not an `Error`, and an implementation for it beside
/// one for all errors is not allowed: the standard library may make it one some day.
impl<E: fmt::Debug + fmt::Display + 'static> StdError for Error<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Error::Failed(error) => source_of(error),
            Error::Cancelled | Error::WouldDeadlock => None,
        }
    }
}

/// The source of an error of a type that is known.
fn source_of(error: &dyn Any) -> Option<&(dyn StdError + 'static)> {
    type Boxed = Box<dyn StdError + Send + Sync>;
    // A group's errors are shared.
    fn inner<T: 'static>(error: &dyn Any) -> Option<&T> {
        error.downcast_ref::<T>().or_else(|| error.downcast_ref::<Arc<T>>().map(|shared| &**shared))
    }
    if let Some(error) = inner::<Boxed>(error) {
        return error.source();
    }
    if let Some(error) = inner::<Box<dyn StdError + Send>>(error) {
        return error.source();
    }
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
