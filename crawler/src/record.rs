//! The outcome of a request, and what callbacks are told of it during the crawl.

use std::time::Duration;

use selvedge::sync::Arc;
use serde::{Deserialize, Serialize};

use super::fetch::ErrorKind;
use super::frontier::{Counts, PageId};

/// The outcome of the last request for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// A page that was read for links.
    Page,
    /// A sitemap that was read for URLs.
    Sitemap,
    /// It exists and was not read: it has another type, or only its existence was checked.
    Alive,
    /// It exists and exceeds the limit on bytes.
    TooLarge,
    /// A redirect.
    Redirect,
    /// A status of 400 or above, or one without a meaning.
    Refused,
    /// No answer.
    Failed(ErrorKind),
}

/// The result of requesting a page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// The outcome.
    pub outcome: Outcome,
    /// The status, if there was an answer.
    pub status: Option<u16>,
    /// The media type, if the answer has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime: Option<Arc<str>>,
    /// The length of the body after decompression; the announced length if it exceeded the limit.
    pub bytes: u64,
    /// The time from the request to the end of the answer, of the last attempt.
    #[serde(with = "seconds", rename = "seconds")]
    pub took: Duration,
    /// Attempts after the first.
    pub retries: u32,
    /// The system's message about a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Box<str>>,
}

/// A page that was just requested, as callbacks and the iterator receive it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Visited {
    /// Its number in the report.
    pub id: PageId,
    /// Its URL in its canonical form.
    pub url: Arc<str>,
    /// Its distance from the start in links, by the shortest way known so far.
    pub depth: u32,
    /// The result.
    pub record: Record,
    /// The number of different URLs that it links to.
    pub links: usize,
}

/// The progress of a crawl.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// The time since the beginning, on the system's clock.
    pub at: Duration,
    /// Pages found, waiting, in flight and fetched.
    pub counts: Counts,
    /// Fetched pages that were refused or failed.
    pub errors: usize,
}

impl Record {
    /// True if the page was refused or failed.
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
