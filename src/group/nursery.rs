//! Tasks that borrow, spawned one by one while other code of the caller runs.
//!
//! A [`Scope`](super::Scope) lends itself to its tasks, so its lifetime is any that the caller picks. A
//! nursery is reference-counted instead, so the lifetime of its tasks can be a parameter of the type that
//! spawns them: a pipeline is assembled from types that name it.

use std::io;
use std::marker::PhantomData;

use super::erase::{self, NoUnwind};
use super::task_set::{Origin, Spawn, TaskSet};
use crate::cancel::CancelToken;
use crate::panics;
use crate::sync::{Arc, Mutex};

/// Spawns tasks that live for `'a`.
pub(crate) struct Nursery<'a> {
    set: Arc<TaskSet>,
    /// Once true, no task is pushed any more.
    closed: Mutex<bool>,
    /// Invariant: a nursery for long-lived tasks must not coerce to one for shorter-lived ones.
    tasks: PhantomData<fn(&'a ()) -> &'a ()>,
}

impl<'a> Nursery<'a> {
    #[track_caller]
    fn empty(executor: Option<Arc<dyn Spawn>>) -> Arc<Self> {
        Arc::new(Nursery {
            set: Arc::new(TaskSet::new(executor, Origin::here("Pipeline"))),
            closed: Mutex::new(false),
            tasks: PhantomData,
        })
    }

    /// Runs `task` on some thread soon; drops it if the nursery is closed.
    ///
    /// # Errors
    /// If no thread is available now. The task then runs when another task ends, or at the end.
    pub(crate) fn spawn(&self, task: impl FnOnce() + Send + 'a) -> io::Result<()> {
        match self.put(task) {
            // After `push_only` has released `closed`: requesting a thread may take long.
            Some(_) => TaskSet::notify(&self.set),
            None => Ok(()),
        }
    }

    /// Like [`spawn`](Nursery::spawn), for a task that is [withdrawn](Nursery::withdraw) if no thread is
    /// available. Returns its number, or `None` if the nursery is closed.
    pub(crate) fn offer(&self, task: impl FnOnce() + Send + 'a) -> Option<usize> {
        let number = self.put(task)?;
        // The caller has registered a token for refusals.
        let _ = TaskSet::notify(&self.set);
        Some(number)
    }

    /// Drops the task of that number; false if a thread has taken it.
    pub(crate) fn withdraw(&self, number: usize) -> bool {
        // Dropped without a lock: the task's captures are the caller's.
        TaskSet::withdraw(&self.set, number).map(panics::drop_here).is_some()
    }

    /// Pushes a task. Returns its number, or `None` if the nursery is closed; then the task is dropped.
    fn put(&self, task: impl FnOnce() + Send + 'a) -> Option<usize> {
        let task = erase::lifetime(Box::new(move || {
            task();
            true
        }));
        // Held during the push, so that nothing is pushed after `close`. Not held while a thread is
        // requested, which may take long; nor while a late task is dropped, since `task` was declared first.
        let closed = self.closed.lock();
        if *closed {
            return None;
        }
        Some(self.set.push_only(task))
    }

    /// Cancels `token` if a thread that is requested for the nursery's tasks from now on is refused. The
    /// thread that waits for one of the tasks does the work then.
    pub(crate) fn tell_of_refusal(&self, token: CancelToken) {
        self.set.tell_of_refusal(token);
    }

    /// Refuses further tasks, runs those that have not started, and waits until all have ended and are
    /// dropped.
    pub(crate) fn close(&self) {
        // A push in progress holds the lock, so it has ended when this returns; later ones see the flag.
        *self.closed.lock() = true;
        self.set.finish();
    }
}

impl Nursery<'static> {
    /// A nursery for tasks that borrow nothing and need not be waited for.
    #[track_caller]
    pub(crate) fn owned(executor: Option<Arc<dyn Spawn>>) -> Arc<Self> {
        Nursery::empty(executor)
    }
}

/// Runs `body` with a nursery, then `stop`, then [closes](Nursery::close) the nursery, whatever the first two
/// did.
///
/// Sound because of 1 and 2 of [`erase::lifetime`]; because it does not return or unwind past `close`, which
/// returns when no task is present (in `scope`, `finish_and_clear` plays this part); and because nothing is
/// pushed once `close` has begun, even if the nursery is still shared. What a task borrows for `'a` outlives
/// this call, since the caller chose `'a`.
#[track_caller]
pub(crate) fn nursery<'a, R>(
    executor: Option<Arc<dyn Spawn>>,
    body: impl FnOnce(&Arc<Nursery<'a>>) -> R,
    stop: impl FnOnce(),
) -> R {
    let nursery = Nursery::empty(executor);
    let result = panics::catch(|| body(&nursery));
    // Caught like the body: nothing may unwind before the tasks have ended.
    let stopped = panics::catch(stop);
    let guard = NoUnwind;
    nursery.close();
    std::mem::forget(guard);
    match (result, stopped) {
        (Ok(result), Ok(())) => result,
        // The body's own panic takes precedence over one of a callback during `stop`. What is not propagated
        // is dropped before the unwinding starts.
        (Err(payload), stopped) => {
            panics::discard(stopped);
            panics::resume(payload)
        }
        (Ok(result), Err(payload)) => {
            panics::discard(result);
            panics::resume(payload)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Latch;
    use crate::group::task_set::Nobody;
    use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};

    fn nobody() -> Option<Arc<dyn Spawn>> {
        Some(Arc::new(Nobody))
    }

    /// Fails if the nursery takes tasks after it has closed (edit `nursery-does-not-close`): this task would
    /// sleep on a helper, with its captures.
    #[test]
    fn task_that_is_spawned_in_a_closed_nursery_is_dropped_at_once() {
        let nursery = nursery(None, Arc::clone, || ());
        let (held, never) = (Arc::new(()), Arc::new(Latch::new(1)));
        let task = {
            let (held, never) = (Arc::clone(&held), Arc::clone(&never));
            move || {
                never.wait();
                drop(held);
            }
        };
        assert!(nursery.spawn(task).is_ok());
        assert_eq!(Arc::strong_count(&held), 1);
    }

    /// Fails if the nursery does not wait for its tasks (edit `nursery-does-not-wait`).
    #[test]
    fn nursery_that_returns_has_run_its_tasks() {
        let ran = AtomicBool::new(false);
        let told = nursery(nobody(), |nursery| nursery.spawn(|| ran.store(true, Relaxed)), || ());
        assert!(told.is_err(), "no thread is to be had");
        assert!(ran.load(Relaxed));
    }

    /// Fails if the body's panic goes past the tasks (edit `nursery-unwinds-past-its-tasks`).
    #[test]
    fn nursery_whose_body_panics_has_run_its_tasks() {
        let ran = AtomicBool::new(false);
        let result: Result<(), _> = panics::catch(|| {
            nursery(
                nobody(),
                |nursery| {
                    let _ = nursery.spawn(|| ran.store(true, Relaxed));
                    panics::resume(Box::new("the body's"))
                },
                || (),
            )
        });
        assert_eq!(result.unwrap_err().downcast_ref(), Some(&"the body's"));
        assert!(ran.load(Relaxed));
    }

    /// Fails if a panic of what stops the tasks goes past them (edit `nursery-unwinds-when-it-stops`).
    #[test]
    fn nursery_that_panics_when_it_stops_has_run_its_tasks() {
        let ran = AtomicBool::new(false);
        let result = panics::catch(|| {
            let stop = || panics::resume(Box::new("a callback's"));
            let _ = nursery(nobody(), |nursery| nursery.spawn(|| ran.store(true, Relaxed)), stop);
        });
        assert_eq!(result.unwrap_err().downcast_ref(), Some(&"a callback's"));
        assert!(ran.load(Relaxed));
    }
}
