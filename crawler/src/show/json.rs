//! A report as JSON, written and read.
//!
//! The format is in the documentation of [`Report::write_json`]. It is written page by page, so that a large
//! report is never in memory twice.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::io::{self, Read, Write};
use std::time::Duration;

use selvedge::sync::{Arc, OnceLock};
use serde::{Deserialize, Serialize};
use serde_json::Serializer;
use serde_json::ser::Formatter;

use super::visible::is_obeyed;
use crate::fragments::Fragments;
use crate::frontier::{Edge, PageId, Skip, State, Step};
use crate::log::Log;
use crate::policy::Policy;
use crate::record::{Record, seconds};
use crate::{DeadLink, Ended, Page, Report};

const FORMAT: &str = "selvedge-crawl/1";

/// The text is not a report.
#[derive(Debug)]
pub struct ReportError(Reason);

#[derive(Debug)]
enum Reason {
    Json(serde_json::Error),
    Format(String),
    Link(PageId),
}

/// A report as it is written.
#[derive(Serialize)]
struct Written<'a> {
    format: &'a str,
    start: Option<&'a str>,
    ended: &'a str,
    why: Option<&'a str>,
    #[serde(with = "seconds", rename = "seconds")]
    took: Duration,
    workers: usize,
    per_host: usize,
    hosts: &'a [String],
    front: &'a [PageId],
    starts: &'a [PageId],
    refused: u64,
    unrecorded: u64,
    cut_off: usize,
    dead: Dead,
    uncertain: Dead,
    redirected: Dead,
    ignored: Ignored<'a>,
    notices: Vec<String>,
    insecure: bool,
    not_looked_at: Option<String>,
    unreadable_robots: &'a BTreeMap<String, String>,
    sitemaps: &'a [(Box<str>, PageId)],
    parts: BTreeMap<PageId, &'a [u64]>,
    part_links: &'a [(PageId, Box<str>, Box<str>)],
    part_redirects: Vec<PageId>,
    not_http: Vec<&'a str>,
    broken: Vec<(PageId, &'a str)>,
    pages: Pages<'a>,
}

struct Dead(Vec<DeadLink>);

struct Ignored<'a>(Vec<(DeadLink, &'a str)>);

#[derive(Serialize)]
struct DeadRow<'a> {
    id: String,
    url: &'a str,
    via: &'a [String],
    reason: String,
    status: Option<u16>,
    detail: Option<&'a str>,
    linked_from: Vec<LinkerRow<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

#[derive(Serialize)]
struct LinkerRow<'a> {
    page: &'a str,
    text: &'a str,
}

struct Pages<'a>(&'a Report);

#[derive(Serialize)]
struct WrittenPage<'a> {
    url: &'a str,
    depth: u32,
    hops: u32,
    #[serde(with = "WrittenState")]
    state: State,
    wanted: u8,
    record: Option<&'a Record>,
    redirect: Option<PageId>,
    links: Vec<(PageId, &'a str)>,
}

/// How a state is written. It is declared here because the frontier is also built alone, for its models, and
/// knows no formats.
#[derive(Serialize, Deserialize)]
#[serde(remote = "State", rename_all = "snake_case")]
enum WrittenState {
    Waiting,
    Out,
    TooFar,
    Fetched,
    Skipped(#[serde(with = "WrittenSkip")] Skip),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Skip", rename_all = "snake_case")]
enum WrittenSkip {
    OutOfScope,
    Robots,
    RobotsUnreadable,
}

/// A report as it is read. Keys that follow from the others (`start`, `dead`) are ignored.
#[derive(Deserialize)]
struct ReadReport {
    format: String,
    ended: String,
    why: Option<String>,
    #[serde(with = "seconds", rename = "seconds")]
    took: Duration,
    workers: usize,
    per_host: usize,
    hosts: Vec<String>,
    front: Vec<PageId>,
    starts: Vec<PageId>,
    refused: u64,
    unrecorded: u64,
    #[serde(default)]
    unreadable_robots: BTreeMap<String, String>,
    #[serde(default)]
    sitemaps: Vec<(Box<str>, PageId)>,
    #[serde(default)]
    parts: HashMap<PageId, Box<[u64]>>,
    #[serde(default)]
    part_links: Vec<(PageId, Box<str>, Box<str>)>,
    #[serde(default)]
    part_redirects: HashSet<PageId>,
    not_http: Vec<String>,
    broken: Vec<(PageId, Box<str>)>,
    pages: Vec<ReadPage>,
}

#[derive(Deserialize)]
struct ReadPage {
    url: Arc<str>,
    depth: u32,
    hops: u32,
    #[serde(with = "WrittenState")]
    state: State,
    wanted: u8,
    record: Option<Record>,
    redirect: Option<PageId>,
    links: Vec<(PageId, String)>,
}

impl Report {
    /// Writes the report as JSON, for other programs and for [`read_json`](Report::read_json), from which a
    /// crawl that was stopped is [resumed](crate::Crawler::resume).
    ///
    /// | key | value |
    /// |---|---|
    /// | `format` | `"selvedge-crawl/1"`; another number if a key changes its meaning |
    /// | `start` | the URL where the crawl began |
    /// | `ended`, `why` | `"complete"`, `"out_of_time"` or `"cancelled"`; for the last, why |
    /// | `seconds`, `workers`, `per_host` | the run |
    /// | `starts` | the pages that the crawl began at |
    /// | `hosts`, `front` | what a resumed crawl needs: the hosts in scope, and the pages that the starts redirect to |
    /// | `refused`, `unrecorded`, `cut_off` | links beyond the limits, and requests that were abandoned |
    /// | `dead` | list of `{id, url, via, reason, status, detail, linked_from: [{page, text}]}`: the dead links; the `id` is the same in each run |
    /// | `uncertain`, `redirected` | the same of links that may be dead, and of those that are a warning |
    /// | `ignored` | the same, with `why`, of those that are ignored |
    /// | `notices`, `insecure` | what a reader should know of the run, and whether certificates were not checked |
    /// | `not_looked_at` | why a start was not read, or `null` |
    /// | `unreadable_robots` | the hosts whose robots.txt could not be read, and why |
    /// | `sitemaps` | list of `[url, page]`: each sitemap, and the robots.txt or sitemap that names it |
    /// | `parts`, `part_links`, `part_redirects` | the parts of pages, links to them `[page, url, part]`, and redirects to parts, if they are checked |
    /// | `not_http` | list of links such as `mailto:` |
    /// | `broken` | list of `[page, text]`: links that are not URLs |
    /// | `pages` | list of pages, whose numbers are their places in it |
    ///
    /// A page is
    ///
    /// | key | value |
    /// |---|---|
    /// | `url`, `depth`, `hops` | the URL, links from the start, redirects since the last of them |
    /// | `state` | `"waiting"`, `"too_far"`, `"fetched"`, `{"skipped": "robots"}`, `"robots_unreadable"` or `"out_of_scope"` |
    /// | `wanted` | 0 or 1 if it was only looked at, 2 for a style sheet, 3 if it was read for links, 4 for a sitemap |
    /// | `record` | `null` if it was not requested, or `{outcome, status, mime, bytes, seconds, retries, detail}` |
    /// | `record.outcome` | `"page"`, `"sitemap"`, `"alive"`, `"too_large"`, `"redirect"`, `"refused"` or `{"failed": kind}` |
    /// | `redirect` | the page that it redirects to, or `null` |
    /// | `links` | list of `[page, text]` |
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write_json(&self, to: impl Write) -> io::Result<()> {
        let (ended, why) = match &self.ended {
            Ended::Complete => ("complete", None),
            Ended::OutOfTime => ("out_of_time", None),
            Ended::Cancelled(why) => ("cancelled", Some(why.as_str())),
        };
        let written = Written {
            format: FORMAT,
            start: self.pages.first().map(|page| &*page.url),
            ended,
            why,
            took: self.took,
            workers: self.workers,
            per_host: self.per_host,
            hosts: &self.hosts,
            front: &self.front,
            starts: &self.starts,
            refused: self.refused,
            unrecorded: self.unrecorded,
            cut_off: self.cut_off,
            dead: Dead(self.dead_links()),
            uncertain: Dead(self.uncertain_links()),
            redirected: Dead(self.redirect_warnings()),
            ignored: Ignored(self.ignored_links()),
            notices: self.notices(),
            insecure: self.is_insecure(),
            not_looked_at: self.not_looked_at(),
            unreadable_robots: &self.log.unreadable_robots,
            sitemaps: &self.log.sitemaps,
            parts: self.log.fragments.parts.iter().map(|(page, parts)| (*page, &**parts)).collect(),
            part_links: &self.log.fragments.links,
            part_redirects: self.log.fragments.redirected.iter().copied().collect(),
            not_http: self.not_http().collect(),
            broken: self.broken().collect(),
            pages: Pages(self),
        };
        let mut to = io::BufWriter::new(to);
        written.serialize(&mut Serializer::with_formatter(&mut to, Visible)).map_err(io::Error::from)?;
        to.flush()
    }

    /// Reads a report that [`write_json`](Report::write_json) wrote. It has no visits and no samples.
    ///
    /// # Errors
    /// [`ReportError`] if it cannot be read, is not a report, or names a page that is not in it.
    pub fn read_json(from: impl Read) -> Result<Self, ReportError> {
        let read = serde_json::from_reader(io::BufReader::new(from));
        let read: ReadReport = read.map_err(|error| ReportError(Reason::Json(error)))?;
        if read.format != FORMAT {
            return Err(ReportError(Reason::Format(read.format)));
        }
        let (pages, texts) = pages(read.pages)?;
        let known = |&id: &PageId| (id as usize) < pages.len();
        let mut named = read
            .front
            .iter()
            .chain(&read.starts)
            .chain(read.broken.iter().map(|(page, _)| page))
            .chain(read.sitemaps.iter().map(|(_, page)| page))
            .chain(read.part_links.iter().map(|(page, ..)| page));
        if let Some(stray) = named.find(|page| !known(page)) {
            return Err(ReportError(Reason::Link(*stray)));
        }
        let ended = match read.ended.as_str() {
            "complete" => Ended::Complete,
            "out_of_time" => Ended::OutOfTime,
            _ => Ended::Cancelled(read.why.unwrap_or_default()),
        };
        let not_http = read.not_http.into_iter().collect();
        Ok(Report {
            log: Log {
                broken: read.broken,
                not_http,
                unreadable_robots: read.unreadable_robots,
                sitemaps: read.sitemaps,
                fragments: Fragments {
                    parts: read.parts,
                    links: read.part_links,
                    redirected: read.part_redirects,
                },
                ..Log::default()
            },
            front: read.front,
            starts: read.starts,
            pages,
            texts,
            hosts: read.hosts,
            unmatched: Vec::new(),
            took: read.took,
            ended,
            cut_off: 0,
            earlier: 0,
            refused: read.refused,
            unrecorded: read.unrecorded,
            workers: read.workers,
            per_host: read.per_host,
            policy: Policy::default(),
            reverse: OnceLock::new(),
        })
    }
}

/// The pages of a report, and the table of their links' texts.
fn pages(read: Vec<ReadPage>) -> Result<(Vec<Page>, Vec<Arc<str>>), ReportError> {
    let count = read.len();
    let (mut texts, mut known) = (Vec::new(), HashMap::<Arc<str>, usize>::new());
    let mut pages = Vec::with_capacity(count);
    for page in read {
        let mut leads_to = Vec::with_capacity(page.links.len() + 1);
        leads_to.extend(page.redirect.map(|to| Edge::new(to, None)));
        for (to, text) in page.links {
            let text: Arc<str> = text.into();
            let label = *known.entry(Arc::clone(&text)).or_insert_with(|| {
                texts.push(text);
                texts.len() - 1
            });
            leads_to.push(Edge::new(to, Some(label)));
        }
        if let Some(stray) = leads_to.iter().find(|edge| edge.to as usize >= count) {
            return Err(ReportError(Reason::Link(stray.to)));
        }
        let ReadPage { url, depth, hops, state, wanted, record, .. } = page;
        pages.push(Page { url, depth, hops, state, record, rank: wanted, leads_to });
    }
    Ok((pages, texts))
}

/// Writes characters that a terminal would obey as escapes, also where JSON does not require it.
struct Visible;

impl Formatter for Visible {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, to: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(is_obeyed) {
            let c = rest[at..].chars().next().expect("it was found there");
            to.write_all(&rest.as_bytes()[..at])?;
            // JSON escapes the halves of a surrogate pair, and a few of these characters need one.
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(to, "\\u{unit:04x}")?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        to.write_all(rest.as_bytes())
    }
}

impl Serialize for Pages<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Pages(report) = *self;
        to.collect_seq(report.pages.iter().enumerate().map(|(id, page)| {
            let links = report.links(id as PageId).filter(|link| link.step == Step::Link);
            WrittenPage {
                url: &page.url,
                depth: page.depth,
                hops: page.hops,
                state: page.state,
                wanted: page.rank,
                record: page.record.as_ref(),
                redirect: report.redirect(id as PageId),
                links: links.map(|link| (link.page, link.text)).collect(),
            }
        }))
    }
}

impl Serialize for Dead {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(|link| DeadRow::of(link, None)))
    }
}

impl Serialize for Ignored<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(|(link, why)| DeadRow::of(link, Some(why))))
    }
}

impl<'a> DeadRow<'a> {
    fn of(link: &'a DeadLink, why: Option<&'a str>) -> Self {
        DeadRow {
            id: link.id(),
            url: &link.url,
            via: &link.via,
            reason: link.problem.to_string(),
            status: link.problem.status(),
            detail: link.problem.detail(),
            linked_from: link
                .linked_from
                .iter()
                .map(|from| LinkerRow { page: &from.page, text: &from.text })
                .collect(),
            why,
        }
    }
}

impl fmt::Display for ReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Reason::Json(error) => write!(f, "this is no report of a crawl: {error}"),
            Reason::Format(format) => write!(f, "this is {format:?}, and only {FORMAT:?} is understood"),
            Reason::Link(page) => write!(f, "a link in it leads to page {page}, which is not in it"),
        }
    }
}

impl std::error::Error for ReportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Reason::Json(error) => Some(error),
            _ => None,
        }
    }
}
