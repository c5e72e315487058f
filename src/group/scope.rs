//! Where a scope's tasks are spawned.

use std::fmt;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::core::Core;
use super::handle::{Handle, Maker};
use super::state::Task;
use super::task_set::Spawn;
use super::task_set::TaskSet;
use super::{TaskResult, Unfinished, erase};
use crate::cancel::CancelToken;
use crate::error::{Partial, Rejected, TryError, WouldDeadlock};
use crate::sync::Arc;
use crate::until::Until;

/// Where tasks are spawned that borrow from the stack; [`scope`](super::scope()) lends it to its body.
///
/// A task gets the scope's token. It may spawn others by the scope that its closure borrows.
///
/// `E` is the error of its tasks. That it outlives `'env` is no restriction, since the scope returns it; it
/// is said so that the compiler knows it of an `E` like `Box<dyn Error + Send + Sync>`, and does not ask
/// borrows for `'static`.
///
/// # Examples
/// A walk over a tree, each branch of which is a task that may spawn more:
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use selvedge::{CancelToken, group::{self, Scope}};
///
/// fn visit<'scope>(g: &'scope Scope<'scope, '_, std::convert::Infallible>, depth: u32, leaves: &'scope AtomicU64) {
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
/// Spawning never blocks. [`wait`](Scope::wait) and [`wait_until`](Scope::wait_until) block until the tasks
/// that are there have ended, a [`Handle`]'s join until one has.
///
/// # Cancellation
/// After a failure, a [`cancel`](Scope::cancel), or a cancel of the caller's token, tasks that have not
/// started never do: their closures are dropped by the threads that would have run them. Those that run are
/// told by the token.
///
/// # Panics
/// A task's panic stops the rest and resumes where [`scope`](super::scope()) was called, when all have ended.
///
/// # Fairness
/// Tasks start in the order in which they were spawned, but for one that is joined before, which its joiner
/// may run.
///
/// # Cost
/// One allocation a task, and one more for each that has a handle; bench `group`.
///
/// # Instead
/// A [`Group`](super::Group) where tasks outlive the call that spawns them.
pub struct Scope<'scope, 'env: 'scope, E: 'env> {
    pub(super) core: Core<E>,
    /// Invariant, as in `std::thread::Scope`: a longer borrow must not pass for a shorter one.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

impl<'env, E: 'env> Scope<'_, 'env, E> {
    pub(super) fn new(spawn: Option<Arc<dyn Spawn>>, token: &CancelToken) -> Self {
        Scope { core: Core::new(spawn, token), scope: PhantomData, env: PhantomData }
    }
}

impl<'scope, 'env, E: Send + 'env> Scope<'scope, 'env, E> {
    /// Spawns a task, which returns `()` or a `Result`. Never blocks.
    ///
    /// It is not started if the scope is cancelled first. If the operating system refuses a thread, the
    /// task runs when another ends, or on the thread that waits for the scope.
    pub fn spawn<F, R>(&'scope self, f: F)
    where
        F: FnOnce(&CancelToken) -> R + Send + 'scope,
        R: TaskResult<E, Value = ()>,
    {
        self.push(None, f);
    }

    /// Like [`spawn`](Scope::spawn); the name is what [`wait_until`](Scope::wait_until) tells of a task that
    /// runs.
    pub fn spawn_named<F, R>(&'scope self, name: &str, f: F)
    where
        F: FnOnce(&CancelToken) -> R + Send + 'scope,
        R: TaskResult<E, Value = ()>,
    {
        self.push(Some(Arc::from(name)), f);
    }

    /// Spawns a task if fewer than the [limit](Scope::limit)'s number are there, running or waiting.
    ///
    /// # Errors
    /// [`TryError::WouldBlock`] with the closure if the limit is reached. Never without a limit.
    pub fn try_spawn<F, R>(&'scope self, f: F) -> Result<(), Rejected<F, TryError>>
    where
        F: FnOnce(&CancelToken) -> R + Send + 'scope,
        R: TaskResult<E, Value = ()>,
    {
        self.try_post(|| None, f)
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
        self.try_post(|| Some(Arc::from(name)), f)
    }

    /// Spawns a task that has a result, which the [`Handle`] waits for. Its error or panic is the scope's.
    pub fn submit<F, R>(&'scope self, f: F) -> Handle<R::Value>
    where
        F: FnOnce(&CancelToken) -> R + Send + 'scope,
        R: TaskResult<E>,
        R::Value: Send + 'scope,
    {
        Maker::new().push(&self.core.set, None, |maker| {
            erase::lifetime(Box::new(move || {
                maker.begin();
                self.core.run(None, |token| f(token).into_result(), move |result| maker.keep(result))
            }))
        })
    }

    /// From here on starts a task only while fewer than `limit` run. Those that run go on, those that are
    /// spawned wait.
    ///
    /// A limit alone could hang: ten tasks wait for a cancel, or an item, that the eleventh would bring. So
    /// if all that run sleep in calls of this crate, one more is started, until one of them is awake. Tasks
    /// that wait in other calls (a lock of std's, a socket, a loop) count as awake, and so do those whose
    /// sleep ends by itself within three seconds, unless nothing has started or ended for as long. A task
    /// that waits for a scope of its own is awake while that scope's tasks are. To bound how many tasks
    /// *hold* something, asleep or not, let them hold a permit of a [`Semaphore`](crate::Semaphore).
    ///
    /// # Panics
    /// If `limit` is 0: no task could ever start.
    #[track_caller]
    pub fn limit(&self, limit: usize) {
        assert!(limit > 0, "a limit of 0 tasks would never start one; the least is 1");
        TaskSet::limit(&self.core.set, limit);
    }

    /// From here on an error stops nobody: the other tasks go on, and those that wait start. The first error
    /// is returned all the same; [`take_errors`](Scope::take_errors) has all. A panic stops the rest as ever.
    pub fn keep_going(&self) {
        self.core.keep_going();
    }

    /// Calls `f` when the scope stops: by a failure, by [`cancel`](Scope::cancel), or because the caller's
    /// token was cancelled. For what tasks wait on without the token: close a queue, wake a condvar.
    ///
    /// It is called once, before anybody is joined and outside all locks, on the thread that stops the scope;
    /// at a deadline, on the crate's alarm thread; at once if the scope has stopped already; not at all if it
    /// never stops. A panic in it is a task's; what it returns is dropped.
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
        self.core.on_stop(erase::lifetime(Box::new(move || self.core.closer(f))));
    }

    /// The token that the first error, a panic, or the caller's token cancels.
    pub fn token(&self) -> &CancelToken {
        &self.core.token
    }

    /// Stops the rest, without an error.
    pub fn cancel(&self) {
        self.core.token.cancel();
    }

    /// Waits until the tasks that are there have ended, and runs those that nobody has started. For a body
    /// that goes on with what the tasks have done; the scope waits in the end anyway.
    ///
    /// # Errors
    /// [`WouldDeadlock`] if a task of the scope calls it, or one waits, itself or through others, for this
    /// thread. A body that nothing waits for never sees it, and may pass it on by `?`.
    #[track_caller]
    pub fn wait(&self) -> Result<(), WouldDeadlock> {
        self.core.set.wait()
    }

    /// Like [`wait`](Scope::wait), and waits at most until `limit`. It runs no task, as that might outlast
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
    /// With who has not ended: [`WaitError::TimedOut`](crate::error::WaitError::TimedOut),
    /// [`WaitError::Cancelled`](crate::error::WaitError::Cancelled) if the limit's token was, or
    /// [`WaitError::WouldDeadlock`](crate::error::WaitError::WouldDeadlock) as for [`wait`](Scope::wait).
    #[track_caller]
    pub fn wait_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<(), Partial<Unfinished>> {
        self.core.set.wait_until(limit.into())
    }

    /// Takes the errors that have come so far, in the order in which they came. Who takes them answers for
    /// them: the scope does not return them any more. After [`wait`](Scope::wait), they are those of all
    /// tasks.
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
        let _ = TaskSet::push(&self.core.set, name, task);
    }

    fn try_post<F, R>(
        &'scope self,
        name: impl FnOnce() -> Option<Arc<str>>,
        f: F,
    ) -> Result<(), Rejected<F, TryError>>
    where
        F: FnOnce(&CancelToken) -> R + Send + 'scope,
        R: TaskResult<E, Value = ()>,
    {
        if !self.core.set.reserve() {
            return Err(Rejected::new(f, TryError::WouldBlock));
        }
        let name = name();
        let task = self.task(name.clone(), f);
        TaskSet::post_reserved(&self.core.set, name, task);
        Ok(())
    }

    /// The closure with what catches its end around it, and without its lifetime.
    fn task<F, R>(&'scope self, name: Option<Arc<str>>, f: F) -> Task
    where
        F: FnOnce(&CancelToken) -> R + Send + 'scope,
        R: TaskResult<E, Value = ()>,
    {
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
