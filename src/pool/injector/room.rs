//! The wait point of submitters that wait for room in the queue.

use std::cell::Cell;

use super::Injector;
use crate::sync::Arc;
use crate::sync::atomic::Ordering::Relaxed;
use crate::wait::graph::Awaited;
use crate::wait::sleeps::Subject;
use crate::wait::{Turn, WaitPoint, Waiter};

/// Waits for room; `P` is the pool, for the wait-for graph.
pub(in crate::pool) struct Room<'a, P> {
    pool: &'a Arc<P>,
    injector: &'a Injector,
    turn: Cell<Option<Turn>>,
}

impl<'a, P> Room<'a, P> {
    pub(in crate::pool) fn new(pool: &'a Arc<P>, injector: &'a Injector) -> Self {
        Room { pool, injector, turn: Cell::new(None) }
    }

    pub(in crate::pool) fn turn(&self) -> Option<Turn> {
        self.turn.get()
    }

    #[cold]
    fn end(&self, turn: Turn) {
        self.injector.tail.lock().turns.end(turn);
        // A submitter that held back because of this turn is in the list, although there may be room.
        // Otherwise it has yet to register, and finds the turn ended, since it looks under the tail's lock
        // too. All are woken: any number of them may fit.
        let wakes = self.injector.head.lock().submitters.take_all();
        drop(wakes);
    }
}

impl<P> Drop for Room<'_, P> {
    #[inline]
    fn drop(&mut self) {
        if let Some(turn) = self.turn.get() {
            self.end(turn);
        }
    }
}

impl<P: Awaited + 'static> WaitPoint for Room<'_, P> {
    fn looks_ready(&self) -> bool {
        let injector = self.injector;
        let queued = injector.tail.count.load(Relaxed) + injector.head.count.load(Relaxed);
        let room = queued + injector.borrowed.load(Relaxed) < injector.capacity;
        // A submitter that must hold back must not look ready, or it would try, lose, and exhaust its
        // patience at once. Locking is expensive for a guess, so the lock is taken only if a try would take
        // it next.
        room && injector.tail.lock.try_lock().is_some_and(|tail| tail.turns.admits(self.turn()))
    }

    fn join(&self, waiter: &Waiter) -> bool {
        // No missed wake-up: a worker takes a task under the head's lock. If it does so after this
        // registration, it finds the waiter; if before, the room is counted here. In a closed pool nothing is
        // waited for.
        let mut head = self.injector.head.lock();
        let tail = self.injector.tail.lock();
        let taken = tail.queued.len() + self.injector.borrowed.load(Relaxed);
        let (admitted, first) = (tail.turns.admits(self.turn()), tail.turns.is_of(self.turn()));
        drop(tail);
        let full = taken + head.ready.len() >= self.injector.capacity;
        let wait = (full || !admitted) && !head.closed;
        if wait {
            head.submitters.join_in_turn(waiter, first);
        }
        wait
    }

    fn leave(&self, waiter: &Waiter) {
        self.injector.head.lock().submitters.leave(waiter);
    }

    fn take_turn(&self) {
        self.turn.set(Some(self.injector.tail.lock().turns.take()));
    }

    fn awaited(&self) -> Option<Arc<dyn Awaited>> {
        Some(Arc::clone(self.pool) as Arc<dyn Awaited>)
    }

    fn describe(&self, subject: Subject) -> Subject {
        // The address by which a report knows the pool.
        subject.on(&**self.pool)
    }
}
