//! Structured concurrency: tasks that belong together. The first error or panic stops the rest, and all have
//! ended when the call returns.
//!
//! [`scope`] is for tasks that borrow and end where they were spawned, [`Group`] for tasks that outlive the
//! call. Both run on [threads](threads()) that are started when they are needed and reused. Beyond spawning
//! and waiting they offer
//!
//! | you want | call |
//! |---|---|
//! | results, in the order of spawning | [`Scope::submit`], and join the [`Handle`]s in that order |
//! | at most n tasks at once | [`Scope::limit`], [`Scope::try_spawn`] |
//! | to wake tasks that wait without the token | [`Scope::on_stop`] |
//! | all errors, with no task stopped by one | [`Scope::keep_going`], [`Scope::take_errors`] |
//! | to know which tasks still run | [`Scope::spawn_named`], [`Scope::wait_until`] |
//! | the first success, and the other tasks stopped | [`first_ok`] |
//! | tasks that spawn tasks | the [`Scope`] that they borrow, or a [`Spawner`] |
//!
//! A child of `fork` that does not `exec` has none of these threads: a program that forks like that does so
//! before it opens its first scope. See the [guide](crate::guide::signals).

#[forbid(unsafe_code)]
mod core;
#[allow(unsafe_code)]
mod erase;
#[forbid(unsafe_code)]
mod error;
#[forbid(unsafe_code)]
mod first_ok;
#[forbid(unsafe_code)]
mod handle;
#[forbid(unsafe_code)]
mod nursery;
#[forbid(unsafe_code)]
mod owned;
#[forbid(unsafe_code)]
mod returns;
#[forbid(unsafe_code)]
mod scope;
#[forbid(unsafe_code)]
mod spawner;
#[forbid(unsafe_code)]
mod state;
#[forbid(unsafe_code)]
mod task_set;
#[forbid(unsafe_code)]
mod tasks;

pub use error::{Error, Threads, Unfinished};
pub use first_ok::{AllFailed, first_ok};
pub use handle::Handle;
pub(crate) use nursery::{Nursery, nursery};
pub use owned::{Group, Outcome};
pub use returns::{BodyResult, TaskResult};
pub use scope::Scope;
pub use spawner::Spawner;
pub(crate) use task_set::{HelperFn, Spawn};

use crate::cancel::CancelToken;
use crate::error::Partial;
use crate::panics;
use crate::sync::Arc;
use crate::until::Until;
use crate::wait::cache;
use core::Failure;

/// Runs `body`, which may spawn tasks that borrow from the stack, and returns when all of the tasks have
/// ended.
///
/// The first task that returns an error or panics cancels the scope's token, which wakes every other task
/// from any blocking call of this crate. Tasks that have not started by then never start. When all have
/// ended, the error is returned or the panic resumes here, with its payload.
///
/// The scope's token is a child of `token`.
///
/// # Examples
/// ```
/// use selvedge::{CancelToken, group};
///
/// let words = ["warp", "weft", "selvedge"];
/// let lengths = std::sync::Mutex::new(Vec::new());
/// group::scope(&CancelToken::new(), |g| {
///     for word in &words {
///         g.spawn(|_| lengths.lock().unwrap().push(word.len()));
///     }
/// })?;
/// assert_eq!(lengths.into_inner().unwrap().iter().sum::<usize>(), 16);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Tasks that can fail return a `Result`, and then the body does, with the same error:
/// ```
/// use selvedge::{CancelToken, group};
///
/// fn check(word: &str) -> Result<(), String> {
///     if word.is_ascii() { Ok(()) } else { Err(format!("{word:?} is not plain")) }
/// }
///
/// let words = ["warp", "weft", "selvedge"];
/// let count = group::scope(&CancelToken::new(), |g| {
///     for word in &words {
///         g.spawn(|_| check(word));
///     }
///     Ok(words.len())
/// })?;
/// assert_eq!(count, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// One task fails, and the one that would have slept for an hour is woken:
/// ```
/// use std::time::Duration;
/// use selvedge::{CancelToken, group};
///
/// let result = group::scope(&CancelToken::new(), |g| {
///     g.spawn(|token| token.sleep(Duration::from_secs(3600)).map_err(|_| "woken"));
///     g.spawn(|_| Err("the disk is full"));
///     Ok(())
/// });
/// assert_eq!(result, Err(group::Error::Failed("the disk is full")));
/// ```
///
/// # Errors
/// The first error that a task or `body` returned. [`Error::Cancelled`] if a task was not started because
/// `token` was cancelled; if no task can fail, this is the only error. If the token was cancelled and yet
/// every task ran and succeeded, the scope succeeds.
///
/// # Blocking
/// Blocks until every task has ended; the last task wakes it. Spawning never blocks. Once `body` has
/// returned, the calling thread runs tasks too, so that many small tasks do not cost a wake-up each. Every
/// task gets a thread unless a [limit](Scope::limit) is set, so tasks may wait for each other.
///
/// # Cancellation
/// Cancelling `token` cancels the scope's token. Tasks that run are woken and asked to stop; tasks that have
/// not started are dropped. `scope` still waits until all have ended.
///
/// # Panics
/// Panics with the payload of the first task that panicked, or of `body`, when all tasks have ended. Go's
/// errgroup argues against propagating a panic: it arrives late, and on another stack. Here the panic cancels
/// the other tasks at once, and the panic hook has printed its message and location where it happened. The
/// payload is propagated, so that a caller that handles panics (a test harness, a server's request loop) sees
/// it as its own.
///
/// # Fairness
/// Tasks start in the order in which they were spawned, except that a joiner may run its task earlier.
///
/// # Ordering
/// What a thread did before `spawn` is visible to the task. What the tasks did is visible after `scope`.
///
/// # Proof
/// Models `loom-tests/tests/group.rs` (among them `every_task_has_ended_when_the_scope_returns` and
/// `the_last_task_wakes_the_owner`) and `group_limit.rs`. Most of them assume that the operating system
/// starts every thread; if it refuses, the waiting thread runs the tasks.
///
/// # Cost
/// Threads are reused. One allocation a task and a few a scope. In bench `ratios`, a scope of 1, 10 and 1,000
/// empty tasks takes 3.1, 4.5 and 92 µs: 20, 91 and 370 times faster than `std::thread::scope`, 6.7, 4.0 and
/// 1.4 times faster than `rayon::scope`. In a loop of scopes of one task, the helper is usually not woken,
/// since the caller runs the task before it would arrive; a first task that the body waits for may therefore
/// start some 50 µs late. A second task wakes the helper.
///
/// # Instead
/// Use `std::thread::scope` if the tasks are few, long, and cannot fail; `rayon::scope` for CPU-bound work
/// that splits recursively.
#[track_caller]
pub fn scope<'env, R, E, F>(token: &CancelToken, body: F) -> Result<R::Value, Error<E>>
where
    R: BodyResult<E>,
    E: Send + 'env,
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env, E>) -> R,
{
    scope_with(None, token, body)
}

/// [`scope`] with helpers from `executor`. They run the tasks, and so does the calling thread once `body` is
/// done; the scope therefore ends even if `executor` never provides a thread.
#[track_caller]
pub(crate) fn scope_on<'env, R, E, F>(
    executor: Arc<dyn Spawn>,
    token: &CancelToken,
    body: F,
) -> Result<R::Value, Error<E>>
where
    R: BodyResult<E>,
    E: Send + 'env,
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env, E>) -> R,
{
    scope_with(Some(executor), token, body)
}

#[track_caller]
fn scope_with<'env, R, E, F>(
    executor: Option<Arc<dyn Spawn>>,
    token: &CancelToken,
    body: F,
) -> Result<R::Value, Error<E>>
where
    R: BodyResult<E>,
    E: Send + 'env,
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env, E>) -> R,
{
    // On this stack frame: tasks may borrow it until `finish_and_clear` has returned.
    let scope = Scope::new(executor, token);
    let result = panics::catch(|| body(&scope).into_result());
    // From here on nothing may unwind past `finish_and_clear`: until it returns, tasks borrow from `scope`
    // and from the caller's stack. Cancelling runs callbacks, which are the caller's code, so their panics
    // are caught.
    let (value, panicked) = match result {
        Ok(Ok(value)) => (Some(value), None),
        Ok(Err(error)) => (None, panics::catch(|| scope.core.fail(Failure::Error(error))).err()),
        // The owner's own panic comes first: a panic of a callback meanwhile is reported by the panic hook
        // only.
        Err(payload) => {
            panics::contain(|| scope.core.token.cancel());
            (None, Some(payload))
        }
    };
    let guard = erase::NoUnwind;
    // Blocks until no task and no stop hook is left. Aborts the process if it unwinds.
    let skipped = scope.core.set.finish_and_clear();
    std::mem::forget(guard);
    // Dropped before a panic is resumed or an error returned, with panics contained: two panics at once would
    // abort.
    let failure = scope.core.take_first_and_discard();
    conclude(panicked, failure, value, skipped)
}

/// Returns what the owner of a scope gets, once every task has ended. The owner's own panic comes before the
/// first failure of a task, and a failure before the value; what is not returned is dropped here.
fn conclude<T, E>(
    panicked: Option<panics::Payload>,
    failure: Option<Failure<E>>,
    value: Option<T>,
    skipped: bool,
) -> Result<T, Error<E>> {
    match (panicked, failure, value) {
        (Some(payload), failure, value) => {
            panics::discard(failure);
            panics::discard(value);
            panics::resume(payload)
        }
        (None, Some(Failure::Panic(payload, _)), value) => {
            panics::discard(value);
            panics::resume(payload)
        }
        (None, Some(Failure::Error(error)), value) => {
            panics::discard(value);
            Err(Error::Failed(error))
        }
        (None, _, Some(value)) if skipped => {
            panics::discard(value);
            Err(Error::Cancelled)
        }
        (None, _, Some(value)) => Ok(value),
        (None, _, None) => unreachable!("a body without a value has failed or panicked"),
    }
}

/// Returns how many threads this crate has for scopes, groups and time-outs. They are started when they are
/// needed, are called `selvedge-helper-0` and so on, and leave after a few idle seconds.
///
/// A pool's workers are separate, and counted in its [`stats`](crate::Pool::stats).
pub fn threads() -> Threads {
    let cache::Figures { alive, idle, started } = cache::figures();
    Threads { alive, idle, started }
}

/// Dismisses the idle [`threads`] and waits until the busy ones have left too, until `limit` at most: for a
/// clean exit, or a test that counts threads. Afterwards the operating system has none of them.
///
/// Scopes, groups and time-outs may be used meanwhile and afterwards. They start new threads; this call waits
/// for those as well.
///
/// ```
/// use std::time::Duration;
/// use selvedge::{CancelToken, group};
///
/// let result = group::scope(&CancelToken::new(), |g| {
///     g.spawn(|_| println!("a task"));
/// });
/// assert_eq!(result, Ok(()));
/// group::join_threads(Duration::from_secs(60)).unwrap();
/// assert_eq!(group::threads().alive, 0);
/// ```
///
/// # Errors
/// With the number of threads left: [`WaitError::TimedOut`](crate::error::WaitError::TimedOut),
/// [`WaitError::Cancelled`](crate::error::WaitError::Cancelled), or
/// [`WaitError::WouldDeadlock`](crate::error::WaitError::WouldDeadlock) on one of these threads, which would
/// wait for itself.
pub fn join_threads<'a>(limit: impl Into<Until<'a>>) -> Result<(), Partial<Threads>> {
    cache::join_idle(limit.into()).map_err(|error| Partial::new(threads(), error))
}
