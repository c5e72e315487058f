//! Settings of requests: headers, credentials, time-outs, retries.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Builder;
use crate::credentials::{Header, To};
use crate::settings::ProxyRule;

impl Builder {
    /// The `User-Agent` header. The part before the first slash is the crawler's name in robots.txt.
    /// Defaults to `selvedge-crawl/` and the version.
    pub fn user_agent(mut self, agent: impl Into<String>) -> Self {
        self.settings.request.agent = agent.into();
        self
    }

    /// Sends a header with every request to the start's origin (its scheme, host and port), robots.txt
    /// included. It is not sent to any other origin, even if a page or a redirect leads there. Its value is
    /// never shown.
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.header_to(name, value, To::Start)
    }

    /// Sends a header with every request to another origin, such as `https://docs.loom.test`. A path is
    /// ignored.
    pub fn header_for(self, origin: &str, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.header_to(name, value, To::origin(origin))
    }

    /// Sends a header with every request to every origin: for headers that are not secret, such as
    /// `Accept-Language`.
    pub fn header_everywhere(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.header_to(name, value, To::Everybody)
    }

    /// Sends a user name and a password with every request to an origin (`Authorization: Basic`).
    ///
    /// Those in a URL, `https://me:secret@loom.test/`, are used at its origin unless this method sets
    /// others. They are never shown.
    pub fn basic_auth(mut self, origin: &str, user: &str, password: &str) -> Self {
        self.settings.request.headers.push(Header::basic(user, password, To::origin(origin)));
        self
    }

    fn header_to(mut self, name: impl Into<String>, value: impl Into<String>, to: To) -> Self {
        self.settings.request.headers.push(Header { name: name.into(), value: value.into(), to });
        self
    }

    /// Trusts the certificate authorities in `pem` in addition to the public ones, for private networks. It
    /// applies to the [`Http`](super::Http) that the builder creates.
    pub fn ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.settings.tls.authorities.push(pem.into());
        self
    }

    /// Whether certificates are not verified, so that anyone on the network can answer and read what is
    /// sent. Defaults to false. Every report of such a crawl says so.
    pub fn insecure(mut self, insecure: bool) -> Self {
        self.settings.tls.is_insecure = insecure;
        self
    }

    /// Sends requests through this proxy, or through none, instead of the one in the
    /// [environment](super::Http#proxies): `http://me:secret@proxy.test:3128` or `socks5://…`. Requests to
    /// this machine never use a proxy.
    pub fn proxy(mut self, proxy: Option<&str>) -> Self {
        self.settings.proxy = proxy.map_or(ProxyRule::Never, |proxy| ProxyRule::Url(proxy.to_owned()));
        self
    }

    /// The time limit for a connection. Defaults to 10 s.
    pub fn connect_timeout(mut self, time: Duration) -> Self {
        self.settings.request.connect = time;
        self
    }

    /// The time limit from a request to the head of its answer. Defaults to 20 s.
    pub fn read_timeout(mut self, time: Duration) -> Self {
        self.settings.request.read = time;
        self
    }

    /// The time limit of a whole request, including its body. Defaults to 30 s.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.settings.request.total = time;
        self
    }

    /// The maximum size of a page, unpacked. A larger one is not read. Defaults to 4 MiB.
    pub fn body_cap(mut self, bytes: u64) -> Self {
        self.settings.request.body_cap = bytes;
        self
    }

    /// The media types that are read for links. Defaults to HTML, XHTML and Markdown. All but
    /// `text/markdown` are read as HTML.
    pub fn content_types<S: Into<String>>(mut self, types: impl IntoIterator<Item = S>) -> Self {
        self.settings.request.types = types.into_iter().map(Into::into).collect();
        self
    }

    /// The statuses that mean success. Defaults to 200 to 299, 300 and 304. An accepted status is never
    /// retried. Redirects are always followed.
    pub fn accept(mut self, statuses: impl IntoIterator<Item = RangeInclusive<u16>>) -> Self {
        self.settings.request.accept = Some(statuses.into_iter().collect());
        self
    }

    /// How often a request is retried that timed out, lost its connection or was refused one, or got a
    /// status of 408, 425, 429, 502, 503 or 504. Defaults to 2.
    pub fn retries(mut self, times: u32) -> Self {
        self.settings.retry.times = times;
        self
    }

    /// The wait before the first retry, which doubles with each retry up to `most`. Each wait is shortened
    /// by up to a half, differently for each page. Defaults to 500 ms and 30 s. A `Retry-After` header
    /// takes precedence.
    pub fn back_off(mut self, first: Duration, most: Duration) -> Self {
        (self.settings.retry.first, self.settings.retry.most) = (first, most);
        self
    }

    /// The longest `Retry-After` that is obeyed; the whole host is paused meanwhile. Defaults to 60 s. A
    /// host that asks for more is not asked again. A date is relative to the `Date` of the same answer, and
    /// ignored without one.
    pub fn patience(mut self, time: Duration) -> Self {
        self.settings.retry.patience = time;
        self
    }

    /// The seed of the random part of waits: the same seed gives the same waits. Defaults to 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.retry.seed = seed;
        self
    }
}
