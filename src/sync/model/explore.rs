//! One exploration on loom, and one execution of it again.

use std::cell::{Cell, RefCell};
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};

use super::dice::Plan;
use super::path::{self, Checkpoint};
use super::token::{self, Schedule, Token};
use super::{chances, engine, report, trace};
use crate::sync::failure::{Failure, Policy, said};

/// Executions after which loom writes where it is, so that the path of a failure is found by running at most
/// as many again. A file takes a millisecond, and as many executions a hundred.
const CHECKPOINT: usize = 1_000;

// Of the OS thread: loom runs all threads of a model on the one that called `check`.
std::thread_local! {
    /// The message of loom's own panic in this exploration: a deadlock, a race, a leak. It must not be
    /// caught.
    static LOOM_FAILURE: RefCell<Option<String>> = const { RefCell::new(None) };
    /// The schedule of this exploration's failure was printed.
    static SCHEDULE_IS_SHOWN: Cell<bool> = const { Cell::new(false) };
    /// A model runs on this OS thread.
    static IS_RUNNING: Cell<bool> = const { Cell::new(false) };
    /// Nothing is printed: of a replay, before it is known to be the one that was meant; of the search for a
    /// simpler failure, before it is known which is.
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// True if loom has reported a failure in this execution.
pub(super) fn has_loom_failed() -> bool {
    LOOM_FAILURE.with_borrow(Option::is_some)
}

/// What is explored at once.
#[derive(Clone, Copy)]
pub(super) struct Search {
    pub(super) policy: Policy,
    pub(super) opportunity: u32,
    /// Preemptions in an execution.
    pub(super) bound: usize,
    /// Executions; all by default.
    pub(super) limit: Option<usize>,
}

/// Explores one policy, and returns the number of executions.
pub(super) fn explore(
    search: Search,
    body: &Arc<impl Fn() + Sync + Send + 'static>,
) -> Result<usize, Failure> {
    let file = Checkpoint::new();
    chances::forget_opportunities();
    run(search, CHECKPOINT, &file, body).map_err(|mut failure| {
        // First, since what follows runs other executions.
        let steps = trace::fingerprint(None);
        let path = path_of(failure.executions, search, &file, body);
        failure.token = path.map(|path| {
            let Search { policy, opportunity, .. } = search;
            let (call, test, schedule) = (token::call(), token::test_hash(), Schedule::Path(path));
            Token { policy, opportunity, call, test, steps, schedule }.to_string()
        });
        failure
    })
}

/// The path of an execution of a search, whose number is known. loom writes it down before it runs it: so
/// this goes on from the last checkpoint before it, up to there and no further. `None` if the file cannot be
/// written or read.
fn path_of(
    execution: usize,
    search: Search,
    file: &Checkpoint,
    body: &Arc<impl Fn() + Sync + Send + 'static>,
) -> Option<String> {
    // A checkpoint holds the path of the execution with its number, which is the first when loom goes on.
    let stored = execution / CHECKPOINT * CHECKPOINT;
    let number = execution - stored.max(1) + 1;
    if stored == 0 || number > 1 {
        run(Search { limit: Some(number), ..search }, number, file, body).ok()?;
    }
    path::encode(&fs::read_to_string(file.path()).ok()?)
}

/// Runs the one execution with that path. `None` if it is no path.
pub(super) fn retrace(
    search: Search,
    path: &str,
    body: &Arc<impl Fn() + Sync + Send + 'static>,
) -> Option<Result<usize, Failure>> {
    let file = Checkpoint::new();
    fs::write(file.path(), path::decode(path)?).ok()?;
    Some(quietly(|| run(search, usize::MAX, &file, body)))
}

/// Runs executions whose panics are not printed.
pub(super) fn quietly<R>(run: impl FnOnce() -> R) -> R {
    IS_QUIET.set(true);
    let result = run();
    IS_QUIET.set(false);
    result
}

/// Runs one sampled execution.
pub(super) fn run_sampled(
    search: Search,
    plan: Plan,
    body: &Arc<impl Fn() + Sync + Send + 'static>,
) -> Result<(), Failure> {
    let steps = report::env_or("SELVEDGE_MODEL_BRANCHES", 100_000);
    // loom counts its own operations, of which each step has a few.
    let mut builder = builder(search, 8 * steps);
    builder.checkpoint_file = None;
    let body = Arc::clone(body);
    let run = move || {
        let body = Arc::clone(&body);
        engine::run(plan, steps, Box::new(move || body()));
    };
    run_on(&builder, search, Arc::new(run)).map(drop)
}

/// Runs executions, from the path in the file if there is one, and writes the next path to it at every
/// `interval`th.
fn run(
    search: Search,
    interval: usize,
    file: &Checkpoint,
    body: &Arc<impl Fn() + Sync + Send + 'static>,
) -> Result<usize, Failure> {
    let mut builder = builder(search, report::env_or("SELVEDGE_MODEL_BRANCHES", 10_000));
    builder.checkpoint_interval = interval;
    builder.checkpoint_file = Some(file.path().to_owned());
    run_on(&builder, search, Arc::clone(body))
}

fn builder(search: Search, branches: usize) -> loom::model::Builder {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(search.bound);
    builder.max_branches = branches;
    // loom's own variables would end a run early, and green.
    builder.max_duration = None;
    builder.max_permutations = search.limit;
    builder
}

/// Runs executions until loom knows of no more, and returns their number.
fn run_on(
    builder: &loom::model::Builder,
    search: Search,
    body: Arc<impl Fn() + Sync + Send + 'static>,
) -> Result<usize, Failure> {
    let Search { policy, opportunity, .. } = search;
    record_loom_failures();
    let executions = Arc::new(AtomicUsize::new(0));
    LOOM_FAILURE.take();
    SCHEDULE_IS_SHOWN.set(false);
    IS_RUNNING.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe({
        let executions = Arc::clone(&executions);
        move || {
            builder.check(move || {
                // The previous execution may have ended normally although loom reported a failure, if that
                // panic was caught.
                assert!(!has_loom_failed(), "a model caught a failure that loom reported");
                executions.fetch_add(1, Ordering::Relaxed);
                report::count(trace::steps());
                restart(policy, opportunity);
                body();
            });
            assert!(!has_loom_failed(), "a model caught a failure that loom reported");
        }
    }));
    IS_RUNNING.set(false);
    let (executions, first) = (executions.load(Ordering::Relaxed), LOOM_FAILURE.take());
    result.map(|()| executions).map_err(|payload| {
        let record = Box::new(trace::record());
        let schedule = record.table(report::rows());
        Failure { policy, executions, first, payload, schedule, record, token: None, opportunity }
    })
}

/// Begins an execution.
fn restart(policy: Policy, opportunity: u32) {
    chances::restart(policy, opportunity);
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
            if IS_RUNNING.get() && is_over && !SCHEDULE_IS_SHOWN.replace(true) && !IS_QUIET.get() {
                // The model has failed, and its teardown may abort the process before `check` could say so.
                let (name, policy) = (token::name(), chances::policy());
                let table = trace::record().table(report::rows());
                eprintln!("\n{table}\nmodel {name} failed under {policy:?}");
            }
            if IS_RUNNING.get() && is_looms && !is_over {
                LOOM_FAILURE.with_borrow_mut(|first| {
                    first.get_or_insert_with(|| said(info.payload()).to_owned());
                });
            }
            if !IS_QUIET.get() {
                before(info);
            }
        }));
    });
}
