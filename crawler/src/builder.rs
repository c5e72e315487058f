//! What a crawl is to be.

use std::fmt;
use std::ops::RangeInclusive;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use selvedge::Clock;
use selvedge::sync::Arc;

use super::canonical::Canonical;
use super::crawler::Crawler;
use super::credentials::{Header, To};
use super::engine::OnPage;
use super::fetch::Fetch;
use super::files::{Files, Folder};
use super::http::Http;
use super::record::Visited;
use super::scope::Pattern;
use super::settings::Settings;
use crate::panics::Held;

/// Says what a [`Crawler`] is to do; made by [`Crawler::builder`].
///
/// Each setting has a default that suits a site of one's own; the methods say which.
#[must_use = "a builder does nothing until it builds"]
pub struct Builder {
    settings: Settings,
    fetch: Option<Arc<dyn Fetch>>,
    on_page: Vec<OnPage>,
}

/// Why a crawler could not be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// 0 workers would fetch nothing.
    NoWorkers,
    /// 0 requests at a host would fetch nothing.
    NoRequests,
    /// 0 URLs have no room for the start.
    NoUrls,
    /// A user agent is told to servers in a header, so it is one line of visible ASCII and not empty.
    BadAgent,
    /// A header's name is one word of ASCII, and its value one line.
    BadHeader,
    /// What a header is for is no origin, such as `https://loom.test`.
    BadOrigin,
}

impl Builder {
    pub(super) fn new() -> Self {
        Builder { settings: Settings::default(), fetch: None, on_page: Vec::new() }
    }

    /// Links that are followed away from the start; as many as there are, by default. A page at this depth is
    /// fetched, and its links are noted.
    pub fn depth(mut self, links: u32) -> Self {
        self.settings.depth = links;
        self
    }

    /// Pages that are fetched in all; as many as there are, by default.
    pub fn pages(mut self, pages: usize) -> Self {
        self.settings.pages = pages;
        self
    }

    /// Time for the whole crawl; as long as it takes, by default. What was found by then is returned.
    pub fn time(mut self, time: Duration) -> Self {
        self.settings.time = Some(time);
        self
    }

    /// URLs that are remembered: what bounds the memory. 1,000,000 by default.
    ///
    /// The rule: a URL that is found when so many are known is *refused*: neither fetched nor listed. The
    /// report counts the links that were refused, and is not whole.
    pub fn urls(mut self, urls: usize) -> Self {
        self.settings.urls = urls;
        self
    }

    /// Links that are remembered, at 8 bytes each; 20,000,000 by default.
    ///
    /// The rule: a link beyond them is followed and counted, but the report does not know that it is there,
    /// so a dead link may lack a page that it is on, and a depth may not be the shortest.
    pub fn links(mut self, links: usize) -> Self {
        self.settings.links = links;
        self
    }

    /// Redirects in a row that are followed; 10 by default.
    pub fn redirects(mut self, redirects: u32) -> Self {
        self.settings.redirects = redirects;
        self
    }

    /// Pages that are fetched at the same time; 8 by default.
    pub fn workers(mut self, workers: usize) -> Self {
        self.settings.workers = workers;
        self
    }

    /// Of these, how many at the same host; 6 by default, as browsers do. A host is a scheme, a name and a
    /// port.
    pub fn per_host(mut self, requests: usize) -> Self {
        self.settings.per_host = requests;
        self
    }

    /// The least time between the beginnings of two requests to one host, whoever makes them; none by
    /// default. A crawl-delay in its robots.txt that is longer holds instead, and lets in one request at a
    /// time.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.settings.delay = delay;
        self
    }

    /// Whether robots.txt is asked for, once per host, and obeyed; it is by default.
    pub fn obey_robots(mut self, obey: bool) -> Self {
        self.settings.obey_robots = obey;
        self
    }

    /// Whether the sitemaps of the hosts in scope are read: those that robots.txt names, or else
    /// `/sitemap.xml`. They are not by default.
    pub fn sitemaps(mut self, sitemaps: bool) -> Self {
        self.settings.sitemaps = sitemaps;
        self
    }

    /// Whether links that lead out of scope are looked at, without reading what is there: with a HEAD, and a
    /// GET where that is refused. They are not by default.
    pub fn external(mut self, external: bool) -> Self {
        self.settings.external = external;
        self
    }

    /// Whether pictures, scripts and style sheets are looked at in the same way; they are not by default.
    pub fn assets(mut self, assets: bool) -> Self {
        self.settings.assets = assets;
        self
    }

    /// Whether links to a part of a page (`#part`) are dead if the page that is read there has no such part:
    /// no element with that `id`, and no anchor of that name. They are not by default. Eight bytes a part are
    /// remembered, and the text of each such link.
    pub fn fragments(mut self, fragments: bool) -> Self {
        self.settings.fragments = fragments;
        self
    }

    /// How URLs that mean one page are told to be one.
    pub fn canonical(mut self, canonical: Canonical) -> Self {
        self.settings.canonical = canonical;
        self
    }

    /// Begins each crawl at this page, too. Its host is in the scope, and its origin is told what that of the
    /// first start is.
    pub fn also_start(mut self, start: impl Into<String>) -> Self {
        self.settings.starts.push(start.into());
        self
    }

    /// Reads a folder from the disk and takes it into the scope. Repeatable; see [`Folder`].
    ///
    /// Begin at its [URL](Folder::url), or that of a [file](Folder::url_of) in it. With
    /// [`also_start`](Builder::also_start) for each of its [pages](Folder::pages), those that nothing links to are
    /// read as well.
    pub fn folder(mut self, folder: Folder) -> Self {
        self.settings.folders.push(folder);
        self
    }

    /// Takes a host into the scope, by name, in addition to the one where the crawl begins.
    pub fn host(mut self, name: impl Into<String>) -> Self {
        self.settings.scope.hosts.push(name.into());
        self
    }

    /// Whether hosts below those in scope are in scope: `docs.loom.test` below `loom.test`. They are not by
    /// default.
    pub fn subdomains(mut self, subdomains: bool) -> Self {
        self.settings.scope.subdomains = subdomains;
        self
    }

    /// Leaves out paths that do not begin so; with several, those that begin with none of them. The path of a
    /// file counts from its [`Folder`].
    pub fn path_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.settings.scope.prefixes.push(prefix.into());
        self
    }

    /// Leaves out URLs that do not match; with several, those that match none. The start is fetched in any
    /// case.
    pub fn include(mut self, pattern: Pattern) -> Self {
        self.settings.scope.include.push(pattern);
        self
    }

    /// Leaves out URLs that match, whatever else lets them in.
    pub fn exclude(mut self, pattern: Pattern) -> Self {
        self.settings.scope.exclude.push(pattern);
        self
    }

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

    /// The media types that are read for links, instead of HTML, XHTML and Markdown. All but `text/markdown` are
    /// read as HTML.
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

    /// How long a crawl that was stopped waits for requests that have not noticed; 300 ms by default. One
    /// that waits for a silent server may take until its time-out; it is then left behind, and its page waits
    /// in the report.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.settings.grace = grace;
        self
    }

    /// The clock that delays, waits before another try and the crawl's time are read on: the system's by
    /// default, or the one that a test has put in its place.
    ///
    /// A token that the crawl is given may be on any clock as long as it has no deadline.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.settings.clock = Some(clock.into());
        self
    }

    /// Makes requests with `fetch` instead of [`Http`].
    pub fn fetch(mut self, fetch: impl Fetch + 'static) -> Self {
        self.fetch = Some(Arc::new(Held::new(fetch)));
        self
    }

    /// Calls `f` with each page when it is settled; after its report has it, and before the iterator has.
    ///
    /// It is called by the workers, several at a time, with no lock held; a worker that is in it fetches
    /// nothing. If it panics the crawl is stopped, and its owner gets the panic; other callbacks are called
    /// with the page all the same.
    pub fn on_page(mut self, f: impl Fn(&Visited) + Send + Sync + 'static) -> Self {
        self.on_page.push(Held::new(Box::new(f)));
        self
    }

    /// Builds the crawler. It makes no requests and starts no threads yet.
    ///
    /// # Errors
    /// [`BuildError`] if a setting would let nothing be fetched.
    pub fn build(self) -> Result<Crawler, BuildError> {
        let Builder { settings, fetch, on_page } = self;
        let (agent, headers) = (&settings.request.agent, &settings.request.headers);
        match () {
            () if settings.workers == 0 => Err(BuildError::NoWorkers),
            () if settings.per_host == 0 => Err(BuildError::NoRequests),
            () if settings.urls == 0 => Err(BuildError::NoUrls),
            () if agent.is_empty() || !agent.bytes().all(|byte| (32..127).contains(&byte)) => {
                Err(BuildError::BadAgent)
            }
            () if !headers.iter().all(Header::is_sendable) => Err(BuildError::BadHeader),
            () if headers.iter().any(|header| header.to == To::Nobody) => Err(BuildError::BadOrigin),
            () => {
                let fetch = fetch.unwrap_or_else(|| Arc::new(Http::new(settings.workers)));
                let fetch = match settings.folders.is_empty() {
                    true => fetch,
                    false => Arc::new(Files::around(settings.folders.clone(), fetch)),
                };
                Ok(Crawler::new(settings, fetch, on_page.into()))
            }
        }
    }
}

// A fetcher and callbacks are called, not looked into.
impl UnwindSafe for Builder {}
impl RefUnwindSafe for Builder {}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BuildError::NoWorkers => "0 workers fetch nothing: give the crawler at least 1",
            BuildError::NoRequests => "0 requests at a host fetch nothing: allow at least 1",
            BuildError::NoUrls => "0 URLs leave no room for the start: allow at least 1",
            BuildError::BadAgent => "a user agent is one line of visible ASCII, such as `my-checker/1.0`",
            BuildError::BadHeader => {
                "a header's name is one word of ASCII, and its value one line: `NAME: VALUE`"
            }
            BuildError::BadOrigin => {
                "a header is for an origin, such as https://loom.test or http://localhost:8080"
            }
        })
    }
}

impl std::error::Error for BuildError {}
