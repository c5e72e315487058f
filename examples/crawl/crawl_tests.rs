use std::thread;

use tiny_http::{Response, Server};

use super::*;
use crate::report::Death;

/// Long enough for any machine: no test waits for it to pass.
const MINUTE: Duration = Duration::from_secs(60);

/// A site of `pages` pages, each of which links to all of them, and a robots.txt. Serves until it is dropped.
struct Ring {
    server: Arc<Server>,
    thread: Option<thread::JoinHandle<Vec<String>>>,
}

impl Ring {
    fn of(pages: usize) -> (Self, Url) {
        let server = Arc::new(Server::http("127.0.0.1:0").unwrap());
        let url = format!("http://{}/0", server.server_addr().to_ip().unwrap());
        let links: String = (0..pages).map(|page| format!("<a href='/{page}#there'>")).collect();
        let thread = thread::spawn({
            let server = Arc::clone(&server);
            move || {
                let mut asked = Vec::new();
                while let Ok(request) = server.recv() {
                    asked.push(request.url().to_owned());
                    let html = "Content-Type: text/html".parse::<tiny_http::Header>().unwrap();
                    let _ = request.respond(Response::from_string(&links).with_header(html));
                }
                asked
            }
        });
        (Ring { server, thread: Some(thread) }, Url::parse(&url).unwrap())
    }

    /// What was asked for, in order.
    fn stop(mut self) -> Vec<String> {
        self.server.unblock();
        self.thread.take().unwrap().join().unwrap()
    }
}

fn run(start: Url, workers: usize, token: &CancelToken) -> Report {
    let options = Options { workers, per_host: 1, ..Options::default() };
    crawl(start, &options, MINUTE, token, &mut Progress::new(true)).unwrap()
}

#[test]
fn pages_that_all_link_to_each_other_do_not_stop_one_worker() {
    let (ring, start) = Ring::of(20);
    let report = run(start, 1, &CancelToken::new());
    assert_eq!((report.ended.clone(), report.fetched()), (Ended::Complete, 20));
    let mut asked = ring.stop();
    assert_eq!((asked.remove(0), asked.remove(0)), ("/robots.txt".to_owned(), "/0".to_owned()));
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), 19);
}

#[test]
fn more_workers_than_permits_fetch_each_page_once() {
    let (ring, start) = Ring::of(30);
    let report = run(start, 8, &CancelToken::new());
    assert_eq!((report.ended.clone(), report.fetched()), (Ended::Complete, 30));
    assert!(report.pages.iter().all(|page| page.distance.depth <= 1));
    assert_eq!(ring.stop().len(), 31); // and the robots.txt
}

#[test]
fn a_host_that_refuses_connections_is_a_dead_link_and_not_a_skip() {
    let report = run(Url::parse("http://127.0.0.1:1/").unwrap(), 2, &CancelToken::new());
    assert_eq!(report.ended, Ended::Complete);
    assert!(matches!(report.dead_links()[..], [ref link] if matches!(link.death, Death::Failed(_))));
}

#[test]
fn a_crawl_that_was_cancelled_before_it_began_says_so_and_asks_for_nothing() {
    let (ring, start) = Ring::of(1);
    let token = CancelToken::new();
    token.cancel_because("interrupted");
    let report = run(start, 4, &token);
    assert_eq!(report.ended, Ended::Cancelled("interrupted".into()));
    assert_eq!((report.fetched(), report.cut_off, report.is_whole()), (0, 0, false));
    assert!(ring.stop().is_empty());
}

#[test]
fn a_crawl_out_of_time_says_that_time_was_the_reason() {
    let (ring, start) = Ring::of(1);
    let report = run(start, 4, &CancelToken::new().child_until(Duration::ZERO));
    assert_eq!((report.ended.clone(), report.fetched()), (Ended::OutOfTime, 0));
    assert!(ring.stop().is_empty());
}
