//! The waiters for one thing, in the order in which they came.
//!
//! A list has no lock of its own: it lives under the lock of the thing that is waited for. Joining it and the
//! look at the state are therefore one critical section, and so are a change of the state and taking waiters
//! out. Each method that ends a wait calls [`Waiter::end`], which succeeds once: a waiter that has given up
//! but has not left the list yet receives nothing, and the grant goes to the next.
//!
//! An intrusive list would leave in constant time. It would need unsafe code and a pinned node for each of
//! the lists of one waiter; the lists here are as short as the number of blocked threads.

use std::collections::VecDeque;

use super::waiter::{Outcome, Waiter, Wake};

/// Waiters in order, each with a payload: what it waits for, or which thread it is.
///
/// The caller drops each [`Wake`] after unlocking. One waiter may be in many lists, and in one list for
/// several things.
#[derive(Debug)]
pub(crate) struct WaitList<T = ()> {
    waiters: VecDeque<(Waiter, T)>,
}

/// The number of waiters for which an empty list keeps its memory. A guess, above what usually waits for one
/// thing.
const KEPT: usize = 64;

impl<T> WaitList<T> {
    pub(crate) const fn new() -> Self {
        WaitList { waiters: VecDeque::new() }
    }

    /// Puts a waiter at the end.
    pub(crate) fn join_with(&mut self, waiter: &Waiter, payload: T) {
        self.waiters.push_back((waiter.clone(), payload));
    }

    /// Removes a waiter that gives up, and returns its payload. `None` if a granter has removed it: that
    /// grant either failed, and went to the next waiter, or is the waiter's outcome.
    ///
    /// Linear in the length of the list, which is at most the number of threads times the things that each
    /// waits for.
    pub(crate) fn leave(&mut self, waiter: &Waiter) -> Option<T> {
        // Both compared: a thread that waits for two things in this list has an entry for each.
        let at = self.waiters.iter().position(|(other, _)| other.is(waiter) && other.stands_as(waiter))?;
        let (_, payload) = self.waiters.remove(at)?;
        // Only when empty, so that a list that is never empty does not allocate again and again.
        if self.waiters.is_empty() && self.waiters.capacity() > KEPT {
            self.waiters = VecDeque::new();
        }
        Some(payload)
    }

    /// Grants the first waiter whose wait lasts, and returns its payload. Removes the waiters before it,
    /// whose waits have ended.
    #[inline]
    pub(crate) fn next_with(&mut self) -> Option<(Wake, T)> {
        // The common case, kept small enough to be inlined into every push and pop.
        if self.waiters.is_empty() { None } else { self.next_of_some() }
    }

    #[cold]
    fn next_of_some(&mut self) -> Option<(Wake, T)> {
        while let Some((waiter, payload)) = self.waiters.pop_front() {
            // Tie: a waiter whose limit was first takes nothing, and the grant goes on to the next. A grant
            // is thus lost only if no waiter is left to use it.
            if let Some(wake) = waiter.end(Ok(())) {
                return Some((wake, payload));
            }
        }
        None
    }

    /// Grants the first waiter whose wait lasts.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Wake> {
        self.next_with().map(|(wake, _)| wake)
    }

    /// Grants at most `count`, front first.
    pub(crate) fn take(&mut self, count: usize) -> Vec<Wake> {
        // The list is empty in the common case, and an empty `Vec` allocates nothing.
        if self.waiters.is_empty() {
            return Vec::new();
        }
        std::iter::from_fn(|| self.next()).take(count).collect()
    }

    /// Grants all waiters.
    pub(crate) fn take_all(&mut self) -> Vec<Wake> {
        self.take(usize::MAX)
    }

    /// Removes the waiters for which `how` returns an outcome, and ends their waits with it.
    pub(crate) fn end_where(&mut self, mut how: impl FnMut(&T) -> Option<Outcome>) -> Vec<Wake> {
        let mut wakes = Vec::new();
        self.waiters.retain(|(waiter, payload)| {
            let outcome = how(payload);
            // Removed even if its wait had ended before: it would only leave.
            wakes.extend(outcome.and_then(|outcome| waiter.end(outcome)));
            outcome.is_none()
        });
        wakes
    }

    /// Ends all waits. The waiters stay in the list, with their payloads, until they leave.
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

    /// True if another waiter, with a payload that is `wanted`, still waits.
    pub(crate) fn any_other(&self, waiter: &Waiter, wanted: impl Fn(&T) -> bool) -> bool {
        // Takes each waiter's lock, under the list's; that is the order in which granters take them.
        let waits = |other: &Waiter| !other.is(waiter) && other.outcome().is_none();
        self.waiters.iter().any(|(other, payload)| wanted(payload) && waits(other))
    }

    /// The payload of the first waiter, whether or not its wait has ended.
    pub(crate) fn first(&self) -> Option<&T> {
        self.waiters.front().map(|(_, payload)| payload)
    }

    /// Removes the first waiter. Grants it, unless its wait has ended.
    pub(crate) fn grant_first(&mut self) -> Option<Wake> {
        // Does not go on to the next by itself, which may wait for more than the caller has.
        let (waiter, _) = self.waiters.pop_front()?;
        waiter.end(Ok(()))
    }

    /// True if a clone of that wait is in the list, for any thing.
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

    /// Puts a waiter at the end if it must wait. Returns `must_wait`.
    pub(crate) fn join_if(&mut self, must_wait: bool, waiter: &Waiter) -> bool {
        if must_wait {
            self.join(waiter);
        }
        must_wait
    }

    /// Puts a waiter at the front if it is its [turn](super::Turns), otherwise at the end.
    pub(crate) fn join_in_turn(&mut self, waiter: &Waiter, is_turn: bool) {
        // At the front, since a granter wakes one waiter: that must be the only one that may take what there
        // is. Any other would keep off, and the wake-up would be lost.
        if is_turn { self.join_first(waiter) } else { self.join(waiter) }
    }

    /// Puts a waiter whose turn it is at the front.
    pub(crate) fn join_first(&mut self, waiter: &Waiter) {
        self.waiters.push_front((waiter.clone(), ()));
    }
}

impl<T> Default for WaitList<T> {
    fn default() -> Self {
        WaitList::new()
    }
}
