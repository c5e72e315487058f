//! Spawning tasks that own what they use.

use std::convert::Infallible;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::TaskResult;
use super::core::Core;
use super::handle::{self, Handle, Maker};
use super::state::Task;
use super::task_set::TaskSet;
use crate::cancel::CancelToken;
use crate::error::{Closed, Rejected, TryError};
use crate::sync::{Arc, weak};

/// Spawns tasks into a [`Group`](super::Group), and can be cloned, sent, and kept by the group's own tasks.
///
/// It does not keep the group open: once the group is cancelled or dropped, it gives closures back.
///
/// ```
/// use selvedge::{CancelToken, group::Group};
///
/// let group = Group::<std::io::Error>::new(&CancelToken::new());
/// let spawner = group.spawner();
/// group.spawn(move |_| {
///     for part in 0..3 {
///         spawner.spawn(move |_| Ok(println!("part {part}"))).map_err(|_| std::io::Error::other("stopped"))?;
///     }
///     Ok(())
/// })?;
/// group.wait()?; // for the parts too
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Blocking
/// Never: each call spawns, or gives the closure back.
///
/// # Cancellation
/// A task that was accepted while the group is being cancelled may not start; then the group's wait fails
/// with [`Error::Cancelled`](super::Error::Cancelled). A task that a running task of the group spawns is
/// waited for by every wait that waits for that task.
///
/// # Panics
/// A task's panic is the [`Group`](super::Group)'s. The drop of the last spawner runs no code but the drops
/// of errors that nobody has taken.
///
/// # Cost
/// A clone is one more reference. Each spawn costs what the group's own does; bench `group`.
///
/// # Instead
/// The [`Scope`](super::Scope) that a task borrows, if it can borrow.
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

    /// Like [`spawn`](Spawner::spawn); the name is what a wait that ends early tells of a task that runs.
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

    /// Spawns a task if fewer than the [limit](super::Group::limit)'s number are there, running or waiting.
    ///
    /// # Errors
    /// With the closure: [`TryError::WouldBlock`] if the limit is reached, [`TryError::Closed`].
    pub fn try_spawn<F, R>(&self, f: F) -> Result<(), Rejected<F, TryError>>
    where
        F: FnOnce(&CancelToken) -> R + Send + 'static,
        R: TaskResult<E, Value = ()>,
    {
        self.try_post(|| None, f)
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
        self.try_post(|| Some(Arc::from(name)), f)
    }

    /// Spawns a task that has a result, which the [`Handle`] waits for. Its error or panic is the group's.
    ///
    /// # Errors
    /// As [`spawn`](Spawner::spawn).
    pub fn submit<F, R>(&self, f: F) -> Result<Handle<R::Value>, Rejected<F, Closed>>
    where
        F: FnOnce(&CancelToken) -> R + Send + 'static,
        R: TaskResult<E>,
        R::Value: Send + 'static,
    {
        if self.core.token.is_cancelled() {
            return Err(Rejected::new(f, Closed));
        }
        let core = weak::Arc::clone(&self.core);
        Ok(Maker::new().push(&self.core.set, Some(handle::drop_later), |maker| {
            Box::new(move || {
                maker.begin();
                let run = |token: &CancelToken| f(token).into_result().map_err(Arc::new);
                core.run(None, run, move |result| maker.keep(result))
            })
        }))
    }

    /// The group's token.
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
        let name = name();
        let _ = TaskSet::push(&self.core.set, name.clone(), self.task(name, f));
        Ok(())
    }

    fn try_post<F, R>(
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
        if !self.core.set.reserve() {
            return Err(Rejected::new(f, TryError::WouldBlock));
        }
        let name = name();
        TaskSet::post_reserved(&self.core.set, name.clone(), self.task(name, f));
        Ok(())
    }

    fn task<F, R>(&self, name: Option<Arc<str>>, f: F) -> Task
    where
        F: FnOnce(&CancelToken) -> R + Send + 'static,
        R: TaskResult<E, Value = ()>,
    {
        let core = weak::Arc::clone(&self.core);
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
