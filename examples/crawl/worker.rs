//! What a worker is sent for, and the ticket that it comes back with, whatever happens.

use std::time::Instant;

use selvedge::sync::Arc;
use selvedge::sync::thread;
use selvedge::{BoundedQueue, Clock};
use url::Url;

use crate::fetch::{Failure, Fetcher, Outcome, Rules};
use crate::frontier::{HostId, PageId};
use crate::gate::Gate;

/// What to fetch.
#[derive(Clone, Debug)]
pub(crate) enum Errand {
    Page(PageId, Url),
    /// The robots.txt of this host, which has this URL.
    Robots(HostId, Url),
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Brought {
    Page(PageId, Url, Outcome),
    Robots(HostId, Url, Rules),
}

/// An errand that is over.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) brought: Brought,
    /// Which worker, counted from 0.
    pub(crate) worker: usize,
    /// When a worker took it.
    pub(crate) taken: Instant,
    /// When the host's gate let it in.
    pub(crate) started: Option<Instant>,
    pub(crate) ended: Instant,
}

/// Sends its [`Done`] when it is dropped: at the end of the errand, or when the errand panics, or when a pool
/// that shuts down drops it unrun. So the coordinator gets one answer per errand, and counting answers tells
/// it when nothing is in flight. A ticket sent at the end of the code instead would be lost with a panic, and
/// the crawl would wait for it for ever.
#[derive(Debug)]
pub(crate) struct Ticket {
    results: Arc<BoundedQueue<Done>>,
    clock: Clock,
    done: Option<Done>,
}

impl Ticket {
    pub(crate) fn new(errand: &Errand, results: &Arc<BoundedQueue<Done>>, clock: &Clock) -> Self {
        let lost = Failure { kind: "lost", detail: "the worker panicked on it, which is a bug".into() };
        let brought = match errand {
            Errand::Page(id, url) => Brought::Page(*id, url.clone(), Outcome::Failed(lost)),
            Errand::Robots(host, url) => Brought::Robots(*host, url.clone(), Rules::Unreachable(lost)),
        };
        let now = clock.now();
        let done = Done { brought, worker: 0, taken: now, started: None, ended: now };
        Ticket { results: Arc::clone(results), clock: clock.clone(), done: Some(done) }
    }

    /// Runs the errand, on a worker.
    pub(crate) fn redeem(mut self, errand: &Errand, gate: &Gate, fetcher: &Fetcher) {
        let done = self.done.as_mut().expect("only drop takes it");
        done.worker = worker();
        done.taken = self.clock.now();
        // Declared after the ticket, so the next request is let in before the coordinator hears of this one.
        let permit = gate.enter(fetcher.token());
        done.started = permit.is_ok().then(|| self.clock.now());
        done.brought = match (errand, permit.is_ok()) {
            (Errand::Page(id, url), true) => Brought::Page(*id, url.clone(), fetcher.page(url)),
            (Errand::Page(id, url), false) => Brought::Page(*id, url.clone(), Outcome::Stopped),
            (Errand::Robots(host, url), true) => Brought::Robots(*host, url.clone(), fetcher.robots(url)),
            (Errand::Robots(host, url), false) => Brought::Robots(*host, url.clone(), Rules::Stopped),
        };
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Some(mut done) = self.done.take() else { return };
        done.ended = self.clock.now();
        // Never full: it has room for every errand that can be in flight. If it is closed, the coordinator
        // has stopped waiting, and nobody misses the answer.
        drop(self.results.try_push(done));
    }
}

/// The number in the name that the pool gave to this thread.
fn worker() -> usize {
    let thread = thread::current();
    let number = thread.name().and_then(|name| name.rsplit('-').next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn an_errand_that_panics_still_brings_an_answer() {
        let results = Arc::new(BoundedQueue::new(1));
        let errand = Errand::Page(7, Url::parse("http://loom.test/").unwrap());
        let ticket = Ticket::new(&errand, &results, &Clock::system());
        let caught = catch_unwind(AssertUnwindSafe(move || {
            let _ticket = ticket;
            std::panic::resume_unwind(Box::new("a planted panic"));
        }));
        assert!(caught.is_err());
        let done = results.try_pop().unwrap();
        assert!(matches!(done.brought, Brought::Page(7, _, Outcome::Failed(Failure { kind: "lost", .. }))));
    }
}
