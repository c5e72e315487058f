//! Spawning tasks that own what they use.

use std::convert::Infallible;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::TaskResult;
use super::core::Core;
use super::handle::{self, Completer, Handle};
use super::state::Task;
use super::task_set::TaskSet;
use crate::cancel::CancelToken;
use crate::error::{Closed, Rejected, TryError};
use crate::sync::{Arc, weak};

/// Spawns tasks into a [`Group`](super::Group); it can be cloned, sent to other threads, and kept by the
/// group's own tasks.
///
/// It does not keep the group open: once the group is cancelled or dropped, spawns return their closures.
///
/// # Examples
/// A task that spawns tasks:
///
/// ```
/// use selvedge::{CancelToken, group::Group};
///
/// let group = Group::<std::io::Error>::new(&CancelToken::new());
/// let spawner = group.spawner();
/// group.spawn(move |_| {
///     for part in 0..3 {
///         let spawned = spawner.spawn(move |_| Ok(println!("part {part}")));
///         spawned.map_err(|_| std::io::Error::other("stopped"))?;
///     }
///     Ok(())
/// })?;
/// group.wait()?; // for the parts too
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Blocking
/// Never blocks: each call spawns the task or returns the closure.
///
/// # Cancellation
/// A task that was accepted during the cancel of the group may not start; then the group's wait fails with
/// [`Error::Cancelled`](super::Error::Cancelled). A wait that waits for a task also waits for the tasks that
/// it spawns.
///
/// # Panics
/// A task's panic belongs to the [`Group`](super::Group). Dropping the last spawner drops the errors that
/// were not taken, and runs no other code.
///
/// # Ordering
/// As for the [`Group`](super::Group): what a thread did before a spawn is visible to the task.
///
/// # Proof
/// Models in `loom-tests/tests/group_limit.rs`: `a_wait_misses_no_spawn_that_races_it`,
/// `a_spawn_that_races_the_cancel_runs_or_comes_back_or_is_told`.
///
/// # Cost
/// A clone increments a reference count. A spawn costs as much as one on the group; bench `ratios`.
///
/// # Instead
/// Use the [`Scope`](super::Scope), which tasks can borrow, if they need not outlive the call.
pub struct Spawner<E = Infallible> {
    pub(super) core: weak::Arc<Core<Arc<E>>>,
}

impl<E: Send + Sync + 'static> Spawner<E> {
    /// Spawns a task, which returns `()` or a `Result`. Never blocks.
    ///
    /// # Errors
    /// [`Closed`], with the closure, once the group is cancelled.
    pub fn spawn<F, R>(&self, f: F) -> Result<(), Rejected<F, Closed>>
    where
        F: FnOnce(&CancelToken) -> R + Send + 'static,
        R: TaskResult<E, Value = ()>,
    {
        self.push(|| None, f)
    }

    /// Like [`spawn`](Spawner::spawn), with a name, which a wait that ends early reports while the task runs.
    ///
    /// # Errors
    /// As [`spawn`](Spawner::spawn).
    pub fn spawn_named<F, R>(&self, name: &str, f: F) -> Result<(), Rejected<F, Closed>>
    where
        F: FnOnce(&CancelToken) -> R + Send + 'static,
        R: TaskResult<E, Value = ()>,
    {
        self.push(|| Some(Arc::from(name)), f)
    }

    /// Spawns a task if fewer tasks than the [limit](super::Group::limit) are queued or running.
    ///
    /// # Errors
    /// With the closure: [`TryError::WouldBlock`] if the limit is reached, [`TryError::Closed`].
    pub fn try_spawn<F, R>(&self, f: F) -> Result<(), Rejected<F, TryError>>
    where
        F: FnOnce(&CancelToken) -> R + Send + 'static,
        R: TaskResult<E, Value = ()>,
    {
        self.try_push(|| None, f)
    }

    /// Like [`try_spawn`](Spawner::try_spawn), with a name as in [`spawn_named`](Spawner::spawn_named).
    ///
    /// # Errors
    /// As [`try_spawn`](Spawner::try_spawn).
    pub fn try_spawn_named<F, R>(&self, name: &str, f: F) -> Result<(), Rejected<F, TryError>>
    where
        F: FnOnce(&CancelToken) -> R + Send + 'static,
        R: TaskResult<E, Value = ()>,
    {
        self.try_push(|| Some(Arc::from(name)), f)
    }

    /// Spawns a task with a result, which the [`Handle`] returns. The task's error or panic is the group's.
    ///
    /// # Errors
    /// As [`spawn`](Spawner::spawn).
    pub fn submit<F, R>(&self, f: F) -> Result<Handle<R::Value>, Rejected<F, Closed>>
    where
        F: FnOnce(&CancelToken) -> R + Send + 'static,
        R: TaskResult<E>,
        R::Value: Send + 'static,
    {
        // Checked without a lock: a task that is pushed despite a concurrent cancel is dropped unstarted, and
        // the wait reports it.
        if self.core.token.is_cancelled() {
            return Err(Rejected::new(f, Closed));
        }
        let core = weak::Arc::clone(&self.core);
        Ok(Completer::new().push(&self.core.set, Some(handle::drop_later), |completer| {
            Box::new(move || {
                // On the running thread, so that the wait-for graph knows the owner.
                completer.begin();
                // Shared, since each wait of a group returns the error.
                let run = |token: &CancelToken| f(token).into_result().map_err(Arc::new);
                core.run(None, run, move |result| completer.keep(result))
            })
        }))
    }

    /// Returns the group's token.
    pub fn token(&self) -> &CancelToken {
        &self.core.token
    }

    fn push<F, R>(&self, name: impl FnOnce() -> Option<Arc<str>>, f: F) -> Result<(), Rejected<F, Closed>>
    where
        F: FnOnce(&CancelToken) -> R + Send + 'static,
        R: TaskResult<E, Value = ()>,
    {
        if self.core.token.is_cancelled() {
            return Err(Rejected::new(f, Closed));
        }
        // Only now: a refused task's name is not allocated.
        let name = name();
        let _ = TaskSet::push(&self.core.set, name.clone(), self.task(name, f));
        Ok(())
    }

    fn try_push<F, R>(
        &self,
        name: impl FnOnce() -> Option<Arc<str>>,
        f: F,
    ) -> Result<(), Rejected<F, TryError>>
    where
        F: FnOnce(&CancelToken) -> R + Send + 'static,
        R: TaskResult<E, Value = ()>,
    {
        if self.core.token.is_cancelled() {
            return Err(Rejected::new(f, TryError::Closed));
        }
        // Reserved before the name and the task are built, so that a refused closure comes back unchanged.
        if !self.core.set.reserve() {
            return Err(Rejected::new(f, TryError::WouldBlock));
        }
        let name = name();
        TaskSet::push_reserved(&self.core.set, name.clone(), self.task(name, f));
        Ok(())
    }

    fn task<F, R>(&self, name: Option<Arc<str>>, f: F) -> Task
    where
        F: FnOnce(&CancelToken) -> R + Send + 'static,
        R: TaskResult<E, Value = ()>,
    {
        let core = weak::Arc::clone(&self.core);
        // A strong reference: the core outlives its tasks even if the group is leaked.
        Box::new(move || core.run(name, |token| f(token).into_result().map_err(Arc::new), |()| ()))
    }
}

impl<E> Clone for Spawner<E> {
    fn clone(&self) -> Self {
        Spawner { core: weak::Arc::clone(&self.core) }
    }
}

impl<E> fmt::Debug for Spawner<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawner")
            .field("set", &self.core.set)
            .field("token", &self.core.token)
            .finish_non_exhaustive()
    }
}

impl<E> UnwindSafe for Spawner<E> {}
impl<E> RefUnwindSafe for Spawner<E> {}
