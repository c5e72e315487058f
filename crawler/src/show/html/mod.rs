//! A report as one HTML file that needs nothing else.
//!
//! It is complete without scripts. Its own script adds the filter, turns names of pages into links and zooms
//! into the pictures; a content security policy lets no other script or style in, so text of the site that
//! slipped through unescaped would still do nothing. A large site makes a small file: the pages with a link
//! are named in full for the first ten only, and after that by their names under their folder.

mod escape;
mod lists;
mod problems;

use std::io::{self, Write};

pub(super) use escape::escaped;

use super::fixes::{Kind, by_kind, counted, grouped};
use super::text::{bytes, span};
use super::totals::{Totals, UrlState};
use crate::{DeadLink, Report, State};
use escape::linked;
use problems::Places;

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");
/// SHA-256 of the two, in base64, for the content security policy.
const STYLE_HASH: &str = "O0Wu9DjD9s10P2GrE52W8wrUSAL+3bAfhQLh+eLH2Y0=";
const SCRIPT_HASH: &str = "uC42UfRlnfxRziV1HKNnZv1OQnGwvtTmNkAk/LCmt0c=";

impl Report {
    /// Writes one HTML file that needs nothing else: the totals, the problems by kind and by what mends them
    /// with a filter, the redirects, what was not read, the slowest pages, the picture of the run, and the
    /// graph of the site if it has [one](Report::to_graph_svg). At most some 50,000 pages are named beyond
    /// the first ten of each problem; the JSON has them all.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write_html(&self, to: impl Write) -> io::Result<()> {
        let mut to = io::BufWriter::new(to);
        let (dead, uncertain) = (self.dead_links(), self.uncertain_links());
        let moved = self.redirect_warnings();
        let [dead_kinds, uncertain_kinds, moved_kinds] =
            [&dead, &uncertain, &moved].map(|links| by_kind(links));
        let mut places = Places::new(self);
        self.head(&mut to, &dead, &uncertain)?;
        write!(to, "<main>")?;
        self.found(&mut to)?;
        tools(&mut to, dead_kinds.iter().chain(&uncertain_kinds).chain(&moved_kinds))?;
        places.section(&mut to, "dead", "Dead links", &dead_kinds)?;
        places.section(&mut to, "uncertain", "Uncertain links", &uncertain_kinds)?;
        places.section(&mut to, "moved", "Links that have moved", &moved_kinds)?;
        self.html_redirects(&mut to, &mut places)?;
        self.html_ignored(&mut to)?;
        self.html_unread(&mut to)?;
        self.html_slowest(&mut to)?;
        let run = self.run_picture();
        figure(&mut to, "run", "The run", "A row for each worker, a bar for each request.", &run)?;
        if let Some(site) = self.site_picture() {
            let caption = "Folders by their distance from the start, and the links between them.";
            figure(&mut to, "site", "The site", caption, &site)?;
        }
        let version = env!("CARGO_PKG_VERSION");
        write!(
            to,
            "</main><footer><p>selvedge-crawl {version}. Every URL with every link is in the output of \
             <code>--format json</code>, a row for each problem in that of <code>--format csv</code>.</p>\
             </footer><script>{SCRIPT}</script></body></html>"
        )?;
        to.flush()
    }

    /// Everything up to the first section.
    fn head(&self, to: &mut impl Write, dead: &[DeadLink], uncertain: &[DeadLink]) -> io::Result<()> {
        let start = self.pages().first().map_or("nothing", |page| &page.url);
        let (linked, start) = (linked(start, start), escaped(start));
        let more = match self.starts.len() {
            0 | 1 => String::new(),
            starts => format!(" and {} more", grouped(starts - 1)),
        };
        write!(
            to,
            "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
             style-src 'sha256-{STYLE_HASH}'; script-src 'sha256-{SCRIPT_HASH}'; base-uri 'none'; \
             form-action 'none'\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <meta name=\"referrer\" content=\"no-referrer\"><title>Crawl of {start}</title>\
             <style>{STYLE}</style></head><body><header><h1><small>Crawl of</small> {linked}{more}</h1>"
        )?;
        let nothing = self.not_looked_at().map(|why| format!("NOT LOOKED AT: {why}"));
        for trouble in self.partial().into_iter().chain(nothing).chain(self.notices()) {
            write!(to, "<p class=\"alert\">{}</p>", escaped(&trouble))?;
        }
        self.html_verdict(to, dead, uncertain)?;
        let jumps = [
            ("dead", "Dead links", dead.len()),
            ("uncertain", "Uncertain", uncertain.len()),
            ("redirects", "Redirects", self.redirects().len()),
            (
                "unread",
                "Not read for links",
                self.unread(|_| String::new()).iter().map(|(_, urls)| urls.len()).sum(),
            ),
        ];
        write!(to, "<nav aria-label=\"Sections\">")?;
        for (id, name, count) in jumps.into_iter().filter(|&(.., count)| count > 0) {
            write!(to, "<a href=\"#{id}\">{name} <b>{}</b></a> ", grouped(count))?;
        }
        write!(to, "<a href=\"#slowest\">Slowest</a> <a href=\"#run\">The run</a></nav></header>")
    }

    /// The outcome in one line.
    fn html_verdict(&self, to: &mut impl Write, dead: &[DeadLink], uncertain: &[DeadLink]) -> io::Result<()> {
        let places: usize = dead.iter().map(|link| link.linked_from.len().max(1)).sum();
        let unsure = match uncertain.len() {
            0 => String::new(),
            urls => format!(" <small>and {} to look at by hand</small>", counted(urls, "uncertain URL")),
        };
        let (class, words) = match dead.len() {
            0 if self.not_looked_at().is_some() => return Ok(()),
            0 if self.partial().is_some() => ("unsure", "No dead links so far".to_owned()),
            0 => match self.unchecked() {
                Some(why) => ("unsure", format!("No dead links: {}", escaped(&why))),
                None if unsure.is_empty() => ("good", "No dead links".to_owned()),
                None => ("unsure", "No dead links".to_owned()),
            },
            urls => ("bad", format!("{} to {}", counted(places, "dead link"), counted(urls, "URL"))),
        };
        write!(to, "<p class=\"verdict {class}\">{words}{unsure}</p>")
    }

    /// What became of all the URLs, as a bar and in words.
    fn found(&self, to: &mut impl Write) -> io::Result<()> {
        let (found, read, took) = (self.pages().len(), bytes(self.bytes()), span(self.took()));
        let here = self.fetched().saturating_sub(self.earlier) as f64;
        let speed = here / self.took().as_secs_f64().max(1e-9);
        let read_to = self.pages().iter().filter(|page| page.state == State::Fetched);
        let depth = read_to.map(|page| page.depth).max().unwrap_or(0);
        write!(
            to,
            "<section id=\"found\"><h2>{} found</h2><div class=\"facts\"><span><b>{took}</b> in all</span>\
             <span><b>{speed:.0}</b> pages a second</span><span><b>{read}</b> of HTML</span>\
             <span><b>{depth}</b> deep</span><span><b>{}</b> at once, <b>{}</b> of them at one host</span></div>",
            counted(found, "URL"),
            self.workers(),
            self.per_host(),
        )?;
        let totals = Totals::of(self);
        write!(
            to,
            "<svg class=\"share\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
        )?;
        let mut x = 0.0;
        for (count, state) in totals.occurring() {
            let width = 1000.0 * count as f64 / found.max(1) as f64;
            write!(to, "<rect class=\"{}\" x=\"{x:.1}\" width=\"{width:.1}\" height=\"10\"/>", class(state))?;
            x += width;
        }
        write!(to, "</svg><ul class=\"legend\">")?;
        for (count, state) in totals.occurring() {
            let (class, count, words) = (class(state), grouped(count), state.words());
            write!(to, "<li><i class=\"{class}\"></i><span><b>{count}</b> {words}</span></li>")?;
        }
        write!(to, "</ul></section>")
    }
}

/// The filter: hidden until the script is there to serve it.
fn tools<'a>(to: &mut impl Write, kinds: impl Iterator<Item = &'a Kind<'a>>) -> io::Result<()> {
    write!(
        to,
        "<div class=\"tools scripted\" role=\"search\" hidden><input type=\"search\" \
         placeholder=\"Filter by URL, page or text\" aria-label=\"Filter by URL, page or text\">\
         <div class=\"chips\">"
    )?;
    for kind in kinds {
        let (name, urls) = (escaped(&kind.name), grouped(kind.urls()));
        write!(
            to,
            "<button type=\"button\" aria-pressed=\"false\" value=\"{name}\">{name} <b>{urls}</b></button>"
        )?;
    }
    write!(
        to,
        "</div><button type=\"button\" class=\"unfold\" aria-pressed=\"false\">Unfold all</button>\
         <p class=\"shown\" role=\"status\"></p></div>"
    )
}

/// A picture with buttons to zoom.
fn figure(to: &mut impl Write, id: &str, title: &str, caption: &str, picture: &str) -> io::Result<()> {
    write!(
        to,
        "<section id=\"{id}\"><h2>{title}</h2><p class=\"faint\">{caption}</p><figure class=\"zoom\">\
         <div class=\"zooming scripted\" hidden><button type=\"button\" value=\"2\">Zoom in</button>\
         <button type=\"button\" value=\"0.5\">Zoom out</button><button type=\"button\" value=\"0\">Fit</button></div>\
         <div class=\"pane\" tabindex=\"0\" role=\"region\" aria-label=\"{title}\">{picture}</div>\
         <figcaption class=\"picked scripted\" aria-live=\"polite\" hidden></figcaption></figure></section>"
    )
}

/// The colour of what became of a URL.
fn class(state: UrlState) -> &'static str {
    match state {
        UrlState::Read => "read",
        UrlState::Checked => "seen",
        UrlState::Redirect => "moved",
        UrlState::Error => "error",
        _ => "out",
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn the_policy_names_the_style_and_the_script_as_they_are() {
        let hash = |text: &str| STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()));
        assert_eq!((hash(STYLE), hash(SCRIPT)), (STYLE_HASH.to_owned(), SCRIPT_HASH.to_owned()));
    }

    #[test]
    fn nothing_ends_the_style_or_the_script_early() {
        assert!(!STYLE.contains("</") && !SCRIPT.contains("</") && !SCRIPT.contains("<!--"));
    }
}
