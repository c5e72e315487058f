//! How a group can fail, and what is left of one whose wait ends early.

use std::any::Any;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::{fmt, io};

use crate::error::{Cancelled, WaitError};
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
/// is boxed, as in a `Box<dyn Error + Send + Sync>`, or an [`io::Error`]; of others the language does not let
/// it ask, so match on [`Failed`](Error::Failed).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Error<E> {
    /// A task or the body returned this, before any other failed.
    Failed(E),
    /// The token was cancelled before every task had started.
    Cancelled,
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
        }
    }
}

/// Where nothing can fail there is one reason left.
impl From<Error<Infallible>> for Cancelled {
    fn from(error: Error<Infallible>) -> Self {
        match error {
            Error::Failed(never) => match never {},
            Error::Cancelled => Cancelled,
        }
    }
}

impl From<Error<Infallible>> for WaitError {
    fn from(error: Error<Infallible>) -> Self {
        Cancelled::from(error).into()
    }
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Failed(error) => error.fmt(f),
            Error::Cancelled => f.write_str("cancelled before every task had started"),
        }
    }
}

/// For all that can be shown, because `Box<dyn Error>` is not an `Error`, and an implementation for it beside
/// one for all errors is not allowed: the standard library may make it one some day.
impl<E: fmt::Debug + fmt::Display + 'static> StdError for Error<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Error::Failed(error) => source_of(error),
            Error::Cancelled => None,
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
