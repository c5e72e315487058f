//! Items that no handler has seen yet, put into batches as they come.
//!
//! An item belongs to a batch from the moment it is added: to the open one, which is filled, or to a new one
//! that is opened for it. So a ticket knows its batch at once, and nothing is moved when a batch is handed
//! over.
//!
//! | batch | how many | items | leaves when |
//! |---|---|---|---|
//! | open | 0 or 1 | 1 to most − 1, lighter than most | full, or due: by age, flush or close |
//! | ready | any | full in number or weight, or the next item did not fit | a thread is free |
//!
//! # Invariants
//! 1. No batch is empty, has more items than the most, or is heavier than the most.
//! 2. Batches are taken in the order of their numbers, and the items in them are in the order in which they
//!    came.
//! 3. The age of a batch is that of its first item: later ones do not make it younger.
//! 4. Open and ready batches together are at most [`Limits::batches`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::items::Reason;
use super::ticket::Completion;
use crate::clock::Clock;
use crate::sync::Arc;

/// What was said of the batches when the batcher was built.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) items: usize,
    pub(super) weight: usize,
    pub(super) age: Duration,
    /// Batches that may wait for a thread.
    pub(super) batches: usize,
}

/// A batch that no handler has seen yet.
pub(super) struct OpenBatch<T, R> {
    /// Counts up from batch to batch.
    pub(super) number: u64,
    pub(super) items: Vec<T>,
    pub(super) weight: usize,
    /// Why it may be handed over, once it may.
    pub(super) due: Option<Reason>,
    /// Places of the items that have a ticket. The ticket's number is the place in this list.
    pub(super) tickets: Vec<usize>,
    pub(super) completion: Option<Arc<Completion<T, R>>>,
    /// When its oldest item is too old; `None` is never.
    deadline: Option<Instant>,
}

impl<T, R> OpenBatch<T, R> {
    fn fits(&self, weight: usize, limits: &Limits) -> bool {
        let weight = self.weight.checked_add(weight);
        self.items.len() < limits.items && weight.is_some_and(|weight| weight <= limits.weight)
    }

    fn is_full(&self, limits: &Limits) -> bool {
        self.items.len() >= limits.items || self.weight >= limits.weight
    }
}

pub(super) struct Backlog<T, R> {
    open: Option<OpenBatch<T, R>>,
    ready: VecDeque<OpenBatch<T, R>>,
    /// The number of the next batch to be opened.
    next: u64,
    /// Emptied lists, with their memory.
    spare: Vec<Vec<T>>,
}

impl<T, R> Backlog<T, R> {
    pub(super) fn new() -> Self {
        Backlog { open: None, ready: VecDeque::new(), next: 0, spare: Vec::new() }
    }

    /// True if an item of that weight can be added.
    #[inline]
    pub(super) fn has_room(&self, weight: usize, limits: &Limits) -> bool {
        match &self.open {
            Some(open) if open.fits(weight, limits) => true,
            // It would become ready, and a new one be opened.
            Some(_) => self.ready.len() + 1 < limits.batches,
            None => self.ready.len() < limits.batches,
        }
    }

    /// True if an item of that weight would go into the open batch, which takes no room from anybody who
    /// waits for more: a batch that fills leaves the sooner.
    pub(super) fn fits_open(&self, weight: usize, limits: &Limits) -> bool {
        self.open.as_ref().is_some_and(|open| open.fits(weight, limits))
    }

    /// Adds an item that there is room for; says how many threads there is something new for.
    #[inline]
    pub(super) fn push(&mut self, item: T, weight: usize, limits: &Limits, clock: &Clock) -> usize {
        let mut calls = 0;
        if self.open.as_ref().is_some_and(|open| !open.fits(weight, limits)) {
            self.fill();
            calls += 1;
        }
        let opens = self.open.is_none();
        if opens {
            self.open_one(limits, clock);
        }
        let open = self.open.as_mut().expect("it was opened");
        open.items.push(item);
        open.weight += weight;
        let fills = open.is_full(limits);
        if fills {
            self.fill();
        }
        // Opening is news, because somebody must watch the age; opened and filled by one item is one thing to
        // do.
        calls + usize::from(opens || fills)
    }

    #[cold]
    fn open_one(&mut self, limits: &Limits, clock: &Clock) {
        let number = self.next;
        self.next += 1;
        // With no age to reach, no clock is read.
        let ages = !limits.age.is_zero();
        self.open = Some(OpenBatch {
            number,
            items: self.spare.pop().unwrap_or_default(),
            weight: 0,
            due: (!ages).then_some(Reason::Aged),
            tickets: Vec::new(),
            completion: None,
            deadline: if ages { clock.after(limits.age) } else { None },
        });
    }

    fn fill(&mut self) {
        if let Some(mut open) = self.open.take() {
            open.due = Some(Reason::Full);
            self.ready.push_back(open);
        }
    }

    /// The batch that the next ticket belongs to, just after its item was [pushed](Backlog::push).
    pub(super) fn last_mut(&mut self) -> &mut OpenBatch<T, R> {
        self.open.as_mut().or(self.ready.back_mut()).expect("an item was pushed")
    }

    /// Lets the open batch be taken as soon as a thread is free; it may go on filling until then. Returns
    /// the number of the first batch that is not opened yet.
    pub(super) fn make_due(&mut self, reason: Reason) -> u64 {
        if let Some(open) = &mut self.open {
            open.due.get_or_insert(reason);
        }
        self.next
    }

    /// Takes the oldest batch that may be handed over now.
    pub(super) fn take(&mut self, clock: &Clock) -> Option<OpenBatch<T, R>> {
        self.ready.pop_front().or_else(|| {
            let open = self.open.as_mut()?;
            if open.due.is_none() && open.deadline.is_some_and(|at| clock.now() >= at) {
                open.due = Some(Reason::Aged);
            }
            self.open.take_if(|open| open.due.is_some())
        })
    }

    /// Takes all that is there, due or not.
    pub(super) fn take_all(&mut self) -> Vec<OpenBatch<T, R>> {
        let mut all: Vec<_> = self.ready.drain(..).collect();
        all.extend(self.open.take());
        all
    }

    /// When the open batch is too old, if there is one.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.open.as_ref()?.deadline
    }

    /// True if something may be handed over now, whatever the time is.
    pub(super) fn is_due(&self) -> bool {
        !self.ready.is_empty() || self.open.as_ref().is_some_and(|open| open.due.is_some())
    }

    /// True if every batch before `number` has been taken.
    pub(super) fn is_past(&self, number: u64) -> bool {
        self.ready.front().or(self.open.as_ref()).is_none_or(|oldest| oldest.number >= number)
    }

    /// Keeps the memory of a list for a later batch.
    pub(super) fn reuse(&mut self, items: Vec<T>, limits: &Limits) {
        debug_assert!(items.is_empty(), "an item would be in two batches");
        if self.spare.len() < limits.batches && items.capacity() > 0 {
            self.spare.push(items);
        }
    }

    /// Batches that wait.
    pub(super) fn len(&self) -> usize {
        self.ready.len() + usize::from(self.open.is_some())
    }
}
