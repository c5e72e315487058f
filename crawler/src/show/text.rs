//! A report in words, for a terminal of 80 columns.

use std::time::Duration;

use super::columns::{WIDTH, line};
use super::fixes::{Fix, Kind, by_kind, counted, grouped};
use super::totals::Totals;
use super::visible::visible;
use crate::frontier::{PageId, Skip, State};
use crate::{DeadLink, Ended, Outcome, Page, Report, Resolution};

/// Rows of a list before the rest is only counted. Dead links are listed in full.
const ROWS: usize = 8;
/// Pages that are named for each problem.
const PAGES: usize = 6;

impl Report {
    /// The report in words, for a terminal of 80 columns; if `quiet`, only the problems and whether the crawl
    /// was complete. A URL that is wider than the terminal has a line of its own. Control characters in what
    /// the site sent are shown as escapes.
    pub fn to_text(&self, quiet: bool) -> String {
        let mut summary = Summary { report: self, out: String::new() };
        match quiet {
            false => summary.totals(),
            true => summary.partial(),
        }
        summary.verdict();
        summary.uncertain();
        summary.warned();
        if !quiet {
            summary.ignored();
            summary.redirects();
            summary.moved();
            summary.slowest();
            summary.skipped();
        }
        summary.out.trim_start().to_owned()
    }

    /// Why the crawl is incomplete, in a sentence; `None` if it is complete.
    pub fn partial(&self) -> Option<String> {
        let left = self.in_state(State::Waiting).count();
        let why = match &self.ended {
            Ended::Complete if left > 0 => "the page limit was reached".to_owned(),
            Ended::Complete if self.refused > 0 => "the limit on URLs was reached".to_owned(),
            Ended::Complete => return None,
            Ended::OutOfTime => "the time ran out".to_owned(),
            Ended::Cancelled(why) => why.clone(),
        };
        let cut_off = match self.cut_off {
            0 => String::new(),
            cut_off => format!(", {} without an answer", counted(cut_off, "request")),
        };
        let refused = match self.refused {
            0 => String::new(),
            refused => format!(", {} to URLs there was no room for", counted(refused as usize, "link")),
        };
        Some(format!("PARTIAL: {why}; {} not fetched{cut_off}{refused}.", counted(left, "page")))
    }
}

struct Summary<'a> {
    report: &'a Report,
    out: String,
}

impl Summary<'_> {
    /// A line whose continuation is indented by `hang`.
    fn line(&mut self, text: &str, hang: usize) {
        line(&mut self.out, text, hang);
    }

    fn heading(&mut self, text: &str) {
        self.line("", 0);
        self.line(text, 2);
    }

    fn partial(&mut self) {
        for notice in self.report.notices() {
            self.line(&notice, 2);
        }
        if let Some(partial) = self.report.partial() {
            self.line(&partial, 2);
        }
    }

    fn totals(&mut self) {
        let Report { pages, took, workers, per_host, .. } = self.report;
        let (fetched, seconds) = (self.report.fetched(), took.as_secs_f64());
        let here = fetched.saturating_sub(self.report.earlier);
        let depth = pages.iter().filter(|page| page.state == State::Fetched).map(|page| page.depth).max();
        let more = match self.report.starts.len() {
            0 | 1 => String::new(),
            starts => format!(" and {} more", starts - 1),
        };
        let start = pages.first().map_or("nothing", |page| &page.url);
        self.line(&format!("Crawled {start}{more}"), 2);
        self.partial();
        self.line("", 0);
        let depth = format!("down to depth {}", depth.unwrap_or(0));
        self.line(&format!("  found    {}, {depth}:", counted(pages.len(), "URL")), 11);
        for (count, came) in Totals::of(self.report).occurring() {
            self.line(&format!("           {:>7} {}", grouped(count), came.words()), 19);
        }
        self.line(&format!("  bytes    {} of HTML", bytes(self.report.bytes())), 11);
        let speed = here as f64 / seconds.max(1e-9);
        self.line(&format!("  time     {seconds:.2} s, {speed:.0} pages/s"), 11);
        self.line(&format!("  at once  {workers} requests, {per_host} of them at one host"), 11);
    }

    fn verdict(&mut self) {
        let dead = self.report.dead_links();
        match dead.len() {
            0 => match self.report.not_looked_at() {
                Some(why) => self.heading(&format!("NOT LOOKED AT: {why}")),
                None => match self.report.unchecked() {
                    Some(why) => self.heading(&format!("No dead links: {why}")),
                    None => self.heading("No dead links"),
                },
            },
            urls => {
                let places = self.report.dead_count();
                self.heading(&format!("Dead links: {}, to {}", grouped(places), counted(urls, "URL")));
            }
        }
        by_kind(&dead).iter().for_each(|kind| self.kind(kind, usize::MAX));
        if let Some(why) = self.report.not_looked_at().filter(|_| !dead.is_empty()) {
            self.heading(&format!("NOT LOOKED AT: {why}"));
        }
    }

    fn uncertain(&mut self) {
        let uncertain = self.report.uncertain_links();
        if uncertain.is_empty() {
            return;
        }
        self.heading(&format!("Uncertain: {}", counted(uncertain.len(), "URL")));
        by_kind(&uncertain).iter().for_each(|kind| self.kind(kind, ROWS));
    }

    fn warned(&mut self) {
        let moved = self.report.redirect_warnings();
        if !moved.is_empty() {
            self.heading(&format!("Moved: {}", counted(moved.len(), "URL")));
        }
        by_kind(&moved).iter().for_each(|kind| self.kind(kind, usize::MAX));
    }

    fn ignored(&mut self) {
        let ignored = self.report.ignored_links();
        if !ignored.is_empty() {
            self.heading(&format!("Ignored: {}", counted(ignored.len(), "URL")));
        }
        for (link, why) in ignored.iter().take(ROWS) {
            self.line(&format!("  {}", self.report.short(&link.url)), 4);
            self.line(&format!("    {} ({why})", link.problem), 6);
        }
        self.more(ignored.len(), ROWS, 2);
    }

    fn kind(&mut self, kind: &Kind<'_>, rows: usize) {
        self.line(&format!("  {}", kind.name), 4);
        kind.fixes.iter().take(rows).for_each(|fix| self.fix(fix));
        self.more(kind.fixes.len(), rows, 4);
    }

    fn fix(&mut self, fix: &Fix<'_>) {
        if let [link] = fix.links[..] {
            self.dead_link(link, 4);
        } else {
            self.line(&format!("    {}: {}", fix.target, counted(fix.links.len(), "URL")), 6);
            fix.links.iter().for_each(|link| self.dead_link(link, 6));
        }
        if let Some(hint) = fix.hint(self.report) {
            self.line(&format!("      {hint}"), 6);
        }
    }

    fn dead_link(&mut self, link: &DeadLink, indent: usize) {
        let (pad, below) = (" ".repeat(indent), " ".repeat(indent + 2));
        let chain: String = link.via.iter().map(|url| format!(" → {}", self.report.short(url))).collect();
        self.line(&format!("{pad}{}{chain}", self.report.short(&link.url)), indent + 2);
        if let Some(detail) = link.problem.detail() {
            self.line(&format!("{below}{detail}"), indent + 2);
        }
        let named: Vec<_> =
            link.linked_from.iter().take(PAGES).map(|link| self.report.short(&link.page)).collect();
        let more = match link.linked_from.len() - named.len() {
            0 => String::new(),
            more => format!(" and {} more", grouped(more)),
        };
        match named.is_empty() {
            true => self.line(&format!("{below}where the crawl began"), indent + 2),
            false => self.line(&format!("{below}on {}{more}", named.join(", ")), indent + 5),
        }
    }

    fn redirects(&mut self) {
        let redirects = self.report.redirects();
        if redirects.is_empty() {
            return;
        }
        self.heading(&format!("Redirects: {}", grouped(redirects.len())));
        for (id, via, resolution) in redirects.iter().take(ROWS) {
            let status = self.report.page(*id).status().unwrap_or_default();
            let chain: String = via.iter().map(|id| format!(" → {}", self.name(*id))).collect();
            let end = match resolution {
                Resolution::Alive => String::new(),
                Resolution::Dead(problem) | Resolution::Uncertain(problem) => format!(" ({problem})"),
                Resolution::Unknown => " (not followed)".to_owned(),
            };
            self.line(&format!("  {status}  {}{chain}{end}", self.name(*id)), 7);
        }
        self.more(redirects.len(), ROWS, 2);
    }

    fn moved(&mut self) {
        let moved = self.report.moved_permanently();
        if moved.is_empty() {
            return;
        }
        self.heading(&format!("Moved permanently: {} could be updated", counted(moved.len(), "link")));
        for &(from, to) in moved.iter().take(ROWS) {
            let linked: Vec<_> = self.report.linked_from(from).map(|link| link.page).collect();
            let on: Vec<_> = linked.iter().take(PAGES).map(|&page| self.name(page)).collect();
            let more = match linked.len() - on.len() {
                0 => String::new(),
                more => format!(" and {} more", grouped(more)),
            };
            let row = format!("  {} → {}, on {}{more}", self.name(from), self.name(to), on.join(", "));
            self.line(&row, 4);
        }
        self.more(moved.len(), ROWS, 2);
    }

    fn slowest(&mut self) {
        let slowest = self.report.slowest(5);
        if !slowest.is_empty() {
            self.heading("Slowest");
        }
        for (visit, took) in slowest {
            self.line(&format!("  {:>8}  {}", span(took), self.report.short(&visit.url)), 12);
        }
    }

    fn skipped(&mut self) {
        let rows = self.report.unread(|url| self.report.short(url).to_owned());
        if !rows.is_empty() {
            self.heading("Not read for links");
        }
        for (why, what) in rows {
            let mut row = format!("  {:>7}  {why:<19}", grouped(what.len()));
            for (place, name) in what.iter().enumerate() {
                let is_last = place + 1 == what.len();
                let width = row.chars().count() + visible(name).chars().count();
                // With room for `, …` if this is not the last.
                if place > 0 && width + if is_last { 1 } else { 5 } > WIDTH {
                    row.push_str(" …");
                    break;
                }
                row.push(' ');
                row.push_str(name);
                row.push_str(if is_last { "" } else { "," });
            }
            self.line(&row, 31);
        }
    }

    fn more(&mut self, rows: usize, shown: usize, indent: usize) {
        if rows > shown {
            self.line(&format!("{}and {} more", " ".repeat(indent), grouped(rows - shown)), indent + 2);
        }
    }

    fn name(&self, id: PageId) -> &str {
        self.report.short(&self.report.page(id).url)
    }
}

impl Report {
    /// What was found and not read for links: why, and the URLs as `name` shows them. Empty rows are left
    /// out.
    pub(super) fn unread(&self, name: impl Fn(&str) -> String) -> Vec<(&'static str, Vec<String>)> {
        let url = |page: &Page| name(&page.url);
        let with = |wanted: Outcome| move |page: &&Page| page.outcome() == Some(wanted);
        let size = |page: &Page| match page.record.as_ref().map_or(0, |record| record.bytes) {
            0 => url(page),
            size => format!("{} ({} or more)", url(page), bytes(size)),
        };
        let mime = |page: &Page| match page.record.as_ref().and_then(|record| record.mime.as_deref()) {
            Some(mime) => format!("{} ({mime})", url(page)),
            None => url(page),
        };
        let rows: [(&str, Vec<String>); 8] = [
            ("robots.txt says no", self.skipped(Skip::Robots).map(url).collect()),
            ("robots.txt unread", self.skipped(Skip::RobotsUnreadable).map(url).collect()),
            ("out of scope", self.skipped(Skip::OutOfScope).map(url).collect()),
            ("too deep", self.in_state(State::TooFar).map(url).collect()),
            ("too large", self.pages().iter().filter(with(Outcome::TooLarge)).map(size).collect()),
            ("not HTML", self.pages().iter().filter(with(Outcome::Alive)).map(mime).collect()),
            ("not http", self.not_http().map(str::to_owned).collect()),
            ("not reached", self.in_state(State::Waiting).map(url).collect()),
        ];
        rows.into_iter().filter(|(_, what)| !what.is_empty()).collect()
    }
}

/// A time, in the unit that suits it.
pub(super) fn span(span: Duration) -> String {
    match span.as_secs_f64() {
        seconds if seconds >= 1.0 => format!("{seconds:.2} s"),
        seconds if seconds >= 0.01 => format!("{:.0} ms", seconds * 1e3),
        seconds => format!("{:.1} ms", seconds * 1e3),
    }
}

/// A size, in the unit that suits it.
pub(super) fn bytes(bytes: u64) -> String {
    match bytes as f64 {
        size if size >= 1e6 => format!("{:.1} MB", size / 1e6),
        size if size >= 1e3 => format!("{:.0} kB", size / 1e3),
        _ => format!("{bytes} B"),
    }
}
