//! What a crawl found.

use std::fmt;
use std::time::Duration;

use selvedge::sync::{Arc, OnceLock};

use super::crawler::ended;
use super::engine::Engine;
use super::frontier::{Edge, Entry, PageTable};
use super::frontier::{PageId, Skip, State, Step};
use super::log::{Log, Sample, Visit};
use super::policy::Policy;
use super::record::{Outcome, Record};
use super::reverse::Reverse;
use crate::panics;

/// Everything that a crawl found. Times are measured from its beginning.
///
/// # Examples
/// ```
/// use selvedge_crawl::{Crawler, MemorySite};
///
/// let site = MemorySite::new().page("http://loom.test/", "<a href=/x>the warp</a> <a href=mailto:a@b.test>");
/// let report = Crawler::builder().fetch(site).build()?.run("http://loom.test/")?;
/// let lost = report.find("http://loom.test/x").unwrap();
/// assert_eq!((report.page(lost).depth, report.page(lost).status()), (1, Some(404)));
/// let from: Vec<_> = report.linked_from(lost).map(|link| (link.page, link.text)).collect();
/// assert_eq!(from, [(0, "the warp")]);
/// assert!(report.is_whole());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Cost
/// The first call that asks which pages link to another builds an index of all links, 12 bytes for each.
pub struct Report {
    pub(super) pages: Vec<Page>,
    pub(super) texts: Vec<Arc<str>>,
    pub(super) log: Log,
    pub(super) hosts: Vec<String>,
    pub(super) unmatched: Vec<String>,
    pub(super) front: Vec<PageId>,
    pub(super) starts: Vec<PageId>,
    pub(super) took: Duration,
    pub(super) ended: Ended,
    pub(super) cut_off: usize,
    /// Pages that an earlier crawl fetched, which this one resumed.
    pub(super) earlier: usize,
    pub(super) refused: u64,
    pub(super) unrecorded: u64,
    pub(super) workers: usize,
    pub(super) per_host: usize,
    pub(super) policy: Policy,
    pub(super) reverse: OnceLock<Reverse>,
}

/// One URL of a report.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Page {
    /// The URL in its canonical form.
    pub url: Arc<str>,
    /// Its distance from the start in links, by the shortest way.
    pub depth: u32,
    /// Redirects after the last of these links.
    pub hops: u32,
    /// Whether it was fetched, and if not, why.
    pub state: State,
    /// The result of requesting it; `None` if it was not requested.
    pub record: Option<Record>,
    pub(super) rank: u8,
    pub(super) leads_to: Vec<Edge>,
}

/// One end of a link, or of a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link<'a> {
    /// The page at the other end.
    pub page: PageId,
    /// A link or a redirect.
    pub step: Step,
    /// The link's text.
    pub text: &'a str,
}

/// How a crawl ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// No page was left, or the limit on pages was reached.
    Complete,
    /// Its time ran out.
    OutOfTime,
    /// It was cancelled, for this reason.
    Cancelled(String),
}

impl Report {
    /// Takes the workers' results.
    pub(super) fn of(engine: Arc<Engine>, cut_off: usize) -> Self {
        let took = engine.now();
        let ended = ended(&engine, engine.frontier.is_over());
        let (hosts, starts) = (engine.scope.hosts(), engine.starts.lock().clone());
        let mut front: Vec<PageId> = engine.front.lock().iter().copied().collect();
        front.sort_unstable();
        let unmatched = engine.scope.unmatched();
        let log = std::mem::take(&mut *engine.log.lock());
        let earlier = log.earlier;
        let (workers, per_host) = (engine.settings.workers, engine.settings.per_host);
        let policy = Policy::of(&engine.settings);
        let (pages, texts, refused, unrecorded) = table(engine);
        Report {
            pages,
            texts,
            log,
            hosts,
            unmatched,
            front,
            starts,
            took,
            ended,
            cut_off,
            earlier,
            refused,
            unrecorded,
            workers,
            per_host,
            policy,
            reverse: OnceLock::new(),
        }
    }

    /// All URLs in the order in which they were found. The first is where the crawl began.
    pub fn pages(&self) -> &[Page] {
        &self.pages
    }

    /// The page of this number.
    ///
    /// # Panics
    /// If there is no page of this number.
    #[track_caller]
    pub fn page(&self, id: PageId) -> &Page {
        &self.pages[id as usize]
    }

    /// The number of a URL in its canonical form. Searches all pages.
    pub fn find(&self, url: &str) -> Option<PageId> {
        self.pages.iter().position(|page| *page.url == *url).map(|id| id as PageId)
    }

    /// The links of a page, in its order.
    pub fn links(&self, id: PageId) -> impl Iterator<Item = Link<'_>> {
        self.page(id).leads_to.iter().map(|&edge| self.link(edge.to, edge))
    }

    /// The pages with a link to this one.
    pub fn linked_from(&self, id: PageId) -> impl Iterator<Item = Link<'_>> {
        let reverse = self.reverse.get_or_init(|| Reverse::of(&self.pages));
        let links = reverse.to(id).iter().flat_map(move |&from| {
            self.page(from).leads_to.iter().filter(move |edge| edge.to == id).map(move |&edge| (from, edge))
        });
        links.map(|(from, edge)| self.link(from, edge)).filter(|link| link.step == Step::Link)
    }

    /// Whether any page links to this one.
    pub fn is_linked(&self, id: PageId) -> bool {
        self.linked_from(id).next().is_some()
    }

    fn link(&self, page: PageId, edge: Edge) -> Link<'_> {
        let text = edge.label().and_then(|label| self.texts.get(label)).map_or("", |text| text);
        Link { page, step: edge.step(), text }
    }

    /// Where a page redirects to.
    pub fn redirect(&self, id: PageId) -> Option<PageId> {
        let mut links = self.page(id).leads_to.iter();
        links.find(|edge| edge.step() == Step::Redirect).map(|edge| edge.to)
    }

    /// Every request, in the order in which they ended, robots.txt included.
    pub fn visits(&self) -> &[Visit] {
        &self.log.visits
    }

    /// How many pages waited and were in flight, at up to 4096 moments.
    pub fn samples(&self) -> &[Sample] {
        self.log.samples.kept()
    }

    /// Links that are not URLs: the page, and the link as it is written there.
    pub fn broken(&self) -> impl Iterator<Item = (PageId, &str)> {
        self.log.broken.iter().map(|(page, text)| (*page, &**text))
    }

    /// Links to `mailto:` and the like, each once.
    pub fn not_http(&self) -> impl Iterator<Item = &str> {
        self.log.not_http.iter().map(String::as_str)
    }

    /// The pages that the crawl began at.
    pub fn starts(&self) -> &[PageId] {
        &self.starts
    }

    /// Patterns to include or exclude that matched no URL, and so may be misspelled.
    pub fn unmatched_patterns(&self) -> impl Iterator<Item = &str> {
        self.unmatched.iter().map(String::as_str)
    }

    /// How long the crawl took.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// How the crawl ended.
    pub fn ended(&self) -> &Ended {
        &self.ended
    }

    /// Requests that were abandoned when the crawl was stopped.
    pub fn cut_off(&self) -> usize {
        self.cut_off
    }

    /// Links to URLs beyond the limit; see [`Builder::urls`](super::Builder::urls).
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Links that were followed and not recorded; see [`Builder::links`](super::Builder::links).
    pub fn unrecorded(&self) -> u64 {
        self.unrecorded
    }

    /// The number of workers.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// The maximum of requests to one host at the same time.
    pub fn per_host(&self) -> usize {
        self.per_host
    }

    /// Pages that were requested, and answered or failed.
    pub fn fetched(&self) -> usize {
        self.pages.iter().filter(|page| page.record.is_some()).count()
    }

    /// The bytes of all pages that were read.
    pub fn bytes(&self) -> u64 {
        let read = |record: &&Record| matches!(record.outcome, Outcome::Page | Outcome::Sitemap);
        self.records().filter(read).map(|record| record.bytes).sum()
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.pages.iter().filter_map(|page| page.record.as_ref())
    }

    /// The pages in this state.
    pub fn in_state(&self, state: State) -> impl Iterator<Item = &Page> {
        self.pages.iter().filter(move |page| page.state == state)
    }

    /// The pages that were left out for this reason.
    pub fn skipped(&self, why: Skip) -> impl Iterator<Item = &Page> {
        self.in_state(State::Skipped(why))
    }

    /// True if every page was fetched that the crawl was to fetch.
    pub fn is_whole(&self) -> bool {
        self.ended == Ended::Complete && self.refused == 0 && self.in_state(State::Waiting).next().is_none()
    }
}

/// The pages, the texts of their links, and how many links had no room for their URL or for themselves.
/// Copied if an abandoned request still holds the engine.
fn table(engine: Arc<Engine>) -> (Vec<Page>, Vec<Arc<str>>, u64, u64) {
    let counts = |table: &PageTable<Record>| (table.refused(), table.unrecorded());
    let ((refused, unrecorded), (entries, texts)) = match Arc::try_unwrap(engine) {
        Ok(engine) => {
            let Engine { frontier, fetch, hooks, .. } = engine;
            // These are the caller's, and their drops may panic: that must not lose the report.
            panics::discard(fetch);
            panics::discard(hooks);
            let table = frontier.into_table();
            (counts(&table), table.into_parts())
        }
        Err(shared) => {
            let copy = |table: &PageTable<Record>| {
                (counts(table), (table.entries().to_vec(), table.texts().to_vec()))
            };
            let copied = shared.frontier.with(copy);
            panics::discard(shared);
            copied
        }
    };
    (entries.into_iter().map(Page::from).collect(), texts, refused, unrecorded)
}

impl Page {
    /// The status of the last answer.
    pub fn status(&self) -> Option<u16> {
        self.record.as_ref()?.status
    }

    /// The outcome of the last request.
    pub fn outcome(&self) -> Option<Outcome> {
        Some(self.record.as_ref()?.outcome)
    }
}

impl From<Entry<Record>> for Page {
    fn from(entry: Entry<Record>) -> Self {
        // The worker of an abandoned request will not report it, so the page counts as waiting.
        let state = if entry.state == State::Out { State::Waiting } else { entry.state };
        Page {
            url: entry.url,
            depth: entry.distance.depth,
            hops: entry.distance.hops,
            state,
            record: entry.record,
            rank: entry.rank,
            leads_to: entry.leads_to,
        }
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Report");
        out.field("pages", &self.pages.len()).field("fetched", &self.fetched());
        out.field("took", &self.took).field("ended", &self.ended).finish_non_exhaustive()
    }
}
