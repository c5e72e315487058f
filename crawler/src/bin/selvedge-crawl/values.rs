//! The values of options.

use std::fmt::Display;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use selvedge_crawl::{Pattern, Redirects};

use crate::color::Color;
use crate::options::{FORMATS, REDIRECTS};
use crate::outputs::Format;

/// A header's name and value. The error does not repeat them, since they may be secret.
pub(crate) fn header(text: &str, usage: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or(usage)?;
    Ok((name.trim().to_owned(), secret(value.trim())?))
}

/// A value, which may be in the environment or in a file.
pub(crate) fn secret(text: &str) -> Result<String, String> {
    if let Some(name) = text.strip_prefix("env:") {
        return std::env::var(name).map_err(|_| format!("{name} is not in the environment."));
    }
    let Some(path) = text.strip_prefix("file:") else { return Ok(text.to_owned()) };
    let read = std::fs::read_to_string(path).map_err(|error| format!("{path} cannot be read: {error}."))?;
    Ok(read.trim_end_matches(['\r', '\n']).to_owned())
}

pub(crate) fn format(text: &str) -> Result<Format, String> {
    match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        "csv" => Ok(Format::Csv),
        "html" => Ok(Format::Html),
        "markdown" => Ok(Format::Markdown),
        "github" => Ok(Format::GitHub),
        "junit" => Ok(Format::JUnit),
        "sarif" => Ok(Format::Sarif),
        _ => Err(format!("A format is {}, and not {text:?}.", words(FORMATS))),
    }
}

pub(crate) fn redirects(text: &str) -> Result<Redirects, String> {
    match text {
        "allow" => Ok(Redirects::Allow),
        "warn" => Ok(Redirects::Warn),
        "refuse-permanent" => Ok(Redirects::RefusePermanent),
        "refuse" => Ok(Redirects::Refuse),
        _ => Err(format!("--redirects takes {}, not {text:?}.", words(REDIRECTS))),
    }
}

/// A list of words for a sentence.
pub(crate) fn words(words: &[&str]) -> String {
    match words {
        [all @ .., last] if !all.is_empty() => format!("{} or {last}", all.join(", ")),
        _ => words.concat(),
    }
}

/// Statuses and ranges of statuses.
pub(crate) fn statuses(text: &str) -> Result<Vec<RangeInclusive<u16>>, String> {
    let one = |text: &str| text.trim().parse().ok().filter(|status| (100..=999).contains(status));
    let range = |part: &str| match part.split_once("..=") {
        Some((from, to)) => Some(one(from)?..=one(to)?).filter(|range| !range.is_empty()),
        None => one(part).map(|status| status..=status),
    };
    let ranges: Option<Vec<_>> = text.split(',').map(range).collect();
    ranges.ok_or_else(|| format!("--accept takes statuses, such as 200..=204,403, not {text:?}."))
}

/// A URL. One without a scheme is http if it is on this machine or has a port, and https otherwise.
pub(crate) fn address(text: &str) -> String {
    let host = text.split(['/', '?', '#']).next().unwrap_or_default();
    let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
    let is_port =
        host.len() == name.len() || (!port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    let is_local = name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    let is_host = is_local || (name.contains('.') && !name.contains(['@', ' ', ':', '\\']));
    match text.contains("://") || !is_host || !is_port {
        true => text.to_owned(),
        false if is_local || !port.is_empty() => format!("http://{text}"),
        false => format!("https://{text}"),
    }
}

pub(crate) fn pattern(text: &str) -> Result<Pattern, String> {
    let pattern = match text.strip_prefix("re:") {
        Some(regex) => Pattern::regex(regex),
        None => Pattern::glob(text),
    };
    pattern.map_err(|error| format!("{error}."))
}

/// The value of `--color`.
pub(crate) fn color(text: &str) -> Result<Color, String> {
    match text {
        "auto" => Ok(Color::Auto),
        "always" => Ok(Color::Always),
        "never" => Ok(Color::Never),
        _ => Err(format!("--color takes auto, always or never, not {text:?}.")),
    }
}

/// Whether a flag is set.
pub(crate) fn flag(text: &str, name: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("--{name} takes nothing, =true or =false, not {text:?}."))
}

pub(crate) fn number<N>(text: &str, name: &str, range: RangeInclusive<N>) -> Result<N, String>
where
    N: FromStr + PartialOrd + Display,
{
    let number = text.parse().ok().filter(|number| range.contains(number));
    let (least, most) = range.into_inner();
    number.ok_or_else(|| format!("--{name} takes a whole number from {least} to {most}, not {text:?}."))
}

pub(crate) fn seconds(text: &str, name: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|&seconds: &f64| seconds >= 0.0);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("--{name} takes a number of seconds, such as 2.5, not {text:?}."))
}
