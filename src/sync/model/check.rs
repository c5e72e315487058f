//! `model::check`: one body, every schedule, three wake policies.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::{env, fs, thread};

use crate::sync::failure::{Failure, Policy, said};

/// True on the model side, where [`check`] explores schedules.
pub const IS_MODEL: bool = super::IS_MODEL;

/// Expired waits that one execution may have. A loop that polls with a time-out would otherwise be
/// explored for ever; past the budget a timed wait waits for its notification.
const EXPIRIES: u32 = 6;

/// How many of an execution's chances for something without cause are tried, one in each exploration: the
/// first, and the second if some execution had two.
const CHANCES: u32 = 2;

thread_local! {
    /// How the execution that runs on this OS thread behaves. loom's threads all run on the one that
    /// called `check`.
    static POLICY: Cell<Policy> = const { Cell::new(Policy::OldestFirst) };
    /// Chances to let pass before the one that is taken; `None` when it has been, or if none is.
    static CHANCES_LEFT: Cell<Option<u32>> = const { Cell::new(None) };
    /// Whether an execution of this exploration had a chance after the one that was taken.
    static HAD_ANOTHER: Cell<bool> = const { Cell::new(false) };
    static SKIPS_YIELD: Cell<bool> = const { Cell::new(false) };
    static EXPIRIES_LEFT: Cell<u32> = const { Cell::new(0) };
    /// What loom itself panicked with in this exploration: a deadlock, a race, a leak. Nothing may catch
    /// that.
    static GIVEN_UP: RefCell<Option<String>> = const { RefCell::new(None) };
    /// A model runs on this OS thread.
    static RUNS: Cell<bool> = const { Cell::new(false) };
}

pub(super) fn policy() -> Policy {
    POLICY.get()
}

/// True at one point of an execution under [`Policy::Spurious`].
pub(super) fn takes_spurious() -> bool {
    match (policy(), CHANCES_LEFT.get()) {
        (Policy::Spurious, Some(left)) => {
            CHANCES_LEFT.set(left.checked_sub(1));
            left == 0
        }
        (Policy::Spurious, None) => {
            HAD_ANOTHER.set(true);
            false
        }
        _ => false,
    }
}

/// True once per execution under [`Policy::Spurious`].
pub(super) fn skips_yield() -> bool {
    SKIPS_YIELD.replace(false)
}

/// True while the execution's budget of expiries lasts.
pub(super) fn takes_expiry() -> bool {
    let left = EXPIRIES_LEFT.get();
    EXPIRIES_LEFT.set(left.saturating_sub(1));
    left > 0
}

/// True if loom has reported something in this execution, which nothing may catch.
pub(super) fn is_given_up() -> bool {
    GIVEN_UP.with_borrow(Option::is_some)
}

/// Lets the panic of a thread of this execution go to whoever joins it, as on the real side, where this does
/// nothing. Without it a thread's panic ends the model: mostly it is an assertion that failed.
pub fn join_panics() {
    super::threads::join_panics();
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
    let started = std::time::Instant::now();
    match explore_all(body) {
        Ok(Explored { first: 1, .. }) => panic!(
            "this model has only one schedule: it must start a thread and race it, through names of `selvedge::sync` \
             (std's locks, atomics and channels are not seen here)"
        ),
        Ok(Explored { executions, .. }) => log(executions, started.elapsed().as_millis()),
        Err(failure) => {
            eprintln!("model failed under {:?}, execution {}", failure.policy, failure.executions);
            match failure.first {
                Some(message) => panic!("{message}"),
                None => panic::resume_unwind(failure.payload),
            }
        }
    }
}

/// Runs `body` like [`check`], and returns the first failure instead of passing it on: for a model of code
/// that is known to be broken, which shows that the harness can see the breakage.
#[track_caller]
pub fn find_failure(body: impl Fn() + Sync + Send + 'static) -> Option<Failure> {
    explore_all(body).err()
}

/// Executions of a model that did not fail: under the first policy, and under all. Under another policy than
/// the first a wait or a try may be over before it races.
struct Explored {
    first: usize,
    executions: usize,
}

/// Explores one policy after the other.
fn explore_all(body: impl Fn() + Sync + Send + 'static) -> Result<Explored, Failure> {
    let body = Arc::new(body);
    let (mut first, mut executions) = (None, 0);
    for policy in [Policy::OldestFirst, Policy::NewestFirst, Policy::Spurious] {
        for chance in 0..CHANCES {
            let count = explore(policy, chance, Arc::clone(&body))?;
            first.get_or_insert(count);
            executions += count;
            if policy != Policy::Spurious || !HAD_ANOTHER.get() {
                break;
            }
        }
    }
    Ok(Explored { first: first.unwrap_or(0), executions })
}

/// Explores one policy; returns the number of executions.
fn explore(
    policy: Policy,
    chance: u32,
    body: Arc<impl Fn() + Sync + Send + 'static>,
) -> Result<usize, Failure> {
    hear_loom();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(env_or("SELVEDGE_MODEL_BOUND", 2));
    builder.max_branches = env_or("SELVEDGE_MODEL_BRANCHES", 10_000);
    builder.max_duration = None;
    builder.max_permutations = None;
    let executions = Arc::new(AtomicUsize::new(0));
    HAD_ANOTHER.set(false);
    GIVEN_UP.take();
    RUNS.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe({
        let executions = Arc::clone(&executions);
        move || {
            builder.check(move || {
                // The execution before may have ended well although loom had something to say, if that was
                // caught.
                assert!(!is_given_up(), "a model caught what loom said");
                executions.fetch_add(1, Ordering::Relaxed);
                restart(policy, chance);
                body();
            });
            assert!(!is_given_up(), "a model caught what loom said");
        }
    }));
    RUNS.set(false);
    let (executions, first) = (executions.load(Ordering::Relaxed), GIVEN_UP.take());
    result.map(|()| executions).map_err(|payload| Failure { policy, executions, first, payload })
}

/// Begins an execution.
fn restart(policy: Policy, chance: u32) {
    POLICY.set(policy);
    CHANCES_LEFT.set((policy == Policy::Spurious).then_some(chance));
    SKIPS_YIELD.set(policy == Policy::Spurious);
    EXPIRIES_LEFT.set(EXPIRIES);
    super::time::restart();
    super::threads::restart();
}

/// Sees to it that a panic of loom's own is noted, whoever may catch it: a task's panic is caught by its
/// pool, and a race that loom finds in a task is a panic of that task.
fn hear_loom() {
    static HEARS: Once = Once::new();
    HEARS.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let is_looms =
                info.location().is_some_and(|at| at.file().replace('\\', "/").contains("/src/rt/"));
            // Not a finding: what the threads of a model that has failed held is dropped when it is over.
            let is_over = said(info.payload()).contains("from outside a Loom model");
            if RUNS.get() && is_looms && !is_over {
                GIVEN_UP.with_borrow_mut(|first| {
                    first.get_or_insert_with(|| said(info.payload()).to_owned());
                });
            }
            before(info);
        }));
    });
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
