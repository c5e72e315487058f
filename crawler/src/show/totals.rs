//! What became of the URLs, in numbers that add up.

use super::fixes::is_inside;
use crate::frontier::{PageId, Skip, State};
use crate::{Outcome, Report};

/// Of all URLs that were found, how many came to what. Their sum is the number of URLs.
pub(super) struct Totals(pub(super) [(usize, Came); 9]);

/// What a URL came to, as the totals count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    Read,
    LookedAt,
    Redirect,
    Error,
    Elsewhere,
    LeftOut,
    Robots,
    TooDeep,
    Waiting,
}

impl Totals {
    pub(super) fn of(report: &Report) -> Self {
        let mut totals = Came::ALL.map(|came| (0, came));
        for id in 0..report.pages().len() as PageId {
            totals[Came::of(report, id) as usize].0 += 1;
        }
        Totals(totals)
    }

    /// Those that occur.
    pub(super) fn occurring(&self) -> impl Iterator<Item = (usize, Came)> {
        self.0.into_iter().filter(|&(count, _)| count > 0)
    }
}

impl Came {
    const ALL: [Came; 9] = [
        Came::Read,
        Came::LookedAt,
        Came::Redirect,
        Came::Error,
        Came::Elsewhere,
        Came::LeftOut,
        Came::Robots,
        Came::TooDeep,
        Came::Waiting,
    ];

    pub(super) fn of(report: &Report, id: PageId) -> Came {
        let page = report.page(id);
        match (page.outcome(), page.state) {
            (Some(Outcome::Page | Outcome::Sitemap), _) => Came::Read,
            (Some(Outcome::Alive | Outcome::TooLarge), _) => Came::LookedAt,
            (Some(Outcome::Redirect), _) => Came::Redirect,
            (Some(Outcome::Refused | Outcome::Failed(_)), _) => Came::Error,
            (None, State::Skipped(Skip::OutOfScope)) if !is_inside(report, &page.url) => Came::Elsewhere,
            (None, State::Skipped(Skip::OutOfScope)) => Came::LeftOut,
            (None, State::Skipped(Skip::Robots | Skip::RobotsUnreadable)) => Came::Robots,
            (None, State::TooFar) => Came::TooDeep,
            (None, State::Waiting | State::Out | State::Fetched) => Came::Waiting,
        }
    }

    /// What the count of it is followed by.
    pub(super) fn words(self) -> &'static str {
        match self {
            Came::Read => "read for links",
            Came::LookedAt => "checked, but not read for links",
            Came::Redirect => "redirect elsewhere",
            Came::Error => "refused or failed",
            Came::Elsewhere => "on other hosts, outside this crawl",
            Came::LeftOut => "left out by the options",
            Came::Robots => "disallowed by robots.txt",
            Came::TooDeep => "deeper than was asked for",
            Came::Waiting => "not reached",
        }
    }
}
