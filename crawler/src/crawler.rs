//! Crawls: one to wait for, or one to watch.

use std::panic::{RefUnwindSafe, UnwindSafe};
use std::{error, fmt};

use selvedge::cancel::CallbackGuard;
use selvedge::error::WaitError;
use selvedge::pool::{self, Pool};
use selvedge::sync::Arc;
use selvedge::sync::atomic::{AtomicUsize, Ordering};
use selvedge::{BoundedQueue, CancelToken, Clock, Until, WaitGroup};
use url::Url;

use super::builder::Builder;
use super::canonical::{is_file, is_http};
use super::credentials::without_login;
use super::engine::{Engine, OnPage};
use super::fetch::Fetch;
use super::record::{Progress, Visited};
use super::report::{Ended, Report};
use super::robots::Robots;
use super::settings::Settings;
use crate::panics;

/// Follows the links of a site and says which of them are dead.
///
/// Every page is asked for once, nearest first, and reported with its shortest distance from the start,
/// whatever the number of workers. A worker holds nothing while it waits but its own request's place at its
/// host. The end is exact: when no page waits and none is in work. A page that failed is tried again and then
/// reported, never dropped. A crawl that is stopped says what it found, and [`resume`](Crawler::resume) goes
/// on from there.
///
/// # Examples
/// ```no_run
/// use selvedge_crawl::Crawler;
///
/// let crawler = Crawler::builder().workers(16).build()?;
/// for link in crawler.run("https://example.org/")?.dead_links() {
///     println!("{} {}", link.problem, link.url);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Stop after the first page that fails, and see what was found by then:
/// ```
/// use selvedge_crawl::{Crawler, Ended, MemorySite};
///
/// let site = MemorySite::new().page("http://loom.test/", "<a href=lost>lost</a> <a href=/>home</a>");
/// let crawler = Crawler::builder().fetch(site).build()?;
/// let mut crawl = crawler.spawn("http://loom.test/", selvedge::Until::forever())?;
/// let dead = crawl.by_ref().find(|page| page.record.is_error()).unwrap();
/// assert_eq!(&*dead.url, "http://loom.test/lost");
/// crawl.cancel();
/// let report = crawl.finish();
/// assert_eq!(report.pages().len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Blocking
/// [`run`](Crawler::run) until the crawl is over; [`spawn`](Crawler::spawn) not at all.
///
/// # Cancellation
/// A crawl that is cancelled, or out of time, ends within its [grace](Builder::grace), most often within
/// milliseconds: bodies look at the token as they arrive, and a server that is silent is not waited for. Its
/// report has everything that was settled, and what was in work waits.
///
/// # Panics
/// If a limit has a deadline on another clock than the [crawler's](Builder::clock).
///
/// A panic in a callback stops the crawl and goes on at [`run`](Crawler::run) or [`Crawl::finish`]. One in a
/// fetcher is a page that failed. If a callback or the fetcher panics when it is dropped, the panic is whose
/// drop of the crawler or the crawl was the last; one that comes while a report is made ends with the panic
/// hook's message.
///
/// # Fairness
/// Hosts do not stand in each other's way: of all hosts that would take a request now, the nearest page is
/// next.
///
/// # Proof
/// The protocol by which workers share pages is model-checked: the models `crawl` of the repository.
///
/// # Cost
/// Bench `crawl` of the repository. About half a kilobyte a URL, and 8 bytes a link.
///
/// # Instead
/// `wget --spider` if you are at a terminal and one request at a time is enough.
#[derive(Clone)]
pub struct Crawler {
    settings: Arc<Settings>,
    fetch: Arc<dyn Fetch>,
    /// Shared by all crawls of this crawler, so each host is asked once.
    robots: Arc<Robots>,
    on_page: Arc<[OnPage]>,
}

/// A crawl that is running: an iterator over its pages as they are settled.
///
/// The iterator ends when the crawl does, or is stopped. Who does not read it holds the crawl up, once as
/// many pages as there are workers are unread; [`finish`](Crawl::finish) reads the rest. Dropped, it stops
/// the crawl.
#[must_use = "a crawl that is dropped is stopped"]
pub struct Crawl {
    engine: Arc<Engine>,
    /// `None` once it was given up.
    pool: Option<Pool>,
    working: WaitGroup,
    /// Ends the iterator when the crawl is stopped.
    _closes: CallbackGuard,
}

/// Why a crawl did not begin.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// What was to be the start is no URL.
    NotAUrl {
        /// What it is.
        text: String,
        /// Why it is none.
        reason: url::ParseError,
    },
    /// It is one of another scheme than http and https.
    NotHttp {
        /// What it is.
        text: String,
    },
    /// It is a file, and the crawler was [given](Builder::folder) no folder that it is in.
    NotInAFolder {
        /// What it is.
        text: String,
    },
    /// No thread could be had.
    Workers(pool::BuildError),
}

impl Crawler {
    /// Says what a crawler is to do.
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(super) fn new(settings: Settings, fetch: Arc<dyn Fetch>, on_page: Arc<[OnPage]>) -> Self {
        Crawler { settings: Arc::new(settings), fetch, robots: Arc::default(), on_page }
    }

    /// Crawls from `start` until nothing is left.
    ///
    /// # Errors
    /// [`StartError`] if it did not begin.
    pub fn run(&self, start: &str) -> Result<Report, StartError> {
        self.run_until(start, Until::forever())
    }

    /// Crawls from `start` until nothing is left or `limit` stops it, which the report then says.
    ///
    /// # Errors
    /// [`StartError`] if it did not begin.
    pub fn run_until<'l>(&self, start: &str, limit: impl Into<Until<'l>>) -> Result<Report, StartError> {
        let starts = self.starts(start)?;
        Ok(self.go(limit.into(), None, |engine| engine.begin_at_all(starts))?.finish())
    }

    /// Begins a crawl, and gives its pages out as they come.
    ///
    /// # Errors
    /// [`StartError`] if it did not begin.
    pub fn spawn<'l>(&self, start: &str, limit: impl Into<Until<'l>>) -> Result<Crawl, StartError> {
        let starts = self.starts(start)?;
        self.go(limit.into(), Some(self.settings.workers), |engine| engine.begin_at_all(starts))
    }

    /// Goes on where an earlier crawl stopped: with the pages that waited, and what failed for the moment.
    /// The report of this one has both.
    ///
    /// # Errors
    /// [`StartError`] if the report has no page to have begun at, or no thread could be had.
    pub fn resume<'l>(&self, report: Report, limit: impl Into<Until<'l>>) -> Result<Crawl, StartError> {
        self.start(report.pages().first().map_or("", |page| &page.url))?;
        self.go(limit.into(), Some(self.settings.workers), |engine| engine.go_on(report))
    }

    fn starts(&self, first: &str) -> Result<Vec<Url>, StartError> {
        std::iter::once(first)
            .chain(self.settings.starts.iter().map(String::as_str))
            .map(|start| self.start(start))
            .collect()
    }

    fn start(&self, text: &str) -> Result<Url, StartError> {
        match Url::parse(text) {
            Ok(url) if is_http(&url) || self.settings.folders.iter().any(|folder| folder.holds(&url)) => {
                Ok(url)
            }
            Ok(url) if is_file(&url) => Err(StartError::NotInAFolder { text: text.to_owned() }),
            Ok(_) => Err(StartError::NotHttp { text: without_login(text) }),
            Err(reason) => Err(StartError::NotAUrl { text: without_login(text), reason }),
        }
    }

    /// Starts the workers. `unread` is how many pages may wait for a reader, if there is one.
    fn go(
        &self,
        limit: Until<'_>,
        unread: Option<usize>,
        begin: impl FnOnce(&Engine),
    ) -> Result<Crawl, StartError> {
        let clock = self.settings.clock.clone().unwrap_or_else(Clock::current);
        let token = CancelToken::with_clock(clock).child_until(limit);
        let token = self.settings.time.map_or(token.clone(), |time| token.child_until(time));
        let workers = self.settings.workers;
        let pool = Pool::builder().workers(workers).queue(workers).name("crawl").build();
        let pool = pool.map_err(StartError::Workers)?;
        let Crawler { settings, fetch, robots, on_page } = self;
        let results = unread.map(BoundedQueue::new);
        let engine = Arc::new(Engine::new(settings, fetch, robots, on_page, token, results));
        begin(&engine);
        // A reader hears of a stop at once, and not when the last request has noticed; `finish` has a grace
        // for those. Pages that are settled meanwhile are in the report.
        let closes = {
            let (token, engine) = (engine.token.clone(), Arc::clone(&engine));
            token.on_cancel(move || {
                if let Some(results) = &engine.results {
                    results.close();
                }
            })
        };
        let (working, left) = (WaitGroup::new(), Arc::new(AtomicUsize::new(workers)));
        for worker in 0..workers {
            let member = working.add();
            let last = CloseBehind { engine: Arc::clone(&engine), left: Arc::clone(&left) };
            // A pool that nobody shut down refuses nothing.
            drop(pool.execute(move || {
                last.engine.work(worker);
                // The reader hears of the end before the owner does.
                drop(last);
                drop(member);
            }));
        }
        Ok(Crawl { engine, pool: Some(pool), working, _closes: closes })
    }
}

/// Closes the results when the last worker goes, however it goes.
struct CloseBehind {
    engine: Arc<Engine>,
    left: Arc<AtomicUsize>,
}

impl Drop for CloseBehind {
    fn drop(&mut self) {
        // Relaxed: the count publishes nothing, and the queue orders what was pushed before it is closed.
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1
            && let Some(results) = &self.engine.results
        {
            results.close();
        }
    }
}

impl Crawl {
    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.engine.progress()
    }

    /// The token that stops it.
    pub fn token(&self) -> &CancelToken {
        &self.engine.token
    }

    /// Stops it: no request begins from here on.
    pub fn cancel(&self) {
        self.engine.token.cancel();
    }

    /// Waits for the next page at most until `limit`; `None` if the crawl is over.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] or [`WaitError::Cancelled`], which the limit says, not the crawl.
    pub fn next_until<'l>(&mut self, limit: impl Into<Until<'l>>) -> Result<Option<Visited>, WaitError> {
        match &self.engine.results {
            None => Ok(None),
            Some(results) => match results.pop_until(limit) {
                Ok(page) => Ok(Some(page)),
                Err(WaitError::Closed) => Ok(None),
                Err(other) => Err(other),
            },
        }
    }

    /// Waits until it is over, and says what was found. Pages that nobody read are in the report.
    ///
    /// # Panics
    /// With a callback's panic.
    pub fn finish(mut self) -> Report {
        let cut_off = self.end();
        let engine = Arc::clone(&self.engine);
        drop(self);
        let panicked = engine.panic.lock().take();
        if let Some(payload) = panicked {
            // Contained: the owner gets one panic, and the callback's is the one that says why there is no
            // report.
            panics::discard(engine);
            panics::resume(payload);
        }
        Report::of(engine, cut_off)
    }

    /// Waits for the workers, or if it was stopped, for a grace; how many were left behind.
    fn end(&mut self) -> usize {
        let Some(pool) = self.pool.take() else { return 0 };
        if let Some(results) = &self.engine.results {
            // Nobody waits with a page for a reader any more.
            results.close();
        }
        let over = self.working.wait_until(&self.engine.token);
        // By the system's clock, which goes on by itself: a request takes its own time.
        if over.is_err() && self.working.wait_until(self.engine.settings.grace).is_err() {
            let left = self.working.count();
            // Dropping the pool would wait for them. They end with their requests, or with the process.
            pool.detach();
            return left;
        }
        0
    }
}

impl Iterator for Crawl {
    type Item = Visited;

    fn next(&mut self) -> Option<Visited> {
        self.next_until(Until::forever()).ok().flatten()
    }
}

impl Drop for Crawl {
    fn drop(&mut self) {
        if self.pool.is_some() {
            self.cancel();
            self.end();
        }
    }
}

// A fetcher and callbacks are called, not looked into, and none of them under a lock.
impl UnwindSafe for Crawler {}
impl RefUnwindSafe for Crawler {}
impl UnwindSafe for Crawl {}
impl RefUnwindSafe for Crawl {}

impl fmt::Debug for Crawler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crawler").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl fmt::Debug for Crawl {
    /// Never waits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crawl").field("engine", &self.engine).finish_non_exhaustive()
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::NotAUrl { text, reason: url::ParseError::RelativeUrlWithoutBase } => {
                write!(f, "{text:?} is not a whole URL; did you mean https://{text}?")
            }
            StartError::NotAUrl { text, reason } => {
                write!(f, "{text:?} is not a URL: {reason}; try https://example.org/.")
            }
            // `localhost:8080` is a URL of scheme `localhost`.
            StartError::NotHttp { text } if !text.contains("://") => {
                write!(f, "{text:?} has no scheme; did you mean http://{text}?")
            }
            StartError::NotHttp { text } => write!(f, "{text:?} is not crawled, only http and https are."),
            StartError::NotInAFolder { text } => {
                write!(f, "{text} is a file, and in none of the folders that the crawler was given.")
            }
            StartError::Workers(error) => write!(f, "the crawl has no workers: {error}"),
        }
    }
}

impl error::Error for StartError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            StartError::NotAUrl { reason, .. } => Some(reason),
            StartError::NotHttp { .. } | StartError::NotInAFolder { .. } => None,
            StartError::Workers(error) => Some(error),
        }
    }
}

/// How the crawl came to its end.
pub(super) fn ended(engine: &Engine, is_over: bool) -> Ended {
    match engine.token.cause() {
        _ if is_over => Ended::Complete,
        Some(cause) if cause.is_deadline() => Ended::OutOfTime,
        cause => Ended::Cancelled(cause.map_or_else(String::new, |cause| cause.to_string())),
    }
}
