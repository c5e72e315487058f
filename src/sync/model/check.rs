//! `model::check`: one body, every schedule, three wake policies.

use std::any::Any;
use std::cell::Cell;
use std::io::Write;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fmt, fs, thread};

/// True on the model side, where [`check`] explores schedules.
pub const IS_MODEL: bool = super::IS_MODEL;

/// Whom a `notify_one` wakes, and whether a wake may come that nobody asked for.
///
/// A condvar promises none of the three, so code must be right under each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The waiter that has waited longest.
    OldestFirst,
    /// The waiter that came last.
    NewestFirst,
    /// The oldest; and one thing per execution fails or returns although nothing happened: a wait on a
    /// condvar, a `try_lock` or a `compare_exchange_weak`.
    Spurious,
}

const POLICIES: [Policy; 3] = [Policy::OldestFirst, Policy::NewestFirst, Policy::Spurious];

/// Expired waits that one execution may have. A loop that polls with a time-out would otherwise be
/// explored for ever; past the budget a timed wait waits for its notification.
const EXPIRIES: u32 = 6;

thread_local! {
    /// How the execution that runs on this OS thread behaves. loom's threads all run on the one that
    /// called `check`.
    static POLICY: Cell<Policy> = const { Cell::new(Policy::OldestFirst) };
    static SPURIOUS_LEFT: Cell<bool> = const { Cell::new(false) };
    static EXPIRIES_LEFT: Cell<u32> = const { Cell::new(0) };
}

pub(super) fn policy() -> Policy {
    POLICY.get()
}

/// True once per execution under [`Policy::Spurious`].
pub(super) fn takes_spurious() -> bool {
    SPURIOUS_LEFT.replace(false)
}

/// True while the execution's budget of expiries lasts.
pub(super) fn takes_expiry() -> bool {
    let left = EXPIRIES_LEFT.get();
    EXPIRIES_LEFT.set(left.saturating_sub(1));
    left > 0
}

/// A schedule under which a model's body panicked, deadlocked or leaked.
pub struct Failure {
    /// The wake policy in force.
    pub policy: Policy,
    /// How many executions it took to find.
    pub executions: usize,
    payload: Box<dyn Any + Send>,
}

impl Failure {
    /// What the panic said.
    pub fn message(&self) -> &str {
        let payload = &*self.payload;
        payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("a panic without a message")
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure")
            .field("policy", &self.policy)
            .field("executions", &self.executions)
            .field("message", &self.message())
            .finish()
    }
}

/// Runs `body` under every schedule within the preemption bound, under each [`Policy`].
///
/// The bound is 2, which found every bug that was planted in this crate; `SELVEDGE_MODEL_BOUND=3` is for
/// the slow job. Environment variables that would end a run early and green (`LOOM_MAX_DURATION`,
/// `LOOM_MAX_PERMUTATIONS`) have no effect here. With `SELVEDGE_MODEL_LOG=file` each model appends a line
/// to that file: its name, the number of executions, and the milliseconds they took.
///
/// # Panics
/// If `body` panics, deadlocks or leaks under some schedule; or if there was only one schedule, because a
/// model that never races proves nothing.
#[track_caller]
pub fn check(body: impl Fn() + Sync + Send + 'static) {
    let body = Arc::new(body);
    let started = std::time::Instant::now();
    let mut executions = 0;
    for policy in POLICIES {
        match explore(policy, Arc::clone(&body)) {
            Ok(1) => panic!("this model has only one schedule: it must start a thread and race it"),
            Ok(count) => executions += count,
            Err(failure) => {
                eprintln!("model failed under {policy:?}, execution {}", failure.executions);
                panic::resume_unwind(failure.payload);
            }
        }
    }
    log(executions, started.elapsed().as_millis());
}

/// Runs `body` like [`check`], and returns the first failure instead of passing it on: for a model of code
/// that is known to be broken, which shows that the harness can see the breakage.
pub fn find_failure(body: impl Fn() + Sync + Send + 'static) -> Option<Failure> {
    let body = Arc::new(body);
    POLICIES.into_iter().find_map(|policy| explore(policy, Arc::clone(&body)).err())
}

/// Explores one policy; returns the number of executions.
fn explore(policy: Policy, body: Arc<impl Fn() + Sync + Send + 'static>) -> Result<usize, Failure> {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(env_or("SELVEDGE_MODEL_BOUND", 2));
    builder.max_branches = env_or("SELVEDGE_MODEL_BRANCHES", 10_000);
    builder.max_duration = None;
    builder.max_permutations = None;
    let executions = Arc::new(AtomicUsize::new(0));
    let result = panic::catch_unwind(AssertUnwindSafe({
        let executions = Arc::clone(&executions);
        move || {
            builder.check(move || {
                executions.fetch_add(1, Ordering::Relaxed);
                POLICY.set(policy);
                SPURIOUS_LEFT.set(policy == Policy::Spurious);
                EXPIRIES_LEFT.set(EXPIRIES);
                super::time::restart();
                super::thread::restart();
                body();
            })
        }
    }));
    let executions = executions.load(Ordering::Relaxed);
    result.map(|()| executions).map_err(|payload| Failure { policy, executions, payload })
}

fn env_or(name: &str, default: usize) -> usize {
    match env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")),
        Err(_) => default,
    }
}

fn log(executions: usize, millis: u128) {
    let current = thread::current();
    let name = current.name().unwrap_or("unnamed");
    println!("model {name}: {executions} executions in {millis} ms");
    let Ok(path) = env::var("SELVEDGE_MODEL_LOG") else { return };
    let line = format!("{name} {executions} {millis}\n");
    fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .unwrap_or_else(|error| panic!("SELVEDGE_MODEL_LOG={path} cannot be written: {error}"));
}
