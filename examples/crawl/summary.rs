//! What was found, in words: for a terminal of 100 columns.

use std::fmt::Write;
use std::time::Duration;

use url::Url;

use crate::fetch::{BODY_CAP, Outcome};
use crate::frontier::{Page, PageId, Skip, State};
use crate::report::{DeadLink, Ended, Fate, Report};

/// Rows of a list before the rest is only counted. Dead links are listed in full: they are what one came for.
const ROWS: usize = 8;
/// Pages named behind a dead link.
const PAGES: usize = 6;
const WIDTH: usize = 100;

/// The summary; if `quiet`, only the dead links.
pub(crate) fn text(report: &Report, quiet: bool) -> String {
    let mut summary = Summary { report, out: String::new() };
    if !quiet {
        summary.totals();
    }
    summary.dead_links();
    if !quiet {
        summary.redirects();
        summary.slowest();
        summary.errors();
        summary.skipped();
    }
    summary.out.trim_start().to_owned()
}

/// How the crawl ended if not by itself; `None` if it is complete.
pub(crate) fn partial(report: &Report) -> Option<String> {
    let left = report.in_state(State::Waiting).count();
    let why = match &report.ended {
        Ended::Complete if left == 0 => return None,
        Ended::Complete => "the page limit was reached".to_owned(),
        Ended::OutOfTime => "the time ran out".to_owned(),
        Ended::Cancelled(why) => why.clone(),
    };
    let cut_off = match report.cut_off {
        0 => String::new(),
        cut_off => format!(", {}", counted(cut_off, "request", "without an answer")),
    };
    Some(format!("PARTIAL: {why}; {}{cut_off}.", counted(left, "page", "not fetched")))
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
        let _ = writeln!(self.out, "{}", text.trim_end());
    }

    fn heading(&mut self, text: &str) {
        self.line(&format!("\n{text}"));
    }

    fn totals(&mut self) {
        let Report { pages, took, workers, per_host, .. } = self.report;
        let (fetched, seconds) = (self.report.fetched(), took.as_secs_f64());
        let depth =
            pages.iter().filter(|page| page.state == State::Fetched).map(|page| page.distance.depth).max();
        self.line(&format!("Crawled {}", pages[0].url));
        if let Some(partial) = partial(self.report) {
            self.line(&partial);
        }
        self.line("");
        self.line(&format!(
            "  pages    {fetched} looked at of {} found, down to depth {}",
            pages.len(),
            depth.unwrap_or(0)
        ));
        self.line(&format!("  bytes    {} of HTML", bytes(self.report.bytes())));
        self.line(&format!("  time     {seconds:.2} s, {:.0} pages/s", fetched as f64 / seconds.max(1e-9)));
        self.line(&format!("  at once  {workers} requests, {per_host} of them at one host"));
    }

    fn dead_links(&mut self) {
        let mut dead = self.report.dead_links();
        dead.sort_by_key(|link| link.death.to_string());
        match dead.len() {
            0 => self.heading("No dead links"),
            urls => self.heading(&format!(
                "Dead links: {}, to {}",
                self.report.dead_count(),
                counted(urls, "URL", "").trim_end()
            )),
        }
        dead.iter().for_each(|link| self.dead_link(link));
    }

    fn dead_link(&mut self, link: &DeadLink) {
        let url = Url::parse(&link.url).map_or_else(|_| link.url.clone(), |url| self.short(&url));
        let chain: String = link.via.iter().map(|url| format!(" → {}", self.short(url))).collect();
        self.line(&format!("  {:<26} {url}{chain}", link.death.to_string()));
        let named: Vec<_> = link.linked_from.iter().take(PAGES).map(|page| self.short(page)).collect();
        let more = link.linked_from.len() - named.len();
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        if let Some(detail) = link.death.detail() {
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
        for (id, via, fate) in redirects.iter().take(ROWS) {
            let Some(Outcome::Redirect { status, .. }) = &self.report.outcomes[*id] else { continue };
            let chain: String = via.iter().map(|id| format!(" → {}", self.name(*id))).collect();
            let end = match fate {
                Fate::Alive => String::new(),
                Fate::Dead(death) => format!(" ({death})"),
                Fate::Unknown => " (not followed)".to_owned(),
            };
            self.line(&format!("  {status}  {}{chain}{end}", self.name(*id)));
        }
        self.more(redirects.len());
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
        let too_large = |id: PageId| match &report.outcomes[id] {
            Some(Outcome::TooLarge { bytes: BODY_CAP }) => {
                Some(format!("{} (over {})", self.name(id), bytes(BODY_CAP)))
            }
            Some(Outcome::TooLarge { bytes: size }) => Some(format!("{} ({})", self.name(id), bytes(*size))),
            _ => None,
        };
        let other = |id: PageId| match &report.outcomes[id] {
            Some(Outcome::Other { mime }) => Some(format!("{} ({mime})", self.name(id))),
            _ => None,
        };
        let rows: [(&str, Vec<String>); 7] = [
            ("robots.txt says no", report.skipped(Skip::Robots).map(url).collect()),
            ("out of scope", report.skipped(Skip::OutOfScope).map(url).collect()),
            ("too deep", report.in_state(State::TooFar).map(url).collect()),
            ("too large", (0..report.pages.len()).filter_map(too_large).collect()),
            ("not HTML", (0..report.pages.len()).filter_map(other).collect()),
            ("not http", report.not_http.clone()),
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
        self.short(&self.report.pages[id].url)
    }

    /// A URL of the host where the crawl began, without the host.
    fn short(&self, url: &Url) -> String {
        let home = &self.report.pages[0].url;
        match url.origin() == home.origin() {
            true => url[url::Position::BeforePath..].to_owned(),
            false => url.to_string(),
        }
    }
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
