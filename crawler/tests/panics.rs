//! The crawler's callbacks, fetcher and planned answers panic: when they are called, when they are dropped,
//! and with payloads whose drops panic.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};

use common::bombs::{Calls, Touchies, blow, panic_of, row};
use selvedge::{CancelToken, Until};
use selvedge_crawl::{
    Builder, Crawler, Ended, ErrorKind, Fetch, FetchError, MemorySite, Outcome, Request, Response,
};

const START: &str = "http://loom.test/";

/// A start with `leaves` links.
fn star(leaves: usize) -> MemorySite {
    let links: String = (0..leaves).map(|leaf| format!("<a href={leaf}>")).collect();
    let start = MemorySite::new().page(START, &links);
    (0..leaves).fold(start, |site, leaf| site.page(&format!("{START}{leaf}"), ""))
}

fn crawler(builder: Builder) -> Crawler {
    builder.obey_robots(false).build().unwrap()
}

#[test]
fn first_of_several_callbacks_that_panic_reaches_the_owner_and_each_hears_of_the_page() {
    row(|| {
        for _ in 0..20 {
            let calls = Calls::default();
            let hears = calls.clone();
            let builder = Crawler::builder().fetch(star(0)).workers(1);
            let crawler = crawler(
                builder
                    .on_page(|_| blow("the first"))
                    .on_page(|_| blow("the second"))
                    .on_page(move |_| hears.hear()),
            );
            assert_eq!(panic_of(|| crawler.run(START)), "the first");
            assert_eq!(calls.count(), 1);
        }
    });
}

#[test]
fn callbacks_that_panic_on_all_workers_at_once_end_the_crawl_with_one_panic() {
    row(|| {
        let meet = Arc::new(Barrier::new(4));
        let meets = Arc::clone(&meet);
        let builder = Crawler::builder().fetch(star(8)).workers(4).per_host(4);
        let crawler = crawler(builder.on_page(move |page| {
            if &*page.url != START {
                meets.wait();
                blow("a callback");
            }
        }));
        assert_eq!(panic_of(|| crawler.run(START)), "a callback");
        // Nothing of it is left for the next crawl, which panics by itself.
        assert_eq!(panic_of(|| crawler.run(START)), "a callback");
    });
}

#[test]
fn reader_of_a_crawl_whose_callback_panics_sees_the_end_and_the_owner_gets_the_panic() {
    row(|| {
        let builder = Crawler::builder().fetch(star(100)).workers(3);
        let crawler = crawler(builder.on_page(|page| {
            if page.url.ends_with("/7") {
                blow("seven");
            }
        }));
        let mut crawl = crawler.spawn(START, Until::forever()).unwrap();
        assert!(crawl.by_ref().all(|page| !page.url.ends_with("/7")));
        assert_eq!(panic_of(|| crawl.finish()), "seven");
    });
}

#[test]
fn crawl_that_is_dropped_after_a_callback_has_panicked_is_silent() {
    row(|| {
        let crawler = crawler(Crawler::builder().fetch(star(3)).on_page(|_| blow("nobody hears of it")));
        let mut crawl = crawler.spawn(START, Until::forever()).unwrap();
        // The last worker has left.
        assert!(crawl.next().is_none());
        drop(crawl);
    });
}

#[test]
fn callback_that_panics_after_a_cancel_does_not_undo_what_was_found() {
    row(|| {
        let stop = CancelToken::new();
        let stops = stop.clone();
        let builder = Crawler::builder().fetch(star(50)).workers(2);
        let crawler = crawler(builder.on_page(move |page| {
            if page.url.ends_with("/9") {
                stops.cancel();
                blow("nine");
            }
        }));
        assert_eq!(panic_of(|| crawler.run_until(START, &stop)), "nine");
    });
}

#[test]
fn answers_that_panic_are_pages_that_failed_and_all_others_are_fetched() {
    row(|| {
        let bad = |site: MemorySite, leaf: usize| {
            site.answer(&format!("{START}{leaf}"), |_| blow("a payload that is not text"))
        };
        let site = (0..100).step_by(10).fold(star(100), bad);
        let report = crawler(Crawler::builder().fetch(site).retries(0)).run(START).unwrap();
        assert_eq!((report.pages().len(), report.ended()), (101, &Ended::Complete));
        let failed = Outcome::Failed(ErrorKind::Panicked);
        let records = report.pages().iter().filter_map(|page| page.record.as_ref());
        assert_eq!(records.filter(|record| record.outcome == failed).count(), 10);
    });
}

/// A fetcher whose drop panics.
struct TouchyFetch<T>(MemorySite, T);

impl<T: Send + Sync> Fetch for TouchyFetch<T> {
    fn fetch(&self, request: &Request<'_>) -> Result<Response, FetchError> {
        self.0.fetch(request)
    }
}

/// A builder whose fetcher and two callbacks panic when they are dropped: three touchy values.
fn touchy(touchies: &Touchies, calls: &Calls) -> Builder {
    let callback = || {
        let (held, hears) = (touchies.make(), calls.clone());
        move |_: &_| {
            let _ = &held;
            hears.hear();
        }
    };
    let builder = Crawler::builder().fetch(TouchyFetch(star(5), touchies.make()));
    builder.on_page(callback()).on_page(callback())
}

#[test]
fn fetcher_and_callbacks_whose_drops_panic_are_all_dropped_and_the_first_panic_is_the_droppers() {
    row(|| {
        let (touchies, calls) = (Touchies::default(), Calls::default());
        let builder = touchy(&touchies, &calls);
        assert_eq!(panic_of(|| drop(builder)), "a value's drop");
        assert_eq!(touchies.dropped(), 3);

        let crawler = crawler(touchy(&touchies, &calls));
        assert_eq!(panic_of(|| drop(crawler)), "a value's drop");
        assert_eq!(touchies.dropped(), 6);
    });
}

#[test]
fn report_comes_though_it_is_the_last_to_hold_what_panics_when_it_is_dropped() {
    row(|| {
        let (touchies, calls) = (Touchies::default(), Calls::default());
        let crawler = crawler(touchy(&touchies, &calls));
        let crawl = crawler.spawn(START, Until::forever()).unwrap();
        drop(crawler);
        let report = crawl.finish();
        assert_eq!((report.fetched(), report.ended()), (6, &Ended::Complete));
        // Two callbacks for each page.
        assert_eq!((touchies.dropped(), calls.count()), (3, 12));
    });
}

#[test]
fn callbacks_panic_comes_before_those_of_the_drops() {
    row(|| {
        let (touchies, calls) = (Touchies::default(), Calls::default());
        let crawler = crawler(touchy(&touchies, &calls).on_page(|_| blow("a callback")));
        let crawl = crawler.spawn(START, Until::forever()).unwrap();
        drop(crawler);
        assert_eq!(panic_of(|| crawl.finish()), "a callback");
        assert_eq!(touchies.dropped(), 3);
    });
}

#[test]
fn answers_whose_drops_panic_are_all_dropped() {
    row(|| {
        let (touchies, asked) = (Touchies::default(), Arc::new(AtomicUsize::new(0)));
        let site = (0..3).fold(star(3), |site, leaf| {
            let (held, asks) = (touchies.make(), Arc::clone(&asked));
            site.answer(&format!("{START}{leaf}"), move |_| {
                let _ = &held;
                asks.fetch_add(1, SeqCst);
                Ok(Response::html(""))
            })
        });
        let crawler = crawler(Crawler::builder().fetch(site));
        assert_eq!(crawler.run(START).unwrap().fetched(), 4);
        assert_eq!(panic_of(|| drop(crawler)), "a value's drop");
        assert_eq!((touchies.dropped(), asked.load(SeqCst)), (3, 3));
    });
}

#[test]
fn page_that_a_report_does_not_have_is_refused_with_both_numbers() {
    row(|| {
        let report = crawler(Crawler::builder().fetch(star(0))).run(START).unwrap();
        for told in [panic_of(|| report.page(7).depth), panic_of(|| report.resolution(7))] {
            assert!(told.contains('7') && told.contains('1'), "{told}");
        }
    });
}
