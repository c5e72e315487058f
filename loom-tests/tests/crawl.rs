//! Models of the crawler's frontier: the end of a crawl and the permits of its hosts, under every schedule of
//! a few workers.
//!
//! They compile the crawler's own source, without HTTP: a page is a URL, and the model provides its links.

// The name by which that source imports the library.
extern crate selvedge_loom as selvedge;

#[path = "../../crawler/src/frontier/mod.rs"]
#[allow(dead_code, unused_imports, unreachable_pub, reason = "the crawler uses the rest, and shows it")]
mod frontier;

use std::time::Duration;

use frontier::{Frontier, Lease, Limits, NewLink, Step};
use selvedge::error::WaitError;
use selvedge::sync::atomic::{AtomicUsize, Ordering};
use selvedge::sync::{Arc, model, thread};
use selvedge::{CancelToken, Clock};

const HOUR: Duration = Duration::from_secs(3600);
const LIMITS: Limits = Limits { depth: 9, hops: 9, pages: 9, urls: 9, links: 99 };

fn new_link(url: &'static str) -> NewLink<'static> {
    // The host is the part before the slash.
    let host = url.split('/').next().unwrap_or_default();
    NewLink { url, host, step: Step::Link, label: "", rank: 0, skip: None, again: false }
}

fn frontier(clock: &Clock, pages: &[&'static str]) -> Arc<Frontier<()>> {
    let frontier = Frontier::new(LIMITS, clock);
    for page in pages {
        frontier.seed(&new_link(page)).unwrap();
    }
    Arc::new(frontier)
}

/// A worker: takes pages until there are none, and counts them. Page `a/0` links to `a/1`.
fn work(frontier: &Frontier<()>, token: &CancelToken, finished: &AtomicUsize) -> WaitError {
    loop {
        match frontier.take(token) {
            Ok(lease) => {
                // Before the page is settled: no worker may have more to count at the end.
                finished.fetch_add(1, Ordering::AcqRel);
                let found = (&*lease.url == "a/0").then(|| new_link("a/1"));
                lease.finish((), found);
            }
            Err(ended) => return ended,
        }
    }
}

/// Two workers and a page that links to another: both workers find the end, and both pages are settled by
/// then.
///
/// Fails if a worker does not check for the end (edit `crawl-end-is-not-found`), or if an empty queue counts
/// as the end while a page is leased (edit `crawl-end-forgets-who-is-out`).
#[test]
fn the_end_is_told_to_all_and_not_before_the_last_page() {
    model::check(|| {
        let (frontier, token) = (frontier(&Clock::system(), &["a/0"]), CancelToken::new());
        let finished = Arc::new(AtomicUsize::new(0));
        let other = thread::spawn({
            let (frontier, token, finished) = (Arc::clone(&frontier), token.clone(), Arc::clone(&finished));
            move || {
                assert_eq!(work(&frontier, &token, &finished), WaitError::Closed);
                assert_eq!(finished.load(Ordering::Acquire), 2);
            }
        });
        assert_eq!(work(&frontier, &token, &finished), WaitError::Closed);
        assert_eq!(finished.load(Ordering::Acquire), 2);
        other.join().unwrap();
        assert!(frontier.is_over());
    });
}

/// A page that is put back because of a cancellation is not fetched, even by a worker that asked for one
/// before the cancellation.
///
/// Fails if a worker does not check its token once it has a page (edit `crawl-cancelled-worker-begins`).
#[test]
fn a_page_that_a_cancel_brought_back_is_not_taken() {
    model::check(|| {
        let (frontier, token) = (frontier(&Clock::system(), &["a/0"]), CancelToken::new());
        let lease = frontier.take(&token).unwrap();
        let other = thread::spawn({
            let (frontier, token) = (Arc::clone(&frontier), token.clone());
            move || assert_eq!(frontier.take(&token).err(), Some(WaitError::Cancelled))
        });
        token.cancel();
        lease.put_back();
        other.join().unwrap();
    });
}

/// A worker gets a page and is cancelled before it begins: the page goes to the other worker, and the host
/// admits one request at a time throughout.
///
/// Fails if a worker that leaves keeps its page (edit `crawl-leaves-with-the-page`), or if a host's permit is
/// not returned (edit `crawl-permit-is-lost`).
#[test]
fn a_cancelled_worker_leaves_its_page_to_another() {
    model::check(|| {
        let frontier = frontier(&Clock::system(), &["a/1", "a/2"]);
        let (cancelled, stays) = (CancelToken::new(), CancelToken::new());
        let inside = Arc::new(AtomicUsize::new(1));
        let lease = frontier.take(&stays).unwrap();
        let workers = [cancelled.clone(), stays].map(|token| {
            let (frontier, inside) = (Arc::clone(&frontier), Arc::clone(&inside));
            thread::spawn(move || {
                let lease = frontier.take(&token)?;
                assert_eq!(inside.fetch_add(1, Ordering::AcqRel), 0, "two at one host");
                inside.fetch_sub(1, Ordering::AcqRel);
                lease.finish((), []);
                Ok(())
            })
        });
        inside.fetch_sub(1, Ordering::AcqRel);
        lease.finish((), []);
        cancelled.cancel();
        let [first, second] = workers.map(|worker| worker.join().unwrap());
        match (first, second) {
            (Ok(()), Err(WaitError::Closed)) | (Err(_), Ok(())) => {}
            other => panic!("{other:?}"),
        }
        assert!(frontier.is_over());
    });
}

/// A lease that is dropped because its request was cut short returns its page and the host's permit: another
/// worker gets both.
///
/// Fails if a dropped lease keeps its permit (edit `crawl-permit-is-lost`).
#[test]
fn a_lease_that_is_dropped_gives_page_and_permit_to_another() {
    model::check(|| {
        let (frontier, token) = (frontier(&Clock::system(), &["a/1"]), CancelToken::new());
        let lease = frontier.take(&token).unwrap();
        let other = thread::spawn({
            let (frontier, token) = (Arc::clone(&frontier), token.clone());
            move || frontier.take(&token).map(|lease| drop(lease.finish((), [])))
        });
        drop(lease);
        assert_eq!(other.join().unwrap(), Ok(()));
        assert!(frontier.is_over());
    });
}

/// The worker that waits for a host's delay is cancelled: another waits in its place, and gets the page.
///
/// Fails if no worker may take its place (edit `crawl-watch-dies-with-its-owner`).
#[test]
fn the_time_is_watched_by_another_when_its_watcher_leaves() {
    model::check(|| {
        let clock = Clock::manual();
        let frontier = frontier(clock.clock(), &["a/1"]);
        let (cancelled, stays) = (CancelToken::with_clock(&clock), CancelToken::with_clock(&clock));
        frontier.take(&stays).unwrap().retry_after(HOUR);
        let workers = [cancelled.clone(), stays].map(|token| {
            let frontier = Arc::clone(&frontier);
            thread::spawn(move || frontier.take(&token).map(finish))
        });
        cancelled.cancel();
        clock.advance(HOUR);
        let [first, second] = workers.map(|worker| worker.join().unwrap());
        match (first, second) {
            (Ok(()), Err(WaitError::Closed)) | (Err(_), Ok(())) => {}
            other => panic!("{other:?}"),
        }
    });
}

/// A page that becomes available before the one that a worker waits for is not missed.
///
/// Fails if that worker goes on waiting for the later one (edit `crawl-watches-for-the-later-moment`).
#[test]
fn an_earlier_moment_is_watched_for_instead() {
    model::check(|| {
        let clock = Clock::manual();
        let frontier = frontier(clock.clock(), &["a/1", "b/1"]);
        let token = CancelToken::with_clock(&clock);
        frontier.take(&token).unwrap().retry_after(2 * HOUR);
        let soon = frontier.take(&token).unwrap();
        let worker = thread::spawn({
            let (frontier, token) = (Arc::clone(&frontier), token.clone());
            move || frontier.take(&token).map(|lease| lease.url.to_string())
        });
        soon.retry_after(HOUR);
        clock.advance(HOUR);
        assert_eq!(worker.join().unwrap().unwrap(), "b/1");
    });
}

fn finish(lease: Lease<'_, ()>) {
    lease.finish((), []);
}

/// Six workers on two hosts, a page that links to three others, and a page whose first request is cut short:
/// every page is finished once, and all workers find the end. Sampled, since no search exhausts six threads.
///
/// Fails if an empty queue counts as the end while a page is leased (edit `crawl-end-forgets-who-is-out`).
#[test]
fn six_workers_finish_each_page_once_though_one_is_cut_short() {
    model::sample(400, || {
        let (frontier, token) = (frontier(&Clock::system(), &["a/0"]), CancelToken::new());
        let (finished, cut) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let crawl = {
            let (frontier, finished) = (Arc::clone(&frontier), Arc::clone(&finished));
            move || loop {
                let lease = match frontier.take(&token) {
                    Ok(lease) => lease,
                    Err(ended) => return assert_eq!(ended, WaitError::Closed),
                };
                if &*lease.url == "b/0" && cut.fetch_add(1, Ordering::AcqRel) == 0 {
                    lease.put_back();
                    continue;
                }
                finished.fetch_add(1, Ordering::AcqRel);
                let found: &[_] = if &*lease.url == "a/0" { &["a/1", "b/0", "b/1"] } else { &[] };
                lease.finish((), found.iter().map(|url| new_link(url)));
            }
        };
        let workers: Vec<_> = (0..5).map(|_| thread::spawn(crawl.clone())).collect();
        crawl();
        // At the end of any worker all pages are settled, so none is counted later.
        assert_eq!(finished.load(Ordering::Acquire), 4);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        assert!(frontier.is_over());
    });
}
