//! One request at a time: what became of a URL, and what a host allows.

use std::io::{self, Read};
use std::time::Duration;

use selvedge::CancelToken;
use texting_robots::Robot;
use ureq::http::Response;
use ureq::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, LOCATION};
use ureq::{Agent, Body};
use url::Url;

use crate::html::{self, Links};

/// What servers are told, and the name that robots.txt may call us by.
const AGENT: &str = "selvedge-crawl";
/// A page of more bytes is not read; the median page of the web has a thirtieth.
pub(crate) const BODY_CAP: u64 = 1 << 20;
/// What robots.txt may hold: RFC 9309 asks for at least this.
const ROBOTS_CAP: u64 = 500 << 10;
/// The most that robots.txt can make us wait between two requests.
const LONGEST_DELAY: Duration = Duration::from_secs(10);
/// How often a body's reader looks at the token.
const CHUNK: usize = 16 << 10;

/// What became of a request.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Page {
        links: Links,
        bytes: u64,
    },
    /// Alive, and its body was not asked for: not HTML.
    Other {
        mime: String,
    },
    /// Alive, and its body is beyond [`BODY_CAP`].
    TooLarge {
        bytes: u64,
    },
    Redirect {
        status: u16,
        to: Url,
    },
    /// A status of 400 or above.
    Refused {
        status: u16,
    },
    Failed(Failure),
    /// The crawl was stopped first. Says nothing about the page.
    Stopped,
}

/// Why there was no answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    /// A few words: what failures are counted by.
    pub(crate) kind: &'static str,
    pub(crate) detail: String,
}

/// What a host's robots.txt came to.
#[derive(Debug)]
pub(crate) enum Rules {
    /// There is none: everything is allowed.
    All,
    Obey(Box<Robot>),
    /// The host has trouble with it, and until it has none, nothing is allowed.
    Nothing,
    /// The host does not answer, so none of its pages will.
    Unreachable(Failure),
    Stopped,
}

impl Rules {
    pub(crate) fn allow(&self, url: &Url) -> bool {
        match self {
            Rules::Obey(robot) => robot.allowed(url.as_str()),
            Rules::All => true,
            Rules::Nothing | Rules::Unreachable(_) | Rules::Stopped => false,
        }
    }

    /// What it asks for between two requests.
    pub(crate) fn delay(&self) -> Duration {
        let Rules::Obey(robot) = self else { return Duration::ZERO };
        let delay = robot.delay.and_then(|seconds| Duration::try_from_secs_f32(seconds).ok());
        delay.unwrap_or_default().min(LONGEST_DELAY)
    }
}

/// Makes requests for a crawl that can be stopped.
#[derive(Debug)]
pub(crate) struct Fetcher {
    agent: Agent,
    token: CancelToken,
    /// For one request, all in all.
    timeout: Duration,
}

impl Fetcher {
    pub(crate) fn new(token: &CancelToken, timeout: Duration, connections: usize) -> Self {
        let config = Agent::config_builder()
            .user_agent(format!("{AGENT}/{}", env!("CARGO_PKG_VERSION")))
            .accept("text/html,application/xhtml+xml;q=0.9,*/*;q=0.1")
            .http_status_as_error(false)
            .max_redirects_will_error(false)
            .max_idle_connections(connections)
            .max_idle_connections_per_host(connections);
        Fetcher { agent: config.build().new_agent(), token: token.clone(), timeout }
    }

    pub(crate) fn token(&self) -> &CancelToken {
        &self.token
    }

    /// Asks for `url`, and follows nothing: each hop of a redirect is a page of its own.
    pub(crate) fn page(&self, url: &Url) -> Outcome {
        self.try_page(url).unwrap_or_else(|error| self.blame(error).map_or(Outcome::Stopped, Outcome::Failed))
    }

    fn try_page(&self, url: &Url) -> Result<Outcome, ureq::Error> {
        let mut response = self.get(url, 0)?;
        let status = response.status();
        if status.is_redirection() && response.headers().contains_key(LOCATION) {
            let to =
                header(&response, LOCATION).and_then(|to| html::resolve(url, to).ok()).filter(html::is_http);
            let nowhere =
                || Failure { kind: "redirect to nowhere", detail: "its Location is no http URL".into() };
            let redirect = to.map(|to| Outcome::Redirect { status: status.as_u16(), to });
            return Ok(redirect.unwrap_or_else(|| Outcome::Failed(nowhere())));
        }
        if !status.is_success() {
            return Ok(Outcome::Refused { status: status.as_u16() });
        }
        let mime =
            header(&response, CONTENT_TYPE).unwrap_or("text/html").split(';').next().unwrap_or("").trim();
        if !matches!(mime, "text/html" | "application/xhtml+xml") {
            return Ok(Outcome::Other { mime: mime.to_owned() });
        }
        if let Some(bytes) = announced(&response).filter(|&bytes| bytes > BODY_CAP) {
            return Ok(Outcome::TooLarge { bytes });
        }
        Ok(match self.body(response.body_mut(), BODY_CAP)? {
            Some(body) => {
                let links = Links::of(&String::from_utf8_lossy(&body), url);
                Outcome::Page { links, bytes: body.len() as u64 }
            }
            None => Outcome::TooLarge { bytes: BODY_CAP },
        })
    }

    /// Asks the host of `url` for its robots.txt.
    pub(crate) fn robots(&self, url: &Url) -> Rules {
        self.try_robots(url)
            .unwrap_or_else(|error| self.blame(error).map_or(Rules::Stopped, Rules::Unreachable))
    }

    fn try_robots(&self, url: &Url) -> Result<Rules, ureq::Error> {
        let url = url.join("/robots.txt").expect("a path joins any http URL");
        let mut response = self.get(&url, 5)?;
        if response.status().is_server_error() {
            return Ok(Rules::Nothing);
        }
        if !response.status().is_success() {
            return Ok(Rules::All);
        }
        let body = self.body(response.body_mut(), ROBOTS_CAP)?;
        // What cannot be read cannot be obeyed, so it is taken for a no.
        let robot = body.and_then(|body| Robot::new(AGENT, &body).ok());
        Ok(robot.map_or(Rules::Nothing, |robot| Rules::Obey(Box::new(robot))))
    }

    /// Sends a request that ends with its own time or the crawl's, whichever is first.
    fn get(&self, url: &Url, redirects: u32) -> Result<Response<Body>, ureq::Error> {
        let left = self.token.deadline().map(|at| at.saturating_duration_since(self.token.clock().now()));
        let timeout = left.map_or(self.timeout, |left| left.min(self.timeout)).max(Duration::from_millis(1));
        let config = self.agent.get(url.as_str()).config();
        config.max_redirects(redirects).timeout_global(Some(timeout)).build().call()
    }

    /// Reads a body of at most `cap` bytes; `None` if it is longer. Looks at the token as it goes.
    fn body(&self, body: &mut Body, cap: u64) -> Result<Option<Vec<u8>>, ureq::Error> {
        let mut reader = body.as_reader();
        let (mut all, mut chunk) = (Vec::new(), vec![0; CHUNK]);
        loop {
            if self.token.is_cancelled() {
                return Err(io::Error::from(io::ErrorKind::Interrupted).into());
            }
            let length = reader.read(&mut chunk)?;
            all.extend_from_slice(&chunk[..length]);
            match length {
                0 => return Ok(Some(all)),
                _ if all.len() as u64 > cap => return Ok(None),
                _ => {}
            }
        }
    }

    /// Says what an error means; `None` if it is only that the crawl was stopped.
    fn blame(&self, error: ureq::Error) -> Option<Failure> {
        // A request that ends after the crawl was stopped may have been cut short by that.
        if self.token.is_cancelled() {
            return None;
        }
        let kind = match &error {
            ureq::Error::Timeout(_) => "timed out",
            ureq::Error::HostNotFound => "no such host",
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::Pem(_) => "TLS",
            ureq::Error::Io(error) => kind(error),
            ureq::Error::ConnectionFailed => "connection lost",
            _ => "not understood",
        };
        Some(Failure { kind, detail: error.to_string() })
    }
}

fn kind(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        // How a TLS handshake fails when it fails in the middle of a write.
        io::ErrorKind::InvalidData => "TLS",
        // std has no kind for it.
        _ if error.to_string().starts_with("failed to lookup address") => "no such host",
        _ => "connection lost",
    }
}

fn header(response: &Response<Body>, name: HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

fn announced(response: &Response<Body>) -> Option<u64> {
    header(response, CONTENT_LENGTH)?.parse().ok()
}
