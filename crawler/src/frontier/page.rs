//! What is known of a page, and of the way to it.

use std::time::Instant;

use selvedge::sync::Arc;

use super::host_queues::HostId;

/// A page's place in the table; given out once per URL, in the order in which they are found.
pub type PageId = u32;

/// How far a page is from the start: by depth first, then by redirects in a row. A redirect leads to the
/// same depth, since nobody had to click.
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
    /// Somebody has to click.
    Link,
    /// Nobody has to.
    Redirect,
}

/// Why a page was not fetched although its distance would have allowed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Skip {
    /// The scope leaves it out.
    OutOfScope,
    /// Its host's robots.txt says no.
    Robots,
    /// Its host has a robots.txt that could not be read, so nobody knows what it says.
    RobotsUnreadable,
}

/// Where a page stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Found, and not fetched yet.
    Waiting,
    /// A worker has it. No page of a report is.
    Out,
    /// Found, but too deep, or behind too many redirects.
    TooFar,
    /// Asked for, whatever came of it.
    Fetched,
    /// Not asked for.
    Skipped(Skip),
}

/// How far, and how much.
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

/// What a page leads to.
#[derive(Clone, Debug)]
pub(crate) struct NewLink<'a> {
    /// The URL in its one spelling.
    pub url: &'a str,
    /// Its host, as [`origin`](crate::canonical::origin) spells it.
    pub host: &'a str,
    /// How.
    pub step: Step,
    /// What is written on the link.
    pub label: &'a str,
    /// How much is wanted of it: a page that was fetched for less is fetched again, once.
    pub rank: u8,
    /// Why it is not to be fetched, if it is not.
    pub skip: Option<Skip>,
    /// It is to be fetched once more, if it was: something has changed since.
    pub again: bool,
}

/// One way from a page to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Where it leads.
    pub to: PageId,
    /// What is written on it, as an index into the texts, or one of the two marks below.
    pub(super) label: u32,
}

/// One URL, and all that is known about it.
#[derive(Clone, Debug)]
pub struct Entry<R> {
    /// The URL in its one spelling.
    pub url: Arc<str>,
    /// Its host.
    pub host: HostId,
    /// How far it is from the start.
    pub distance: Distance,
    /// Where it stands.
    pub state: State,
    /// How much was wanted of it.
    pub rank: u8,
    /// How often it was tried and put off.
    pub tries: u32,
    /// Where it leads, in the order of the page.
    pub leads_to: Vec<Edge>,
    /// What came of it.
    pub record: Option<R>,
    /// When to try it again.
    pub(super) due: Option<Instant>,
    /// It is to be fetched once more when it is settled.
    pub(super) again: bool,
}

/// A page of an earlier crawl.
#[derive(Debug)]
pub(crate) struct Restored<'a, R> {
    /// The URL in its one spelling.
    pub url: &'a str,
    /// Its host, as [`origin`](crate::canonical::origin) spells it.
    pub host: &'a str,
    /// How far it was.
    pub distance: Distance,
    /// Where it stood.
    pub state: State,
    /// How much was wanted of it.
    pub rank: u8,
    /// What came of it.
    pub record: Option<R>,
}

/// How far a crawl is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// URLs that are known.
    pub found: usize,
    /// Pages that wait to be fetched.
    pub waiting: usize,
    /// Pages that a worker has.
    pub out: usize,
    /// Pages that were fetched.
    pub fetched: usize,
}

impl Edge {
    pub(super) const REDIRECT: u32 = u32::MAX;
    /// Its text did not fit.
    pub(super) const UNLABELLED: u32 = u32::MAX - 1;

    /// A link with its place in the table of texts; without, a redirect.
    pub fn new(to: PageId, label: Option<usize>) -> Self {
        Edge { to, label: label.map_or(Edge::REDIRECT, |label| label as u32) }
    }

    /// What is written on it, as a place in the table of texts; `None` if nothing is.
    pub fn label(self) -> Option<usize> {
        (self.label < Edge::UNLABELLED).then_some(self.label as usize)
    }

    /// How it leads there.
    pub fn step(self) -> Step {
        if self.label == Edge::REDIRECT { Step::Redirect } else { Step::Link }
    }
}

impl Distance {
    /// The distance of what a page leads to.
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
