//! What a crawl found, and the questions that one asks of it.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

use url::Url;

use crate::fetch::{Failure, Outcome};
use crate::frontier::{Page, PageId, Skip, State, Step};

/// Everything that a crawl saw. Times count from its beginning.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) pages: Vec<Page>,
    /// What became of each page in `pages`; `None` if it was not fetched.
    pub(crate) outcomes: Vec<Option<Outcome>>,
    /// Every request, in the order in which they ended, robots.txt included.
    pub(crate) visits: Vec<Visit>,
    /// Links that are no URL: the page, and what is written there.
    pub(crate) broken: Vec<(PageId, String)>,
    /// Links to `mailto:` and the like.
    pub(crate) not_http: Vec<String>,
    /// Pages waiting and requests in flight, whenever they changed.
    pub(crate) samples: Vec<Sample>,
    pub(crate) took: Duration,
    pub(crate) ended: Ended,
    /// Requests that were still in flight when the crawl was stopped.
    pub(crate) cut_off: usize,
    pub(crate) workers: usize,
    pub(crate) per_host: usize,
}

/// One request of one worker.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) url: Url,
    /// `None` for a robots.txt.
    pub(crate) page: Option<PageId>,
    pub(crate) worker: usize,
    pub(crate) taken: Duration,
    /// `None` if the crawl was stopped while it waited at the host's gate.
    pub(crate) started: Option<Duration>,
    pub(crate) ended: Duration,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) at: Duration,
    pub(crate) waiting: usize,
    pub(crate) in_flight: usize,
}

/// How the crawl came to its end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ended {
    /// Nothing was left.
    Complete,
    /// The time that the user gave ran out.
    OutOfTime,
    /// Somebody cancelled it, for this reason.
    Cancelled(String),
}

/// Where a link gets you in the end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fate {
    Alive,
    Dead(Death),
    /// Nobody looked: skipped, out of scope, or the crawl was cut short.
    Unknown,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Death {
    Status(u16),
    Failed(Failure),
    /// Its redirects lead back to where they came from.
    Loop,
    TooManyRedirects,
    NotAUrl,
}

/// A URL that gets nobody anywhere, and who links to it.
#[derive(Debug)]
pub(crate) struct DeadLink {
    pub(crate) url: String,
    /// The redirects in between.
    pub(crate) via: Vec<Url>,
    pub(crate) death: Death,
    /// Empty for the page that the crawl began at.
    pub(crate) linked_from: Vec<Url>,
}

impl Report {
    /// Follows the redirects from `id`: the pages after it, and what it comes to.
    pub(crate) fn fate(&self, id: PageId) -> (Vec<PageId>, Fate) {
        let (mut here, mut seen, mut via) = (id, HashSet::from([id]), Vec::new());
        loop {
            let fate = match &self.outcomes[here] {
                Some(Outcome::Page { .. } | Outcome::Other { .. } | Outcome::TooLarge { .. }) => Fate::Alive,
                Some(Outcome::Refused { status }) => Fate::Dead(Death::Status(*status)),
                Some(Outcome::Failed(failure)) => Fate::Dead(Death::Failed(failure.clone())),
                Some(Outcome::Redirect { .. }) => match self.redirect(here) {
                    Some(next) => {
                        via.push(next);
                        here = next;
                        if seen.insert(next) {
                            continue;
                        }
                        Fate::Dead(Death::Loop)
                    }
                    None => Fate::Unknown,
                },
                None if here != id && self.pages[here].state == State::TooFar => {
                    Fate::Dead(Death::TooManyRedirects)
                }
                Some(Outcome::Stopped) | None => Fate::Unknown,
            };
            return (via, fate);
        }
    }

    fn redirect(&self, id: PageId) -> Option<PageId> {
        self.pages[id].leads_to.iter().find(|(step, _)| *step == Step::Redirect).map(|&(_, to)| to)
    }

    /// Every link that is dead: as written on a page, so that its owner can find and mend it. The page at the
    /// end of a redirect is not listed for itself unless something links to it.
    pub(crate) fn dead_links(&self) -> Vec<DeadLink> {
        let urls = |ids: &[PageId]| ids.iter().map(|&id| self.pages[id].url.clone()).collect::<Vec<_>>();
        let mut dead = Vec::new();
        for (id, page) in self.pages.iter().enumerate() {
            if let (via, Fate::Dead(death)) = self.fate(id)
                && (id == 0 || !page.linked_from.is_empty())
            {
                let linked_from = urls(&page.linked_from);
                dead.push(DeadLink { url: page.url.to_string(), via: urls(&via), death, linked_from });
            }
        }
        let mut broken: BTreeMap<&str, Vec<PageId>> = BTreeMap::new();
        for (page, text) in &self.broken {
            broken.entry(text).or_default().push(*page);
        }
        dead.extend(broken.into_iter().map(|(text, pages)| DeadLink {
            url: text.to_owned(),
            via: Vec::new(),
            death: Death::NotAUrl,
            linked_from: urls(&pages),
        }));
        dead
    }

    /// How many links are dead. A start that is dead counts as one.
    pub(crate) fn dead_count(&self) -> usize {
        self.dead_links().iter().map(|link| link.linked_from.len().max(1)).sum()
    }

    /// The redirects that start a chain, with the pages they go through and what they come to.
    pub(crate) fn redirects(&self) -> Vec<(PageId, Vec<PageId>, Fate)> {
        let starts = |id: &PageId| *id == 0 || !self.pages[*id].linked_from.is_empty();
        let redirects = |id: &PageId| matches!(self.outcomes[*id], Some(Outcome::Redirect { .. }));
        let starts = (0..self.pages.len()).filter(redirects).filter(starts);
        starts.map(|id| (id, self.fate(id))).map(|(id, (via, fate))| (id, via, fate)).collect()
    }

    /// The requests for pages that took longest, longest first, without the wait for the host's gate.
    pub(crate) fn slowest(&self, count: usize) -> Vec<(&Visit, Duration)> {
        let pages = self.visits.iter().filter(|visit| visit.page.is_some());
        let mut visits: Vec<_> =
            pages.filter_map(|visit| Some((visit, visit.ended - visit.started?))).collect();
        visits.sort_by_key(|(_, took)| std::cmp::Reverse(*took));
        visits.truncate(count);
        visits
    }

    /// How many requests failed, by kind, most first.
    pub(crate) fn errors(&self) -> Vec<(String, usize)> {
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        for outcome in self.outcomes.iter().flatten() {
            let kind = match outcome {
                Outcome::Refused { status } => Death::Status(*status).to_string(),
                Outcome::Failed(failure) => failure.kind.to_owned(),
                _ => continue,
            };
            *kinds.entry(kind).or_default() += 1;
        }
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        kinds
    }

    /// Pages for which a request was answered, or failed.
    pub(crate) fn fetched(&self) -> usize {
        self.outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Some(o) if !matches!(o, Outcome::Stopped)))
            .count()
    }

    pub(crate) fn bytes(&self) -> u64 {
        let bytes = |outcome: &Outcome| if let Outcome::Page { bytes, .. } = outcome { *bytes } else { 0 };
        self.outcomes.iter().flatten().map(bytes).sum()
    }

    /// The pages in this state.
    pub(crate) fn in_state(&self, state: State) -> impl Iterator<Item = &Page> {
        self.pages.iter().filter(move |page| page.state == state)
    }

    pub(crate) fn skipped(&self, why: Skip) -> impl Iterator<Item = &Page> {
        self.in_state(State::Skipped(why))
    }

    /// True if nothing that the crawl should have fetched was left out.
    pub(crate) fn is_whole(&self) -> bool {
        self.ended == Ended::Complete && self.in_state(State::Waiting).next().is_none()
    }
}

impl Death {
    /// What the system said, where the kind of failure does not say it all.
    pub(crate) fn detail(&self) -> Option<&str> {
        match self {
            Death::Failed(failure) if !matches!(failure.kind, "timed out" | "connection refused") => {
                Some(&failure.detail)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Death::Status(status) => {
                let reason =
                    ureq::http::StatusCode::from_u16(*status).ok().and_then(|code| code.canonical_reason());
                write!(f, "{status} {}", reason.unwrap_or("unheard of"))
            }
            Death::Failed(failure) => f.write_str(failure.kind),
            Death::Loop => f.write_str("redirect loop"),
            Death::TooManyRedirects => f.write_str("too many redirects"),
            Death::NotAUrl => f.write_str("not a URL"),
        }
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
