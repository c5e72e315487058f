//! The crawler from outside, on sites in memory: each page once, at its shortest depth, and an exact end.

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use common::{HOUR, eventually, message, until_figure, within_a_minute};
use selvedge::error::WaitError;
use selvedge::{CancelToken, Latch, Until};
use selvedge_crawl::{
    BuildError, Builder, Crawler, Ended, ErrorKind, FetchError, MemorySite, Outcome, Problem, Report,
    Resolution, Response, Skip, StartError, State, Step,
};

const START: &str = "http://loom.test/0";

fn url(page: usize) -> String {
    format!("http://loom.test/{page}")
}

/// A site of `pages` pages, each of which links to all of them.
fn ring(pages: usize) -> MemorySite {
    let links: String = (0..pages).map(|page| format!("<a href='/{page}#there'>{page}</a>")).collect();
    (0..pages).fold(MemorySite::new(), |site, page| site.page(&url(page), &links))
}

fn run(builder: Builder, site: &MemorySite) -> Report {
    builder.fetch(site.clone()).build().unwrap().run(START).unwrap()
}

fn asked(site: &MemorySite) -> Vec<String> {
    site.asked().into_iter().map(|asked| asked.url).collect()
}

fn outcome(report: &Report, url: &str) -> Option<Outcome> {
    report.page(report.find(url)?).outcome()
}

#[test]
fn pages_that_all_link_to_each_other_do_not_stop_one_worker() {
    within_a_minute(|| {
        let site = ring(20);
        let report = run(Crawler::builder().workers(1).per_host(1), &site);
        assert_eq!((report.ended(), report.fetched()), (&Ended::Complete, 20));
        let mut asked = asked(&site);
        assert_eq!(asked[..2], ["http://loom.test/robots.txt".to_owned(), url(0)]);
        asked.sort();
        asked.dedup();
        assert_eq!(asked.len(), 21);
    });
}

#[test]
fn more_workers_than_places_at_the_host_fetch_each_page_once() {
    within_a_minute(|| {
        for (workers, per_host) in [(8, 1), (8, 3), (3, 8), (64, 64)] {
            let site = ring(60);
            let report = run(Crawler::builder().workers(workers).per_host(per_host), &site);
            assert_eq!((report.ended(), report.fetched()), (&Ended::Complete, 60));
            assert!(report.pages().iter().all(|page| page.depth <= 1));
            assert_eq!(site.asked().len(), 61); // and the robots.txt
        }
    });
}

#[test]
fn never_more_requests_at_a_host_than_it_lets_in() {
    within_a_minute(|| {
        let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let links: String = (0..200).map(|page| format!("<a href=/{page}>")).collect();
        let site = MemorySite::new().otherwise({
            let (inside, most) = (Arc::clone(&inside), Arc::clone(&most));
            move |_| {
                most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                thread::yield_now();
                inside.fetch_sub(1, SeqCst);
                Ok(Response::html(links.clone()))
            }
        });
        let report = run(Crawler::builder().workers(12).per_host(3), &site);
        assert_eq!(report.fetched(), 200);
        assert!(most.load(SeqCst) <= 3);
    });
}

#[test]
fn depth_is_the_shortest_although_the_short_way_answers_last() {
    within_a_minute(|| {
        // 0 -> slow -> target, and 0 -> 1 -> 2 -> target; `slow` answers when the target has been fetched.
        let seen = Arc::new(Latch::new(1));
        let (opens, waits) = (Arc::clone(&seen), Arc::clone(&seen));
        let site = MemorySite::new()
            .page(START, "<a href=slow> <a href=1>")
            .page(&url(1), "<a href=2>")
            .page(&url(2), "<a href=target>")
            .page("http://loom.test/behind", "")
            .answer("http://loom.test/slow", move |_| {
                waits.wait();
                Ok(Response::html("<a href=target>"))
            })
            .answer("http://loom.test/target", move |_| {
                opens.count_down();
                Ok(Response::html("<a href=behind>"))
            });
        let report = run(Crawler::builder().workers(4), &site);
        let depth = |url: &str| report.page(report.find(url).unwrap()).depth;
        assert_eq!((depth("http://loom.test/target"), depth("http://loom.test/behind")), (2, 3));
        assert_eq!(site.asked().len(), 7);
    });
}

#[test]
fn a_host_that_is_not_there_is_a_dead_link_and_not_a_skip() {
    within_a_minute(|| {
        let site = MemorySite::new();
        let report = run(Crawler::builder().workers(2), &site);
        assert_eq!(report.ended(), &Ended::Complete);
        let dead = report.dead_links();
        assert!(
            matches!(dead[..], [ref link] if matches!(link.problem, Problem::Failed { kind: ErrorKind::NoSuchHost, .. }))
        );
        assert_eq!(report.dead_count(), 1);
    });
}

#[test]
fn a_failed_page_is_reported_with_who_links_to_it_and_what_is_written_there() {
    within_a_minute(|| {
        let site = MemorySite::new()
            .page(START, "<a href=1>one</a> <a href=lost>the <i>lost</i> page</a>")
            .page(&url(1), "<a href=lost#part>once more</a>")
            .response("http://loom.test/lost", Response::status(410));
        let report = run(Crawler::builder(), &site);
        let dead = report.dead_links();
        assert_eq!((dead.len(), &dead[0].problem), (1, &Problem::Status(410)));
        let from: Vec<_> = dead[0].linked_from.iter().map(|from| (&*from.page, &*from.text)).collect();
        assert_eq!(from, [(START, "the lost page"), (&*url(1), "once more")]);
        let lost = report.page(report.find("http://loom.test/lost").unwrap());
        assert_eq!((lost.depth, lost.status(), lost.outcome()), (1, Some(410), Some(Outcome::Refused)));
    });
}

#[test]
fn redirects_are_pages_of_their_own_and_loops_are_dead() {
    within_a_minute(|| {
        let site = MemorySite::new()
            .page(START, "<a href=old> <a href=round> <a href=away> <a href=self> <a href=nowhere>")
            .redirect("http://loom.test/old", 301, "/older")
            .redirect("http://loom.test/older", 302, "1#x")
            .redirect("http://loom.test/round", 302, "/back")
            .redirect("http://loom.test/back", 302, "/round")
            .redirect("http://loom.test/self", 302, "")
            .redirect("http://loom.test/nowhere", 302, "javascript:void(0)")
            .redirect("http://loom.test/away", 307, "http://other.test/")
            .page(&url(1), "");
        let report = run(Crawler::builder(), &site);
        let resolution =
            |path: &str| report.resolution(report.find(&format!("http://loom.test/{path}")).unwrap());
        let one = report.find(&url(1)).unwrap();
        assert_eq!(
            resolution("old"),
            (vec![report.find("http://loom.test/older").unwrap(), one], Resolution::Alive)
        );
        assert_eq!((report.page(one).depth, report.page(one).hops), (1, 2));
        assert_eq!(resolution("round").1, Resolution::Dead(Problem::Loop));
        assert_eq!(resolution("self").1, Resolution::Dead(Problem::Loop));
        assert!(matches!(
            resolution("nowhere").1,
            Resolution::Dead(Problem::Failed { kind: ErrorKind::RedirectToNowhere, .. })
        ));
        assert_eq!(resolution("away").1, Resolution::Unknown);
        let away = report.page(report.find("http://other.test/").unwrap());
        assert_eq!(away.state, State::Skipped(Skip::OutOfScope));
        assert!(!asked(&site).iter().any(|url| url.starts_with("http://other.test")));
    });
}

#[test]
fn more_redirects_than_are_followed_are_dead() {
    within_a_minute(|| {
        let site = (0..9)
            .fold(MemorySite::new(), |site, page| site.redirect(&url(page), 302, &format!("/{}", page + 1)));
        let report = run(Crawler::builder().redirects(4), &site);
        assert_eq!(report.resolution(0).1, Resolution::Dead(Problem::TooManyRedirects));
        assert_eq!(report.fetched(), 5);
    });
}

#[test]
fn a_start_that_moves_house_takes_the_crawl_along() {
    within_a_minute(|| {
        let site = MemorySite::new()
            .redirect(START, 301, "http://www.loom.test/")
            .page("http://www.loom.test/", "<a href=/a>")
            .page("http://www.loom.test/a", "");
        let report = run(Crawler::builder(), &site);
        assert_eq!(outcome(&report, "http://www.loom.test/a"), Some(Outcome::Page));
    });
}

#[test]
fn limits_on_pages_depth_and_urls_are_kept_and_reported() {
    within_a_minute(|| {
        let report = run(Crawler::builder().pages(5), &ring(30));
        assert_eq!((report.fetched(), report.is_whole(), report.ended()), (5, false, &Ended::Complete));
        assert_eq!(report.in_state(State::Waiting).count(), 25);

        let chain = (0..9)
            .fold(MemorySite::new(), |site, page| site.page(&url(page), &format!("<a href=/{}>", page + 1)));
        let report = run(Crawler::builder().depth(3), &chain);
        assert_eq!((report.fetched(), report.in_state(State::TooFar).count()), (4, 1));
        assert_eq!(run(Crawler::builder().depth(0), &chain).fetched(), 1);

        let report = run(Crawler::builder().urls(4), &ring(30));
        assert_eq!((report.pages().len(), report.fetched(), report.refused()), (4, 4, 4 * 26));
        assert!(!report.is_whole());
        let report = run(Crawler::builder().links(7), &ring(10));
        assert_eq!((report.fetched(), report.unrecorded()), (10, 93));
        assert_eq!((0..10).map(|id| report.links(id).count()).sum::<usize>(), 7);
    });
}

#[test]
fn a_crawl_that_was_cancelled_before_it_began_says_so_and_asks_for_nothing() {
    within_a_minute(|| {
        let (site, token) = (ring(3), CancelToken::new());
        token.cancel_because("interrupted");
        let crawler = Crawler::builder().fetch(site.clone()).build().unwrap();
        let report = crawler.run_until(START, &token).unwrap();
        assert_eq!(report.ended(), &Ended::Cancelled("interrupted".into()));
        assert_eq!((report.fetched(), report.cut_off(), report.is_whole()), (0, 0, false));
        assert!(site.asked().is_empty());
    });
}

#[test]
fn a_crawl_out_of_time_says_that_time_was_the_reason() {
    within_a_minute(|| {
        let report = run(Crawler::builder().time(Duration::ZERO), &ring(3));
        assert_eq!((report.ended(), report.fetched()), (&Ended::OutOfTime, 0));
        let crawler = Crawler::builder().fetch(ring(3)).build().unwrap();
        let report = crawler.run_until(START, Duration::ZERO).unwrap();
        assert_eq!(report.ended(), &Ended::OutOfTime);
        assert_eq!(crawler.run_until(START, Duration::MAX).unwrap().fetched(), 3);
    });
}

#[test]
fn cancel_in_the_middle_returns_what_was_found_and_what_was_in_work_waits() {
    within_a_minute(|| {
        let reached = Arc::new(Latch::new(1));
        let site = {
            let reached = Arc::clone(&reached);
            MemorySite::new().page(START, "<a href=slow> <a href=1>").page(&url(1), "").answer(
                "http://loom.test/slow",
                move |request| {
                    reached.count_down();
                    request.token.wait();
                    Err(FetchError::new(ErrorKind::Stopped, ""))
                },
            )
        };
        let crawler = Crawler::builder().fetch(site).workers(2).build().unwrap();
        let crawl = crawler.spawn(START, HOUR).unwrap();
        reached.wait();
        crawl.token().cancel_because("enough");
        let report = crawl.finish();
        assert_eq!((report.ended(), report.cut_off()), (&Ended::Cancelled("enough".into()), 0));
        assert_eq!(outcome(&report, START), Some(Outcome::Page));
        assert_eq!(report.page(report.find("http://loom.test/slow").unwrap()).state, State::Waiting);
    });
}

#[test]
fn a_request_that_does_not_notice_the_end_is_left_behind() {
    within_a_minute(|| {
        let (reached, leave) = (Arc::new(Latch::new(1)), Arc::new(Latch::new(1)));
        let site = {
            let (reached, leave) = (Arc::clone(&reached), Arc::clone(&leave));
            MemorySite::new().page(START, "<a href=silent>").answer("http://loom.test/silent", move |_| {
                reached.count_down();
                leave.wait();
                Ok(Response::html(""))
            })
        };
        // Time enough for the other worker, who has the start to settle and to leave.
        let grace = Duration::from_secs(2);
        let crawler = Crawler::builder().fetch(site).workers(2).grace(grace).build().unwrap();
        let crawl = crawler.spawn(START, HOUR).unwrap();
        reached.wait();
        crawl.cancel();
        let report = crawl.finish();
        assert_eq!((report.cut_off(), report.fetched()), (1, 1));
        assert_eq!(report.in_state(State::Waiting).count(), 1);
        leave.count_down();
    });
}

#[test]
fn pages_come_as_they_are_settled_and_each_comes_once() {
    within_a_minute(|| {
        let crawler = Crawler::builder().fetch(ring(50)).workers(4).build().unwrap();
        let mut crawl = crawler.spawn(START, Until::forever()).unwrap();
        let seen: Vec<String> = crawl.by_ref().map(|page| page.url.to_string()).collect();
        assert_eq!((seen.len(), seen.iter().collect::<BTreeSet<_>>().len()), (50, 50));
        assert!(crawl.next().is_none());
        assert_eq!(crawl.finish().fetched(), 50);
    });
}

#[test]
fn a_reader_that_stops_reading_holds_the_crawl_up_and_finishing_reads_the_rest() {
    within_a_minute(|| {
        let site = ring(100);
        let crawler = Crawler::builder().fetch(site.clone()).workers(2).build().unwrap();
        let mut crawl = crawler.spawn(START, Until::forever()).unwrap();
        assert!(crawl.next().is_some());
        // One read, two unread in the queue, one in each worker's hand.
        eventually("both workers stand with a page in hand", || crawl.progress().counts.fetched == 5);
        // One is there without waiting; which one depends on who of the two came to the queue first.
        assert!(crawl.next_until(Duration::ZERO).unwrap().is_some());
        assert_eq!(crawl.finish().fetched(), 100);
    });
}

#[test]
fn waiting_for_a_page_has_a_limit_of_its_own() {
    within_a_minute(|| {
        let leave = Arc::new(Latch::new(1));
        let waits = Arc::clone(&leave);
        let site = MemorySite::new().answer(START, move |_| {
            waits.wait();
            Ok(Response::html(""))
        });
        let crawler = Crawler::builder().fetch(site).build().unwrap();
        let mut crawl = crawler.spawn(START, Until::forever()).unwrap();
        assert_eq!(crawl.next_until(Duration::ZERO).unwrap_err(), WaitError::TimedOut);
        let token = CancelToken::new();
        token.cancel();
        assert_eq!(crawl.next_until(&token).unwrap_err(), WaitError::Cancelled);
        leave.count_down();
        assert_eq!(&*crawl.next_until(HOUR).unwrap().unwrap().url, START);
        assert!(crawl.next_until(HOUR).unwrap().is_none());
    });
}

#[test]
fn a_crawl_that_is_dropped_stops() {
    within_a_minute(|| {
        let (sends, told) = channel();
        let site = MemorySite::new().otherwise(move |request| {
            let _ = sends.send(());
            let day: u64 = request.url.path()[1..].parse().unwrap_or(0);
            Ok(Response::html(format!("<a href=/{}>", day + 1)))
        });
        let crawler = Crawler::builder().fetch(site).obey_robots(false).build().unwrap();
        let mut crawl = crawler.spawn(START, Until::forever()).unwrap();
        assert!(crawl.next().is_some());
        let token = crawl.token().clone();
        drop(crawl);
        assert!(token.is_cancelled());
        drop(crawler);
        // The site goes with the last worker.
        while told.recv().is_ok() {}
    });
}

#[test]
fn a_panic_in_a_callback_stops_the_crawl_and_goes_on_at_its_owner() {
    within_a_minute(|| {
        let crawler = Crawler::builder().fetch(ring(500)).on_page(|page| {
            assert!(&*page.url != "http://loom.test/7", "seven");
        });
        let crawler = crawler.build().unwrap();
        let caught = std::panic::catch_unwind(|| crawler.run(START)).unwrap_err();
        assert!(message(&*caught).contains("seven"));
    });
}

#[test]
fn a_panic_in_a_fetcher_is_a_page_that_failed() {
    within_a_minute(|| {
        let site = MemorySite::new()
            .page(START, "<a href=1> <a href=2>")
            .answer(&url(1), |_| panic!("a planted panic"))
            .page(&url(2), "");
        let report = run(Crawler::builder(), &site);
        assert_eq!((report.fetched(), report.ended()), (3, &Ended::Complete));
        let record = report.page(report.find(&url(1)).unwrap()).record.clone().unwrap();
        assert_eq!(record.outcome, Outcome::Failed(ErrorKind::Panicked));
        assert_eq!(record.detail.as_deref(), Some("a planted panic"));
    });
}

#[test]
fn callbacks_are_told_of_every_page_and_may_take_their_time_without_a_place_at_the_host() {
    within_a_minute(|| {
        // The callback of the start waits for the next page, which the same host must let in meanwhile.
        let (count, second) = (Arc::new(AtomicUsize::new(0)), Arc::new(Latch::new(1)));
        let (counts, opens) = (Arc::clone(&count), Arc::clone(&second));
        let site = MemorySite::new().page(START, "<a href=1>").answer(&url(1), move |_| {
            opens.count_down();
            Ok(Response::html(""))
        });
        let builder = Crawler::builder().workers(2).per_host(1).on_page(move |page| {
            counts.fetch_add(1, SeqCst);
            if &*page.url == START {
                second.wait();
            }
        });
        assert_eq!(run(builder, &site).fetched(), 2);
        assert_eq!(count.load(SeqCst), 2);
    });
}

#[test]
fn a_builder_that_would_fetch_nothing_says_so() {
    let error = |builder: Builder| builder.build().unwrap_err();
    assert_eq!(error(Crawler::builder().workers(0)), BuildError::NoWorkers);
    assert_eq!(error(Crawler::builder().per_host(0)), BuildError::NoRequests);
    assert_eq!(error(Crawler::builder().urls(0)), BuildError::NoUrls);
    assert_eq!(error(Crawler::builder().user_agent("")), BuildError::BadAgent);
    assert_eq!(error(Crawler::builder().user_agent("a\nb")), BuildError::BadAgent);
    assert!(BuildError::NoWorkers.to_string().contains("at least 1"));
}

#[test]
fn a_start_that_is_none_says_what_it_should_be() {
    let crawler = Crawler::builder().fetch(MemorySite::new()).build().unwrap();
    for (start, hint) in [
        ("loom.test", "https://loom.test"),
        ("localhost:80", "http://localhost:80"),
        ("ftp://loom.test/", "only http"),
        ("http://[", "not a URL"),
    ] {
        let error = crawler.run(start).unwrap_err();
        assert!(error.to_string().contains(hint), "{start}: {error}");
    }
    assert!(matches!(crawler.run("x"), Err(StartError::NotAUrl { .. })));
}

#[test]
fn a_report_knows_both_ends_of_each_link() {
    within_a_minute(|| {
        let report = run(Crawler::builder(), &ring(4));
        for id in 0..4 {
            let to: BTreeSet<_> = report.links(id).map(|link| link.page).collect();
            let from: BTreeSet<_> = report.linked_from(id).map(|link| link.page).collect();
            assert_eq!((&to, to.len()), (&from, 4));
            assert!(
                report
                    .links(id)
                    .all(|link| link.step == Step::Link && link.text == url_end(&report, link.page))
            );
        }
    });
}

fn url_end(report: &Report, id: u32) -> &str {
    report.page(id).url.rsplit('/').next().unwrap()
}

#[test]
fn debug_shows_how_far_it_is_without_waiting() {
    within_a_minute(|| {
        let leave = Arc::new(Latch::new(1));
        let waits = Arc::clone(&leave);
        let site = ring(1).answer("http://loom.test/robots.txt", move |_| {
            waits.wait();
            Ok(Response::status(404))
        });
        let crawler = Crawler::builder().fetch(site).workers(3).build().unwrap();
        let crawl = crawler.spawn(START, Until::forever()).unwrap();
        until_figure(&crawl, "sleeping", 2);
        until_figure(&crawl, "out", 1);
        leave.count_down();
        assert_eq!(crawl.finish().fetched(), 1);
    });
}
