//! How requests are made, and who is told what.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Builder;
use crate::credentials::{Header, To};
use crate::settings::ProxyRule;

impl Builder {
    /// What servers are told. What stands before the first slash is the name that robots.txt may call the
    /// crawler by. `selvedge-crawl/` and the version by default.
    pub fn user_agent(mut self, agent: impl Into<String>) -> Self {
        self.settings.request.agent = agent.into();
        self
    }

    /// Sends a header with every request to the origin that the crawl begins at, its robots.txt included: a
    /// scheme, a host and a port. Nobody else sees it, also not where a page or a redirect leads elsewhere.
    /// Its value is shown nowhere.
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.header_to(name, value, To::Start)
    }

    /// The same, for requests to another origin, such as `https://docs.loom.test`. A path in it does not
    /// matter.
    pub fn header_for(self, origin: &str, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.header_to(name, value, To::origin(origin))
    }

    /// Sends a header with every request, to whomever it goes: for those that are no secret, such as
    /// `Accept-Language`.
    pub fn header_everywhere(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.header_to(name, value, To::Everybody)
    }

    /// Sends a user and a password with every request to an origin (`Authorization: Basic`).
    ///
    /// Those in a URL, `https://me:secret@loom.test/`, are used without being asked for, at its origin, where
    /// nothing was said about it; neither is ever shown.
    pub fn basic_auth(mut self, origin: &str, user: &str, password: &str) -> Self {
        self.settings.request.headers.push(Header::basic(user, password, To::origin(origin)));
        self
    }

    fn header_to(mut self, name: impl Into<String>, value: impl Into<String>, to: To) -> Self {
        self.settings.request.headers.push(Header { name: name.into(), value: value.into(), to });
        self
    }

    /// Trusts the certificates in `pem` as authorities, in addition to the public ones: those of a network of
    /// one's own. Repeatable. It holds for [`Http`](super::Http) as the builder makes it.
    pub fn ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.settings.tls.authorities.push(pem.into());
        self
    }

    /// Whether certificates are not checked at all, so that anybody on the way may answer, and read what is
    /// sent. They are checked by default. Every report says that they were not.
    pub fn insecure(mut self, insecure: bool) -> Self {
        self.settings.tls.is_insecure = insecure;
        self
    }

    /// Sends requests through this proxy, or through none, whatever the [environment](super::Http#proxies)
    /// says; such as `http://me:secret@proxy.test:3128` or `socks5://…`. Hosts on this machine are asked
    /// directly in any case.
    pub fn proxy(mut self, proxy: Option<&str>) -> Self {
        self.settings.proxy = proxy.map_or(ProxyRule::Never, |proxy| ProxyRule::Url(proxy.to_owned()));
        self
    }

    /// How long a connection may take; 10 s by default.
    pub fn connect_timeout(mut self, time: Duration) -> Self {
        self.settings.request.connect = time;
        self
    }

    /// How long a server may take to begin its answer; 20 s by default.
    pub fn read_timeout(mut self, time: Duration) -> Self {
        self.settings.request.read = time;
        self
    }

    /// How long a request may take in all, a slow body included; 30 s by default.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.settings.request.total = time;
        self
    }

    /// A page of more bytes, unpacked, is not read; 4 MiB by default.
    pub fn body_cap(mut self, bytes: u64) -> Self {
        self.settings.request.body_cap = bytes;
        self
    }

    /// The media types that are read for links, instead of HTML, XHTML and Markdown. All but
    /// `text/markdown` are read as HTML.
    pub fn content_types<S: Into<String>>(mut self, types: impl IntoIterator<Item = S>) -> Self {
        self.settings.request.types = types.into_iter().map(Into::into).collect();
        self
    }

    /// The statuses that say that a page is there, instead of those from 200 to 299, 300 and 304. One that is
    /// accepted is not tried again. Redirects are followed in any case.
    pub fn accept(mut self, statuses: impl IntoIterator<Item = RangeInclusive<u16>>) -> Self {
        self.settings.request.accept = Some(statuses.into_iter().collect());
        self
    }

    /// How often a request that failed for the moment is made again: one that timed out, broke off or was
    /// refused a connection, and a status of 408, 425, 429, 502, 503 or 504. 2 by default.
    pub fn retries(mut self, times: u32) -> Self {
        self.settings.retry.times = times;
        self
    }

    /// The wait before the first of these, which doubles each time up to `most`; each is shortened by up to a
    /// half, differently for each page. 500 ms and 30 s by default. A `Retry-After` holds instead.
    pub fn back_off(mut self, first: Duration, most: Duration) -> Self {
        (self.settings.retry.first, self.settings.retry.most) = (first, most);
        self
    }

    /// The longest `Retry-After` that is waited for, with the whole host left alone meanwhile; 60 s by
    /// default. A host that asks for more is not asked again. One that names a date is believed as far as its
    /// answer has a `Date` to count from.
    pub fn patience(mut self, time: Duration) -> Self {
        self.settings.retry.patience = time;
        self
    }

    /// What the differences between waits are made from: the same seed, the same waits. 0 by default.
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.retry.seed = seed;
        self
    }
}
