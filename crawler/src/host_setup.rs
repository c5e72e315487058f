//! The first request to a host: it asks for the host's rules, and lets its pages be taken by them.

use std::time::Duration;

use selvedge::sync::Arc;
use url::Url;

use super::canonical::origin;
use super::engine::{Engine, SITEMAP};
use super::fetch::{ErrorKind, FetchError, Request, Response};
use super::frontier::{HostId, Lease, NewLink, PageId, Step};
use super::log::Visit;
use super::record::Record;
use super::redirects::redirect;
use super::retry::Again;
use super::robots::{self, Rules};

impl Engine {
    /// Asks the host of a page for its rules, with the page's lease. The host's queue gives out no other page
    /// until they are known.
    pub(super) fn ask(&self, mut lease: Lease<'_, Record>, url: &Url, worker: usize) {
        let started = self.since_begun(lease.begin());
        let mut was_asked = false;
        if self.scope.is_local(url) {
            self.hosts.write().insert(lease.host, Arc::new(Rules::All));
            self.frontier.set_host(lease.host, self.settings.workers, Duration::ZERO, false);
            return lease.put_back();
        }
        let rules = match self.settings.obey_robots {
            true => self.robots.of(origin(url), &self.token, || {
                was_asked = true;
                self.rules(&lease, url, started, worker)
            }),
            false => Ok(Arc::new(Rules::All)),
        };
        match rules {
            Ok(rules) => {
                self.admit(lease.host, url, rules, was_asked);
                lease.put_back();
            }
            // The crawl was stopped. That is no answer, so the page waits.
            Err(Again::No) => lease.put_back(),
            Err(Again::After(wait) | Again::Pause(wait)) => {
                // No page of the host can be asked for before its rules are known, and another page would
                // only ask for them again. The delay holds for robots.txt as for any request.
                let wait = wait.max(self.settings.pace(origin(url)).0);
                self.frontier.pause_host(lease.host, wait);
                lease.retry_after(wait);
            }
        }
    }

    /// Asks a host for its rules. An error says when to ask again.
    fn rules(
        &self,
        lease: &Lease<'_, Record>,
        url: &Url,
        started: Duration,
        worker: usize,
    ) -> Result<Rules, Again> {
        let answer = self.robots_txt(url);
        let url = robots_url(url);
        let visit = Visit { url: url.as_str().into(), page: None, worker, started, ended: self.now() };
        self.log.lock().visits.push(visit);
        if matches!(&answer, Err(error) if error.kind == ErrorKind::Stopped) {
            return Err(Again::No);
        }
        match self.settings.retry.decide(url.as_str(), lease.tries, &answer) {
            Again::No => Ok(Rules::of(answer, self.settings.request.name())),
            again => Err(again),
        }
    }

    /// Sets the pace of a host whose rules are known, and adds its sitemaps.
    fn admit(&self, host: HostId, url: &Url, rules: Arc<Rules>, was_asked: bool) {
        let ((own, width), theirs) = (self.settings.pace(origin(url)), rules.delay());
        // A host that asks for a pause between requests is sent one at a time.
        let width = if theirs.is_zero() { width } else { 1 };
        if self.settings.sitemaps && self.scope.has_host_of(url) {
            self.add_sitemaps(url, &rules);
        }
        self.hosts.write().insert(host, rules);
        self.frontier.set_host(host, width, own.max(theirs), was_asked);
    }

    fn add_sitemaps(&self, url: &Url, rules: &Rules) {
        let named = rules.sitemaps();
        if named.is_empty() {
            // No document names this one, so it is no dead link if it is missing.
            self.seed_sitemap(&url.join("/sitemap.xml").expect("a path joins any http URL"));
        }
        for map in named.iter().filter_map(|text| self.resolve(url, text)) {
            self.add_sitemap(&robots_url(url), &map);
        }
    }

    /// Adds a sitemap that a robots.txt or another sitemap names, as a link from there.
    pub(super) fn add_sitemap(&self, from: &Url, map: &Url) {
        if let Some(id) = self.seed_sitemap(map) {
            self.log.lock().sitemaps.push((from.as_str().into(), id));
        }
    }

    /// Adds a sitemap at the start's distance, so that the pages in it are one link away.
    fn seed_sitemap(&self, map: &Url) -> Option<PageId> {
        let (url, host) = (map.as_str(), self.queue_of(map));
        let step = Step::Link;
        self.frontier.seed(&NewLink { url, host, step, label: "", rank: SITEMAP, skip: None, again: false })
    }

    fn robots_txt(&self, url: &Url) -> Result<Response, FetchError> {
        let mut url = robots_url(url);
        // The first request, and one for each redirect.
        for _ in 0..=robots::REDIRECTS {
            let headers = self.headers_for(&url);
            let request = Request { cap: robots::CAP, truncate: true, ..self.request(&url, &headers) };
            let response = self.fetch(&request)?;
            self.keep_cookies(&url, &response);
            match redirect(&response).and_then(|to| self.resolve(&url, to)) {
                Some(to) => url = to,
                None => return Ok(response),
            }
        }
        // A robots.txt behind too many redirects counts as missing.
        Ok(Response::status(404))
    }
}

fn robots_url(url: &Url) -> Url {
    url.join("/robots.txt").expect("a path joins any http URL")
}
