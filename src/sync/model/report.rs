//! What a model tells about itself beside its failure: its progress, a line when it has passed, and files.

use std::cell::Cell;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fs};

use serde_json::json;

use super::token;
use crate::sync::failure::Failure;

/// Rows of the table and of the diagram; what came before them is left out. `SELVEDGE_MODEL_STEPS` replaces
/// the number.
const ROWS: usize = 60;
/// A model that takes longer shows its progress, and again after as long.
const LONG: Duration = Duration::from_secs(2);
/// Executions between two looks at the time.
const LOOKS: usize = 256;

std::thread_local! {
    /// The begin of the model on this OS thread, the time of its last progress, and its executions.
    static PROGRESS: Cell<Option<(Instant, Instant, usize)>> = const { Cell::new(None) };
}

/// The number in an environment variable.
pub(super) fn env_or(name: &str, default: usize) -> usize {
    match env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")),
        Err(_) => default,
    }
}

pub(super) fn rows() -> usize {
    env_or("SELVEDGE_MODEL_STEPS", ROWS)
}

/// A model begins.
pub(super) fn begin() {
    let now = Instant::now();
    PROGRESS.set(Some((now, now, 0)));
}

/// One more execution begins, after one of so many steps. A long model says how far it is, on a terminal.
pub(super) fn count(steps: usize) {
    let Some((begun, told, executions)) = PROGRESS.get() else { return };
    let executions = executions + 1;
    PROGRESS.set(Some((begun, told, executions)));
    if executions % LOOKS == 0 && told.elapsed() > LONG && io::stderr().is_terminal() {
        PROGRESS.set(Some((begun, Instant::now(), executions)));
        let rate = executions as f64 / begun.elapsed().as_secs_f64();
        // To the stream directly, since the test harness holds back what a test prints.
        let _ = writeln!(
            io::stderr(),
            "model {}: {executions} executions so far, {rate:.0} a second, the last of {steps} steps",
            token::name()
        );
    }
}

/// A model has passed. `within` says what was explored.
pub(super) fn passed(executions: usize, within: &str) {
    let millis = millis();
    let name = token::name();
    println!("model {name}: {executions} executions in {millis} ms, {within}");
    note(Result { name: name.clone(), executions, millis, within: within.to_owned(), failure: None });
    let Ok(path) = env::var("SELVEDGE_MODEL_LOG") else { return };
    let line = format!("{name} {executions} {millis} {}\n", within.replace(' ', "-"));
    fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .unwrap_or_else(|error| panic!("SELVEDGE_MODEL_LOG={path} cannot be written: {error}"));
}

/// A model has failed: prints what happened, and how to see it again, and writes the files that are asked
/// for.
pub(super) fn failed(failure: &Failure, how: &str) {
    let name = token::name();
    eprintln!("\n{}\nmodel {name}: {how}", failure.schedule);
    if let Some(token) = &failure.token {
        eprintln!("to run this schedule alone: {}", token::command(token));
    }
    if let Some(folder) = env::var_os("SELVEDGE_MODEL_FILES") {
        match write_files(Path::new(&folder), &name, failure) {
            Ok(path) => eprintln!("as files: {}.txt, .json and .svg", path.display()),
            // The failure is what matters.
            Err(error) => eprintln!("SELVEDGE_MODEL_FILES={} cannot be written: {error}", folder.display()),
        }
    }
    let failure = format!("{}\n\n{}\n{how}", failure.message(), failure.schedule);
    let millis = millis();
    note(Result { name, executions: 0, millis, within: String::new(), failure: Some(failure) });
}

fn millis() -> u128 {
    PROGRESS.get().map_or(0, |(begun, ..)| begun.elapsed().as_millis())
}

/// Writes the table, the diagram and the JSON into a folder. Returns their path without the ending.
fn write_files(folder: &Path, name: &str, failure: &Failure) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let Failure { policy, executions, record, token, .. } = failure;
    let path = folder.join(name.replace("::", "."));
    let mut json = record.json();
    json["model"] = json!(name);
    json["message"] = json!(failure.message());
    json["policy"] = json!(format!("{policy:?}"));
    json["executions"] = json!(executions);
    json["token"] = json!(token);
    let title = format!("{name}: {}", failure.message().lines().next().unwrap_or_default());
    let with = |ending: &str| path.with_file_name(format!("{}.{ending}", name.replace("::", ".")));
    fs::write(with("txt"), record.table(usize::MAX))?;
    fs::write(with("json"), format!("{json:#}\n"))?;
    fs::write(with("svg"), record.svg(&title, rows()))?;
    Ok(path)
}

/// How a model ended.
struct Result {
    name: String,
    executions: usize,
    millis: u128,
    within: String,
    failure: Option<String>,
}

/// Adds a result to the report of this program, if one is asked for.
fn note(result: Result) {
    static RESULTS: Mutex<Vec<Result>> = Mutex::new(Vec::new());
    let Some(folder) = env::var_os("SELVEDGE_MODEL_JUNIT").map(PathBuf::from) else { return };
    // Held while the file is written: of two models that end at once, the second writes both.
    let mut results = RESULTS.lock().unwrap_or_else(PoisonError::into_inner);
    results.push(result);
    let program = token::program().unwrap_or_else(|| "models".to_owned());
    let file = folder.join(format!("{program}.xml"));
    let written = fs::create_dir_all(&folder).and_then(|()| fs::write(&file, junit(&program, &results)));
    if let Err(error) = written {
        eprintln!("SELVEDGE_MODEL_JUNIT={} cannot be written: {error}", folder.display());
    }
}

/// The results in the form that CI servers read.
fn junit(program: &str, results: &[Result]) -> String {
    let failures = results.iter().filter(|result| result.failure.is_some()).count();
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\">\n",
        escaped(program),
        results.len()
    );
    for Result { name, executions, millis, within, failure } in results {
        let (name, seconds) = (escaped(name), *millis as f64 / 1000.0);
        let _ =
            write!(out, "<testcase classname=\"{}\" name=\"{name}\" time=\"{seconds}\">", escaped(program));
        let _ = match failure {
            Some(text) => write!(out, "<failure>{}</failure>", escaped(text)),
            None => write!(out, "<system-out>{executions} executions, {}</system-out>", escaped(within)),
        };
        out.push_str("</testcase>\n");
    }
    out.push_str("</testsuite>\n");
    out
}

fn escaped(text: &str) -> String {
    // Other control characters are not allowed in XML at all.
    let text: String = text.chars().filter(|c| !c.is_control() || *c == '\n' || *c == '\t').collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
