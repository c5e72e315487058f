//! One crawl while it runs.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use selvedge::cancel::CallbackGuard;
use selvedge::error::WaitError;
use selvedge::pool::Pool;
use selvedge::sync::Arc;
use selvedge::sync::atomic::{AtomicUsize, Ordering};
use selvedge::{BoundedQueue, CancelToken, Clock, Monitor, Until, WaitGroup};

use super::{Crawler, StartError};
use crate::engine::Engine;
use crate::panics;
use crate::record::{Progress, Visited};
use crate::report::{Ended, Report};

/// A crawl that is running: an iterator over its pages as they are settled.
///
/// The iterator ends when the crawl is over or stopped. Workers block while as many pages are unread as there
/// are workers; [`finish`](Crawl::finish) lets them go on without a reader. Dropping a crawl stops it.
#[must_use = "a crawl that is dropped is stopped"]
pub struct Crawl {
    engine: Arc<Engine>,
    /// `None` once the workers were waited for, or left behind.
    pool: Option<Pool>,
    working: WaitGroup,
    over: Arc<Over>,
    /// Ends the iterator when the crawl is stopped.
    _closes: CallbackGuard,
}

impl Crawler {
    /// Starts the workers. `unread` is the number of pages that may wait for a reader, if there is one.
    pub(super) fn go(
        &self,
        limit: Until<'_>,
        unread: Option<usize>,
        begin: impl FnOnce(&Engine),
    ) -> Result<Crawl, StartError> {
        let clock = self.settings.clock.clone().unwrap_or_else(Clock::current);
        let token = CancelToken::with_clock(clock).child_until(limit);
        let token = self.settings.time.map_or(token.clone(), |time| token.child_until(time));
        let workers = self.settings.workers;
        let pool = Pool::builder().workers(workers).queue(workers).name("crawl").build();
        let pool = pool.map_err(StartError::Workers)?;
        let Crawler { settings, fetch, robots, hooks } = self;
        let results = unread.map(BoundedQueue::new);
        let engine = Arc::new(Engine::new(settings, fetch, robots, hooks, token, results));
        begin(&engine);
        let over = Arc::new(Over::default());
        // The stop ends the iterator and `wait_until` at once, without waiting for the last request to
        // notice. `finish` has a grace for those, and pages that are settled meanwhile are in the report.
        let closes = {
            let (token, engine, over) = (engine.token.clone(), Arc::clone(&engine), Arc::clone(&over));
            token.on_cancel(move || over.open(&engine))
        };
        let (working, left) = (WaitGroup::new(), Arc::new(AtomicUsize::new(workers)));
        for worker in 0..workers {
            let member = working.add();
            let last =
                CloseBehind { engine: Arc::clone(&engine), over: Arc::clone(&over), left: Arc::clone(&left) };
            // A pool that is not shut down refuses nothing.
            drop(pool.execute(move || {
                last.engine.work(worker);
                // The reader is told of the end before the owner.
                drop(last);
                drop(member);
            }));
        }
        Ok(Crawl { engine, pool: Some(pool), working, over, _closes: closes })
    }
}

/// Opens when the crawl is over or stopped, whichever comes first.
#[derive(Default)]
struct Over(Monitor<bool>);

impl Over {
    /// Ends the iterator and every [`Crawl::wait_until`].
    fn open(&self, engine: &Engine) {
        *self.0.lock() = true;
        if let Some(results) = &engine.results {
            results.close();
        }
    }

    fn wait_until<'l>(&self, limit: impl Into<Until<'l>>) -> Result<(), WaitError> {
        self.0.wait_until(limit, |is_open| is_open.then_some(()))
    }
}

/// Says that the crawl is over when the last worker goes, however it goes.
struct CloseBehind {
    engine: Arc<Engine>,
    over: Arc<Over>,
    left: Arc<AtomicUsize>,
}

impl Drop for CloseBehind {
    fn drop(&mut self) {
        // Relaxed: the count publishes nothing. The queue's lock orders what was pushed before it is closed.
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.over.open(&self.engine);
        }
    }
}

impl Crawl {
    /// Returns the number of pages found, waiting, being fetched and fetched so far.
    pub fn progress(&self) -> Progress {
        self.engine.progress()
    }

    /// Returns the token that stops the crawl.
    pub fn token(&self) -> &CancelToken {
        &self.engine.token
    }

    /// Stops the crawl: no request begins from here on.
    pub fn cancel(&self) {
        self.engine.token.cancel();
    }

    /// Waits for the next page, at most until `limit`; `None` if the crawl is over or stopped.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] or [`WaitError::Cancelled`] if the limit came first.
    pub fn next_until<'l>(&mut self, limit: impl Into<Until<'l>>) -> Result<Option<Visited>, WaitError> {
        match &self.engine.results {
            None => Ok(None),
            Some(results) => match results.pop_until(limit) {
                Ok(page) => Ok(Some(page)),
                Err(WaitError::Closed) => Ok(None),
                Err(other) => Err(other),
            },
        }
    }

    /// Waits until the crawl is over or stopped, at most until `limit`.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] or [`WaitError::Cancelled`] if `limit` came first.
    pub fn wait_until<'l>(&self, limit: impl Into<Until<'l>>) -> Result<(), WaitError> {
        // Not with the crawl's token as a second limit: that would put this wait on the crawl's clock.
        self.over.wait_until(limit)
    }

    /// Waits until the crawl is over, or stopped and its grace is over, and returns its report. Pages that
    /// were not read are in the report.
    ///
    /// # Cancellation
    /// Of a crawl that was stopped, requests that outlast the [grace](crate::Builder::grace) are left behind:
    /// [`Report::cut_off`] counts them.
    ///
    /// # Panics
    /// With a callback's panic.
    pub fn finish(mut self) -> Report {
        let cut_off = self.end();
        let engine = Arc::clone(&self.engine);
        drop(self);
        let panicked = engine.panic.lock().take();
        if let Some(payload) = panicked {
            // A second panic is discarded: the callback's says why there is no report.
            panics::discard(engine);
            panics::resume(payload);
        }
        Report::of(engine, cut_off)
    }

    /// Waits for the workers, for the grace if the crawl was stopped. Returns the number left behind.
    fn end(&mut self) -> usize {
        let Some(pool) = self.pool.take() else { return 0 };
        if let Some(results) = &self.engine.results {
            // Wakes every worker that waits for a reader.
            results.close();
        }
        let over = self.working.wait_until(&self.engine.token);
        // The grace runs on the system's clock: a real request does not end when a manual clock is advanced.
        if over.is_err() && self.working.wait_until(self.engine.settings.grace).is_err() {
            let left = self.working.count();
            // Dropping the pool would wait for the workers. They end with their requests or with the process.
            pool.detach();
            return left;
        }
        0
    }
}

impl Iterator for Crawl {
    type Item = Visited;

    fn next(&mut self) -> Option<Visited> {
        self.next_until(Until::forever()).ok().flatten()
    }
}

impl Drop for Crawl {
    fn drop(&mut self) {
        if self.pool.is_some() {
            self.cancel();
            self.end();
        }
    }
}

// A fetcher and callbacks are called, not looked into, and none of them under a lock.
impl UnwindSafe for Crawl {}
impl RefUnwindSafe for Crawl {}

impl fmt::Debug for Crawl {
    /// Never waits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crawl").field("engine", &self.engine).finish_non_exhaustive()
    }
}

/// Why the crawl ended.
pub(crate) fn ended(engine: &Engine, is_over: bool) -> Ended {
    match engine.token.cause() {
        _ if is_over => Ended::Complete,
        Some(cause) if cause.is_deadline() => Ended::OutOfTime,
        cause => Ended::Cancelled(cause.map_or_else(String::new, |cause| cause.to_string())),
    }
}
