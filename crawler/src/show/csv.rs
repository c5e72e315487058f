//! A report as a table for spreadsheets.

use std::borrow::Cow;
use std::io::{self, Write};

use super::visible::visible;
use crate::frontier::{PageId, State};
use crate::{Fate, Outcome, Page, Report};

/// The columns.
const HEAD: &str = "url,state,status,reason,depth,type,bytes,seconds,retries,linked_from,redirects_to";

impl Report {
    /// Writes a line for each URL, as RFC 4180 has it and with no cell that a spreadsheet would take for a
    /// formula, under a line of names: `url`, `state` (as in the JSON; what was left out says why), `status`,
    /// `reason` (why a link to it is dead, or empty), `depth`, `type`, `bytes`, `seconds`, `retries`,
    /// `linked_from` (how many pages) and `redirects_to`.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write_csv(&self, to: impl Write) -> io::Result<()> {
        let mut to = io::BufWriter::new(to);
        write!(to, "{HEAD}\r\n")?;
        for (id, page) in self.pages.iter().enumerate() {
            let id = id as PageId;
            let (_, fate) = self.fate(id);
            let reason = if let Fate::Dead(death) = fate { death.to_string() } else { String::new() };
            let redirect = self.redirect(id).map_or("", |to| &self.page(to).url);
            let record = page.record.as_ref();
            let number = |n: Option<u64>| n.map_or(String::new(), |n| n.to_string());
            let row = [
                page.url.to_string(),
                state(page).to_owned(),
                number(page.status().map(u64::from)),
                reason,
                page.depth.to_string(),
                record.and_then(|record| record.mime.as_deref()).unwrap_or_default().to_owned(),
                number(record.map(|record| record.bytes)),
                record.map_or(String::new(), |record| format!("{:.6}", record.took.as_secs_f64())),
                number(record.map(|record| record.retries.into())),
                self.linked_from(id).count().to_string(),
                redirect.to_owned(),
            ];
            let row: Vec<_> = row.iter().map(|field| quoted(field)).collect();
            write!(to, "{}\r\n", row.join(","))?;
        }
        to.flush()
    }
}

fn state(page: &Page) -> &'static str {
    use crate::Skip;
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

/// A cell that is nothing but text: with quotes where the format wants them, without line ends and other
/// control characters, and with an apostrophe before what a spreadsheet would take for a formula.
fn quoted(field: &str) -> Cow<'_, str> {
    let mut field = visible(field);
    if field.starts_with(['=', '+', '-', '@']) {
        field = format!("'{field}").into();
    }
    match field.contains([',', '"']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")).into(),
        false => field,
    }
}
