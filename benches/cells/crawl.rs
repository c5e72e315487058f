//! Crawls of one site over the loopback address, which shares its processors with those who crawl it.

use std::time::{Duration, Instant};

use crate::Cell;
use crate::rivals::crawlers::{self, PAGES};

pub(crate) fn all() -> Vec<Cell> {
    let start = format!("http://{}/1", crawlers::site());
    [1, 4, 16].into_iter().map(|workers| of(&start, workers)).collect()
}

fn of(start: &str, workers: usize) -> Cell {
    let cell =
        Cell::new("crawl", format!("{PAGES} pages, {workers} workers"), "site").elements(PAGES).count(1);
    let ours = start.to_owned();
    let mut cell = cell.with("selvedge", move |n| crawls(n, || crawlers::selvedge(&ours, workers)));
    if crawlers::has("wget") {
        let start = start.to_owned();
        cell = cell.with("wget --spider", move |n| crawls(n, || crawlers::wget(&start)));
    }
    if crawlers::has("python3") {
        let start = start.to_owned();
        cell = cell.with("python", move |n| crawls(n, || crawlers::python(&start, workers)));
    }
    cell
}

/// So many crawls, each of which must find the whole site.
fn crawls(n: u64, crawl: impl Fn() -> u64) -> Duration {
    let start = Instant::now();
    for _ in 0..n {
        assert_eq!(crawl(), PAGES, "a crawl did not find every page");
    }
    start.elapsed()
}
