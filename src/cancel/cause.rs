//! Why a token was cancelled.

use std::error::Error;
use std::fmt;

use crate::sync::Arc;

/// Why a token was cancelled: the first reason holds, and children have their parent's.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// [`CancelToken::cancel`](crate::CancelToken::cancel) was called, or a drop guard was dropped.
    Requested,
    /// The token's deadline passed.
    DeadlinePassed,
    /// [`CancelToken::cancel_because`](crate::CancelToken::cancel_because) was called with this error.
    Error(Arc<dyn Error + Send + Sync>),
}

impl Cause {
    /// The error that was given, if one was.
    pub fn error(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        match self {
            Cause::Error(error) => Some(&**error),
            Cause::Requested | Cause::DeadlinePassed => None,
        }
    }

    /// True if time was the reason.
    pub fn is_deadline(&self) -> bool {
        matches!(self, Cause::DeadlinePassed)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Requested => f.write_str("cancelled on request"),
            Cause::DeadlinePassed => f.write_str("the deadline passed"),
            Cause::Error(error) => error.fmt(f),
        }
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error().map(|error| error as _)
    }
}
