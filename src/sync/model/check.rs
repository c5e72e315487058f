//! `model::check`: one body, every schedule, three wake policies; or one schedule again.

use std::env;
use std::panic;
use std::sync::Arc;

use super::explore::{Search, explore, quietly, retrace};
use super::token::{self, Schedule, Token};
use super::{chances, report, sample, trace};
use crate::sync::failure::{Failure, Policy, ReplayError};

/// True on the model side, where [`check`] explores schedules.
pub const IS_MODEL: bool = super::IS_MODEL;

/// Returns the panic of a thread of this execution from its `join`, as on the real side, where this does
/// nothing. Otherwise a thread's panic ends the model, since mostly it is a failed assertion.
pub fn join_panics() {
    super::threads::join_panics();
}

/// Runs `body` under every schedule within the preemption bound, under each [`Policy`].
///
/// The bound is 2, which found every bug that was planted in this crate; `SELVEDGE_MODEL_BOUND=3` is for slow
/// runs. The environment variables that make loom stop early and succeed (`LOOM_MAX_DURATION`,
/// `LOOM_MAX_PERMUTATIONS`) have no effect. The table in [`sync`](crate::sync#variables) lists the variables
/// that have one.
///
/// With `SELVEDGE_MODEL_REPLAY=token` it runs the one schedule that a failure has printed the token of.
///
/// # Panics
/// If `body` panics, deadlocks or leaks under some schedule, or if there was only one schedule: a model
/// without a race proves nothing. If `SELVEDGE_MODEL_REPLAY` holds the token of another model, or of code
/// that has changed since.
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
    token::begin_call();
    report::begin();
    let body = Arc::new(body);
    if let Some(failure) = replay_asked_for(&body) {
        report::failed(&failure, "replayed the schedule of its token");
        end_with(failure);
    }
    match explore_all(bound, &body) {
        Ok(Explored { first: 1, .. }) => panic!(
            "this model has only one schedule: it must start a thread and race it, through names of `selvedge::sync` \
             (std's locks, atomics and channels are not seen here)"
        ),
        Ok(Explored { executions, .. }) => {
            report::passed(executions, &format!("at most {bound} preemptions"));
        }
        Err(failure) => {
            let failure = shortened(failure, bound, &body);
            let how = format!("failed under {:?}, execution {}", failure.policy, failure.executions);
            report::failed(&failure, &how);
            end_with(failure);
        }
    }
}

/// Panics as the model did.
#[track_caller]
pub(super) fn end_with(failure: Failure) -> ! {
    match failure.first {
        Some(message) => panic!("{message}"),
        None => panic::resume_unwind(failure.payload),
    }
}

/// Runs `body` like [`check`], and returns the first failure instead of panicking. A model of code that is
/// known to be broken shows that the harness can detect the fault.
///
/// # Panics
/// If `SELVEDGE_MODEL_REPLAY` holds the token of another model, or of code that has changed since.
#[track_caller]
pub fn find_failure(body: impl Fn() + Sync + Send + 'static) -> Option<Failure> {
    token::begin_call();
    let body = Arc::new(body);
    replay_asked_for(&body).or_else(|| explore_all(bound(), &body).err())
}

/// Runs the one schedule that a failure had the [token](Failure::token) of, and returns its failure.
///
/// `SELVEDGE_MODEL_REPLAY` does it without a change to the code, and compares the name of the test too.
///
/// # Errors
/// Why there is no such failure: the text is no token, the schedule does other steps than it did when the
/// token was made, or it does the same and does not fail.
#[track_caller]
pub fn replay(token: &str, body: impl Fn() + Sync + Send + 'static) -> Result<Failure, ReplayError> {
    let token = token.parse().map_err(|_| ReplayError::NoToken)?;
    replay_of(&token, &Arc::new(body))
}

fn replay_of(token: &Token, body: &Arc<impl Fn() + Sync + Send + 'static>) -> Result<Failure, ReplayError> {
    let Token { policy, opportunity, steps, schedule, .. } = token;
    let result = match schedule {
        Schedule::Path(path) => {
            // The path says all; nothing is explored.
            let search = Search { policy: *policy, opportunity: *opportunity, bound: 0, limit: None };
            retrace(search, path, body).ok_or(ReplayError::NoToken)?.map(drop)
        }
        Schedule::Plan(plan) => quietly(|| sample::run(*plan, body)),
    };
    if trace::fingerprint(Some(steps.steps)) != *steps {
        return Err(ReplayError::OtherSteps);
    }
    let failure = result.err().ok_or(ReplayError::NoFailure)?;
    Ok(Failure { token: Some(token.to_string()), ..failure })
}

/// The failure that `SELVEDGE_MODEL_REPLAY` asks for; `None` if it asks for nothing, or for another model of
/// this test.
#[track_caller]
pub(super) fn replay_asked_for(body: &Arc<impl Fn() + Sync + Send + 'static>) -> Option<Failure> {
    let text = env::var("SELVEDGE_MODEL_REPLAY").ok()?;
    let refuse = |why| -> ! { panic!("SELVEDGE_MODEL_REPLAY={text} is not replayed: {why}") };
    let Ok(token) = text.parse::<Token>() else { refuse(ReplayError::NoToken) };
    if !token.may_be_of_this_test() {
        refuse(ReplayError::OtherModel);
    }
    if token.call != token::call() {
        return None;
    }
    Some(replay_of(&token, body).unwrap_or_else(|why| refuse(why)))
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
        for opportunity in 0..chances::OPPORTUNITIES {
            let search = Search { policy, opportunity, bound, limit: None };
            let count = explore(search, body)?;
            first.get_or_insert(count);
            executions += count;
            if policy != Policy::Spurious || !chances::had_another() {
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

fn bound() -> usize {
    report::env_or("SELVEDGE_MODEL_BOUND", 2)
}
