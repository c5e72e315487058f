//! Reads what was written.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::io::{self, Read};
use std::time::Duration;

use selvedge::sync::{Arc, OnceLock};
use serde::Deserialize;

use super::{FORMAT, WrittenState};
use crate::fragments::Fragments;
use crate::frontier::{Edge, PageId, State};
use crate::log::Log;
use crate::policy::Policy;
use crate::record::{Record, seconds};
use crate::{Ended, Page, Report};

/// The text is not a report.
#[derive(Debug)]
pub struct ReportError(Reason);

#[derive(Debug)]
enum Reason {
    Json(serde_json::Error),
    Format(String),
    Link(PageId),
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
    /// Reads a report that [`write_json`](Report::write_json) wrote. It has no visits and no samples.
    ///
    /// # Errors
    /// [`ReportError`] if it cannot be read, is not a report, or names a page that is not in it.
    pub fn read_json(from: impl Read) -> Result<Self, ReportError> {
        let read = serde_json::from_reader(io::BufReader::new(from));
        let mut read: ReadReport = read.map_err(|error| ReportError(Reason::Json(error)))?;
        if read.format != FORMAT {
            return Err(ReportError(Reason::Format(read.format)));
        }
        let (pages, texts) = pages(std::mem::take(&mut read.pages))?;
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
        Ok(read.into_report(pages, texts))
    }
}

impl ReadReport {
    fn into_report(self, pages: Vec<Page>, texts: Vec<Arc<str>>) -> Report {
        let ended = match self.ended.as_str() {
            "complete" => Ended::Complete,
            "out_of_time" => Ended::OutOfTime,
            _ => Ended::Cancelled(self.why.unwrap_or_default()),
        };
        let not_http = self.not_http.into_iter().collect();
        Report {
            log: Log {
                broken: self.broken,
                not_http,
                unreadable_robots: self.unreadable_robots,
                sitemaps: self.sitemaps,
                fragments: Fragments {
                    parts: self.parts,
                    links: self.part_links,
                    redirected: self.part_redirects,
                },
                ..Log::default()
            },
            front: self.front,
            starts: self.starts,
            pages,
            texts,
            hosts: self.hosts,
            unmatched: Vec::new(),
            took: self.took,
            ended,
            cut_off: 0,
            earlier: 0,
            refused: self.refused,
            unrecorded: self.unrecorded,
            workers: self.workers,
            per_host: self.per_host,
            policy: Policy::default(),
            reverse: OnceLock::new(),
        }
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
