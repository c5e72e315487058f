//! Which page next, how far it is from the start, and when there is nothing left.
//!
//! One thread owns this, so there is no lock and no race: who finds a page, who fetches it and whether that
//! was the last one are decided in one place. A page moves along
//!
//! | state | means | leaves it by |
//! |---|---|---|
//! | `Waiting` | found, within the limits | [`take`](Frontier::take) |
//! | `Out` | somebody has it | [`finish`](Frontier::finish), [`skip`](Frontier::skip), `put_back` |
//! | `TooFar` | found, but too deep or behind too many redirects | a shorter way to it |
//! | `Fetched`, `Skipped` | settled | never |
//!
//! 1. Every URL has one page, and a page is `Fetched` once.
//! 2. The crawl is over when no page is `Out` and none can be taken: only a page that is out can find others.
//! 3. When it is over, every page's distance is the shortest over all links that were seen.
//!
//! The third is not free. Pages are taken nearest first, but a slow page may report its links after a fast
//! page has led to the same target by a longer way. A barrier between the levels would be exact and would
//! have every worker wait for the slowest page of each level. Instead a shorter way, when it turns up,
//! corrects the target and everything found behind it.

use std::collections::{BTreeSet, HashMap, VecDeque};

use url::Url;

/// A page's place in the table; given out once per URL.
pub(crate) type PageId = usize;

/// A host's place in the table: one scheme, name and port. Its pages wait in a lane of their own, so that one
/// host that is slow or busy does not stand in the way of the others.
pub(crate) type HostId = usize;

/// How far a page is from the start: by depth first, then by redirects in a row. A redirect leads to the
/// same depth, since nobody had to click.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Distance {
    pub(crate) depth: u32,
    pub(crate) hops: u32,
}

/// How one page leads to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Link,
    Redirect,
}

/// Why a page was not fetched although it could have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Skip {
    OutOfScope,
    Robots,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Waiting,
    Out,
    TooFar,
    Fetched,
    Skipped(Skip),
}

/// One URL, and all that is known about the way to it.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) url: Url,
    pub(crate) host: HostId,
    pub(crate) distance: Distance,
    pub(crate) state: State,
    /// Where it leads, in the order of the page.
    pub(crate) leads_to: Vec<(Step, PageId)>,
    /// The pages with a link to it.
    pub(crate) linked_from: Vec<PageId>,
}

/// How far, and how much.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) depth: u32,
    /// Redirects in a row.
    pub(crate) hops: u32,
    /// Pages fetched in all.
    pub(crate) pages: usize,
}

#[derive(Debug)]
pub(crate) struct Frontier {
    limits: Limits,
    pages: Vec<Page>,
    by_url: HashMap<Url, PageId>,
    hosts: HashMap<String, HostId>,
    /// The pages of each host in state `Waiting`, nearest first; among equals, first found.
    lanes: Vec<BTreeSet<(Distance, PageId)>>,
    out: usize,
    fetched: usize,
}

impl Distance {
    const START: Distance = Distance { depth: 0, hops: 0 };

    fn after(self, step: Step) -> Distance {
        match step {
            Step::Link => Distance { depth: self.depth + 1, hops: 0 },
            Step::Redirect => Distance { hops: self.hops + 1, ..self },
        }
    }
}

impl Frontier {
    /// Begins at `start`, which is page 0.
    pub(crate) fn new(start: Url, limits: Limits) -> Self {
        let mut frontier = Frontier {
            limits,
            pages: Vec::new(),
            by_url: HashMap::new(),
            hosts: HashMap::new(),
            lanes: Vec::new(),
            out: 0,
            fetched: 0,
        };
        frontier.add(start, Distance::START, true);
        frontier
    }

    /// Notes that `from` leads to `url`. A page that is new and in scope will be fetched; one that is known
    /// may turn out to be nearer.
    pub(crate) fn lead(&mut self, from: PageId, step: Step, url: Url, in_scope: bool) -> PageId {
        let distance = self.pages[from].distance.after(step);
        let to = match self.by_url.get(&url) {
            Some(&known) => known,
            None => self.add(url, distance, in_scope),
        };
        self.pages[from].leads_to.push((step, to));
        if step == Step::Link {
            self.pages[to].linked_from.push(from);
        }
        self.come_nearer(to, distance);
        to
    }

    fn add(&mut self, url: Url, distance: Distance, in_scope: bool) -> PageId {
        let (id, new) = (self.pages.len(), self.lanes.len());
        let host = *self.hosts.entry(url.origin().ascii_serialization()).or_insert(new);
        self.lanes.resize_with(self.hosts.len(), BTreeSet::new);
        let state = match in_scope {
            false => State::Skipped(Skip::OutOfScope),
            true if self.limits.allow(distance) => State::Waiting,
            true => State::TooFar,
        };
        if state == State::Waiting {
            self.lanes[host].insert((distance, id));
        }
        self.by_url.insert(url.clone(), id);
        self.pages.push(Page { url, host, distance, state, leads_to: Vec::new(), linked_from: Vec::new() });
        id
    }

    /// Passes a shorter distance on to everything behind `id`. Ends because distances only shrink; first in,
    /// first out keeps that polynomial where last in, first out would not be.
    fn come_nearer(&mut self, id: PageId, distance: Distance) {
        let mut news = VecDeque::from([(id, distance)]);
        while let Some((id, distance)) = news.pop_front() {
            let page = &mut self.pages[id];
            if distance >= page.distance {
                continue;
            }
            if page.state == State::Waiting {
                self.lanes[page.host].remove(&(page.distance, id));
                self.lanes[page.host].insert((distance, id));
            } else if page.state == State::TooFar && self.limits.allow(distance) {
                page.state = State::Waiting;
                self.lanes[page.host].insert((distance, id));
            }
            page.distance = distance;
            news.extend(page.leads_to.iter().map(|&(step, to)| (to, distance.after(step))));
        }
    }

    /// Takes the nearest page of those hosts that have room, if one may be fetched now.
    pub(crate) fn take(&mut self, has_room: impl Fn(HostId) -> bool) -> Option<PageId> {
        if self.fetched + self.out >= self.limits.pages {
            return None;
        }
        let lanes = self.lanes.iter().enumerate().filter(|&(host, _)| has_room(host));
        let nearest = lanes.filter_map(|(host, lane)| Some((lane.first()?, host))).min();
        let (&(_, id), host) = nearest?;
        self.lanes[host].pop_first();
        self.pages[id].state = State::Out;
        self.out += 1;
        Some(id)
    }

    /// Gives back a page that was taken and not fetched after all.
    pub(crate) fn put_back(&mut self, id: PageId) {
        self.leave(id, State::Waiting);
        let page = &self.pages[id];
        self.lanes[page.host].insert((page.distance, id));
    }

    /// Settles a page that was fetched, whatever came of it.
    pub(crate) fn finish(&mut self, id: PageId) {
        self.leave(id, State::Fetched);
        self.fetched += 1;
    }

    /// Settles a page that may not be fetched. It does not count as one of the pages in the limit.
    pub(crate) fn skip(&mut self, id: PageId, why: Skip) {
        self.leave(id, State::Skipped(why));
    }

    fn leave(&mut self, id: PageId, state: State) {
        assert_eq!(self.pages[id].state, State::Out, "{} was settled twice", self.pages[id].url);
        self.pages[id].state = state;
        self.out -= 1;
    }

    /// True if nobody has a page and there is none to take: see the second invariant.
    pub(crate) fn is_finished(&self) -> bool {
        self.out == 0 && (self.waiting() == 0 || self.fetched >= self.limits.pages)
    }

    pub(crate) fn page(&self, id: PageId) -> &Page {
        &self.pages[id]
    }

    /// Pages that wait to be taken.
    pub(crate) fn waiting(&self) -> usize {
        self.lanes.iter().map(BTreeSet::len).sum()
    }

    /// Pages that were fetched.
    pub(crate) fn fetched(&self) -> usize {
        self.fetched
    }

    pub(crate) fn into_pages(self) -> Vec<Page> {
        self.pages
    }
}

impl Limits {
    fn allow(&self, distance: Distance) -> bool {
        distance.depth <= self.depth && distance.hops <= self.hops
    }
}

#[cfg(test)]
#[path = "frontier_tests.rs"]
mod tests;
