//! Redirects, what was not read, and the slowest pages.

use std::io::{self, Write};

use super::escape::escaped;
use super::problems::Places;
use crate::frontier::PageId;
use crate::show::fixes::{counted, grouped};
use crate::show::text::span;
use crate::{Report, Resolution};

/// Rows of a list before the rest is only counted.
const ROWS: usize = 200;
/// Rows of each list of what was not read.
const UNREAD: usize = 60;
/// Slowest pages that are shown.
const SLOWEST: usize = 10;

impl Report {
    pub(super) fn html_redirects(&self, to: &mut impl Write, places: &mut Places<'_>) -> io::Result<()> {
        let redirects = self.redirects();
        if redirects.is_empty() {
            return Ok(());
        }
        let moved: Vec<PageId> = self.moved_permanently().into_iter().map(|(from, _)| from).collect();
        let (permanent, others): (Vec<_>, Vec<_>) =
            redirects.iter().partition(|(id, ..)| moved.binary_search(id).is_ok());
        let count = grouped(redirects.len());
        write!(to, "<section id=\"redirects\" class=\"group\"><h2>Redirects <small>{count}</small></h2>")?;
        let mut list = |title: &str, rows: &[&(PageId, Vec<PageId>, Resolution)], is_moved: bool| {
            if rows.is_empty() {
                return Ok(());
            }
            write!(to, "<div class=\"group\"><h3>{title} <small>{}</small></h3>", grouped(rows.len()))?;
            for (id, via, resolution) in rows.iter().take(ROWS) {
                write!(to, "<div class=\"item\">")?;
                self.html_redirect(to, *id, via, resolution)?;
                if is_moved {
                    places.places(to, &self.linkers(*id))?;
                }
                write!(to, "</div>")?;
            }
            more(to, rows.len(), ROWS)?;
            write!(to, "</div>")
        };
        list("Moved permanently: update the link", &permanent, true)?;
        list("Others", &others, false)?;
        write!(to, "</section>")
    }

    fn html_redirect(
        &self,
        to: &mut impl Write,
        id: PageId,
        via: &[PageId],
        resolution: &Resolution,
    ) -> io::Result<()> {
        let page = self.page(id);
        let status = page.status().unwrap_or_default();
        write!(to, "<p class=\"via\"><code>{status}</code> {}", self.html_link(&page.url))?;
        for &id in via {
            write!(to, " → {}", self.html_link(&self.page(id).url))?;
        }
        match resolution {
            Resolution::Alive => {}
            Resolution::Dead(problem) | Resolution::Uncertain(problem) => {
                write!(to, " <span class=\"faint\">({})</span>", escaped(&problem.to_string()))?;
            }
            Resolution::Unknown => write!(to, " <span class=\"faint\">(not followed)</span>")?,
        }
        write!(to, "</p>")
    }

    pub(super) fn html_ignored(&self, to: &mut impl Write) -> io::Result<()> {
        let ignored = self.ignored_links();
        if ignored.is_empty() {
            return Ok(());
        }
        let count = grouped(ignored.len());
        write!(to, "<section id=\"ignored\" class=\"group\"><h2>Ignored <small>{count}</small></h2>")?;
        for (dead, why) in ignored.iter().take(ROWS) {
            let (url, problem) = (self.html_link(&dead.url), escaped(&dead.problem.to_string()));
            let why = escaped(why);
            write!(to, "<div class=\"item\">{url}<p class=\"faint\">{problem}: {why}</p></div>")?;
        }
        more(to, ignored.len(), ROWS)?;
        write!(to, "</section>")
    }

    pub(super) fn html_unread(&self, to: &mut impl Write) -> io::Result<()> {
        let rows = self.unread(str::to_owned);
        if rows.is_empty() {
            return Ok(());
        }
        let all = grouped(rows.iter().map(|(_, urls)| urls.len()).sum());
        write!(
            to,
            "<section id=\"unread\" class=\"group\"><h2>Not read for links <small>{all}</small></h2>"
        )?;
        for (why, urls) in rows {
            let count = grouped(urls.len());
            write!(to, "<details class=\"group\"><summary>{why} ({count})</summary><ul class=\"rows\">")?;
            for url in urls.iter().take(UNREAD) {
                // What is written behind a URL is no part of it.
                let (url, note) = url.split_at(url.find(' ').unwrap_or(url.len()));
                let note = if note.is_empty() {
                    String::new()
                } else {
                    format!("<span class=\"faint\">{}</span>", escaped(note))
                };
                write!(to, "<li class=\"item\">{}{note}</li>", self.html_link(url))?;
            }
            write!(to, "</ul>")?;
            more(to, urls.len(), UNREAD)?;
            write!(to, "</details>")?;
        }
        write!(to, "</section>")
    }

    pub(super) fn html_slowest(&self, to: &mut impl Write) -> io::Result<()> {
        let slowest = self.slowest(SLOWEST);
        let count = counted(slowest.len(), "request");
        write!(
            to,
            "<section id=\"slowest\" class=\"group\"><h2>Slowest <small>{count}</small></h2><ol class=\"slow\">"
        )?;
        for (visit, took) in slowest {
            write!(to, "<li class=\"item\"><code>{}</code> {}</li>", span(took), self.html_link(&visit.url))?;
        }
        write!(to, "</ol></section>")
    }
}

fn more(to: &mut impl Write, rows: usize, shown: usize) -> io::Result<()> {
    match rows.saturating_sub(shown) {
        0 => Ok(()),
        more => write!(to, "<p class=\"faint\">and {} more</p>", grouped(more)),
    }
}
