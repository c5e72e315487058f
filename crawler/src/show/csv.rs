//! A report as a table for spreadsheets.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Write};

use super::visible::visible;
use crate::frontier::{PageId, State};
use crate::{DeadLink, Outcome, Page, Problem, Report, Resolution, Skip};

/// The columns.
const HEAD: &str = "url,state,status,reason,depth,type,bytes,seconds,retries,redirects_to,linked_from,text";

impl Report {
    /// Writes a line for each URL, in the form of RFC 4180 and with no cell that a spreadsheet would take for
    /// a formula, under a line of names: `url`, `state` (as in the JSON, or why it was left out), `status`,
    /// `reason` (why a link to it is dead, uncertain or ignored, or empty), `depth`, `type`, `bytes`,
    /// `seconds`, `retries`, `redirects_to`, and `linked_from` and `text`, the page with the link and the
    /// link's text. A URL with a reason has a line for each such page, any other URL one for the first. A
    /// link that is not a URL has the state `not_a_url`.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write_csv(&self, to: impl Write) -> io::Result<()> {
        let mut to = io::BufWriter::new(to);
        write!(to, "{HEAD}\r\n")?;
        let moved: HashMap<String, String> = self
            .refused_redirects()
            .into_iter()
            .chain(self.redirect_warnings())
            .map(|link| (link.url, link.problem.to_string()))
            .collect();
        let ignored: HashMap<String, &str> =
            self.ignored_links().into_iter().map(|(link, why)| (link.url, why)).collect();
        for id in 0..self.pages.len() as PageId {
            let mut cells = self.cells(id);
            if let Some(reason) = moved.get(&cells[0]).filter(|_| cells[3].is_empty()) {
                cells[3].clone_from(reason);
            }
            if let Some(why) = ignored.get(&cells[0]) {
                cells[3] = format!("ignored: {} ({why})", cells[3]);
            }
            let linkers = self.linkers(id);
            let rows = if cells[3].is_empty() { 1 } else { linkers.len().max(1) };
            for row in 0..rows {
                let (page, text) = linkers.get(row).map_or(("", ""), |from| (&from.page, &from.text));
                line(&mut to, cells.iter().map(String::as_str).chain([page, text]))?;
            }
        }
        for DeadLink { url, problem, linked_from, .. } in
            self.policy.counting(self.not_urls().chain(self.missing_parts()).collect())
        {
            let reason = problem.to_string();
            let state = if problem == Problem::NotAUrl { "not_a_url" } else { "no_such_part" };
            for from in linked_from {
                let cells = [&*url, state, "", &*reason, "", "", "", "", "", ""];
                line(&mut to, cells.into_iter().chain([&*from.page, &*from.text]))?;
            }
        }
        to.flush()
    }

    /// The columns that do not depend on who links to the page.
    fn cells(&self, id: PageId) -> [String; 10] {
        let page = self.page(id);
        let reason = match self.resolution(id).1 {
            Resolution::Dead(problem) | Resolution::Uncertain(problem) => problem.to_string(),
            _ => String::new(),
        };
        let record = page.record.as_ref();
        let number = |n: Option<u64>| n.map_or(String::new(), |n| n.to_string());
        [
            page.url.to_string(),
            state(page).to_owned(),
            number(page.status().map(u64::from)),
            reason,
            page.depth.to_string(),
            record.and_then(|record| record.mime.as_deref()).unwrap_or_default().to_owned(),
            number(record.map(|record| record.bytes)),
            record.map_or(String::new(), |record| format!("{:.6}", record.took.as_secs_f64())),
            number(record.map(|record| record.retries.into())),
            self.redirect(id).map_or(String::new(), |to| self.page(to).url.to_string()),
        ]
    }
}

fn line<'a>(to: &mut impl Write, cells: impl Iterator<Item = &'a str>) -> io::Result<()> {
    let cells: Vec<_> = cells.map(quoted).collect();
    write!(to, "{}\r\n", cells.join(","))
}

fn state(page: &Page) -> &'static str {
    match (page.state, page.outcome()) {
        (State::Skipped(Skip::Robots), _) => "robots",
        (State::Skipped(Skip::RobotsUnreadable), _) => "robots_unreadable",
        (State::Skipped(_), _) => "out_of_scope",
        (State::TooFar, _) => "too_far",
        (State::Waiting | State::Out, _) => "waiting",
        (_, Some(Outcome::Page)) => "page",
        (_, Some(Outcome::Sitemap)) => "sitemap",
        (_, Some(Outcome::Alive)) => "alive",
        (_, Some(Outcome::TooLarge)) => "too_large",
        (_, Some(Outcome::Redirect)) => "redirect",
        (_, Some(Outcome::Refused)) => "refused",
        (_, Some(Outcome::Failed(_)) | None) => "failed",
    }
}

/// A cell that is nothing but text: quoted where the format requires it, with control characters and line
/// ends as escapes, and with an apostrophe before what a spreadsheet would take for a formula.
fn quoted(field: &str) -> Cow<'_, str> {
    let mut field = visible(field);
    // The last four are the wide forms, which some take for the same.
    if field.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) {
        field = format!("'{field}").into();
    }
    match field.contains([',', '"']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")).into(),
        false => field,
    }
}
