//! Requests as bars of the picture.

use std::collections::HashMap;
use std::time::Duration;

use super::columns::clipped;
use super::fixes::grouped;
use super::text::span;
use super::visible::visible;
use crate::{Outcome, Report, Visit};

/// Bars that are drawn at most: about 100 kB of SVG, and more than can be told apart on a screen.
const BARS: usize = 1_000;
/// Characters of a URL in a caption.
const URL: usize = 160;

/// What became of a request: the colour of its bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) colour: &'static str,
}

const PAGE: Kind = Kind { name: "page", colour: "#2a9d8f" };
const UNREAD: Kind = Kind { name: "not HTML or too large", colour: "#5b7db8" };
const ROBOTS: Kind = Kind { name: "robots.txt", colour: "#7b4fa3" };
const STOPPED: Kind = Kind { name: "stopped", colour: "#8a949e" };
const REDIRECT: Kind = Kind { name: "redirect", colour: "#eeb23e" };
const ERROR: Kind = Kind { name: "refused or failed", colour: "#d1384f" };
/// In the order in which they are drawn: the last is on top of the others.
pub(super) const KINDS: [Kind; 6] = [PAGE, UNREAD, ROBOTS, STOPPED, REDIRECT, ERROR];

/// A request, or several of one kind that would be drawn over each other.
#[derive(Clone, Debug)]
pub(super) struct Bar {
    pub(super) worker: usize,
    pub(super) kind: Kind,
    pub(super) x: f64,
    pub(super) end: f64,
    pub(super) requests: usize,
    /// The place of the longest of them among the visits.
    longest: usize,
}

/// The bars of all requests, ordered by kind; `x` is where a moment is drawn.
pub(super) fn bars(report: &Report, x: impl Fn(Duration) -> f64) -> Vec<Bar> {
    let mut apart = 1.0;
    loop {
        let mut bars = merged(report, &x, apart);
        if bars.len() <= BARS || apart > 64.0 {
            let order = |bar: &Bar| KINDS.iter().position(|&kind| kind == bar.kind);
            bars.sort_by_key(order);
            return bars;
        }
        apart *= 1.5;
    }
}

/// The bars, with those of one worker and kind merged that begin within the same `apart` pixels and are no
/// longer than that.
fn merged(report: &Report, x: &impl Fn(Duration) -> f64, apart: f64) -> Vec<Bar> {
    let visits = report.visits();
    let mut bars: Vec<Bar> = Vec::new();
    // A worker's requests follow each other, so only the last bar of its kind can take in another.
    let mut last: HashMap<(usize, &str), usize> = HashMap::new();
    for (place, visit) in visits.iter().enumerate() {
        let (begin, end, kind) = (x(visit.started), x(visit.ended), kind(report, visit));
        let key = (visit.worker, kind.name);
        let is_same = |bar: &Bar| (bar.x / apart).floor() == (begin / apart).floor();
        match last.get(&key).map(|&bar| &mut bars[bar]) {
            Some(bar) if is_same(bar) && end - bar.x <= apart.max(1.0) * 1.5 => {
                bar.end = end;
                bar.requests += 1;
                if took(visit) > took(&visits[bar.longest]) {
                    bar.longest = place;
                }
            }
            _ => {
                last.insert(key, bars.len());
                let worker = visit.worker;
                bars.push(Bar { worker, kind, x: begin, end, requests: 1, longest: place });
            }
        }
    }
    bars
}

impl Bar {
    /// What a reader is told who points at it.
    pub(super) fn caption(&self, report: &Report) -> String {
        let longest = &report.visits()[self.longest];
        let took = span(took(longest));
        let url = clipped(&visible(&longest.url), URL);
        match self.requests {
            1 => format!("{url}\n{}, {took}", came(report, longest, self.kind)),
            requests => format!("{} requests: {}, up to {took}", grouped(requests), self.kind.name),
        }
    }
}

fn took(visit: &Visit) -> Duration {
    visit.ended.saturating_sub(visit.started)
}

/// What became of a request, in a word or two.
fn came(report: &Report, visit: &Visit, kind: Kind) -> String {
    let record = visit.page.and_then(|id| report.page(id).record.as_ref());
    match record.map(|record| (record.outcome, record.status)) {
        Some((Outcome::Refused | Outcome::Redirect, Some(status))) => format!("{} {status}", kind.name),
        Some((Outcome::Failed(failure), _)) => format!("{}: {failure}", kind.name),
        _ => kind.name.to_owned(),
    }
}

fn kind(report: &Report, visit: &Visit) -> Kind {
    let Some(id) = visit.page else { return ROBOTS };
    match report.page(id).outcome() {
        Some(Outcome::Page | Outcome::Sitemap) => PAGE,
        Some(Outcome::Alive | Outcome::TooLarge) => UNREAD,
        Some(Outcome::Redirect) => REDIRECT,
        Some(Outcome::Refused | Outcome::Failed(_)) => ERROR,
        None => STOPPED,
    }
}
