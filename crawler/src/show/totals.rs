//! The URLs of a crawl by their state at its end, in numbers that add up.

use super::fixes::is_inside;
use crate::frontier::{PageId, Skip, State};
use crate::{Outcome, Report};

/// The number of URLs in each state. Their sum is the number of URLs that were found.
pub(super) struct Totals(pub(super) [(usize, UrlState); 9]);

/// The state of a URL at the end of a crawl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UrlState {
    Read,
    Checked,
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
        let mut totals = UrlState::ALL.map(|state| (0, state));
        for id in 0..report.pages().len() as PageId {
            totals[UrlState::of(report, id) as usize].0 += 1;
        }
        Totals(totals)
    }

    /// Returns the states that occur.
    pub(super) fn occurring(&self) -> impl Iterator<Item = (usize, UrlState)> {
        self.0.into_iter().filter(|&(count, _)| count > 0)
    }
}

impl UrlState {
    const ALL: [UrlState; 9] = [
        UrlState::Read,
        UrlState::Checked,
        UrlState::Redirect,
        UrlState::Error,
        UrlState::Elsewhere,
        UrlState::LeftOut,
        UrlState::Robots,
        UrlState::TooDeep,
        UrlState::Waiting,
    ];

    pub(super) fn of(report: &Report, id: PageId) -> UrlState {
        let page = report.page(id);
        match (page.outcome(), page.state) {
            (Some(Outcome::Page | Outcome::Sitemap), _) => UrlState::Read,
            (Some(Outcome::Alive | Outcome::TooLarge), _) => UrlState::Checked,
            (Some(Outcome::Redirect), _) => UrlState::Redirect,
            (Some(Outcome::Refused | Outcome::Failed(_)), _) => UrlState::Error,
            (None, State::Skipped(Skip::OutOfScope)) if !is_inside(report, &page.url) => UrlState::Elsewhere,
            (None, State::Skipped(Skip::OutOfScope)) => UrlState::LeftOut,
            (None, State::Skipped(Skip::Robots | Skip::RobotsUnreadable)) => UrlState::Robots,
            (None, State::TooFar) => UrlState::TooDeep,
            (None, State::Waiting | State::Out | State::Fetched) => UrlState::Waiting,
        }
    }

    /// Returns the words that follow its count.
    pub(super) fn words(self) -> &'static str {
        match self {
            UrlState::Read => "read for links",
            UrlState::Checked => "checked, but not read for links",
            UrlState::Redirect => "redirect elsewhere",
            UrlState::Error => "refused or failed",
            UrlState::Elsewhere => "on other hosts, outside this crawl",
            UrlState::LeftOut => "left out by the options",
            UrlState::Robots => "disallowed by robots.txt",
            UrlState::TooDeep => "deeper than was asked for",
            UrlState::Waiting => "not reached",
        }
    }
}
