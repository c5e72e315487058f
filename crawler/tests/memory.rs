//! What a crawl keeps in memory for each URL: all of it, from the heap's own count.
//!
//! A program of its own with one test, because the allocator that counts is the whole program's.

mod common;
#[path = "../../tests/common/counting.rs"]
mod counting;

use std::time::Duration;

use common::within;
use counting::{Counting, begin_peak, live, peak};
use selvedge_crawl::{Crawler, Fetch, FetchError, Report, Request, Response};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const URLS: usize = 20_000;
/// Links on each page, of which the last is dead.
const LINKS: u64 = 6;
/// The bound, for everything that is kept and everything that is needed for a while. Half of what is
/// promised.
const BYTES_PER_URL: isize = 1024;

/// A site of so many pages, each made when it is asked for.
struct Pages(u64);

const FOLDER: &str = "/library/some/module/of/the/documentation/struct.Name";

impl Fetch for Pages {
    fn fetch(&self, request: &Request<'_>) -> Result<Response, FetchError> {
        let name = request.url.path().strip_prefix(FOLDER).and_then(|rest| rest.strip_suffix(".html"));
        let Some(page) = name.and_then(|name| name.parse::<u64>().ok()) else {
            return Ok(Response::status(404));
        };
        let near = [2 * page, 2 * page + 1].into_iter().filter(|&to| to < self.0);
        let across = (3..LINKS).map(|step| (page * 7 + step * step * 13) % self.0);
        let link = |to| format!("<li><a href=\"{FOLDER}{to}.html\">struct {}</a></li>\n", to % 1000);
        let links: String = near.chain(across).map(link).collect();
        let dead = format!("<a href=\"{FOLDER}-lost.html\">lost</a>");
        Ok(Response::html(format!("<!DOCTYPE html><title>{page}</title><ul>{links}</ul>{dead}")))
    }
}

fn crawl(pages: u64) -> Report {
    let crawler = Crawler::builder().fetch(Pages(pages)).build().unwrap();
    crawler.run(&format!("http://loom.test{FOLDER}1.html")).unwrap()
}

#[test]
fn crawl_of_many_urls_takes_a_kibibyte_for_each_and_gives_all_of_it_back() {
    within(Duration::from_secs(600), || {
        // Once for what is made once for all.
        drop(crawl(100));
        let before = begin_peak();
        let report = crawl(URLS as u64);
        let urls = report.pages().len();
        assert!(urls >= URLS - 1, "{urls}");
        let per_url = |bytes: isize| (bytes - before) / urls as isize;
        let crawling = per_url(peak());
        let kept = per_url(live());
        // The question that needs the most: which pages link there.
        assert_eq!(report.dead_links().len(), 1);
        let asked = per_url(peak());
        let links: usize = (0..urls as u32).map(|id| report.links(id).count()).sum();
        println!(
            "{urls} URLs, {links} links: {crawling} bytes a URL while it ran, {kept} in its report, {asked} with a \
             question to it"
        );
        assert!(crawling.max(asked) <= BYTES_PER_URL, "{crawling}, {asked}");
        // No URL, link or text of it is left behind.
        drop(report);
        let left = live() - before;
        assert!(left < 64 << 10, "{left} bytes are left of a crawl");
    });
}
