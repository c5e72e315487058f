//! Options and ignored problems from files.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use selvedge_crawl::Ignore;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::options::{Opt, meant, named};
use crate::values::pattern;

/// The file that is read by default, in the current folder.
pub(crate) const NAME: &str = "selvedge-crawl.toml";

/// Options that are for the command line only.
const NOT_HERE: &[&str] =
    &["config", "no-config", "completions", "help", "help-all", "man", "schema", "version"];

/// The contents of a file.
#[derive(Debug, Default)]
pub(crate) struct Config {
    pub(crate) starts: Vec<String>,
    pub(crate) options: Vec<(&'static Opt, String)>,
    pub(crate) ignored: Vec<Ignore>,
}

/// A file's name and text, for the position of an error.
struct Source<'t> {
    file: &'t Path,
    text: &'t str,
}

/// Reads options, starts and ignored problems. The error is a sentence for the user.
pub(crate) fn read(file: &Path) -> Result<Config, String> {
    let text =
        fs::read_to_string(file).map_err(|error| format!("{} cannot be read: {error}.", file.display()))?;
    let source = Source { file, text: &text };
    let mut config = Config::default();
    for (key, value) in source.table()?.iter() {
        let name: &str = key.get_ref();
        match name {
            "start" => config.starts.extend(source.values(value)?),
            "ignore" => config.ignored = source.ignored(value)?,
            _ if NOT_HERE.contains(&name) => {
                return Err(source.wrong(key.span().start, &format!("{name} is for the command line only")));
            }
            _ => {
                let option = named(name).ok_or_else(|| source.unknown(key.span().start, name))?;
                let values = source.values(value)?;
                if values.len() > 1 && !option.is_repeatable {
                    return Err(source.wrong(value.span().start, &format!("{name} takes one value")));
                }
                config.options.extend(values.into_iter().map(|value| (option, value)));
            }
        }
    }
    Ok(config)
}

/// Reads a file that contains ignored problems only.
pub(crate) fn read_ignored(file: &Path) -> Result<Vec<Ignore>, String> {
    let config = read(file)?;
    match config.starts.is_empty() && config.options.is_empty() {
        true => Ok(config.ignored),
        false => Err(format!("{} is to have [[ignore]] in it and nothing else.", file.display())),
    }
}

impl Source<'_> {
    fn table(&self) -> Result<DeTable<'_>, String> {
        let parsed = DeTable::parse(self.text);
        parsed.map(Spanned::into_inner).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            self.wrong(at, error.message())
        })
    }

    /// A value as it would be typed on the command line; each element of a list.
    fn values(&self, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, String> {
        let one = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
            DeValue::String(text) => Ok(text.to_string()),
            DeValue::Integer(number) => Ok(number.as_str().to_owned()),
            DeValue::Float(number) => Ok(number.as_str().to_owned()),
            DeValue::Boolean(flag) => Ok(flag.to_string()),
            _ => Err(self.wrong(value.span().start, "this is to be a text, a number, true or false")),
        };
        match value.get_ref() {
            DeValue::Array(values) => values.iter().map(one).collect(),
            _ => Ok(vec![one(value)?]),
        }
    }

    /// `[[ignore]]`: a pattern, the reason, and the last day.
    fn ignored(&self, value: &Spanned<DeValue<'_>>) -> Result<Vec<Ignore>, String> {
        let usage = "[[ignore]] has a pattern, a reason and perhaps a day: until = 2026-12-31";
        let wrong = |at: usize| self.wrong(at, usage);
        let DeValue::Array(tables) = value.get_ref() else { return Err(wrong(value.span().start)) };
        let mut all = Vec::new();
        for entry in tables.iter() {
            let at = entry.span().start;
            let DeValue::Table(table) = entry.get_ref() else { return Err(wrong(at)) };
            let (mut url, mut reason, mut until) = (None, None, None);
            for (key, value) in table.iter() {
                let name: &str = key.get_ref();
                match (name, value.get_ref()) {
                    ("pattern", DeValue::String(text)) => {
                        url =
                            Some(pattern(text).map_err(|error| {
                                self.wrong(value.span().start, error.trim_end_matches('.'))
                            })?);
                    }
                    ("reason", DeValue::String(text)) => reason = Some(text.to_string()),
                    ("until", DeValue::Datetime(day)) => {
                        until = Some(day.date.ok_or_else(|| wrong(value.span().start))?);
                    }
                    _ => return Err(wrong(key.span().start)),
                }
            }
            let reason = reason.filter(|reason| !reason.trim().is_empty()).ok_or_else(|| wrong(at))?;
            let ignore = Ignore::new(url.ok_or_else(|| wrong(at))?, reason);
            all.push(match until {
                Some(day) => ignore.until(after(day.year.into(), day.month.into(), day.day.into())),
                None => ignore,
            });
        }
        Ok(all)
    }

    fn unknown(&self, at: usize, name: &str) -> String {
        match meant(name) {
            Some(meant) => self.wrong(at, &format!("there is no option {name}; did you mean {meant}?")),
            None => self.wrong(at, &format!("there is no option {name}; --help-all lists what there is")),
        }
    }

    fn wrong(&self, at: usize, what: &str) -> String {
        let line = self.text[..at.min(self.text.len())].matches('\n').count() + 1;
        format!("{}, line {line}: {what}.", self.file.display()).replace("?.", "?")
    }
}

/// The end of a day, in UTC.
fn after(year: u64, month: u64, day: u64) -> SystemTime {
    // A year that begins in March has its leap day at the end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.saturating_sub(1), month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    // So many days lie between the first day of that count and 1970.
    UNIX_EPOCH + Duration::from_secs(days.saturating_sub(719_469).saturating_add(1) * 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_over_when_the_next_begins() {
        let seconds =
            |year, month, day| after(year, month, day).duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(seconds(1970, 1, 1), 86_400);
        assert_eq!(seconds(2000, 2, 29), 951_868_800);
        assert_eq!(seconds(2026, 12, 31), 1_798_761_600);
    }
}
