//! The lines of waiting pages, one for each host, and which of them is open when. Pure: the time is handed
//! in.
//!
//! Pages of one host wait in a lane of their own, so that a host that is slow, busy or paused stands in
//! nobody else's way. Two indexes over all lanes make the next page a look at their fronts, however many
//! hosts there are: `heads` has the nearest page of each lane that would let one out now, `timers` the moment
//! at which each lane that only waits for the time would. Every change of a lane ends in [`Lanes::refresh`],
//! which is the one place where both are brought up to date.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use selvedge::sync::Arc;

use super::ledger::later;
use super::page::{Distance, PageId};

/// A host's place in the table: one scheme, name and port.
pub(crate) type LaneId = u32;

#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: Vec<Lane>,
    by_name: HashMap<Arc<str>, LaneId>,
    /// The nearest page of each lane that lets one out now.
    heads: BTreeSet<(Distance, PageId, LaneId)>,
    /// When to look again at a lane that only waits for the time.
    timers: BTreeSet<(Instant, LaneId)>,
    waiting: usize,
}

#[derive(Debug)]
struct Lane {
    /// Nearest first; among equals, first found.
    ready: BTreeSet<(Distance, PageId)>,
    /// Pages that may not be taken before a moment of their own.
    later: BTreeMap<(Instant, PageId), Distance>,
    /// Requests at a time.
    width: usize,
    /// Between the beginnings of two requests.
    delay: Duration,
    /// Nothing begins before this.
    opens: Option<Instant>,
    in_flight: usize,
    /// Somebody has a page and has not begun its request: the delay counts from when they do, so until then
    /// nobody knows when the next may begin.
    starting: bool,
    /// What `heads` and `timers` have of this lane.
    head: Option<(Distance, PageId)>,
    timer: Option<Instant>,
}

impl Lanes {
    /// The lane of this name; a new one lets out one page at a time until [`Lanes::set`] says otherwise.
    pub(super) fn named(&mut self, name: &str) -> LaneId {
        if let Some(&known) = self.by_name.get(name) {
            return known;
        }
        let id = self.lanes.len() as LaneId;
        self.by_name.insert(Arc::from(name), id);
        self.lanes.push(Lane {
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

    pub(super) fn set(&mut self, id: LaneId, width: usize, delay: Duration, was_asked: bool, now: Instant) {
        let lane = &mut self.lanes[id as usize];
        (lane.width, lane.delay) = (width, delay);
        if was_asked && !delay.is_zero() {
            lane.opens = lane.opens.max(Some(later(now, delay)));
        }
        self.refresh(id, now);
    }

    pub(super) fn pause(&mut self, id: LaneId, until: Instant, now: Instant) {
        let lane = &mut self.lanes[id as usize];
        lane.opens = lane.opens.max(Some(until));
        self.refresh(id, now);
    }

    pub(super) fn insert(&mut self, id: LaneId, page: PageId, distance: Distance, now: Instant) {
        if self.lanes[id as usize].ready.insert((distance, page)) {
            self.waiting += 1;
        }
        self.refresh(id, now);
    }

    pub(super) fn insert_later(
        &mut self,
        id: LaneId,
        page: PageId,
        distance: Distance,
        due: Instant,
        now: Instant,
    ) {
        self.lanes[id as usize].later.insert((due, page), distance);
        self.waiting += 1;
        self.refresh(id, now);
    }

    /// Moves a waiting page to another distance. `due` is when it was to be tried again, if it was.
    pub(super) fn come_nearer(
        &mut self,
        id: LaneId,
        page: PageId,
        (from, to): (Distance, Distance),
        due: Option<Instant>,
        now: Instant,
    ) {
        let lane = &mut self.lanes[id as usize];
        if lane.ready.remove(&(from, page)) {
            lane.ready.insert((to, page));
        } else if let Some(due) = due
            && let Some(distance) = lane.later.get_mut(&(due, page))
        {
            *distance = to;
        }
        self.refresh(id, now);
    }

    /// Takes the nearest page of all lanes that let one out at `now`.
    pub(super) fn take(&mut self, now: Instant) -> Option<(PageId, LaneId)> {
        self.ring(now);
        let (distance, page, id) = self.heads.first().copied()?;
        let lane = &mut self.lanes[id as usize];
        lane.ready.remove(&(distance, page));
        lane.in_flight += 1;
        lane.starting = !lane.delay.is_zero();
        self.waiting -= 1;
        self.refresh(id, now);
        Some((page, id))
    }

    /// The request of a page that was taken begins: the delay counts from here.
    pub(super) fn begin(&mut self, id: LaneId, now: Instant) {
        let lane = &mut self.lanes[id as usize];
        lane.starting = false;
        lane.opens = lane.opens.max(Some(later(now, lane.delay)));
        self.refresh(id, now);
    }

    /// True if its requests are to begin a delay apart.
    pub(super) fn is_paced(&self, id: LaneId) -> bool {
        !self.lanes[id as usize].delay.is_zero()
    }

    /// A page that was taken is no longer out; `begun` says whether its request had begun.
    pub(super) fn release(&mut self, id: LaneId, begun: bool, now: Instant) {
        let lane = &mut self.lanes[id as usize];
        lane.in_flight -= 1;
        lane.starting &= begun;
        self.refresh(id, now);
    }

    /// The first moment at which the time alone lets a page out.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|&(at, _)| at)
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Lets out what its time has come for. Ends, because a lane that was refreshed at `now` has its next
    /// timer after it.
    fn ring(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.timers.first()
            && at <= now
        {
            self.refresh(id, now);
        }
    }

    fn refresh(&mut self, id: LaneId, now: Instant) {
        let lane = &mut self.lanes[id as usize];
        while let Some(entry) = lane.later.first_entry()
            && entry.key().0 <= now
        {
            let ((_, page), distance) = entry.remove_entry();
            lane.ready.insert((distance, page));
        }
        let (head, timer) = lane.outlook(now);
        if let Some((distance, page)) = lane.head.filter(|_| lane.head != head) {
            self.heads.remove(&(distance, page, id));
        }
        if let Some(at) = lane.timer.filter(|_| lane.timer != timer) {
            self.timers.remove(&(at, id));
        }
        (lane.head, lane.timer) = (head, timer);
        self.heads.extend(head.map(|(distance, page)| (distance, page, id)));
        self.timers.extend(timer.map(|at| (at, id)));
    }
}

impl Lane {
    /// The page that it lets out now, and when to look again.
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
