//! `selvedge-crawl`: a link checker for the command line. `--help` says what it can do.

mod args;
mod progress;

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use selvedge::CancelToken;
use selvedge::crawl::{Crawl, Crawler, Ended, Report};
use selvedge::error::WaitError;

use args::{Asked, Format, Options};
use progress::Progress;

/// How often the progress is shown while no page comes.
const TICK: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let ended = match Options::parse(lexopt::Parser::from_env(), Crawler::builder()) {
        Ok(Asked::Help) => print(args::HELP.as_bytes()).map(|()| ExitCode::SUCCESS),
        Ok(Asked::Version) => print(concat!("selvedge-crawl ", env!("CARGO_PKG_VERSION"), "\n").as_bytes())
            .map(|()| ExitCode::SUCCESS),
        Ok(Asked::Crawl(options)) => run(*options),
        Err(sentence) => Err(sentence.into()),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::from(2)
    })
}

fn run(options: Options) -> Result<ExitCode, Box<dyn Error>> {
    let token = CancelToken::new();
    let interrupt = token.clone();
    ctrlc::set_handler(move || {
        if interrupt.is_cancelled() {
            // It was said once; who says it twice does not want to wait.
            std::process::exit(130);
        }
        interrupt.cancel_because("interrupted");
    })?;
    let Options { start, builder, format, output, html, svg, state, resume, quiet } = options;
    let crawler = builder.build()?;
    let crawl = match (&start, &resume) {
        (Some(start), _) => crawler.spawn(start, &token)?,
        (None, Some(file)) => crawler.resume(read(file)?, &token)?,
        (None, None) => unreachable!("the command line was checked"),
    };
    let report = watch(crawl, Progress::new(quiet));
    match &output {
        Some(file) => write(file, |to| show(&report, format, quiet, to))?,
        None => {
            let mut shown = Vec::new();
            show(&report, format, quiet, &mut shown)?;
            print(&shown)?;
        }
    }
    if let Some(file) = &html {
        write(file, |to| report.write_html(to))?;
    }
    if let Some(file) = &svg {
        write(file, |to| to.write_all(report.to_svg().as_bytes()))?;
    }
    keep(&report, state.as_deref(), quiet)?;
    Ok(ExitCode::from(status(&report)))
}

/// Shows how far a crawl is until it is over.
fn watch(mut crawl: Crawl, mut progress: Progress) -> Report {
    while let Ok(Some(_)) | Err(WaitError::TimedOut) = crawl.next_until(TICK).map(|page| page.map(drop)) {
        progress.show(&crawl.progress());
    }
    progress.finish();
    crawl.finish()
}

fn show(report: &Report, format: Format, quiet: bool, mut to: impl Write) -> io::Result<()> {
    match format {
        Format::Text => to.write_all(report.to_text(quiet).as_bytes()),
        Format::Json => report.write_json(to),
        Format::Csv => report.write_csv(to),
        Format::Html => report.write_html(to),
    }
}

/// Keeps the state of a crawl that was stopped, if somebody said where.
fn keep(report: &Report, state: Option<&Path>, quiet: bool) -> Result<(), Box<dyn Error>> {
    match (report.is_whole(), state) {
        (true, _) => {}
        (false, Some(file)) => {
            write(file, |to| report.write_json(to))?;
            if !quiet {
                eprintln!("The crawl can go on with --resume {}.", file.display());
            }
        }
        (false, None) if !quiet => eprintln!("With --state FILE or --format json it could go on later."),
        (false, None) => {}
    }
    Ok(())
}

fn read(file: &Path) -> Result<Report, Box<dyn Error>> {
    let named = |error: &dyn Error| format!("{} cannot be resumed: {error}.", file.display());
    let open = File::open(file).map_err(|error| named(&error))?;
    Ok(Report::read_json(open).map_err(|error| named(&error))?)
}

fn write(file: &Path, f: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), String> {
    let written = File::create(file).and_then(|mut open| f(&mut open));
    written.map_err(|error| format!("{} cannot be written: {error}.", file.display()))
}

/// Writes to stdout. A reader that went away, such as `head`, is no trouble.
fn print(text: &[u8]) -> Result<(), Box<dyn Error>> {
    match io::stdout().write_all(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// The exit status, as `--help` has it.
fn status(report: &Report) -> u8 {
    match report.ended() {
        Ended::Cancelled(_) => 130,
        Ended::OutOfTime => 4,
        Ended::Complete => u8::from(report.dead_count() > 0),
    }
}
