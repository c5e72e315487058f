//! Those who wait for the same thing, in the order in which they came.

use std::collections::VecDeque;

use super::waiter::{Waiter, Wake};
use crate::sync::Arc;

/// Waiting threads in order, each with a payload: what it waits for, or who it is.
///
/// It lives inside the lock of the thing that is waited for; whoever takes a [`Wake`] out drops it after
/// unlocking.
#[derive(Debug)]
pub(crate) struct WaitList<T = ()> {
    waiters: VecDeque<(Arc<Waiter>, T)>,
}

impl<T> WaitList<T> {
    pub(crate) const fn new() -> Self {
        WaitList { waiters: VecDeque::new() }
    }

    /// Makes a waiter and puts it at the end.
    pub(crate) fn join_with(&mut self, payload: T) -> Arc<Waiter> {
        let waiter = Waiter::new();
        self.waiters.push_back((Arc::clone(&waiter), payload));
        waiter
    }

    /// Takes out a waiter whose owner gave up. It is not there if a granter has taken it out: then the grant
    /// failed, or the owner has it.
    ///
    /// Linear in the length of the list, which is at most the number of threads.
    pub(crate) fn leave(&mut self, waiter: &Arc<Waiter>) {
        self.waiters.retain(|(other, _)| !Arc::ptr_eq(other, waiter));
    }

    /// Grants the first one who still waits, and gives its payload; those who gave up before are passed over.
    #[inline]
    pub(crate) fn next_with(&mut self) -> Option<(Wake, T)> {
        // The common case, kept small enough to be inlined into every push and pop.
        if self.waiters.is_empty() { None } else { self.next_of_some() }
    }

    #[cold]
    fn next_of_some(&mut self) -> Option<(Wake, T)> {
        while let Some((waiter, payload)) = self.waiters.pop_front() {
            if let Some(wake) = waiter.end(Ok(())) {
                return Some((wake, payload));
            }
        }
        None
    }

    /// Grants the first one who still waits.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Wake> {
        self.next_with().map(|(wake, _)| wake)
    }

    /// Grants at most `count`, front first.
    pub(crate) fn take(&mut self, count: usize) -> Vec<Wake> {
        // Nobody waits in the common case, and an empty `Vec` allocates nothing.
        std::iter::from_fn(|| self.next()).take(count).collect()
    }

    /// Grants everybody.
    pub(crate) fn take_all(&mut self) -> Vec<Wake> {
        self.take(usize::MAX)
    }

    pub(crate) fn len(&self) -> usize {
        self.waiters.len()
    }
}

impl WaitList {
    /// Makes a waiter and puts it at the end.
    pub(crate) fn join(&mut self) -> Arc<Waiter> {
        self.join_with(())
    }

    /// Makes a slot: at the front for one whose turn it [`is`](super::Turns), because whoever has something
    /// to give calls one, and that is to be the one who alone may take it.
    pub(crate) fn join_in_turn(&mut self, is: bool) -> Arc<Waiter> {
        if is { self.join_first() } else { self.join() }
    }

    /// Makes a waiter and puts it at the front, for one whose turn it is.
    pub(crate) fn join_first(&mut self) -> Arc<Waiter> {
        let waiter = Waiter::new();
        self.waiters.push_front((Arc::clone(&waiter), ()));
        waiter
    }
}

impl<T> Default for WaitList<T> {
    fn default() -> Self {
        WaitList::new()
    }
}
