//! A report for programs that annotate a build: GitHub's workflow commands, JUnit's XML and SARIF.

use std::collections::HashMap;
use std::io::{self, Write};

use serde_json::{Value, json};

use super::html::escaped;
use super::visible::visible;
use crate::frontier::PageId;
use crate::{DeadLink, Report};

impl Report {
    /// Writes a workflow command of GitHub's for each problem: an error for a dead link or for a crawl that
    /// looked at nothing, a warning for an uncertain link or a crawl that was cut short.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write_github(&self, to: impl Write) -> io::Result<()> {
        let mut to = io::BufWriter::new(to);
        let mut tell = |level: &str, title: &str, text: &str| {
            // Two characters mean something in a command: the line end, which is visible by now, and this
            // one.
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
        for link in self.dead_links() {
            tell("error", "Dead link", &sentence(&link))?;
        }
        for link in self.uncertain_links() {
            tell("warning", "Uncertain link", &sentence(&link))?;
        }
        for link in self.redirect_warnings() {
            tell("warning", "Moved", &sentence(&link))?;
        }
        to.flush()
    }

    /// Writes JUnit's XML: a test case for each URL that was asked for and for each other problem, failed if
    /// the URL is dead, skipped if it is uncertain.
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
            let (kind, url) = (problems[&*link.url].0, escaped(&link.url));
            let (problem, text) = (escaped(&link.problem.to_string()), escaped(&sentence(link)));
            writeln!(
                to,
                "<testcase name=\"{url}\"><{kind} message=\"{problem}\">{text}</{kind}></testcase>"
            )?;
        }
        for page in alive {
            let took = page.record.as_ref().map_or(0.0, |record| record.took.as_secs_f64());
            writeln!(to, "<testcase name=\"{}\" time=\"{took:.3}\"/>", escaped(&page.url))?;
        }
        writeln!(to, "</testsuite>")?;
        to.flush()
    }

    /// Writes SARIF 2.1.0: a result for each page with a dead or an uncertain link, known again by a
    /// fingerprint.
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
    let pages: Vec<&str> = link.linked_from.iter().take(5).map(|from| from.page.as_str()).collect();
    let more = link.linked_from.len() - pages.len();
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let on = if pages.is_empty() {
        "where the crawl began".to_owned()
    } else {
        format!("on {}", pages.join(", "))
    };
    format!("{}: {} {on}{more}", link.problem, link.url)
}
