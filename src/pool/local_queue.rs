//! Where a worker keeps the tasks that its own tasks submit, so that a tree of tasks does not pass through
//! one lock.
//!
//! Each worker has a local queue. What a task submits to its own pool goes onto the local queue of the worker
//! that runs it, which takes its next task from there; a worker that finds nothing elsewhere takes from the
//! others' local queues, the oldest first. The lock of a local queue is its worker's alone as long as nobody
//! steals, and costs what an uncontended one does. For a tree of 65,535 tasks on two workers it brought the
//! pool from 0.65 to 0.95 of rayon's speed (bench `pool`).
//!
//! # How many are queued
//! The [`Injector`](super::injector::Injector) lends each local queue some of the queue's places, many at a
//! time, so that the bound holds without being counted at each submit. A local queue never holds more tasks
//! than it was lent places.
//!
//! # Who comes for them
//! The worker counts's rules are kept under the injector's lock, which a submit to a local queue does not
//! take. So a local queue has a flag, `tell`, under its own lock: whoever finds that somebody could be
//! called, while no task is queued, sets it on every local queue; a submit that finds it set goes to the
//! injector, which clears it and calls. Both look at the local queue under its lock: either the submit sees
//! the flag, or the other sees the task.
//!
//! Lock order: a local queue's comes last.

#[cfg(all(test, not(any(loom, selvedge_loom))))]
mod tests;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::mem;

use crossbeam_utils::CachePadded;

use super::raw_job::RawJob;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::sync::{Arc, Mutex, thread_local};
use crate::wait::context::this_thread;

/// A worker's own queue.
pub(super) struct LocalQueue(CachePadded<Parts>);

struct Parts {
    /// The thread that it belongs to.
    worker: usize,
    contents: Mutex<Contents>,
    /// Tasks there. Relaxed: a hint, which publishes nothing; who must not miss one looks under the lock.
    count: AtomicUsize,
}

struct Contents {
    tasks: VecDeque<RawJob>,
    /// How many tasks may lie here.
    places: usize,
    /// Somebody could be called for the next task, or the pool is closed: to be brought to the injector.
    tell: bool,
}

thread_local! {
    /// This thread's local queue, with the address of its pool.
    static OWN: RefCell<Option<(usize, Arc<LocalQueue>)>> = const { RefCell::new(None) };
}

impl LocalQueue {
    /// For the thread that calls it.
    pub(super) fn new() -> Arc<Self> {
        let contents = Mutex::new(Contents { tasks: VecDeque::new(), places: 0, tell: true });
        Arc::new(LocalQueue(CachePadded::new(Parts {
            worker: this_thread(),
            contents,
            count: AtomicUsize::new(0),
        })))
    }

    /// The thread that this local queue belongs to.
    pub(super) fn worker(&self) -> usize {
        self.0.worker
    }

    /// Makes this local queue the current thread's, until the guard is dropped.
    pub(super) fn make_own(self: &Arc<Self>, pool: usize) -> Attached {
        OWN.with(|own| *own.borrow_mut() = Some((pool, Arc::clone(self))));
        Attached(())
    }

    /// Calls `f` with the current thread's local queue, if it works for the pool.
    #[inline]
    pub(super) fn with_own<R>(pool: usize, f: impl FnOnce(Option<&LocalQueue>) -> R) -> R {
        let mut f = Some(f);
        let mut call = |local: Option<&LocalQueue>| f.take().map(|f| f(local));
        let called = OWN.try_with(|own| match &*own.borrow() {
            Some((of, local)) if *of == pool => call(Some(local)),
            _ => call(None),
        });
        // A thread whose thread-locals are gone is no worker any more.
        called.unwrap_or_else(|_| call(None)).expect("it is called once")
    }

    /// Keeps what `make` makes, if there is a place and nobody to tell; gives `make` back otherwise.
    #[inline]
    pub(super) fn keep<F: FnOnce() -> RawJob>(&self, make: F) -> Result<(), F> {
        let mut contents = self.0.contents.lock();
        if contents.tell || contents.tasks.len() >= contents.places {
            return Err(make);
        }
        self.put(&mut contents, make());
        Ok(())
    }

    /// Keeps what `make` makes, for a caller that then calls somebody if anybody is to be had. `lend` says
    /// how many places are added if there is none.
    pub(super) fn keep_and_tell<F: FnOnce() -> RawJob>(
        &self,
        lend: impl FnOnce() -> usize,
        make: F,
    ) -> Result<(), F> {
        let mut contents = self.0.contents.lock();
        if contents.tasks.len() >= contents.places {
            contents.places += lend();
        }
        if contents.tasks.len() >= contents.places {
            return Err(make);
        }
        contents.tell = false;
        self.put(&mut contents, make());
        Ok(())
    }

    #[inline]
    fn put(&self, contents: &mut Contents, raw: RawJob) {
        contents.tasks.push_back(raw);
        self.0.count.store(contents.tasks.len(), Relaxed);
    }

    /// The oldest task.
    #[inline]
    pub(super) fn take(&self) -> Option<RawJob> {
        if self.count() == 0 {
            return None;
        }
        let mut contents = self.0.contents.lock();
        let raw = contents.tasks.pop_front()?;
        self.0.count.store(contents.tasks.len(), Relaxed);
        Some(raw)
    }

    /// True if a task lies here. If not, the next one will be told of.
    pub(super) fn watch(&self) -> bool {
        let mut contents = self.0.contents.lock();
        contents.tell |= contents.tasks.is_empty();
        !contents.tasks.is_empty()
    }

    /// Sends the next submit to the injector, whatever lies here.
    pub(super) fn close(&self) {
        self.0.contents.lock().tell = true;
    }

    /// Takes out all that is here.
    pub(super) fn drain(&self) -> VecDeque<RawJob> {
        let mut contents = self.0.contents.lock();
        self.0.count.store(0, Relaxed);
        mem::take(&mut contents.tasks)
    }

    /// Gives the places back, and with them what lies on them.
    pub(super) fn clear(&self) -> (VecDeque<RawJob>, usize) {
        let mut contents = self.0.contents.lock();
        contents.tell = true;
        self.0.count.store(0, Relaxed);
        (mem::take(&mut contents.tasks), mem::take(&mut contents.places))
    }

    /// How many tasks lie here, more or less.
    #[inline]
    pub(super) fn count(&self) -> usize {
        self.0.count.load(Relaxed)
    }
}

/// See [`LocalQueue::make_own`].
#[must_use = "dropping it takes the local from the thread"]
pub(super) struct Attached(());

impl Drop for Attached {
    fn drop(&mut self) {
        OWN.with(|own| drop(own.borrow_mut().take()));
    }
}
