//! Problems and the pages that they are on.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use super::escape::{SHOWN, escaped};
use crate::show::columns::clipped;
use crate::show::fixes::{Fix, Kind, counted, grouped};
use crate::{DeadLink, LinkedFrom, Problem, Report};

/// Pages with a link that are shown at once.
const OPEN: usize = 10;
/// URLs of a host that are shown at once.
const URLS: usize = 5;
/// Pages that are named in all, beside those.
const NAMED: usize = 50_000;
/// Characters of a link's text that are shown.
const TEXT: usize = 120;

/// Writes problems, and knows which lists of pages it has written already.
pub(super) struct Places<'a> {
    report: &'a Report,
    /// Pages that may still be named.
    left: usize,
    /// Long lists of pages, and the number of the problem that has each. Links of one template are on the
    /// same pages.
    written: HashMap<Vec<String>, usize>,
    problems: usize,
}

impl<'a> Places<'a> {
    pub(super) fn new(report: &'a Report) -> Self {
        Places { report, left: NAMED, written: HashMap::new(), problems: 0 }
    }

    /// A section of problems; nothing if there are none.
    pub(super) fn section(
        &mut self,
        to: &mut impl Write,
        id: &str,
        title: &str,
        kinds: &[Kind<'_>],
    ) -> io::Result<()> {
        if kinds.is_empty() {
            return Ok(());
        }
        let urls: usize = kinds.iter().map(Kind::urls).sum();
        let places: usize = kinds.iter().map(Kind::places).sum();
        let fixes: usize = kinds.iter().map(|kind| kind.fixes.len()).sum();
        let fixes =
            if fixes == urls { String::new() } else { format!(", {} to make", counted(fixes, "change")) };
        write!(
            to,
            "<section id=\"{id}\" class=\"group\"><h2>{title} <small>{} to {}{fixes}</small></h2>",
            counted(places, "link"),
            counted(urls, "URL"),
        )?;
        for kind in kinds {
            let (name, urls) = (escaped(&kind.name), counted(kind.urls(), "URL"));
            write!(to, "<div class=\"group\"><h3>{name} <small>{urls}</small></h3>")?;
            for fix in &kind.fixes {
                self.fix(to, &name, fix)?;
            }
            write!(to, "</div>")?;
        }
        write!(to, "</section>")
    }

    fn fix(&mut self, to: &mut impl Write, kind: &str, fix: &Fix<'_>) -> io::Result<()> {
        write!(to, "<article class=\"item\" data-kind=\"{kind}\">")?;
        let mut hint = fix.hint(self.report);
        if fix.is_host {
            let (target, urls) = (escaped(fix.target), counted(fix.links.len(), "URL"));
            write!(to, "<h4>{target} <small class=\"faint\">{urls} of one host</small></h4>")?;
            if let Some(hint) = hint.take() {
                write!(to, "<p class=\"hint\">{hint}</p>")?;
            }
        }
        let (open, rest) = fix.links.split_at(fix.links.len().min(URLS));
        self.dead_links(to, open, None, hint)?;
        if !rest.is_empty() {
            write!(to, "<details><summary>and {}</summary>", counted(rest.len(), "more URL"))?;
            self.dead_links(to, rest, open.last().and_then(|dead| dead.problem.detail()), None)?;
            write!(to, "</details>")?;
        }
        write!(to, "</article>")
    }

    /// Links with the pages that they are on. A message of the system's is not said twice in a row.
    fn dead_links<'b>(
        &mut self,
        to: &mut impl Write,
        links: &[&'b DeadLink],
        mut said: Option<&'b str>,
        mut hint: Option<String>,
    ) -> io::Result<()> {
        for dead in links {
            let url = match dead.problem {
                Problem::NotAUrl => escaped(&clipped(&dead.url, SHOWN)),
                _ => self.report.html_link(&dead.url),
            };
            write!(to, "<h4>{url}</h4>")?;
            for url in &dead.via {
                write!(to, "<p class=\"via\">→ {}</p>", self.report.html_link(url))?;
            }
            if let Some(hint) = hint.take() {
                write!(to, "<p class=\"hint\">{hint}</p>")?;
            }
            match dead.problem.detail() {
                Some(detail) if said != Some(detail) => {
                    write!(to, "<p class=\"faint\">{}</p>", escaped(detail))?;
                    said = Some(detail);
                }
                _ => {}
            }
            self.places(to, &dead.linked_from)?;
        }
        Ok(())
    }

    /// The pages with a link: the first few with the link's text, the others by folder, folded.
    pub(super) fn places(&mut self, to: &mut impl Write, places: &[LinkedFrom]) -> io::Result<()> {
        self.problems += 1;
        let here = self.problems;
        if places.is_empty() {
            return write!(to, "<p class=\"faint\">where the crawl began</p>");
        }
        let (open, rest) = places.split_at(places.len().min(OPEN));
        write!(to, "<ul class=\"places\"")?;
        if !rest.is_empty() {
            write!(to, " id=\"p{here}\"")?;
        }
        write!(to, ">")?;
        for from in open {
            let text: String = from.text.chars().take(TEXT).collect();
            let text = if text.is_empty() { text } else { format!("<q>{}</q>", escaped(&text)) };
            write!(to, "<li>{}{text}</li>", self.report.html_link(&from.page))?;
        }
        write!(to, "</ul>")?;
        if rest.is_empty() { Ok(()) } else { self.rest(to, here, places, rest) }
    }

    fn rest(
        &mut self,
        to: &mut impl Write,
        here: usize,
        places: &[LinkedFrom],
        rest: &[LinkedFrom],
    ) -> io::Result<()> {
        let more = counted(rest.len(), "more page");
        let pages = places.iter().map(|from| from.page.clone()).collect();
        if let Some(same) = self.written.get(&pages) {
            return write!(to, "<p><a href=\"#p{same}\">and {more}, the same as for another link</a></p>");
        }
        let named = &rest[..rest.len().min(self.left)];
        self.left -= named.len();
        self.written.insert(pages, here);
        let mut folders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for from in named {
            let (folder, name) = parted(&from.page);
            folders.entry(folder).or_default().push(name);
        }
        write!(to, "<details><summary>and {more}</summary><div class=\"rest\">")?;
        for (folder, names) in folders {
            write!(to, "<p><b>{}</b><span>{}</span></p>", escaped(folder), escaped(&names.join(" ")))?;
        }
        if named.len() < rest.len() {
            write!(
                to,
                "<p class=\"linked\">and {} that only the JSON names</p>",
                grouped(rest.len() - named.len())
            )?;
        }
        write!(to, "</div></details>")
    }
}

/// A URL in its folder and its name there; the folder's own page is called `.`.
fn parted(url: &str) -> (&str, &str) {
    let path = &url[..url.find(['?', '#']).unwrap_or(url.len())];
    match path.rfind('/') {
        Some(slash) if slash + 1 < url.len() => url.split_at(slash + 1),
        Some(_) => (url, "."),
        None => ("", url),
    }
}

#[cfg(test)]
mod tests {
    use super::parted;

    #[test]
    fn a_name_follows_its_folder() {
        assert_eq!(parted("http://a/b/c.html?d=/e"), ("http://a/b/", "c.html?d=/e"));
        assert_eq!(parted("http://a/b/"), ("http://a/b/", "."));
        assert_eq!(parted("http://a/?b"), ("http://a/", "?b"));
    }
}
