//! Tasks that borrow, for those who spawn them one by one while something else of the caller's runs.
//!
//! A [`Scope`](super::Scope) lends itself to its tasks, which is why its lifetime is any that the caller
//! picks. A nursery is shared by reference count instead, so the tasks' lifetime can be a parameter of the
//! type that is spawned from: a pipeline's stages are put together by types, and name it.

use std::io;
use std::marker::PhantomData;

use super::erase::{self, NoUnwind};
use super::task_set::Spawn;
use super::task_set::TaskSet;
use crate::cancel::CancelToken;
use crate::panics;
use crate::sync::{Arc, Mutex};

/// Where tasks that live for `'a` are spawned.
pub(crate) struct Nursery<'a> {
    set: Arc<TaskSet>,
    /// Once true, nothing is posted any more.
    closed: Mutex<bool>,
    /// Invariant: a nursery for long-lived tasks must not pass for one that takes shorter ones.
    tasks: PhantomData<fn(&'a ()) -> &'a ()>,
}

impl<'a> Nursery<'a> {
    fn empty(spawn: Option<Arc<dyn Spawn>>) -> Arc<Self> {
        Arc::new(Nursery {
            set: Arc::new(TaskSet::new(spawn)),
            closed: Mutex::new(false),
            tasks: PhantomData,
        })
    }

    /// Lets a thread run `task` soon; drops it if the nursery is closed.
    ///
    /// # Errors
    /// If no thread is to be had now: then the task runs when another task ends, or at the end.
    pub(crate) fn spawn(&self, task: impl FnOnce() + Send + 'a) -> io::Result<()> {
        match self.put(task) {
            Some(_) => TaskSet::call(&self.set),
            None => Ok(()),
        }
    }

    /// Like [`spawn`](Nursery::spawn), for a task that is [withdrawn](Nursery::withdraw) if no thread is to
    /// be had: the task's number, or `None` if the nursery is closed.
    pub(crate) fn offer(&self, task: impl FnOnce() + Send + 'a) -> Option<usize> {
        let number = self.put(task)?;
        // Who offers it has a token to be told by.
        let _ = TaskSet::call(&self.set);
        Some(number)
    }

    /// Drops the task of that number; false if a thread has taken it.
    pub(crate) fn withdraw(&self, number: usize) -> bool {
        TaskSet::withdraw(&self.set, number).map(panics::drop_here).is_some()
    }

    /// Posts a task; its number, or `None` if the nursery is closed, and the task is dropped.
    fn put(&self, task: impl FnOnce() + Send + 'a) -> Option<usize> {
        let task = erase::lifetime(Box::new(move || {
            task();
            true
        }));
        // Held while it is posted: nothing comes after `close`. Not while a thread is called, which may take
        // long, and may run others' tasks; nor while a task that came too late is dropped, which was declared
        // first.
        let closed = self.closed.lock();
        if *closed {
            return None;
        }
        Some(self.set.put(task))
    }

    /// Cancels `token` if a thread that was called for the nursery's tasks, from now on, is not to be had;
    /// whoever waits for what one of the tasks brings does the work then.
    pub(crate) fn tell_of_refusal(&self, token: CancelToken) {
        self.set.tell_of_refusal(token);
    }

    /// Takes no more tasks, runs those that nobody has started, and waits until the others have ended and are
    /// dropped.
    pub(crate) fn close(&self) {
        *self.closed.lock() = true;
        self.set.finish();
    }
}

impl Nursery<'static> {
    /// A nursery for tasks that borrow nothing, so that nobody need wait for them.
    pub(crate) fn owned(spawn: Option<Arc<dyn Spawn>>) -> Arc<Self> {
        Nursery::empty(spawn)
    }
}

/// Runs `body` with a nursery, then `stop`, then [closes](Nursery::close) the nursery, whatever the two did.
///
/// Sound because of 1 and 2 of [`erase::lifetime`]; because this does not return or unwind past `close`,
/// which returns when no task is present, where `scope` has `finish_for_good`; and because nothing is posted
/// once `close` has begun, whoever still holds the nursery. What a task borrows for `'a` outlives this call,
/// since the caller chose `'a`.
pub(crate) fn nursery<'a, R>(
    spawn: Option<Arc<dyn Spawn>>,
    body: impl FnOnce(&Arc<Nursery<'a>>) -> R,
    stop: impl FnOnce(),
) -> R {
    let nursery = Nursery::empty(spawn);
    let result = panics::catch(|| body(&nursery));
    let stopped = panics::catch(stop);
    let guard = NoUnwind;
    nursery.close();
    std::mem::forget(guard);
    match (result, stopped) {
        (Ok(result), Ok(())) => result,
        // The body's own panic before one of a callback that ran while stopping. What is not passed on is
        // dropped before the unwinding begins.
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

    /// Fails if the nursery still takes tasks once it has closed (edit `yard-does-not-close`): this one would
    /// sleep on a helper, with what it holds.
    #[test]
    fn task_that_is_spawned_in_a_closed_yard_is_dropped_at_once() {
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

    /// Fails if the nursery does not wait for its tasks (edit `yard-does-not-wait`).
    #[test]
    fn yard_that_returns_has_run_its_tasks() {
        let ran = AtomicBool::new(false);
        let told = nursery(nobody(), |nursery| nursery.spawn(|| ran.store(true, Relaxed)), || ());
        assert!(told.is_err(), "no thread is to be had");
        assert!(ran.load(Relaxed));
    }

    /// Fails if the body's panic goes past the tasks (edit `yard-unwinds-past-its-tasks`).
    #[test]
    fn yard_whose_body_panics_has_run_its_tasks() {
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

    /// Fails if a panic of what stops the tasks goes past them (edit `yard-unwinds-when-it-stops`).
    #[test]
    fn yard_that_panics_when_it_stops_has_run_its_tasks() {
        let ran = AtomicBool::new(false);
        let result = panics::catch(|| {
            let stop = || panics::resume(Box::new("a callback's"));
            let _ = nursery(nobody(), |nursery| nursery.spawn(|| ran.store(true, Relaxed)), stop);
        });
        assert_eq!(result.unwrap_err().downcast_ref(), Some(&"a callback's"));
        assert!(ran.load(Relaxed));
    }
}
