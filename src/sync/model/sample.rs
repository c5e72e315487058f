//! `model::sample`: random schedules of models that are too large for all of them.

use std::sync::Arc;

use super::check::{end_with, replay_asked_for};
use super::dice::{Plan, Way};
use super::explore::{self, Search};
use super::token::{self, Schedule, Token};
use super::{engine, report, trace};
use crate::sync::failure::Failure;

/// Runs `body` under that many random schedules, for models that are too large to be checked under every one.
///
/// Any number of threads, and of steps up to `SELVEDGE_MODEL_BRANCHES`, here 100,000. The schedules, wake
/// policies, spurious failures and expired deadlines are drawn from seeds, which are the same in each run; so
/// a model that passes once passes again. `SELVEDGE_MODEL_SEED` is the first seed, 1 by default, and
/// `SELVEDGE_MODEL_SCHEDULES` replaces the number. A failure is shown, shortened and replayed as one of
/// [`check`](super::model::check).
///
/// All accesses to memory are sequentially consistent: a missing ordering is not found here, and data races
/// only as far as two accesses overlap. Readers of an `RwLock` come one at a time. A model
/// that passes says nothing about the schedules that were not drawn.
///
/// # Panics
/// If `body` panics, deadlocks or leaks under one of them, or if no thread is ever started.
#[track_caller]
pub fn sample(schedules: usize, body: impl Fn() + Sync + Send + 'static) {
    token::begin_call();
    report::begin();
    let body = Arc::new(body);
    if let Some(failure) = replay_asked_for(&body) {
        report::failed(&failure, "replayed the schedule of its token");
        end_with(failure);
    }
    match run_all(schedules, &body) {
        Ok(Sampled { switches: 0, .. }) => {
            panic!("this model has only one schedule: it must start a thread through `selvedge::sync`")
        }
        Ok(Sampled { schedules, .. }) => report::passed(schedules, "sampled"),
        Err(failure) => {
            let failure = simpler(failure, engine::last_size(), &body);
            let how = format!("failed under {:?}, schedule {}", failure.policy, failure.executions);
            report::failed(&failure, &how);
            end_with(failure);
        }
    }
}

/// Runs `body` like [`sample`], and returns the first failure instead of panicking.
#[track_caller]
pub fn find_failure_in(schedules: usize, body: impl Fn() + Sync + Send + 'static) -> Option<Failure> {
    token::begin_call();
    let body = Arc::new(body);
    replay_asked_for(&body).or_else(|| run_all(schedules, &body).err())
}

struct Sampled {
    schedules: usize,
    /// The most in a schedule.
    switches: usize,
}

/// Runs one schedule after the other, up to the first that fails.
fn run_all(schedules: usize, body: &Arc<impl Fn() + Sync + Send + 'static>) -> Result<Sampled, Failure> {
    let first = report::env_or("SELVEDGE_MODEL_SEED", 1);
    let schedules = report::env_or("SELVEDGE_MODEL_SCHEDULES", schedules);
    // The switches are spread over as many steps as the longest schedule had. The first has few: it only
    // finds out how many there are.
    let (mut length, mut switches) = (100, 0);
    for number in 0..schedules {
        let plan = Plan::of((first + number) as u64, length);
        let result = run(plan, body);
        let size = engine::last_size();
        if let Err(mut failure) = result {
            failure.executions = number + 1;
            return Err(failure);
        }
        length = length.max(size.steps);
        switches = switches.max(size.switches);
    }
    Ok(Sampled { schedules, switches })
}

/// Runs the schedule of a plan.
pub(super) fn run(plan: Plan, body: &Arc<impl Fn() + Sync + Send + 'static>) -> Result<(), Failure> {
    let (policy, opportunity) = plan.policy();
    explore::run_sampled(Search { policy, opportunity, bound: 0, limit: None }, plan, body).map_err(
        |mut failure| {
            let (call, test, steps) = (token::call(), token::test_hash(), trace::fingerprint(None));
            let schedule = Schedule::Plan(plan);
            failure.token = Some(Token { policy, opportunity, call, test, steps, schedule }.to_string());
            failure
        },
    )
}

/// Schedules among which one with fewer switches is looked for, and failures that end the search.
const SIMPLER: u64 = 1_000;
const ENOUGH: usize = 20;

/// Returns, of the same failures that are found within the budget, the one with the minimum of switches, for
/// a person to read. Few changes of priority mean few switches.
fn simpler(failure: Failure, size: engine::Size, body: &Arc<impl Fn() + Sync + Send + 'static>) -> Failure {
    eprintln!("looking for a failure with fewer than {} switches", size.switches);
    let (mut best, mut minimum, mut found) = (failure, size.switches, 0);
    for number in 0..SIMPLER {
        let plan = Plan { seed: number, length: size.steps, way: Way::Priorities(number as u32 % 3) };
        let Err(other) = explore::quietly(|| run(plan, body)) else { continue };
        let switches = engine::last_size().switches;
        if other.message() == best.message() && switches < minimum {
            let executions = best.executions;
            (best, minimum) = (Failure { executions, ..other }, switches);
        }
        found += 1;
        if found == ENOUGH {
            break;
        }
    }
    best
}
