//! Whether the crawl found what was planted, and asked for nothing that it should not have.

use std::collections::BTreeSet;
use std::fmt;

use selvedge_crawl::{Report, State};

use super::Site;
use super::trouble::{DEAD, is_private};

/// The crawl, judged by the plan of the site and by what its servers were asked for.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    planted: usize,
    pages: usize,
    /// True if the crawl was to see everything; a part of it cannot be complete.
    whole: bool,
    faults: Vec<String>,
}

/// A dead link: its URL and the page that it is on.
type Dead = (String, String);

impl Site {
    /// Judges the report of a crawl of this site.
    pub(crate) fn verdict(&self, report: &Report) -> Verdict {
        // Without end, the calendar is always cut short by the depth.
        let cut = report.in_state(State::TooFar).any(|page| !page.url.contains("/calendar?"));
        let mut verdict =
            Verdict { planted: DEAD.len(), whole: report.is_whole() && !cut, ..Verdict::default() };
        let (planted, found) = (self.planted(), found(report));
        let unplanted = found
            .difference(&planted)
            .map(|(url, on)| format!("{url} on {on} is not dead, but was reported"));
        verdict.faults.extend(unplanted);
        if verdict.whole {
            let missed =
                planted.difference(&found).map(|(url, on)| format!("{url} on {on} is dead, but was missed"));
            verdict.faults.extend(missed);
        }
        self.judge_requests(&mut verdict);
        verdict
    }

    fn planted(&self) -> BTreeSet<Dead> {
        DEAD.iter().map(|(on, _, url)| (self.names.resolve(url), self.names.resolve(on))).collect()
    }

    fn judge_requests(&self, verdict: &mut Verdict) {
        for server in &self.servers {
            let asked = server.asked.lock();
            for (path, &times) in asked.iter() {
                if times > 1 {
                    verdict.faults.push(format!("{path} was asked for {times} times"));
                }
                if is_private(path) {
                    verdict.faults.push(format!("{path} was asked for, which robots.txt disallows"));
                }
            }
            verdict.pages += asked.len();
            let missed = server.map.public().filter(|path| verdict.whole && !asked.contains_key(*path));
            verdict.faults.extend(missed.map(|path| format!("{path} was never asked for")));
        }
    }
}

fn found(report: &Report) -> BTreeSet<Dead> {
    let dead = report.dead_links().into_iter();
    dead.flat_map(|link| {
        let url = link.url;
        link.linked_from.into_iter().map(move |link| (url.clone(), link.page))
    })
    .collect()
}

impl Verdict {
    /// True if there is nothing to say against the crawl.
    pub(crate) fn is_exact(&self) -> bool {
        self.faults.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { planted, pages, .. } = self;
        if !self.is_exact() {
            writeln!(f, "NOT what was planted:")?;
            return self.faults.iter().try_for_each(|fault| writeln!(f, "  {fault}"));
        }
        if !self.whole {
            writeln!(
                f,
                "The crawl was cut short, so it was not compared with all {planted} planted dead links."
            )?;
            return write!(f, "None was reported that was not planted.");
        }
        writeln!(
            f,
            "Exactly what was planted: all {planted} dead links, each on the page it is on, and no others."
        )?;
        writeln!(
            f,
            "By the servers' own count {pages} paths were asked for, each of them once, and none that"
        )?;
        write!(f, "robots.txt disallows.")
    }
}
