//! Why an operation was given up.

use std::error::Error as StdError;
use std::fmt;

use crate::error::WaitError;

/// Why [`run`](super::run) has no result, with the error of the last attempt.
///
/// Its [`source`](StdError::source) is the last error. A caller that only wants that error takes
/// [`last`](Error::last):
/// ```
/// use selvedge::retry::{self, Reason};
///
/// let policy = retry::policy().attempts(2).first(std::time::Duration::ZERO);
/// let error = retry::run(selvedge::Until::forever(), &policy, |_| "x".parse::<u8>()).unwrap_err();
/// assert_eq!((error.attempts, error.reason), (2, Reason::Exhausted));
/// assert_eq!(error.to_string(), "gave up after 2 attempts: invalid digit found in string");
/// let last = error.last.expect("there was an attempt");
/// assert_eq!(last.to_string(), "invalid digit found in string");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Error<E> {
    /// The error of the last attempt; `None` if the limit's token was cancelled before the first one.
    pub last: Option<E>,
    /// The number of attempts that were made.
    pub attempts: usize,
    /// Why no further attempt was made.
    pub reason: Reason,
}

/// Why no further attempt was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The policy's maximum of attempts was reached.
    Exhausted,
    /// The last error is not worth another attempt: the caller's closure said [`Again::No`](super::Again).
    Permanent,
    /// The limit or the policy's budget would have ended before the next attempt.
    TimedOut,
    /// The limit's token was cancelled.
    Cancelled,
}

impl<E> Error<E> {
    pub(super) fn new(last: Option<E>, attempts: usize, reason: Reason) -> Self {
        Error { last, attempts, reason }
    }
}

impl From<WaitError> for Reason {
    /// Why a limit ended.
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::Cancelled => Reason::Cancelled,
            // A limit ends in these two ways only.
            _ => Reason::TimedOut,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Exhausted => "gave up",
            Reason::Permanent => "not worth another attempt",
            Reason::TimedOut => "no time for another attempt",
            Reason::Cancelled => "cancelled",
        })
    }
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Error { last, attempts, reason } = self;
        let Some(last) = last else { return write!(f, "{reason} before the first attempt") };
        write!(f, "{reason} after {attempts} attempt{}: {last}", if *attempts == 1 { "" } else { "s" })
    }
}

impl<E: StdError + 'static> StdError for Error<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.last.as_ref()?)
    }
}
