//! Resuming a crawl.

use url::Url;

use super::engine::Engine;
use super::frontier::{Distance, PageId, Restored, Skip, State};
use super::record::Outcome;
use super::report::{Page, Report};

impl Engine {
    /// Restores what an earlier crawl found. Pages with a temporary failure wait again.
    pub(super) fn go_on(&self, report: Report) {
        let parsed = |page: &Page| Url::parse(&page.url).ok();
        let hosts = report.hosts.iter().filter_map(|host| Url::parse(&format!("http://{host}/")).ok());
        hosts.for_each(|host| self.scope.add_host(&host));
        for start in report.starts.iter().filter_map(|&start| parsed(report.page(start))) {
            self.credentials.begin_at(&start);
        }
        self.front.lock().extend(&report.front);
        self.starts.lock().extend(&report.starts);
        let queues: Vec<String> = report
            .pages
            .iter()
            .map(|page| parsed(page).map_or(String::new(), |url| self.queue_of(&url).to_owned()))
            .collect();
        let pages = report.pages.iter().zip(&queues).map(|(page, host)| {
            let again = page.is_passing() || page.state == State::Skipped(Skip::RobotsUnreadable);
            Restored {
                url: &page.url,
                host,
                distance: Distance { depth: page.depth, hops: page.hops },
                state: if again { State::Waiting } else { page.state },
                rank: page.rank,
                record: page.record.clone().filter(|_| !again),
            }
        });
        let links = (0..report.pages.len() as PageId)
            .flat_map(|from| report.links(from).map(move |link| (from, link.page, link.step, link.text)));
        self.frontier.restore(pages, links);
        let mut log = self.log.lock();
        log.earlier = self.frontier.counts().fetched;
        log.broken.extend(report.log.broken.iter().cloned());
        log.fragments = report.log.fragments.clone();
        log.sitemaps.extend(report.log.sitemaps.iter().cloned());
        log.not_http(report.log.not_http.iter().cloned());
    }
}

impl Page {
    /// Returns true if its failure may be temporary.
    fn is_passing(&self) -> bool {
        let Some(record) = &self.record else { return false };
        match record.outcome {
            Outcome::Failed(kind) => super::retry::is_passing_failure(kind),
            Outcome::Refused => record.status.is_some_and(super::retry::is_passing),
            _ => false,
        }
    }
}
