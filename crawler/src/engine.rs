//! What the workers of one crawl share, and what they do with a page.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use selvedge::sync::{Arc, Mutex, RwLock, time};
use selvedge::{BoundedQueue, CancelToken};
use url::Url;

use super::canonical::{is_http, lane};
use super::credentials::{Credentials, without_login};
use super::fetch::{Body, ErrorKind, Fetch, FetchError, Method, Request, Response};
use super::frontier::{Frontier, LaneId, Lead, Limits, PageId, Skip, Step, Turn};
use super::html::Found;
use super::log::{Log, Visit};
use super::record::{Progress, Record, Visited};
use super::retry::Again;
use super::robots::{Robots, Rules};
use super::scope::Scope;
use super::settings::Settings;
use crate::panics::{self, FirstPanic, Held, Payload};

/// How much is wanted of a page. Only to know whether it is there; the same, and asking in the least
/// expensive way has failed; its links; its URLs.
pub(super) const LEAF: u8 = 0;
pub(super) const LEAF_GET: u8 = 1;
pub(super) const PAGE: u8 = 2;
pub(super) const SITEMAP: u8 = 3;

/// What a sitemap may hold, by its standard.
const SITEMAP_CAP: u64 = 50 << 20;

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
    /// What is known of the hosts that a page was taken of.
    pub(super) hosts: RwLock<HashMap<LaneId, Arc<Rules>>>,
    /// Where the start's redirects have led so far.
    pub(super) front: Mutex<Option<PageId>>,
    pub(super) log: Mutex<Log>,
    /// Where pages are handed out as they come, if somebody wants them.
    pub(super) results: Option<BoundedQueue<Visited>>,
    pub(super) begun: Instant,
    /// On the system's clock, which progress is shown by.
    begun_here: Instant,
    /// The first panic of a callback.
    pub(super) panic: Mutex<Panicked>,
    nothing: Vec<String>,
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
            scope: Scope::new(settings.scope.clone()),
            credentials: Credentials::default(),
            hosts: RwLock::new(HashMap::new()),
            front: Mutex::new(None),
            log: Mutex::new(Log::default()),
            begun: token.clock().now(),
            begun_here: time::now(),
            panic: Mutex::default(),
            nothing: vec!["-".to_owned()],
            settings: Arc::clone(settings),
            fetch: Arc::clone(fetch),
            robots: Arc::clone(robots),
            on_page: Arc::clone(on_page),
            token,
            results,
        }
    }

    /// Adds the page that the crawl begins at, which may have a user and a password in it.
    pub(super) fn begin_at(&self, start: Url) {
        self.credentials.begin_at(&start);
        let start = &self.settings.canonical.of(start);
        self.scope.add_host(start);
        let lead = Lead {
            url: start.as_str(),
            lane: lane(start),
            step: Step::Link,
            label: "",
            rank: PAGE,
            skip: None,
        };
        *self.front.lock() = self.frontier.seed(&lead);
    }

    /// What a worker does until nothing is left or the crawl is stopped.
    pub(super) fn work(&self, worker: usize) {
        while let Ok(turn) = self.frontier.take(&self.token) {
            self.sample();
            // A page whose errand panics is put back by its turn; the panic is the callbacks', since a
            // fetcher's is caught where it is called, so the crawl ends and its owner gets it.
            if let Err(payload) = panics::catch(|| self.errand(turn, worker)) {
                let mut first = self.panic.lock();
                let later = if first.0.is_none() { first.0.replace(payload) } else { Some(payload) };
                drop(first);
                panics::discard(later);
                self.token.cancel_because("a callback panicked");
            }
        }
        self.sample();
    }

    fn errand(&self, turn: Turn<'_, Record>, worker: usize) {
        let url = Url::parse(&turn.url).expect("only URLs are put in");
        let rules = self.hosts.read().get(&turn.lane).cloned();
        match rules.as_deref() {
            None => self.ask(turn, &url, worker),
            // It would fail as its robots.txt did, after as long a wait.
            Some(Rules::Unreachable(error)) => {
                let record = Record::failed(error, Duration::ZERO, turn.tries);
                self.settle(turn, record, Vec::new());
            }
            Some(Rules::Unreadable(why)) => {
                self.log.lock().unreadable(lane(&url), why);
                turn.skip(Skip::RobotsUnreadable);
            }
            Some(rules) if rules.allow(&url) => self.visit(turn, &url, worker),
            Some(_) => turn.skip(Skip::Robots),
        }
    }

    /// Makes the request for a page, and decides what comes of it.
    fn visit(&self, mut turn: Turn<'_, Record>, url: &Url, worker: usize) {
        let headers = self.headers_for(url);
        let request = self.request(url, &headers);
        let request = match turn.rank {
            LEAF => Request { method: Method::Head, types: &self.nothing, ..request },
            LEAF_GET => Request { types: &self.nothing, ..request },
            PAGE => Request {
                types: &self.settings.request.types,
                cap: self.settings.request.body_cap,
                ..request
            },
            _ => Request { cap: SITEMAP_CAP, ..request },
        };
        turn.begin();
        let started = self.now();
        let answer = self.fetch(&request);
        let ended = self.now();
        let (page, taken) = (Some(turn.page), Arc::clone(&turn.url));
        self.log.lock().visits.push(Visit { url: taken, page, worker, started, ended });
        if matches!(&answer, Err(error) if error.kind == ErrorKind::Stopped) {
            // It may have been cut short by the stop, which says nothing about the page.
            return turn.put_back();
        }
        if request.method == Method::Head && is_no_word(&answer) {
            return turn.put_back_for(LEAF_GET);
        }
        match self.settings.retry.decide(&turn.url, turn.tries, &answer) {
            Again::After(wait) => return turn.retry_after(wait),
            Again::Pause(wait) => {
                self.frontier.pause_lane(turn.lane, wait);
                return turn.retry_after(wait);
            }
            Again::No => {}
        }
        self.read(turn, url, answer, ended.saturating_sub(started));
    }

    /// The headers that the origin of `url` is to be told.
    pub(super) fn headers_for(&self, url: &Url) -> Vec<(String, String)> {
        self.credentials.headers_for(&self.settings.request.headers, url)
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
    fn read(&self, turn: Turn<'_, Record>, url: &Url, answer: Result<Response, FetchError>, took: Duration) {
        let response = match answer {
            Ok(response) => response,
            Err(error) => {
                let record = Record::failed(&error, took, turn.tries);
                return self.settle(turn, record, Vec::new());
            }
        };
        if let Some(location) = redirect(&response) {
            return match self.resolve(url, location) {
                Some(to) => self.follow(turn, &response, to, took),
                None => {
                    let text = format!("its Location is {:?}", without_login(location));
                    let error = FetchError::new(ErrorKind::RedirectToNowhere, text);
                    let record =
                        Record { status: Some(response.status), ..Record::failed(&error, took, turn.tries) };
                    self.settle(turn, record, Vec::new());
                }
            };
        }
        let links = match (&response.body, turn.rank) {
            (Body::Read(body), PAGE) => self.links(turn.page, body, &response, url),
            (Body::Read(body), SITEMAP) => self.sitemap(body, &response, url),
            _ => Vec::new(),
        };
        let record = Record::answered(&response, turn.rank, took, turn.tries);
        self.settle(turn, record, links);
    }

    /// Settles a page that leads elsewhere. A start that moves house (to https, to www) takes the crawl
    /// along.
    fn follow(&self, turn: Turn<'_, Record>, response: &Response, to: Url, took: Duration) {
        let is_front = *self.front.lock() == Some(turn.page);
        if is_front {
            self.scope.add_host(&to);
        }
        let record = Record::answered(response, turn.rank, took, turn.tries);
        // A page of ours that leads out may lead to a dead one, which is then looked at like a link that
        // does.
        let (rank, skip) = match self.scope.allows(&to) {
            true => (turn.rank, None),
            false => (LEAF, (!self.settings.external).then_some(Skip::OutOfScope)),
        };
        let (id, url, depth) = (turn.page, Arc::clone(&turn.url), turn.distance.depth);
        let lead = Lead { url: to.as_str(), lane: lane(&to), step: Step::Redirect, label: "", rank, skip };
        let next = turn.finish(record.clone(), [lead]);
        if is_front {
            *self.front.lock() = next.first().copied().flatten();
        }
        self.tell(Visited { id, url, depth, record, links: 0 });
    }

    /// Settles a page with its links.
    fn settle(&self, turn: Turn<'_, Record>, record: Record, links: Vec<Found>) {
        let (id, url, depth) = (turn.page, Arc::clone(&turn.url), turn.distance.depth);
        let leads = links.iter().filter_map(|found| self.lead(found));
        // The place at the host is free from here on; what follows may take its time.
        turn.finish(record.clone(), leads);
        self.tell(Visited { id, url, depth, record, links: links.len() });
    }

    fn lead<'a>(&self, found: &'a Found) -> Option<Lead<'a>> {
        let Settings { external, assets, .. } = *self.settings;
        let in_scope = self.scope.allows(&found.url);
        let (rank, skip) = match (found.is_asset, in_scope) {
            (true, _) if !assets => return None,
            (true, false) if !external => return None,
            (true, _) => (LEAF, None),
            (false, true) => (PAGE, None),
            (false, false) if external => (LEAF, None),
            (false, false) => (LEAF, Some(Skip::OutOfScope)),
        };
        let (url, lane) = (found.url.as_str(), lane(&found.url));
        Some(Lead { url, lane, step: Step::Link, label: &found.text, rank, skip })
    }

    /// Tells callbacks and the iterator. Nothing is held here: not the page, no place at a host, no lock.
    fn tell(&self, visited: Visited) {
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
        let url = base.join(text.trim()).ok().filter(is_http)?;
        self.credentials.note(&url);
        Some(self.settings.canonical.of(url))
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

/// Where an answer leads, if it does.
pub(super) fn redirect(response: &Response) -> Option<&str> {
    (300..400).contains(&response.status).then(|| response.get("location")).flatten()
}

/// True if an answer to a HEAD does not say what a GET would come to: some servers know no HEAD, and some
/// answer it with a redirect that leads nowhere.
fn is_no_word(answer: &Result<Response, FetchError>) -> bool {
    match answer {
        Ok(response) if redirect(response).is_some() => true,
        Ok(response) => response.status >= 400 && response.status != 429,
        Err(_) => true,
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("frontier", &self.frontier).finish_non_exhaustive()
    }
}
