//! Tasks that belong together and outlive the call that spawned them.

use std::convert::Infallible;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::core::{Core, Failure};
use super::handle::Handle;
use super::spawner::Spawner;
use super::{Error, TaskResult, Unfinished};
use crate::cancel::CancelToken;
use crate::error::{Closed, Partial, Rejected, TryError};
use crate::panics::{self, FirstPanic};
use crate::sync::{Arc, weak};
use crate::until::Until;

/// How the tasks of a [`Group`] have ended. The error is shared, because each wait returns it.
pub type Outcome<E = Infallible> = Result<(), Error<Arc<E>>>;

/// Runs children for as long as you like, cancels them together, and waits until they have ended: what a
/// server does with its connections, or a program with its background work.
///
/// Unlike [`scope`](super::scope()) it can be kept and shared; tasks own what they use. The first that
/// returns an error or panics cancels the group's token, which wakes all others from whatever call of this
/// crate they sleep in. After a cancel nothing new starts: a spawn gives its closure back. No task is missed
/// by a wait: one that was spawned before the wait began, by any thread, is waited for, and so are those that
/// it spawns.
///
/// # Examples
/// ```
/// use selvedge::{CancelToken, group::Group};
///
/// let group = Group::<String>::new(&CancelToken::new());
/// for n in 1..=3 {
///     group.spawn(move |_| if n == 2 { Err(format!("{n} failed")) } else { Ok(()) })?;
/// }
/// assert_eq!(group.wait().unwrap_err().to_string(), "2 failed");
/// assert_eq!(group.wait().unwrap_err().to_string(), "2 failed"); // as often as you ask
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Run, cancel, wait; and who does not stop has a name:
/// ```
/// use std::{io, time::Duration};
/// use selvedge::{BoundedQueue, CancelToken, error::WaitError, group::Group};
/// use std::sync::Arc;
///
/// let group = Group::<io::Error>::new(&CancelToken::new());
/// let jobs = Arc::new(BoundedQueue::<u32>::new(8));
/// let queue = Arc::clone(&jobs);
/// let (starts, started) = std::sync::mpsc::channel();
/// group.spawn_named("reader", move |stop| {
///     starts.send(()).unwrap();
///     while let Ok(job) = queue.pop_until(stop) {
///         println!("{job}");
///     }
///     Ok(())
/// })?;
/// started.recv()?;
/// let late = group.wait_until(Duration::from_millis(20)).unwrap_err();
/// assert_eq!((late.error, late.value.running), (WaitError::TimedOut, vec!["reader".to_owned()]));
/// group.cancel();
/// assert!(!matches!(group.wait_until(Duration::from_secs(60)), Err(_)));
/// assert!(group.spawn(|_| ()).is_err()); // nothing runs after the cancel
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Where no task can fail, `Group` alone is the type:
/// ```
/// use selvedge::{CancelToken, Group};
///
/// struct Server {
///     connections: Group,
/// }
///
/// let server = Server { connections: Group::new(&CancelToken::new()) };
/// server.connections.spawn(|_| println!("served"))?;
/// server.connections.wait()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Blocking
/// `wait` and drop block until every task has ended. The thread that waits without a limit runs tasks that
/// nobody has started. Spawning never blocks: every task has a thread to run on, unless there is a
/// [limit](Group::limit), under which tasks queue without bound; [`try_spawn`](Group::try_spawn) bounds them.
///
/// # Cancellation
/// If all tasks had ended before a limit passed, the wait succeeds, however late it wakes up. A wait that
/// ends early undoes nothing and cancels nobody, and the group can be waited for again.
///
/// # Panics
/// The first panic cancels the rest. It resumes with its payload at the first `wait` that ends, or at the
/// drop if there is none; later waits panic with a message that says so. See [`scope`](super::scope()) for
/// why.
///
/// # Ordering
/// What was done before a spawn is visible to the task; what the tasks did is visible after `wait`.
///
/// # Proof
/// Models in `loom-tests/tests/group_limit.rs`, under the same assumption as those of
/// [`scope`](super::scope()).
///
/// # Cost
/// As a scope's; bench `group`. It keeps nothing of a task that has ended but its error.
///
/// # Instead
/// [`scope`](super::scope()) if the tasks can end where they were spawned; a [`Pool`](crate::Pool) if they
/// are many, short, and do not belong together; a [`WaitGroup`](crate::WaitGroup) for threads of your own.
#[must_use = "dropping the group cancels its tasks and waits for them"]
pub struct Group<E = Infallible> {
    spawner: Spawner<E>,
}

impl<E> Group<E> {
    /// Makes a group with no tasks, which is cancelled with `token`; its own token is a child of it.
    pub fn new(token: &CancelToken) -> Self {
        Group { spawner: Spawner { core: weak::Arc::new(Core::new(None, token)) } }
    }

    fn core(&self) -> &Core<Arc<E>> {
        &self.spawner.core
    }
}

impl<E: Send + Sync + 'static> Group<E> {
    /// Spawns a task, which returns `()` or a `Result`. Never blocks.
    ///
    /// # Errors
    /// [`Closed`], with the closure, once the group is cancelled. A task that was accepted while it was being
    /// cancelled may not start; then `wait` fails with [`Error::Cancelled`].
    pub fn spawn<F, R>(&self, f: F) -> Result<(), Rejected<F, Closed>>
    where
        F: FnOnce(&CancelToken) -> R + Send + 'static,
        R: TaskResult<E, Value = ()>,
    {
        self.spawner.spawn(f)
    }

    /// Like [`spawn`](Group::spawn); the name is what [`wait_until`](Group::wait_until) tells of a task that
    /// runs.
    ///
    /// # Errors
    /// As [`spawn`](Group::spawn).
    pub fn spawn_named<F, R>(&self, name: &str, f: F) -> Result<(), Rejected<F, Closed>>
    where
        F: FnOnce(&CancelToken) -> R + Send + 'static,
        R: TaskResult<E, Value = ()>,
    {
        self.spawner.spawn_named(name, f)
    }

    /// Spawns a task if fewer than the [limit](Group::limit)'s number are there, running or waiting.
    ///
    /// # Errors
    /// With the closure: [`TryError::WouldBlock`] if the limit is reached, [`TryError::Closed`].
    pub fn try_spawn<F, R>(&self, f: F) -> Result<(), Rejected<F, TryError>>
    where
        F: FnOnce(&CancelToken) -> R + Send + 'static,
        R: TaskResult<E, Value = ()>,
    {
        self.spawner.try_spawn(f)
    }

    /// Like [`try_spawn`](Group::try_spawn), with a name as in [`spawn_named`](Group::spawn_named).
    ///
    /// # Errors
    /// As [`try_spawn`](Group::try_spawn).
    pub fn try_spawn_named<F, R>(&self, name: &str, f: F) -> Result<(), Rejected<F, TryError>>
    where
        F: FnOnce(&CancelToken) -> R + Send + 'static,
        R: TaskResult<E, Value = ()>,
    {
        self.spawner.try_spawn_named(name, f)
    }

    /// Spawns a task that has a result, which the [`Handle`] waits for. Its error or panic is the group's.
    ///
    /// # Errors
    /// As [`spawn`](Group::spawn).
    pub fn submit<F, R>(&self, f: F) -> Result<Handle<R::Value>, Rejected<F, Closed>>
    where
        F: FnOnce(&CancelToken) -> R + Send + 'static,
        R: TaskResult<E>,
        R::Value: Send + 'static,
    {
        self.spawner.submit(f)
    }

    /// Makes a spawner for the tasks themselves, or for other threads.
    pub fn spawner(&self) -> Spawner<E> {
        self.spawner.clone()
    }

    /// From here on starts a task only while fewer than `limit` run, with the one exception that
    /// [`Scope::limit`](super::Scope::limit) explains.
    ///
    /// # Panics
    /// If `limit` is 0: no task could ever start.
    #[track_caller]
    pub fn limit(&self, limit: usize) {
        assert!(limit > 0, "a limit of 0 tasks would never start one; the least is 1");
        super::task_set::TaskSet::limit(&self.core().set, limit);
    }

    /// From here on an error stops nobody. The first is returned all the same; [`errors`](Group::errors) has
    /// all. A panic stops the rest as ever.
    pub fn keep_going(&self) {
        self.core().keep_going();
    }

    /// Calls `f` when the group stops; see [`Scope::on_stop`](super::Scope::on_stop).
    pub fn on_stop<F, R>(&self, f: F)
    where
        F: FnOnce() -> R + Send + 'static,
    {
        let core = weak::Arc::downgrade(&self.spawner.core);
        self.core().on_stop(Box::new(move || match core.upgrade() {
            Some(core) => core.closer(f),
            // Nobody is left who could wait on anything.
            None => true,
        }));
    }

    /// Stops all tasks: those that run see it by the token, the others do not start.
    pub fn cancel(&self) {
        self.core().token.cancel();
    }

    /// The token that the first error, a panic, [`cancel`](Group::cancel), or the token that the group was
    /// made with cancels.
    pub fn token(&self) -> &CancelToken {
        &self.core().token
    }

    /// Waits until no task is left, and runs those that nobody has started.
    ///
    /// # Errors
    /// [`Error::Failed`] with the first error that a task has returned so far; [`Error::Cancelled`] if a task
    /// was not started; the same at every later wait. [`Error::WouldDeadlock`] if one of the group's own
    /// tasks calls it, or one waits, itself or through others, for this thread.
    ///
    /// # Panics
    /// With the payload of a task that panicked, once; see [`Group`].
    #[track_caller]
    pub fn wait(&self) -> Outcome<E> {
        self.core().set.wait()?;
        self.outcome()
    }

    /// Waits until no task is left, at most until `limit`. The outer result says whether all have ended, the
    /// inner one how. It runs no task, as that might outlast the limit.
    ///
    /// # Errors
    /// With who has not ended: [`WaitError::TimedOut`](crate::error::WaitError::TimedOut),
    /// [`WaitError::Cancelled`](crate::error::WaitError::Cancelled) if the limit's token was, or
    /// [`WaitError::WouldDeadlock`](crate::error::WaitError::WouldDeadlock) as for [`wait`](Group::wait).
    ///
    /// # Panics
    /// As [`wait`](Group::wait).
    #[track_caller]
    pub fn wait_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<Outcome<E>, Partial<Unfinished>> {
        self.core().set.wait_until(limit.into())?;
        Ok(self.outcome())
    }

    /// The errors that tasks have returned so far, in the order in which they came.
    pub fn errors(&self) -> Vec<Arc<E>> {
        let error = |failure: &Failure<Arc<E>>| match failure {
            Failure::Error(error) => Some(Arc::clone(error)),
            Failure::Panic(..) | Failure::Told(_) => None,
        };
        self.core().with_failures(|failures| failures.iter().filter_map(error).collect())
    }

    #[track_caller]
    fn outcome(&self) -> Outcome<E> {
        let first = self.core().with_failures(|failures| match failures.first_mut() {
            None => None,
            Some(Failure::Error(error)) => Some(Failure::Error(Arc::clone(error))),
            Some(panic) => Some(panic.tell()),
        });
        match first {
            Some(Failure::Error(error)) => Err(Error::Failed(error)),
            Some(Failure::Panic(payload, _)) => panics::resume(payload),
            Some(Failure::Told(Some(name))) => {
                panic!("the task {name:?} of the group panicked, and an earlier wait was told of it")
            }
            Some(Failure::Told(None)) => {
                panic!("a task of the group panicked, and an earlier wait was told of it")
            }
            None if self.core().set.skipped() => Err(Error::Cancelled),
            None => Ok(()),
        }
    }
}

impl<E> Drop for Group<E> {
    /// Cancels the group and waits for its tasks; a task of its own does not wait for itself. A panic that no
    /// wait was told of resumes here, unless another is passing by.
    fn drop(&mut self) {
        let core = self.core();
        let cancelled = panics::catch(|| core.token.cancel());
        if !core.set.is_inside() {
            core.set.finish();
        }
        let unread = core.with_failures(|failures| match failures.first_mut() {
            Some(panic @ Failure::Panic(..)) => Some(panic.tell()),
            _ => None,
        });
        // A task's panic before one of a callback.
        let mut panicked = FirstPanic::new();
        if let Some(Failure::Panic(payload, _)) = unread {
            panicked.keep(payload);
        }
        if let Err(payload) = cancelled {
            panicked.keep(payload);
        }
        panicked.resume();
    }
}

impl<E> fmt::Debug for Group<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("set", &self.core().set)
            .field("token", &self.core().token)
            .finish_non_exhaustive()
    }
}

impl<E> UnwindSafe for Group<E> {}
impl<E> RefUnwindSafe for Group<E> {}
