//! What a crawl is to be.

mod error;
mod requests;

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

pub use error::BuildError;
use selvedge::Clock;
use selvedge::sync::Arc;

use super::cache::Cache;
use super::canonical::Canonical;
use super::crawler::Crawler;
use super::credentials::{Header, To};
use super::engine::OnPage;
use super::fetch::Fetch;
use super::files::{Files, Folder};
use super::http::Http;
use super::policy::{Ignore, Redirects};
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
    cache: Option<Cache>,
}

impl Builder {
    pub(super) fn new() -> Self {
        Builder { settings: Settings::default(), fetch: None, on_page: Vec::new(), cache: None }
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

    /// Redirects in a row that are followed; 20 by default, as browsers do.
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

    /// Whether pages of other hosts are read, too, when a link means a part of them. It takes
    /// [`external`](Builder::external) and [`fragments`](Builder::fragments) along. They are not by default.
    pub fn external_fragments(mut self, parts: bool) -> Self {
        self.settings.external_fragments = parts;
        self.settings.external |= parts;
        self.settings.fragments |= parts;
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
    /// [`also_start`](Builder::also_start) for each of its [pages](Folder::pages), those that nothing links
    /// to are read as well.
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

    /// Keeps answers in a cache, and takes them from there; see [`Cache`].
    pub fn cache(mut self, cache: &Cache) -> Self {
        self.cache = Some(cache.clone());
        self
    }

    /// Ignores problems that are known; see [`Ignore`]. Repeatable.
    pub fn ignore(mut self, ignore: Ignore) -> Self {
        self.settings.ignored.push(ignore);
        self
    }

    /// What becomes of links to pages that have moved; they are [allowed](Redirects::Allow) by default. How
    /// many redirects in a row are followed is set by [`redirects`](Builder::redirects).
    pub fn redirect_policy(mut self, policy: Redirects) -> Self {
        self.settings.redirect_policy = policy;
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
        let Builder { settings, fetch, on_page, cache } = self;
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
                let fetch = match fetch {
                    Some(fetch) => fetch,
                    None => Arc::new(Http::with(settings.workers, &settings.tls, &settings.proxy)?),
                };
                let fetch = match cache {
                    Some(cache) => Arc::new(cache.before(fetch)),
                    None => fetch,
                };
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
