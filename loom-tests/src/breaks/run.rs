//! Runs the models and tests that must notice.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::copy::Copy;
use crate::lists::Witness;
use crate::weave::VARIABLE;

/// Longest that a model or test may take: with an edit it may hang.
const PATIENCE: Duration = Duration::from_secs(300);

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Green,
    Red,
    /// There is no such test.
    Missing,
    Hang,
}

/// A model or test to run with an edit, which the switch turns on if it is woven.
pub(crate) struct Trial<'a> {
    pub(crate) edit: &'a str,
    pub(crate) switch: Option<usize>,
    pub(crate) witness: &'a Witness,
}

/// The programs of tests, by package and target.
pub(crate) struct Programs<'a> {
    copy: &'a Copy,
    paths: BTreeMap<(&'static str, String), PathBuf>,
}

impl<'a> Programs<'a> {
    /// Builds what some models and tests are in, or returns the compiler's message.
    pub(crate) fn build<'w>(
        copy: &'a Copy,
        witnesses: impl Iterator<Item = &'w Witness>,
    ) -> Result<Self, String> {
        let wanted: BTreeSet<(&'static str, &str)> =
            witnesses.map(|witness| (witness.package, &witness.target[..])).collect();
        let packages: BTreeSet<&'static str> = wanted.iter().map(|(package, _)| *package).collect();
        let mut paths = BTreeMap::new();
        for package in packages {
            let mut command = vec!["test", "-p", package, "--no-run"];
            for (_, target) in wanted.iter().filter(|(of, _)| *of == package) {
                match *target {
                    "lib" => command.push("--lib"),
                    target => command.extend(["--test", target]),
                }
            }
            let built = copy.cargo(&command);
            let output = String::from_utf8_lossy(&built.stderr);
            if !built.status.success() {
                return Err(output.into_owned());
            }
            for line in output.lines().filter_map(|line| line.trim_start().strip_prefix("Executable ")) {
                let path = line.rsplit_once('(').map_or(line, |(_, path)| path.trim_end_matches(')'));
                let path = PathBuf::from(path);
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let name = name.rsplit_once('-').map_or(&name[..], |(name, _)| name);
                let name = if line.starts_with("unittests") { "lib" } else { name };
                paths.insert((package, name.to_owned()), path);
            }
        }
        Ok(Programs { copy, paths })
    }

    /// Runs trials, as many at a time as there are processors, and says of each how it ended.
    pub(crate) fn run_all(&self, trials: &[Trial<'_>], right: End) -> Vec<End> {
        let at_once = thread::available_parallelism().map_or(1, usize::from);
        let (next, ends) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
        thread::scope(|scope| {
            for _ in 0..at_once {
                scope.spawn(|| {
                    loop {
                        let nth = next.fetch_add(1, Ordering::Relaxed);
                        let Some(trial) = trials.get(nth) else { break };
                        let end = self.run(trial, nth);
                        // What is green without an edit is not worth a line.
                        if right != End::Green || end != right {
                            println!("{}: {} {}", trial.edit, trial.witness.name(), end.says());
                        }
                        ends.lock().unwrap_or_else(PoisonError::into_inner).insert(nth, end);
                    }
                });
            }
        });
        ends.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
    }

    fn run(&self, Trial { switch, witness, .. }: &Trial<'_>, nth: usize) -> End {
        let Some(program) = self.paths.get(&(witness.package, witness.target.clone())) else {
            return End::Missing;
        };
        let folder = self.copy.package(witness.package);
        let log = self.copy.log(nth);
        let output = File::create(&log).expect("target is writable");
        let mut command = Command::new(folder.join(program));
        command
            .current_dir(folder)
            .args(["--exact", &witness.test])
            .env("RUST_BACKTRACE", "0")
            .stderr(Stdio::null());
        if let Some(edit) = switch {
            command.env(VARIABLE, edit.to_string());
        }
        let child = command.stdout(output).spawn().expect("it was built");
        let succeeded = ended(child);
        let ran = fs::read_to_string(&log).unwrap_or_default().contains("running 1 test");
        let _ = fs::remove_file(log);
        match succeeded {
            None => End::Hang,
            _ if !ran => End::Missing,
            Some(true) => End::Green,
            Some(false) => End::Red,
        }
    }
}

impl End {
    fn says(self) -> &'static str {
        match self {
            End::Green => "DOES NOT NOTICE",
            End::Red => "turns red",
            End::Missing => "IS NOT THERE",
            End::Hang => "DOES NOT END",
        }
    }
}

/// Whether a program succeeds; `None`, and it is killed, if it does not end.
fn ended(mut child: Child) -> Option<bool> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().expect("it is ours") {
            return Some(status.success());
        }
        thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}
