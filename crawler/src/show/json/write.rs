//! Writes a report page by page, so that a large one is never in memory twice.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

use super::{FORMAT, WrittenState};
use crate::frontier::{PageId, State, Step};
use crate::record::{Record, seconds};
use crate::show::visible::is_obeyed;
use crate::{DeadLink, Ended, Report};

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
