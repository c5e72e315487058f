//! The crawl: one coordinator that knows everything, and workers that know one page each.
//!
//! ```text
//! frontier ──take──▶ coordinator ──errand──▶ pool of N workers ──gate──▶ host
//!     ▲                   ▲                         │
//!     └──────lead─────────┴────────ticket───────────┘
//! ```
//! The obvious crawler is a function that fetches a page and calls itself for every link. If it holds a
//! permit while it waits for those calls, as many pages with links as there are permits stop it for ever.
//! Here nobody waits for a page but the coordinator:
//!
//! 1. At most N errands are in flight, and the results queue has room for N. So a worker never waits to hand
//!    in its ticket, and the coordinator never waits to hand out an errand: the pool's queue holds N too.
//! 2. Every errand that is handed out brings one ticket back, even if it panics.
//! 3. A page is taken from the frontier when its host has room, and a host that has none has an errand in
//!    flight. So if none is in flight, every page that waits can be taken.
//!
//! From these the end is exact: no errand in flight and no page to take, and then there never will be.
//!
//! A host has room for one errand more than its gate lets in. That one stands at the gate and goes in the
//! moment that it opens, without a detour by the coordinator. All others leave their workers to other hosts:
//! if workers took pages in plain order, one slow host would soon have them all standing at its gate.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use selvedge::error::WaitError;
use selvedge::pool::BuildError;
use selvedge::sync::Arc;
use selvedge::{BoundedQueue, CancelToken, Pool};
use url::Url;

use crate::args::Options;
use crate::fetch::{Fetcher, Outcome, Rules};
use crate::frontier::{Frontier, HostId, Limits, PageId, Skip, Step};
use crate::gate::{Gate, Host};
use crate::html;
use crate::progress::{Counts, Progress};
use crate::report::{Ended, Report, Sample, Visit};
use crate::worker::{Brought, Done, Errand, Ticket};

/// Redirects in a row; browsers follow 20, and nobody means more than a few.
const HOPS: u32 = 10;
/// How long requests in flight may take to notice that the crawl was stopped. Most look at the token with
/// every chunk that arrives; one that waits for a silent server is left behind.
const GRACE: Duration = Duration::from_millis(300);
/// How often the progress is shown while nothing happens.
const TICK: Duration = Duration::from_millis(200);

/// Crawls from `start` until nothing is left or `token` is cancelled.
pub(crate) fn crawl(
    start: Url,
    options: &Options,
    timeout: Duration,
    token: &CancelToken,
    progress: &mut Progress,
) -> Result<Report, BuildError> {
    let pool = Pool::builder().workers(options.workers).queue(options.workers).name("crawl").build()?;
    let mut coordinator = Coordinator::new(start, options, timeout, token);
    coordinator.run(&pool, progress);
    if coordinator.in_flight > 0 {
        // Dropping the pool would wait for them. They end with their requests, or with the process.
        pool.detach();
    }
    Ok(coordinator.into_report())
}

struct Coordinator<'a> {
    options: &'a Options,
    token: &'a CancelToken,
    fetcher: Arc<Fetcher>,
    results: Arc<BoundedQueue<Done>>,
    frontier: Frontier,
    hosts: HashMap<HostId, Host>,
    /// The names of the hosts to crawl, whatever their ports.
    scope: HashSet<String>,
    /// Where the start's redirects have led so far.
    front: PageId,
    in_flight: usize,
    begun: Instant,
    errors: usize,
    outcomes: HashMap<PageId, Outcome>,
    visits: Vec<Visit>,
    broken: Vec<(PageId, String)>,
    not_http: BTreeSet<String>,
    samples: Vec<Sample>,
}

impl<'a> Coordinator<'a> {
    fn new(start: Url, options: &'a Options, timeout: Duration, token: &'a CancelToken) -> Self {
        let start = html::normal(start);
        let limits = Limits { depth: options.depth, hops: HOPS, pages: options.pages };
        Coordinator {
            options,
            token,
            fetcher: Arc::new(Fetcher::new(token, timeout, options.workers)),
            results: Arc::new(BoundedQueue::new(options.workers)),
            scope: HashSet::from([name(&start)]),
            frontier: Frontier::new(start, limits),
            hosts: HashMap::new(),
            front: 0,
            in_flight: 0,
            begun: token.clock().now(),
            errors: 0,
            outcomes: HashMap::new(),
            visits: Vec::new(),
            broken: Vec::new(),
            not_http: BTreeSet::new(),
            samples: Vec::new(),
        }
    }

    fn run(&mut self, pool: &Pool, progress: &mut Progress) {
        loop {
            self.hand_out(pool);
            self.show(progress);
            if self.in_flight == 0 {
                break;
            }
            match self.results.pop_until((self.token, TICK)) {
                Ok(done) => self.take_in(done),
                Err(WaitError::TimedOut) => {}
                Err(_) => break self.wind_up(pool),
            }
        }
        self.show(progress);
    }

    /// Takes in what ends soon after the crawl was stopped.
    fn wind_up(&mut self, pool: &Pool) {
        // The report of the shutdown names who still runs; `in_flight` counts the same.
        drop(pool.shutdown_until((self.token.clock(), GRACE)));
        for done in self.results.close_and_drain() {
            self.take_in(done);
        }
    }

    /// Keeps as many errands in flight as there are workers, if the hosts have room.
    fn hand_out(&mut self, pool: &Pool) {
        while self.in_flight < self.options.workers
            // Of a host that is not known yet, one page is taken, to ask on its behalf.
            && let Some(id) = self.frontier.take(|host| self.hosts.get(&host).is_none_or(Host::has_room))
        {
            let host = self.frontier.page(id).host;
            let Some(errand) = self.admit(id) else { continue };
            let gate = self.enlist(host);
            let ticket = Ticket::new(&errand, &self.results, self.token.clock());
            let fetcher = Arc::clone(&self.fetcher);
            // Nobody else shuts this pool down. If it refused all the same, it would drop the ticket, and
            // that is an answer.
            drop(pool.execute(move || ticket.redeem(&errand, &gate, &fetcher)));
        }
    }

    /// What to do for a page that was taken; `None` if nothing.
    fn admit(&mut self, id: PageId) -> Option<Errand> {
        let page = self.frontier.page(id);
        let (host, url) = (page.host, page.url.clone());
        match self.hosts.get(&host).map(|host| &host.rules) {
            None => {
                self.frontier.put_back(id);
                return Some(Errand::Robots(host, url));
            }
            Some(Some(rules)) if rules.allow(&url) => return Some(Errand::Page(id, url)),
            // It would fail as its robots.txt did, after as long a wait.
            Some(Some(Rules::Unreachable(failure))) => {
                let failed = Outcome::Failed(failure.clone());
                self.settle(id, failed);
            }
            Some(_) => self.frontier.skip(id, Skip::Robots),
        }
        None
    }

    /// Counts an errand to `host`, and says through which gate it goes.
    fn enlist(&mut self, host: HostId) -> Arc<Gate> {
        let host = self.hosts.entry(host).or_insert_with(|| Host::unknown(self.options.per_host));
        host.in_flight += 1;
        self.in_flight += 1;
        Arc::clone(&host.gate)
    }

    fn discharge(&mut self, host: HostId) {
        self.in_flight -= 1;
        self.hosts.get_mut(&host).expect("an errand went to it").in_flight -= 1;
    }

    fn take_in(&mut self, done: Done) {
        let (url, page) = match done.brought {
            Brought::Robots(host, url, rules) => {
                self.discharge(host);
                self.learn(host, rules);
                (url.join("/robots.txt").expect("a path joins any http URL"), None)
            }
            Brought::Page(id, url, outcome) => {
                self.discharge(self.frontier.page(id).host);
                self.follow(id, &outcome);
                self.settle(id, outcome);
                (url, Some(id))
            }
        };
        let since = |at: Instant| at.saturating_duration_since(self.begun);
        let (taken, started, ended) = (since(done.taken), done.started.map(since), since(done.ended));
        self.visits.push(Visit { url, page, worker: done.worker, taken, started, ended });
    }

    /// Learns what a host allows, and so gives it room.
    fn learn(&mut self, host: HostId, rules: Rules) {
        if matches!(rules, Rules::Stopped) {
            // Nothing was learned, and that is not a no.
            self.hosts.remove(&host);
            return;
        }
        self.hosts.insert(host, Host::known(rules, self.options.per_host));
    }

    /// Notes where a page leads.
    fn follow(&mut self, id: PageId, outcome: &Outcome) {
        match outcome {
            Outcome::Redirect { to, .. } => {
                // A start that moves house (to https, to www) takes the crawl along.
                if id == self.front {
                    self.scope.insert(name(to));
                }
                let next = self.lead(id, Step::Redirect, to.clone());
                self.front = if id == self.front { next } else { self.front };
            }
            Outcome::Page { links, .. } => {
                for url in &links.urls {
                    self.lead(id, Step::Link, url.clone());
                }
                self.broken.extend(links.broken.iter().map(|text| (id, text.clone())));
                self.not_http.extend(links.not_http.iter().cloned());
            }
            _ => {}
        }
    }

    fn lead(&mut self, from: PageId, step: Step, url: Url) -> PageId {
        let in_scope = self.scope.contains(&name(&url));
        self.frontier.lead(from, step, url, in_scope)
    }

    fn settle(&mut self, id: PageId, outcome: Outcome) {
        if matches!(outcome, Outcome::Stopped) {
            return self.frontier.put_back(id);
        }
        self.errors += usize::from(matches!(outcome, Outcome::Failed(_) | Outcome::Refused { .. }));
        self.frontier.finish(id);
        self.outcomes.insert(id, outcome);
    }

    fn show(&mut self, progress: &mut Progress) {
        let at = self.token.clock().now() - self.begun;
        let (waiting, fetched) = (self.frontier.waiting(), self.frontier.fetched());
        self.samples.push(Sample { at, waiting, in_flight: self.in_flight });
        progress.show(&Counts { at, waiting, fetched, in_flight: self.in_flight, errors: self.errors });
    }

    fn into_report(mut self) -> Report {
        let ended = match self.token.cause() {
            _ if self.frontier.is_finished() => Ended::Complete,
            Some(cause) if cause.is_deadline() => Ended::OutOfTime,
            cause => Ended::Cancelled(cause.map_or_else(String::new, |cause| cause.to_string())),
        };
        let pages = self.frontier.into_pages();
        Report {
            outcomes: (0..pages.len()).map(|id| self.outcomes.remove(&id)).collect(),
            pages,
            visits: self.visits,
            broken: self.broken,
            not_http: self.not_http.into_iter().collect(),
            samples: self.samples,
            took: self.token.clock().now() - self.begun,
            ended,
            cut_off: self.in_flight,
            workers: self.options.workers,
            per_host: self.options.per_host,
        }
    }
}

/// The host's name: what the scope is made of.
fn name(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
#[path = "crawl_tests.rs"]
mod tests;
