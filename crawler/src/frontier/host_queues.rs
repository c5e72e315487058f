//! A queue of waiting pages for each host, and when each host admits its next request. Pure: the caller
//! passes the time.
//!
//! Each host has a queue of its own, so a host that is slow, busy or paused delays no other. Two indexes over
//! all queues find the next page in constant time, however many hosts there are: `heads` holds the nearest
//! page of each host that admits a request now, `timers` the moment at which each host that is only waiting
//! for its delay will. Every change to a queue ends in [`HostQueues::refresh`], the one place that updates
//! both.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use selvedge::sync::Arc;

use super::page::{Distance, PageId};
use super::page_table::later;

/// A host's index: one scheme, name and port.
pub(crate) type HostId = u32;

#[derive(Debug, Default)]
pub(super) struct HostQueues {
    queues: Vec<HostQueue>,
    by_name: HashMap<Arc<str>, HostId>,
    /// The nearest page of each host that admits a request now.
    heads: BTreeSet<(Distance, PageId, HostId)>,
    /// When each host that is only waiting for its delay admits its next request.
    timers: BTreeSet<(Instant, HostId)>,
    waiting: usize,
}

#[derive(Debug)]
struct HostQueue {
    /// Nearest first; among equals, first found.
    ready: BTreeSet<(Distance, PageId)>,
    /// Pages that are not taken before a time of their own: retries.
    later: BTreeMap<(Instant, PageId), Distance>,
    /// Requests at a time.
    width: usize,
    /// The least time between the starts of two requests.
    delay: Duration,
    /// No request starts before this.
    opens: Option<Instant>,
    in_flight: usize,
    /// A worker holds a lease and has not started its request. The delay counts from that start, so until
    /// then the time of the next request is unknown.
    starting: bool,
    /// This queue's entries in `heads` and `timers`.
    head: Option<(Distance, PageId)>,
    timer: Option<Instant>,
}

impl HostQueues {
    /// The host of this name. A new one admits one request at a time until [`HostQueues::set`] changes it.
    pub(super) fn named(&mut self, name: &str) -> HostId {
        if let Some(&known) = self.by_name.get(name) {
            return known;
        }
        let id = self.queues.len() as HostId;
        self.by_name.insert(Arc::from(name), id);
        self.queues.push(HostQueue {
            ready: BTreeSet::new(),
            later: BTreeMap::new(),
            width: 1,
            delay: Duration::ZERO,
            opens: None,
            in_flight: 0,
            starting: false,
            head: None,
            timer: None,
        });
        id
    }

    pub(super) fn set(&mut self, id: HostId, width: usize, delay: Duration, was_asked: bool, now: Instant) {
        let host = &mut self.queues[id as usize];
        (host.width, host.delay) = (width, delay);
        if was_asked && !delay.is_zero() {
            host.opens = host.opens.max(Some(later(now, delay)));
        }
        self.refresh(id, now);
    }

    pub(super) fn pause(&mut self, id: HostId, until: Instant, now: Instant) {
        let host = &mut self.queues[id as usize];
        host.opens = host.opens.max(Some(until));
        self.refresh(id, now);
    }

    pub(super) fn insert(&mut self, id: HostId, page: PageId, distance: Distance, now: Instant) {
        if self.queues[id as usize].ready.insert((distance, page)) {
            self.waiting += 1;
        }
        self.refresh(id, now);
    }

    pub(super) fn insert_later(
        &mut self,
        id: HostId,
        page: PageId,
        distance: Distance,
        due: Instant,
        now: Instant,
    ) {
        self.queues[id as usize].later.insert((due, page), distance);
        self.waiting += 1;
        self.refresh(id, now);
    }

    /// Changes the distance of a waiting page. `due` is the time of its next attempt, if it waits for one.
    pub(super) fn come_nearer(
        &mut self,
        id: HostId,
        page: PageId,
        (from, to): (Distance, Distance),
        due: Option<Instant>,
        now: Instant,
    ) {
        let host = &mut self.queues[id as usize];
        if host.ready.remove(&(from, page)) {
            host.ready.insert((to, page));
        } else if let Some(due) = due
            && let Some(distance) = host.later.get_mut(&(due, page))
        {
            *distance = to;
        }
        self.refresh(id, now);
    }

    /// Takes the nearest page of all hosts that admit a request at `now`.
    pub(super) fn take(&mut self, now: Instant) -> Option<(PageId, HostId)> {
        self.ring(now);
        let (distance, page, id) = self.heads.first().copied()?;
        let host = &mut self.queues[id as usize];
        host.ready.remove(&(distance, page));
        host.in_flight += 1;
        host.starting = !host.delay.is_zero();
        self.waiting -= 1;
        self.refresh(id, now);
        Some((page, id))
    }

    /// Marks the start of a request: the delay counts from here.
    pub(super) fn begin(&mut self, id: HostId, now: Instant) {
        let host = &mut self.queues[id as usize];
        host.starting = false;
        host.opens = host.opens.max(Some(later(now, host.delay)));
        self.refresh(id, now);
    }

    /// Returns true if the host has a delay.
    pub(super) fn is_paced(&self, id: HostId) -> bool {
        !self.queues[id as usize].delay.is_zero()
    }

    /// Returns the permit of a lease; `begun` says whether its request had started.
    pub(super) fn release(&mut self, id: HostId, begun: bool, now: Instant) {
        let host = &mut self.queues[id as usize];
        host.in_flight -= 1;
        host.starting &= begun;
        self.refresh(id, now);
    }

    /// Returns the first time at which a host admits a request without any other event.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|&(at, _)| at)
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Refreshes the hosts whose timers have expired. Ends, because a host that was refreshed at `now` has
    /// its next timer later.
    fn ring(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.timers.first()
            && at <= now
        {
            self.refresh(id, now);
        }
    }

    fn refresh(&mut self, id: HostId, now: Instant) {
        let host = &mut self.queues[id as usize];
        while let Some(entry) = host.later.first_entry()
            && entry.key().0 <= now
        {
            let ((_, page), distance) = entry.remove_entry();
            host.ready.insert((distance, page));
        }
        let (head, timer) = host.outlook(now);
        if let Some((distance, page)) = host.head.filter(|_| host.head != head) {
            self.heads.remove(&(distance, page, id));
        }
        if let Some(at) = host.timer.filter(|_| host.timer != timer) {
            self.timers.remove(&(at, id));
        }
        (host.head, host.timer) = (head, timer);
        self.heads.extend(head.map(|(distance, page)| (distance, page, id)));
        self.timers.extend(timer.map(|at| (at, id)));
    }
}

impl HostQueue {
    /// Returns the page that can be taken now, and the next time at which that changes.
    fn outlook(&self, now: Instant) -> (Option<(Distance, PageId)>, Option<Instant>) {
        if self.in_flight >= self.width || self.starting {
            return (None, None);
        }
        let later = self.later.first_key_value().map(|(&(due, _), _)| due);
        match self.opens.filter(|&at| at > now) {
            Some(at) if self.ready.is_empty() => (None, later.map(|due| due.max(at))),
            Some(at) => (None, Some(at)),
            None => (self.ready.first().copied(), later),
        }
    }
}
