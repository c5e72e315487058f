//! Spawning tasks that borrow.

use std::fmt;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::core::Core;
use super::handle::{Completer, Handle};
use super::state::Task;
use super::task_set::Spawn;
use super::task_set::TaskSet;
use super::{TaskResult, Unfinished, erase};
use crate::cancel::CancelToken;
use crate::error::{Partial, Rejected, TryError, WouldDeadlock};
use crate::sync::Arc;
use crate::until::Until;

/// Spawns tasks that borrow from the stack; [`scope`](super::scope()) passes it to its body.
///
/// Each task gets the scope's token. A task may spawn further tasks on the scope, which it can borrow.
///
/// `E` is the error type of the tasks. The bound `E: 'env` is no restriction, since the scope returns the
/// error; it is stated so that the compiler knows it of an `E` like `Box<dyn Error + Send + Sync>` and does
/// not require `'static` borrows.
///
/// # Examples
/// A walk over a tree, in which each branch is a task that may spawn more:
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use selvedge::{CancelToken, group::{self, Scope}};
///
/// type Tasks<'scope, 'env> = &'scope Scope<'scope, 'env, std::convert::Infallible>;
///
/// fn visit<'scope>(g: Tasks<'scope, '_>, depth: u32, leaves: &'scope AtomicU64) {
///     match depth {
///         0 => _ = leaves.fetch_add(1, Ordering::Relaxed),
///         _ => for _ in 0..2 {
///             g.spawn(move |_| visit(g, depth - 1, leaves));
///         },
///     }
/// }
///
/// let leaves = AtomicU64::new(0);
/// group::scope(&CancelToken::new(), |g| visit(g, 5, &leaves))?;
/// assert_eq!(leaves.into_inner(), 32);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Blocking
/// Spawning never blocks. [`wait`](Scope::wait) and [`wait_until`](Scope::wait_until) block until all present
/// tasks have ended; the last one wakes them. [`Handle::join`] blocks until one task has ended.
///
/// # Cancellation
/// After a failure, a [`cancel`](Scope::cancel), or a cancel of the caller's token, tasks that have not
/// started never start: the threads that would have run them drop their closures. Running tasks see the
/// token. A wait whose limit passes after the last task has ended is a success.
///
/// # Panics
/// A task's panic stops the rest and resumes in [`scope`](super::scope()) when all have ended.
///
/// # Fairness
/// Tasks start in the order in which they were spawned, except that a joiner may run its task earlier.
///
/// # Ordering
/// What a thread did before `spawn` is visible to the task. What a task did is visible after a wait or a join
/// that it ended.
///
/// # Proof
/// Models in `loom-tests/tests/group.rs` and `group_limit.rs`, among them `a_nested_spawn_is_waited_for`,
/// `a_limit_of_one_runs_one_at_a_time`, `a_closer_that_races_the_stop_is_called` and
/// `no_closer_runs_after_the_scope_has_returned`. The lifetime erasure is argued in `src/group/erase.rs`,
/// with an edit for each argument that a model or a test notices.
///
/// # Cost
/// One allocation a task, and one more for a task with a handle. Bench `ratios`, 1,000 tasks of 20 µs: 0.96
/// of `rayon::scope` in place; 1,000 empty tasks, 4 at a time: 380 times faster than threads and a semaphore
/// of std.
///
/// # Instead
/// Use a [`Group`](super::Group) for tasks that outlive the call that spawns them.
pub struct Scope<'scope, 'env: 'scope, E: 'env> {
    pub(super) core: Core<E>,
    /// Invariant, as in `std::thread::Scope`: a longer borrow must not coerce to a shorter one.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

impl<'env, E: 'env> Scope<'_, 'env, E> {
    #[track_caller]
    pub(super) fn new(executor: Option<Arc<dyn Spawn>>, token: &CancelToken) -> Self {
        Scope { core: Core::new("Scope", executor, token), scope: PhantomData, env: PhantomData }
    }
}

impl<'scope, 'env, E: Send + 'env> Scope<'scope, 'env, E> {
    /// Spawns a task, which returns `()` or a `Result`. Never blocks.
    ///
    /// The task does not start if the scope is cancelled first. If the operating system refuses a thread, the
    /// task runs when another task ends, or on the thread that waits for the scope.
    pub fn spawn<F, R>(&'scope self, f: F)
    where
        F: FnOnce(&CancelToken) -> R + Send + 'scope,
        R: TaskResult<E, Value = ()>,
    {
        self.push(None, f);
    }

    /// Like [`spawn`](Scope::spawn), with a name, which [`wait_until`](Scope::wait_until) reports while the
    /// task runs.
    pub fn spawn_named<F, R>(&'scope self, name: &str, f: F)
    where
        F: FnOnce(&CancelToken) -> R + Send + 'scope,
        R: TaskResult<E, Value = ()>,
    {
        self.push(Some(Arc::from(name)), f);
    }

    /// Spawns a task if fewer tasks than the [limit](Scope::limit) are queued or running.
    ///
    /// # Errors
    /// [`TryError::WouldBlock`] with the closure if the limit is reached. Never without a limit.
    pub fn try_spawn<F, R>(&'scope self, f: F) -> Result<(), Rejected<F, TryError>>
    where
        F: FnOnce(&CancelToken) -> R + Send + 'scope,
        R: TaskResult<E, Value = ()>,
    {
        self.try_push(|| None, f)
    }

    /// Like [`try_spawn`](Scope::try_spawn), with a name as in [`spawn_named`](Scope::spawn_named).
    ///
    /// # Errors
    /// As [`try_spawn`](Scope::try_spawn).
    pub fn try_spawn_named<F, R>(&'scope self, name: &str, f: F) -> Result<(), Rejected<F, TryError>>
    where
        F: FnOnce(&CancelToken) -> R + Send + 'scope,
        R: TaskResult<E, Value = ()>,
    {
        self.try_push(|| Some(Arc::from(name)), f)
    }

    /// Spawns a task with a result, which the [`Handle`] returns. The task's error or panic is the scope's.
    pub fn submit<F, R>(&'scope self, f: F) -> Handle<R::Value>
    where
        F: FnOnce(&CancelToken) -> R + Send + 'scope,
        R: TaskResult<E>,
        R::Value: Send + 'scope,
    {
        // Pushed even if the scope is cancelled: the handle then reports that there is no result.
        Completer::new().push(&self.core.set, None, |completer| {
            erase::lifetime(Box::new(move || {
                // On the running thread, so that the wait-for graph knows the owner.
                completer.begin();
                self.core.run(None, |token| f(token).into_result(), move |result| completer.keep(result))
            }))
        })
    }

    /// Limits the number of tasks that run at once to `limit`, from here on. Running tasks continue; spawned
    /// ones are queued.
    ///
    /// A plain limit could deadlock: ten tasks wait for a cancel, or an item, that the eleventh would
    /// provide. So if all running tasks are blocked in calls of this crate, one more is started, until one of
    /// them is runnable. A task that is blocked in any other call (a lock of std, a socket, a loop) counts as
    /// runnable, and so does one whose wait ends by itself within three seconds, unless no task has started
    /// or ended for as long. A task that waits for a scope of its own is runnable while that scope's tasks
    /// are. To limit how many tasks *hold* a resource, blocked or not, let them hold a permit of a
    /// [`Semaphore`](crate::Semaphore).
    ///
    /// # Panics
    /// If `limit` is 0, since no task could ever start.
    #[track_caller]
    pub fn limit(&self, limit: usize) {
        assert!(limit > 0, "a limit of 0 tasks would never start one; the least is 1");
        TaskSet::limit(&self.core.set, limit);
    }

    /// From here on an error does not stop the other tasks: running ones continue and queued ones start. The
    /// first error is still returned; [`take_errors`](Scope::take_errors) returns all of them. A panic still
    /// stops the rest.
    pub fn keep_going(&self) {
        self.core.keep_going();
    }

    /// Calls `f` when the scope stops: after a failure, a [`cancel`](Scope::cancel), or a cancel of the
    /// caller's token. This is for tasks that wait without the token: close a queue, notify a condvar.
    ///
    /// `f` is called once, outside all locks, before the scope waits for its tasks, on the thread that stops
    /// the scope; at a deadline, on the crate's alarm thread. If the scope has stopped already, it is called
    /// at once; if the scope never stops, it is not called. A panic in it counts as a task's. Its return
    /// value is dropped.
    ///
    /// ```
    /// use selvedge::{BoundedQueue, CancelToken, group};
    ///
    /// let queue = BoundedQueue::<u32>::new(1);
    /// let result = group::scope(&CancelToken::new(), |g| {
    ///     g.on_stop(|| queue.close());
    ///     g.spawn(|_| {
    ///         while queue.pop().is_ok() {} // no token here: only closing ends it
    ///         Ok(())
    ///     });
    ///     g.spawn(|_| Err("the disk is full"));
    ///     Ok(())
    /// });
    /// assert_eq!(result, Err(group::Error::Failed("the disk is full")));
    /// ```
    pub fn on_stop<F, R>(&'scope self, f: F)
    where
        F: FnOnce() -> R + Send + 'scope,
    {
        // Erased like a task: the task set counts a running hook as present.
        self.core.on_stop(erase::lifetime(Box::new(move || self.core.run_stop_hook(f))));
    }

    /// Returns the token, which the first error, a panic, or the caller's token cancels.
    pub fn token(&self) -> &CancelToken {
        &self.core.token
    }

    /// Stops the scope's tasks without an error.
    pub fn cancel(&self) {
        self.core.token.cancel();
    }

    /// Waits until all present tasks have ended, and runs those that have not started. This is for a body
    /// that continues with what the tasks have done; the scope waits in the end anyway.
    ///
    /// # Errors
    /// [`WouldDeadlock`] if a task of the scope calls it, or if a task waits, directly or through others, for
    /// the calling thread. A body that no task waits for never gets it, and may propagate it with `?`.
    #[track_caller]
    pub fn wait(&self) -> Result<(), WouldDeadlock> {
        self.core.set.wait()
    }

    /// Like [`wait`](Scope::wait), waiting until `limit` at most. It runs no task, since a task might outlast
    /// the limit.
    ///
    /// ```
    /// use std::time::Duration;
    /// use selvedge::{CancelToken, Latch, group};
    ///
    /// let started = Latch::new(1);
    /// let result = group::scope(&CancelToken::new(), |g| {
    ///     g.spawn_named("slow", |token| {
    ///         started.count_down();
    ///         token.sleep(Duration::from_secs(3600)).map_err(|_| "cancelled")
    ///     });
    ///     started.wait();
    ///     let late = g.wait_until(Duration::from_millis(50)).unwrap_err();
    ///     assert_eq!(late.value.running, ["slow"]);
    ///     g.cancel();
    ///     Ok(())
    /// });
    /// assert_eq!(result, Err(group::Error::Failed("cancelled")));
    /// ```
    ///
    /// # Errors
    /// With the unfinished tasks: [`WaitError::TimedOut`](crate::error::WaitError::TimedOut),
    /// [`WaitError::Cancelled`](crate::error::WaitError::Cancelled) if the limit's token was cancelled, or
    /// [`WaitError::WouldDeadlock`](crate::error::WaitError::WouldDeadlock) as for [`wait`](Scope::wait).
    #[track_caller]
    pub fn wait_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<(), Partial<Unfinished>> {
        self.core.set.wait_until(limit.into())
    }

    /// Takes the errors so far, in the order in which they occurred. The caller is responsible for them: the
    /// scope no longer returns them. After [`wait`](Scope::wait), these are the errors of all tasks.
    ///
    /// ```
    /// use selvedge::{CancelToken, group};
    ///
    /// let bad = group::scope(&CancelToken::new(), |g| {
    ///     g.keep_going();
    ///     for n in 0..4 {
    ///         g.spawn(move |_| if n % 2 == 0 { Ok(()) } else { Err(n) });
    ///     }
    ///     g.wait().unwrap(); // the body may wait: no task waits for it
    ///     Ok(g.take_errors().len())
    /// });
    /// assert_eq!(bad, Ok(2));
    /// ```
    #[must_use = "the errors are lost: the scope does not return them any more"]
    pub fn take_errors(&self) -> Vec<E> {
        self.core.take_errors()
    }

    fn push<F, R>(&'scope self, name: Option<Arc<str>>, f: F)
    where
        F: FnOnce(&CancelToken) -> R + Send + 'scope,
        R: TaskResult<E, Value = ()>,
    {
        let task = self.task(name.clone(), f);
        // Whether a thread was started does not matter here: the owner runs what no helper has taken.
        let _ = TaskSet::push(&self.core.set, name, task);
    }

    fn try_push<F, R>(
        &'scope self,
        name: impl FnOnce() -> Option<Arc<str>>,
        f: F,
    ) -> Result<(), Rejected<F, TryError>>
    where
        F: FnOnce(&CancelToken) -> R + Send + 'scope,
        R: TaskResult<E, Value = ()>,
    {
        // Reserved before the name and the task are built, so that a refused closure comes back unchanged.
        if !self.core.set.reserve() {
            return Err(Rejected::new(f, TryError::WouldBlock));
        }
        let name = name();
        let task = self.task(name.clone(), f);
        TaskSet::push_reserved(&self.core.set, name, task);
        Ok(())
    }

    /// Wraps a closure to catch how it ends, and erases its lifetime.
    fn task<F, R>(&'scope self, name: Option<Arc<str>>, f: F) -> Task
    where
        F: FnOnce(&CancelToken) -> R + Send + 'scope,
        R: TaskResult<E, Value = ()>,
    {
        // Goes straight to the task set: argument 1 of `erase::lifetime`.
        erase::lifetime(Box::new(move || self.core.run(name, |token| f(token).into_result(), |()| ())))
    }
}

impl<'env, E: 'env> fmt::Debug for Scope<'_, 'env, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("set", &self.core.set)
            .field("token", &self.core.token)
            .finish_non_exhaustive()
    }
}

impl<E> UnwindSafe for Scope<'_, '_, E> {}
impl<E> RefUnwindSafe for Scope<'_, '_, E> {}
