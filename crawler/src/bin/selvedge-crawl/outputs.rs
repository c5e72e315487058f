//! The outputs and their files. Every file is opened before the crawl and left unchanged until there is
//! something to write. What cannot be written in the end goes to a temporary file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::{env, process};

use selvedge_crawl::Report;

use crate::color::{Color, painted};
use crate::warn;

/// The format of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
    Csv,
    Html,
    Markdown,
    GitHub,
    JUnit,
    Sarif,
}

/// The outputs that are asked for.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    pub(crate) format: Format,
    /// `None` for standard output.
    pub(crate) output: Option<PathBuf>,
    /// Further formats and their files.
    pub(crate) also: Vec<(Format, PathBuf)>,
    pub(crate) html: Option<PathBuf>,
    pub(crate) svg: Option<PathBuf>,
    pub(crate) state: Option<PathBuf>,
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
    pub(crate) silent: bool,
    pub(crate) color: Color,
}

/// The outputs, with their files open.
pub(crate) struct Opened {
    pub(crate) asked: Outputs,
    output: Option<Target>,
    also: Vec<(Format, Target)>,
    html: Option<Target>,
    svg: Option<Target>,
    state: Option<Target>,
}

struct Target {
    path: PathBuf,
    file: File,
    /// The file did not exist before.
    is_new: bool,
}

type Show<'a> = dyn Fn(&mut dyn Write) -> io::Result<()> + 'a;

impl Outputs {
    /// Opens all files. The error is a sentence for the user.
    pub(crate) fn open(self) -> Result<Opened, String> {
        let mut opened =
            Opened { asked: self, output: None, also: Vec::new(), html: None, svg: None, state: None };
        let Outputs { output, html, svg, state, .. } = &opened.asked;
        let open = |path: &Option<PathBuf>| path.as_deref().map(Target::open).transpose();
        // Those that are open are taken back if one cannot be.
        opened.output = open(output)?;
        for (format, path) in &opened.asked.also {
            opened.also.push((*format, Target::open(path)?));
        }
        opened.html = open(html)?;
        opened.svg = open(svg)?;
        opened.state = open(state)?;
        Ok(opened)
    }

    /// Whether standard output shows the text report.
    pub(crate) fn is_for_people(&self) -> bool {
        self.format == Format::Text && self.output.is_none() && !self.silent
    }

    /// Whether progress and the like are suppressed.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet || self.silent
    }

    fn show(&self, format: Format, report: &Report, to: &mut dyn Write) -> io::Result<()> {
        match format {
            Format::Text => {
                let text = report.to_text(self.quiet);
                let is_painted = self.is_for_people() && self.color.is_on();
                to.write_all(if is_painted { painted(&text) } else { text }.as_bytes())
            }
            Format::Json => report.write_json(to),
            Format::Csv => report.write_csv(to),
            Format::Html => report.write_html(to),
            Format::Markdown => report.write_markdown(to),
            Format::GitHub => report.write_github(to),
            Format::JUnit => report.write_junit(to),
            Format::Sarif => report.write_sarif(to),
        }
    }
}

impl Opened {
    /// Writes all outputs, even if some fail; says on standard error where failed ones have been written
    /// instead. True if none failed.
    pub(crate) fn write(self, report: &Report) -> bool {
        let Opened { asked, output, also, html, svg, state } = self;
        let shown = |to: &mut dyn Write| asked.show(asked.format, report, to);
        let page = |to: &mut dyn Write| report.write_html(to);
        let picture = |to: &mut dyn Write| to.write_all(report.to_svg().as_bytes());
        let json = |to: &mut dyn Write| report.write_json(to);
        let is_whole = report.is_whole();
        let kept = state.as_ref().filter(|_| !is_whole).map(|state| state.path.clone());
        let mut all_also = true;
        for (format, target) in also {
            all_also &= target.write(&|to: &mut dyn Write| asked.show(format, report, to));
        }
        let written = [
            all_also,
            match output {
                Some(target) => target.write(&shown),
                None if asked.silent => true,
                None => to_stdout(&shown),
            },
            html.is_none_or(|target| target.write(&page)),
            svg.is_none_or(|target| target.write(&picture)),
            // There is nothing to go on with.
            state.filter(|_| !is_whole).is_none_or(|target| target.write(&json)),
        ];
        if !asked.is_quiet() && !is_whole {
            match kept {
                Some(file) => warn(&format!("The crawl can go on with --resume {}.", file.display())),
                None => warn("With --state FILE or --format json it could go on later."),
            }
        }
        written.iter().all(|&written| written)
    }
}

impl Target {
    fn open(path: &Path) -> Result<Self, String> {
        let mut options = OpenOptions::new();
        options.write(true);
        let is_new = |new: bool| move |file: File| Target { path: path.to_owned(), file, is_new: new };
        match options.clone().create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                options.open(path).map(is_new(false))
            }
            created => created.map(is_new(true)),
        }
        .map_err(|error| format!("{} cannot be written: {error}.", path.display()))
    }

    /// Replaces the file's contents by what `show` writes.
    fn write(mut self, show: &Show<'_>) -> bool {
        self.is_new = false;
        // A device has no length, and none is missed.
        let _ = self.file.set_len(0);
        let written = self.file.rewind().or(Ok(())).and_then(|()| show(&mut self.file));
        kept(written, &self.path.display().to_string(), &self.path, show)
    }
}

impl Drop for Target {
    /// Removes a new file that nothing was written to.
    fn drop(&mut self) {
        if self.is_new {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Writes to standard output. A reader that has gone, such as `head`, is not an error.
fn to_stdout(show: &Show<'_>) -> bool {
    let mut shown = Vec::new();
    let written = show(&mut shown).and_then(|()| print(&shown));
    kept(written, "Standard output", Path::new("report"), show)
}

/// Whether something was written; if not, it is written to a temporary file, whose name is told.
fn kept(written: io::Result<()>, name: &str, path: &Path, show: &Show<'_>) -> bool {
    let Err(error) = written else { return true };
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let place = env::temp_dir().join(format!("selvedge-crawl-{}-{file}", process::id()));
    match File::create_new(&place).and_then(|mut file| show(&mut file)) {
        Ok(()) => warn(&format!("{name} cannot be written: {error}; it is in {} instead.", place.display())),
        Err(second) => {
            warn(&format!("{name} cannot be written: {error}; nor can {}: {second}.", place.display()));
        }
    }
    false
}

/// Writes to standard output. A reader that has gone is not an error.
pub(crate) fn print(text: &[u8]) -> io::Result<()> {
    match io::stdout().write_all(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}
