//! A crawl that is stopped while a server is silent ends, with what was found.

mod common;

use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::process::Stdio;
use std::sync::Arc;

use common::server::{Asked, Server, page, reply};
use common::tool::{command, text};
use common::within_a_minute;
use selvedge::{Latch, Until};
use selvedge_crawl::{Crawler, Ended, MemorySite, Response};

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
