//! What comes out, and where it goes.

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use selvedge_crawl::Report;

/// How the report is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
    Csv,
    Html,
}

/// What was asked for.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    pub(crate) format: Format,
    /// Standard output, if it is none.
    pub(crate) output: Option<PathBuf>,
    pub(crate) html: Option<PathBuf>,
    pub(crate) svg: Option<PathBuf>,
    pub(crate) state: Option<PathBuf>,
    pub(crate) quiet: bool,
}

impl Outputs {
    /// Writes all of it.
    pub(crate) fn write(&self, report: &Report) -> Result<(), Box<dyn Error>> {
        match &self.output {
            Some(file) => write(file, |to| self.show(report, to))?,
            None => {
                let mut shown = Vec::new();
                self.show(report, &mut shown)?;
                print(&shown)?;
            }
        }
        if let Some(file) = &self.html {
            write(file, |to| report.write_html(to))?;
        }
        if let Some(file) = &self.svg {
            write(file, |to| to.write_all(report.to_svg().as_bytes()))?;
        }
        self.keep(report)
    }

    /// True if standard output has words for a person.
    pub(crate) fn is_for_people(&self) -> bool {
        self.format == Format::Text && self.output.is_none()
    }

    fn show(&self, report: &Report, mut to: impl Write) -> io::Result<()> {
        match self.format {
            Format::Text => to.write_all(report.to_text(self.quiet).as_bytes()),
            Format::Json => report.write_json(to),
            Format::Csv => report.write_csv(to),
            Format::Html => report.write_html(to),
        }
    }

    /// Keeps the state of a crawl that was stopped, if somebody said where.
    fn keep(&self, report: &Report) -> Result<(), Box<dyn Error>> {
        match (report.is_whole(), &self.state) {
            (true, _) => {}
            (false, Some(file)) => {
                write(file, |to| report.write_json(to))?;
                if !self.quiet {
                    eprintln!("The crawl can go on with --resume {}.", file.display());
                }
            }
            (false, None) if !self.quiet => {
                eprintln!("With --state FILE or --format json it could go on later.");
            }
            (false, None) => {}
        }
        Ok(())
    }
}

fn write(file: &Path, f: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), String> {
    let written = File::create(file).and_then(|mut open| f(&mut open));
    written.map_err(|error| format!("{} cannot be written: {error}.", file.display()))
}

/// Writes to stdout. A reader that went away, such as `head`, is no trouble.
pub(crate) fn print(text: &[u8]) -> Result<(), Box<dyn Error>> {
    match io::stdout().write_all(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
