//! What a crawl must obey: politeness on a manual clock, robots.txt, sitemaps, retries, leaves, resuming.

mod common;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use common::{figure, within_a_minute};
use selvedge::{CancelToken, Clock, Latch, ManualClock, Until};
use selvedge_crawl::{
    Asked, Builder, Crawl, Crawler, Ended, ErrorKind, FetchError, MemorySite, Method, Outcome, Pattern,
    Report, Response, Skip, State,
};

const START: &str = "http://loom.test/0";
const MILLI: Duration = Duration::from_millis(1);

fn run(builder: Builder, site: &MemorySite) -> Report {
    builder.fetch(site.clone()).build().unwrap().run(START).unwrap()
}

fn count(site: &MemorySite, url: &str) -> usize {
    site.asked().iter().filter(|asked| asked.url == url).count()
}

fn page<'a>(report: &'a Report, url: &str) -> &'a selvedge_crawl::Page {
    report.page(report.find(url).unwrap_or_else(|| panic!("{url} was not found")))
}

/// Crawls on a manual clock, which goes on by `step` whenever nothing but the time can.
fn run_by_hand(
    builder: Builder,
    workers: usize,
    site: &MemorySite,
    clock: &ManualClock,
    step: Duration,
) -> Report {
    let token = CancelToken::with_clock(clock);
    let crawler = builder.workers(workers).clock(clock).fetch(site.clone().clock(clock)).build().unwrap();
    let mut crawl = crawler.spawn(START, &token).unwrap();
    loop {
        match crawl.next_until(Duration::ZERO) {
            Ok(None) => return crawl.finish(),
            Ok(Some(_)) => {}
            Err(_) if only_time_can(&crawl, workers, clock) => clock.advance(step),
            Err(_) => thread::yield_now(),
        }
    }
}

/// No page is in work, every worker sleeps, and one has an alarm that has not rung.
fn only_time_can(crawl: &Crawl, workers: usize, clock: &ManualClock) -> bool {
    figure(clock, "alarms").is_some_and(|alarms| alarms > 0)
        && figure(crawl, "out") == Some(0)
        && figure(crawl, "sleeping") == Some(workers)
}

/// The times between the beginnings of requests to each host.
fn gaps(asked: &[Asked]) -> HashMap<String, Vec<Duration>> {
    let mut by_host: HashMap<String, Vec<_>> = HashMap::new();
    for asked in asked {
        let host = asked.url.split('/').nth(2).unwrap().to_owned();
        by_host.entry(host).or_default().push(asked.at);
    }
    let gaps = |at: Vec<std::time::Instant>| at.windows(2).map(|two| two[1] - two[0]).collect();
    by_host.into_iter().map(|(host, at)| (host, gaps(at))).collect()
}

/// Three hosts, each page of which links to all pages of all hosts.
fn three_hosts(pages: usize) -> MemorySite {
    let urls =
        ["loom", "weft", "warp"].map(|host| (0..pages).map(move |page| format!("http://{host}.test/{page}")));
    let urls: Vec<String> = urls.into_iter().flatten().collect();
    let links: String = urls.iter().map(|url| format!("<a href={url}>")).collect();
    urls.iter().fold(MemorySite::new(), |site, url| site.page(url, &links))
}

#[test]
fn a_delay_holds_under_any_number_of_workers() {
    within_a_minute(|| {
        for workers in [1, 2, 7, 16] {
            let clock = Clock::manual();
            let site = three_hosts(6);
            let builder = Crawler::builder().delay(200 * MILLI).host("weft.test").host("warp.test");
            let report = run_by_hand(builder, workers, &site, &clock, 10 * MILLI);
            assert_eq!((report.fetched(), report.ended()), (18, &Ended::Complete));
            for (host, gaps) in gaps(&site.asked()) {
                assert_eq!(gaps.len(), 6, "{host}: six pages and its robots.txt");
                // Exactly: never sooner, and as soon as it may.
                assert!(gaps.iter().all(|&gap| gap == 200 * MILLI), "{workers} workers at {host}: {gaps:?}");
            }
        }
    });
}

#[test]
fn a_crawl_delay_in_robots_txt_holds_where_it_is_longer() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let robots = "User-agent: *\nCrawl-delay: 0.5";
        let site = three_hosts(4).response("http://weft.test/robots.txt", Response::of("text/plain", robots));
        let builder = Crawler::builder().delay(100 * MILLI).host("weft.test").host("warp.test");
        run_by_hand(builder, 8, &site, &clock, 50 * MILLI);
        let gaps = gaps(&site.asked());
        assert!(gaps["weft.test"].iter().all(|&gap| gap == 500 * MILLI), "{gaps:?}");
        assert!(gaps["loom.test"].iter().all(|&gap| gap == 100 * MILLI), "{gaps:?}");
    });
}

#[test]
fn robots_txt_is_asked_for_once_per_host_and_obeyed() {
    within_a_minute(|| {
        let robots = "User-agent: *\nDisallow: /no\nAllow: /no/but\n\nUser-agent: other\nDisallow: /";
        let site = MemorySite::new()
            .response("http://loom.test/robots.txt", Response::of("text/plain", robots))
            .page(START, "<a href=/no/1> <a href=/no/but/2> <a href=/3>")
            .page("http://loom.test/no/but/2", "")
            .page("http://loom.test/3", "");
        let report = run(Crawler::builder().workers(8), &site);
        assert_eq!(count(&site, "http://loom.test/robots.txt"), 1);
        assert_eq!(page(&report, "http://loom.test/no/1").state, State::Skipped(Skip::Robots));
        assert_eq!(page(&report, "http://loom.test/no/but/2").outcome(), Some(Outcome::Page));
        assert_eq!(report.visits().iter().filter(|visit| visit.page.is_none()).count(), 1);

        let report = run(Crawler::builder().obey_robots(false), &site);
        assert_eq!(page(&report, "http://loom.test/no/1").status(), Some(404));
        let report = run(Crawler::builder().user_agent("other/2"), &site);
        assert_eq!(report.fetched(), 0);
    });
}

#[test]
fn robots_txt_that_fails_allows_nothing_and_one_that_is_missing_everything() {
    within_a_minute(|| {
        let of = |answer: Response| {
            let site = MemorySite::new().page(START, "").response("http://loom.test/robots.txt", answer);
            run(Crawler::builder().retries(0), &site).page(0).state
        };
        assert_eq!(of(Response::status(500)), State::Skipped(Skip::RobotsUnreadable));
        assert_eq!(of(Response::status(503)), State::Skipped(Skip::RobotsUnreadable));
        assert_eq!(of(Response::status(403)), State::Fetched);
        assert_eq!(of(Response::redirect(301, "/robots.txt")), State::Fetched);
        // A disallow behind a redirect is one.
        let site = MemorySite::new()
            .page(START, "")
            .redirect("http://loom.test/robots.txt", 301, "/rules")
            .response("http://loom.test/rules", Response::of("text/plain", "User-agent: *\nDisallow: /"));
        assert_eq!(run(Crawler::builder(), &site).page(0).state, State::Skipped(Skip::Robots));
    });
}

#[test]
fn a_host_that_fails_for_the_moment_is_asked_for_its_rules_again() {
    within_a_minute(|| {
        let times = Arc::new(AtomicUsize::new(0));
        let site = MemorySite::new().page(START, "").answer("http://loom.test/robots.txt", {
            let times = Arc::clone(&times);
            move |_| match times.fetch_add(1, SeqCst) {
                0 => Err(FetchError::new(ErrorKind::ConnectionLost, "")),
                1 => Ok(Response::status(503)),
                _ => Ok(Response::status(404)),
            }
        });
        let clock = Clock::manual();
        let report = run_by_hand(Crawler::builder(), 3, &site, &clock, 100 * MILLI);
        assert_eq!((report.page(0).outcome(), times.load(SeqCst)), (Some(Outcome::Page), 3));
    });
}

#[test]
fn crawls_of_one_crawler_ask_each_host_once() {
    within_a_minute(|| {
        let site = three_hosts(3);
        let builder = Crawler::builder().fetch(site.clone()).host("weft.test").host("warp.test");
        let crawler = builder.build().unwrap();
        thread::scope(|s| {
            for _ in 0..3 {
                s.spawn(|| assert_eq!(crawler.run(START).unwrap().fetched(), 9));
            }
        });
        assert_eq!(count(&site, "http://loom.test/robots.txt"), 1);
        assert_eq!(count(&site, "http://warp.test/robots.txt"), 1);
        assert_eq!(site.asked().len(), 3 + 3 * 9);
    });
}

#[test]
fn sitemaps_lead_to_pages_that_nobody_links_to() {
    within_a_minute(|| {
        let xml = |text: &str| Response::of("application/xml", text.as_bytes());
        let robots = "Sitemap: /maps.xml\nUser-agent: *\nDisallow: /no";
        let site = MemorySite::new()
            .page(START, "")
            .response("http://loom.test/robots.txt", Response::of("text/plain", robots))
            .response("http://loom.test/maps.xml", xml("<sitemapindex><loc>/one.xml</loc></sitemapindex>"))
            .response(
                "http://loom.test/one.xml",
                xml("<urlset><loc>http://loom.test/lone</loc><loc>http://other.test/</loc></urlset>"),
            )
            .page("http://loom.test/lone", "");
        let report = run(Crawler::builder().sitemaps(true), &site);
        let lone = page(&report, "http://loom.test/lone");
        assert_eq!((lone.outcome(), lone.depth), (Some(Outcome::Page), 1));
        assert_eq!(page(&report, "http://loom.test/one.xml").outcome(), Some(Outcome::Sitemap));
        assert_eq!(page(&report, "http://other.test/").state, State::Skipped(Skip::OutOfScope));
        assert!(report.dead_links().is_empty());
        assert_eq!(run(Crawler::builder(), &site).fetched(), 1);
    });
}

#[test]
fn what_fails_for_the_moment_is_tried_again_and_then_reported() {
    within_a_minute(|| {
        let times = Arc::new(AtomicUsize::new(0));
        let site = MemorySite::new()
            .page(START, "<a href=passing> <a href=staying> <a href=lost> <a href=broken>")
            .answer("http://loom.test/passing", {
                let times = Arc::clone(&times);
                move |_| match times.fetch_add(1, SeqCst) {
                    0 => Err(FetchError::new(ErrorKind::TimedOut, "")),
                    1 => Ok(Response::status(503)),
                    _ => Ok(Response::html("")),
                }
            })
            .response("http://loom.test/staying", Response::status(502))
            .response("http://loom.test/broken", Response::status(500));
        let clock = Clock::manual();
        let report = run_by_hand(Crawler::builder().retries(2), 4, &site, &clock, 50 * MILLI);
        let record = |path: &str| page(&report, &format!("http://loom.test/{path}")).record.clone().unwrap();
        assert_eq!((record("passing").outcome, record("passing").retries), (Outcome::Page, 2));
        assert_eq!((record("staying").status, record("staying").retries), (Some(502), 2));
        assert_eq!(count(&site, "http://loom.test/staying"), 3);
        assert_eq!((record("lost").retries, record("broken").retries), (0, 0));
        // At least half of 500 ms before the first, and of 1 s before the second.
        let asked: Vec<_> = site.asked().into_iter().filter(|asked| asked.url.ends_with("staying")).collect();
        assert!(asked[1].at - asked[0].at >= 250 * MILLI && asked[1].at - asked[0].at <= 550 * MILLI);
        assert!(asked[2].at - asked[1].at >= 500 * MILLI && asked[2].at - asked[1].at <= 1_050 * MILLI);
    });
}

#[test]
fn a_host_that_says_when_is_left_alone_until_then_and_others_go_on() {
    within_a_minute(|| {
        let times = Arc::new(AtomicUsize::new(0));
        let site = three_hosts(3).answer("http://weft.test/0", {
            let times = Arc::clone(&times);
            move |_| match times.fetch_add(1, SeqCst) {
                0 => Ok(Response::status(429).header("Retry-After", "7")),
                _ => Ok(Response::html("")),
            }
        });
        let clock = Clock::manual();
        let builder = Crawler::builder().per_host(1).host("weft.test").host("warp.test");
        let report = run_by_hand(builder, 4, &site, &clock, 500 * MILLI);
        assert_eq!(report.fetched(), 9);
        // Nothing else is asked of it between the answer and the end of the pause.
        let asked = site.asked();
        let before = asked.iter().filter(|asked| asked.url.starts_with("http://weft.test/"));
        let first: Vec<&str> = before.take(2).map(|asked| asked.url.as_str()).collect();
        assert_eq!(first, ["http://weft.test/robots.txt", "http://weft.test/0"]);
        let gaps = gaps(&asked);
        let (zero, pause) = (Duration::ZERO, 7_000 * MILLI);
        assert_eq!(gaps["weft.test"], [zero, pause, zero, zero]);
        assert!(gaps["warp.test"].iter().all(Duration::is_zero), "{gaps:?}");
    });
}

#[test]
fn a_host_that_asks_for_too_long_a_wait_is_not_asked_again() {
    within_a_minute(|| {
        let answer = Response::status(503).header("retry-after", "61");
        let site = MemorySite::new().response(START, answer);
        let report = run(Crawler::builder(), &site);
        assert_eq!((report.page(0).status(), count(&site, START)), (Some(503), 1));
    });
}

#[test]
fn leaves_are_looked_at_with_head_and_with_get_where_that_is_refused() {
    within_a_minute(|| {
        let site = MemorySite::new()
            .page(
                START,
                "<img src=a.png> <a href=http://other.test/x> <a href=http://other.test/no-head> <a href=/y>",
            )
            .response("http://loom.test/a.png", Response::of("image/png", "not read"))
            .page("http://loom.test/y", "")
            .page("http://other.test/x", "<a href=http://third.test/>")
            .answer("http://other.test/no-head", |request| match request.method {
                Method::Head => Ok(Response::status(405)),
                Method::Get => Ok(Response::html("<a href=http://third.test/>")),
            });
        let report = run(Crawler::builder().external(true).assets(true), &site);
        let methods = |url: &str| -> Vec<Method> {
            site.asked().iter().filter(|asked| asked.url == url).map(|asked| asked.method).collect()
        };
        assert_eq!(methods("http://loom.test/a.png"), [Method::Head]);
        assert_eq!(methods("http://other.test/x"), [Method::Head]);
        assert_eq!(methods("http://other.test/no-head"), [Method::Head, Method::Get]);
        assert_eq!(methods("http://loom.test/y"), [Method::Get]);
        assert_eq!(page(&report, "http://other.test/no-head").outcome(), Some(Outcome::Alive));
        assert!(report.find("http://third.test/").is_none(), "what is only looked at leads nowhere");
        assert!(report.dead_links().is_empty());

        let report = run(Crawler::builder(), &site);
        assert!(report.find("http://loom.test/a.png").is_none());
        assert_eq!(page(&report, "http://other.test/x").state, State::Skipped(Skip::OutOfScope));
    });
}

#[test]
fn an_asset_that_is_also_a_page_is_read_once_somebody_links_to_it() {
    within_a_minute(|| {
        let site = MemorySite::new()
            .page(START, "<img src=both> <a href=1>")
            .page("http://loom.test/1", "<a href=both>")
            .page("http://loom.test/both", "<a href=2>")
            .page("http://loom.test/2", "");
        let report = run(Crawler::builder().assets(true).workers(1), &site);
        assert_eq!(page(&report, "http://loom.test/both").outcome(), Some(Outcome::Page));
        assert_eq!(page(&report, "http://loom.test/2").outcome(), Some(Outcome::Page));
        assert_eq!(count(&site, "http://loom.test/both"), 2); // HEAD, then GET
    });
}

#[test]
fn the_scope_leaves_out_what_it_says() {
    within_a_minute(|| {
        let site = MemorySite::new()
            .page(
                START,
                "<a href=/docs/a.html> <a href=/docs/b.txt> <a href=/blog/> <a href=/docs/old/c.html> \
                <a href=http://sub.loom.test/docs/d.html>",
            )
            .page("http://loom.test/docs/a.html", "")
            .page("http://sub.loom.test/docs/d.html", "");
        let builder = Crawler::builder().path_prefix("/docs/").include(Pattern::glob("*.html").unwrap());
        let report = run(builder.exclude(Pattern::regex("/old/").unwrap()).subdomains(true), &site);
        let read: Vec<_> =
            report.pages().iter().filter(|page| page.record.is_some()).map(|page| &*page.url).collect();
        assert_eq!(read, [START, "http://loom.test/docs/a.html", "http://sub.loom.test/docs/d.html"]);
        assert_eq!(report.skipped(Skip::OutOfScope).count(), 3);
    });
}

#[test]
fn bodies_beyond_the_cap_and_other_types_are_alive_and_not_read() {
    within_a_minute(|| {
        let site = MemorySite::new()
            .page(START, "<a href=large> <a href=pdf> <a href=xml>")
            .page("http://loom.test/large", &"<a href=x>".repeat(20))
            .response("http://loom.test/pdf", Response::of("application/pdf", "<a href=x>"))
            .response("http://loom.test/xml", Response::of("Application/XHTML+XML", "<a href=pdf>"));
        let report = run(Crawler::builder().body_cap(100), &site);
        assert_eq!(page(&report, "http://loom.test/large").outcome(), Some(Outcome::TooLarge));
        assert_eq!(page(&report, "http://loom.test/pdf").outcome(), Some(Outcome::Alive));
        assert_eq!(page(&report, "http://loom.test/xml").outcome(), Some(Outcome::Page));
        assert!(report.find("http://loom.test/x").is_none());
        let report = run(Crawler::builder().content_types(["application/pdf", "text/html"]), &site);
        assert!(report.find("http://loom.test/x").is_some());
    });
}

#[test]
fn headers_and_the_user_agent_are_in_every_request() {
    within_a_minute(|| {
        let site = MemorySite::new().otherwise(|request| {
            assert_eq!(request.agent, "weaver/1");
            assert_eq!(request.headers, [("X-Loom".to_owned(), "yes".to_owned())]);
            Ok(Response::status(404))
        });
        let report = run(Crawler::builder().user_agent("weaver/1").header("X-Loom", "yes"), &site);
        assert_eq!((report.page(0).status(), site.asked().len()), (Some(404), 2));
    });
}

/// A binary tree of pages, of which `/5` fails the first time.
fn tree(first: Arc<AtomicUsize>) -> MemorySite {
    MemorySite::new().otherwise(move |request| {
        let Ok(page) = request.url.path()[1..].parse::<usize>() else { return Ok(Response::status(404)) };
        match page {
            5 if first.fetch_add(1, SeqCst) == 0 => Err(FetchError::new(ErrorKind::ConnectionLost, "")),
            40.. => Ok(Response::status(404)),
            _ => {
                Ok(Response::html(format!("<a href=/{}>a</a> <a href=/{}>b</a>", 2 * page + 1, 2 * page + 2)))
            }
        }
    })
}

#[test]
fn a_crawl_that_was_stopped_goes_on_from_its_state_and_finds_the_same() {
    within_a_minute(|| {
        let whole = run(Crawler::builder(), &tree(Arc::new(AtomicUsize::new(1))));
        let site = tree(Arc::default());
        let builder = || Crawler::builder().fetch(site.clone()).workers(3).retries(0);
        let mut part = builder().pages(17).build().unwrap().run(START).unwrap();
        assert!(!part.is_whole() && part.fetched() == 17);
        for rounds in 1.. {
            let mut state = Vec::new();
            part.write_json(&mut state).unwrap();
            part = Report::read_json(&state[..]).unwrap();
            let crawler = builder().pages(17 + 20 * rounds).build().unwrap();
            part = crawler.resume(part, Until::forever()).unwrap().finish();
            if part.is_whole() {
                break;
            }
        }
        let told = |report: &Report| {
            let row = |page: &selvedge_crawl::Page| {
                (page.url.to_string(), page.depth, page.status(), page.outcome())
            };
            let mut rows: Vec<_> = report.pages().iter().map(row).collect();
            rows.sort_by(|a, b| a.0.cmp(&b.0));
            (rows, report.dead_count())
        };
        assert_eq!(told(&part), told(&whole));
        // Each page once, but for the one that failed, and the robots.txt once a crawler.
        let mut asked: Vec<_> = site.asked().into_iter().map(|asked| asked.url).collect();
        asked.retain(|url| !url.ends_with("robots.txt") && !url.ends_with("/5"));
        let all = asked.len();
        asked.sort();
        asked.dedup();
        assert_eq!(asked.len(), all);
    });
}

#[test]
fn cancel_returns_a_state_that_goes_on() {
    within_a_minute(|| {
        let (reached, hold) = (Arc::new(Latch::new(1)), Arc::new(AtomicUsize::new(0)));
        let site = {
            let (reached, hold) = (Arc::clone(&reached), Arc::clone(&hold));
            MemorySite::new()
                .page(START, "<a href=slow>the slow one</a> <a href='http://['> <a href=mailto:a@b.test>")
                .answer("http://loom.test/slow", move |request| {
                    if hold.fetch_add(1, SeqCst) > 0 {
                        return Ok(Response::html(""));
                    }
                    reached.count_down();
                    request.token.wait();
                    Err(FetchError::new(ErrorKind::Stopped, ""))
                })
        };
        let crawler = Crawler::builder().fetch(site).build().unwrap();
        let crawl = crawler.spawn(START, Until::forever()).unwrap();
        reached.wait();
        crawl.cancel();
        let part = crawl.finish();
        assert!(matches!(part.ended(), Ended::Cancelled(_)), "{:?} {}", part.ended(), part.fetched());
        let mut state = Vec::new();
        part.write_json(&mut state).unwrap();
        let part = Report::read_json(&state[..]).unwrap();
        assert!(matches!(part.ended(), Ended::Cancelled(_)));
        let whole = crawler.resume(part, Until::forever()).unwrap().finish();
        assert_eq!((whole.fetched(), whole.is_whole()), (2, true));
        let slow = whole.find("http://loom.test/slow").unwrap();
        assert_eq!(whole.linked_from(slow).next().unwrap().text, "the slow one");
        assert_eq!((whole.broken().count(), whole.not_http().count()), (1, 1));
    });
}

#[test]
fn what_is_no_report_is_told_so() {
    for (text, hint) in [("", "no report"), ("{}", "no report"), ("[1]", "no report")] {
        let error = Report::read_json(text.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(hint), "{text}: {error}");
    }
    let mut state = Vec::new();
    run(Crawler::builder(), &three_hosts(1)).write_json(&mut state).unwrap();
    let state = String::from_utf8(state).unwrap();
    let other = state.replace("selvedge-crawl/1", "selvedge-crawl/2");
    assert!(Report::read_json(other.as_bytes()).unwrap_err().to_string().contains("only"));
    let stray = state.replace("\"links\":[[0,", "\"links\":[[77,");
    assert!(Report::read_json(stray.as_bytes()).unwrap_err().to_string().contains("page 77"), "{state}");
}

#[test]
fn every_way_to_show_a_report_names_the_dead_link_and_the_page_it_is_on() {
    within_a_minute(|| {
        let site =
            MemorySite::new().page(START, "<a href='/lost,\"x\"&<y>'>the &lt;lost&gt; one</a> <a href=1>");
        let report = run(Crawler::builder(), &site);
        let shown = |write: &dyn Fn(&mut Vec<u8>) -> std::io::Result<()>| {
            let mut out = Vec::new();
            write(&mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let text = report.to_text(false);
        assert!(text.contains("404 Not Found") && text.contains("on /0"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&shown(&|out| report.write_json(out))).unwrap();
        assert_eq!(json["dead"][0]["linked_from"][0]["text"], "the <lost> one");
        assert_eq!(json["dead"][0]["reason"], "404 Not Found");
        assert_eq!((json["pages"].as_array().unwrap().len(), &json["ended"]), (3, &"complete".into()));
        let csv = shown(&|out| report.write_csv(out));
        assert_eq!(csv.lines().count(), 4);
        assert!(csv.contains(",refused,404,404 Not Found,1,"), "{csv}");
        let html = shown(&|out| report.write_html(out));
        assert!(html.contains("the &lt;lost&gt; one") && html.matches("<svg").count() == 2, "{html}");
        assert!(!html.contains("<lost>"));
    });
}
