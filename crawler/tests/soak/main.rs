//! Crawls of a site that changes its mind at random, one after the other: no hang, no leak, and a report that
//! says what the servers' own books say.
//!
//! `SELVEDGE_SOAK` says for how many seconds, 4 by default; `SELVEDGE_SOAK_SEED` where the dice begin. A
//! program of its own with one test, because the allocator that counts is the whole program's.

#[path = "../common/mod.rs"]
mod common;
#[path = "../../../tests/common/counting.rs"]
mod counting;
mod ledger;
mod site;

use std::env;
use std::thread;
use std::time::{Duration, Instant};

use common::within_a_minute;
use counting::{Counting, live};
use ledger::Ledger;
use selvedge_crawl::{Crawler, Ended, Report};
use site::{Dice, Habits, Site};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Crawls before the first count: what is made once is made by then.
const WARM_UP: u64 = 3;
/// Bytes by which the count may differ between crawls, however many: threads that are kept and come and go.
const SLACK: isize = 256 << 10;
/// How long a request may take.
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);
/// URLs that are remembered where there is a trap.
const BOUND: usize = 300;

/// What a crawl is told, at random.
#[derive(Clone, Copy, Debug)]
struct Plan {
    habits: Habits,
    workers: usize,
    delay: Duration,
    /// Pages after which it is cancelled.
    cut_after: Option<usize>,
}

impl Plan {
    fn of(seed: u64, round: u64) -> Self {
        let mut dice = Dice::of(&(seed, round));
        let width = 1 + dice.roll(4);
        Plan {
            habits: Habits {
                seed: seed.wrapping_add(round),
                has_trap: dice.roll(4) == 0,
                has_sitemap: dice.roll(2) == 0,
                width,
            },
            workers: 1 + dice.roll(8),
            delay: Duration::from_millis([0, 0, 4][dice.roll(3)]),
            cut_after: (dice.roll(4) == 0).then(|| dice.roll(30)),
        }
    }

    fn crawler(&self) -> Crawler {
        let builder = Crawler::builder()
            .host("127.0.0.1")
            .host("127.0.0.2")
            .workers(self.workers)
            .per_host(self.habits.width)
            .delay(self.delay)
            .sitemaps(self.habits.has_sitemap)
            .timeout(PATIENCE)
            .back_off(Duration::from_millis(1), Duration::from_millis(4))
            .seed(self.habits.seed);
        let builder = if self.habits.has_trap { builder.urls(BOUND) } else { builder };
        builder.build().unwrap()
    }
}

/// One crawl, and everything that can be said of it.
fn round(plan: Plan) {
    let site = Site::open(plan.habits);
    let (start, begun) = (site.url(0, "/p/0"), Instant::now());
    let report = match plan.cut_after {
        None => plan.crawler().run(&start).unwrap(),
        Some(pages) => cut(&plan.crawler(), &start, pages),
    };
    let books = site.books();
    assert_eq!(books.broken, Vec::<String>::new(), "{plan:?}");
    for came in &books.came {
        // Whatever the network does to single requests: by each moment there were no more than the delay
        // allows since the crawl began.
        for (number, at) in (0..).zip(came) {
            assert!(*at - begun >= plan.delay * number, "{plan:?}: request {number} after {:?}", *at - begun);
        }
    }
    let ledger = Ledger { plan: &plan.habits, start: &start, books: &books, report: &report };
    ledger.counts_no_request_that_was_not_made();
    ledger.agrees_on_the_pace(plan.delay);
    if plan.habits.has_trap {
        assert!(report.pages().len() <= BOUND, "{plan:?}: {} URLs", report.pages().len());
    }
    if report.ended() == &Ended::Complete {
        ledger.agrees_on_every_request();
        ledger.agrees_on_every_page();
        if report.refused() == 0 {
            ledger.agrees_on_what_there_is();
            ledger.agrees_on_the_dead_links();
        }
    }
}

/// Cancels a crawl after so many pages.
fn cut(crawler: &Crawler, start: &str, pages: usize) -> Report {
    let mut crawl = crawler.spawn(start, selvedge::Until::forever()).unwrap();
    crawl.by_ref().take(pages).for_each(drop);
    crawl.cancel();
    crawl.finish()
}

/// The least number of bytes that live at a moment, up to one at which they are no more than `enough`.
/// Threads that were left behind with a request need a while to end.
fn at_rest(enough: isize, patience: Duration) -> isize {
    let (end, mut least) = (Instant::now() + patience, isize::MAX);
    while least > enough && Instant::now() < end {
        least = least.min(live());
        thread::yield_now();
    }
    least
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn a_site_that_changes_its_mind_is_reported_as_its_servers_saw_it_and_nothing_stays_behind() {
    let (seconds, seed) = (number("SELVEDGE_SOAK", 4), number("SELVEDGE_SOAK_SEED", 1));
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut rounds, mut first) = (0, None);
    while rounds <= WARM_UP || Instant::now() < end {
        let plan = Plan::of(seed, rounds);
        if env::var_os("SELVEDGE_SOAK").is_some() && rounds.is_multiple_of(100) {
            println!("crawl {rounds}: {} bytes live", live());
        }
        within_a_minute(move || round(plan));
        rounds += 1;
        if rounds == WARM_UP {
            first = Some(at_rest(0, 2 * PATIENCE));
        }
        if let Some(first) = first {
            let now = at_rest(first + SLACK, Duration::from_secs(20));
            assert!(now <= first + SLACK, "after {rounds} crawls {} bytes more live", now - first);
        }
    }
    println!("{rounds} crawls with seed {seed}");
}
