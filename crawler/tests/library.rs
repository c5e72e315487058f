//! What the library has beyond the program: hooks that see contents, settings for single origins, and a site
//! in memory that is slow and fails.

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{HOUR, within_a_minute};
use selvedge::{Clock, Latch, ManualClock, Until};
use selvedge_crawl::{BuildError, Crawler, ErrorKind, MemorySite, Outcome, Report, Response};

const START: &str = "http://loom.test/";

/// Runs a crawl whose clock advances by `step` whenever all its threads sleep.
fn run_stepwise(clock: &ManualClock, crawler: &Crawler, step: Duration) -> Report {
    // In the clock's scope, so that the clock knows the threads before they sleep for the first time.
    let crawl = clock.scope(|| crawler.background(START, Until::forever()).unwrap());
    loop {
        clock.settle();
        if crawl.wait_until(Duration::ZERO).is_ok() {
            return crawl.finish();
        }
        clock.advance(step);
    }
}

#[test]
fn content_hooks_see_what_was_read_with_its_links_and_nothing_else() {
    within_a_minute(|| {
        let site = MemorySite::new()
            .response(
                START,
                Response::of(
                    "text/html; charset=iso-8859-1",
                    b"caf\xE9 <a href=/gone>gone</a> <a href=/old>old</a>".to_vec(),
                ),
            )
            .redirect("http://loom.test/old", 301, "/new")
            .page("http://loom.test/new", "<a href=http://other.test/>elsewhere</a>")
            .response("http://loom.test/picture", Response::of("image/png", "x"));
        let seen = Arc::<Mutex<Vec<(String, String, Vec<String>)>>>::default();
        let (sees, tells) = (Arc::clone(&seen), Arc::clone(&seen));
        let crawler = Crawler::builder()
            .fetch(site)
            .workers(1)
            .on_content(move |page| {
                assert_eq!(page.response.status, 200);
                let links = page.links().map(|(url, text)| format!("{text}: {url}")).collect();
                sees.lock().unwrap().push((page.url.to_string(), page.text().into_owned(), links));
            })
            .on_page(move |page| {
                // The content of a page comes before the page.
                let seen = tells.lock().unwrap();
                let is_page = page.record.outcome == Outcome::Page;
                assert_eq!(seen.iter().any(|(url, ..)| **url == *page.url), is_page, "{}", page.url);
            })
            .build()
            .unwrap();
        crawler.run(START).unwrap();
        let seen = seen.lock().unwrap();
        let urls: Vec<&str> = seen.iter().map(|(url, ..)| url.as_str()).collect();
        assert_eq!(urls, [START, "http://loom.test/new"]);
        assert!(seen[0].1.starts_with("café "), "{}", seen[0].1);
        assert_eq!(seen[0].2, ["gone: http://loom.test/gone", "old: http://loom.test/old"]);
        assert_eq!(seen[1].2, ["elsewhere: http://other.test/"]);
    });
}

#[test]
fn content_hook_that_panics_stops_the_crawl_and_other_callbacks_are_still_called() {
    within_a_minute(|| {
        let told = Arc::new(Latch::new(1));
        let tells = Arc::clone(&told);
        let crawler = Crawler::builder()
            .fetch(MemorySite::new().page(START, ""))
            .on_content(|_| panic!("a scraper"))
            .on_page(move |_| tells.count_down())
            .build()
            .unwrap();
        let ended = std::panic::catch_unwind(|| crawler.run(START));
        assert_eq!(common::message(&*ended.unwrap_err()), "a scraper");
        assert!(told.is_open());
    });
}

#[test]
fn delay_of_one_origin_holds_there_and_nowhere_else() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let links =
            |host: &str| (0..5).map(|page| format!("<a href=http://{host}/{page}>")).collect::<String>();
        let site = MemorySite::new().clock(&clock).page(START, &(links("loom.test") + &links("slow.test")));
        let site = site.otherwise(|_| Ok(Response::status(404)));
        let crawler = Crawler::builder()
            .fetch(site.clone())
            .clock(&clock)
            .host("slow.test")
            .obey_robots(false)
            .delay(Duration::from_secs(1))
            .delay_for("http://slow.test", Duration::from_secs(60))
            .delay_for("http://loom.test/whatever/path", Duration::ZERO)
            .build()
            .unwrap();
        let begun = clock.now();
        run_stepwise(&clock, &crawler, Duration::from_secs(1));
        let times = |host: &str| {
            let asked = site.asked().into_iter().filter(|asked| asked.url.contains(host));
            asked.map(|asked| (asked.at - begun).as_secs()).collect::<Vec<_>>()
        };
        let slow = times("slow.test");
        assert_eq!(slow.len(), 5);
        assert!(slow.windows(2).all(|two| two[1] - two[0] >= 60), "{slow:?}");
        let fast = times("loom.test");
        assert_eq!(fast.len(), 6);
        assert!(
            fast.windows(2).all(|two| two[1] == two[0] || slow.contains(&two[1])) || fast[5] < 60,
            "{fast:?}"
        );
    });
}

#[test]
fn requests_at_a_time_of_one_origin_hold_there() {
    within_a_minute(|| {
        // All five of the wide host meet; the narrow one's come one by one.
        let meet = Arc::new(Latch::new(5));
        let (meets, narrow) = (Arc::clone(&meet), Arc::new(Mutex::new(())));
        let links =
            |host: &str| (0..5).map(|page| format!("<a href=http://{host}/{page}>")).collect::<String>();
        let site = MemorySite::new().page(START, &(links("wide.test") + &links("narrow.test")));
        let site = site.otherwise(move |request| {
            match request.url.host_str() {
                Some("wide.test") => {
                    meets.count_down();
                    meets.wait_until(HOUR).unwrap();
                }
                _ => drop(narrow.try_lock().expect("one at a time")),
            }
            Ok(Response::status(404))
        });
        let crawler = Crawler::builder()
            .fetch(site)
            .workers(8)
            .host("wide.test")
            .host("narrow.test")
            .obey_robots(false)
            .per_host(2)
            .per_host_for("http://wide.test", 5)
            .per_host_for("http://narrow.test", 1)
            .build()
            .unwrap();
        assert_eq!(crawler.run(START).unwrap().fetched(), 11);
    });
}

#[test]
fn pace_that_is_for_no_origin_or_for_no_request_is_refused() {
    let built = |builder: selvedge_crawl::Builder| builder.build().map(drop);
    let builder = Crawler::builder;
    assert_eq!(built(builder().delay_for("loom", Duration::ZERO)), Err(BuildError::BadOrigin));
    assert_eq!(built(builder().per_host_for("mailto:me@loom.test", 1)), Err(BuildError::BadOrigin));
    assert_eq!(built(builder().per_host_for(START, 0)), Err(BuildError::NoRequests));
}

#[test]
fn site_in_memory_fails_and_takes_its_time_as_planned() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let site = MemorySite::new()
            .clock(&clock)
            .page(START, "<a href=/lost> <a href=/slow> <a href=/silent>")
            .failure("http://loom.test/lost", ErrorKind::Tls)
            .page("http://loom.test/slow", "")
            .slow("http://loom.test/slow", Duration::from_secs(9))
            .page("http://loom.test/silent", "")
            .slow("http://loom.test/silent", Duration::from_secs(11));
        let crawler = Crawler::builder()
            .fetch(site)
            .clock(&clock)
            .retries(0)
            .timeout(Duration::from_secs(10))
            .build()
            .unwrap();
        let report = run_stepwise(&clock, &crawler, Duration::from_secs(1));
        let outcome = |path: &str| {
            let id = report.find(&format!("http://loom.test/{path}")).unwrap();
            report.page(id).outcome().unwrap()
        };
        assert_eq!(outcome("lost"), Outcome::Failed(ErrorKind::Tls));
        assert_eq!(outcome("slow"), Outcome::Page);
        assert_eq!(outcome("silent"), Outcome::Failed(ErrorKind::TimedOut));
    });
}
