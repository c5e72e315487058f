//! Hands pages to any number of workers, nearest first, and finds the end of the crawl.
//!
//! ```text
//! worker ──take──▶ lease ──begin──▶ request ──finish(links)──▶ settled
//!                    │                 │
//!                    └────put_back─────┴──retry_after────▶ waits again
//! ```
//! The obvious crawler is a function that fetches a page and calls itself for every link. If it holds a
//! permit while it waits for those calls, as many pages with links as there are permits hang it. Here a
//! worker waits for nothing but its own request:
//!
//! 1. *A lease is a page and a permit of its host, together.* A page is leased only when its host admits a
//!    request now. So no worker holds one of the two while it waits for the other, and none waits for a host
//!    while another host has pages.
//! 2. *The end is exact.* Finishing a page and adding its links are one critical section, so no thread sees
//!    "no page leased and none waiting" between them. The worker that makes it true wakes all others.
//! 3. *No wake-up is lost.* The pages are the state of a [`Monitor`]: the thread that changes them makes each
//!    sleeping worker's attempt, in order, and hands over the page that it takes.
//! 4. *One of the sleeping workers watches the time.* A monitor makes attempts when the state changes, and
//!    the time is not part of the state. Where the next page only waits for a host's delay, one worker waits
//!    until then and the others sleep on: with 16 workers and one slow host, a page wakes one thread, not 16.
//!    If an earlier time comes up, a worker waits for that one.
//!
//! The monitor's lock orders everything. The pages are in `table`, the hosts in its `queues`; both are pure.
//! Nothing here knows HTTP, so the repository's models (`loom-tests/tests/crawl.rs`) compile this folder as
//! it is.

mod host_queues;
mod interner;
mod page;
mod page_table;

use std::fmt;
use std::time::{Duration, Instant};

pub(crate) use host_queues::HostId;
pub use page::{Counts, PageId, Skip, State, Step};
pub(crate) use page::{Distance, Edge, Entry, Limits, NewLink, Restored};
pub(crate) use page_table::PageTable;

use selvedge::error::WaitError;
use selvedge::sync::Arc;
use selvedge::{CancelToken, Clock, Monitor, MonitorGuard, Until};

/// The pages of one crawl, shared by its workers. See the module.
pub(crate) struct Frontier<R> {
    state: Monitor<Inner<R>>,
    clock: Clock,
}

struct Inner<R> {
    table: PageTable<R>,
    /// A sleeping worker watches the time.
    is_watched: bool,
}

/// The result of a worker's attempt to take a page.
enum Found<T> {
    Page(T),
    /// The worker is to watch the time until then.
    Watch(Instant),
    /// The crawl is over.
    Over,
    /// The worker is to try again: it would watch for the wrong time.
    Again,
}

/// A page that a worker has taken, with a permit of its host. If it is dropped unsettled, the page waits
/// again.
#[must_use = "a lease that is dropped puts its page back"]
pub(crate) struct Lease<'f, R> {
    frontier: &'f Frontier<R>,
    /// The page.
    pub page: PageId,
    /// Its URL.
    pub url: Arc<str>,
    /// Its host.
    pub host: HostId,
    /// Its distance from the start, as known when it was taken.
    pub distance: Distance,
    /// What is wanted of it; see the constants in `requests`.
    pub rank: u8,
    /// The number of earlier attempts.
    pub tries: u32,
    begun: bool,
    settled: bool,
}

impl<R> Frontier<R> {
    /// Makes a frontier with no pages.
    pub(crate) fn new(limits: Limits, clock: &Clock) -> Self {
        let inner = Inner { table: PageTable::new(limits), is_watched: false };
        Frontier { state: Monitor::new(inner), clock: clock.clone() }
    }

    /// Adds a start. `None` if the table is full.
    pub(crate) fn seed(&self, link: &NewLink<'_>) -> Option<PageId> {
        self.change(|table, now| table.seed(link, now))
    }

    /// Takes the nearest page of all hosts that admit a request now; waits until there is one.
    ///
    /// # Errors
    /// [`WaitError::Closed`] when the crawl is over: no page is leased and none waits.
    /// [`WaitError::Cancelled`].
    pub(crate) fn take(&self, token: &CancelToken) -> Result<Lease<'_, R>, WaitError>
    where
        R: Send,
    {
        loop {
            let lease = match self.state.wait_until(token, |inner| self.look(inner))? {
                Found::Page(lease) => lease,
                Found::Over => return Err(WaitError::Closed),
                Found::Again => continue,
                Found::Watch(at) => match self.watch(at, token)? {
                    Some(lease) => lease,
                    None => continue,
                },
            };
            // Tie: the cancellation wins, since the page may be one that another worker put back because of
            // it. The dropped lease lets the page wait again.
            return if token.is_cancelled() { Err(WaitError::Cancelled) } else { Ok(lease) };
        }
    }

    /// One attempt to take a page, under the lock.
    fn look(&self, inner: &mut Inner<R>) -> Option<Found<Lease<'_, R>>> {
        let now = self.clock.now();
        if let Some(page) = inner.table.take(now) {
            return Some(Found::Page(self.lease(&inner.table, page)));
        }
        if inner.table.is_over() {
            return Some(Found::Over);
        }
        let at = inner.table.next_timer().filter(|_| !inner.is_watched)?;
        inner.is_watched = true;
        Some(Found::Watch(at))
    }

    /// Waits until `at`, or until a page can be taken earlier. `None` if the worker is to try again.
    fn watch(&self, at: Instant, token: &CancelToken) -> Result<Option<Lease<'_, R>>, WaitError>
    where
        R: Send,
    {
        let found = self.state.wait_until(Until::from((&self.clock, at)).or_cancelled(token), |inner| {
            // Cleared during the attempt, which would find this very worker watching otherwise.
            inner.is_watched = false;
            match self.look(inner) {
                Some(Found::Watch(next)) if next >= at => None,
                Some(Found::Watch(_)) => {
                    inner.is_watched = false;
                    Some(Found::Again)
                }
                None => Some(Found::Again),
                found => found,
            }
        });
        match found {
            Ok(Found::Page(lease)) => Ok(Some(lease)),
            Ok(_) => Ok(None),
            // The time has come, or this worker leaves: another one is to watch. The unlock makes the others'
            // attempts, and one of them becomes the watcher.
            Err(ended) => {
                self.state.lock().is_watched = false;
                if ended == WaitError::TimedOut { Ok(None) } else { Err(ended) }
            }
        }
    }

    fn lease(&self, table: &PageTable<R>, page: PageId) -> Lease<'_, R> {
        let Entry { url, host, distance, rank, tries, .. } = table.entry(page);
        Lease {
            frontier: self,
            page,
            url: Arc::clone(url),
            host: *host,
            distance: *distance,
            rank: *rank,
            tries: *tries,
            // Without a delay, the start of a request changes nothing.
            begun: !table.queues.is_paced(*host),
            settled: false,
        }
    }

    /// Admits `width` requests to a host at a time, `delay` apart; the first one a delay from now if
    /// `was_asked`, since the host has just been asked for something else.
    pub(crate) fn set_host(&self, host: HostId, width: usize, delay: Duration, was_asked: bool) {
        self.change(|table, now| table.queues.set(host, width, delay, was_asked, now));
    }

    /// Admits no request to a host for `time`.
    pub(crate) fn pause_host(&self, host: HostId, time: Duration) {
        self.change(|table, now| table.queues.pause(host, page_table::later(now, time), now));
    }

    /// Restores the pages of an earlier crawl in the order of their numbers, then the links between them.
    pub(crate) fn restore<'a>(
        &self,
        pages: impl Iterator<Item = Restored<'a, R>>,
        links: impl Iterator<Item = (PageId, PageId, Step, &'a str)>,
    ) {
        self.change(|table, now| {
            for page in pages {
                table.restore(page, now);
            }
            for (from, to, step, label) in links {
                table.restore_link(from, to, step, label);
            }
        });
    }

    /// Returns the crawl's progress.
    pub(crate) fn counts(&self) -> Counts {
        self.state.lock().table.counts()
    }

    /// Returns true if no page is leased and none can be taken, now or later.
    pub(crate) fn is_over(&self) -> bool {
        self.state.lock().table.is_over()
    }

    /// Returns all pages, once no worker uses them.
    pub(crate) fn into_table(self) -> PageTable<R> {
        self.state.into_inner().table
    }

    /// Calls `f` with the pages, under the frontier's lock.
    pub(crate) fn with<T>(&self, f: impl FnOnce(&PageTable<R>) -> T) -> T {
        f(&self.state.lock().table)
    }

    /// Makes a change under the lock. The unlock makes the attempts of the sleeping workers.
    fn change<T>(&self, f: impl FnOnce(&mut PageTable<R>, Instant) -> T) -> T {
        let mut state = self.state.lock();
        let now = self.clock.now();
        f(&mut state.table, now)
    }
}

impl<R> Lease<'_, R> {
    /// Says that the request begins now. The delay to the host's next one counts from the returned time.
    pub(crate) fn begin(&mut self) -> Instant {
        if std::mem::replace(&mut self.begun, true) {
            return self.frontier.clock.now();
        }
        self.frontier.change(|table, now| {
            table.queues.begin(self.host, now);
            now
        })
    }

    /// Settles the page with its record, and adds its links. Returns the page of each link, or `None` where
    /// the table is full.
    pub(crate) fn finish<'a>(
        mut self,
        record: R,
        links: impl IntoIterator<Item = NewLink<'a>>,
    ) -> Vec<Option<PageId>> {
        let (page, rank) = (self.page, self.rank);
        let (before, found) = self.settle(|table, now| {
            table.forget_links(page);
            let found = links.into_iter().map(|link| table.add_link(page, &link, now)).collect();
            table.trim(page);
            (table.finish(page, rank, record, now), found)
        });
        // Outside the lock.
        drop(before);
        found
    }

    /// Settles the page as one that may not be fetched.
    pub(crate) fn skip(mut self, why: Skip) {
        let page = self.page;
        self.settle(|table, _| table.skip(page, why));
    }

    /// Puts the page back, to be taken again by any worker at once.
    pub(crate) fn put_back(self) {
        drop(self);
    }

    /// Puts the page back, to be taken again at once with a higher rank.
    pub(crate) fn put_back_for(mut self, rank: u8) {
        let page = self.page;
        self.settle(|table, now| {
            table.raise(page, rank);
            table.put_back(page, None, now);
        });
    }

    /// Puts the page back, to be taken again after `time`.
    pub(crate) fn retry_after(mut self, time: Duration) {
        let page = self.page;
        self.settle(|table, now| {
            let due = page_table::later(now, time.max(Duration::from_nanos(1)));
            table.put_back(page, Some(due), now);
        });
    }

    fn settle<T>(&mut self, f: impl FnOnce(&mut PageTable<R>, Instant) -> T) -> T {
        let (host, begun) = (self.host, self.begun);
        self.settled = true;
        self.frontier.change(|table, now| {
            let result = f(table, now);
            table.queues.release(host, begun, now);
            result
        })
    }
}

impl<R> Drop for Lease<'_, R> {
    fn drop(&mut self) {
        if !self.settled {
            let page = self.page;
            self.settle(|table, now| table.put_back(page, None, now));
        }
    }
}

impl<R> fmt::Debug for Frontier<R> {
    /// Never waits: while another thread has the lock, nothing is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Frontier");
        if let Some(state) = self.state.try_lock() {
            out.field("counts", &state.table.counts()).field("watched", &state.is_watched);
            out.field("sleeping", &MonitorGuard::waiting(&state));
        }
        out.finish_non_exhaustive()
    }
}

impl<R> fmt::Debug for Lease<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("url", &self.url).field("tries", &self.tries).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
