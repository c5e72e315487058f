//! Tasks that belong together and outlive the call that spawned them.

use std::convert::Infallible;
use std::fmt;
use std::mem::ManuallyDrop;
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

/// How the tasks of a [`Group`] have ended. The error is shared, since each wait returns it.
pub type Outcome<E = Infallible> = Result<(), Error<Arc<E>>>;

/// Runs tasks in the background, cancels them together, and waits until they have ended: for a server's
/// connections, or a program's background work.
///
/// Unlike [`scope`](super::scope()), a group can be stored and shared; its tasks own what they use. The first
/// task that returns an error or panics cancels the group's token, which wakes all others from any blocking
/// call of this crate. After a cancel no task starts: a spawn returns its closure. A wait misses no task: it
/// waits for every task that any thread spawned before the wait began, and for those that these spawn.
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
/// Run, cancel, wait; a task that does not stop is reported by name:
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
/// If no task can fail, the type is plain `Group`:
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
/// `wait` and drop block until every task has ended; the last task wakes them. A wait without a limit runs
/// tasks that have not started. Spawning never blocks. Every task gets a thread unless a
/// [limit](Group::limit) is set; then tasks queue without bound, and [`try_spawn`](Group::try_spawn) bounds
/// them.
///
/// # Cancellation
/// If all tasks had ended when a limit passed, the wait succeeds, however late it wakes up. A wait that ends
/// early cancels no task, and the group can be waited for again.
///
/// # Panics
/// The first panic cancels the rest. Its payload resumes in the first `wait` that ends, or in the drop if
/// there is none; later waits panic with a message that says so. [`scope`](super::scope()) says why panics
/// are propagated. A panic is kept only if it is the first failure.
///
/// # Fairness
/// Tasks start in the order in which they were spawned, except that a joiner may run its task earlier.
///
/// # Ordering
/// What a thread did before a spawn is visible to the task. What the tasks did is visible after `wait`.
///
/// # Proof
/// Models in `loom-tests/tests/group_limit.rs`, among them `a_wait_misses_no_spawn_that_races_it`,
/// `a_spawn_that_races_the_cancel_runs_or_comes_back_or_is_told`,
/// `no_child_runs_after_the_cancel_and_the_wait` and `a_dropped_group_has_ended`, under the same assumption
/// as those of [`scope`](super::scope()).
///
/// # Cost
/// As for [`scope`](super::scope()): one allocation a task; bench `ratios`. Of an ended task, only its error
/// is kept.
///
/// # Instead
/// Use [`scope`](super::scope()) if the tasks can end where they were spawned; a [`Pool`](crate::Pool) for
/// many short tasks that do not belong together; a [`WaitGroup`](crate::WaitGroup) for threads of your own.
#[must_use = "dropping the group cancels its tasks and waits for them"]
pub struct Group<E = Infallible> {
    spawner: Spawner<E>,
}

impl<E> Group<E> {
    /// Creates a group without tasks. Its token is a child of `token`.
    #[track_caller]
    pub fn new(token: &CancelToken) -> Self {
        Group { spawner: Spawner { core: weak::Arc::new(Core::new("Group", None, token)) } }
    }

    fn core(&self) -> &Core<Arc<E>> {
        &self.spawner.core
    }
}

impl<E: Send + Sync + 'static> Group<E> {
    /// Spawns a task, which returns `()` or a `Result`. Never blocks.
    ///
    /// # Errors
    /// [`Closed`], with the closure, once the group is cancelled. A task that was accepted during the cancel
    /// may not start; then `wait` fails with [`Error::Cancelled`].
    pub fn spawn<F, R>(&self, f: F) -> Result<(), Rejected<F, Closed>>
    where
        F: FnOnce(&CancelToken) -> R + Send + 'static,
        R: TaskResult<E, Value = ()>,
    {
        self.spawner.spawn(f)
    }

    /// Like [`spawn`](Group::spawn), with a name, which [`wait_until`](Group::wait_until) reports while the
    /// task runs.
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

    /// Spawns a task if fewer tasks than the [limit](Group::limit) are queued or running.
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

    /// Spawns a task with a result, which the [`Handle`] returns. The task's error or panic is the group's.
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

    /// Creates a spawner for the tasks themselves, or for other threads.
    pub fn spawner(&self) -> Spawner<E> {
        self.spawner.clone()
    }

    /// Limits the number of tasks that run at once to `limit`, from here on, with the exception described at
    /// [`Scope::limit`](super::Scope::limit).
    ///
    /// # Panics
    /// If `limit` is 0, since no task could ever start.
    #[track_caller]
    pub fn limit(&self, limit: usize) {
        assert!(limit > 0, "a limit of 0 tasks would never start one; the least is 1");
        super::task_set::TaskSet::limit(&self.core().set, limit);
    }

    /// From here on an error does not stop the other tasks. The first error is still returned;
    /// [`errors`](Group::errors) returns all of them. A panic still stops the rest.
    pub fn keep_going(&self) {
        self.core().keep_going();
    }

    /// Calls `f` when the group stops; see [`Scope::on_stop`](super::Scope::on_stop).
    pub fn on_stop<F, R>(&self, f: F)
    where
        F: FnOnce() -> R + Send + 'static,
    {
        // Weak: the hook is stored in the core's own task set, and a strong reference would be a cycle.
        let core = weak::Arc::downgrade(&self.spawner.core);
        self.core().on_stop(Box::new(move || match core.upgrade() {
            Some(core) => core.run_stop_hook(f),
            // The group is gone, and no task of it can be waiting for anything.
            None => true,
        }));
    }

    /// Stops all tasks: running ones see the token, the others do not start.
    pub fn cancel(&self) {
        self.core().token.cancel();
    }

    /// Returns the token, which is cancelled by the first error, a panic, [`cancel`](Group::cancel), or the
    /// token that the group was created with.
    pub fn token(&self) -> &CancelToken {
        &self.core().token
    }

    /// Waits until no task is left, and runs those that have not started.
    ///
    /// # Errors
    /// [`Error::Failed`] with the first error of a task so far; [`Error::Cancelled`] if a task was not
    /// started. Every later wait returns the same. [`Error::WouldDeadlock`] if one of the group's own tasks
    /// calls it, or if a task waits, directly or through others, for the calling thread.
    ///
    /// # Panics
    /// With the payload of a task that panicked, once; see [`Group`].
    #[track_caller]
    pub fn wait(&self) -> Outcome<E> {
        // Refused before anything is consumed, so a later wait gets the payload.
        self.core().set.wait()?;
        self.outcome()
    }

    /// Waits until no task is left, until `limit` at most. The outer result says whether all tasks have
    /// ended, the inner one how. It runs no task, since a task might outlast the limit.
    ///
    /// # Errors
    /// With the unfinished tasks: [`WaitError::TimedOut`](crate::error::WaitError::TimedOut),
    /// [`WaitError::Cancelled`](crate::error::WaitError::Cancelled) if the limit's token was cancelled, or
    /// [`WaitError::WouldDeadlock`](crate::error::WaitError::WouldDeadlock) as for [`wait`](Group::wait).
    ///
    /// # Panics
    /// As [`wait`](Group::wait).
    #[track_caller]
    pub fn wait_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<Outcome<E>, Partial<Unfinished>> {
        self.core().set.wait_until(limit.into())?;
        Ok(self.outcome())
    }

    /// Cancels the group, drops the handle without waiting, and returns the tasks that have not ended. Those
    /// that run are left behind, and an error or a panic of theirs reaches nobody; the others do not start.
    ///
    /// This is for a program that is about to exit while a task is stuck in a foreign call, for which `drop`
    /// would wait. The group's own memory, some hundred bytes and what tasks that have not ended hold, is not
    /// given back.
    ///
    /// # Examples
    /// ```
    /// use selvedge::{CancelToken, Group};
    /// use std::{sync::mpsc, thread, time::Duration};
    ///
    /// let (begin, begun) = mpsc::channel();
    /// let group = Group::<()>::new(&CancelToken::new());
    /// group.spawn_named("deaf", move |_| -> Result<(), ()> {
    ///     begin.send(()).unwrap();
    ///     loop {
    ///         thread::park(); // hears nothing
    ///     }
    /// })?;
    /// begun.recv()?;
    /// if group.wait_until(Duration::from_millis(10)).is_err() {
    ///     assert_eq!(group.detach().running, ["deaf"]);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// If a callback or a stop hook does that the cancel calls; the group is detached all the same.
    pub fn detach(self) -> Unfinished {
        // The drop, which would wait, does not run; it is also what would resume a panic that no wait has
        // reported.
        let group = ManuallyDrop::new(self);
        let cancelled = panics::catch(|| group.cancel());
        let unfinished = group.core().set.unfinished();
        match cancelled {
            Ok(()) => unfinished,
            Err(payload) => panics::resume(payload),
        }
    }

    /// Returns the errors of tasks so far, in the order in which they occurred.
    pub fn errors(&self) -> Vec<Arc<E>> {
        let error = |failure: &Failure<Arc<E>>| match failure {
            Failure::Error(error) => Some(Arc::clone(error)),
            Failure::Panic(..) | Failure::Reported(_) => None,
        };
        self.core().with_failures(|failures| failures.iter().filter_map(error).collect())
    }

    #[track_caller]
    fn outcome(&self) -> Outcome<E> {
        // An error is shared by all waits; a payload goes to the first wait, and later ones learn that it was
        // reported.
        let first = self.core().with_failures(|failures| match failures.first_mut() {
            None => None,
            Some(Failure::Error(error)) => Some(Failure::Error(Arc::clone(error))),
            Some(panic) => Some(panic.report()),
        });
        match first {
            Some(Failure::Error(error)) => Err(Error::Failed(error)),
            Some(Failure::Panic(payload, _)) => panics::resume(payload),
            Some(Failure::Reported(Some(name))) => {
                panic!("the task {name:?} of the group panicked, and an earlier wait was told of it")
            }
            Some(Failure::Reported(None)) => {
                panic!("a task of the group panicked, and an earlier wait was told of it")
            }
            None if self.core().set.skipped() => Err(Error::Cancelled),
            None => Ok(()),
        }
    }
}

impl<E> Drop for Group<E> {
    /// Cancels the group and waits for its tasks; a task of the group does not wait for itself. A panic that
    /// no wait has reported resumes here, unless the thread is panicking already.
    fn drop(&mut self) {
        let core = self.core();
        // A callback's panic must not skip the wait.
        let cancelled = panics::catch(|| core.token.cancel());
        // A task that drops its own group would wait for itself.
        if !core.set.is_inside() {
            core.set.finish();
        }
        // Reported at most once: a wait may have received the payload.
        let unread = core.with_failures(|failures| match failures.first_mut() {
            Some(panic @ Failure::Panic(..)) => Some(panic.report()),
            _ => None,
        });
        // A task's panic takes precedence over one of a callback.
        let mut panicked = FirstPanic::new();
        if let Some(Failure::Panic(payload, _)) = unread {
            panicked.keep(payload);
        }
        if let Err(payload) = cancelled {
            panicked.keep(payload);
        }
        // Not resumed if the thread is panicking already, which would abort.
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
