//! One request and its answer, without saying how it is made.

use std::fmt;
use std::time::Duration;

use selvedge::CancelToken;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::panics::Held;

/// Makes requests: over HTTP ([`Http`](super::Http)), from the disk ([`Files`](super::Files)), out of memory
/// ([`MemorySite`](super::MemorySite)), or however you like.
///
/// Called by several workers at once, with no lock held. One request, one answer: redirects are not followed,
/// nothing is tried again, no cookie is kept; the crawler sees to all that. A panic in it is a failed page of
/// kind [`ErrorKind::Panicked`], and the crawl goes on.
///
/// # Examples
/// A fetcher of one's own, and its test:
/// ```
/// use selvedge::CancelToken;
/// use selvedge_crawl::{Fetch, FetchError, MemorySite, Request, Response};
///
/// /// Takes a teapot for a page.
/// struct Teapots<F>(F);
///
/// impl<F: Fetch> Fetch for Teapots<F> {
///     fn fetch(&self, request: &Request<'_>) -> Result<Response, FetchError> {
///         let response = self.0.fetch(request)?;
///         Ok(if response.status == 418 { Response::html("") } else { response })
///     }
/// }
///
/// let site = MemorySite::new().response("http://loom.test/tea", Response::status(418));
/// let (url, token) = ("http://loom.test/tea".parse()?, CancelToken::new());
/// let answer = Teapots(site).fetch(&Request::new(&url, &token))?;
/// assert_eq!(answer.status, 200);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Fetch: Send + Sync {
    /// Makes the request, within its time-outs, and gives up soon after its token is cancelled.
    ///
    /// # Errors
    /// [`FetchError`] if there was no answer. A status of 404 is an answer.
    fn fetch(&self, request: &Request<'_>) -> Result<Response, FetchError>;
}

impl<F: Fetch> Fetch for Held<F> {
    fn fetch(&self, request: &Request<'_>) -> Result<Response, FetchError> {
        (**self).fetch(request)
    }
}

/// What is asked of whom.
#[derive(Clone)]
#[non_exhaustive]
pub struct Request<'a> {
    /// Whom.
    pub url: &'a Url,
    /// With or without a body.
    pub method: Method,
    /// What the user agent calls itself.
    pub agent: &'a str,
    /// Headers in addition: those that this origin is to be told.
    pub headers: &'a [(String, String)],
    /// Media types whose body is wanted; empty for all.
    pub types: &'a [String],
    /// A body of more bytes, unpacked, is not wanted.
    pub cap: u64,
    /// Of a longer body the beginning is wanted, up to the cap.
    pub truncate: bool,
    /// For the connection.
    pub connect: Duration,
    /// From the request to the answer's head.
    pub read: Duration,
    /// For all of it.
    pub total: Duration,
    /// Stops the crawl.
    pub token: &'a CancelToken,
}

/// How a page is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// With its body.
    Get,
    /// Only whether it is there.
    Head,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status, such as 200.
    pub status: u16,
    /// The headers. Names compare without regard to case.
    pub headers: Vec<(String, String)>,
    /// The body, as far as it was wanted.
    pub body: Body,
}

/// The body of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// All of it, unpacked.
    Read(Vec<u8>),
    /// It has more bytes than were wanted: the number announced, or the cap.
    TooLarge(u64),
    /// It was not wanted.
    Unread,
}

/// Why there was no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetchError {
    /// What it comes to.
    pub kind: ErrorKind,
    /// What the system said.
    pub detail: String,
}

/// What a failure comes to: what failures are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// One of the time-outs passed.
    TimedOut,
    /// Nobody listens there.
    ConnectionRefused,
    /// It broke off.
    ConnectionLost,
    /// The name means no machine.
    NoSuchHost,
    /// The file is there and cannot be read.
    Unreadable,
    /// No secure connection.
    Tls,
    /// The answer is no HTTP.
    NotUnderstood,
    /// A redirect whose `Location` is no URL, or one that no browser goes to, such as `data:`.
    RedirectToNowhere,
    /// Its host has said too often that it is too much, so it was not asked.
    GivenUp,
    /// The fetcher panicked.
    Panicked,
    /// The crawl was stopped first. Says nothing about the page.
    Stopped,
}

impl<'a> Request<'a> {
    /// A GET without headers of anybody's and with the limits that a crawl has by default, to try a fetcher
    /// with. The fields may be set afterwards.
    pub fn new(url: &'a Url, token: &'a CancelToken) -> Self {
        Request {
            url,
            method: Method::Get,
            agent: concat!("selvedge-crawl/", env!("CARGO_PKG_VERSION")),
            headers: &[],
            types: &[],
            cap: 4 << 20,
            truncate: false,
            connect: Duration::from_secs(10),
            read: Duration::from_secs(20),
            total: Duration::from_secs(30),
            token,
        }
    }

    /// Whether the body of an answer with this status and `Content-Type` is wanted.
    pub fn wants(&self, status: u16, content_type: Option<&str>) -> bool {
        let mime = mime(content_type.unwrap_or("text/html"));
        self.method == Method::Get
            && (200..300).contains(&status)
            && (self.types.is_empty() || self.types.iter().any(|wanted| wanted.eq_ignore_ascii_case(mime)))
    }
}

impl fmt::Debug for Request<'_> {
    /// Without the headers' values, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        let mut out = f.debug_struct("Request");
        out.field("url", &self.url.as_str()).field("method", &self.method).field("headers", &headers);
        out.finish_non_exhaustive()
    }
}

impl Response {
    /// A page of HTML in UTF-8.
    pub fn html(html: impl Into<String>) -> Self {
        Response::of("text/html; charset=utf-8", html.into())
    }

    /// An answer of status 200 with a body of this type.
    pub fn of(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Response {
            status: 200,
            headers: vec![("content-type".into(), content_type.into())],
            body: Body::Read(body.into()),
        }
    }

    /// An answer without a body.
    pub fn status(status: u16) -> Self {
        Response { status, headers: Vec::new(), body: Body::Unread }
    }

    /// An answer that leads elsewhere.
    pub fn redirect(status: u16, to: &str) -> Self {
        Response::status(status).header("location", to)
    }

    /// The same answer with one header more.
    #[must_use = "the header is in the answer that is returned"]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The first header of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The content type: the last one that names a type, of all headers and all values in each, as browsers
    /// take it; `None` if none does.
    pub fn content_type(&self) -> Option<&str> {
        let headers = self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        headers.flat_map(|(_, value)| values(value)).rfind(|value| is_type(mime(value)))
    }

    /// The media type, without its parameters.
    pub fn mime(&self) -> Option<&str> {
        self.content_type().map(mime)
    }
}

/// The values in a header that is a list. A comma in a quoted string separates nothing.
pub(super) fn values(list: &str) -> impl DoubleEndedIterator<Item = &str> {
    let mut is_quoted = false;
    let values = list.split(move |c| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    });
    values.map(str::trim).collect::<Vec<_>>().into_iter()
}

/// Whether a media type is one, and not one of those that stand for an unknown type (MIME Sniffing 7).
fn is_type(mime: &str) -> bool {
    let names = mime.split_once('/').is_some_and(|(kind, name)| !kind.is_empty() && !name.is_empty());
    names
        && !["*/*", "unknown/unknown", "application/unknown"]
            .iter()
            .any(|none| mime.eq_ignore_ascii_case(none))
}

/// The media type in a `Content-Type`.
pub(super) fn mime(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

impl FetchError {
    /// A failure of this kind.
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        FetchError { kind, detail: detail.into() }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.detail)
    }
}

impl std::error::Error for FetchError {}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorKind::TimedOut => "timed out",
            ErrorKind::ConnectionRefused => "connection refused",
            ErrorKind::ConnectionLost => "connection lost",
            ErrorKind::NoSuchHost => "no such host",
            ErrorKind::Unreadable => "cannot be read",
            ErrorKind::Tls => "TLS",
            ErrorKind::NotUnderstood => "not understood",
            ErrorKind::RedirectToNowhere => "redirect to nowhere",
            ErrorKind::GivenUp => "host given up",
            ErrorKind::Panicked => "the fetcher panicked",
            ErrorKind::Stopped => "stopped",
        })
    }
}
