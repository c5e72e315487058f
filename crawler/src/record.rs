//! What became of a page, and what is said of it while the crawl goes on.

use std::time::Duration;

use selvedge::sync::Arc;
use serde::{Deserialize, Serialize};

use super::fetch::ErrorKind;
use super::frontier::{Counts, PageId};

/// What became of the last request for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// It was read for links.
    Page,
    /// It was read for URLs.
    Sitemap,
    /// It is there, and was not read: of another type, or only to be looked at.
    Alive,
    /// It is there, and has more bytes than are wanted.
    TooLarge,
    /// It leads elsewhere.
    Redirect,
    /// A status of 400 or above, or one that means nothing.
    Refused,
    /// There was no answer.
    Failed(ErrorKind),
}

/// All that is known of a page that was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// What became of it.
    pub outcome: Outcome,
    /// The status, if there was an answer.
    pub status: Option<u16>,
    /// The media type, if it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime: Option<Arc<str>>,
    /// Bytes that were read, unpacked; or that were announced, if they were too many.
    pub bytes: u64,
    /// From the request to the end of the answer; the last time, if it was tried again.
    #[serde(with = "seconds", rename = "seconds")]
    pub took: Duration,
    /// How often it was tried again.
    pub retries: u32,
    /// What the system said of a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Box<str>>,
}

/// A page that was just settled: what callbacks and the iterator are given.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Visited {
    /// Its number in the report.
    pub id: PageId,
    /// Its URL in its one spelling.
    pub url: Arc<str>,
    /// How many links from the start, as far as is known yet.
    pub depth: u32,
    /// What became of it.
    pub record: Record,
    /// Links on it, each URL once.
    pub links: usize,
}

/// How far a crawl is.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// Since the beginning, on the system's clock.
    pub at: Duration,
    /// Pages found, waiting, in work and fetched.
    pub counts: Counts,
    /// Of those fetched, how many were refused or failed.
    pub errors: usize,
}

impl Record {
    /// Whether the page was refused or failed.
    pub fn is_error(&self) -> bool {
        matches!(self.outcome, Outcome::Refused | Outcome::Failed(_))
    }
}

/// A duration as a number of seconds, to the microsecond.
pub(super) mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64((span.as_secs_f64() * 1e6).round() / 1e6)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(D::Error::custom)
    }
}
