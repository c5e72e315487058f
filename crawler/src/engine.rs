//! What the workers of one crawl share, and what they do with a page.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::{Duration, Instant};

use selvedge::sync::{Arc, Mutex, RwLock, time};
use selvedge::{BoundedQueue, CancelToken};
use url::Url;

use super::canonical::{LOCAL, is_file, is_http, origin};
use super::cookies::Cookies;
use super::credentials::Credentials;
use super::fetch::{Body, ErrorKind, Fetch, FetchError, Method, Request, Response};
use super::frontier::{Frontier, HostId, Lease, Limits, NewLink, PageId, Skip, Step};
use super::html::{Found, Kind};
use super::log::{Log, Visit};
use super::reading::{is_no_word, is_sitemap, without_unknown};
use super::record::{Progress, Record, Visited};
use super::redirects::{Redirected, redirect};
use super::retry::Again;
use super::robots::{Robots, Rules};
use super::scope::Scope;
use super::settings::Settings;
use crate::panics::{self, FirstPanic, Held, Payload};

/// How much is wanted of a page. Only to know whether it is there; the same, and asking in the least
/// expensive way has failed; what a style sheet names; a page's links; a sitemap's URLs.
pub(super) const LEAF: u8 = 0;
pub(super) const LEAF_GET: u8 = 1;
pub(super) const SHEET: u8 = 2;
pub(super) const PAGE: u8 = 3;
pub(super) const SITEMAP: u8 = 4;

/// What a sitemap may hold, by its standard.
pub(super) const SITEMAP_CAP: u64 = 50 << 20;

/// What is known of a request that was made.
pub(super) struct Made {
    pub(super) took: Duration,
    /// How often its origin's cookies had changed when it was made.
    pub(super) cookies: u32,
}

/// Called for each page.
pub(super) type OnPage = Held<Box<dyn Fn(&Visited) + Send + Sync>>;

/// What a callback panicked with, until the owner takes it.
#[derive(Default)]
pub(super) struct Panicked(Option<Payload>);

impl Panicked {
    pub(super) fn take(&mut self) -> Option<Payload> {
        self.0.take()
    }
}

impl Drop for Panicked {
    fn drop(&mut self) {
        // Nobody has asked how the crawl ended.
        panics::discard(self.0.take());
    }
}

/// What the workers share.
pub(super) struct Engine {
    pub(super) settings: Arc<Settings>,
    pub(super) fetch: Arc<dyn Fetch>,
    pub(super) robots: Arc<Robots>,
    pub(super) on_page: Arc<[OnPage]>,
    pub(super) token: CancelToken,
    pub(super) frontier: Frontier<Record>,
    pub(super) scope: Scope,
    pub(super) credentials: Credentials,
    pub(super) cookies: Cookies,
    /// Pages that led elsewhere.
    pub(super) redirected: Mutex<HashMap<Arc<str>, Redirected>>,
    /// How often in a row hosts have answered that it is too much.
    pub(super) too_many_requests: Mutex<HashMap<HostId, u32>>,
    /// What is known of the hosts that a page was taken of.
    pub(super) hosts: RwLock<HashMap<HostId, Arc<Rules>>>,
    /// The starts, and where their redirects have led so far.
    pub(super) front: Mutex<HashSet<PageId>>,
    /// The pages that the crawl begins at.
    pub(super) starts: Mutex<Vec<PageId>>,
    pub(super) log: Mutex<Log>,
    /// Where pages are handed out as they come, if somebody wants them.
    pub(super) results: Option<BoundedQueue<Visited>>,
    pub(super) begun: Instant,
    /// On the system's clock, which progress is shown by.
    begun_here: Instant,
    /// The first panic of a callback.
    pub(super) panic: Mutex<Panicked>,
    nothing: Vec<String>,
    sheets: Vec<String>,
}

impl Engine {
    pub(super) fn new(
        settings: &Arc<Settings>,
        fetch: &Arc<dyn Fetch>,
        robots: &Arc<Robots>,
        on_page: &Arc<[OnPage]>,
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
            on_page: Arc::clone(on_page),
            token,
            results,
        }
    }

    /// Adds a page that the crawl begins at, which may have a user and a password in it.
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

    /// What a worker does until nothing is left or the crawl is stopped.
    pub(super) fn work(&self, worker: usize) {
        while let Ok(lease) = self.frontier.take(&self.token) {
            self.sample();
            // A page whose errand panics is put back by its turn; the panic is the callbacks', since a
            // fetcher's is caught where it is called, so the crawl ends and its owner gets it.
            if let Err(payload) = panics::catch(|| self.errand(lease, worker)) {
                let mut first = self.panic.lock();
                let later = if first.0.is_none() { first.0.replace(payload) } else { Some(payload) };
                drop(first);
                panics::discard(later);
                self.token.cancel_because("a callback panicked");
            }
        }
        self.sample();
    }

    fn errand(&self, lease: Lease<'_, Record>, worker: usize) {
        let url = Url::parse(&lease.url).expect("only URLs are put in");
        let rules = self.hosts.read().get(&lease.host).cloned();
        match rules.as_deref() {
            None => self.ask(lease, &url, worker),
            // It would fail as its robots.txt did, after as long a wait.
            Some(Rules::Unreachable(error)) => {
                let record = Record::failed(error, Duration::ZERO, lease.tries);
                self.settle(lease, record, Vec::new());
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

    /// Makes the request for a page, and decides what comes of it.
    fn visit(&self, mut lease: Lease<'_, Record>, url: &Url, worker: usize) {
        let cookies = self.cookies.version(url);
        let headers = self.headers_for(url);
        let request = self.request(url, &headers);
        let request = match lease.rank {
            LEAF => Request { method: Method::Head, types: &self.nothing, ..request },
            LEAF_GET => Request { types: &self.nothing, ..request },
            SHEET => Request { types: &self.sheets, cap: self.settings.request.body_cap, ..request },
            PAGE => Request {
                types: &self.settings.request.types,
                cap: self.settings.request.body_cap,
                ..request
            },
            _ => Request { cap: SITEMAP_CAP, ..request },
        };
        lease.begin();
        let started = self.now();
        let answer = self.fetch(&request);
        let ended = self.now();
        let (page, taken) = (Some(lease.page), Arc::clone(&lease.url));
        self.log.lock().visits.push(Visit { url: taken, page, worker, started, ended });
        if matches!(&answer, Err(error) if error.kind == ErrorKind::Stopped) {
            // It may have been cut short by the stop, which says nothing about the page.
            return lease.put_back();
        }
        if let Ok(response) = &answer {
            self.keep_cookies(url, response);
        }
        let is_accepted = |answer: &Response| {
            self.settings.request.accept.is_some() && self.settings.request.accepts(answer.status)
        };
        if answer.as_ref().is_ok_and(is_accepted) {
            return self.read(lease, url, answer, Made { took: ended.saturating_sub(started), cookies });
        }
        if self.count_too_many(lease.host, &answer) {
            return self.give_up(lease);
        }
        if request.method == Method::Head && is_no_word(&answer) {
            return lease.put_back_for(LEAF_GET);
        }
        match self.settings.retry.decide(&lease.url, lease.tries, &answer) {
            Again::After(wait) => return lease.retry_after(wait),
            Again::Pause(wait) => {
                self.frontier.pause_host(lease.host, wait);
                return lease.retry_after(wait);
            }
            Again::No => {}
        }
        self.read(lease, url, answer, Made { took: ended.saturating_sub(started), cookies });
    }

    pub(super) fn keep_cookies(&self, url: &Url, response: &Response) {
        let set = response.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
        self.cookies.keep(url, set.map(|(_, value)| value.as_str()));
    }

    /// The headers that the origin of `url` is to be told.
    pub(super) fn headers_for(&self, url: &Url) -> Vec<(String, String)> {
        let mut headers = self.credentials.headers_for(&self.settings.request.headers, url);
        if let Some(cookies) = self.cookies.header(url) {
            match headers.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case("cookie")) {
                Some((_, given)) => *given = format!("{given}; {cookies}"),
                None => headers.push(("Cookie".to_owned(), cookies)),
            }
        }
        headers
    }

    /// A GET of whatever is there, of which nothing is read.
    pub(super) fn request<'a>(&'a self, url: &'a Url, headers: &'a [(String, String)]) -> Request<'a> {
        let settings = &self.settings.request;
        Request {
            url,
            method: Method::Get,
            agent: &settings.agent,
            headers,
            types: &[],
            cap: 0,
            truncate: false,
            connect: settings.connect,
            read: settings.read,
            total: settings.total,
            token: &self.token,
        }
    }

    /// Asks the fetcher, whose panic is an answer too.
    pub(super) fn fetch(&self, request: &Request<'_>) -> Result<Response, FetchError> {
        panics::catch(|| self.fetch.fetch(request)).unwrap_or_else(|payload| {
            let text = panics::text(&*payload).unwrap_or_default().to_owned();
            panics::discard(payload);
            Err(FetchError::new(ErrorKind::Panicked, text))
        })
    }

    /// Reads an answer that stands.
    fn read(&self, lease: Lease<'_, Record>, url: &Url, answer: Result<Response, FetchError>, made: Made) {
        let took = made.took;
        let response = match answer {
            Ok(response) => response,
            Err(error) => {
                let record = Record::failed(&error, took, lease.tries);
                return self.settle(lease, record, Vec::new());
            }
        };
        if let Some(location) = redirect(&response) {
            return match self.resolve(url, location) {
                Some(to) => self.follow(lease, &response, to, made),
                None => self.leave(lease, &response, url, location, made),
            };
        }
        let is_front = self.front.lock().contains(&lease.page);
        if is_front && lease.rank == PAGE && is_sitemap(&response, url) {
            return lease.put_back_for(SITEMAP);
        }
        let response = if lease.rank == PAGE { without_unknown(response) } else { response };
        let links = match (&response.body, lease.rank) {
            (Body::Read(body), PAGE) => self.links(lease.page, body, &response, url),
            (Body::Read(body), SHEET) => self.sheet(lease.page, body, &response, url),
            (Body::Read(body), SITEMAP) => match self.sitemap(body, &response, url) {
                Ok(links) => links,
                Err(error) => {
                    let record =
                        Record { status: Some(response.status), ..Record::failed(&error, took, lease.tries) };
                    return self.settle(lease, record, Vec::new());
                }
            },
            _ => Vec::new(),
        };
        let accepted = self.settings.request.accepts(response.status);
        let record = Record::answered(&response, lease.rank, accepted, took, lease.tries);
        self.settle(lease, record, links);
    }

    /// Settles a page with its links.
    pub(super) fn settle(&self, lease: Lease<'_, Record>, record: Record, links: Vec<Found>) {
        let (id, url, depth) = (lease.page, Arc::clone(&lease.url), lease.distance.depth);
        let found = links.iter().filter_map(|found| self.new_link(found));
        // The place at the host is free from here on; what follows may take its time.
        lease.finish(record.clone(), found);
        self.tell(Visited { id, url, depth, record, links: links.len() });
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

    /// Tells callbacks and the iterator. Nothing is held here: not the page, no place at a host, no lock.
    pub(super) fn tell(&self, visited: Visited) {
        if visited.record.is_error() {
            self.log.lock().errors += 1;
        }
        self.sample();
        let mut panicked = FirstPanic::default();
        for callback in &*self.on_page {
            panicked.call(|| callback(&visited));
        }
        panicked.resume();
        if let Some(results) = &self.results {
            // Refused if nobody reads any more, or the crawl is stopped: the page is in the report.
            drop(results.push_until(visited, &self.token));
        }
    }

    /// The URL that a text means on this page, if it is crawled at all.
    pub(super) fn resolve(&self, base: &Url, text: &str) -> Option<Url> {
        let is_crawled = |url: &Url| is_http(url) || (is_file(url) && is_file(base));
        let url = base.join(text).ok().filter(is_crawled)?;
        self.credentials.note(&url);
        Some(self.settings.canonical.of(url))
    }

    /// The queue that a page waits in: its origin's, or the one of all files on this machine.
    pub(super) fn queue_of<'u>(&self, url: &'u Url) -> &'u str {
        if self.scope.is_local(url) { LOCAL } else { origin(url) }
    }

    /// Since the beginning, on the crawl's clock.
    pub(super) fn now(&self) -> Duration {
        self.token.clock().now().saturating_duration_since(self.begun)
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
