//! A crawler's report held against the servers' books.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use selvedge_crawl::{ErrorKind, Outcome, Page, Report, Skip, State, Step};
use url::Url;

use crate::PATIENCE;
use crate::site::{Books, Habits, Said};

/// Redirects in a row that a crawl follows by default.
const HOPS: usize = 10;
/// Requests for a URL, at most: the first, and two more where it fails.
const TRIES: usize = 3;

pub(crate) struct Ledger<'a> {
    pub(crate) plan: &'a Habits,
    pub(crate) start: &'a str,
    pub(crate) books: &'a Books,
    pub(crate) report: &'a Report,
}

impl<'a> Ledger<'a> {
    /// Requests by URL, as the report has them.
    fn visits(&self) -> BTreeMap<&'a str, usize> {
        let mut visits = BTreeMap::new();
        for visit in self.report.visits() {
            *visits.entry(&*visit.url).or_default() += 1;
        }
        visits
    }

    pub(crate) fn counts_no_request_that_was_not_made(&self) {
        for (url, count) in self.visits() {
            let said = self.books.said.get(url).map_or(0, Vec::len);
            assert!(count <= said, "{:?}: {url} was asked for {said} times, not {count}", self.plan);
        }
    }

    /// Requests to a host begin no less than the delay apart, and its robots.txt is asked for no more often
    /// than a page.
    pub(crate) fn agrees_on_the_pace(&self, delay: Duration) {
        let mut started: BTreeMap<String, Vec<Duration>> = BTreeMap::new();
        for visit in self.report.visits() {
            let host = Url::parse(&visit.url).unwrap().host_str().unwrap().to_owned();
            started.entry(host).or_default().push(visit.started);
        }
        for times in started.values_mut() {
            times.sort();
            let gap = times.windows(2).map(|two| two[1] - two[0]).min();
            assert!(gap.is_none_or(|gap| gap >= delay), "{:?}: {gap:?} apart", self.plan);
        }
        let robots = self.books.said.iter().filter(|(url, _)| url.ends_with("/robots.txt"));
        for (url, said) in robots {
            assert!(said.len() <= TRIES, "{:?}: {url} was asked for {} times", self.plan, said.len());
        }
    }

    pub(crate) fn agrees_on_every_request(&self) {
        let said = self.books.said.iter().map(|(url, said)| (url.as_str(), said.len()));
        assert_eq!(self.visits(), said.collect(), "{:?}", self.plan);
    }

    pub(crate) fn agrees_on_every_page(&self) {
        for page in self.report.pages() {
            let said = self.books.said.get(&*page.url).and_then(|said| said.last());
            let agrees = match said {
                None => self.was_rightly_left_alone(page),
                Some(said) => page.state == State::Fetched && outcome_is(page, said),
            };
            assert!(agrees, "{:?}: {page:?} was last told {said:?}", self.plan);
            // Tries for its host's robots.txt are among its own.
            let asked = self.books.said.get(&*page.url).map_or(0, Vec::len);
            let tries = page.record.as_ref().map_or(0, |record| record.retries as usize + 1);
            assert!(asked <= tries, "{:?}: {page:?} was asked for {asked} times", self.plan);
        }
    }

    fn was_rightly_left_alone(&self, page: &Page) -> bool {
        let robots = self.robots(&page.url);
        match page.state {
            State::TooFar => page.hops as usize > HOPS,
            State::Skipped(Skip::Robots) => self.is_forbidden(&page.url),
            State::Skipped(Skip::RobotsUnreadable) => matches!(robots, Some(Said::Status(503))),
            // What its robots.txt came to.
            State::Fetched => {
                matches!(robots, Some(Said::Half | Said::Closed))
                    && page.outcome().is_some_and(|outcome| matches!(outcome, Outcome::Failed(_)))
            }
            _ => false,
        }
    }

    fn robots(&self, url: &str) -> Option<&Said> {
        let robots = Url::parse(url).unwrap().join("/robots.txt").unwrap();
        self.books.said.get(robots.as_str())?.last()
    }

    fn is_forbidden(&self, url: &str) -> bool {
        match self.robots(url) {
            Some(Said::Robots { forbids: Some(path), .. }) => {
                Url::parse(url).unwrap().path().starts_with(path)
            }
            _ => false,
        }
    }

    /// What was said in the end to the request for a URL.
    fn last(&self, url: &str) -> Option<Said> {
        let said = self.books.said.get(url)?.last()?;
        let page = self.report.pages().iter().find(|page| &*page.url == url);
        // On a busy machine a client's patience may end before an answer that was on its way has come.
        Some(if page.is_some_and(has_timed_out) { Said::Silence } else { said.clone() })
    }

    /// Every URL that the crawl was told of is in the report, and no other.
    pub(crate) fn agrees_on_what_there_is(&self) {
        let mut told = BTreeSet::from([self.start.to_owned()]);
        for url in self.books.said.keys() {
            match self.last(url) {
                Some(Said::Page(links)) => told.extend(links),
                Some(Said::Sitemap(urls)) => told.extend(urls),
                Some(Said::Redirect(to)) => drop(told.insert(to)),
                Some(Said::Robots { sitemap, .. }) if self.plan.has_sitemap => told.extend(sitemap),
                _ => {}
            }
        }
        let is_map = |url: &str| url.ends_with("/sitemap.xml");
        // A sitemap that nobody has named is looked for where one usually is.
        let found: BTreeSet<String> = self.report.pages().iter().map(|page| page.url.to_string()).collect();
        let unnamed: Vec<String> = found.difference(&told).cloned().collect();
        assert!(
            unnamed.iter().all(|url| self.plan.has_sitemap && is_map(url)),
            "{:?}: {unnamed:?}",
            self.plan
        );
        let missing: Vec<&String> = told.difference(&found).collect();
        assert!(missing.is_empty(), "{:?}: {missing:?}", self.plan);
    }

    /// The links that lead nowhere are those that the books say so of.
    pub(crate) fn agrees_on_the_dead_links(&self) {
        let report = self.report;
        let linked = |id: u32| report.linked_from(id).any(|link| link.step == Step::Link);
        let named = |url: &str| {
            self.books
                .said
                .values()
                .flatten()
                .any(|said| matches!(said, Said::Robots { sitemap: Some(map), .. } if map == url))
        };
        let mut expected = BTreeSet::new();
        for (id, page) in (0..).zip(report.pages()) {
            let counts =
                &*page.url == self.start || linked(id) || (self.plan.has_sitemap && named(&page.url));
            if counts && self.is_dead(&page.url) {
                expected.insert(page.url.to_string());
            }
        }
        let dead: BTreeSet<String> = report.dead_links().into_iter().map(|link| link.url).collect();
        assert_eq!(dead, expected, "{:?}", self.plan);
    }

    fn is_dead(&self, url: &str) -> bool {
        let (mut here, mut seen) = (url.to_owned(), BTreeSet::new());
        loop {
            if !seen.insert(here.clone()) {
                return true;
            }
            match self.last(&here) {
                Some(Said::Redirect(to)) => here = to,
                Some(Said::Status(_) | Said::Busy(503, _) | Said::Nowhere | Said::Half) => return true,
                Some(Said::Closed | Said::Silence) => return true,
                Some(_) => return false,
                // Not asked for: behind too many redirects, or at a host that does not answer.
                None => {
                    let page = self.report.pages().iter().find(|page| *page.url == here);
                    return page.is_some_and(|page| matches!(page.state, State::TooFar | State::Fetched));
                }
            }
        }
    }
}

/// Whether what a page came to is what its server said last.
fn outcome_is(page: &Page, said: &Said) -> bool {
    let Some(outcome) = page.outcome() else { return false };
    if has_timed_out(page) {
        return true;
    }
    match said {
        Said::Page(_) => outcome == Outcome::Page,
        Said::Sitemap(_) => outcome == Outcome::Sitemap,
        Said::Status(status) | Said::Busy(status, _) => {
            outcome == Outcome::Refused && page.status() == Some(*status)
        }
        Said::Redirect(_) => outcome == Outcome::Redirect,
        Said::Nowhere => outcome == Outcome::Failed(ErrorKind::RedirectToNowhere),
        Said::Half | Said::Closed => outcome == Outcome::Failed(ErrorKind::ConnectionLost),
        Said::Silence => outcome == Outcome::Failed(ErrorKind::TimedOut),
        Said::Robots { .. } => false,
    }
}

/// Whether the client lost its patience, which it may only after it has had it.
fn has_timed_out(page: &Page) -> bool {
    let timed_out = Outcome::Failed(ErrorKind::TimedOut);
    page.record.as_ref().is_some_and(|record| record.outcome == timed_out && record.took >= PATIENCE)
}
