//! A web crawler that finds dead links.
//!
//! `cargo run --release --example crawl` crawls a small site of its own, in which every kind of trouble is
//! planted, and checks what it found; with a URL it crawls that site. `--help` lists the rest.
//!
//! | file | what is in it |
//! |---|---|
//! | [`crawl`] | the coordinator: who fetches what, and when it is over |
//! | [`frontier`] | every page once, nearest first, at its shortest distance; pure, no threads |
//! | [`worker`], [`gate`] | one errand, and how many of them a host sees at a time |
//! | [`fetch`], [`html`] | one request, and the links of what came |
//! | [`report`] | what was found, and the questions one asks of it |
//! | [`summary`], [`picture`] with [`shapes`], [`progress`] | how it is shown |
//! | [`site`] | the embedded site, and the check against what was planted |
//! | [`args`] | the command line |
//!
//! What it uses of the crate: [`Pool`](selvedge::Pool) for the workers, a
//! [`BoundedQueue`](selvedge::BoundedQueue) for their results, a [`Semaphore`](selvedge::Semaphore) per host,
//! and one [`CancelToken`] that reaches all of them from Ctrl-C or from the time limit.

mod args;
mod crawl;
mod fetch;
mod frontier;
mod gate;
mod html;
mod picture;
mod progress;
mod report;
mod shapes;
mod site;
mod summary;
mod worker;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use selvedge::CancelToken;

use args::Options;
use progress::Progress;
use report::{Ended, Report};
use site::Site;

/// For one request out in the world, and on the embedded site, where one page never answers.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
const LOCAL_TIMEOUT: Duration = Duration::from_secs(1);

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
    let (start, timeout) = match (&options.start, &site) {
        (Some(url), _) => (url.clone(), REQUEST_TIMEOUT),
        (None, site) => (site.as_ref().expect("opened above").start().clone(), LOCAL_TIMEOUT),
    };
    let token = options.timeout.map_or_else(|| root.child(), |limit| root.child_until(limit));
    let mut progress = Progress::new(options.quiet);
    let report = crawl::crawl(start, options, timeout, &token, &mut progress)?;
    progress.finish();
    print(&summary::text(&report, options.quiet));
    picture::write(&report, &options.svg)
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

/// The exit status, as `--help` has it. `exact` is the embedded site's verdict.
fn status(report: &Report, exact: Option<bool>) -> u8 {
    match (&report.ended, exact) {
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
