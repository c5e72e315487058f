//! `selvedge-crawl`: a link checker for the command line. `--help` says what it can do.

mod args;
mod color;
mod config;
mod demo;
mod help;
mod options;
mod outputs;
mod progress;
mod starts;
mod values;
// The library's; it is no part of its interface.
#[path = "../../show/visible.rs"]
mod visible;

use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use selvedge::CancelToken;
use selvedge::error::WaitError;
use selvedge_crawl::{Cache, CacheError, Crawl, Crawler, DeadLink, Ended, Report, StartError};

use args::{Asked, Options};
use demo::Site;
use outputs::print;
use progress::Progress;
use visible::visible;

/// The interval between updates of the progress while no page is settled.
const TICK: Duration = Duration::from_millis(100);

/// The exit status of dead links.
const DEAD: u8 = 1;

/// The exit status of bad use, and of a file that cannot be read or written.
const BAD_USE: u8 = 2;

/// The exit status if a start was not read, or not all URLs were remembered.
const NOT_LOOKED_AT: u8 = 5;

/// The exit status of doubtful links, with `--strict`.
const DOUBTFUL: u8 = 6;

/// The exit status if the embedded site was not found as it was planted.
const NOT_AS_PLANTED: u8 = 3;

fn main() -> ExitCode {
    let ended = match Options::parse(lexopt::Parser::from_env(), Crawler::builder()) {
        Ok(Asked::Text(text)) => tell(&text),
        Ok(Asked::Crawl(options)) => run(*options),
        Ok(Asked::Demo) => demonstrate(),
        Err(sentence) => Err(sentence.into()),
    };
    ended.unwrap_or_else(|error| {
        warn(&error.to_string());
        ExitCode::from(BAD_USE)
    })
}

/// Says something on standard error, where names of files and texts of others are visible and not obeyed.
pub(crate) fn warn(text: &str) {
    for line in text.lines() {
        eprintln!("{}", visible(line));
    }
}

fn tell(text: &str) -> Result<ExitCode, Box<dyn Error>> {
    print(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Crawls what was asked for.
fn run(options: Options) -> Result<ExitCode, Box<dyn Error>> {
    let token = cancelled_by_interrupt()?;
    let Options { start, resume, baseline, mut builder, outputs, cache, cache_age, strict, .. } = options;
    let cache = cache.as_deref().and_then(|file| open_cache(file, cache_age));
    if let Some(cache) = &cache {
        builder = builder.cache(cache);
    }
    let crawler = builder.build()?;
    let baseline = baseline.as_deref().map(read).transpose()?;
    let outputs = outputs.open()?;
    let crawl = match &resume {
        Some(file) => crawler.resume(read(file)?, &token).map_err(|error| match error {
            StartError::NotInAFolder { .. } => format!("{error} Say which with --root FOLDER."),
            error => error.to_string(),
        })?,
        None => crawler.spawn(&start.unwrap_or_default(), &token)?,
    };
    let report = watch(crawl, Progress::new(&outputs.asked));
    let (is_for_people, is_quiet) = (outputs.asked.is_for_people(), outputs.asked.is_quiet());
    let is_written = outputs.write(&report) & save(cache.as_ref());
    if !is_for_people {
        eprint!("{}", in_a_few_words(&report, is_quiet));
    }
    let new = baseline.map(|baseline| report.new_since(&baseline));
    if let Some(new) = new.as_ref().filter(|_| is_for_people) {
        print(since_baseline(report.dead_links().len(), new).as_bytes())?;
    }
    let status = match (is_written, status(&report), new) {
        (false, ..) => BAD_USE,
        (true, DEAD, Some(new)) if new.is_empty() => 0,
        (true, status, _) => status,
    };
    let is_doubtful = || !(report.uncertain_links().is_empty() && report.redirect_warnings().is_empty());
    let status = if status == 0 && strict && is_doubtful() { DOUBTFUL } else { status };
    Ok(ExitCode::from(status))
}

/// Crawls the embedded site, and says whether it found what was planted.
fn demonstrate() -> Result<ExitCode, Box<dyn Error>> {
    // Once more, because that site wants other defaults.
    let Options { builder, mut outputs, .. } = Options::of_demo(lexopt::Parser::from_env(), demo::builder())?;
    let picture = outputs.svg.get_or_insert_with(|| "crawl.svg".into()).clone();
    let is_for_people = outputs.is_for_people();
    let outputs = outputs.open()?;
    let token = cancelled_by_interrupt()?;
    let site = Site::open()?;
    let crawl = builder.build()?.spawn(site.start().as_str(), &token)?;
    let report = watch(crawl, Progress::new(&outputs.asked));
    let is_written = outputs.write(&report);
    let verdict = site.verdict(&report);
    if is_for_people {
        print(format!("\nThe run is drawn in {}.\n{verdict}\n", picture.display()).as_bytes())?;
    }
    let status = match report.ended() {
        _ if !is_written => BAD_USE,
        Ended::Complete if verdict.is_exact() => 0,
        Ended::Complete => NOT_AS_PLANTED,
        _ => status(&report),
    };
    Ok(ExitCode::from(status))
}

/// Opens the cache. A file that is not a cache is reported and left alone; a broken cache is reported and
/// replaced.
fn open_cache(file: &Path, age: Duration) -> Option<Cache> {
    match Cache::open(file, age) {
        Ok(cache) => Some(cache),
        Err(error @ CacheError::Broken { .. }) => {
            eprintln!("{error}; it is not used, and is written anew.");
            Some(Cache::new(file, age))
        }
        Err(error) => {
            eprintln!("{error}; it is not used, and left as it is.");
            None
        }
    }
}

/// Writes the cache. False if it cannot be written.
fn save(cache: Option<&Cache>) -> bool {
    match cache.map(Cache::save) {
        Some(Err(error)) => {
            eprintln!("The cache cannot be written: {error}.");
            false
        }
        _ => true,
    }
}

/// A summary in one line, for standard error if the report goes elsewhere.
fn in_a_few_words(report: &Report, is_quiet: bool) -> String {
    let mut text = String::new();
    if report.is_insecure() {
        text += "INSECURE: certificates were not checked.\n";
    }
    if !is_quiet {
        let (dead, uncertain) = (report.dead_count(), report.uncertain_links().len());
        let (pages, seconds) = (report.fetched(), report.took().as_secs_f64());
        text += &format!("{pages} looked at, {dead} dead links, {uncertain} uncertain, {seconds:.1} s\n");
    }
    text
}

/// A token that Ctrl-C cancels. A second Ctrl-C ends the program at once.
fn cancelled_by_interrupt() -> Result<CancelToken, ctrlc::Error> {
    let token = CancelToken::new();
    let interrupt = token.clone();
    ctrlc::set_handler(move || {
        if interrupt.is_cancelled() {
            std::process::exit(130);
        }
        interrupt.cancel_because("interrupted");
    })?;
    Ok(token)
}

/// Shows the progress of a crawl until it ends.
fn watch(mut crawl: Crawl, mut progress: Progress) -> Report {
    loop {
        match crawl.next_until(TICK) {
            Ok(Some(page)) => progress.tell(&page),
            Err(WaitError::TimedOut) => {}
            _ => break,
        }
        progress.show(&crawl.progress());
    }
    progress.finish();
    crawl.finish()
}

fn read(file: &Path) -> Result<Report, Box<dyn Error>> {
    let named = |error: &dyn Error| format!("{} cannot be read: {error}.", file.display());
    let open = File::open(file).map_err(|error| named(&error))?;
    Ok(Report::read_json(open).map_err(|error| named(&error))?)
}

/// The text about dead links that the baseline does not have.
fn since_baseline(dead: usize, new: &[DeadLink]) -> String {
    let mut text = format!("\nSince the baseline: {} new, {} known\n", new.len(), dead - new.len());
    for link in new {
        // As visible as in the report: a URL of a stranger's.
        text += &format!("  {} {}\n", link.problem, visible(&link.url));
    }
    text
}

/// The exit status, as documented in the help.
fn status(report: &Report) -> u8 {
    match report.ended() {
        Ended::Cancelled(_) => 130,
        Ended::OutOfTime => 4,
        Ended::Complete if report.dead_count() > 0 => DEAD,
        Ended::Complete if report.refused() > 0 || report.not_looked_at().is_some() => NOT_LOOKED_AT,
        Ended::Complete => 0,
    }
}
