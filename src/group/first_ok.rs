//! The first success of several tasks.

use std::error::Error;
use std::fmt;

use super::scope;
use crate::cancel::CancelToken;
use crate::panics;
use crate::sync::Mutex;

/// Runs all `tasks` at once and returns the first success. The others are cancelled and joined.
///
/// This is for answers that several sources can give: mirrors, replicas, resolvers, algorithms. Each task
/// gets a token, a child of `token` that is cancelled by the first success. When the call returns, every
/// task has ended, so tasks may borrow from the stack.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use selvedge::{CancelToken, group};
///
/// fn fetch(mirror: &str, stop: &CancelToken) -> Result<String, String> {
///     match mirror {
///         "dead" => Err(format!("{mirror} does not answer")),
///         "slow" => match stop.sleep(Duration::from_secs(3600)) {
///             Ok(()) => Ok("late".into()),
///             Err(_) => Err("stopped".into()),
///         },
///         _ => Ok(format!("a page of {mirror}")),
///     }
/// }
///
/// let mirrors = ["dead", "slow", "quick"];
/// let tasks = mirrors.map(|mirror| move |stop: &CancelToken| fetch(mirror, stop));
/// let page = group::first_ok(&CancelToken::new(), tasks)?;
/// assert_eq!(page, "a page of quick"); // and nobody sleeps any more
/// # Ok::<(), group::AllFailed<String>>(())
/// ```
///
/// Within a time, and with all errors:
/// ```
/// use std::time::Duration;
/// use selvedge::{CancelToken, group};
///
/// let stop = CancelToken::new();
/// let tasks = [3, 5].map(|n| move |stop: &CancelToken| {
///     stop.sleep(Duration::from_secs(3600)).map_err(|_| format!("{n} was stopped"))
/// });
/// let failed = group::first_ok(&stop.child_until(Duration::from_millis(20)), tasks).unwrap_err();
/// assert_eq!(failed.errors.len() + failed.unstarted, 2);
/// ```
///
/// # Errors
/// [`AllFailed`] if no task has succeeded, with the errors of all, in the order of the tasks. Tasks that had
/// not started when `token` was cancelled never start, and have no error. Without any task, the call fails
/// with no error at once.
///
/// # Blocking
/// Blocks until every task has ended; so it takes as long as the slowest task takes to notice its token. The
/// last task wakes it. The calling thread runs tasks too. Every task gets a thread, so tasks may wait for
/// each other.
///
/// # Cancellation
/// Cancelling `token` asks all tasks to stop. One that succeeds nevertheless is a success.
///
/// # Panics
/// Panics with the payload of the first task that panicked, or of the iterator, when all tasks have ended. A
/// panic cancels the other tasks. It is passed on also if another task has succeeded: it is a bug, and must
/// not depend on who was faster. The drop of a value or an error that nobody receives may panic; that is
/// contained.
///
/// # Ordering
/// What a thread did before the call is visible to the tasks. What the tasks did is visible after it.
///
/// # Proof
/// Models in `loom-tests/tests/group.rs`: `the_first_success_wins_and_ends_the_others`,
/// `the_errors_of_a_race_are_in_the_order_of_its_tasks`.
///
/// # Cost
/// A [`scope`](scope()) and a lock a task.
///
/// # Instead
/// Use [`scope`](scope()) if all must succeed, [`select!`](crate::select!) to wait for tasks that run anyway.
#[track_caller]
pub fn first_ok<F, T, E>(token: &CancelToken, tasks: impl IntoIterator<Item = F>) -> Result<T, AllFailed<E>>
where
    F: FnOnce(&CancelToken) -> Result<T, E> + Send,
    T: Send,
    E: Send,
{
    let race = Mutex::new(Race { winner: None, errors: Vec::new() });
    let mut spawned = 0;
    // Caught: what the tasks have left in `race` is dropped before the panic goes on.
    let ended = panics::catch(|| {
        scope(token, |g| {
            for (number, task) in tasks.into_iter().enumerate() {
                spawned += 1;
                let race = &race;
                g.spawn(move |stop| match task(stop) {
                    Ok(value) => {
                        let late = race.lock().win(value);
                        // The others stop. Their results count for nothing from now on.
                        g.cancel();
                        // Contained: this thread may be a helper's, and the race is decided.
                        panics::discard(late);
                    }
                    Err(error) => race.lock().errors.push((number, error)),
                });
            }
        })
    });
    // The scope has ended, so no task has a reference.
    let Race { winner, mut errors } = race.into_inner();
    match (ended, winner) {
        (Err(payload), winner) => {
            panics::discard(winner);
            panics::discard_each(errors);
            panics::resume(payload)
        }
        (Ok(_), Some(value)) => {
            panics::discard_each(errors);
            Ok(value)
        }
        // The scope's own error, a cancel, is told by the tasks that have not started.
        (Ok(_), None) => {
            errors.sort_unstable_by_key(|(number, _)| *number);
            let unstarted = spawned - errors.len();
            Err(AllFailed { errors: errors.into_iter().map(|(_, error)| error).collect(), unstarted })
        }
    }
}

/// What the tasks have brought so far.
struct Race<T, E> {
    winner: Option<T>,
    /// With the numbers of the tasks, in the order in which they failed.
    errors: Vec<(usize, E)>,
}

impl<T, E> Race<T, E> {
    /// Keeps the first success, and returns a later one.
    fn win(&mut self, value: T) -> Option<T> {
        match self.winner {
            None => {
                self.winner = Some(value);
                None
            }
            Some(_) => Some(value),
        }
    }
}

/// Why [`first_ok`] has no value: no task has succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct AllFailed<E> {
    /// The errors of the tasks that ran, in the order of the tasks.
    pub errors: Vec<E>,
    /// The number of tasks that never started, because the token was cancelled.
    pub unstarted: usize,
}

impl<E: fmt::Display> fmt::Display for AllFailed<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.errors.len(), self.unstarted) {
            (0, 0) => return f.write_str("there was no task that could succeed"),
            (_, 0) => f.write_str("every task failed")?,
            (_, unstarted) => write!(f, "cancelled before {unstarted} of the tasks had started")?,
        }
        let mut before = ": ";
        for error in &self.errors {
            write!(f, "{before}{error}")?;
            before = "; ";
        }
        Ok(())
    }
}

/// For every `Debug + Display` type, as for [`Error`](super::Error).
impl<E: fmt::Debug + fmt::Display> Error for AllFailed<E> {}
