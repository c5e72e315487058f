//! A report as Markdown, for a comment or a summary.

use std::io::{self, Write};

use super::visible::visible;
use crate::{DeadLink, Report};

/// Pages named behind a dead link.
const PAGES: usize = 10;

impl Report {
    /// Writes the verdict and a table of the dead and uncertain links in Markdown.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write_markdown(&self, to: impl Write) -> io::Result<()> {
        let mut to = io::BufWriter::new(to);
        let start = self.pages().first().map_or("nothing", |page| &page.url);
        writeln!(to, "# Crawl of {}\n", text(start))?;
        if let Some(line) = self.partial() {
            writeln!(to, "**{}**\n", text(&line))?;
        }
        for notice in self.notices() {
            writeln!(to, "**{}**\n", text(&notice))?;
        }
        let dead = self.dead_links();
        match (self.not_looked_at(), dead.len()) {
            (Some(why), 0) => writeln!(to, "**NOT LOOKED AT: {}**", text(&why))?,
            (_, 0) => writeln!(to, "No dead links on {} pages.", self.fetched())?,
            (_, _) => table(&mut to, "Dead links", &dead)?,
        }
        let uncertain = self.uncertain_links();
        if !uncertain.is_empty() {
            table(&mut to, "Uncertain", &uncertain)?;
        }
        let moved = self.redirect_warnings();
        if !moved.is_empty() {
            table(&mut to, "Moved", &moved)?;
        }
        to.flush()
    }
}

fn table(to: &mut impl Write, heading: &str, links: &[DeadLink]) -> io::Result<()> {
    writeln!(to, "## {heading}: {}\n\n| what | URL | on |\n|---|---|---|", links.len())?;
    for link in links {
        let named = link.linked_from.iter().take(PAGES).map(|from| text(&from.page));
        let mut pages: Vec<String> = named.collect();
        if link.linked_from.len() > PAGES {
            pages.push(format!("and {} more", link.linked_from.len() - PAGES));
        }
        let problem = text(&link.problem.to_string());
        writeln!(to, "| {problem} | {} | {} |", text(&link.url), pages.join("<br>"))?;
    }
    writeln!(to)
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
