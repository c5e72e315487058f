//! The crawl: one coordinator that knows everything, and workers that know one page each.
//!
//! ```text
//!   frontier ──take──▶ coordinator ──errand──▶ pool of N workers ──gate──▶ host
//!       ▲                   ▲                         │
//!       └──────lead─────────┴────────ticket───────────┘
//! ```
//! The obvious crawler is a function that fetches a page and calls itself for every link. If it holds a permit
//! while it waits for those calls, as many pages with links as there are permits stop it for ever. Here nobody
//! waits for a page but the coordinator:
//!
//! 1. At most N errands are in flight, and the results queue has room for N. So a worker never waits to hand
//!    in its ticket, and the coordinator never waits to hand out an errand: the pool's queue holds N too.
//! 2. Every errand that is handed out brings one ticket back, even if it panics.
//! 3. A page whose host has not yet been asked for its robots.txt is held, and then an errand that asks is in
//!    flight. So if none is in flight, none is held.
//!
//! From these the end is exact: no errand in flight and no page to take, and then there never will be.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use selvedge::error::WaitError;
use selvedge::sync::Arc;
use selvedge::{BoundedQueue, CancelToken};
use url::Url;

use crate::args::Options;
use crate::fetch::{Fetcher, Outcome, Rules};
use crate::frontier::{Frontier, Limits, PageId, Skip, Step};
use crate::gate::Gate;
use crate::html;
use crate::pool::Pool;
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
) -> std::io::Result<Report> {
    let pool = Pool::builder().workers(options.workers).queue(options.workers).name("crawl").build()?;
    let mut coordinator = Coordinator::new(start, options, timeout, token);
    coordinator.run(&pool, progress);
    Ok(coordinator.into_report())
}

struct Coordinator<'a> {
    options: &'a Options,
    token: &'a CancelToken,
    fetcher: Arc<Fetcher>,
    results: Arc<BoundedQueue<Done>>,
    frontier: Frontier,
    hosts: HashMap<String, Host>,
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

/// One scheme, name and port.
struct Host {
    gate: Arc<Gate>,
    standing: Standing,
}

enum Standing {
    /// Its robots.txt is on the way; these pages wait for it.
    Asked(Vec<PageId>),
    Known(Rules),
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
                Err(_) => break self.wind_up(),
            }
        }
        self.show(progress);
    }

    /// Takes in what ends soon after the crawl was stopped.
    fn wind_up(&mut self) {
        let limit = self.token.clock().now() + GRACE;
        while self.in_flight > 0
            && let Ok(done) = self.results.pop_until((self.token.clock(), limit))
        {
            self.take_in(done);
        }
        self.results.close();
    }

    /// Keeps as many errands in flight as there are workers.
    fn hand_out(&mut self, pool: &Pool) {
        while self.in_flight < self.options.workers
            && let Some(id) = self.frontier.take()
        {
            let Some((errand, gate)) = self.admit(id) else { continue };
            let ticket = Ticket::new(&errand, &self.results, self.token.clock());
            let fetcher = Arc::clone(&self.fetcher);
            self.in_flight += 1;
            // Nobody else shuts this pool down. If it refused all the same, it would drop the ticket, and
            // that is an answer.
            drop(pool.execute(move || ticket.redeem(&errand, &gate, &fetcher)));
        }
    }

    /// What to do for a page that was taken; `None` if nothing, for now or for good.
    fn admit(&mut self, id: PageId) -> Option<(Errand, Arc<Gate>)> {
        let url = self.frontier.page(id).url.clone();
        let Some(host) = self.hosts.get_mut(&origin(&url)) else {
            let gate = Arc::new(Gate::new(self.options.per_host, Duration::ZERO));
            let host = Host { gate: Arc::clone(&gate), standing: Standing::Asked(vec![id]) };
            self.hosts.insert(origin(&url), host);
            return Some((Errand::Robots(url), gate));
        };
        match &mut host.standing {
            Standing::Asked(held) => held.push(id),
            Standing::Known(rules) if rules.allow(&url) => {
                return Some((Errand::Page(id, url), Arc::clone(&host.gate)));
            }
            // It would fail as its robots.txt did, after as long a wait.
            Standing::Known(Rules::Unreachable(failure)) => {
                let failed = Outcome::Failed(failure.clone());
                self.settle(id, failed);
            }
            Standing::Known(_) => self.frontier.skip(id, Skip::Robots),
        }
        None
    }

    fn take_in(&mut self, done: Done) {
        self.in_flight -= 1;
        let (url, page) = match done.brought {
            Brought::Robots(url, rules) => {
                self.learn(&url, rules);
                (url.join("/robots.txt").expect("a path joins any http URL"), None)
            }
            Brought::Page(id, url, Outcome::Stopped) => {
                self.frontier.put_back(id);
                (url, Some(id))
            }
            Brought::Page(id, url, outcome) => {
                self.follow(id, &outcome);
                self.settle(id, outcome);
                (url, Some(id))
            }
        };
        let since = |at: Instant| at.saturating_duration_since(self.begun);
        let (taken, started, ended) = (since(done.taken), done.started.map(since), since(done.ended));
        self.visits.push(Visit { url, page, worker: done.worker, taken, started, ended });
    }

    /// Learns what a host allows, and lets its pages go back to where they wait.
    fn learn(&mut self, url: &Url, rules: Rules) {
        let gate = Arc::new(Gate::new(self.options.per_host, rules.delay()));
        let host = Host { gate, standing: Standing::Known(rules) };
        if let Some(Host { standing: Standing::Asked(held), .. }) = self.hosts.insert(origin(url), host) {
            held.into_iter().for_each(|id| self.frontier.put_back(id));
        }
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
                links.urls.iter().for_each(|url| drop(self.lead(id, Step::Link, url.clone())));
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

/// Scheme, name and port: what a robots.txt and a gate belong to.
fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}
