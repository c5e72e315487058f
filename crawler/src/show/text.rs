//! What was found, in words: for a terminal of 100 columns.

use std::fmt::Write;
use std::time::Duration;

use super::visible::visible;
use crate::frontier::{PageId, Skip, State};
use crate::{DeadLink, Ended, Outcome, Page, Report, Resolution};

/// Rows of a list before the rest is only counted. Dead links are listed in full: they are what one came for.
const ROWS: usize = 8;
/// Pages named behind a dead link.
const PAGES: usize = 6;
const WIDTH: usize = 100;

impl Report {
    /// What was found, in words, for a terminal; if `quiet`, only the dead links, and whether all was looked
    /// at. Control characters that a site has put into its links are visible.
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
            summary.errors();
            summary.skipped();
        }
        summary.out.trim_start().to_owned()
    }

    /// Why the crawl did not find everything that it should have, in a sentence; `None` if it did.
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
            cut_off => format!(", {}", counted(cut_off, "request", "without an answer")),
        };
        let refused = match self.refused {
            0 => String::new(),
            refused => format!(", {}", counted(refused as usize, "link", "to URLs there was no room for")),
        };
        Some(format!("PARTIAL: {why}; {}{cut_off}{refused}.", counted(left, "page", "not fetched")))
    }
}

fn counted(count: usize, what: &str, state: &str) -> String {
    format!("{count} {what}{} {state}", if count == 1 { "" } else { "s" })
}

struct Summary<'a> {
    report: &'a Report,
    out: String,
}

impl Summary<'_> {
    fn line(&mut self, text: &str) {
        // Writing to a `String` does not fail.
        let _ = writeln!(self.out, "{}", visible(text.trim_end()));
    }

    fn heading(&mut self, text: &str) {
        self.line("");
        self.line(text);
    }

    fn partial(&mut self) {
        for notice in self.report.notices() {
            self.line(&notice);
        }
        if let Some(partial) = self.report.partial() {
            self.line(&partial);
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
        self.line(&format!("Crawled {}{more}", pages.first().map_or("nothing", |page| &page.url)));
        self.partial();
        self.line("");
        self.line(&format!(
            "  pages    {fetched} looked at of {} found, down to depth {}",
            pages.len(),
            depth.unwrap_or(0)
        ));
        self.line(&format!("  bytes    {} of HTML", bytes(self.report.bytes())));
        self.line(&format!("  time     {seconds:.2} s, {:.0} pages/s", here as f64 / seconds.max(1e-9)));
        self.line(&format!("  at once  {workers} requests, {per_host} of them at one host"));
    }

    fn verdict(&mut self) {
        let mut dead = self.report.dead_links();
        dead.sort_by_key(|link| link.problem.to_string());
        match dead.len() {
            0 => match self.report.not_looked_at() {
                Some(why) => self.heading(&format!("NOT LOOKED AT: {why}")),
                None => match self.report.unchecked() {
                    Some(why) => self.heading(&format!("No dead links: {why}")),
                    None => self.heading("No dead links"),
                },
            },
            urls => self.heading(&format!(
                "Dead links: {}, to {}",
                self.report.dead_count(),
                counted(urls, "URL", "").trim_end()
            )),
        }
        dead.iter().for_each(|link| self.dead_link(link));
        if let Some(why) = self.report.not_looked_at().filter(|_| !dead.is_empty()) {
            self.heading(&format!("NOT LOOKED AT: {why}"));
        }
    }

    fn uncertain(&mut self) {
        let uncertain = self.report.uncertain_links();
        if !uncertain.is_empty() {
            self.heading(&format!("Uncertain: {}", counted(uncertain.len(), "URL", "").trim_end()));
        }
        uncertain.iter().take(ROWS).for_each(|link| self.dead_link(link));
        self.more(uncertain.len());
    }

    fn warned(&mut self) {
        let moved = self.report.redirect_warnings();
        if !moved.is_empty() {
            self.heading(&format!("Moved: {}", counted(moved.len(), "URL", "").trim_end()));
        }
        moved.iter().for_each(|link| self.dead_link(link));
    }

    fn ignored(&mut self) {
        let ignored = self.report.ignored_links();
        if !ignored.is_empty() {
            self.heading(&format!("Ignored: {}", counted(ignored.len(), "URL", "").trim_end()));
        }
        for (link, why) in ignored.iter().take(ROWS) {
            self.line(&format!("  {:<26} {}", link.problem.to_string(), self.short(&link.url)));
            self.line(&format!("  {:<26} {why}", ""));
        }
        self.more(ignored.len());
    }

    fn dead_link(&mut self, link: &DeadLink) {
        let url = self.short(&link.url);
        let chain: String = link.via.iter().map(|url| format!(" → {}", self.short(url))).collect();
        self.line(&format!("  {:<26} {url}{chain}", link.problem.to_string()));
        let named: Vec<_> = link.linked_from.iter().take(PAGES).map(|link| self.short(&link.page)).collect();
        let more = link.linked_from.len() - named.len();
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        if let Some(detail) = link.problem.detail() {
            self.line(&format!("  {:<26} {detail}", ""));
        }
        match named.is_empty() {
            true => self.line(&format!("  {:<26} where the crawl began", "")),
            false => self.line(&format!("  {:<26} on {}{more}", "", named.join(", "))),
        }
    }

    fn redirects(&mut self) {
        let redirects = self.report.redirects();
        if redirects.is_empty() {
            return;
        }
        self.heading(&format!("Redirects: {}", redirects.len()));
        for (id, via, resolution) in redirects.iter().take(ROWS) {
            let status = self.report.page(*id).status().unwrap_or_default();
            let chain: String = via.iter().map(|id| format!(" → {}", self.name(*id))).collect();
            let end = match resolution {
                Resolution::Alive => String::new(),
                Resolution::Dead(problem) | Resolution::Uncertain(problem) => format!(" ({problem})"),
                Resolution::Unknown => " (not followed)".to_owned(),
            };
            self.line(&format!("  {status}  {}{chain}{end}", self.name(*id)));
        }
        self.more(redirects.len());
    }

    fn moved(&mut self) {
        let moved = self.report.moved_for_good();
        if moved.is_empty() {
            return;
        }
        self.heading(&format!("Moved for good: {}", counted(moved.len(), "link", "could be changed")));
        for &(from, to) in moved.iter().take(ROWS) {
            let on: Vec<_> =
                self.report.linked_from(from).take(PAGES).map(|link| self.name(link.page)).collect();
            self.line(&format!("  {} → {}, on {}", self.name(from), self.name(to), on.join(", ")));
        }
        self.more(moved.len());
    }

    fn slowest(&mut self) {
        let slowest = self.report.slowest(5);
        if !slowest.is_empty() {
            self.heading("Slowest");
        }
        for (visit, took) in slowest {
            self.line(&format!("  {:>8}  {}", span(took), self.short(&visit.url)));
        }
    }

    fn errors(&mut self) {
        let errors = self.report.errors();
        if !errors.is_empty() {
            self.heading("Errors by kind");
        }
        for (kind, count) in errors {
            self.line(&format!("  {count:>8}  {kind}"));
        }
    }

    fn skipped(&mut self) {
        let report = self.report;
        let url = |page: &Page| self.short(&page.url);
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
            ("robots.txt says no", report.skipped(Skip::Robots).map(url).collect()),
            ("robots.txt unread", report.skipped(Skip::RobotsUnreadable).map(url).collect()),
            ("out of scope", report.skipped(Skip::OutOfScope).map(url).collect()),
            ("too deep", report.in_state(State::TooFar).map(url).collect()),
            ("too large", report.pages().iter().filter(with(Outcome::TooLarge)).map(size).collect()),
            ("not HTML", report.pages().iter().filter(with(Outcome::Alive)).map(mime).collect()),
            ("not http", report.not_http().map(str::to_owned).collect()),
            ("never came to it", report.in_state(State::Waiting).map(url).collect()),
        ];
        if rows.iter().any(|(_, what)| !what.is_empty()) {
            self.heading("Not read");
        }
        for (why, what) in rows.iter().filter(|(_, what)| !what.is_empty()) {
            let row = format!("  {:>8}  {why:<19} {}", what.len(), what.join(", "));
            self.line(&clipped(&row, WIDTH));
        }
    }

    fn more(&mut self, rows: usize) {
        if rows > ROWS {
            self.line(&format!("  and {} more", rows - ROWS));
        }
    }

    fn name(&self, id: PageId) -> String {
        self.short(&self.report.page(id).url)
    }

    /// A URL of the host where the crawl began, without the host.
    fn short(&self, url: &str) -> String {
        let home = self.report.pages().first().map_or("", |page| host(&page.url));
        match url.strip_prefix(home) {
            Some(rest) if rest.starts_with('/') && !home.is_empty() => rest.to_owned(),
            _ => url.to_owned(),
        }
    }
}

/// What stands before the path of a URL.
fn host(url: &str) -> &str {
    let begin = url.find("://").map_or(0, |at| at + 3);
    let end = url[begin..].find('/').map_or(url.len(), |at| begin + at);
    &url[..end]
}

/// Cuts a text that is wider than `width` characters.
pub(crate) fn clipped(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

/// A time, in the unit that suits it.
pub(crate) fn span(span: Duration) -> String {
    match span.as_secs_f64() {
        seconds if seconds >= 1.0 => format!("{seconds:.2} s"),
        seconds => format!("{:.0} ms", seconds * 1e3),
    }
}

/// A size, in the unit that suits it.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes as f64 {
        size if size >= 1e6 => format!("{:.1} MB", size / 1e6),
        size if size >= 1e3 => format!("{:.0} kB", size / 1e3),
        _ => format!("{bytes} B"),
    }
}
