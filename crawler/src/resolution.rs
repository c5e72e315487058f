//! What links lead to in the end: through redirects, to a page or to a problem.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

use super::fetch::ErrorKind;
use super::fragments::hash;
use super::frontier::{PageId, Skip, State};
use super::log::Visit;
use super::record::Outcome;
use super::report::{Ended, Page, Report};

/// What a link leads to, after its redirects.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resolution {
    /// A page.
    Alive,
    /// No page.
    Dead(Problem),
    /// A server whose answer leaves open whether a person would find a page: it could not be understood, or
    /// the server refuses programs or too many requests (429, 999).
    Uncertain(Problem),
    /// Not checked: skipped, out of scope, or the crawl was cut short.
    Unknown,
}

/// Why a link does not lead to a page.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The server refused it with this status.
    Status(u16),
    /// There was no answer.
    Failed {
        /// The kind of failure.
        kind: ErrorKind,
        /// The system's message.
        detail: String,
    },
    /// Its redirects form a loop.
    Loop,
    /// It has more redirects than are followed.
    TooManyRedirects,
    /// The link is not a URL.
    NotAUrl,
    /// It redirects, which is [not allowed](super::Redirects), with this status.
    Redirected(u16),
    /// The page exists, but not the part of it that the link names.
    NoSuchPart,
}

/// A URL that is dead or uncertain, and the pages that link to it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadLink {
    /// The URL, resolved against the page, before redirects.
    pub url: String,
    /// The URLs that it redirects to, in order.
    pub via: Vec<String>,
    /// What is wrong with it.
    pub problem: Problem,
    /// The pages with the link. Empty if the crawl began there and no page links to it.
    pub linked_from: Vec<LinkedFrom>,
}

/// A page with a link.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkedFrom {
    /// The page.
    pub page: String,
    /// The link's text.
    pub text: String,
}

impl Report {
    /// Follows the redirects from a page: the pages after it, and what the last one is.
    ///
    /// # Panics
    /// If there is no page of this number.
    #[track_caller]
    pub fn resolution(&self, id: PageId) -> (Vec<PageId>, Resolution) {
        let (mut here, mut seen, mut via) = (id, HashSet::new(), Vec::new());
        loop {
            let page = self.page(here);
            let resolution = match page.outcome() {
                Some(Outcome::Redirect) => match self.redirect(here) {
                    Some(next) => {
                        via.push(next);
                        seen.insert(here);
                        here = next;
                        if !seen.contains(&next) {
                            continue;
                        }
                        Resolution::Dead(Problem::Loop)
                    }
                    None => Resolution::Unknown,
                },
                None if here != id && page.state == State::TooFar => {
                    Resolution::Dead(Problem::TooManyRedirects)
                }
                Some(outcome) => self.end(here, outcome),
                None => Resolution::Unknown,
            };
            return (via, resolution);
        }
    }

    /// What a page is that does not redirect.
    fn end(&self, id: PageId, outcome: Outcome) -> Resolution {
        let Some(record) = &self.page(id).record else { return Resolution::Unknown };
        match outcome {
            Outcome::Refused => match record.status.unwrap_or_default() {
                status @ (429 | 999) => Resolution::Uncertain(Problem::Status(status)),
                status => Resolution::Dead(Problem::Status(status)),
            },
            Outcome::Failed(kind) => {
                let detail = record.detail.as_deref().unwrap_or_default().to_owned();
                let problem = Problem::Failed { kind, detail };
                match kind {
                    ErrorKind::NotUnderstood | ErrorKind::GivenUp => Resolution::Uncertain(problem),
                    _ => Resolution::Dead(problem),
                }
            }
            _ => Resolution::Alive,
        }
    }

    /// The dead links by URL, each with the pages that it is on, so that their owner can mend them. The
    /// target of a redirect is listed only if a page links to it directly.
    pub fn dead_links(&self) -> Vec<DeadLink> {
        self.policy.counting(self.every_dead_link())
    }

    /// The dead links, with those that are ignored.
    pub(super) fn every_dead_link(&self) -> Vec<DeadLink> {
        let mut dead = self.links_that(|resolution| match resolution {
            Resolution::Dead(problem) => Some(problem),
            _ => None,
        });
        dead.extend(self.not_urls());
        dead.extend(self.missing_parts());
        dead.extend(self.refused_redirects());
        dead
    }

    /// The dead links whose [ids](DeadLink::id) an earlier report does not have.
    pub fn new_since(&self, earlier: &Report) -> Vec<DeadLink> {
        let known: HashSet<String> = earlier.dead_links().iter().map(DeadLink::id).collect();
        let mut dead = self.dead_links();
        dead.retain(|link| !known.contains(&link.id()));
        dead
    }

    /// The links whose target is [uncertain](Resolution::Uncertain), in the form of
    /// [`dead_links`](Report::dead_links).
    pub fn uncertain_links(&self) -> Vec<DeadLink> {
        self.policy.counting(self.every_uncertain_link())
    }

    /// The uncertain links, with those that are ignored.
    pub(super) fn every_uncertain_link(&self) -> Vec<DeadLink> {
        self.links_that(|resolution| match resolution {
            Resolution::Uncertain(problem) => Some(problem),
            _ => None,
        })
    }

    /// The links that are not URLs.
    pub(super) fn not_urls(&self) -> impl Iterator<Item = DeadLink> {
        let mut broken: BTreeMap<&str, Vec<LinkedFrom>> = BTreeMap::new();
        for (page, text) in self.broken() {
            let page = self.page(page).url.to_string();
            broken.entry(text).or_default().push(LinkedFrom { page, text: String::new() });
        }
        broken.into_iter().map(|(url, linked_from)| DeadLink {
            url: url.to_owned(),
            via: Vec::new(),
            problem: Problem::NotAUrl,
            linked_from,
        })
    }

    fn links_that(&self, are: impl Fn(Resolution) -> Option<Problem>) -> Vec<DeadLink> {
        let mut links = Vec::new();
        for id in 0..self.pages.len() as PageId {
            let (via, resolution) = self.resolution(id);
            let Some(problem) = are(resolution) else { continue };
            let linked_from = self.linkers(id);
            if self.starts.contains(&id) || !linked_from.is_empty() {
                let via = via.iter().map(|&id| self.page(id).url.to_string()).collect();
                links.push(DeadLink { url: self.page(id).url.to_string(), via, problem, linked_from });
            }
        }
        links
    }

    /// Why a start was not read although the crawl is complete: robots.txt forbids it, it redirects out of
    /// scope, or it is not a page. The absence of dead links then proves nothing. `None` if each start was
    /// read or is dead, which the dead links say, or if the crawl was stopped.
    pub fn not_looked_at(&self) -> Option<String> {
        let why = self.starts.iter().filter(|_| self.ended == Ended::Complete);
        let why: Vec<String> = why.filter_map(|&start| self.why_not_looked_at(start)).collect();
        (!why.is_empty()).then(|| why.join("; "))
    }

    fn why_not_looked_at(&self, start: PageId) -> Option<String> {
        let (via, resolution) = self.resolution(start);
        let page = self.page(via.last().copied().unwrap_or(start));
        let url = &page.url;
        match (&resolution, page.state, page.outcome()) {
            (Resolution::Dead(_), ..) => None,
            (Resolution::Uncertain(problem), ..) => {
                let detail = problem.detail().map_or(String::new(), |detail| format!(" ({detail})"));
                Some(format!("{url}: {problem}{detail}"))
            }
            (_, State::Skipped(Skip::Robots), _) => Some(format!("robots.txt says no to {url}")),
            (_, State::Skipped(Skip::RobotsUnreadable), _) => {
                let why = self.log.unreadable_robots.iter().find(|(host, _)| url.starts_with(host.as_str()));
                let why = why.map_or("", |(_, why)| why);
                Some(format!("robots.txt cannot be read ({why}), so {url} was not asked for"))
            }
            (_, State::Skipped(Skip::OutOfScope), _) => Some(format!("{url} is out of scope")),
            (_, _, Some(Outcome::TooLarge)) => Some(format!("{url} is too large to be read")),
            _ => self.why_not_read(page),
        }
    }

    /// Why nothing was read of a page that answered.
    fn why_not_read(&self, page: &Page) -> Option<String> {
        let (url, record) = (&page.url, page.record.as_ref()?);
        let is_bare = record.bytes == 0 || record.status == Some(206);
        match (record.outcome, record.status) {
            // 204, 205, 304 and the like, and a range that was not requested.
            (Outcome::Page | Outcome::Alive, Some(status)) if status != 200 && is_bare => {
                Some(format!("{url} answered {}, and with no page", Problem::Status(status)))
            }
            (Outcome::Sitemap, _) if page.leads_to.is_empty() && !self.names_sitemaps(url) => {
                Some(format!("{url} is a sitemap that lists nothing"))
            }
            (Outcome::Alive, _) => Some(format!(
                "{url} is {}, which is not read for links",
                record.mime.as_deref().unwrap_or("of an unknown type")
            )),
            _ => None,
        }
    }

    fn names_sitemaps(&self, url: &str) -> bool {
        self.log.sitemaps.iter().any(|(from, _)| **from == *url)
    }

    /// Why the absence of dead links proves nothing although the starts were read: no page links to another,
    /// or each link leads to a URL that was left out. `None` if a link was checked.
    pub fn unchecked(&self) -> Option<String> {
        let maps: HashSet<PageId> = self.log.sitemaps.iter().map(|(_, map)| *map).collect();
        let front: HashSet<PageId> = self.front.iter().copied().collect();
        let is_linked = |id: &PageId| !front.contains(id) && (maps.contains(id) || self.is_linked(*id));
        let mut count = 0;
        for id in (0..self.pages.len() as PageId).filter(is_linked) {
            if self.resolution(id).1 != Resolution::Unknown {
                return None;
            }
            count += 1;
        }
        Some(match (count, self.starts.iter().find_map(|&start| self.empty_page(start))) {
            (0, Some(url)) => format!("{url} is empty"),
            (0, None) => "no page links to another".to_owned(),
            _ => format!("none of the {count} linked URLs was looked at"),
        })
    }

    /// The URL of the page that a start leads to, if nothing is on it.
    fn empty_page(&self, start: PageId) -> Option<&str> {
        let page = self.page(self.resolution(start).0.last().copied().unwrap_or(start));
        let is_empty = page.outcome() == Some(Outcome::Page) && page.record.as_ref()?.bytes == 0;
        is_empty.then_some(&*page.url)
    }

    pub(super) fn linkers(&self, id: PageId) -> Vec<LinkedFrom> {
        let named = |link: super::report::Link<'_>| LinkedFrom {
            page: self.page(link.page).url.to_string(),
            text: link.text.to_owned(),
        };
        let maps = self.log.sitemaps.iter().filter(|(_, map)| *map == id);
        let maps = maps.map(|(from, _)| LinkedFrom { page: from.to_string(), text: "(sitemap)".to_owned() });
        self.linked_from(id).map(named).chain(maps).collect()
    }

    /// The number of dead links. A start that is dead and that no page links to counts as one.
    pub fn dead_count(&self) -> usize {
        self.dead_links().iter().map(|link| link.linked_from.len().max(1)).sum()
    }

    /// The redirects that a page links to or that the crawl began at: the page, those that it redirects to in
    /// order, and what the last one is.
    pub fn redirects(&self) -> Vec<(PageId, Vec<PageId>, Resolution)> {
        let ids = 0..self.pages.len() as PageId;
        let redirects = ids.filter(|&id| self.page(id).outcome() == Some(Outcome::Redirect));
        let starts = redirects.filter(|&id| self.starts.contains(&id) || self.is_linked(id));
        starts
            .map(|id| (id, self.resolution(id)))
            .map(|(id, (via, resolution))| (id, via, resolution))
            .collect()
    }

    /// Links that could be updated: pages that are linked and whose redirects are all permanent (301, 308),
    /// and the page at the end.
    pub fn moved_permanently(&self) -> Vec<(PageId, PageId)> {
        let is_permanent = |id: PageId| matches!(self.page(id).status(), Some(301 | 308));
        let moved = self.redirects().into_iter().filter_map(|(id, via, resolution)| {
            let (&last, steps) = via.split_last()?;
            let all = is_permanent(id) && steps.iter().all(|&step| is_permanent(step));
            (resolution == Resolution::Alive && all && self.is_linked(id)).then_some((id, last))
        });
        moved.collect()
    }

    /// The slowest requests for pages, with their durations, slowest first.
    pub fn slowest(&self, count: usize) -> Vec<(&Visit, Duration)> {
        let pages = self.visits().iter().filter(|visit| visit.page.is_some());
        let mut visits: Vec<_> =
            pages.map(|visit| (visit, visit.ended.saturating_sub(visit.started))).collect();
        visits.sort_by_key(|(_, took)| std::cmp::Reverse(*took));
        visits.truncate(count);
        visits
    }

    /// How many pages were refused or failed, by kind, the most frequent kind first.
    pub fn errors(&self) -> Vec<(String, usize)> {
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        for record in self.records() {
            let kind = match record.outcome {
                Outcome::Refused => Problem::Status(record.status.unwrap_or_default()).to_string(),
                Outcome::Failed(kind) => kind.to_string(),
                _ => continue,
            };
            *kinds.entry(kind).or_default() += 1;
        }
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        kinds
    }
}

impl DeadLink {
    /// Identifies the problem across runs and versions: a hash of the URL and of the kind of problem.
    pub fn id(&self) -> String {
        let what = match &self.problem {
            Problem::Failed { kind, .. } => kind.to_string(),
            problem => problem.to_string(),
        };
        format!("{:016x}", hash(format!("{what} {}", self.url).as_bytes()))
    }
}

impl Problem {
    /// The status, if there was an answer with one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Problem::Status(status) | Problem::Redirected(status) => Some(*status),
            _ => None,
        }
    }

    /// The system's message, if it says more than the kind of failure does.
    pub fn detail(&self) -> Option<&str> {
        match self {
            // Unless a proxy failed, which the message names.
            Problem::Failed { kind: ErrorKind::TimedOut | ErrorKind::ConnectionRefused, detail }
                if !detail.contains("through the proxy") =>
            {
                None
            }
            Problem::Failed { detail, .. } => Some(detail),
            _ => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Status(status) => {
                let reason =
                    ureq::http::StatusCode::from_u16(*status).ok().and_then(|code| code.canonical_reason());
                write!(f, "{status} {}", reason.unwrap_or("unheard of"))
            }
            Problem::Failed { kind, .. } => kind.fmt(f),
            Problem::Redirected(status) => write!(f, "redirect ({})", Problem::Status(*status)),
            Problem::Loop => f.write_str("redirect loop"),
            Problem::TooManyRedirects => f.write_str("too many redirects"),
            Problem::NotAUrl => f.write_str("not a URL"),
            Problem::NoSuchPart => f.write_str("no such part of the page"),
        }
    }
}
