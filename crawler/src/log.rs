//! The log of a crawl beside its pages: each request, and samples of the queue.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use selvedge::sync::Arc;

use super::fragments::Fragments;
use super::frontier::{Counts, PageId};

/// The maximum number of samples: more than a picture has pixels.
const SAMPLES: usize = 4096;
/// The maximum number of links that are not HTTP.
const NOT_HTTP: usize = 10_000;

/// One request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Visit {
    /// Its URL.
    pub url: Arc<str>,
    /// The page; `None` for a robots.txt.
    pub page: Option<PageId>,
    /// The worker, counted from 0.
    pub worker: usize,
    /// The time of its start, since the start of the crawl.
    pub started: Duration,
    /// The time of its end, since the start of the crawl.
    pub ended: Duration,
}

/// The length of the queue at one time.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Sample {
    /// The time, since the start of the crawl.
    pub at: Duration,
    /// Waiting pages.
    pub waiting: usize,
    /// Pages leased to workers.
    pub in_flight: usize,
}

/// The log of all workers.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) visits: Vec<Visit>,
    pub(super) samples: Samples,
    pub(super) errors: usize,
    /// Pages that an earlier crawl had fetched.
    pub(super) earlier: usize,
    pub(super) not_http: BTreeSet<String>,
    pub(super) broken: Vec<(PageId, Box<str>)>,
    /// The sitemaps that a robots.txt or another sitemap names, each with the URL of the latter.
    pub(super) sitemaps: Vec<(Box<str>, PageId)>,
    pub(super) fragments: Fragments,
    /// Hosts whose robots.txt could not be read, each with the reason.
    pub(super) unreadable_robots: BTreeMap<String, String>,
}

/// Samples at about equal intervals. When there are too many, every other one is dropped.
#[derive(Debug, Default)]
pub(super) struct Samples {
    kept: Vec<Sample>,
    apart: Duration,
}

impl Samples {
    pub(super) fn add(&mut self, at: Duration, counts: Counts) {
        if self.kept.last().is_some_and(|last| at < last.at + self.apart) {
            return;
        }
        self.kept.push(Sample { at, waiting: counts.waiting, in_flight: counts.out });
        if self.kept.len() >= SAMPLES {
            let mut odd = false;
            self.kept.retain(|_| {
                odd = !odd;
                odd
            });
            self.apart = at / (SAMPLES as u32 / 2);
        }
    }

    pub(super) fn kept(&self) -> &[Sample] {
        &self.kept
    }
}

impl Log {
    pub(super) fn unreadable(&mut self, host: &str, why: &str) {
        if !self.unreadable_robots.contains_key(host) {
            self.unreadable_robots.insert(host.to_owned(), why.to_owned());
        }
    }

    pub(super) fn not_http(&mut self, urls: impl IntoIterator<Item = String>) {
        for url in urls {
            if self.not_http.len() < NOT_HTTP {
                self.not_http.insert(url);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_thin_out_instead_of_growing() {
        let mut samples = Samples::default();
        for milli in 0..1_000_000 {
            samples.add(Duration::from_millis(milli), Counts::default());
        }
        let kept = samples.kept();
        assert!((SAMPLES / 4..SAMPLES).contains(&kept.len()), "{}", kept.len());
        assert!(kept.is_sorted_by_key(|sample| sample.at));
        assert!(kept.last().unwrap().at > Duration::from_secs(990));
    }
}
