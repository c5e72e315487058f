//! Requests over HTTP and HTTPS.

use std::fmt;
use std::io::{self, Read};
use std::time::Duration;

use percent_encoding::{CONTROLS, percent_encode};
use ureq::http::Response as Answer;
use ureq::http::header::HeaderMap;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::transport::{Connector, DefaultConnector};
use ureq::{Agent, Body as Stream, Proxy};
use url::{Host, Url};
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

use super::builder::BuildError;
use super::codings::{ACCEPTED, Unreadable, unpacking};
use super::fetch::{Body, ErrorKind, Fetch, FetchError, Method, Request, Response};
use super::head::Mend;
use super::resolver::Remembering;
use super::settings::{ProxyRule, TlsSettings};

/// The number of bytes after which a body's reader checks the token.
const CHUNK: usize = 16 << 10;
/// Bytes of a connection's buffer for what arrives: the largest head that the client accepts.
const INPUT: usize = 64 << 10;
/// Bytes of a connection's buffer for requests, which have no body. The client's default is eight times that.
const OUTPUT: usize = 16 << 10;
/// Bytes for which there is room at once if they were announced.
const ROOM: u64 = 1 << 20;

/// Sends requests over HTTP and HTTPS, and reuses connections.
///
/// Bodies are decompressed, and the cap counts the decompressed bytes. Cookies are neither kept nor sent. A
/// malformed head (folded lines, lines without a colon) is read as browsers read it; of a head with more
/// than 120 lines, only the fields that a crawl uses are kept.
///
/// # Blocking
/// A request blocks within its time-outs. While a body arrives, the token is checked with every chunk; a
/// silent server blocks the request until a time-out.
///
/// # Proxies
/// The proxy in `ALL_PROXY`, `HTTPS_PROXY` or `HTTP_PROXY` is used, unless the builder
/// [sets](super::Builder::proxy) another. Requests to hosts in `NO_PROXY` and to this machine (`localhost`
/// and the loopback addresses) are direct. An error names the proxy if the proxy is at fault.
pub struct Http {
    agent: Agent,
    proxy: Option<Proxy>,
}

impl Http {
    /// Creates a client that keeps at most `connections` idle connections open.
    pub fn new(connections: usize) -> Self {
        Http::with_parts(connections, TlsConfig::default(), Proxy::try_from_env())
    }

    /// Creates a client with the builder's settings.
    pub(super) fn with(connections: usize, tls: &TlsSettings, proxy: &ProxyRule) -> Result<Self, BuildError> {
        let proxy = match proxy {
            ProxyRule::Environment => Proxy::try_from_env(),
            ProxyRule::Never => None,
            ProxyRule::Url(url) => Some(Proxy::new(url).map_err(|_| BuildError::BadProxy)?),
        };
        let config = TlsConfig::builder().disable_verification(tls.is_insecure);
        let config = match tls.authorities.is_empty() {
            true => config.build(),
            false => config.root_certs(authorities(&tls.authorities)?).build(),
        };
        Ok(Http::with_parts(connections, config, proxy))
    }

    fn with_parts(connections: usize, tls: TlsConfig, proxy: Option<Proxy>) -> Self {
        let config = Agent::config_builder()
            .tls_config(tls)
            .accept("text/html,application/xhtml+xml;q=0.9,*/*;q=0.1")
            .accept_encoding(ACCEPTED)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .input_buffer_size(INPUT)
            .output_buffer_size(OUTPUT)
            .max_idle_connections(connections)
            .max_idle_connections_per_host(connections);
        let config = config.proxy(proxy.clone());
        let (connector, resolver) = (DefaultConnector::default().chain(Mend), Remembering::default());
        Http { agent: Agent::with_parts(config.build(), connector, resolver), proxy }
    }

    /// The proxy for a request to `url`.
    fn proxy_for(&self, url: &Url) -> Option<&Proxy> {
        let uri = url.as_str().parse().ok();
        self.proxy
            .as_ref()
            .filter(|proxy| !is_loopback(url) && !uri.is_some_and(|uri| proxy.is_no_proxy(&uri)))
    }

    fn call(&self, request: &Request<'_>) -> Result<Answer<Stream>, ureq::Error> {
        let url = request.url.as_str();
        let mut builder = match request.method {
            Method::Get => self.agent.get(url),
            Method::Head => self.agent.head(url),
        };
        // As a header: with an agent of its own, a request would get a connection of its own.
        builder = builder.header("user-agent", request.agent);
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        // Of the crawl's own time, too.
        let clock = request.token.clock();
        let left = request.token.deadline().map(|at| at.saturating_duration_since(clock.now()));
        let total = left.map_or(request.total, |left| left.min(request.total)).max(Duration::from_millis(1));
        let mut config = builder.config();
        if self.proxy.is_some() && is_loopback(request.url) {
            config = config.proxy(None);
        }
        let config = config
            .timeout_global(Some(total))
            .timeout_connect(Some(request.connect))
            .timeout_recv_response(Some(request.read));
        config.build().call()
    }

    fn try_fetch(&self, request: &Request<'_>) -> Result<Response, Failure> {
        let mut answer = self.call(request)?;
        let status = answer.status().as_u16();
        let mut response = Response { status, headers: headers(answer.headers()), body: Body::Unread };
        if request.wants(status, response.content_type()) {
            let announced = response.get("content-length").and_then(|length| length.parse().ok());
            response.body = match announced.filter(|&bytes: &u64| bytes > request.cap && !request.truncate) {
                Some(bytes) => Body::TooLarge(bytes),
                None => read(unpacking(&response, answer.body_mut().as_reader())?, request, announced)?,
            };
        }
        Ok(response)
    }
}

/// The public authorities and those in the given PEM files.
fn authorities(pems: &[Vec<u8>]) -> Result<RootCerts, BuildError> {
    let mut all: Vec<Certificate<'static>> =
        TLS_SERVER_ROOT_CERTS.iter().map(|public| Certificate::from_der(public)).collect();
    for pem in pems {
        let before = all.len();
        for item in parse_pem(pem) {
            if let PemItem::Certificate(own) = item.map_err(|_| BuildError::BadCertificate)? {
                all.push(own);
            }
        }
        if all.len() == before {
            return Err(BuildError::BadCertificate);
        }
    }
    Ok(all.into())
}

/// Why there was no answer, or no body.
enum Failure {
    Client(ureq::Error),
    Coding(String),
}

impl From<ureq::Error> for Failure {
    fn from(error: ureq::Error) -> Self {
        Failure::Client(error)
    }
}

impl From<Unreadable> for Failure {
    fn from(error: Unreadable) -> Self {
        match error {
            Unreadable::Line(error) => Failure::Client(error.into()),
            Unreadable::Coding(text) => Failure::Coding(text),
        }
    }
}

/// What is neither ASCII nor UTF-8 in a header is replaced; in a `Location` it is bytes of a URL, as browsers
/// take it.
fn headers(map: &HeaderMap) -> Vec<(String, String)> {
    let text = |name: &str, bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) if name == "location" => percent_encode(bytes, CONTROLS).to_string(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    };
    map.iter().map(|(name, value)| (name.to_string(), text(name.as_str(), value.as_bytes()))).collect()
}

/// Reads a body up to the cap, which counts the unpacked bytes. There is room at once for what was announced:
/// a vector that doubles as it fills would leave holes of all sizes in the heap.
fn read(mut body: impl Read, request: &Request<'_>, announced: Option<u64>) -> Result<Body, Unreadable> {
    let room = announced.unwrap_or_default().min(ROOM) as usize;
    let (mut all, mut chunk) = (Vec::with_capacity(room), vec![0; CHUNK]);
    loop {
        if request.token.is_cancelled() {
            return Err(Unreadable::Line(io::ErrorKind::Interrupted.into()));
        }
        let length = body.read(&mut chunk)?;
        all.extend_from_slice(&chunk[..length]);
        match length {
            0 => return Ok(Body::Read(all)),
            _ if all.len() as u64 <= request.cap => {}
            _ if request.truncate => {
                all.truncate(request.cap as usize);
                return Ok(Body::Read(all));
            }
            _ => return Ok(Body::TooLarge(request.cap)),
        }
    }
}

impl Fetch for Http {
    fn fetch(&self, request: &Request<'_>) -> Result<Response, FetchError> {
        self.try_fetch(request).map_err(|failure| {
            let (kind, text) = match failure {
                Failure::Client(error) => (kind(&error), error.to_string()),
                Failure::Coding(text) => (ErrorKind::NotUnderstood, text),
            };
            // A request that ends after the crawl was stopped may have been cut short by that.
            let kind = if request.token.is_cancelled() { ErrorKind::Stopped } else { kind };
            let through = self.proxy_for(request.url);
            let through =
                through.map(|proxy| format!(" (through the proxy {}:{})", proxy.host(), proxy.port()));
            FetchError::new(kind, text + &through.unwrap_or_default())
        })
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn kind(error: &ureq::Error) -> ErrorKind {
    match error {
        ureq::Error::Timeout(_) => ErrorKind::TimedOut,
        ureq::Error::HostNotFound => ErrorKind::NoSuchHost,
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::Pem(_) => ErrorKind::Tls,
        ureq::Error::Io(error) => of_io(error),
        ureq::Error::ConnectionFailed => ErrorKind::ConnectionLost,
        _ => ErrorKind::NotUnderstood,
    }
}

fn of_io(error: &io::Error) -> ErrorKind {
    // What the client itself reports while a body is read arrives wrapped.
    if let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
        return kind(inner);
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ErrorKind::ConnectionRefused,
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => ErrorKind::TimedOut,
        // How a TLS handshake fails when it fails in the middle of a write.
        io::ErrorKind::InvalidData => ErrorKind::Tls,
        // std has no kind for it.
        _ if error.to_string().starts_with("failed to lookup address") => ErrorKind::NoSuchHost,
        _ => ErrorKind::ConnectionLost,
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}
