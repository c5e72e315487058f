//! The builder of a crawler: its scope, its limits, and what it checks.

mod error;
mod hooks;
mod pace;
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
use super::fetch::Fetch;
use super::files::{Files, Folder};
use super::http::Http;
use super::policy::{Ignore, Redirects};
use super::scope::Pattern;
use super::settings::Settings;
use crate::panics::Held;

pub use hooks::Content;
pub(super) use hooks::Hooks;
pub(super) use pace::Pace;

/// Configures a [`Crawler`]; made by [`Crawler::builder`].
///
/// Each setting has a default that suits checking your own site; each method states it.
#[must_use = "a builder does nothing until it builds"]
pub struct Builder {
    settings: Settings,
    fetch: Option<Arc<dyn Fetch>>,
    hooks: Hooks,
    cache: Option<Cache>,
}

impl Builder {
    pub(super) fn new() -> Self {
        Builder { settings: Settings::default(), fetch: None, hooks: Hooks::default(), cache: None }
    }

    /// The maximum number of links between a start and a page. Unlimited by default. A page at this depth
    /// is fetched and its links are recorded, but not followed.
    pub fn depth(mut self, links: u32) -> Self {
        self.settings.depth = links;
        self
    }

    /// The maximum number of pages that are fetched. Unlimited by default.
    pub fn pages(mut self, pages: usize) -> Self {
        self.settings.pages = pages;
        self
    }

    /// The time limit of the whole crawl. Unlimited by default. The report contains what was found by then.
    pub fn time(mut self, time: Duration) -> Self {
        self.settings.time = Some(time);
        self
    }

    /// The maximum number of URLs that are remembered, which bounds the memory. Defaults to 1,000,000.
    ///
    /// A new URL beyond this number is *refused*: it is neither fetched nor listed. The report counts the
    /// links that were refused and is partial.
    pub fn urls(mut self, urls: usize) -> Self {
        self.settings.urls = urls;
        self
    }

    /// The maximum number of links that are remembered, at 8 bytes each. Defaults to 20,000,000.
    ///
    /// A link beyond this number is followed and counted, but it is missing from the report: a dead link
    /// may lack a page that it is on, and a depth may not be the shortest.
    pub fn links(mut self, links: usize) -> Self {
        self.settings.links = links;
        self
    }

    /// The maximum number of redirects in a row. Defaults to 20, as in browsers.
    pub fn redirects(mut self, redirects: u32) -> Self {
        self.settings.redirects = redirects;
        self
    }

    /// The number of pages that are fetched at the same time. Defaults to 8.
    pub fn workers(mut self, workers: usize) -> Self {
        self.settings.workers = workers;
        self
    }

    /// The maximum number of concurrent requests to one host, which is a scheme, a name and a port.
    /// Defaults to 6, as in browsers.
    pub fn per_host(mut self, requests: usize) -> Self {
        self.settings.per_host = requests;
        self
    }

    /// The minimum time between the starts of two requests to one host. Defaults to none. A longer
    /// `Crawl-delay` in the host's robots.txt takes precedence and also limits the host to one request at a
    /// time.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.settings.delay = delay;
        self
    }

    /// Whether each host's robots.txt is fetched once and obeyed. Defaults to true.
    pub fn obey_robots(mut self, obey: bool) -> Self {
        self.settings.obey_robots = obey;
        self
    }

    /// Whether the sitemaps of the hosts in scope are read: those that robots.txt names, or else
    /// `/sitemap.xml`. Defaults to false.
    pub fn sitemaps(mut self, sitemaps: bool) -> Self {
        self.settings.sitemaps = sitemaps;
        self
    }

    /// Whether links out of the scope are checked, without reading their targets: with a HEAD request, and
    /// with a GET where HEAD fails. Defaults to false.
    pub fn external(mut self, external: bool) -> Self {
        self.settings.external = external;
        self
    }

    /// Whether pictures, scripts and style sheets are checked in the same way. Defaults to false.
    pub fn assets(mut self, assets: bool) -> Self {
        self.settings.assets = assets;
        self
    }

    /// Whether a link to a part of a page (`#part`) is dead if the page has no element with that `id` and
    /// no anchor of that name. Defaults to false. It costs eight bytes a part, and the text of each such
    /// link.
    pub fn fragments(mut self, fragments: bool) -> Self {
        self.settings.fragments = fragments;
        self
    }

    /// Whether pages out of the scope are read for their parts when a link names one. Implies
    /// [`external`](Builder::external) and [`fragments`](Builder::fragments). Defaults to false.
    pub fn external_fragments(mut self, parts: bool) -> Self {
        self.settings.external_fragments = parts;
        self.settings.external |= parts;
        self.settings.fragments |= parts;
        self
    }

    /// Which URLs are considered to be the same page.
    pub fn canonical(mut self, canonical: Canonical) -> Self {
        self.settings.canonical = canonical;
        self
    }

    /// Adds a page where each crawl starts. Its host is in the scope, and its origin is sent the headers of
    /// the start's origin.
    pub fn also_start(mut self, start: impl Into<String>) -> Self {
        self.settings.starts.push(start.into());
        self
    }

    /// Adds a folder to the scope, whose files are read from the disk. See [`Folder`].
    ///
    /// Begin at its [URL](Folder::url), or that of a [file](Folder::url_of) in it. With
    /// [`also_start`](Builder::also_start) for each of its [pages](Folder::pages), those that nothing links
    /// to are read as well.
    pub fn folder(mut self, folder: Folder) -> Self {
        self.settings.folders.push(folder);
        self
    }

    /// Adds a host to the scope, by name, beside those of the starts.
    pub fn host(mut self, name: impl Into<String>) -> Self {
        self.settings.scope.hosts.push(name.into());
        self
    }

    /// Whether subdomains of the hosts in scope are in scope: `docs.loom.test` with `loom.test`. Defaults
    /// to false.
    pub fn subdomains(mut self, subdomains: bool) -> Self {
        self.settings.scope.subdomains = subdomains;
        self
    }

    /// Restricts the scope to paths with this prefix; with several, to paths with any of them. The path of
    /// a file is relative to its [`Folder`].
    pub fn path_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.settings.scope.prefixes.push(prefix.into());
        self
    }

    /// Restricts the scope to URLs that match; with several patterns, to URLs that match any of them.
    /// Starts are always fetched.
    pub fn include(mut self, pattern: Pattern) -> Self {
        self.settings.scope.include.push(pattern);
        self
    }

    /// Excludes URLs that match, whether or not another setting includes them.
    pub fn exclude(mut self, pattern: Pattern) -> Self {
        self.settings.scope.exclude.push(pattern);
        self
    }

    /// How long a stopped crawl waits for requests that are still running. Defaults to 300 ms. A request to
    /// a silent server may take until its time-out; it is then abandoned, and its page is reported as
    /// waiting.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.settings.grace = grace;
        self
    }

    /// The clock for delays, back-off and the time limit. Defaults to the current clock: the system's,
    /// unless a test has replaced it.
    ///
    /// The token of a crawl may be on any clock if it has no deadline.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.settings.clock = Some(clock.into());
        self
    }

    /// Answers requests from a cache where possible, and stores new answers in it. See [`Cache`].
    pub fn cache(mut self, cache: &Cache) -> Self {
        self.cache = Some(cache.clone());
        self
    }

    /// Adds a known problem that does not count. See [`Ignore`].
    pub fn ignore(mut self, ignore: Ignore) -> Self {
        self.settings.ignored.push(ignore);
        self
    }

    /// Whether links to pages that have moved are allowed, warned about or dead. Defaults to
    /// [`Redirects::Allow`]. The number of redirects that are followed is set by
    /// [`redirects`](Builder::redirects).
    pub fn redirect_policy(mut self, policy: Redirects) -> Self {
        self.settings.redirect_policy = policy;
        self
    }

    /// Sends requests through `fetch` instead of [`Http`].
    pub fn fetch(mut self, fetch: impl Fetch + 'static) -> Self {
        self.fetch = Some(Arc::new(Held::new(fetch)));
        self
    }

    /// Builds the crawler. It makes no requests and starts no threads yet.
    ///
    /// # Errors
    /// [`BuildError`] if a setting makes crawling impossible.
    pub fn build(self) -> Result<Crawler, BuildError> {
        let Builder { settings, fetch, hooks, cache } = self;
        let (agent, headers) = (&settings.request.agent, &settings.request.headers);
        match () {
            () if settings.workers == 0 => Err(BuildError::NoWorkers),
            () if settings.per_host == 0 => Err(BuildError::NoRequests),
            () if settings.paces.iter().any(|pace| pace.per_host == Some(0)) => Err(BuildError::NoRequests),
            () if settings.paces.iter().any(|pace| pace.origin == To::Nobody) => Err(BuildError::BadOrigin),
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
                Ok(Crawler::new(settings, fetch, hooks))
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
