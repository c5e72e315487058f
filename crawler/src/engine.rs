//! The state that the workers of one crawl share, and the steps of one page: its rules, its request, its end.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::{Duration, Instant};

use selvedge::sync::{Arc, Mutex, RwLock, time};
use selvedge::{BoundedQueue, CancelToken};
use url::Url;

use super::builder::{Content, Hooks};
use super::canonical::{LOCAL, is_file, is_http, origin};
use super::cookies::Cookies;
use super::credentials::Credentials;
use super::fetch::{ErrorKind, Fetch, Method, Response};
use super::frontier::{Frontier, HostId, Lease, Limits, NewLink, PageId, Skip, Step};
use super::html::{Found, Kind};
use super::log::{Log, Visit};
use super::record::{Progress, Record, Visited};
use super::redirects::Redirected;
use super::requests::is_conclusive;
use super::retry::Again;
use super::robots::{Robots, Rules};
use super::scope::Scope;
use super::settings::Settings;
use crate::panics::{self, FirstPanic, Payload};

/// Ranks: how much is wanted of a page. This one only asks whether the page exists, with a HEAD.
pub(super) const LEAF: u8 = 0;
/// Whether the page exists, with a GET, after a HEAD that was not conclusive.
pub(super) const LEAF_GET: u8 = 1;
/// The URLs in a style sheet.
pub(super) const SHEET: u8 = 2;
/// The links of a page.
pub(super) const PAGE: u8 = 3;
/// The URLs of a sitemap.
pub(super) const SITEMAP: u8 = 4;

/// The largest sitemap that its standard allows.
pub(super) const SITEMAP_CAP: u64 = 50 << 20;

/// A request that was made.
pub(super) struct Made {
    pub(super) took: Duration,
    /// The version of its origin's cookies that it was sent with.
    pub(super) cookies: u32,
}

/// The payload of a callback's panic, until the owner takes it.
#[derive(Default)]
pub(super) struct Panicked(Option<Payload>);

impl Panicked {
    pub(super) fn take(&mut self) -> Option<Payload> {
        self.0.take()
    }
}

impl Drop for Panicked {
    fn drop(&mut self) {
        // The crawl was dropped without being finished.
        panics::discard(self.0.take());
    }
}

/// The state that the workers share.
pub(super) struct Engine {
    pub(super) settings: Arc<Settings>,
    pub(super) fetch: Arc<dyn Fetch>,
    pub(super) robots: Arc<Robots>,
    pub(super) hooks: Arc<Hooks>,
    pub(super) token: CancelToken,
    pub(super) frontier: Frontier<Record>,
    pub(super) scope: Scope,
    pub(super) credentials: Credentials,
    pub(super) cookies: Cookies,
    /// The pages that answered with a redirect.
    pub(super) redirected: Mutex<HashMap<Arc<str>, Redirected>>,
    /// The number of 429 responses in a row, by host.
    pub(super) too_many_requests: Mutex<HashMap<HostId, u32>>,
    /// The rules of the hosts that were asked for them.
    pub(super) hosts: RwLock<HashMap<HostId, Arc<Rules>>>,
    /// The starts, and the pages that their redirects have led to so far.
    pub(super) front: Mutex<HashSet<PageId>>,
    /// The starts.
    pub(super) starts: Mutex<Vec<PageId>>,
    pub(super) log: Mutex<Log>,
    /// The queue to the iterator, if the crawl has one.
    pub(super) results: Option<BoundedQueue<Visited>>,
    pub(super) begun: Instant,
    /// The same on the system's clock, for progress.
    begun_here: Instant,
    /// The first panic of a callback.
    pub(super) panic: Mutex<Panicked>,
    /// A media type that no response has: of a leaf nothing is read.
    pub(super) nothing: Vec<String>,
    pub(super) sheets: Vec<String>,
}

impl Engine {
    pub(super) fn new(
        settings: &Arc<Settings>,
        fetch: &Arc<dyn Fetch>,
        robots: &Arc<Robots>,
        hooks: &Arc<Hooks>,
        token: CancelToken,
        results: Option<BoundedQueue<Visited>>,
    ) -> Self {
        let limits = Limits {
            depth: settings.depth,
            hops: settings.redirects,
            pages: settings.pages,
            urls: settings.urls,
            links: settings.links,
        };
        Engine {
            frontier: Frontier::new(limits, token.clock()),
            scope: Scope::new(settings.scope.clone(), &settings.folders),
            credentials: Credentials::default(),
            cookies: Cookies::default(),
            redirected: Mutex::default(),
            too_many_requests: Mutex::default(),
            hosts: RwLock::new(HashMap::new()),
            front: Mutex::default(),
            starts: Mutex::default(),
            log: Mutex::new(Log::default()),
            begun: token.clock().now(),
            begun_here: time::now(),
            panic: Mutex::default(),
            nothing: vec!["-".to_owned()],
            sheets: vec!["text/css".to_owned()],
            settings: Arc::clone(settings),
            fetch: Arc::clone(fetch),
            robots: Arc::clone(robots),
            hooks: Arc::clone(hooks),
            token,
            results,
        }
    }

    /// Adds a start, which may contain a user and a password.
    pub(super) fn begin_at(&self, start: Url) {
        self.credentials.begin_at(&start);
        let start = &self.settings.canonical.of(start);
        self.scope.add_host(start);
        let link = NewLink {
            url: start.as_str(),
            host: self.queue_of(start),
            step: Step::Link,
            label: "",
            rank: PAGE,
            skip: None,
            again: false,
        };
        if let Some(id) = self.frontier.seed(&link) {
            self.front.lock().insert(id);
            let mut starts = self.starts.lock();
            if !starts.contains(&id) {
                starts.push(id);
            }
        }
    }

    pub(super) fn begin_at_all(&self, starts: Vec<Url>) {
        starts.into_iter().for_each(|start| self.begin_at(start));
    }

    /// The loop of a worker: takes pages until none is left or the crawl is stopped.
    pub(super) fn work(&self, worker: usize) {
        while let Ok(lease) = self.frontier.take(&self.token) {
            self.sample();
            // Only a callback's panic arrives here, since a fetcher's is caught around its call. It stops the
            // crawl and resumes at the owner. A page that it leaves unsettled is put back by its lease.
            if let Err(payload) = panics::catch(|| self.process(lease, worker)) {
                let mut first = self.panic.lock();
                let later = if first.0.is_none() { first.0.replace(payload) } else { Some(payload) };
                drop(first);
                panics::discard(later);
                self.token.cancel_because("a callback panicked");
            }
        }
        self.sample();
    }

    /// Asks for the host's rules if they are not known, and else follows them.
    fn process(&self, lease: Lease<'_, Record>, worker: usize) {
        let url = Url::parse(&lease.url).expect("the frontier holds URLs only");
        let rules = self.hosts.read().get(&lease.host).cloned();
        match rules.as_deref() {
            None => self.ask(lease, &url, worker),
            // A request would fail as the one for robots.txt did, after as long a wait.
            Some(Rules::Unreachable(error)) => {
                let record = Record::failed(error, Duration::ZERO, lease.tries);
                self.settle(lease, record);
            }
            Some(Rules::Unreadable(why)) => {
                self.log.lock().unreadable(origin(&url), why);
                lease.skip(Skip::RobotsUnreadable);
            }
            Some(rules) if !rules.allow(&url) => lease.skip(Skip::Robots),
            Some(_) if self.is_given_up(lease.host) => self.give_up(lease),
            Some(_) => self.visit(lease, &url, worker),
        }
    }

    /// Makes the request for a page, and settles the page, puts it back, or has it retried.
    fn visit(&self, mut lease: Lease<'_, Record>, url: &Url, worker: usize) {
        let cookies = self.cookies.version(url);
        let headers = self.headers_for(url);
        let request = self.request_for(lease.rank, url, &headers);
        let started = self.since_begun(lease.begin());
        let answer = self.fetch(&request);
        let ended = self.now();
        let (page, taken) = (Some(lease.page), Arc::clone(&lease.url));
        self.log.lock().visits.push(Visit { url: taken, page, worker, started, ended });
        if matches!(&answer, Err(error) if error.kind == ErrorKind::Stopped) {
            // The stop may have cut it short, which says nothing about the page.
            return lease.put_back();
        }
        if let Ok(response) = &answer {
            self.keep_cookies(url, response);
        }
        let made = Made { took: ended.saturating_sub(started), cookies };
        if answer.as_ref().is_ok_and(|answer| self.settings.request.names(answer.status)) {
            return self.read(lease, url, answer, made);
        }
        if self.count_too_many(lease.host, &answer) {
            return self.give_up(lease);
        }
        if request.method == Method::Head && !is_conclusive(&answer) {
            return lease.put_back_for(LEAF_GET);
        }
        match self.settings.retry.decide(&lease.url, lease.tries, &answer) {
            Again::After(wait) => lease.retry_after(wait),
            Again::Pause(wait) => {
                self.frontier.pause_host(lease.host, wait);
                lease.retry_after(wait);
            }
            Again::No => self.read(lease, url, answer, made),
        }
    }

    /// Settles a page that has no links.
    pub(super) fn settle(&self, lease: Lease<'_, Record>, record: Record) {
        self.settle_read(lease, record, &[], None);
    }

    /// Settles a page with its links; `content` is its URL and its response, if its body was read.
    pub(super) fn settle_read(
        &self,
        lease: Lease<'_, Record>,
        record: Record,
        links: &[Found],
        content: Option<(&Url, &Response)>,
    ) {
        let (id, url, depth) = (lease.page, Arc::clone(&lease.url), lease.distance.depth);
        let found = links.iter().filter_map(|found| self.new_link(found));
        // This frees the place at the host, so that a slow callback delays no other request there.
        lease.finish(record.clone(), found);
        let content = content.map(|(url, response)| Content { id, url, depth, response, links });
        self.tell_of(Visited { id, url, depth, record, links: links.len() }, content);
    }

    fn new_link<'a>(&self, found: &'a Found) -> Option<NewLink<'a>> {
        let Settings { external, assets, .. } = *self.settings;
        let in_scope = self.scope.allows(&found.url);
        let (rank, skip) = match (found.kind, in_scope) {
            (Kind::Page, true) => (PAGE, None),
            (Kind::Page, false) if found.has_part => (PAGE, None),
            (Kind::Page, false) if external || is_file(&found.url) => (LEAF, None),
            (Kind::Page, false) => (LEAF, Some(Skip::OutOfScope)),
            (_, _) if !assets => return None,
            (_, false) if !external && !is_file(&found.url) => return None,
            (Kind::Sheet, true) => (SHEET, None),
            (_, _) => (LEAF, None),
        };
        let (url, host) = (found.url.as_str(), self.queue_of(&found.url));
        Some(NewLink { url, host, step: Step::Link, label: &found.text, rank, skip, again: false })
    }

    /// Tells callbacks and the iterator of a page that has no content.
    pub(super) fn tell(&self, visited: Visited) {
        self.tell_of(visited, None);
    }

    /// Tells callbacks and the iterator. The worker holds nothing meanwhile: no page, no place at a host and
    /// no lock.
    fn tell_of(&self, visited: Visited, content: Option<Content<'_>>) {
        if visited.record.is_error() {
            self.log.lock().errors += 1;
        }
        self.sample();
        let mut panicked = FirstPanic::default();
        if let Some(content) = &content {
            for callback in &self.hooks.on_content {
                panicked.call(|| callback(content));
            }
        }
        for callback in &self.hooks.on_page {
            panicked.call(|| callback(&visited));
        }
        panicked.resume();
        if let Some(results) = &self.results {
            // Refused once the iterator is closed or the crawl is stopped. The report has the page.
            drop(results.push_until(visited, &self.token));
        }
    }

    /// Resolves a reference on a page; `None` for what is not crawled.
    pub(super) fn resolve(&self, base: &Url, text: &str) -> Option<Url> {
        let is_crawled = |url: &Url| is_http(url) || (is_file(url) && is_file(base));
        let url = base.join(text).ok().filter(is_crawled)?;
        self.credentials.note(&url);
        Some(self.settings.canonical.of(url))
    }

    /// The queue of a page: its origin's, or the one queue of all local files.
    pub(super) fn queue_of<'u>(&self, url: &'u Url) -> &'u str {
        if self.scope.is_local(url) { LOCAL } else { origin(url) }
    }

    /// The time since the beginning, on the crawl's clock.
    pub(super) fn now(&self) -> Duration {
        self.since_begun(self.token.clock().now())
    }

    pub(super) fn since_begun(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.begun)
    }

    fn sample(&self) {
        let (now, counts) = (self.now(), self.frontier.counts());
        self.log.lock().samples.add(now, counts);
    }

    pub(super) fn progress(&self) -> Progress {
        let errors = self.log.lock().errors;
        let at = time::now().saturating_duration_since(self.begun_here);
        Progress { at, counts: self.frontier.counts(), errors }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("frontier", &self.frontier).finish_non_exhaustive()
    }
}
