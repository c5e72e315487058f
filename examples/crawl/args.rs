//! What the user asked for.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lexopt::prelude::*;
use selvedge::crawl::Builder;
use url::Url;

/// A page of more bytes is not read; the median page of the web has a thirtieth.
pub(crate) const BODY_CAP: u64 = 1 << 20;

pub(crate) const HELP: &str = "\
Crawls a web site and reports its dead links, redirects and slow pages.

Usage: crawl [OPTIONS] [URL]

Without a URL it crawls a small site of its own, served on the loopback address, in
which every kind of trouble is planted, and checks that it found exactly what was planted.

  --workers N        pages fetched at the same time              [8]
  --per-host N       of these, at the same host and port         [6]
  --depth N          links followed away from the start          [12]
  --pages N          pages fetched in all                        [1000]
  --timeout SECONDS  time for the whole crawl                    [no limit]
  --svg FILE         where to draw the run                       [crawl.svg]
  --quiet            no progress, and only the dead links
  --help             this text

Only the host of the URL is crawled, and robots.txt is obeyed. Ctrl-C stops the crawl
and still reports what was found.

Exit status: 0 no dead links (or exactly the planted ones), 1 dead links, 2 bad use,
3 not exactly what was planted, 4 the time ran out, 130 interrupted.
";

/// The command line, checked.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    /// Where to begin; `None` for the embedded site.
    pub(crate) start: Option<Url>,
    pub(crate) workers: usize,
    pub(crate) per_host: usize,
    pub(crate) depth: u32,
    pub(crate) pages: usize,
    pub(crate) timeout: Option<Duration>,
    pub(crate) svg: PathBuf,
    pub(crate) quiet: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            start: None,
            workers: 8,
            per_host: 6,
            depth: 12,
            pages: 1_000,
            timeout: None,
            svg: PathBuf::from("crawl.svg"),
            quiet: false,
        }
    }
}

impl Options {
    /// Sets what was asked for.
    pub(crate) fn set(&self, builder: Builder) -> Builder {
        builder
            .workers(self.workers)
            .per_host(self.per_host)
            .depth(self.depth)
            .pages(self.pages)
            .body_cap(BODY_CAP)
            .connect_timeout(Duration::from_secs(5))
    }

    /// Reads a command line; `None` if it asks for help. The error is a sentence for the user.
    pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Option<Self>, String> {
        let mut options = Options::default();
        while let Some(arg) = parser.next().map_err(sentence)? {
            match arg {
                Short('h') | Long("help") => return Ok(None),
                Long("workers") => options.workers = number(&mut parser, "--workers", 1..=512)?,
                Long("per-host") => options.per_host = number(&mut parser, "--per-host", 1..=512)?,
                Long("depth") => options.depth = number(&mut parser, "--depth", 0..=1_000_000)?,
                Long("pages") => options.pages = number(&mut parser, "--pages", 1..=10_000_000)?,
                Long("timeout") => options.timeout = Some(seconds(&mut parser)?),
                Long("svg") => options.svg = parser.value().map_err(sentence)?.into(),
                Long("quiet") => options.quiet = true,
                Value(text) if options.start.is_none() => options.start = Some(address(text)?),
                Value(text) => {
                    return Err(format!(
                        "One URL is enough, but {text:?} came after it; crawl them one by one."
                    ));
                }
                other => return Err(sentence(other.unexpected())),
            }
        }
        Ok(Some(options))
    }
}

fn sentence(error: lexopt::Error) -> String {
    format!("{error}; --help lists what there is.")
}

fn number<N>(parser: &mut lexopt::Parser, name: &str, range: std::ops::RangeInclusive<N>) -> Result<N, String>
where
    N: FromStr + PartialOrd + Display,
{
    let text = parser.value().map_err(sentence)?;
    let number = text.to_str().and_then(|text| text.parse().ok()).filter(|number| range.contains(number));
    let (least, most) = range.into_inner();
    number.ok_or_else(|| format!("{name} takes a whole number from {least} to {most}, not {text:?}."))
}

fn seconds(parser: &mut lexopt::Parser) -> Result<Duration, String> {
    let text = parser.value().map_err(sentence)?;
    let seconds = text.to_str().and_then(|text| text.parse().ok()).filter(|&seconds: &f64| seconds > 0.0);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("--timeout takes a number of seconds above 0, such as 2.5, not {text:?}."))
}

fn address(text: std::ffi::OsString) -> Result<Url, String> {
    let text = text.to_str().ok_or_else(|| format!("{text:?} is not a URL; try https://example.org/."))?;
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(url::ParseError::RelativeUrlWithoutBase) => {
            return Err(format!("{text:?} is not a whole URL; did you mean https://{text}?"));
        }
        Err(error) => return Err(format!("{text:?} is not a URL: {error}; try https://example.org/.")),
    };
    match url.scheme() {
        "http" | "https" => Ok(url),
        // `localhost:8080` is a URL of scheme `localhost`.
        _ if !text.contains("://") => Err(format!("{text:?} has no scheme; did you mean http://{text}?")),
        other => Err(format!("{other} is not crawled, only http and https are.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Option<Options>, String> {
        Options::parse(lexopt::Parser::from_args(args))
    }

    #[test]
    fn no_arguments_mean_the_embedded_site() {
        assert_eq!(parse(&[]), Ok(Some(Options::default())));
    }

    #[test]
    fn every_option_is_read() {
        let args =
            "http://loom.test --workers 3 --per-host=2 --depth 1 --pages 9 --timeout 2.5 --svg a.svg --quiet";
        let options = parse(&args.split(' ').collect::<Vec<_>>()).unwrap().unwrap();
        assert_eq!(options.start.unwrap().as_str(), "http://loom.test/");
        assert_eq!((options.workers, options.per_host, options.depth, options.pages), (3, 2, 1, 9));
        assert_eq!((options.timeout, options.quiet), (Some(Duration::from_millis(2_500)), true));
    }

    #[test]
    fn a_bad_argument_gets_a_sentence_that_says_what_to_do() {
        for (args, hint) in [
            (vec!["--workers", "none"], "whole number from 1 to 512"),
            (vec!["--workers", "0"], "whole number from 1 to 512"),
            (vec!["--timeout", "-1"], "above 0"),
            (vec!["--timeout", "1e40"], "above 0"),
            (vec!["--colour"], "--help"),
            (vec!["--svg"], "--help"),
            (vec!["loom.test"], "https://loom.test"),
            (vec!["localhost:80"], "http://localhost:80"),
            (vec!["ftp://loom.test/"], "only http"),
            (vec!["http://a.test", "http://b.test"], "one by one"),
        ] {
            let error = parse(&args).unwrap_err();
            assert!(error.contains(hint), "{args:?}: {error}");
        }
    }
}
