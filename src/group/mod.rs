//! Tasks that belong together: the first error or panic stops the rest, and all have ended when it returns.

#[forbid(unsafe_code)]
mod board;
#[forbid(unsafe_code)]
mod callers;
#[allow(unsafe_code)]
mod erase;
#[forbid(unsafe_code)]
mod yard;

use std::any::Any;
use std::error::Error as StdError;
use std::marker::PhantomData;
use std::panic::{self, AssertUnwindSafe};
use std::{fmt, io};

use crate::cancel::CancelToken;
use crate::crew;
use crate::error::{Rejected, TryError};
use crate::sync::{Arc, Mutex};
use board::Board;
pub(crate) use callers::{Callers, Help};
pub(crate) use yard::{Yard, yard};

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
/// let count = group::scope(&CancelToken::new(), |g| {
///     for word in &words {
///         g.spawn(|_| Ok(lengths.lock().unwrap().push(word.len())));
///     }
///     Ok::<_, String>(words.len())
/// })?;
/// assert_eq!(count, 3);
/// assert_eq!(lengths.into_inner().unwrap().iter().sum::<usize>(), 16);
/// # Ok::<(), group::Error<String>>(())
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
/// `token` was cancelled. If the token was cancelled and yet everything ran and succeeded, success wins.
///
/// # Blocking
/// It blocks until every task has ended. Spawning never blocks. The thread that called `scope` runs tasks
/// too, once `body` is done, so many small tasks do not cost a wake-up each. Every task has a thread to run on,
/// unless a [limit](Scope::limit) was set: tasks may wait for each other.
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
/// Models in `loom-tests/tests/group.rs`.
///
/// # Cost
/// Threads are reused; bench `group`. One allocation a task, and a few a scope.
///
/// # Instead
/// `std::thread::scope` if tasks are few, long, and do not fail; `rayon::scope` for CPU-bound work that
/// splits itself.
pub fn scope<'env, T, E, F>(token: &CancelToken, body: F) -> Result<T, Error<E>>
where
    E: Send,
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env, E>) -> Result<T, E>,
{
    scope_with(None, token, body)
}

/// [`scope`] with helpers from elsewhere: those that `callers` sends run the tasks, and the thread that calls
/// this runs them too once `body` is done, so it ends though `callers` never sends anybody.
#[allow(dead_code, reason = "for those who have threads of their own")]
pub(crate) fn scope_on<'env, T, E, F>(
    callers: Arc<dyn Callers>,
    token: &CancelToken,
    body: F,
) -> Result<T, Error<E>>
where
    E: Send,
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env, E>) -> Result<T, E>,
{
    scope_with(Some(callers), token, body)
}

fn scope_with<'env, T, E, F>(
    callers: Option<Arc<dyn Callers>>,
    token: &CancelToken,
    body: F,
) -> Result<T, Error<E>>
where
    E: Send,
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env, E>) -> Result<T, E>,
{
    let scope = Scope {
        board: Arc::new(Board::new(callers)),
        token: token.child(),
        failure: Mutex::new(None),
        scope: PhantomData,
        env: PhantomData,
    };
    let result = panic::catch_unwind(AssertUnwindSafe(|| body(&scope)));
    // Nothing from here on may unwind past `finish`: until it returns, tasks borrow from `scope` and from
    // the caller's stack. Cancelling runs callbacks, which are the caller's code.
    let (value, panicked) = match result {
        Ok(Ok(value)) => (Some(value), None),
        Ok(Err(error)) => (None, stop(|| scope.fail(Failure::Error(error)))),
        Err(payload) => {
            if let Some(later) = stop(|| scope.token.cancel()) {
                std::mem::forget(later);
            }
            (None, Some(payload))
        }
    };
    let guard = erase::NoUnwind;
    scope.board.finish();
    std::mem::forget(guard);
    let (skipped, failure) = (scope.board.skipped(), scope.failure.lock().take());
    match (panicked, failure, value) {
        // The owner's own panic before all; what comes from a callback while it unwinds is dropped.
        (Some(payload), _, _) | (None, Some(Failure::Panic(payload)), _) => panic::resume_unwind(payload),
        (None, Some(Failure::Error(error)), _) => Err(Error::Failed(error)),
        (None, None, Some(_)) if skipped => Err(Error::Cancelled),
        (None, None, Some(value)) => Ok(value),
        (None, None, None) => unreachable!("a body without a value has failed or panicked"),
    }
}

/// Stops the rest by `f`, and returns the payload if a callback of the token panics over it.
fn stop(f: impl FnOnce()) -> Option<Box<dyn Any + Send>> {
    panic::catch_unwind(AssertUnwindSafe(f)).err()
}

/// Threads that this crate has started for scopes and not ended yet: at work, or idle and gone in a few
/// seconds. They are called `selvedge-helper-0` and so on.
pub fn helpers() -> usize {
    crew::alive()
}

/// Where tasks are spawned; [`scope`] lends it to its body.
pub struct Scope<'scope, 'env: 'scope, E> {
    board: Arc<Board>,
    token: CancelToken,
    failure: Mutex<Option<Failure<E>>>,
    /// Invariant, as in `std::thread::Scope`: a longer borrow must not pass for a shorter one.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// What came first.
enum Failure<E> {
    Error(E),
    Panic(Box<dyn Any + Send>),
}

/// Why a scope failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Error<E> {
    /// A task or the body returned this, before any other failed.
    Failed(E),
    /// The token was cancelled before every task had started.
    Cancelled,
}

impl<'scope, 'env, E: Send> Scope<'scope, 'env, E> {
    /// Spawns a task. It gets the scope's token, and may spawn others by the scope that its closure borrows.
    ///
    /// It is not started if the scope is cancelled first. If the operating system refuses a thread, the
    /// task runs when another ends, or on the thread that called `scope`.
    pub fn spawn<F>(&'scope self, f: F)
    where
        F: FnOnce(&CancelToken) -> Result<(), E> + Send + 'scope,
    {
        Board::post(&self.board, self.erased(f));
    }

    /// Spawns a task if fewer than the limit's number are there, running or waiting.
    ///
    /// # Errors
    /// [`TryError::WouldBlock`] with the closure if the limit is reached. Never without a limit.
    pub fn try_spawn<F>(&'scope self, f: F) -> Result<(), Rejected<F, TryError>>
    where
        F: FnOnce(&CancelToken) -> Result<(), E> + Send + 'scope,
    {
        if !self.board.reserve() {
            return Err(Rejected::new(f, TryError::WouldBlock));
        }
        Board::post_reserved(&self.board, self.erased(f));
        Ok(())
    }

    /// From here on starts a task only while fewer than `limit` run. Those that run go on.
    ///
    /// Tasks that wait for one that is not started yet can then wait for ever.
    ///
    /// # Panics
    /// If `limit` is 0: no task could ever start.
    #[track_caller]
    pub fn limit(&self, limit: usize) {
        assert!(limit > 0, "a limit of 0 tasks would never start one; the least is 1");
        Board::limit(&self.board, limit);
    }

    /// The token that the first error, a panic, or the caller's token cancels.
    pub fn token(&self) -> &CancelToken {
        &self.token
    }

    /// Stops the rest, without an error.
    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// The closure with what catches its end around it, and without its lifetime.
    fn erased<F>(&'scope self, f: F) -> board::Task
    where
        F: FnOnce(&CancelToken) -> Result<(), E> + Send + 'scope,
    {
        erase::lifetime(Box::new(move || {
            if self.token.is_cancelled() {
                return false;
            }
            match panic::catch_unwind(AssertUnwindSafe(|| f(&self.token))) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => self.fail(Failure::Error(error)),
                Err(payload) => self.fail(Failure::Panic(payload)),
            }
            true
        }))
    }

    /// Keeps the first failure, and stops the rest.
    fn fail(&self, failure: Failure<E>) {
        // A later failure is dropped outside the lock.
        let later = {
            let mut first = self.failure.lock();
            match &*first {
                None => first.replace(failure),
                Some(_) => Some(failure),
            }
        };
        self.token.cancel();
        drop(later);
    }
}

impl From<Error<io::Error>> for io::Error {
    fn from(error: Error<io::Error>) -> Self {
        match error {
            Error::Failed(error) => error,
            Error::Cancelled => io::Error::other(Error::<io::Error>::Cancelled),
        }
    }
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Failed(error) => error.fmt(f),
            Error::Cancelled => f.write_str("cancelled before every task had started"),
        }
    }
}

impl<E: StdError + 'static> StdError for Error<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Error::Failed(error) => error.source(),
            Error::Cancelled => None,
        }
    }
}

impl<E> fmt::Debug for Scope<'_, '_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("board", &self.board).field("token", &self.token).finish()
    }
}
