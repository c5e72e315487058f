//! The table of pages: each once, taken nearest first, at its shortest distance. Pure: no threads, no locks,
//! no clock.
//!
//! | state | meaning | left by |
//! |---|---|---|
//! | `Waiting` | found, within the limits | being taken |
//! | `Out` | leased to a worker | being finished, skipped or put back |
//! | `TooFar` | found, but too deep or behind too many redirects | a shorter way to it |
//! | `Fetched` | settled | a link of a higher rank |
//! | `Skipped` | settled | a link that is not to be skipped |
//!
//! 1. Every URL has one page, and a page is fetched once for each rank that was wanted of it.
//! 2. The crawl is over when no page is `Out` and none waits, since only a page that is `Out` finds others.
//! 3. At the end, every page's distance is the shortest over all recorded links.
//!
//! The third has a price. Pages are taken nearest first, but a slow page may report its links after a fast
//! page has led to the same target by a longer way. A barrier between levels would be exact, but every worker
//! would wait for the slowest page of each level. Instead, a shorter way corrects the target, and everything
//! found behind it, when it is found.
//!
//! [`Limits`] bound the memory: a new URL beyond `urls` is refused and counted, and a link beyond `links` is
//! followed and counted, but not recorded.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use selvedge::sync::Arc;

use super::host_queues::HostQueues;
use super::interner::Interner;
use super::page::{Counts, Distance, Edge, Entry, Limits, NewLink, PageId, Restored, Skip, State, Step};

/// The table of all pages. See the module.
#[derive(Debug)]
pub(crate) struct PageTable<R> {
    limits: Limits,
    entries: Vec<Entry<R>>,
    by_url: HashMap<Arc<str>, PageId>,
    pub(super) queues: HostQueues,
    texts: Interner,
    out: usize,
    fetched: usize,
    links: usize,
    refused: u64,
    unrecorded: u64,
}

impl<R> PageTable<R> {
    pub(super) fn new(limits: Limits) -> Self {
        PageTable {
            limits,
            entries: Vec::new(),
            by_url: HashMap::new(),
            queues: HostQueues::default(),
            texts: Interner::default(),
            out: 0,
            fetched: 0,
            links: 0,
            refused: 0,
            unrecorded: 0,
        }
    }

    /// Adds a start. `None` if the table is full.
    pub(super) fn seed(&mut self, link: &NewLink<'_>, now: Instant) -> Option<PageId> {
        self.arrive(link, Distance::default(), now)
    }

    /// Adds a link of `from`. A new target waits to be fetched; a known one may become nearer, or be wanted
    /// for a higher rank. `None` if it is new and the table is full.
    pub(super) fn add_link(&mut self, from: PageId, link: &NewLink<'_>, now: Instant) -> Option<PageId> {
        let distance = self.entries[from as usize].distance.after(link.step);
        let to = self.arrive(link, distance, now)?;
        if self.links < self.limits.links {
            self.links += 1;
            let label = match link.step {
                Step::Link => self.texts.of(link.label),
                Step::Redirect => Edge::REDIRECT,
            };
            self.entries[from as usize].leads_to.push(Edge { to, label });
        } else {
            self.unrecorded += 1;
        }
        Some(to)
    }

    fn arrive(&mut self, link: &NewLink<'_>, distance: Distance, now: Instant) -> Option<PageId> {
        let Some(&known) = self.by_url.get(link.url) else { return self.add(link, distance, now) };
        self.want(known, link, now);
        self.come_nearer(known, distance, now);
        Some(known)
    }

    fn add(&mut self, link: &NewLink<'_>, distance: Distance, now: Instant) -> Option<PageId> {
        if self.entries.len() >= self.limits.urls {
            self.refused += 1;
            return None;
        }
        let id = self.entries.len() as PageId;
        let state = match link.skip {
            Some(why) => State::Skipped(why),
            None if self.limits.allow(distance) => State::Waiting,
            None => State::TooFar,
        };
        let (url, host) = (Arc::<str>::from(link.url), self.queues.named(link.host));
        self.by_url.insert(Arc::clone(&url), id);
        self.entries.push(Entry {
            url,
            host,
            distance,
            state,
            rank: link.rank,
            tries: 0,
            leads_to: Vec::new(),
            record: None,
            due: None,
            again: false,
        });
        if state == State::Waiting {
            self.queues.insert(host, id, distance, now);
        }
        Some(id)
    }

    /// Applies a further link to a known page: it may want a higher rank, or a page that was skipped.
    fn want(&mut self, id: PageId, link: &NewLink<'_>, now: Instant) {
        let entry = &mut self.entries[id as usize];
        let more = link.rank > entry.rank;
        entry.rank = entry.rank.max(link.rank);
        let (host, distance) = (entry.host, entry.distance);
        match entry.state {
            State::Skipped(Skip::OutOfScope) if link.skip.is_none() => {}
            State::Fetched if (more || link.again) && link.skip.is_none() => self.fetched -= 1,
            State::Out => {
                entry.again |= link.again;
                return;
            }
            _ => return,
        }
        entry.state = if self.limits.allow(distance) { State::Waiting } else { State::TooFar };
        if entry.state == State::Waiting {
            self.queues.insert(host, id, distance, now);
        }
    }

    /// Applies a shorter distance to `id` and to everything behind it. Ends because distances only shrink.
    /// First in, first out keeps this polynomial, which last in, first out would not.
    fn come_nearer(&mut self, id: PageId, distance: Distance, now: Instant) {
        if distance >= self.entries[id as usize].distance {
            return;
        }
        let mut news = VecDeque::from([(id, distance)]);
        while let Some((id, distance)) = news.pop_front() {
            let entry = &mut self.entries[id as usize];
            if distance >= entry.distance {
                continue;
            }
            if entry.state == State::Waiting {
                self.queues.come_nearer(entry.host, id, (entry.distance, distance), entry.due, now);
            } else if entry.state == State::TooFar && self.limits.allow(distance) {
                entry.state = State::Waiting;
                self.queues.insert(entry.host, id, distance, now);
            }
            entry.distance = distance;
            news.extend(entry.leads_to.iter().map(|edge| (edge.to, distance.after(edge.step()))));
        }
    }

    /// Takes the nearest page of the hosts that admit a request, if the limit of pages allows another.
    pub(super) fn take(&mut self, now: Instant) -> Option<PageId> {
        if self.is_full() {
            return None;
        }
        let (id, _) = self.queues.take(now)?;
        let entry = &mut self.entries[id as usize];
        entry.state = State::Out;
        self.out += 1;
        Some(id)
    }

    /// Returns the time at which a page can be taken without any other event.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        if self.is_full() { None } else { self.queues.next_timer() }
    }

    fn is_full(&self) -> bool {
        self.fetched + self.out >= self.limits.pages
    }

    /// Returns true if no page is leased and none can be taken, now or later: invariant 2.
    pub(super) fn is_over(&self) -> bool {
        self.out == 0 && (self.queues.waiting() == 0 || self.fetched >= self.limits.pages)
    }

    /// Returns a page that was taken and not fetched. It cannot be taken before `due`.
    pub(super) fn put_back(&mut self, id: PageId, due: Option<Instant>, now: Instant) {
        self.leave(id, State::Waiting);
        let entry = &mut self.entries[id as usize];
        entry.due = due;
        let (host, distance) = (entry.host, entry.distance);
        match due.filter(|&due| due > now) {
            Some(due) => {
                entry.tries += 1;
                self.queues.insert_later(host, id, distance, due, now);
            }
            None => self.queues.insert(host, id, distance, now),
        }
    }

    /// Raises the rank of a leased page.
    pub(super) fn raise(&mut self, id: PageId, rank: u8) {
        let entry = &mut self.entries[id as usize];
        entry.rank = entry.rank.max(rank);
    }

    /// Settles a page that was fetched for `rank`. Returns its earlier record.
    pub(super) fn finish(&mut self, id: PageId, rank: u8, record: R, now: Instant) -> Option<R> {
        self.leave(id, State::Fetched);
        self.fetched += 1;
        let entry = &mut self.entries[id as usize];
        let before = entry.record.replace(record);
        // A link that was found meanwhile wants a higher rank, or wants it once more.
        if std::mem::take(&mut entry.again) || entry.rank > rank {
            self.fetched -= 1;
            entry.state = State::Waiting;
            let (host, distance) = (entry.host, entry.distance);
            self.queues.insert(host, id, distance, now);
        }
        before
    }

    /// Settles a page that must not be fetched. It does not count towards the limit of pages.
    pub(super) fn skip(&mut self, id: PageId, why: Skip) {
        self.leave(id, State::Skipped(why));
    }

    fn leave(&mut self, id: PageId, state: State) {
        let entry = &mut self.entries[id as usize];
        assert_eq!(entry.state, State::Out, "{} was settled twice", entry.url);
        entry.state = state;
        self.out -= 1;
    }

    /// Drops the links of a page that is fetched once more.
    pub(super) fn forget_links(&mut self, id: PageId) {
        self.links -= self.entries[id as usize].leads_to.len();
        self.entries[id as usize].leads_to.clear();
    }

    pub(super) fn trim(&mut self, id: PageId) {
        self.entries[id as usize].leads_to.shrink_to_fit();
    }

    /// Returns the page with this index.
    pub(crate) fn entry(&self, id: PageId) -> &Entry<R> {
        &self.entries[id as usize]
    }

    /// Returns all pages, in the order in which they were found.
    pub(crate) fn entries(&self) -> &[Entry<R>] {
        &self.entries
    }

    /// Returns the texts of links, which [`Edge::label`] indexes.
    pub(crate) fn texts(&self) -> &[Arc<str>] {
        &self.texts.texts
    }

    /// Returns all pages and the texts of links.
    pub(crate) fn into_parts(self) -> (Vec<Entry<R>>, Vec<Arc<str>>) {
        (self.entries, self.texts.texts)
    }

    /// Returns the number of links to URLs that were refused.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    /// Returns the number of links that were followed and not recorded.
    pub(crate) fn unrecorded(&self) -> u64 {
        self.unrecorded
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            found: self.entries.len(),
            waiting: self.queues.waiting(),
            out: self.out,
            fetched: self.fetched,
        }
    }

    /// Adds a page as an earlier crawl left it. A page that was leased then waits.
    pub(super) fn restore(&mut self, page: Restored<'_, R>, now: Instant) -> PageId {
        let id = self.entries.len() as PageId;
        let (url, host) = (Arc::<str>::from(page.url), self.queues.named(page.host));
        let state = match page.state {
            State::Out | State::Waiting | State::TooFar if self.limits.allow(page.distance) => State::Waiting,
            State::Out | State::Waiting => State::TooFar,
            other => other,
        };
        match state {
            State::Waiting => self.queues.insert(host, id, page.distance, now),
            State::Fetched => self.fetched += 1,
            _ => {}
        }
        self.by_url.insert(Arc::clone(&url), id);
        self.entries.push(Entry {
            url,
            host,
            distance: page.distance,
            state,
            rank: page.rank,
            tries: 0,
            leads_to: Vec::new(),
            record: page.record,
            due: None,
            again: false,
        });
        id
    }

    pub(super) fn restore_link(&mut self, from: PageId, to: PageId, step: Step, label: &str) {
        let label = if step == Step::Redirect { Edge::REDIRECT } else { self.texts.of(label) };
        self.links += 1;
        self.entries[from as usize].leads_to.push(Edge { to, label });
    }
}

/// Returns the time `wait` from now, or one in 68 years if that is out of range.
pub(super) fn later(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait).unwrap_or(now + Duration::from_secs(1 << 31))
}
