//! Tasks that belong together: the first error or panic stops the rest, and all have ended when it returns.
//!
//! [`scope`] for tasks that borrow and end where they were spawned, [`Group`] for those that live longer.
//! Both run on [threads](threads()) that are started when they are needed and reused. Beyond spawning and
//! waiting they have
//!
//! | you want | call |
//! |---|---|
//! | results, in the order of spawning | [`Scope::submit`], and join the [`Handle`]s in that order |
//! | at most so many at once | [`Scope::limit`], [`Scope::try_spawn`] |
//! | to wake what waits without the token | [`Scope::on_stop`] |
//! | all errors, and nobody stopped by one | [`Scope::keep_going`], [`Scope::take_errors`], [`Group::errors`] |
//! | to know who still runs | [`Scope::spawn_named`], [`Scope::try_spawn_named`], [`Scope::wait_until`] |
//! | tasks that spawn tasks | the [`Scope`] that they borrow, or a [`Spawner`] |
//!
//! None of these threads exists in the child of a `fork` that does not `exec`: a program that forks like that
//! does so before it opens its first scope. See the [guide](crate::guide::signals).

#[forbid(unsafe_code)]
mod core;
#[allow(unsafe_code)]
mod erase;
#[forbid(unsafe_code)]
mod error;
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

/// Runs `body`, which may spawn tasks that borrow from the stack, and returns when all of them have ended.
///
/// The first task that returns an error or panics cancels the scope's token, which wakes every other task
/// from whatever call of this crate it sleeps in. Tasks that have not started by then never do. When all
/// have ended, the error is returned or the panic resumes here, with its payload.
///
/// `token` is the one to be cancelled with: the scope's own is a child of it.
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
/// One fails, and the one that would have slept for an hour is woken:
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
/// The first error that a task or `body` returned; [`Error::Cancelled`] if a task was not started because
/// `token` was cancelled, which is the only one if nothing can fail. If the token was cancelled and yet
/// everything ran and succeeded, success wins.
///
/// # Blocking
/// It blocks until every task has ended. Spawning never blocks. The thread that called `scope` runs tasks
/// too, once `body` is done, so many small tasks do not cost a wake-up each. Every task has a thread to run
/// on, unless a [limit](Scope::limit) was set: tasks may wait for each other.
///
/// # Panics
/// With a task's payload, or with `body`'s own, when all tasks have ended. Go's errgroup argued against
/// passing a panic on: it comes late, and on another stack. Here it does not come late, because the panic
/// cancels the others at once, and its message and place were printed where it happened; what is passed on is
/// the payload, so that a caller that handles panics (a test harness, a server's request loop) sees this one
/// as it would see its own.
///
/// # Ordering
/// What was done before `spawn` is visible to the task; what the tasks did is visible after `scope`.
///
/// # Proof
/// Models in `loom-tests/tests/group.rs` and `group_limit.rs`. They assume that the operating system starts
/// every thread; where it does not, the thread that waits runs the tasks.
///
/// # Cost
/// Threads are reused; bench `group`. One allocation a task, and a few a scope; one of one task takes 0.6 µs
/// where the caller does it itself. In a program that opens such scopes in a loop, a helper may come for a
/// first task some 50 µs later than it could: it is not woken for what is done before it is there, as a rule.
/// A second task wakes it.
///
/// # Instead
/// `std::thread::scope` if tasks are few, long, and do not fail; `rayon::scope` for CPU-bound work that
/// splits itself.
pub fn scope<'env, R, E, F>(token: &CancelToken, body: F) -> Result<R::Value, Error<E>>
where
    R: BodyResult<E>,
    E: Send + 'env,
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env, E>) -> R,
{
    scope_with(None, token, body)
}

/// [`scope`] with helpers from elsewhere: those that `callers` sends run the tasks, and the thread that calls
/// this runs them too once `body` is done, so it ends though `callers` never sends anybody.
pub(crate) fn scope_on<'env, R, E, F>(
    spawn: Arc<dyn Spawn>,
    token: &CancelToken,
    body: F,
) -> Result<R::Value, Error<E>>
where
    R: BodyResult<E>,
    E: Send + 'env,
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env, E>) -> R,
{
    scope_with(Some(spawn), token, body)
}

fn scope_with<'env, R, E, F>(
    spawn: Option<Arc<dyn Spawn>>,
    token: &CancelToken,
    body: F,
) -> Result<R::Value, Error<E>>
where
    R: BodyResult<E>,
    E: Send + 'env,
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env, E>) -> R,
{
    let scope = Scope::new(spawn, token);
    let result = panics::catch(|| body(&scope).into_result());
    // Nothing from here on may unwind past `finish`: until it returns, tasks borrow from `scope` and from
    // the caller's stack. Cancelling runs callbacks, which are the caller's code.
    let (value, panicked) = match result {
        Ok(Ok(value)) => (Some(value), None),
        Ok(Err(error)) => (None, panics::catch(|| scope.core.fail(Failure::Error(error))).err()),
        // The owner's own panic before all: one of a callback, while it is passed on, is told by the panic
        // hook alone.
        Err(payload) => {
            panics::contain(|| scope.core.token.cancel());
            (None, Some(payload))
        }
    };
    let guard = erase::NoUnwind;
    let skipped = scope.core.set.finish_for_good();
    std::mem::forget(guard);
    // Nothing of the caller's is left to be dropped while its panic or its error is on the way.
    let failure = scope.core.take_first_and_discard();
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

/// How many threads this crate has for scopes, groups and time-outs. They are started when they are needed,
/// are called `selvedge-helper-0` and so on, and leave when they had nothing to do for a few seconds.
///
/// A pool's workers are its own, and in its [`stats`](crate::Pool::stats).
pub fn threads() -> Threads {
    let cache::Figures { alive, idle, started } = cache::figures();
    Threads { alive, idle, started }
}

/// Sends the [`threads`] that are idle away, and waits until those at work have left too, at most until
/// `limit`: for a clean exit, or a test that counts threads. Afterwards the operating system has none of
/// them.
///
/// Scopes, groups and time-outs may be used meanwhile and afterwards. They start new threads, which are
/// waited for too while the call lasts.
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
/// With how many are left: [`WaitError::TimedOut`](crate::error::WaitError::TimedOut),
/// [`WaitError::Cancelled`](crate::error::WaitError::Cancelled), or
/// [`WaitError::WouldDeadlock`](crate::error::WaitError::WouldDeadlock) if this is called on one of them,
/// which would wait for itself.
pub fn join_threads<'a>(limit: impl Into<Until<'a>>) -> Result<(), Partial<Threads>> {
    cache::join_idle(limit.into()).map_err(|error| Partial::new(threads(), error))
}
