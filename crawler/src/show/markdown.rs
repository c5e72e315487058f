//! A report as Markdown, for a comment or a summary.

use std::io::{self, Write};

use super::fixes::{Fix, Kind, by_kind, counted, grouped};
use super::totals::Totals;
use super::visible::visible;
use crate::{DeadLink, Report};

/// Pages that are named for each problem.
const PAGES: usize = 10;
/// Moved pages that are listed.
const MOVED: usize = 50;

impl Report {
    /// Writes the outcome in Markdown: the dead and the uncertain links by kind and by what mends them, the
    /// links that could be updated because their targets have moved permanently, and what was found.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write_markdown(&self, to: impl Write) -> io::Result<()> {
        let mut to = io::BufWriter::new(to);
        let start = self.pages().first().map_or("nothing", |page| &page.url);
        writeln!(to, "# Crawl of {}\n", text(start))?;
        for line in
            self.partial().into_iter().chain(self.not_looked_at().map(|why| format!("NOT LOOKED AT: {why}")))
        {
            writeln!(to, "**{}**\n", text(&line))?;
        }
        for notice in self.notices() {
            writeln!(to, "**{}**\n", text(&notice))?;
        }
        let (dead, uncertain) = (self.dead_links(), self.uncertain_links());
        if !dead.is_empty() {
            section(&mut to, "Dead links", self, &dead)?;
        } else if self.not_looked_at().is_none() {
            let why = self.unchecked().map_or(String::new(), |why| format!(": {}", text(&why)));
            writeln!(to, "No dead links on {}{why}.\n", counted(self.fetched(), "page"))?;
        }
        if !uncertain.is_empty() {
            section(&mut to, "Uncertain", self, &uncertain)?;
        }
        let warned = self.redirect_warnings();
        match warned.is_empty() {
            true => self.markdown_moved(&mut to)?,
            false => section(&mut to, "Moved", self, &warned)?,
        }
        let totals = Totals::of(self);
        let totals: Vec<_> =
            totals.occurring().map(|(count, came)| format!("{} {}", grouped(count), came.words())).collect();
        writeln!(to, "{} found: {}.", counted(self.pages().len(), "URL"), totals.join("; "))?;
        to.flush()
    }

    fn markdown_moved(&self, to: &mut impl Write) -> io::Result<()> {
        let moved = self.moved_permanently();
        if moved.is_empty() {
            return Ok(());
        }
        writeln!(to, "## Moved permanently: {}\n\n| link | now | on |\n|---|---|---|", grouped(moved.len()))?;
        for &(from, now) in moved.iter().take(MOVED) {
            let [old, new] = [from, now].map(|id| text(&self.page(id).url));
            let pages = self.linkers(from);
            writeln!(to, "| {old} | {new} | {} |", named(pages.iter().map(|from| from.page.as_str())))?;
        }
        if moved.len() > MOVED {
            writeln!(to, "\nand {} more", grouped(moved.len() - MOVED))?;
        }
        writeln!(to)
    }
}

fn section(to: &mut impl Write, title: &str, report: &Report, links: &[DeadLink]) -> io::Result<()> {
    writeln!(to, "## {title}: {}\n", grouped(links.len()))?;
    for Kind { name, fixes } in by_kind(links) {
        writeln!(to, "### {}\n\n| URL | on |\n|---|---|", text(&name))?;
        for fix in &fixes {
            writeln!(to, "| {} | {} |", urls(fix), pages(fix, report))?;
        }
        writeln!(to)?;
    }
    Ok(())
}

fn urls(fix: &Fix<'_>) -> String {
    let urls = named(fix.links.iter().map(|link| link.url.as_str()));
    let via: String = fix.links[0].via.iter().map(|url| format!("<br>→ {}", text(url))).collect();
    match fix.is_host {
        true => format!("**{}**<br>{urls}", text(fix.target)),
        false => urls + &via,
    }
}

fn pages(fix: &Fix<'_>, report: &Report) -> String {
    let mut pages: Vec<&str> =
        fix.links.iter().flat_map(|link| &link.linked_from).map(|from| from.page.as_str()).collect();
    if fix.is_host {
        pages.sort_unstable();
        pages.dedup();
    }
    match fix.hint(report) {
        Some(hint) => format!("{}<br>{hint}", named(pages.into_iter())),
        None => named(pages.into_iter()),
    }
}

/// The first few of a list, a line each.
fn named<'a>(mut all: impl ExactSizeIterator<Item = &'a str>) -> String {
    let mut first: Vec<String> = all.by_ref().take(PAGES).map(text).collect();
    if all.len() > 0 {
        first.push(format!("and {} more", grouped(all.len())));
    }
    first.join("<br>")
}

/// A text that is nothing but text in Markdown, also in a table.
fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}
