//! Why a function with a limit has no result.

use std::error::Error as StdError;
use std::fmt;

use super::Running;
use super::job::deliver;
use crate::error::{Rejected, WaitError};

/// Why [`run`](super::run) has no result.
pub enum Error<F, R> {
    /// The limit had passed before the function started, which it then never does.
    NotStarted(Rejected<F, WaitError>),
    /// The limit passed while the function ran, which may have ended since. Its token is cancelled.
    Late(Rejected<Running<R>, WaitError>),
}

impl<F, R> Error<F, R> {
    /// Whether it was the time or the token that ended the wait.
    pub fn reason(&self) -> WaitError {
        match self {
            Error::NotStarted(rejected) => rejected.error,
            Error::Late(rejected) => rejected.error,
        }
    }

    /// The handle to what runs; `None` if nothing was started.
    pub fn into_running(self) -> Option<Running<R>> {
        match self {
            Error::NotStarted(_) => None,
            Error::Late(rejected) => Some(rejected.value),
        }
    }
}

impl<F, R> Error<F, R> {
    /// The result, if the function has ended by now: for a caller to whom late is better than nothing.
    ///
    /// ```
    /// use std::time::Duration;
    /// use selvedge::timeout;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let sum = timeout::run(Duration::from_secs(60), |_| 1 + 1).or_else(timeout::Error::into_value)?;
    /// assert_eq!(sum, 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// This error, if the function was not started or still runs.
    ///
    /// # Panics
    /// As the function did, with its payload, if it panicked after the limit.
    pub fn into_value(self) -> Result<R, Self> {
        match self {
            Error::Late(Rejected { value, error }) => match value.take() {
                Some(result) => {
                    drop(value);
                    Ok(deliver(result))
                }
                None => Err(Error::Late(Rejected::new(value, error))),
            },
            not_started => Err(not_started),
        }
    }
}

impl<F, R> From<Error<F, R>> for WaitError {
    /// The reason alone: what runs goes on without a handle.
    fn from(error: Error<F, R>) -> Self {
        error.reason()
    }
}

impl<F, R> fmt::Display for Error<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Error::NotStarted(_) => "the function was not started (it is in this error)",
            Error::Late(late) if late.value.is_finished() => {
                "the function ended after that (its result is in this error)"
            }
            Error::Late(_) => "the function still runs (its handle is in this error)",
        };
        write!(f, "{}; {what}", self.reason())
    }
}

impl<F, R> fmt::Debug for Error<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Error::NotStarted(_) => "NotStarted",
            Error::Late(_) => "Late",
        };
        f.debug_tuple(name).field(&self.reason()).finish()
    }
}

impl<F, R> StdError for Error<F, R> {}
