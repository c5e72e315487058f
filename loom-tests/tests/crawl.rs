//! Models of the crawler's frontier: the end, and the place at a host, under every schedule of a few workers.
//!
//! They build the protocol as it is, from the crawler's own source and without HTTP: a page is a URL, and its
//! links are handed in.

// By the name that the source has for the library.
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
    // The host is what stands before the slash.
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

/// A worker: takes pages until there are none, and counts them; the page `a/0` leads to `a/1`.
fn work(frontier: &Frontier<()>, token: &CancelToken, finished: &AtomicUsize) -> WaitError {
    loop {
        match frontier.take(token) {
            Ok(lease) => {
                // Before the page is settled: at the end, nobody may have more to count.
                finished.fetch_add(1, Ordering::AcqRel);
                let found = (&*lease.url == "a/0").then(|| new_link("a/1"));
                lease.finish((), found);
            }
            Err(ended) => return ended,
        }
    }
}

/// Two workers and a page that leads to another: both hear of the end, and when they do, both pages are
/// settled.
///
/// Fails if a worker does not look for the end (edit `crawl-end-is-not-found`), or if an empty line is taken
/// for the end while a page is out (edit `crawl-end-forgets-who-is-out`).
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

/// A page that is put back because of a cancel goes to nobody, also not to a worker that had asked before the
/// cancel whether there was one.
///
/// Fails if a worker does not look at its token once it has a page (edit `crawl-cancelled-worker-begins`).
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

/// A worker that is handed a page and cancelled before it begins: the page reaches the other, and the host
/// lets in one at a time all along.
///
/// Fails if a worker that leaves keeps its page (edit `crawl-leaves-with-the-page`), or if a place at a host
/// does not come back (edit `crawl-permit-is-lost`).
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

/// A turn that is dropped because its request was cut short puts its page back and gives up its place:
/// another worker gets both.
///
/// Fails if a dropped turn keeps its place (edit `crawl-permit-is-lost`).
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

/// The worker that watches the time is cancelled: another watches, and gets the page when its time comes.
///
/// Fails if nobody may watch after it (edit `crawl-watch-dies-with-its-owner`).
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

/// A page whose time comes before the one that is watched for is not missed.
///
/// Fails if the watcher goes on watching for the later one (edit `crawl-watches-for-the-later-moment`).
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
