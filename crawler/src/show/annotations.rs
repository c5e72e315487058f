//! A report for programs that annotate a build: GitHub's workflow commands, JUnit's XML and SARIF.

use std::collections::HashMap;
use std::io::{self, Write};

use serde_json::{Value, json};

use super::fixes::{Fix, by_kind, counted, grouped};
use super::html::escaped;
use super::visible::visible;
use crate::frontier::PageId;
use crate::{DeadLink, Report};

/// Pages and URLs that an annotation names.
const NAMED: usize = 5;

impl Report {
    /// Writes GitHub workflow commands, one for each change that mends dead links: an error for dead links
    /// and for a crawl that read nothing, a warning for uncertain links and for a crawl that was cut short, a
    /// notice for a link that could be updated because its target has moved permanently.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write_github(&self, to: impl Write) -> io::Result<()> {
        let mut to = io::BufWriter::new(to);
        let mut tell = |level: &str, title: &str, text: &str| {
            // Two characters have a meaning in a command: the line end, which is visible by now, and `%`.
            writeln!(to, "::{level} title={title}::{}", visible(text).replace('%', "%25"))
        };
        if let Some(why) = self.not_looked_at() {
            tell("error", "Not looked at", &why)?;
        }
        if let Some(partial) = self.partial() {
            tell("warning", "Crawl cut short", &partial)?;
        }
        for notice in self.notices() {
            tell("warning", "Notice", &notice)?;
        }
        if let Some(why) = self.unchecked().filter(|_| self.not_looked_at().is_none()) {
            tell("warning", "No link checked", &why)?;
        }
        let warned = self.redirect_warnings();
        let is_warned = !warned.is_empty();
        let kinds = [
            ("error", "Dead link", self.dead_links()),
            ("warning", "Uncertain link", self.uncertain_links()),
            ("warning", "Moved", warned),
        ];
        for (level, title, links) in kinds {
            for fix in by_kind(&links).iter().flat_map(|kind| &kind.fixes) {
                tell(level, title, &fix_sentence(fix))?;
            }
        }
        // Those are among the warnings, if there are any.
        for (from, now) in self.moved_permanently().into_iter().filter(|_| !is_warned) {
            let [old, new] = [from, now].map(|id| &self.page(id).url);
            let pages = self.linkers(from);
            let pages = named(pages.iter().map(|from| from.page.as_str()));
            tell("notice", "Moved permanently", &format!("{old} is now {new}, on {pages}"))?;
        }
        to.flush()
    }

    /// Writes JUnit's XML: a test case for each URL that was requested and for each other problem. It failed
    /// if the URL is dead, and is skipped if the URL is uncertain.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write_junit(&self, to: impl Write) -> io::Result<()> {
        let mut to = io::BufWriter::new(to);
        let (dead, uncertain) = (self.dead_links(), self.uncertain_links());
        let mut problems: HashMap<&str, (&str, &DeadLink)> = HashMap::new();
        problems.extend(uncertain.iter().map(|link| (&*link.url, ("skipped", link))));
        problems.extend(dead.iter().map(|link| (&*link.url, ("failure", link))));
        let alive =
            (0..self.pages().len() as PageId).map(|id| self.page(id)).filter(|page| page.record.is_some());
        let alive: Vec<_> = alive.filter(|page| !problems.contains_key(&*page.url)).collect();
        let stopped = self.partial().into_iter().chain(self.not_looked_at());
        let stopped: Vec<String> = stopped.collect();
        let (tests, seconds) = (alive.len() + problems.len() + stopped.len(), self.took().as_secs_f64());
        write!(
            to,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"selvedge-crawl\" tests=\"{tests}\" \
             failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{seconds:.3}\">\n",
            dead.len(),
            stopped.len(),
            uncertain.len(),
        )?;
        let notices = self.notices();
        if !notices.is_empty() {
            writeln!(to, "<system-out>{}</system-out>", escaped(&notices.join("\n")))?;
        }
        for why in &stopped {
            writeln!(to, "<testcase name=\"the crawl\"><error message=\"{}\"/></testcase>", escaped(why))?;
        }
        for link in dead.iter().chain(&uncertain) {
            problem_case(&mut to, problems[&*link.url].0, link)?;
        }
        for page in alive {
            let took = page.record.as_ref().map_or(0.0, |record| record.took.as_secs_f64());
            writeln!(to, "<testcase name=\"{}\" time=\"{took:.3}\"/>", escaped(&page.url))?;
        }
        writeln!(to, "</testsuite>")?;
        to.flush()
    }

    /// Writes SARIF 2.1.0: a result for each page with a dead or an uncertain link, with a fingerprint that
    /// is the same in each run.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write_sarif(&self, to: impl Write) -> io::Result<()> {
        let mut to = io::BufWriter::new(to);
        let of = |rule: &str, level: &str, links: Vec<DeadLink>| -> Vec<Value> {
            links.iter().flat_map(|link| results(rule, level, link)).collect()
        };
        let mut results = of("dead-link", "error", self.dead_links());
        results.extend(of("uncertain-link", "warning", self.uncertain_links()));
        results.extend(of("moved-link", "warning", self.redirect_warnings()));
        let driver = json!({
            "name": "selvedge-crawl",
            "version": env!("CARGO_PKG_VERSION"),
            "rules": [{ "id": "dead-link" }, { "id": "uncertain-link" }, { "id": "moved-link" }],
        });
        let stopped: Vec<Value> = self
            .partial()
            .into_iter()
            .chain(self.not_looked_at())
            .map(|why| json!({ "level": "error", "message": { "text": visible(&why) } }))
            .collect();
        let notices = self.notices().into_iter();
        let notices =
            notices.map(|notice| json!({ "level": "warning", "message": { "text": visible(&notice) } }));
        let told: Vec<Value> = stopped.iter().cloned().chain(notices).collect();
        let run = json!({
            "tool": { "driver": driver },
            "invocations": [{ "executionSuccessful": stopped.is_empty(), "toolExecutionNotifications": told }],
            "results": results,
        });
        let log = json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [run],
        });
        serde_json::to_writer(&mut to, &log).map_err(io::Error::from)?;
        to.flush()
    }
}

/// A test case of JUnit's that failed or was skipped.
fn problem_case(to: &mut impl Write, kind: &str, link: &DeadLink) -> io::Result<()> {
    let (url, problem, text) = (&link.url, link.problem.to_string(), sentence(link));
    let [url, problem, text] = [url, &problem, &text].map(|text| escaped(text));
    writeln!(to, "<testcase name=\"{url}\"><{kind} message=\"{problem}\">{text}</{kind}></testcase>")
}

fn results(rule: &str, level: &str, link: &DeadLink) -> Vec<Value> {
    let of = |page: &str| {
        json!({
            "ruleId": rule,
            "level": level,
            "message": { "text": visible(&format!("{}: {}", link.problem, link.url)) },
            "locations": [{ "physicalLocation": { "artifactLocation": { "uri": visible(page) } } }],
            "partialFingerprints": { "link/v1": link.id() },
        })
    };
    match link.linked_from.is_empty() {
        true => vec![of(&link.url)],
        false => link.linked_from.iter().map(|from| of(&from.page)).collect(),
    }
}

/// A problem in one line.
fn sentence(link: &DeadLink) -> String {
    format!("{}: {} {}", link.problem, link.url, place(std::slice::from_ref(&link)))
}

/// A fix in one line.
fn fix_sentence(fix: &Fix<'_>) -> String {
    let links = &fix.links;
    if !fix.is_host {
        return sentence(links[0]);
    }
    let (urls, named) = (counted(links.len(), "URL"), named(links.iter().map(|link| link.url.as_str())));
    format!("{}: {urls} at {}: {named} {}", links[0].problem, fix.target, place(links))
}

/// Where links are.
fn place(links: &[&DeadLink]) -> String {
    let mut pages: Vec<&str> =
        links.iter().flat_map(|link| &link.linked_from).map(|from| from.page.as_str()).collect();
    if links.len() > 1 {
        pages.sort_unstable();
        pages.dedup();
    }
    match pages.is_empty() {
        true => "where the crawl began".to_owned(),
        false => format!("on {}", named(pages.into_iter())),
    }
}

/// The first few of a list.
fn named<'a>(mut all: impl ExactSizeIterator<Item = &'a str>) -> String {
    let first: Vec<&str> = all.by_ref().take(NAMED).collect();
    match all.len() {
        0 => first.join(", "),
        more => format!("{} and {} more", first.join(", "), grouped(more)),
    }
}
