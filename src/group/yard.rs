//! Tasks that borrow, for those who spawn them one by one while something else of the caller's runs.
//!
//! A [`Scope`](super::Scope) lends itself to its tasks, which is why its lifetime is any that the caller picks. A
//! yard is shared by reference count instead, so the tasks' lifetime can be a parameter of the type that is
//! spawned from: a pipeline's stages are put together by types, and name it.

use std::marker::PhantomData;

use super::board::Board;
use super::callers::Callers;
use super::erase::{self, NoUnwind};
use crate::panics;
use crate::sync::{Arc, Mutex};

/// Where tasks that live for `'a` are spawned.
pub(crate) struct Yard<'a> {
    board: Arc<Board>,
    /// Once true, nothing is posted any more.
    closed: Mutex<bool>,
    /// Invariant: a yard for long-lived tasks must not pass for one that takes shorter ones.
    tasks: PhantomData<fn(&'a ()) -> &'a ()>,
}

impl<'a> Yard<'a> {
    fn empty(callers: Option<Arc<dyn Callers>>) -> Arc<Self> {
        Arc::new(Yard { board: Arc::new(Board::new(callers)), closed: Mutex::new(false), tasks: PhantomData })
    }

    /// Lets a thread run `task` soon; drops it if the yard is closed. False if no thread is to be had now: then it
    /// runs when another task ends, or at the end.
    pub(crate) fn spawn(&self, task: impl FnOnce() + Send + 'a) -> bool {
        let task = erase::lifetime(Box::new(move || {
            task();
            true
        }));
        // Held while it is posted: nothing comes after `close`.
        let closed = self.closed.lock();
        if *closed {
            drop(closed);
            return true;
        }
        let comes = Board::post(&self.board, None, task);
        drop(closed);
        comes
    }

    /// Takes no more tasks, runs those that nobody has started, and waits until the others have ended and are
    /// dropped.
    pub(crate) fn close(&self) {
        *self.closed.lock() = true;
        self.board.finish();
    }
}

impl Yard<'static> {
    /// A yard for tasks that borrow nothing, so that nobody need wait for them.
    pub(crate) fn owned(callers: Option<Arc<dyn Callers>>) -> Arc<Self> {
        Yard::empty(callers)
    }
}

/// Runs `body` with a yard, then `stop`, then [closes](Yard::close) the yard, whatever the two did.
///
/// Sound because of 1 and 2 of [`erase::lifetime`]; because this does not return or unwind past `close`, which returns when
/// no task is present, where `scope` has `finish_for_good`; and because nothing is posted once `close` has begun, whoever
/// still holds the yard. What a task borrows for `'a` outlives this call, since the caller chose `'a`.
pub(crate) fn yard<'a, R>(
    callers: Option<Arc<dyn Callers>>,
    body: impl FnOnce(&Arc<Yard<'a>>) -> R,
    stop: impl FnOnce(),
) -> R {
    let yard = Yard::empty(callers);
    let result = panics::catch(|| body(&yard));
    let stopped = panics::catch(stop);
    let guard = NoUnwind;
    yard.close();
    std::mem::forget(guard);
    match (result, stopped) {
        (Ok(result), Ok(())) => result,
        // The body's own panic before one of a callback that ran while stopping. What is not passed on is dropped
        // before the unwinding begins.
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
    use crate::group::callers::Help;
    use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};

    /// Sends nobody: only the thread that closes a yard runs its tasks, so a task that has run was waited for.
    struct Nobody;

    impl Callers for Nobody {
        fn call(self: Arc<Self>, _: Help) -> bool {
            false
        }
    }

    fn nobody() -> Option<Arc<dyn Callers>> {
        Some(Arc::new(Nobody))
    }

    /// Fails if the yard still takes tasks once it has closed (edit `yard-does-not-close`): this one would sleep on a
    /// helper, with what it holds.
    #[test]
    fn task_that_is_spawned_in_a_closed_yard_is_dropped_at_once() {
        let yard = yard(None, Arc::clone, || ());
        let (held, never) = (Arc::new(()), Arc::new(Latch::new(1)));
        let task = {
            let (held, never) = (Arc::clone(&held), Arc::clone(&never));
            move || {
                never.wait();
                drop(held);
            }
        };
        assert!(yard.spawn(task));
        assert_eq!(Arc::strong_count(&held), 1);
    }

    /// Fails if the yard does not wait for its tasks (edit `yard-does-not-wait`).
    #[test]
    fn yard_that_returns_has_run_its_tasks() {
        let ran = AtomicBool::new(false);
        yard(nobody(), |yard| yard.spawn(|| ran.store(true, Relaxed)), || ());
        assert!(ran.load(Relaxed));
    }

    /// Fails if the body's panic goes past the tasks (edit `yard-unwinds-past-its-tasks`).
    #[test]
    fn yard_whose_body_panics_has_run_its_tasks() {
        let ran = AtomicBool::new(false);
        let result: Result<(), _> = panics::catch(|| {
            yard(
                nobody(),
                |yard| {
                    yard.spawn(|| ran.store(true, Relaxed));
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
            yard(nobody(), |yard| yard.spawn(|| ran.store(true, Relaxed)), stop);
        });
        assert_eq!(result.unwrap_err().downcast_ref(), Some(&"a callback's"));
        assert!(ran.load(Relaxed));
    }
}
