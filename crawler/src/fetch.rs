//! A request, its response, and the trait that makes one from the other.

use std::fmt;
use std::time::Duration;

use selvedge::CancelToken;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::panics::Held;

/// Makes requests: over HTTP ([`Http`](super::Http)), from the disk ([`Files`](super::Files)), from memory
/// ([`MemorySite`](super::MemorySite)), or your own way.
///
/// Several workers call it at once, with no lock held. One call makes one request: it follows no redirect,
/// retries nothing and stores no cookie, all of which the crawler does. A panic in it is a failed page of
/// kind [`ErrorKind::Panicked`], and the crawl continues.
///
/// # Examples
/// A fetcher of your own, and its test:
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
    /// [`FetchError`] if there was no response. A status of 404 is a response.
    fn fetch(&self, request: &Request<'_>) -> Result<Response, FetchError>;
}

impl<F: Fetch> Fetch for Held<F> {
    fn fetch(&self, request: &Request<'_>) -> Result<Response, FetchError> {
        (**self).fetch(request)
    }
}

/// A request.
#[derive(Clone)]
#[non_exhaustive]
pub struct Request<'a> {
    /// The URL.
    pub url: &'a Url,
    /// The method.
    pub method: Method,
    /// The value of `User-Agent`.
    pub agent: &'a str,
    /// Further headers for this origin.
    pub headers: &'a [(String, String)],
    /// Media types whose body is wanted; empty for all.
    pub types: &'a [String],
    /// The maximum size of a body, after decoding, in bytes. A larger one is not read.
    pub cap: u64,
    /// Read the first `cap` bytes of a larger body instead.
    pub truncate: bool,
    /// The time-out of the connection.
    pub connect: Duration,
    /// The time-out from the request to the head of the response.
    pub read: Duration,
    /// The time-out of the whole exchange.
    pub total: Duration,
    /// The token of the crawl.
    pub token: &'a CancelToken,
}

/// The method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// GET: with the body.
    Get,
    /// HEAD: only the status and the headers.
    Head,
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status, such as 200.
    pub status: u16,
    /// The headers. Names compare without regard to case.
    pub headers: Vec<(String, String)>,
    /// The body, if it was wanted.
    pub body: Body,
}

/// The body of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The whole body, decoded.
    Read(Vec<u8>),
    /// It is larger than the maximum: the announced size, or the maximum.
    TooLarge(u64),
    /// It was not read.
    Unread,
}

/// The reason why there was no response.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetchError {
    /// The kind of failure.
    pub kind: ErrorKind,
    /// The message of the system or the library.
    pub detail: String,
}

/// The kind of a failure, by which failures are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// One of the time-outs passed.
    TimedOut,
    /// No server listens on that port.
    ConnectionRefused,
    /// The connection was lost.
    ConnectionLost,
    /// The host name does not resolve.
    NoSuchHost,
    /// The file exists and cannot be read.
    Unreadable,
    /// No secure connection could be made.
    Tls,
    /// The response is not HTTP.
    NotUnderstood,
    /// A redirect whose `Location` is not a URL, or one that no browser follows, such as `data:`.
    RedirectToNowhere,
    /// Not requested, because its host answered 429 too often.
    GivenUp,
    /// The fetcher panicked.
    Panicked,
    /// The crawl was stopped first. This says nothing about the page.
    Stopped,
}

impl<'a> Request<'a> {
    /// Makes a GET without further headers, with the default limits of a crawl, to test a fetcher with. The
    /// fields may be changed afterwards.
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

    /// Returns true if the body of a response with this status and `Content-Type` is wanted.
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
    /// Makes a page of HTML in UTF-8.
    pub fn html(html: impl Into<String>) -> Self {
        Response::of("text/html; charset=utf-8", html.into())
    }

    /// Makes a response of status 200 with a body of this type.
    pub fn of(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Response {
            status: 200,
            headers: vec![("content-type".into(), content_type.into())],
            body: Body::Read(body.into()),
        }
    }

    /// Makes a response without a body.
    pub fn status(status: u16) -> Self {
        Response { status, headers: Vec::new(), body: Body::Unread }
    }

    /// Makes a redirect.
    pub fn redirect(status: u16, to: &str) -> Self {
        Response::status(status).header("location", to)
    }

    /// Adds a header.
    #[must_use = "the header is in the response that is returned"]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Returns the first header of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Returns the content type: of all headers and all values in each, the last one that names a type, as in
    /// browsers.
    pub fn content_type(&self) -> Option<&str> {
        let headers = self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        headers.flat_map(|(_, value)| values(value)).rfind(|value| is_type(mime(value)))
    }

    /// Returns the media type without its parameters.
    pub fn mime(&self) -> Option<&str> {
        self.content_type().map(mime)
    }
}

/// Returns the values of a header that is a list. A comma in a quoted string is not a separator.
pub(super) fn values(list: &str) -> impl DoubleEndedIterator<Item = &str> {
    let mut is_quoted = false;
    let values = list.split(move |c| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    });
    values.map(str::trim).collect::<Vec<_>>().into_iter()
}

/// Returns true for a media type that is well formed and does not stand for an unknown type (MIME Sniffing
/// 7).
fn is_type(mime: &str) -> bool {
    let names = mime.split_once('/').is_some_and(|(kind, name)| !kind.is_empty() && !name.is_empty());
    names
        && !["*/*", "unknown/unknown", "application/unknown"]
            .iter()
            .any(|none| mime.eq_ignore_ascii_case(none))
}

/// Returns the media type in a `Content-Type`.
pub(super) fn mime(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

impl FetchError {
    /// Makes a failure of this kind.
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
