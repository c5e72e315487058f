//! The command line.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lexopt::prelude::*;
use selvedge_crawl::Builder;

use crate::config::{self, Config};
use crate::help;
use crate::options::{Opt, lettered, meant, named};
use crate::outputs::Outputs;
use crate::starts::{self, Local};
use crate::values::{color, flag, format, header, number, pattern, redirects, seconds, secret, statuses};

/// A crawl, as the command line and the config file describe it.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) start: Option<String>,
    pub(crate) resume: Option<PathBuf>,
    /// An earlier report, whose problems do not count.
    pub(crate) baseline: Option<PathBuf>,
    pub(crate) builder: Builder,
    pub(crate) outputs: Outputs,
    /// The cache's file, and its maximum age.
    pub(crate) cache: Option<PathBuf>,
    pub(crate) cache_age: Duration,
    /// Uncertain links and warnings have an exit status of their own.
    pub(crate) strict: bool,
    local: Local,
}

/// What the program is to do.
#[derive(Debug)]
pub(crate) enum Asked {
    Crawl(Box<Options>),
    /// A crawl of the embedded site.
    Demo,
    /// Print a text: the help, the version, and the like.
    Text(String),
}

/// The arguments, before the config file is read.
#[derive(Debug, Default)]
struct Line {
    starts: Vec<String>,
    options: Vec<(&'static Opt, String)>,
}

impl Options {
    /// Reads a command line. The error is a sentence for the user.
    pub(crate) fn parse(parser: lexopt::Parser, builder: Builder) -> Result<Asked, String> {
        let line = Line::of(parser)?;
        if let Some(text) = line.text()? {
            return Ok(Asked::Text(text));
        }
        let config = line.config()?;
        let mut options = Options::new(builder);
        // The command line is last, so it wins.
        for (option, value) in config.options.iter().chain(&line.options) {
            options = options.set(option.long, value)?;
        }
        options.builder = config.ignored.into_iter().fold(options.builder, Builder::ignore);
        let given = match options.resume {
            None if line.starts.is_empty() => config.starts,
            _ => line.starts,
        };
        let starts = with_standard_input(given)?;
        if options.resume.is_some() && !starts.is_empty() {
            return Err("--resume knows where the crawl began; leave the URL out.".to_owned());
        }
        if options.resume.is_none() && starts.is_empty() {
            return Ok(Asked::Demo);
        }
        let (builder, start) = starts::begin(options.builder, &starts, &options.local)?;
        (options.builder, options.start) = (builder, start);
        Ok(Asked::Crawl(Box::new(options)))
    }

    /// Reads a command line once more, for the embedded site.
    pub(crate) fn of_demo(parser: lexopt::Parser, builder: Builder) -> Result<Self, String> {
        let options = Line::of(parser)?.options;
        options
            .iter()
            .try_fold(Options::new(builder), |options, (option, value)| options.set(option.long, value))
    }

    fn new(builder: Builder) -> Self {
        Options {
            start: None,
            resume: None,
            baseline: None,
            builder,
            outputs: Outputs::default(),
            cache: None,
            cache_age: Duration::from_secs(86_400),
            strict: false,
            local: Local::default(),
        }
    }

    /// Sets the option with this long name.
    fn set(mut self, name: &str, value: &str) -> Result<Self, String> {
        let (outputs, local) = (&mut self.outputs, &mut self.local);
        match name {
            "format" => outputs.format = format(value)?,
            "output" => outputs.output = Some(value.into()),
            "html" => outputs.html = Some(value.into()),
            "svg" => outputs.svg = Some(value.into()),
            "also" => {
                let usage = "--also takes FORMAT=FILE, such as junit=links.xml.";
                let (name, file) = value.split_once('=').ok_or(usage)?;
                outputs.also.push((format(name)?, file.into()));
            }
            "state" => outputs.state = Some(value.into()),
            "quiet" => outputs.quiet = flag(value, name)?,
            "verbose" => outputs.verbose = flag(value, name)?,
            "silent" => outputs.silent = flag(value, name)?,
            "color" => outputs.color = color(value)?,
            "cache" => self.cache = Some(value.into()),
            "cache-age" => self.cache_age = seconds(value, name)?,
            "ignore-file" => {
                let ignored = config::read_ignored(Path::new(value))?;
                self.builder = ignored.into_iter().fold(self.builder, Builder::ignore);
            }
            // They have been seen to.
            "config" | "no-config" => {}
            "strict" => self.strict = flag(value, name)?,
            "baseline" => self.baseline = Some(value.into()),
            "resume" => self.resume = Some(value.into()),
            "base-url" => local.base = Some(value.to_owned()),
            "root" => local.root = Some(value.into()),
            "fallback-extension" => local.fall_back = Some(value.to_owned()),
            _ => self.builder = build(self.builder, name, value)?,
        }
        Ok(self)
    }
}

/// Sets an option of the crawler.
fn build(builder: Builder, name: &str, value: &str) -> Result<Builder, String> {
    Ok(match name {
        "depth" => builder.depth(number(value, name, 0..=u32::MAX)?),
        "pages" => builder.pages(number(value, name, 1..=usize::MAX)?),
        "time" => builder.time(seconds(value, name)?),
        "host" => builder.host(value),
        "subdomains" => builder.subdomains(flag(value, name)?),
        "prefix" => builder.path_prefix(value),
        "include" => builder.include(pattern(value)?),
        "exclude" => builder.exclude(pattern(value)?),
        "external" => builder.external(flag(value, name)?),
        "assets" => builder.assets(flag(value, name)?),
        "fragments" => builder.fragments(flag(value, name)?),
        "external-fragments" => builder.external_fragments(flag(value, name)?),
        "sitemaps" => builder.sitemaps(flag(value, name)?),
        "no-robots" => builder.obey_robots(!flag(value, name)?),
        "workers" => builder.workers(number(value, name, 1..=1024)?),
        "per-host" => builder.per_host(number(value, name, 1..=1024)?),
        "delay" => builder.delay(seconds(value, name)?),
        "timeout" => {
            let time = seconds(value, name)?;
            builder.timeout(time).read_timeout(time).connect_timeout(time)
        }
        "retries" => builder.retries(number(value, name, 0..=100)?),
        "max-size" => builder.body_cap(number(value, name, 0..=1 << 40)?),
        "proxy" => builder.proxy(Some(value).filter(|value| *value != "none")),
        "ca" => {
            let pem = fs::read(value).map_err(|error| format!("{value} cannot be read: {error}."))?;
            builder.ca(pem)
        }
        "insecure" => builder.insecure(flag(value, name)?),
        "redirects" => builder.redirect_policy(redirects(value)?),
        "accept" => builder.accept(statuses(value)?),
        "user-agent" => builder.user_agent(value),
        _ => credentials(builder, name, value)?,
    })
}

/// Sets a header or credentials.
fn credentials(builder: Builder, name: &str, value: &str) -> Result<Builder, String> {
    Ok(match name {
        "header" => {
            let (name, value) = header(value, "--header takes 'NAME: VALUE'.")?;
            builder.header(name, value)
        }
        "header-everywhere" => {
            let (name, value) = header(value, "--header-everywhere takes 'NAME: VALUE'.")?;
            builder.header_everywhere(name, value)
        }
        "header-for" => {
            let usage = "--header-for takes 'ORIGIN NAME: VALUE', such as 'https://a.test X-Key: 1'.";
            let (origin, rest) = value.trim().split_once(char::is_whitespace).ok_or(usage)?;
            let (name, value) = header(rest, usage)?;
            builder.header_for(origin, name, value)
        }
        "basic-auth" => {
            let usage = "--basic-auth takes ORIGIN=USER:PASSWORD, such as https://a.test=me:secret.";
            let (origin, login) = value.split_once('=').ok_or(usage)?;
            let login = secret(login)?;
            let (user, password) = login.split_once(':').ok_or(usage)?;
            builder.basic_auth(origin, user, password)
        }
        _ => return Err(unknown(&format!("--{name}"), name)),
    })
}

impl Line {
    fn of(mut parser: lexopt::Parser) -> Result<Self, String> {
        let mut line = Line::default();
        while let Some(arg) = parser.next().map_err(sentence)? {
            let option = match arg {
                Value(text) => {
                    line.starts.push(text.string().map_err(sentence)?);
                    continue;
                }
                Short(letter) => lettered(letter).ok_or_else(|| unknown(&format!("-{letter}"), ""))?,
                Long(name) => named(name).ok_or_else(|| unknown(&format!("--{name}"), name))?,
            };
            let value = match option.is_flag() {
                true => parser.optional_value().unwrap_or_else(|| "true".into()),
                false => parser.value().map_err(sentence)?,
            };
            let value = value.into_string();
            let value = value.map_err(|_| format!("What stands behind --{} is no text.", option.long))?;
            line.options.push((option, value));
        }
        Ok(line)
    }

    /// Reads the config file that is named, or the one in the current folder.
    fn config(&self) -> Result<Config, String> {
        let last = |long: &str| self.options.iter().rev().find(|(option, _)| option.long == long);
        let is_off = last("no-config").map_or(Ok(false), |(_, value)| flag(value, "no-config"))?;
        match last("config") {
            Some((_, file)) => config::read(Path::new(file)),
            None if !is_off && Path::new(config::NAME).is_file() => config::read(Path::new(config::NAME)),
            None => Ok(Config::default()),
        }
    }

    /// The text of an option that only prints one.
    fn text(&self) -> Result<Option<String>, String> {
        for (option, value) in &self.options {
            let text = match option.long {
                "help" => help::short(),
                "help-all" => help::long(),
                "man" => help::manual(),
                "schema" => include_str!("../../../schema/report-1.json").to_owned(),
                "version" => concat!("selvedge-crawl ", env!("CARGO_PKG_VERSION"), "\n").to_owned(),
                "completions" if matches!(value.as_str(), "bash" | "zsh" | "fish") => {
                    help::completions(value)
                }
                "completions" => return Err("There are completions for bash, zsh and fish.".to_owned()),
                _ => continue,
            };
            return Ok(Some(text));
        }
        Ok(None)
    }
}

/// The starts; `-` is replaced by those on standard input.
fn with_standard_input(starts: Vec<String>) -> Result<Vec<String>, String> {
    let mut all = Vec::with_capacity(starts.len());
    for start in starts {
        if start != "-" {
            all.push(start);
            continue;
        }
        let lines = io::read_to_string(io::stdin());
        let lines = lines.map_err(|error| format!("The URLs cannot be read: {error}."))?;
        let before = all.len();
        let urls = lines.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        all.extend(urls.map(str::to_owned));
        if all.len() == before {
            return Err("There is no URL on standard input.".to_owned());
        }
    }
    Ok(all)
}

fn sentence(error: lexopt::Error) -> String {
    format!("{error}; --help-all lists what there is.")
}

/// The error for an option that does not exist.
fn unknown(written: &str, name: &str) -> String {
    match meant(name) {
        Some(meant) => format!("There is no option {written}; did you mean --{meant}? --help-all lists all."),
        None => format!("There is no option {written}; --help-all lists what there is."),
    }
}

#[cfg(test)]
mod tests {
    use selvedge_crawl::Crawler;

    use super::*;
    use crate::options::all;
    use crate::outputs::Format;

    fn parse(args: &[&str]) -> Result<Asked, String> {
        Options::parse(lexopt::Parser::from_args(args), Crawler::builder())
    }

    #[test]
    fn every_option_is_read() {
        let args = "http://loom.test --depth 1 --pages 9 --time 60 --host a.test --subdomains --prefix /a \
            --include */a/* --exclude re:b$ --external --assets --fragments --sitemaps --no-robots -j 3 --per-host=2 \
            --delay 0.5 --timeout 2.5 --retries 0 --accept 200,204 --max-size 100 --user-agent me/1 --format csv --output o \
            --html h --svg s --state t -q --header X-A:1 --assets=false";
        let Ok(Asked::Crawl(options)) = parse(&args.split_whitespace().collect::<Vec<_>>()) else {
            panic!("{:?}", parse(&args.split_whitespace().collect::<Vec<_>>()));
        };
        assert_eq!(options.start.as_deref(), Some("http://loom.test"));
        assert_eq!((options.outputs.format, options.outputs.quiet), (Format::Csv, true));
        let told = format!("{:?}", options.builder);
        for setting in [
            "depth: 1,",
            "pages: 9,",
            "workers: 3,",
            "per_host: 2,",
            "2.5s",
            "500ms",
            "me/1",
            "X-A",
            "external: true",
            "assets: false",
        ] {
            assert!(told.contains(setting), "{setting} is not in {told}");
        }
    }

    #[test]
    fn every_option_of_the_table_is_known_to_the_command_line() {
        for option in all() {
            // With a value that none of them takes, so each fails or is set, but none is unknown.
            let error = parse(&["http://a.test", &format!("--{}=?", option.long)]).err().unwrap_or_default();
            assert!(!error.contains("There is no option"), "{}: {error}", option.long);
        }
    }

    #[test]
    fn a_bad_argument_gets_a_sentence_that_says_what_to_do() {
        for (args, hint) in [
            (vec!["--workers", "none"], "whole number from 1 to 1024"),
            (vec!["--workers", "0"], "whole number from 1 to 1024"),
            (vec!["--timeout", "-1"], "such as 2.5"),
            (vec!["--timeout", "1e40"], "such as 2.5"),
            (vec!["--zzz"], "--help-all"),
            (vec!["--fragment"], "did you mean --fragments"),
            (vec!["-Z"], "--help-all"),
            (vec!["--svg"], "--help-all"),
            (vec!["--external=perhaps"], "=true or =false"),
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
            (vec!["/nonexistent/x"], "cannot be read"),
            (vec!["http://a.test", "--base-url", "https://a.test/"], "give a folder"),
            (vec!["--completions", "csh"], "bash, zsh and fish"),
        ] {
            let error = parse(&args).unwrap_err();
            assert!(error.contains(hint), "{args:?}: {error}");
        }
    }
}
