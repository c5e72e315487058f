//! A crawl that is stopped while a server is silent ends, with what was found.

mod common;

use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use common::server::{Asked, Server, page, reply};
use common::tool::{command, text};
use common::{HOUR, within_a_minute};
use selvedge::{CancelToken, Latch, Until};
use selvedge_crawl::{Crawler, Ended, MemorySite, Report, Response, State};

#[test]
#[cfg(unix)]
fn an_interrupt_while_a_server_is_silent_ends_the_program_with_what_was_found() {
    within_a_minute(|| {
        let asked = Arc::new(Latch::new(1));
        let tells = Arc::clone(&asked);
        let server =
            Server::open(IpAddr::V4(Ipv4Addr::LOCALHOST), move |asked: &Asked, stream: &mut TcpStream| {
                match asked.path.as_str() {
                    "/" => page(stream, "<a href=/lost>lost</a> <a href=/silent>silent</a>"),
                    "/silent" => {
                        tells.count_down();
                        io::copy(stream, &mut io::sink()).map(drop)
                    }
                    _ => reply(stream, "404 -", "", b""),
                }
            })
            .unwrap();
        // One worker, so that the dead link has been settled when the silent page is asked for. Its time-outs
        // are longer than the test's.
        let mut child = command(&[&server.url("/"), "--timeout", "600", "--workers", "1", "--quiet"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        asked.wait();
        let interrupted = std::process::Command::new("sh")
            .args(["-c", &format!("kill -INT {}", child.id())])
            .status()
            .unwrap();
        assert!(interrupted.success());
        let mut told = Vec::new();
        child.stdout.take().unwrap().read_to_end(&mut told).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130));
        assert!(text(&told).contains("/lost"), "{}", text(&told));
    });
}

#[test]
fn the_iterator_of_a_crawl_ends_when_it_is_cancelled_though_a_request_does_not() {
    within_a_minute(|| {
        let (reached, leave) = (Arc::new(Latch::new(1)), Arc::new(Latch::new(1)));
        let (tells, waits) = (Arc::clone(&reached), Arc::clone(&leave));
        let site = MemorySite::new().page("http://loom.test/", "<a href=silent>").answer(
            "http://loom.test/silent",
            move |_| {
                tells.count_down();
                waits.wait();
                Ok(Response::html(""))
            },
        );
        let crawler = Crawler::builder().fetch(site).workers(1).build().unwrap();
        let mut crawl = crawler.spawn("http://loom.test/", Until::forever()).unwrap();
        assert!(crawl.next().is_some());
        reached.wait();
        crawl.token().cancel_because("enough");
        assert_eq!(crawl.by_ref().count(), 0);
        let report = crawl.finish();
        assert_eq!((report.cut_off(), report.ended()), (1, &Ended::Cancelled("enough".into())));
        leave.count_down();
    });
}

/// How a crawl is run, and what it is cancelled by.
type Form = fn(&Crawler, &CancelToken) -> Report;

/// A crawl in each form in which there is one, stopped by its token.
const FORMS: [(&str, Form); 4] = [
    ("run", |crawler, stop| crawler.run_until("http://loom.test/", stop).unwrap()),
    ("iterator", |crawler, stop| {
        let mut crawl = crawler.spawn("http://loom.test/", stop).unwrap();
        assert_eq!(crawl.by_ref().count(), 1);
        crawl.finish()
    }),
    ("iterator that is not read", |crawler, stop| crawler.spawn("http://loom.test/", stop).unwrap().finish()),
    ("background", |crawler, stop| {
        let crawl = crawler.background("http://loom.test/", stop).unwrap();
        crawl.wait_until(HOUR).unwrap();
        crawl.finish()
    }),
];

/// Crawls a site with a page that is silent until `leave`, and cancels the crawl when that page is asked for.
fn cancelled_while_silent(form: Form, grace: Duration, leave: &Arc<Latch>) -> Report {
    let (stop, waits) = (CancelToken::new(), Arc::clone(leave));
    let stops = stop.clone();
    let site = MemorySite::new().page("http://loom.test/", "<a href=silent>").answer(
        "http://loom.test/silent",
        move |_| {
            stops.cancel();
            waits.wait();
            Ok(Response::html(""))
        },
    );
    form(&Crawler::builder().fetch(site).workers(1).grace(grace).build().unwrap(), &stop)
}

#[test]
fn request_that_outlasts_the_grace_is_left_behind_in_each_form() {
    for (name, form) in FORMS {
        let leave = Arc::new(Latch::new(1));
        let stays = Arc::clone(&leave);
        let report = within_a_minute(move || cancelled_while_silent(form, Duration::ZERO, &stays));
        leave.count_down();
        assert_eq!(report.cut_off(), 1, "{name}");
        assert!(matches!(report.ended(), Ended::Cancelled(_)), "{name}");
        assert_eq!(report.in_state(State::Waiting).count(), 1, "{name}");
    }
}

#[test]
fn request_that_ends_within_the_grace_is_in_the_report_in_each_form() {
    for (name, form) in FORMS {
        let report = within_a_minute(move || {
            // It ends as soon as the crawl has been cancelled.
            cancelled_while_silent(form, HOUR, &Arc::new(Latch::new(0)))
        });
        assert_eq!(report.cut_off(), 0, "{name}");
        assert_eq!(report.fetched(), 2, "{name}");
    }
}
