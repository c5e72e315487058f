//! The crawler, and the ways to start a crawl.

mod crawl;
mod error;

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use selvedge::Until;
use selvedge::sync::Arc;
use url::Url;

pub use crawl::Crawl;
pub(super) use crawl::ended;
pub use error::StartError;

use super::builder::{Builder, Hooks};
use super::canonical::{is_file, is_http};
use super::credentials::without_login;
use super::fetch::Fetch;
use super::report::Report;
use super::robots::Robots;
use super::settings::Settings;

/// Follows the links of a site and says which of them are dead.
///
/// Every page is fetched once, nearest first, and reported with its shortest distance from the start, with
/// any number of workers. A worker that waits for a response holds its request's place at the host, and
/// nothing else. The crawl ends exactly when no page waits and no worker has one. A page that fails is
/// retried, then reported; none is dropped. A crawl that is stopped reports what it found by then, and
/// [`resume`](Crawler::resume) continues it.
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
/// Stop at the first page that fails:
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
/// [`run`](Crawler::run) blocks until the crawl is over. [`spawn`](Crawler::spawn) and
/// [`background`](Crawler::background) do not block.
///
/// # Cancellation
/// A crawl that is cancelled or out of time ends within its [grace](Builder::grace), usually within
/// milliseconds: a body that arrives is checked against the token at each chunk, and a request to a silent
/// server is left behind when the grace is over. This holds in each form: [`run`](Crawler::run) returns, an
/// iterator ends at once, and [`Crawl::finish`] returns. The report has every page that was settled; a page
/// that was being fetched is reported as waiting.
///
/// # Panics
/// If a limit has a deadline on another clock than the [crawler's](Builder::clock).
///
/// A panic in a callback stops the crawl and resumes in [`run`](Crawler::run) or [`Crawl::finish`]. A panic
/// in a fetcher is a failed page. If a callback or the fetcher panics when it is dropped, the panic resumes
/// in the thread that drops the last crawler or crawl; while a report is made it is only shown by the panic
/// hook.
///
/// # Fairness
/// A slow or paused host does not delay the others: the next page is the nearest one of all hosts that admit
/// a request now.
///
/// # Proof
/// The protocol by which workers share the pages is model-checked, in the models `crawl` of the repository.
///
/// # Cost
/// Bench `crawl` of the repository. About half a kilobyte a URL and 8 bytes a link, 4 more in the report once
/// it has been asked for the links to a page.
///
/// # Instead
/// `wget --spider`, if one request at a time is enough.
#[derive(Clone)]
pub struct Crawler {
    settings: Arc<Settings>,
    fetch: Arc<dyn Fetch>,
    /// Shared by all crawls of this crawler, so that each host is asked once.
    robots: Arc<Robots>,
    hooks: Arc<Hooks>,
}

impl Crawler {
    /// Returns a builder with the default settings.
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(super) fn new(settings: Settings, fetch: Arc<dyn Fetch>, hooks: Hooks) -> Self {
        Crawler { settings: Arc::new(settings), fetch, robots: Arc::default(), hooks: Arc::new(hooks) }
    }

    /// Crawls from `start` until no page is left.
    ///
    /// # Errors
    /// [`StartError`] if a start is no URL, or no worker could be started.
    pub fn run(&self, start: &str) -> Result<Report, StartError> {
        self.run_until(start, Until::forever())
    }

    /// Crawls from `start` until no page is left or `limit` stops the crawl; [`Report::ended`] tells which.
    ///
    /// # Errors
    /// [`StartError`] if a start is no URL, or no worker could be started.
    pub fn run_until<'l>(&self, start: &str, limit: impl Into<Until<'l>>) -> Result<Report, StartError> {
        let starts = self.starts(start)?;
        Ok(self.go(limit.into(), None, |engine| engine.begin_at_all(starts))?.finish())
    }

    /// Begins a crawl whose iterator yields its pages as they are settled.
    ///
    /// # Errors
    /// [`StartError`] if a start is no URL, or no worker could be started.
    pub fn spawn<'l>(&self, start: &str, limit: impl Into<Until<'l>>) -> Result<Crawl, StartError> {
        let starts = self.starts(start)?;
        self.go(limit.into(), Some(self.settings.workers), |engine| engine.begin_at_all(starts))
    }

    /// Begins a crawl that needs no reader: its iterator is empty, and [`wait_until`](Crawl::wait_until) and
    /// [`finish`](Crawl::finish) wait for its end.
    ///
    /// # Examples
    /// ```
    /// use selvedge_crawl::{Crawler, MemorySite};
    ///
    /// let site = MemorySite::new().page("http://loom.test/", "<a href=lost>lost</a>");
    /// let crawler = Crawler::builder().fetch(site).build()?;
    /// let crawl = crawler.background("http://loom.test/", selvedge::Until::forever())?;
    /// // ... the thread does something else ...
    /// crawl.wait_until(selvedge::Until::forever())?;
    /// assert_eq!(crawl.progress().counts.fetched, 2);
    /// assert_eq!(crawl.finish().dead_count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`StartError`] if a start is no URL, or no worker could be started.
    pub fn background<'l>(&self, start: &str, limit: impl Into<Until<'l>>) -> Result<Crawl, StartError> {
        let starts = self.starts(start)?;
        self.go(limit.into(), None, |engine| engine.begin_at_all(starts))
    }

    /// Continues an earlier crawl: with the pages that waited, and those whose failure may have passed. The
    /// report covers both crawls.
    ///
    /// # Errors
    /// [`StartError`] if the report has no start, or no worker could be started.
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
}

// A fetcher and callbacks are called, not looked into, and none of them under a lock.
impl UnwindSafe for Crawler {}
impl RefUnwindSafe for Crawler {}

impl fmt::Debug for Crawler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crawler").field("settings", &self.settings).finish_non_exhaustive()
    }
}
