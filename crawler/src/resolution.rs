//! Where links get you in the end.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

use super::fetch::ErrorKind;
use super::fragments::hash;
use super::frontier::{PageId, Skip, State};
use super::log::Visit;
use super::record::Outcome;
use super::report::{Ended, Page, Report};

/// Where a link gets you in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resolution {
    /// There is something.
    Alive,
    /// There is nothing.
    Dead(Problem),
    /// There is a server, and what it says leaves open whether a person would find something: an answer that
    /// this crawler does not understand, or that it is asked too much, or that it wants no programs (429,
    /// 999).
    Uncertain(Problem),
    /// Nobody looked: skipped, out of scope, or the crawl was cut short.
    Unknown,
}

/// Why there is nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// It was refused.
    Status(u16),
    /// There was no answer.
    Failed {
        /// What it comes to.
        kind: ErrorKind,
        /// What the system said.
        detail: String,
    },
    /// Its redirects lead back to where they came from.
    Loop,
    /// They are more than were to be followed.
    TooManyRedirects,
    /// What is written there means nothing.
    NotAUrl,
    /// It has moved, which is [not allowed](super::Redirects); the status that says so.
    Redirected(u16),
    /// The page is there, and the part of it that is meant is not.
    NoSuchPart,
}

/// A URL that gets nobody anywhere, and who links to it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadLink {
    /// The URL, as the pages mean it.
    pub url: String,
    /// The redirects in between.
    pub via: Vec<String>,
    /// What is wrong.
    pub problem: Problem,
    /// The pages with the link, and what is written on it. Empty for the page that the crawl began at.
    pub linked_from: Vec<LinkedFrom>,
}

/// A page with a link.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkedFrom {
    /// The page.
    pub page: String,
    /// What a reader sees of the link.
    pub text: String,
}

impl Report {
    /// Follows the redirects from a page: the pages after it, and what it comes to.
    ///
    /// # Panics
    /// If there are fewer pages.
    #[track_caller]
    pub fn resolution(&self, id: PageId) -> (Vec<PageId>, Resolution) {
        let (mut here, mut seen, mut via) = (id, HashSet::from([id]), Vec::new());
        loop {
            let page = self.page(here);
            let resolution = match page.outcome() {
                Some(Outcome::Redirect) => match self.redirect(here) {
                    Some(next) => {
                        via.push(next);
                        here = next;
                        if seen.insert(next) {
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

    /// What a page that leads nowhere else comes to.
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

    /// Every link that is dead: as written on a page, so that its owner can find and mend it. The page at the
    /// end of a redirect is not listed for itself unless something links to it.
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

    /// The dead links that an earlier report does not have, by their [ids](DeadLink::id).
    pub fn new_since(&self, earlier: &Report) -> Vec<DeadLink> {
        let known: HashSet<String> = earlier.dead_links().iter().map(DeadLink::id).collect();
        let mut dead = self.dead_links();
        dead.retain(|link| !known.contains(&link.id()));
        dead
    }

    /// Every link whose target is [uncertain](Resolution::Uncertain), in the form of
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

    /// The links that are no URL.
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

    /// Why a start was not looked at although the crawl is complete: it may not be asked for, leads out of
    /// scope, or is no page. A report without dead links then says nothing about it. `None` if each start was
    /// read or is dead (which is what there is to say), or if the crawl was stopped.
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

    /// Why there was nothing to read on a page that answered.
    fn why_not_read(&self, page: &Page) -> Option<String> {
        let (url, record) = (&page.url, page.record.as_ref()?);
        let is_bare = record.bytes == 0 || record.status == Some(206);
        match (record.outcome, record.status) {
            // 204, 205, 304 and the like, and a part that nobody asked for.
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

    /// What there is to say of a crawl that found no dead link because it looked at none: no page links to
    /// another, or each link leads to what was left out. `None` if a link was looked at.
    pub fn unchecked(&self) -> Option<String> {
        let ids = 0..self.pages.len() as PageId;
        let linked: Vec<PageId> =
            ids.filter(|id| !self.front.contains(id) && !self.linkers(*id).is_empty()).collect();
        let is_known = |&id: &PageId| self.resolution(id).1 != Resolution::Unknown;
        match linked.len() {
            _ if linked.iter().any(is_known) => None,
            0 => match self.starts.iter().find_map(|&start| self.empty_page(start)) {
                Some(url) => Some(format!("{url} is empty")),
                None => Some("no page links to another".to_owned()),
            },
            count => Some(format!("none of the {count} linked URLs was looked at")),
        }
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

    /// How many links are dead. A start that is dead counts as one.
    pub fn dead_count(&self) -> usize {
        self.dead_links().iter().map(|link| link.linked_from.len().max(1)).sum()
    }

    /// The redirects that start a chain, with the pages they go through and what they come to.
    pub fn redirects(&self) -> Vec<(PageId, Vec<PageId>, Resolution)> {
        let ids = 0..self.pages.len() as PageId;
        let redirects = ids.filter(|&id| self.page(id).outcome() == Some(Outcome::Redirect));
        let starts = redirects.filter(|&id| self.starts.contains(&id) || self.is_linked(id));
        starts
            .map(|id| (id, self.resolution(id)))
            .map(|(id, (via, resolution))| (id, via, resolution))
            .collect()
    }

    /// Links that could be changed: pages that are linked and lead elsewhere for good (301, 308), step by
    /// step, and the page that is there instead.
    pub fn moved_for_good(&self) -> Vec<(PageId, PageId)> {
        let is_for_good = |id: PageId| matches!(self.page(id).status(), Some(301 | 308));
        let moved = self.redirects().into_iter().filter_map(|(id, via, resolution)| {
            let (&last, steps) = via.split_last()?;
            let all = is_for_good(id) && steps.iter().all(|&step| is_for_good(step));
            (resolution == Resolution::Alive && all && self.is_linked(id)).then_some((id, last))
        });
        moved.collect()
    }

    /// The requests for pages that took longest, longest first.
    pub fn slowest(&self, count: usize) -> Vec<(&Visit, Duration)> {
        let pages = self.visits().iter().filter(|visit| visit.page.is_some());
        let mut visits: Vec<_> =
            pages.map(|visit| (visit, visit.ended.saturating_sub(visit.started))).collect();
        visits.sort_by_key(|(_, took)| std::cmp::Reverse(*took));
        visits.truncate(count);
        visits
    }

    /// How many pages were refused or failed, by kind, most first.
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
    /// What the problem is known by, in each run and in every version: the URL, and what is wrong with it.
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

    /// What the system said, where the kind of failure does not say it all.
    pub fn detail(&self) -> Option<&str> {
        match self {
            // Unless it was somebody on the way.
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
