//! Which page next, for any number of workers, and when there is nothing left.
//!
//! ```text
//! worker ──take──▶ turn ──begin──▶ request ──finish(leads)──▶ settled
//!                    │                │
//!                    └───put_back─────┴──retry_after─────▶ waits again
//! ```
//! The obvious crawler is a function that fetches a page and calls itself for every link. If it holds a permit
//! while it waits for those calls, as many pages with links as there are permits stop it for ever. Here a worker
//! waits for nothing but its own request:
//!
//! 1. *A turn is a page and a place at its host, together.* A page is only given out when its host would let a
//!    request begin now, so nobody who holds one waits for the other, and no worker stands at a host's gate while
//!    another host has pages.
//! 2. *The end is exact.* Finishing a page and adding what it led to are one critical section, so "no page out
//!    and none waiting" is never seen between them. Who makes it true wakes everybody.
//! 3. *No wake-up is carried off.* One sleeper is woken for a page, and who takes a page wakes the next if there
//!    is another. Who was woken and leaves instead, because its token was cancelled, wakes somebody in its place.
//! 4. *One of the sleepers looks out for the time.* Where the next page only waits for a host's delay, one sleeper
//!    has the alarm and the others sleep on: with 16 workers and one slow host, a page wakes one thread, not 16.
//!    If an earlier moment turns up, the one with the alarm is woken to set it anew.
//!
//! One mutex orders everything. The pages are in `ledger`, the hosts in `lanes`; both are pure. Nothing here
//! knows of HTTP, so the models in `loom-tests/tests/crawl.rs` build it as it is.

mod labels;
mod lanes;
mod ledger;
mod page;

use std::fmt;
use std::time::{Duration, Instant};

pub use lanes::LaneId;
pub use ledger::Ledger;
pub use page::{Counts, Distance, Edge, Entry, Lead, Limits, PageId, Restored, Skip, State, Step};

use crate::cancel::CancelToken;
use crate::clock::Clock;
use crate::error::WaitError;
use crate::sync::{Arc, Mutex};
use crate::until::Until;
use crate::wait::{Line, Slot, Wake};

/// The pages of one crawl, shared by its workers. See the module.
pub struct Frontier<R> {
    state: Mutex<Inner<R>>,
    clock: Clock,
}

struct Inner<R> {
    ledger: Ledger<R>,
    line: Line,
    /// Who has the alarm, and for when.
    lookout: Option<(Instant, Arc<Slot>)>,
}

/// A page that was taken, with its place at its host. Dropped without having been settled, it waits again.
#[must_use = "a turn that is dropped puts its page back"]
pub struct Turn<'f, R> {
    frontier: &'f Frontier<R>,
    /// Which page.
    pub page: PageId,
    /// Its URL.
    pub url: Arc<str>,
    /// Its host.
    pub lane: LaneId,
    /// How far it is from the start, as far as was known when it was taken.
    pub distance: Distance,
    /// How much is wanted of it.
    pub rank: u8,
    /// How often it was tried before.
    pub tries: u32,
    begun: bool,
    settled: bool,
}

impl<R> Frontier<R> {
    /// Makes a frontier with no pages.
    pub fn new(limits: Limits, clock: &Clock) -> Self {
        let inner = Inner { ledger: Ledger::new(limits), line: Line::new(), lookout: None };
        Frontier { state: Mutex::new(inner), clock: clock.clone() }
    }

    /// Adds a page that the crawl begins at. `None` if there is no room for a page.
    pub fn seed(&self, lead: &Lead<'_>) -> Option<PageId> {
        self.change(|ledger, now| ledger.seed(lead, now))
    }

    /// Adds a page that `from` leads to, outside a turn. `None` if there is no room for it.
    pub fn lead(&self, from: PageId, lead: &Lead<'_>) -> Option<PageId> {
        self.change(|ledger, now| ledger.lead(from, lead, now))
    }

    /// Takes the nearest page of all hosts that would let a request begin; waits until there is one.
    ///
    /// # Errors
    /// [`WaitError::Closed`] when the crawl is over: no page is out and none waits. [`WaitError::Cancelled`].
    pub fn take(&self, token: &CancelToken) -> Result<Turn<'_, R>, WaitError> {
        loop {
            // In every round, and after a sleep with its wake-up passed on: see `leave`.
            if token.is_cancelled() {
                return Err(self.leave(None));
            }
            let mut state = self.state.lock();
            // Again under the lock, without looking at the clock, which may run the caller's code: a page that was put
            // back because of a cancel must not go to a thread that had its look before the cancel.
            if token.was_cancelled() {
                drop(state);
                return Err(self.leave(None));
            }
            let now = self.clock.now();
            if let Some(page) = state.ledger.take(now) {
                let wake = state.rouse(now);
                let turn = self.turn(&state.ledger, page);
                drop(state);
                drop(wake);
                return Ok(turn);
            }
            if state.ledger.is_over() {
                return Err(WaitError::Closed);
            }
            // Woken by `change`, which every change of the pages or hosts goes through, and which needs the lock
            // that this thread has held since it found nothing; or by the alarm.
            let slot = state.line.join();
            let at = state.ledger.next_timer().filter(|_| state.lookout.is_none());
            state.lookout = at.map(|at| (at, Arc::clone(&slot))).or(state.lookout.take());
            drop(state);
            let limit = at.map_or(Until::forever(), |at| Until::from((&self.clock, at)));
            match limit.or_cancelled(token).start().sleep(&slot) {
                Ok(()) | Err(WaitError::TimedOut) => self.wake_up(&slot),
                Err(_) => return Err(self.leave(Some(&slot))),
            }
        }
    }

    /// Leaves the line, and the alarm to somebody else, before another look.
    fn wake_up(&self, slot: &Arc<Slot>) {
        let mut state = self.state.lock();
        state.forget(slot);
    }

    /// Goes away without a page. A wake-up that this thread may have had goes to another, as does the alarm.
    fn leave(&self, slot: Option<&Arc<Slot>>) -> WaitError {
        let mut state = self.state.lock();
        if let Some(slot) = slot {
            state.forget(slot);
        }
        let now = self.clock.now();
        let wake = state.rouse(now);
        drop(state);
        drop(wake);
        WaitError::Cancelled
    }

    fn turn(&self, ledger: &Ledger<R>, page: PageId) -> Turn<'_, R> {
        let Entry { url, lane, distance, rank, tries, .. } = ledger.entry(page);
        Turn {
            frontier: self,
            page,
            url: Arc::clone(url),
            lane: *lane,
            distance: *distance,
            rank: *rank,
            tries: *tries,
            // Where there is no delay, nobody waits to hear of it.
            begun: !ledger.lanes.is_paced(*lane),
            settled: false,
        }
    }

    /// Lets the pages of a host out `width` at a time and `delay` apart; the first a delay from now if
    /// `was_asked`, because somebody has just asked it for something else.
    pub fn set_lane(&self, lane: LaneId, width: usize, delay: Duration, was_asked: bool) {
        self.change(|ledger, now| ledger.lanes.set(lane, width, delay, was_asked, now));
    }

    /// Lets no request to a host begin for `time`.
    pub fn pause_lane(&self, lane: LaneId, time: Duration) {
        self.change(|ledger, now| ledger.lanes.pause(lane, ledger::later(now, time), now));
    }

    /// Puts in the pages of an earlier crawl, as they were, by their numbers, and then the links between them.
    pub fn restore<'a>(
        &self,
        pages: impl Iterator<Item = Restored<'a, R>>,
        links: impl Iterator<Item = (PageId, PageId, Step, &'a str)>,
    ) {
        self.change(|ledger, now| {
            for page in pages {
                ledger.restore(page, now);
            }
            for (from, to, step, label) in links {
                ledger.restore_link(from, to, step, label);
            }
        });
    }

    /// How far the crawl is.
    pub fn counts(&self) -> Counts {
        self.state.lock().ledger.counts()
    }

    /// True if no page is out and none can be taken, now or later.
    pub fn is_over(&self) -> bool {
        self.state.lock().ledger.is_over()
    }

    /// All pages, when nobody works on them any more.
    pub fn into_ledger(self) -> Ledger<R> {
        self.state.into_inner().ledger
    }

    /// Shows the pages to `f`, which runs under the frontier's lock.
    pub fn with<T>(&self, f: impl FnOnce(&Ledger<R>) -> T) -> T {
        f(&self.state.lock().ledger)
    }

    /// Makes a change under the lock, and wakes who it concerns: everybody if the crawl is over by it, or one
    /// sleeper if there is a page for it, which then wakes the next.
    fn change<T>(&self, f: impl FnOnce(&mut Ledger<R>, Instant) -> T) -> T {
        let mut state = self.state.lock();
        let now = self.clock.now();
        let result = f(&mut state.ledger, now);
        let (everybody, one) = match state.ledger.is_over() {
            true => (state.line.take_all(), None),
            false => (Vec::new(), state.rouse(now)),
        };
        drop(state);
        drop((everybody, one));
        result
    }
}

impl<R> Inner<R> {
    /// Wakes one sleeper, if there is something for it to do: a page to take, or the alarm to set.
    ///
    /// Any sleeper will do, since all take from all hosts; but where the alarm must be set to an earlier moment,
    /// only the one who has it can.
    fn rouse(&mut self, now: Instant) -> Option<Wake> {
        if self.line.len() == 0 {
            return None;
        }
        if self.ledger.can_take(now) {
            return self.line.next();
        }
        let next = self.ledger.next_timer()?;
        match &self.lookout {
            None => self.line.next(),
            Some((at, slot)) if next < *at => slot.end(Ok(())),
            Some(_) => None,
        }
    }

    fn forget(&mut self, slot: &Arc<Slot>) {
        self.line.leave(slot);
        self.lookout.take_if(|(_, lookout)| Arc::ptr_eq(lookout, slot));
    }
}

impl<R> Turn<'_, R> {
    /// Says that the request begins now: the delay to the host's next one counts from here.
    pub fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            self.frontier.change(|ledger, now| ledger.lanes.begin(self.lane, now));
        }
    }

    /// Settles the page with what came of it, and adds what it leads to. Returns the page of each lead, where
    /// there was room for it.
    pub fn finish<'a>(mut self, record: R, leads: impl IntoIterator<Item = Lead<'a>>) -> Vec<Option<PageId>> {
        let (page, rank) = (self.page, self.rank);
        let (before, found) = self.settle(|ledger, now| {
            ledger.forget_leads(page);
            let found = leads.into_iter().map(|lead| ledger.lead(page, &lead, now)).collect();
            ledger.trim(page);
            (ledger.finish(page, rank, record, now), found)
        });
        // Outside the lock.
        drop(before);
        found
    }

    /// Settles the page as one that may not be fetched.
    pub fn skip(mut self, why: Skip) {
        let page = self.page;
        self.settle(|ledger, _| ledger.skip(page, why));
    }

    /// Puts the page back, to be taken again by anybody at once.
    pub fn put_back(self) {
        drop(self);
    }

    /// Puts the page back, to be taken again at once and for more.
    pub fn put_back_for(mut self, rank: u8) {
        let page = self.page;
        self.settle(|ledger, now| {
            ledger.raise(page, rank);
            ledger.put_back(page, None, now);
        });
    }

    /// Puts the page back, to be taken again after `time`.
    pub fn retry_after(mut self, time: Duration) {
        let page = self.page;
        self.settle(|ledger, now| {
            let due = ledger::later(now, time.max(Duration::from_nanos(1)));
            ledger.put_back(page, Some(due), now);
        });
    }

    fn settle<T>(&mut self, f: impl FnOnce(&mut Ledger<R>, Instant) -> T) -> T {
        let (lane, begun) = (self.lane, self.begun);
        self.settled = true;
        self.frontier.change(|ledger, now| {
            let result = f(ledger, now);
            ledger.lanes.release(lane, begun, now);
            result
        })
    }
}

impl<R> Drop for Turn<'_, R> {
    fn drop(&mut self) {
        if !self.settled {
            let page = self.page;
            self.settle(|ledger, now| ledger.put_back(page, None, now));
        }
    }
}

impl<R> fmt::Debug for Frontier<R> {
    /// Never waits: while another thread has the lock, nothing is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Frontier");
        if let Some(state) = self.state.try_lock() {
            out.field("counts", &state.ledger.counts()).field("sleeping", &state.line.len());
        }
        out.finish_non_exhaustive()
    }
}

impl<R> fmt::Debug for Turn<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("url", &self.url).field("tries", &self.tries).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
