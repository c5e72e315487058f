//! A report as one HTML file that needs nothing else.

use std::io::{self, Write};

use super::text::{bytes, span};
use super::visible::visible;
use crate::{DeadLink, Report};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;color:#1f2933}\
svg{max-width:100%;height:auto}table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;\
padding:.3rem .6rem;border-bottom:1px solid #e4e8ec;overflow-wrap:anywhere}th{font-weight:600}.dead{color:#b3263e}\
.faint{color:#66727f}h1{overflow-wrap:anywhere}td:first-child{overflow-wrap:normal}\
@media(prefers-color-scheme:dark){body{background:#14181d;color:#dfe4ea}td,th{border-color:#2c343d}a{color:#8ab4f8}\
.dead{color:#f28b9b}.faint{color:#9aa5b1}svg{background:#fff}}";

/// Pages with a dead link that are shown before somebody asks for more.
const OPEN: usize = 10;

impl Report {
    /// Writes one HTML file that needs nothing else: the totals, the table of problems, the picture of the
    /// run and the graph of the site.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write_html(&self, to: impl Write) -> io::Result<()> {
        let mut to = io::BufWriter::new(to);
        let start = escaped(self.pages().first().map_or("nothing", |page| &page.url));
        let dead = self.dead_links();
        write!(
            to,
            "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Crawl of {start}</title>\
             <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body>\
             <h1>Crawl of {start}</h1>"
        )?;
        let nothing = self.not_looked_at().map(|why| format!("NOT LOOKED AT: {why}"));
        for trouble in [self.partial(), nothing].into_iter().flatten().chain(self.notices()) {
            write!(to, "<p class=\"dead\">{}</p>", escaped(&trouble))?;
        }
        let (fetched, found) = (self.fetched(), self.pages().len());
        let (read, took) = (bytes(self.bytes()), span(self.took()));
        write!(
            to,
            "<p>{fetched} pages looked at, {found} URLs found · {read} · {took} · {} dead links</p>",
            self.dead_count()
        )?;
        if self.not_looked_at().is_none() {
            problems(&mut to, "dead", &dead)?;
        }
        let uncertain = self.uncertain_links();
        if !uncertain.is_empty() {
            problems(&mut to, "uncertain", &uncertain)?;
        }
        let moved = self.redirect_warnings();
        if !moved.is_empty() {
            problems(&mut to, "moved", &moved)?;
        }
        write!(to, "<h2>The run</h2>{}<h2>The site</h2>{}", self.to_svg(), self.to_graph_svg())?;
        write!(to, "</body></html>")?;
        to.flush()
    }
}

/// The table of problems.
fn problems(to: &mut impl Write, what: &str, dead: &[DeadLink]) -> io::Result<()> {
    if dead.is_empty() {
        return write!(to, "<h2>No {what} links</h2>");
    }
    write!(to, "<h2>Links that are {what}</h2><table><tr><th>What</th><th>URL</th><th>On</th></tr>")?;
    for link in dead {
        let problem = escaped(&link.problem.to_string());
        write!(to, "<tr><td class=\"dead\">{problem}</td><td>{}", escaped(&link.url))?;
        for url in &link.via {
            write!(to, "<br>→ {}", escaped(url))?;
        }
        if let Some(detail) = link.problem.detail() {
            write!(to, "<br><span class=\"faint\">{}</span>", escaped(detail))?;
        }
        write!(to, "</td><td>")?;
        for (place, from) in link.linked_from.iter().enumerate() {
            if place == OPEN {
                write!(to, "<details><summary>and {} more</summary>", link.linked_from.len() - OPEN)?;
            }
            let (page, text) = (escaped(&from.page), escaped(&from.text));
            write!(to, "<a href=\"{page}\">{page}</a> <span class=\"faint\">{text}</span><br>")?;
        }
        if link.linked_from.len() > OPEN {
            write!(to, "</details>")?;
        }
        write!(to, "</td></tr>")?;
    }
    write!(to, "</table>")
}

/// A text that means itself in HTML, also in an attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}
