//! The state of a page, and the links to it.

use std::time::Instant;

use selvedge::sync::Arc;

use super::host_queues::HostId;

/// A page's index in the table. Each URL has one, in the order in which the URLs were found.
pub type PageId = u32;

/// A page's distance from the start: depth first, then redirects in a row. A redirect leads to the same
/// depth, since a reader need not click.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Distance {
    /// Links from the start.
    pub depth: u32,
    /// Redirects since the last of them.
    pub hops: u32,
}

/// How one page leads to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A link, which a reader clicks.
    Link,
    /// A redirect.
    Redirect,
}

/// Why a page was not fetched although its distance would have allowed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Skip {
    /// It is out of scope.
    OutOfScope,
    /// Its host's robots.txt disallows it.
    Robots,
    /// Its host's robots.txt could not be read, so its rules are unknown.
    RobotsUnreadable,
}

/// The state of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Found, and not fetched yet.
    Waiting,
    /// Leased to a worker. No page of a report is in this state.
    Out,
    /// Found, but too deep, or behind too many redirects.
    TooFar,
    /// Requested; the record has the outcome.
    Fetched,
    /// Not requested.
    Skipped(Skip),
}

/// The bounds of a crawl.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Links from the start.
    pub depth: u32,
    /// Redirects in a row.
    pub hops: u32,
    /// Pages fetched in all.
    pub pages: usize,
    /// URLs remembered in all.
    pub urls: usize,
    /// Links recorded in all.
    pub links: usize,
}

/// A link or a redirect that was found on a page.
#[derive(Clone, Debug)]
pub(crate) struct NewLink<'a> {
    /// The URL in its canonical spelling.
    pub url: &'a str,
    /// Its host, as [`origin`](crate::canonical::origin) spells it.
    pub host: &'a str,
    /// A link or a redirect.
    pub step: Step,
    /// The text of the link.
    pub label: &'a str,
    /// What is wanted of it. A page that was fetched for a lower rank is fetched again, once.
    pub rank: u8,
    /// The reason not to fetch it, if there is one.
    pub skip: Option<Skip>,
    /// If it was fetched before, it is fetched once more, since something has changed.
    pub again: bool,
}

/// A link or a redirect from one page to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The page that it leads to.
    pub to: PageId,
    /// Its text, as an index into the texts, or one of the two marks below.
    pub(super) label: u32,
}

/// One URL and its state.
#[derive(Clone, Debug)]
pub struct Entry<R> {
    /// The URL in its canonical spelling.
    pub url: Arc<str>,
    /// Its host.
    pub host: HostId,
    /// Its distance from the start.
    pub distance: Distance,
    /// Its state.
    pub state: State,
    /// What was wanted of it.
    pub rank: u8,
    /// The number of attempts that are to be repeated later.
    pub tries: u32,
    /// Its links, in the order of the page.
    pub leads_to: Vec<Edge>,
    /// The outcome.
    pub record: Option<R>,
    /// The time of the next attempt.
    pub(super) due: Option<Instant>,
    /// It is fetched once more after it is settled.
    pub(super) again: bool,
}

/// A page of an earlier crawl.
#[derive(Debug)]
pub(crate) struct Restored<'a, R> {
    /// The URL in its canonical spelling.
    pub url: &'a str,
    /// Its host, as [`origin`](crate::canonical::origin) spells it.
    pub host: &'a str,
    /// Its distance.
    pub distance: Distance,
    /// Its state.
    pub state: State,
    /// What was wanted of it.
    pub rank: u8,
    /// The outcome.
    pub record: Option<R>,
}

/// The progress of a crawl.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// URLs found.
    pub found: usize,
    /// Pages that wait for a worker.
    pub waiting: usize,
    /// Pages leased to workers.
    pub out: usize,
    /// Pages fetched.
    pub fetched: usize,
}

impl Edge {
    pub(super) const REDIRECT: u32 = u32::MAX;
    /// A link whose text did not fit.
    pub(super) const UNLABELLED: u32 = u32::MAX - 1;

    /// A link with the index of its text, or a redirect.
    pub fn new(to: PageId, label: Option<usize>) -> Self {
        Edge { to, label: label.map_or(Edge::REDIRECT, |label| label as u32) }
    }

    /// Returns the index of its text, if it has one.
    pub fn label(self) -> Option<usize> {
        (self.label < Edge::UNLABELLED).then_some(self.label as usize)
    }

    /// Returns whether it is a link or a redirect.
    pub fn step(self) -> Step {
        if self.label == Edge::REDIRECT { Step::Redirect } else { Step::Link }
    }
}

impl Distance {
    /// Returns the distance of a page that one at this distance leads to.
    pub fn after(self, step: Step) -> Distance {
        match step {
            Step::Link => Distance { depth: self.depth.saturating_add(1), hops: 0 },
            Step::Redirect => Distance { hops: self.hops.saturating_add(1), ..self },
        }
    }
}

impl Limits {
    pub(super) fn allow(&self, distance: Distance) -> bool {
        distance.depth <= self.depth && distance.hops <= self.hops
    }
}
