//! `model::check`: one body, every schedule, three wake policies.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::{env, fs, thread};

use super::trace;
use crate::sync::failure::{Failure, Policy, said};

/// True on the model side, where [`check`] explores schedules.
pub const IS_MODEL: bool = super::IS_MODEL;

/// The number of expired waits in an execution. Without a limit, a loop that polls with a time-out would be
/// explored forever. After it, a timed wait waits for its notification.
const EXPIRIES: u32 = 6;

/// The number of opportunities for a spurious failure that are tried, one in each exploration: the first, and
/// the second if any execution had two.
const OPPORTUNITIES: u32 = 2;

thread_local! {
    /// The policy of the execution on this OS thread. loom runs all threads of a model on the thread that
    /// called `check`.
    static POLICY: Cell<Policy> = const { Cell::new(Policy::OldestFirst) };
    /// The opportunities to skip before the one that is used; `None` once it was used, or if none is.
    static OPPORTUNITIES_LEFT: Cell<Option<u32>> = const { Cell::new(None) };
    /// Whether an execution of this exploration had another opportunity after the one that was used.
    static HAD_ANOTHER: Cell<bool> = const { Cell::new(false) };
    static SKIPS_YIELD: Cell<bool> = const { Cell::new(false) };
    static EXPIRIES_LEFT: Cell<u32> = const { Cell::new(0) };
    /// The message of loom's own panic in this exploration: a deadlock, a race, a leak. It must not be
    /// caught.
    static LOOM_FAILURE: RefCell<Option<String>> = const { RefCell::new(None) };
    /// The schedule of this exploration's failure was printed.
    static SCHEDULE_IS_SHOWN: Cell<bool> = const { Cell::new(false) };
    /// A model runs on this OS thread.
    static IS_RUNNING: Cell<bool> = const { Cell::new(false) };
}

pub(super) fn policy() -> Policy {
    POLICY.get()
}

/// True at one opportunity of an execution under [`Policy::Spurious`].
pub(super) fn takes_spurious() -> bool {
    match (policy(), OPPORTUNITIES_LEFT.get()) {
        (Policy::Spurious, Some(left)) => {
            OPPORTUNITIES_LEFT.set(left.checked_sub(1));
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

/// True while the execution's budget of expired waits lasts.
pub(super) fn takes_expiry() -> bool {
    let left = EXPIRIES_LEFT.get();
    EXPIRIES_LEFT.set(left.saturating_sub(1));
    left > 0
}

/// True if loom has reported a failure in this execution.
pub(super) fn has_loom_failed() -> bool {
    LOOM_FAILURE.with_borrow(Option::is_some)
}

/// Returns the panic of a thread of this execution from its `join`, as on the real side, where this does
/// nothing. Otherwise a thread's panic ends the model, since mostly it is a failed assertion.
pub fn join_panics() {
    super::threads::join_panics();
}

/// Runs `body` under every schedule within the preemption bound, under each [`Policy`].
///
/// The bound is 2, which found every bug that was planted in this crate; `SELVEDGE_MODEL_BOUND=3` is for slow
/// runs. The environment variables that make loom stop early and succeed (`LOOM_MAX_DURATION`,
/// `LOOM_MAX_PERMUTATIONS`) have no effect. With `SELVEDGE_MODEL_LOG=file` each model appends a line to that
/// file: its name, the number of executions, and the milliseconds that they took.
///
/// # Panics
/// If `body` panics, deadlocks or leaks under some schedule, or if there was only one schedule: a model
/// without a race proves nothing.
#[track_caller]
pub fn check(body: impl Fn() + Sync + Send + 'static) {
    check_up_to(bound(), body);
}

/// Like [`check`], with a preemption bound of the model's own: for a model that is too large at the usual
/// one, and whose fault needs no more preemptions than this. A lower `SELVEDGE_MODEL_BOUND` still holds.
///
/// # Panics
/// As [`check`].
#[track_caller]
pub fn check_within(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    check_up_to(preemptions.min(bound()), body);
}

#[track_caller]
fn check_up_to(bound: usize, body: impl Fn() + Sync + Send + 'static) {
    let (started, body) = (std::time::Instant::now(), Arc::new(body));
    match explore_all(bound, &body) {
        Ok(Explored { first: 1, .. }) => panic!(
            "this model has only one schedule: it must start a thread and race it, through names of `selvedge::sync` \
             (std's locks, atomics and channels are not seen here)"
        ),
        Ok(Explored { executions, .. }) => log(executions, started.elapsed().as_millis()),
        Err(failure) => {
            let failure = shortened(failure, bound, &body);
            let Failure { policy, executions, schedule, .. } = &failure;
            eprintln!("\n{schedule}\nmodel {} failed under {policy:?}, execution {executions}", name());
            match failure.first {
                Some(message) => panic!("{message}"),
                None => panic::resume_unwind(failure.payload),
            }
        }
    }
}

/// Runs `body` like [`check`], and returns the first failure instead of panicking. A model of code that is
/// known to be broken shows that the harness can detect the fault.
#[track_caller]
pub fn find_failure(body: impl Fn() + Sync + Send + 'static) -> Option<Failure> {
    explore_all(bound(), &Arc::new(body)).err()
}

/// The number of executions of a model that did not fail, under the first policy and under all. Under the
/// other policies an operation may be over before it races.
struct Explored {
    first: usize,
    executions: usize,
}

/// Explores each policy.
fn explore_all(bound: usize, body: &Arc<impl Fn() + Sync + Send + 'static>) -> Result<Explored, Failure> {
    let (mut first, mut executions) = (None, 0);
    for policy in [Policy::OldestFirst, Policy::NewestFirst, Policy::Spurious] {
        for opportunity in 0..OPPORTUNITIES {
            let search = Search { policy, opportunity, bound, limit: None };
            let count = explore(search, body)?;
            first.get_or_insert(count);
            executions += count;
            if policy != Policy::Spurious || !HAD_ANOTHER.get() {
                break;
            }
        }
    }
    Ok(Explored { first: first.unwrap_or(0), executions })
}

/// Executions that the search for a shorter failure may take for each bound.
const SHORTER: usize = 20_000;

/// A failure of the same model with fewer preemptions, if there is one within the budget: a person reads it.
fn shortened(failure: Failure, bound: usize, body: &Arc<impl Fn() + Sync + Send + 'static>) -> Failure {
    let (policy, opportunity) = (failure.policy, failure.opportunity);
    let shorter = (0..bound).find_map(|bound| {
        eprintln!("looking for a shorter failure, with at most {bound} preemptions");
        explore(Search { policy, opportunity, bound, limit: Some(SHORTER) }, body).err()
    });
    shorter.unwrap_or(failure)
}

/// What is explored at once.
struct Search {
    policy: Policy,
    opportunity: u32,
    /// Preemptions in an execution.
    bound: usize,
    /// Executions; all by default.
    limit: Option<usize>,
}

fn bound() -> usize {
    env_or("SELVEDGE_MODEL_BOUND", 2)
}

/// Explores one policy, and returns the number of executions.
fn explore(search: Search, body: &Arc<impl Fn() + Sync + Send + 'static>) -> Result<usize, Failure> {
    let Search { policy, opportunity, bound, limit } = search;
    record_loom_failures();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(bound);
    builder.max_branches = env_or("SELVEDGE_MODEL_BRANCHES", 10_000);
    builder.max_duration = None;
    builder.max_permutations = limit;
    let executions = Arc::new(AtomicUsize::new(0));
    HAD_ANOTHER.set(false);
    LOOM_FAILURE.take();
    SCHEDULE_IS_SHOWN.set(false);
    IS_RUNNING.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe({
        let body = Arc::clone(body);
        let executions = Arc::clone(&executions);
        move || {
            builder.check(move || {
                // The previous execution may have ended normally although loom reported a failure, if that
                // panic was caught.
                assert!(!has_loom_failed(), "a model caught a failure that loom reported");
                executions.fetch_add(1, Ordering::Relaxed);
                restart(policy, opportunity);
                body();
            });
            assert!(!has_loom_failed(), "a model caught a failure that loom reported");
        }
    }));
    IS_RUNNING.set(false);
    let (executions, first) = (executions.load(Ordering::Relaxed), LOOM_FAILURE.take());
    result.map(|()| executions).map_err(|payload| Failure {
        policy,
        executions,
        first,
        payload,
        schedule: trace::table(),
        opportunity,
    })
}

/// Begins an execution.
fn restart(policy: Policy, opportunity: u32) {
    POLICY.set(policy);
    OPPORTUNITIES_LEFT.set((policy == Policy::Spurious).then_some(opportunity));
    SKIPS_YIELD.set(policy == Policy::Spurious);
    EXPIRIES_LEFT.set(EXPIRIES);
    trace::restart();
    super::time::restart();
    super::threads::restart();
}

/// Records a panic of loom's own, even if the code catches it: a pool catches the panic of a task, and loom
/// reports a race in a task as a panic of that task.
fn record_loom_failures() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let is_looms =
                info.location().is_some_and(|at| at.file().replace('\\', "/").contains("/src/rt/"));
            // Not a failure: after a model has failed, what its threads hold is dropped outside of it.
            let is_over = said(info.payload()).contains("from outside a Loom model");
            if IS_RUNNING.get() && !is_over {
                trace::panicked(said(info.payload()), info.location());
            }
            if IS_RUNNING.get() && is_over && !SCHEDULE_IS_SHOWN.replace(true) {
                // The model has failed, and its teardown may abort the process before `check` could say so.
                eprintln!("\n{}\nmodel {} failed under {:?}", trace::table(), name(), policy());
            }
            if IS_RUNNING.get() && is_looms && !is_over {
                LOOM_FAILURE.with_borrow_mut(|first| {
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

/// The name of the test that runs, which is that of its thread.
fn name() -> String {
    thread::current().name().unwrap_or("unnamed").to_owned()
}

fn log(executions: usize, millis: u128) {
    let name = name();
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
