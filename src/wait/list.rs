//! Those who wait for the same thing, in the order in which they came.

use std::collections::VecDeque;

use super::waiter::{Outcome, Waiter, Wake};

/// Waiting threads in order, each with a payload: what it waits for, or who it is.
///
/// It lives inside the lock of the thing that is waited for; whoever takes a [`Wake`] out drops it after
/// unlocking. One waiter may stand in many lists, and in one list for several things.
#[derive(Debug)]
pub(crate) struct WaitList<T = ()> {
    waiters: VecDeque<(Waiter, T)>,
}

/// The memory that a list keeps when nobody waits any more: for this many waiters.
const KEPT: usize = 64;

impl<T> WaitList<T> {
    pub(crate) const fn new() -> Self {
        WaitList { waiters: VecDeque::new() }
    }

    /// Puts a waiter at the end.
    pub(crate) fn join_with(&mut self, waiter: &Waiter, payload: T) {
        self.waiters.push_back((waiter.clone(), payload));
    }

    /// Takes out a waiter whose owner gave up, and gives its payload. It is not there if a granter has taken
    /// it out: then the grant failed, or the owner has it.
    ///
    /// Linear in the length of the list, which is at most the number of threads.
    pub(crate) fn leave(&mut self, waiter: &Waiter) -> Option<T> {
        let at = self.waiters.iter().position(|(other, _)| other.is(waiter) && other.stands_as(waiter))?;
        let (_, payload) = self.waiters.remove(at)?;
        // A crowd that has gone leaves no memory behind.
        if self.waiters.is_empty() && self.waiters.capacity() > KEPT {
            self.waiters = VecDeque::new();
        }
        Some(payload)
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

    /// Takes out everybody for whom `how` says how the wait ends, and ends it.
    pub(crate) fn end_where(&mut self, mut how: impl FnMut(&T) -> Option<Outcome>) -> Vec<Wake> {
        let mut wakes = Vec::new();
        self.waiters.retain(|(waiter, payload)| {
            let outcome = how(payload);
            wakes.extend(outcome.and_then(|outcome| waiter.end(outcome)));
            outcome.is_none()
        });
        wakes
    }

    /// Ends everybody's wait and leaves them in the list, with their payloads, until they leave.
    pub(crate) fn end_in_place(&mut self, outcome: Outcome) -> Vec<Wake> {
        self.waiters.iter().filter_map(|(waiter, _)| waiter.end(outcome)).collect()
    }

    /// Grants the first waiter whose payload is `wanted` and whose wait has not ended, and removes it. The
    /// others stay, with their payloads, whether their waits have ended or not.
    pub(crate) fn grant_first_where(&mut self, wanted: impl Fn(&T) -> bool) -> Option<(Wake, T)> {
        for at in 0..self.waiters.len() {
            let (waiter, payload) = &self.waiters[at];
            if wanted(payload)
                && let Some(wake) = waiter.end(Ok(()))
            {
                return self.waiters.remove(at).map(|(_, payload)| (wake, payload));
            }
        }
        None
    }

    /// Whether anybody but that waiter, whose payload is `wanted`, still waits.
    pub(crate) fn any_other(&self, waiter: &Waiter, wanted: impl Fn(&T) -> bool) -> bool {
        let waits = |other: &Waiter| !other.is(waiter) && other.outcome().is_none();
        self.waiters.iter().any(|(other, payload)| wanted(payload) && waits(other))
    }

    /// What the first one waits for, whether it still does or not.
    pub(crate) fn first(&self) -> Option<&T> {
        self.waiters.front().map(|(_, payload)| payload)
    }

    /// Takes out the first one, and grants it if it still waits.
    pub(crate) fn grant_first(&mut self) -> Option<Wake> {
        let (waiter, _) = self.waiters.pop_front()?;
        waiter.end(Ok(()))
    }

    /// True if that wait is in the list, for whatever thing.
    pub(crate) fn contains(&self, waiter: &Waiter) -> bool {
        self.waiters.iter().any(|(other, _)| other.is(waiter))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiters.len()
    }
}

impl WaitList {
    /// Puts a waiter at the end.
    pub(crate) fn join(&mut self, waiter: &Waiter) {
        self.join_with(waiter, ());
    }

    /// Puts a waiter at the end if it must wait; says whether.
    pub(crate) fn join_if(&mut self, must_wait: bool, waiter: &Waiter) -> bool {
        if must_wait {
            self.join(waiter);
        }
        must_wait
    }

    /// Puts a waiter at the front if it is its [turn](super::Turns), because whoever has something to give
    /// calls one, and that is to be the one who alone may take it.
    pub(crate) fn join_in_turn(&mut self, waiter: &Waiter, is: bool) {
        if is { self.join_first(waiter) } else { self.join(waiter) }
    }

    /// Puts a waiter at the front, for one whose turn it is.
    pub(crate) fn join_first(&mut self, waiter: &Waiter) {
        self.waiters.push_front((waiter.clone(), ()));
    }
}

impl<T> Default for WaitList<T> {
    fn default() -> Self {
        WaitList::new()
    }
}
