//! What a failing model prints so that its schedule can be run again.
//!
//! `x-o0-1-53c1e07a-12-9bd0a1f3-a14b3`: the engine (`x`, or `r` for a sampled execution), the policy and
//! the opportunity, the number of the call in its test, a hash of the test's name, the number of steps and
//! a hash of them, and the path or seed. The hash of the steps leaves out the lines of code, so that a line
//! may be added to print something. All characters pass through a shell unquoted.

use std::cell::Cell;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::{env, thread};

use super::dice::Plan;
use crate::sync::failure::Policy;

std::thread_local! {
    /// The models that this OS thread has begun to run. A test has a thread of its own.
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

/// A schedule, and what is known of the model it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) policy: Policy,
    pub(super) opportunity: u32,
    /// Which call of its test: a test may check several models.
    pub(super) call: u32,
    /// A hash of the test's name; 0 if it is not known.
    pub(super) test: u32,
    pub(super) steps: Fingerprint,
    pub(super) schedule: Schedule,
}

/// The number of steps up to the failure, and a hash of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    pub(super) steps: usize,
    pub(super) hash: u32,
}

/// How the schedule is found again.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Schedule {
    /// The choices on a path of loom's.
    Path(String),
    /// The seed of a sampled execution.
    Plan(Plan),
}

/// A model begins to run.
pub(super) fn begin_call() {
    CALLS.set(CALLS.get() + 1);
}

/// The number of the model that runs among those of its test.
pub(super) fn call() -> u32 {
    CALLS.get()
}

/// The name of the test that runs, which is that of its thread.
pub(super) fn name() -> String {
    thread::current().name().unwrap_or("unnamed").to_owned()
}

/// A hash of the test's name; 0 where the test harness runs it on the main thread, so that the name is not
/// known.
pub(super) fn test_hash() -> u32 {
    match thread::current().name() {
        None | Some("main") => 0,
        Some(name) => hash(name.bytes()).max(1),
    }
}

/// FNV-1a: the same for every run, platform and toolchain.
pub(super) fn hash(bytes: impl IntoIterator<Item = u8>) -> u32 {
    bytes.into_iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

impl Token {
    /// True unless it is known that the token is another test's.
    pub(super) fn may_be_of_this_test(&self) -> bool {
        let test = test_hash();
        self.test == test || self.test == 0 || test == 0
    }
}

/// The line to run, as far as cargo tells this process what that is.
pub(super) fn command(token: &str) -> String {
    let flags = env::var("RUSTFLAGS").map(|flags| format!("RUSTFLAGS={flags:?} ")).unwrap_or_default();
    let package = env::var("CARGO_PKG_NAME").ok();
    let program = env::current_exe().ok();
    let target = program.as_deref().and_then(|program| target(program, package.as_deref()?));
    let package = package.map(|package| format!(" -p {package}")).unwrap_or_default();
    let test = match test_hash() {
        0 => String::new(),
        _ => format!(" {} -- --exact", name()),
    };
    format!("{flags}SELVEDGE_MODEL_REPLAY={token} cargo test{package}{}{test}", target.unwrap_or_default())
}

/// The name of this program as cargo knows it, if cargo has built it as a test.
pub(super) fn program() -> Option<String> {
    let program = env::current_exe().ok()?;
    let (name, _) = program.file_stem()?.to_str()?.rsplit_once('-')?;
    Some(name.to_owned())
}

/// ` --test name` for a program of that name among those that cargo builds.
fn target(program: &Path, package: &str) -> Option<String> {
    if program.parent()?.file_name()? != "deps" {
        return None;
    }
    let (name, _) = program.file_stem()?.to_str()?.rsplit_once('-')?;
    Some(match name == package.replace('-', "_") {
        true => " --lib".to_owned(),
        false => format!(" --test {name}"),
    })
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = match self.policy {
            Policy::OldestFirst => 'o',
            Policy::NewestFirst => 'n',
            Policy::Spurious => 's',
        };
        let Token { opportunity, call, test, steps: Fingerprint { steps, hash }, schedule, .. } = self;
        let (engine, schedule) = match schedule {
            Schedule::Path(path) => ('x', path.clone()),
            Schedule::Plan(plan) => ('r', plan.to_string()),
        };
        write!(f, "{engine}-{policy}{opportunity}-{call}-{test:x}-{steps}-{hash:x}-{schedule}")
    }
}

/// The text is no token.
#[derive(Debug)]
pub(super) struct Malformed;

impl FromStr for Token {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let parts: Vec<&str> = text.trim().split('-').collect();
        let &[engine, policy, call, test, steps, hash, schedule] = &parts[..] else { return Err(Malformed) };
        let schedule = match engine {
            "x" => Schedule::Path(schedule.to_owned()),
            "r" => Schedule::Plan(schedule.parse().map_err(|_| Malformed)?),
            _ => return Err(Malformed),
        };
        let mut letters = policy.chars();
        let policy = match letters.next() {
            Some('o') => Policy::OldestFirst,
            Some('n') => Policy::NewestFirst,
            Some('s') => Policy::Spurious,
            _ => return Err(Malformed),
        };
        let hex = |text| u32::from_str_radix(text, 16).map_err(|_| Malformed);
        Ok(Token {
            policy,
            opportunity: letters.as_str().parse().map_err(|_| Malformed)?,
            call: call.parse().map_err(|_| Malformed)?,
            test: hex(test)?,
            steps: Fingerprint { steps: steps.parse().map_err(|_| Malformed)?, hash: hex(hash)? },
            schedule,
        })
    }
}
