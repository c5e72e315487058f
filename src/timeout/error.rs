//! Why a function with a time limit has no result.

use std::error::Error as StdError;
use std::fmt;

use super::Running;
use super::job::deliver;
use crate::error::{Rejected, WaitError};

/// Why [`run`](super::run) has no result.
pub enum Error<F, R> {
    /// The limit had passed before the function started; it never starts.
    NotStarted(Rejected<F, WaitError>),
    /// The limit passed while the function was running; it may have ended since. Its token is cancelled.
    Late(Rejected<Running<R>, WaitError>),
}

impl<F, R> Error<F, R> {
    /// Returns whether the time or the token ended the wait.
    pub fn reason(&self) -> WaitError {
        match self {
            Error::NotStarted(rejected) => rejected.error,
            Error::Late(rejected) => rejected.error,
        }
    }

    /// Returns the handle to the running function; `None` if it was not started.
    pub fn into_running(self) -> Option<Running<R>> {
        match self {
            Error::NotStarted(_) => None,
            Error::Late(rejected) => Some(rejected.value),
        }
    }
}

impl<F, R> Error<F, R> {
    /// Returns the result if the function has ended by now, for callers that prefer a late result to none.
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
    /// This error, if the function was not started or is still running.
    ///
    /// # Panics
    /// With the function's payload, if it panicked after the limit.
    pub fn into_value(self) -> Result<R, Self> {
        match self {
            Error::Late(Rejected { value, error }) => match value.take() {
                Some(result) => {
                    // Before a panic resumes: the handle's drop must not run during the unwinding.
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
    /// The reason alone: a running function continues without a handle.
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
