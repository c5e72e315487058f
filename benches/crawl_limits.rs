//! The crawler's memory at 100,000 URLs, and how far apart it keeps the requests to a host. Prints both.
//!
//! `cargo bench -p selvedge-benches --bench crawl_limits`, with `-- --quick` at a tenth of the size.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use selvedge_crawl::{Crawler, MemorySite, Response};

/// Links on each page.
const LINKS: u64 = 10;
const DELAY: Duration = Duration::from_millis(50);

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    memory(if quick { 10_000 } else { 100_000 });
    for workers in [1, 4, 16] {
        gaps(workers, if quick { 10 } else { 60 });
    }
}

/// Crawls so many pages out of memory, and says what the process grew by.
fn memory(pages: u64) {
    let Some(before) = peak() else { return println!("memory: /proc/self/status is not here") };
    let site = Pages(pages);
    let crawler = Crawler::builder().fetch(site).obey_robots(false).build().expect("a crawler");
    let start = Instant::now();
    let report = crawler.run("http://loom.test/some/folder/1.html").expect("a crawl");
    let took = start.elapsed();
    assert_eq!(report.fetched() as u64, pages);
    let links: usize = (0..report.pages().len() as u32).map(|id| report.links(id).count()).sum();
    let grown = peak().unwrap_or(before) - before;
    println!(
        "memory: {pages} URLs, {links} links: {:.1} MB at most, {} bytes a URL; {:.1} s, {:.0} pages/s",
        grown as f64 / 1e3,
        grown * 1000 / pages,
        took.as_secs_f64(),
        pages as f64 / took.as_secs_f64(),
    );
}

/// A site of so many pages that is made as it is asked for.
struct Pages(u64);

impl selvedge_crawl::Fetch for Pages {
    fn fetch(&self, request: &selvedge_crawl::Request<'_>) -> Result<Response, selvedge_crawl::FetchError> {
        let page: u64 = request
            .url
            .path()
            .trim_start_matches("/some/folder/")
            .trim_end_matches(".html")
            .parse()
            .unwrap_or(0);
        let near = [2 * page, 2 * page + 1].into_iter().filter(|&to| to <= self.0);
        let across = (1..=LINKS - 2).map(|step| (page * 7 + step * step * 13) % self.0 + 1);
        let link = |to| format!("<a href=\"/some/folder/{to}.html\">page {}</a>\n", to % 100);
        Ok(Response::html(near.chain(across).map(link).collect::<String>()))
    }
}

/// The most memory that the process had so far, in kB.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Crawls with a delay, and says how far apart the requests came, as they were sent.
fn gaps(workers: usize, pages: u64) {
    let at = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&at);
    let site = MemorySite::new().otherwise(move |request| {
        notes.lock().expect("nobody panics here").push(Instant::now());
        let page: u64 = request.url.path()[1..].parse().unwrap_or(0);
        let links = [2 * page + 1, 2 * page + 2].into_iter().filter(|&to| to < pages);
        Ok(Response::html(links.map(|to| format!("<a href=/{to}>")).collect::<String>()))
    });
    let crawler = Crawler::builder().fetch(site).workers(workers).per_host(workers).delay(DELAY).build();
    let report = crawler.expect("a crawler").run("http://loom.test/0").expect("a crawl");
    assert_eq!(report.fetched() as u64, pages);
    let at = at.lock().expect("nobody panics here");
    let mut gaps: Vec<f64> = at.windows(2).map(|two| (two[1] - two[0]).as_secs_f64() * 1e3).collect();
    gaps.sort_by(f64::total_cmp);
    println!(
        "gaps: {workers} workers, a delay of {} ms: least {:.3}, median {:.3}, most {:.3} ms",
        DELAY.as_millis(),
        gaps[0],
        gaps[gaps.len() / 2],
        gaps[gaps.len() - 1],
    );
}
