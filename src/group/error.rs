//! How a group can fail, and what is left of one whose wait ends early.

use std::error::Error as StdError;
use std::{fmt, io};

/// Why a scope or a group failed.
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
    /// The tasks that run, in the order in which they were spawned: by their names, or as `task 3` for the fourth
    /// that was spawned if it has none.
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

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Failed(error) => error.fmt(f),
            Error::Cancelled => f.write_str("cancelled before every task had started"),
        }
    }
}

impl<E: StdError + 'static> StdError for Error<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Error::Failed(error) => error.source(),
            Error::Cancelled => None,
        }
    }
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unfinished { running, waiting } = self;
        write!(f, "{} running ({}), {waiting} not started", running.len(), running.join(", "))
    }
}
