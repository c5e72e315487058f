//! What the user asked for.

use std::fmt::Display;
use std::io;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lexopt::prelude::*;
use selvedge_crawl::{Builder, Pattern};

use crate::outputs::{Format, Outputs};

pub(crate) const HELP: &str = "\
Crawls a web site and reports its dead links.

Usage: selvedge-crawl [OPTIONS] URL...      (`-` reads URLs from standard input)
       selvedge-crawl [OPTIONS] --resume FILE
       selvedge-crawl [OPTIONS]

Without a URL it crawls a small site of its own, served on the loopback address, in
which every kind of trouble is planted, draws the run in crawl.svg, and checks that it
found exactly what was planted.

What is crawled:
  --depth N            links followed away from the start           [all]
  --pages N            pages fetched in all                         [all]
  --time SECONDS       time for the whole crawl                     [no limit]
  --host NAME          a host in addition to the URL's; repeatable
  --subdomains         hosts below these, too
  --prefix PATH        only paths that begin so; repeatable
  --include PATTERN    only URLs that match; repeatable
  --exclude PATTERN    no URLs that match; repeatable
                       a pattern is a glob over the whole URL, or re: and a regular expression
  --external           look at links that lead out, without reading what is there
  --assets             look at pictures, scripts, style sheets and what these name, too
  --fragments          look for the part of a page that a link means (#part)
  --sitemaps           read the sitemaps
  --no-robots          do not ask for robots.txt

How:
  --workers N          pages fetched at the same time               [8]
  --per-host N         of these, at the same host and port          [6]
  --delay SECONDS      between two requests to one host             [0]
  --timeout SECONDS    for one request                              [30]
  --retries N          for what fails for the moment                [2]
  --max-size BYTES     a larger page is not read                    [4194304]
  --accept STATUSES    that say that a page is there                [200..=299,300,304]
  --user-agent TEXT    what servers are told                        [selvedge-crawl/version]

Who is told what (repeatable; a VALUE may be env:NAME or file:PATH, to keep it out of sight):
  --header 'NAME: VALUE'              to the URL's own origin: its scheme, host and port
  --header-for 'ORIGIN NAME: VALUE'   to another, such as https://docs.example.org
  --header-everywhere 'NAME: VALUE'   to everybody, so nothing secret
  --basic-auth ORIGIN=VALUE           user:password; in a URL they are used as well

What comes out:
  --format FORMAT      text, json, csv, html, markdown, github (annotations), junit or sarif
  --also FORMAT=FILE   another format, in addition; repeatable
  --output FILE        where to write it                            [standard output]
  --html FILE          a report with pictures, in addition
  --svg FILE           the picture of the run, in addition
  --state FILE         where to keep the state of a crawl that was stopped
  --resume FILE        go on with a crawl: its state, or its JSON report
  --baseline FILE      an earlier JSON report, whose dead links are known: only new ones count
  --quiet              no progress, and only the dead links
  --help, --version

robots.txt is obeyed. Ctrl-C stops the crawl and still reports what was found; a second one
ends the program.

Exit status:
    0  no dead links; on its own site, exactly what was planted
    1  dead links; with --baseline, new ones
    2  bad use, or a file that cannot be read or written
    3  its own site was not found as it was planted
    4  the time ran out
    5  a start was not looked at (robots.txt, a start that is no page or leads out of scope),
       or more URLs were found than are remembered
  130  interrupted
";

/// The command line, checked.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) start: Option<String>,
    pub(crate) resume: Option<PathBuf>,
    /// An earlier report, whose problems are known.
    pub(crate) baseline: Option<PathBuf>,
    pub(crate) builder: Builder,
    pub(crate) outputs: Outputs,
}

/// What a command line asks for.
#[derive(Debug)]
pub(crate) enum Asked {
    Crawl(Box<Options>),
    /// A crawl of the embedded site.
    Demo,
    Help,
    Version,
}

impl Options {
    /// Reads a command line. The error is a sentence for the user.
    pub(crate) fn parse(parser: lexopt::Parser, builder: Builder) -> Result<Asked, String> {
        let mut asks = None;
        let options = Options::read_until(parser, builder, &mut asks)?;
        match (asks, &options.start, &options.resume) {
            (Some(asked), ..) => Ok(asked),
            (None, Some(_), Some(_)) => {
                Err("--resume knows where the crawl began; leave the URL out.".to_owned())
            }
            (None, None, None) => Ok(Asked::Demo),
            (None, ..) => Ok(Asked::Crawl(Box::new(options))),
        }
    }

    /// Reads a command line that has been read before.
    pub(crate) fn read(parser: lexopt::Parser, builder: Builder) -> Result<Self, String> {
        Options::read_until(parser, builder, &mut None)
    }

    /// Reads a command line, as far as something that asks for no crawl.
    fn read_until(
        mut parser: lexopt::Parser,
        builder: Builder,
        asks: &mut Option<Asked>,
    ) -> Result<Self, String> {
        let mut options =
            Options { start: None, resume: None, baseline: None, builder, outputs: Outputs::default() };
        while let Some(arg) = parser.next().map_err(sentence)? {
            match arg {
                Short('h') | Long("help") => *asks = Some(Asked::Help),
                Short('V') | Long("version") => *asks = Some(Asked::Version),
                Value(text) if text == "-" => {
                    let lines = io::read_to_string(io::stdin());
                    let lines = lines.map_err(|error| format!("The URLs cannot be read: {error}."))?;
                    let urls = lines
                        .lines()
                        .map(str::trim)
                        .filter(|line| !line.is_empty() && !line.starts_with('#'));
                    options = urls.fold(options, |options, url| options.start_at(url.to_owned()));
                    if options.start.is_none() {
                        return Err("There is no URL on standard input.".to_owned());
                    }
                }
                Value(text) => options = options.start_at(text.string().map_err(sentence)?),
                Long(name) => {
                    let name = name.to_owned();
                    options = options.set(&name, &mut parser)?;
                }
                other => return Err(sentence(other.unexpected())),
            }
            if asks.is_some() {
                break;
            }
        }
        Ok(options)
    }

    fn start_at(mut self, text: String) -> Self {
        let url = address(text);
        match self.start {
            None => self.start = Some(url),
            Some(_) => self.builder = self.builder.also_start(url),
        }
        self
    }

    fn set(mut self, name: &str, parser: &mut lexopt::Parser) -> Result<Self, String> {
        let outputs = &mut self.outputs;
        match name {
            "format" => outputs.format = format(&text(parser)?)?,
            "output" => outputs.output = Some(path(parser)?),
            "html" => outputs.html = Some(path(parser)?),
            "svg" => outputs.svg = Some(path(parser)?),
            "also" => {
                let usage = "--also takes FORMAT=FILE, such as junit=links.xml.";
                let text = text(parser)?;
                let (name, file) = text.split_once('=').ok_or(usage)?;
                outputs.also.push((format(name)?, file.into()));
            }
            "state" => outputs.state = Some(path(parser)?),
            "quiet" => outputs.quiet = true,
            "baseline" => self.baseline = Some(path(parser)?),
            "resume" => self.resume = Some(path(parser)?),
            _ => self.builder = build(self.builder, name, parser)?,
        }
        Ok(self)
    }
}

/// Sets what is the crawler's own business.
fn build(builder: Builder, name: &str, parser: &mut lexopt::Parser) -> Result<Builder, String> {
    Ok(match name {
        "depth" => builder.depth(number(parser, name, 0..=u32::MAX)?),
        "pages" => builder.pages(number(parser, name, 1..=usize::MAX)?),
        "time" => builder.time(seconds(parser, name)?),
        "host" => builder.host(text(parser)?),
        "subdomains" => builder.subdomains(true),
        "prefix" => builder.path_prefix(text(parser)?),
        "include" => builder.include(pattern(&text(parser)?)?),
        "exclude" => builder.exclude(pattern(&text(parser)?)?),
        "external" => builder.external(true),
        "assets" => builder.assets(true),
        "fragments" => builder.fragments(true),
        "sitemaps" => builder.sitemaps(true),
        "no-robots" => builder.obey_robots(false),
        "workers" => builder.workers(number(parser, name, 1..=1024)?),
        "per-host" => builder.per_host(number(parser, name, 1..=1024)?),
        "delay" => builder.delay(seconds(parser, name)?),
        "timeout" => {
            let time = seconds(parser, name)?;
            builder.timeout(time).read_timeout(time).connect_timeout(time)
        }
        "retries" => builder.retries(number(parser, name, 0..=100)?),
        "max-size" => builder.body_cap(number(parser, name, 0..=1 << 40)?),
        "accept" => builder.accept(statuses(&text(parser)?)?),
        "user-agent" => builder.user_agent(text(parser)?),
        "header" => {
            let (name, value) = header(&text(parser)?, "--header takes 'NAME: VALUE'.")?;
            builder.header(name, value)
        }
        "header-everywhere" => {
            let (name, value) = header(&text(parser)?, "--header-everywhere takes 'NAME: VALUE'.")?;
            builder.header_everywhere(name, value)
        }
        "header-for" => {
            let usage = "--header-for takes 'ORIGIN NAME: VALUE', such as 'https://a.test X-Key: 1'.";
            let text = text(parser)?;
            let (origin, rest) = text.trim().split_once(char::is_whitespace).ok_or(usage)?;
            let (name, value) = header(rest, usage)?;
            builder.header_for(origin, name, value)
        }
        "basic-auth" => {
            let usage = "--basic-auth takes ORIGIN=USER:PASSWORD, such as https://a.test=me:secret.";
            let text = text(parser)?;
            let (origin, login) = text.split_once('=').ok_or(usage)?;
            let login = secret(login)?;
            let (user, password) = login.split_once(':').ok_or(usage)?;
            builder.basic_auth(origin, user, password)
        }
        _ => return Err(sentence(Long(name).unexpected())),
    })
}

/// A header's name and value. What is said of a bad one does not repeat it.
fn header(text: &str, usage: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or(usage)?;
    Ok((name.trim().to_owned(), secret(value.trim())?))
}

/// A value that may stand in the environment or in a file instead.
fn secret(text: &str) -> Result<String, String> {
    if let Some(name) = text.strip_prefix("env:") {
        return std::env::var(name).map_err(|_| format!("{name} is not in the environment."));
    }
    let Some(path) = text.strip_prefix("file:") else { return Ok(text.to_owned()) };
    let read = std::fs::read_to_string(path).map_err(|error| format!("{path} cannot be read: {error}."))?;
    Ok(read.trim_end_matches(['\r', '\n']).to_owned())
}

fn sentence(error: lexopt::Error) -> String {
    format!("{error}; --help lists what there is.")
}

fn text(parser: &mut lexopt::Parser) -> Result<String, String> {
    parser.value().and_then(ValueExt::string).map_err(sentence)
}

fn path(parser: &mut lexopt::Parser) -> Result<PathBuf, String> {
    parser.value().map(PathBuf::from).map_err(sentence)
}

fn format(text: &str) -> Result<Format, String> {
    match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        "csv" => Ok(Format::Csv),
        "html" => Ok(Format::Html),
        "markdown" => Ok(Format::Markdown),
        "github" => Ok(Format::GitHub),
        "junit" => Ok(Format::JUnit),
        "sarif" => Ok(Format::Sarif),
        _ => Err(format!(
            "A format is text, json, csv, html, markdown, github, junit or sarif, and not {text:?}."
        )),
    }
}

/// Statuses, one by one or from here to there.
fn statuses(text: &str) -> Result<Vec<RangeInclusive<u16>>, String> {
    let one = |text: &str| text.trim().parse().ok().filter(|status| (100..=999).contains(status));
    let range = |part: &str| match part.split_once("..=") {
        Some((from, to)) => Some(one(from)?..=one(to)?).filter(|range| !range.is_empty()),
        None => one(part).map(|status| status..=status),
    };
    let ranges: Option<Vec<_>> = text.split(',').map(range).collect();
    ranges.ok_or_else(|| format!("--accept takes statuses, such as 200..=204,403, not {text:?}."))
}

/// A URL, or a host and a path without a scheme: on this machine and with a port http, and https elsewhere.
fn address(text: String) -> String {
    let host = text.split(['/', '?', '#']).next().unwrap_or_default();
    let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
    let is_port =
        host.len() == name.len() || (!port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    let is_local = name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    let is_host = is_local || (name.contains('.') && !name.contains(['@', ' ', ':', '\\']));
    match text.contains("://") || !is_host || !is_port {
        true => text,
        false if is_local || !port.is_empty() => format!("http://{text}"),
        false => format!("https://{text}"),
    }
}

fn pattern(text: &str) -> Result<Pattern, String> {
    let pattern = match text.strip_prefix("re:") {
        Some(regex) => Pattern::regex(regex),
        None => Pattern::glob(text),
    };
    pattern.map_err(|error| format!("{error}."))
}

fn number<N>(parser: &mut lexopt::Parser, name: &str, range: std::ops::RangeInclusive<N>) -> Result<N, String>
where
    N: FromStr + PartialOrd + Display,
{
    let text = parser.value().map_err(sentence)?;
    let number = text.to_str().and_then(|text| text.parse().ok()).filter(|number| range.contains(number));
    let (least, most) = range.into_inner();
    number.ok_or_else(|| format!("--{name} takes a whole number from {least} to {most}, not {text:?}."))
}

fn seconds(parser: &mut lexopt::Parser, name: &str) -> Result<Duration, String> {
    let text = parser.value().map_err(sentence)?;
    let seconds = text.to_str().and_then(|text| text.parse().ok()).filter(|&seconds: &f64| seconds >= 0.0);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("--{name} takes a number of seconds, such as 2.5, not {text:?}."))
}

#[cfg(test)]
mod tests {
    use selvedge_crawl::Crawler;

    use super::*;

    fn parse(args: &[&str]) -> Result<Asked, String> {
        Options::parse(lexopt::Parser::from_args(args), Crawler::builder())
    }

    #[test]
    fn every_option_is_read() {
        let args = "http://loom.test --depth 1 --pages 9 --time 60 --host a.test --subdomains --prefix /a \
            --include */a/* --exclude re:b$ --external --assets --fragments --sitemaps --no-robots --workers 3 --per-host=2 \
            --delay 0.5 --timeout 2.5 --retries 0 --accept 200,204 --max-size 100 --user-agent me/1 --format csv --output o \
            --html h --svg s --state t --quiet --header X-A:1";
        let Ok(Asked::Crawl(options)) = parse(&args.split_whitespace().collect::<Vec<_>>()) else {
            panic!("{:?}", parse(&args.split_whitespace().collect::<Vec<_>>()));
        };
        assert_eq!(options.start.as_deref(), Some("http://loom.test"));
        assert_eq!((options.outputs.format, options.outputs.quiet), (Format::Csv, true));
        let told = format!("{:?}", options.builder);
        for setting in
            ["depth: 1,", "pages: 9,", "workers: 3,", "per_host: 2,", "2.5s", "500ms", "me/1", "X-A"]
        {
            assert!(told.contains(setting), "{setting} is not in {told}");
        }
    }

    #[test]
    fn every_option_that_help_names_exists() {
        for word in HELP.split_whitespace().filter_map(|word| word.strip_prefix("--")) {
            let name = word.trim_end_matches([',', ';', '.', '\'']);
            // With a value that none of them takes, so each fails, but none as unknown.
            let error = parse(&[&format!("--{name}=?")]).err().unwrap_or_default();
            assert!(!error.contains("invalid option"), "{name}: {error}");
        }
    }

    #[test]
    fn a_bad_argument_gets_a_sentence_that_says_what_to_do() {
        for (args, hint) in [
            (vec!["--workers", "none"], "whole number from 1 to 1024"),
            (vec!["--workers", "0"], "whole number from 1 to 1024"),
            (vec!["--timeout", "-1"], "such as 2.5"),
            (vec!["--timeout", "1e40"], "such as 2.5"),
            (vec!["--colour"], "--help"),
            (vec!["--svg"], "--help"),
            (vec!["--format", "xml"], "text, json, csv, html"),
            (vec!["--accept", "200..=100"], "such as 200..=204,403"),
            (vec!["--also", "junit"], "FORMAT=FILE"),
            (vec!["--include", "["], "is not a pattern"),
            (vec!["--exclude", "re:("], "is not a pattern"),
            (vec!["--header", "x"], "NAME: VALUE"),
            (vec!["--header-for", "x: y"], "ORIGIN NAME: VALUE"),
            (vec!["--basic-auth", "https://a.test=x"], "ORIGIN=USER:PASSWORD"),
            (vec!["--header", "X-A: env:SELVEDGE_NO_SUCH_VARIABLE"], "not in the environment"),
            (vec!["--header", "X-A: file:/nonexistent/x"], "cannot be read"),
            (vec!["http://a.test", "--resume", "x"], "leave the URL out"),
        ] {
            let error = parse(&args).unwrap_err();
            assert!(error.contains(hint), "{args:?}: {error}");
        }
    }
}
