//! Where a worker keeps the tasks that its own tasks submit, so that a tree of tasks does not pass through
//! one lock.
//!
//! Each worker has a desk. What a task submits to its own pool goes onto the desk of the worker that runs it,
//! which takes its next task from there; a worker that finds nothing elsewhere takes from the others' desks,
//! the oldest first. The lock of a desk is its worker's alone as long as nobody steals, and costs what an
//! uncontended one does. For a tree of 65,535 tasks on two workers it brought the pool from 0.65 to 0.95 of
//! rayon's speed (bench `pool`).
//!
//! # How many are queued
//! The [`Intake`](super::intake::Intake) lends each desk some of the queue's places, many at a time, so that
//! the bound holds without being counted at each submit. A desk never holds more tasks than it was lent
//! places.
//!
//! # Who comes for them
//! The staff's rules are kept under the intake's lock, which a submit to a desk does not take. So a desk has
//! a flag, `tell`, under its own lock: whoever finds that somebody could be called, while no task is queued,
//! sets it on every desk; a submit that finds it set goes to the intake, which clears it and calls. Both look
//! at the desk under its lock: either the submit sees the flag, or the other sees the task.
//!
//! Lock order: a desk's comes last.

#[cfg(all(test, not(any(loom, selvedge_loom))))]
mod tests;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::mem;

use crossbeam_utils::CachePadded;

use super::parcel::Parcel;
use crate::inside::this_thread;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::sync::{Arc, Mutex, thread_local};

/// A worker's own queue.
pub(super) struct Desk(CachePadded<Parts>);

struct Parts {
    /// The thread that it belongs to.
    worker: usize,
    drawer: Mutex<Drawer>,
    /// Tasks there. Relaxed: a hint, which publishes nothing; who must not miss one looks under the lock.
    count: AtomicUsize,
}

struct Drawer {
    tasks: VecDeque<Parcel>,
    /// How many tasks may lie here.
    places: usize,
    /// Somebody could be called for the next task, or the pool is closed: to be brought to the intake.
    tell: bool,
}

thread_local! {
    /// This thread's desk, with the address of its pool.
    static OWN: RefCell<Option<(usize, Arc<Desk>)>> = const { RefCell::new(None) };
}

impl Desk {
    /// For the thread that calls it.
    pub(super) fn new() -> Arc<Self> {
        let drawer = Mutex::new(Drawer { tasks: VecDeque::new(), places: 0, tell: true });
        Arc::new(Desk(CachePadded::new(Parts { worker: this_thread(), drawer, count: AtomicUsize::new(0) })))
    }

    /// The thread that this desk belongs to.
    pub(super) fn worker(&self) -> usize {
        self.0.worker
    }

    /// Makes this desk the current thread's, until the guard is dropped.
    pub(super) fn sit_down(self: &Arc<Self>, pool: usize) -> Seated {
        OWN.with(|own| *own.borrow_mut() = Some((pool, Arc::clone(self))));
        Seated(())
    }

    /// Calls `f` with the current thread's desk, if it works for the pool.
    #[inline]
    pub(super) fn with_own<R>(pool: usize, f: impl FnOnce(Option<&Desk>) -> R) -> R {
        let mut f = Some(f);
        let mut call = |desk: Option<&Desk>| f.take().map(|f| f(desk));
        let called = OWN.try_with(|own| match &*own.borrow() {
            Some((of, desk)) if *of == pool => call(Some(desk)),
            _ => call(None),
        });
        // A thread whose thread-locals are gone is no worker any more.
        called.unwrap_or_else(|_| call(None)).expect("it is called once")
    }

    /// Keeps what `make` makes, if there is a place and nobody to tell; gives `make` back otherwise.
    #[inline]
    pub(super) fn keep<F: FnOnce() -> Parcel>(&self, make: F) -> Result<(), F> {
        let mut drawer = self.0.drawer.lock();
        if drawer.tell || drawer.tasks.len() >= drawer.places {
            return Err(make);
        }
        self.put(&mut drawer, make());
        Ok(())
    }

    /// Keeps what `make` makes, for a caller that then calls somebody if anybody is to be had. `lend` says
    /// how many places are added if there is none.
    pub(super) fn keep_and_tell<F: FnOnce() -> Parcel>(
        &self,
        lend: impl FnOnce() -> usize,
        make: F,
    ) -> Result<(), F> {
        let mut drawer = self.0.drawer.lock();
        if drawer.tasks.len() >= drawer.places {
            drawer.places += lend();
        }
        if drawer.tasks.len() >= drawer.places {
            return Err(make);
        }
        drawer.tell = false;
        self.put(&mut drawer, make());
        Ok(())
    }

    #[inline]
    fn put(&self, drawer: &mut Drawer, parcel: Parcel) {
        drawer.tasks.push_back(parcel);
        self.0.count.store(drawer.tasks.len(), Relaxed);
    }

    /// The oldest task.
    #[inline]
    pub(super) fn take(&self) -> Option<Parcel> {
        if self.count() == 0 {
            return None;
        }
        let mut drawer = self.0.drawer.lock();
        let parcel = drawer.tasks.pop_front()?;
        self.0.count.store(drawer.tasks.len(), Relaxed);
        Some(parcel)
    }

    /// True if a task lies here. If not, the next one will be told of.
    pub(super) fn watch(&self) -> bool {
        let mut drawer = self.0.drawer.lock();
        drawer.tell |= drawer.tasks.is_empty();
        !drawer.tasks.is_empty()
    }

    /// Sends the next submit to the intake, whatever lies here.
    pub(super) fn close(&self) {
        self.0.drawer.lock().tell = true;
    }

    /// Takes out all that is here.
    pub(super) fn drain(&self) -> VecDeque<Parcel> {
        let mut drawer = self.0.drawer.lock();
        self.0.count.store(0, Relaxed);
        mem::take(&mut drawer.tasks)
    }

    /// Gives the places back, and with them what lies on them.
    pub(super) fn clear(&self) -> (VecDeque<Parcel>, usize) {
        let mut drawer = self.0.drawer.lock();
        drawer.tell = true;
        self.0.count.store(0, Relaxed);
        (mem::take(&mut drawer.tasks), mem::take(&mut drawer.places))
    }

    /// How many tasks lie here, more or less.
    #[inline]
    pub(super) fn count(&self) -> usize {
        self.0.count.load(Relaxed)
    }
}

/// See [`Desk::sit_down`].
#[must_use = "dropping it takes the desk from the thread"]
pub(super) struct Seated(());

impl Drop for Seated {
    fn drop(&mut self) {
        OWN.with(|own| drop(own.borrow_mut().take()));
    }
}
