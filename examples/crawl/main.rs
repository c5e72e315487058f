//! A web crawler that finds dead links.
//!
//! `cargo run --release --example crawl` crawls a small site of its own, in which every kind of trouble is
//! planted, and checks what it found; with a URL it crawls that site. `--help` lists the rest.
//!
//! The crawler itself is `selvedge::crawl`; the program for every day is `selvedge-crawl`, of the feature
//! `crawl-tool`. Here are the embedded site and the check against what was planted ([`site`]), and a command
//! line ([`args`]).

mod args;
#[path = "../../src/bin/selvedge-crawl/progress.rs"]
mod progress;
mod site;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use selvedge::CancelToken;
use selvedge::crawl::{Crawler, Ended, Report};
use selvedge::error::WaitError;

use args::Options;
use progress::Progress;
use site::Site;

/// For one request out in the world, and on the embedded site, where one page never answers and where each
/// page is asked for just once.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
const LOCAL_TIMEOUT: Duration = Duration::from_secs(1);
/// How often the progress is shown.
const TICK: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let options = match Options::parse(lexopt::Parser::from_env()) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print(args::HELP);
            return ExitCode::SUCCESS;
        }
        Err(sentence) => {
            eprintln!("{sentence}");
            return ExitCode::from(2);
        }
    };
    run(&options).unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::from(2)
    })
}

fn run(options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    let root = CancelToken::new();
    let interrupt = root.clone();
    ctrlc::set_handler(move || interrupt.cancel_because("interrupted"))?;
    let site = if options.start.is_none() { Some(Site::open()?) } else { None };
    let token = options.timeout.map_or_else(|| root.child(), |limit| root.child_until(limit));
    let (start, builder) = match (&options.start, &site) {
        (Some(url), _) => (url.as_str(), Crawler::builder().timeout(REQUEST_TIMEOUT)),
        (None, site) => {
            let site = site.as_ref().expect("opened above");
            (site.start().as_str(), Crawler::builder().timeout(LOCAL_TIMEOUT).retries(0))
        }
    };
    let report = crawl(options.set(builder).build()?, start, &token, Progress::new(options.quiet))?;
    print(&report.to_text(options.quiet));
    std::fs::write(&options.svg, report.to_svg())
        .map_err(|error| format!("The picture cannot be written to {}: {error}.", options.svg.display()))?;
    if !options.quiet {
        print(&format!("\nThe run is drawn in {}.\n", options.svg.display()));
    }
    let exact = site.map(|site| site.verdict(&report)).map(|verdict| {
        print(&format!("{verdict}\n"));
        verdict.is_exact()
    });
    Ok(ExitCode::from(status(&report, exact)))
}

/// Crawls, and shows how far it is.
fn crawl(
    crawler: Crawler,
    start: &str,
    token: &CancelToken,
    mut progress: Progress,
) -> Result<Report, Box<dyn Error>> {
    let mut crawl = crawler.spawn(start, token)?;
    // A page that comes is counted by the crawl itself; the look at the clock is for when none does.
    loop {
        match crawl.next_until(TICK) {
            Ok(None) => break,
            Ok(Some(_)) | Err(WaitError::TimedOut) => progress.show(&crawl.progress()),
            Err(_) => break,
        }
    }
    progress.finish();
    Ok(crawl.finish())
}

/// The exit status, as `--help` has it. `exact` is the embedded site's verdict.
fn status(report: &Report, exact: Option<bool>) -> u8 {
    match (report.ended(), exact) {
        (Ended::Cancelled(_), _) => 130,
        (Ended::OutOfTime, _) => 4,
        (Ended::Complete, Some(true)) => 0,
        (Ended::Complete, Some(false)) => 3,
        (Ended::Complete, None) => u8::from(!report.dead_links().is_empty()),
    }
}

/// Writes to stdout. A reader that went away, such as `head`, is no trouble.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}
