//! Why a crawl did not begin.

use std::{error, fmt};

use selvedge::pool;

/// Why a crawl did not begin.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// A start is no URL.
    NotAUrl {
        /// The text.
        text: String,
        /// Why it is no URL.
        reason: url::ParseError,
    },
    /// It is one of another scheme than http and https.
    NotHttp {
        /// What it is.
        text: String,
    },
    /// It is a file, and the crawler was [given](crate::Builder::folder) no folder that it is in.
    NotInAFolder {
        /// What it is.
        text: String,
    },
    /// No worker could be started.
    Workers(pool::BuildError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::NotAUrl { text, reason: url::ParseError::RelativeUrlWithoutBase } => {
                write!(f, "{text:?} is not a whole URL; did you mean https://{text}?")
            }
            StartError::NotAUrl { text, reason } => {
                write!(f, "{text:?} is not a URL: {reason}; try https://example.org/.")
            }
            // `localhost:8080` is a URL of scheme `localhost`.
            StartError::NotHttp { text } if !text.contains("://") => {
                write!(f, "{text:?} has no scheme; did you mean http://{text}?")
            }
            StartError::NotHttp { text } => write!(f, "{text:?} is not crawled, only http and https are."),
            StartError::NotInAFolder { text } => {
                write!(f, "{text} is a file, and in none of the folders that the crawler was given.")
            }
            StartError::Workers(error) => write!(f, "the crawl has no workers: {error}"),
        }
    }
}

impl error::Error for StartError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            StartError::NotAUrl { reason, .. } => Some(reason),
            StartError::NotHttp { .. } | StartError::NotInAFolder { .. } => None,
            StartError::Workers(error) => Some(error),
        }
    }
}
