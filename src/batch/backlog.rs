//! Items that no handler has seen yet, in batches.
//!
//! An item belongs to a batch from the moment it is added: to the open batch, or to a new one that is opened
//! for it. So a ticket knows its batch at once, and handing a batch over moves no items.
//!
//! | batch | how many | items | leaves when |
//! |---|---|---|---|
//! | open | 0 or 1 | 1 to max − 1, below the maximum weight | full, or due: by age, flush or close |
//! | ready | any | full in number or weight, or the next item did not fit | a thread is free |
//!
//! # Invariants
//! 1. No batch is empty, has more items than the maximum, or is heavier than the maximum.
//! 2. Batches are taken in the order of their numbers, and their items are in the order in which they were
//!    added.
//! 3. The age of a batch is that of its first item: later items do not make it younger.
//! 4. Open and ready batches together are at most [`Limits::batches`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::items::Reason;
use super::ticket::Completion;
use crate::clock::Clock;
use crate::sync::Arc;

/// The configured limits of the batches.
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
    /// Ascending from batch to batch.
    pub(super) number: u64,
    pub(super) items: Vec<T>,
    pub(super) weight: usize,
    /// Why the batch may be handed over, once it may.
    pub(super) due: Option<Reason>,
    /// Positions of the items that have a ticket, indexed by the ticket's number.
    pub(super) tickets: Vec<usize>,
    pub(super) completion: Option<Arc<Completion<T, R>>>,
    /// When the oldest item reaches the maximum age; `None` means never.
    deadline: Option<Instant>,
}

impl<T, R> OpenBatch<T, R> {
    fn fits(&self, weight: usize, limits: &Limits) -> bool {
        // A sum that overflows does not fit, whatever the limit.
        let weight = self.weight.checked_add(weight);
        self.items.len() < limits.items && weight.is_some_and(|weight| weight <= limits.weight)
    }

    fn is_full(&self, limits: &Limits) -> bool {
        // Full by weight, too, if nothing but weightless items would still fit: waiting for these would gain
        // little.
        self.items.len() >= limits.items || self.weight >= limits.weight
    }
}

pub(super) struct Backlog<T, R> {
    open: Option<OpenBatch<T, R>>,
    ready: VecDeque<OpenBatch<T, R>>,
    /// The number of the next batch to be opened.
    next: u64,
    /// Emptied lists, kept for their capacity.
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
            // The open batch would become ready, and another be opened.
            Some(_) => self.ready.len() + 1 < limits.batches,
            None => self.ready.len() < limits.batches,
        }
    }

    /// True if an item of that weight would go into the open batch. That takes no room from a waiter: a batch
    /// that fills is handed over the sooner.
    pub(super) fn fits_open(&self, weight: usize, limits: &Limits) -> bool {
        self.open.as_ref().is_some_and(|open| open.fits(weight, limits))
    }

    /// Adds an item for which there is room; returns how many threads to wake.
    #[inline]
    pub(super) fn push(&mut self, item: T, weight: usize, limits: &Limits, clock: &Clock) -> usize {
        let mut wakeups = 0;
        // The open batch is handed over below its maximum: the items must stay in order, so a lighter one
        // that comes later may not fill it.
        if self.open.as_ref().is_some_and(|open| !open.fits(weight, limits)) {
            self.fill();
            wakeups += 1;
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
        // Opening a batch needs a thread that watches its age, and filling it one that takes it. If one item
        // does both, one thread suffices.
        wakeups + usize::from(opens || fills)
    }

    #[cold]
    fn open_one(&mut self, limits: &Limits, clock: &Clock) {
        let number = self.next;
        self.next += 1;
        // Without an age to reach, the clock is not read.
        let ages = !limits.age.is_zero();
        self.open = Some(OpenBatch {
            number,
            // A list that was emptied before has its capacity, so a steady stream of batches does not
            // allocate.
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
            // Overrides an earlier reason: a flushed batch that fills meanwhile counts as full.
            open.due = Some(Reason::Full);
            self.ready.push_back(open);
        }
    }

    /// The batch of the next ticket, just after its item was [pushed](Backlog::push).
    pub(super) fn last_mut(&mut self) -> &mut OpenBatch<T, R> {
        // If the item filled its batch, that is now the last of the ready ones.
        self.open.as_mut().or(self.ready.back_mut()).expect("an item was pushed")
    }

    /// Lets the open batch be taken once a thread is free; until then it may still fill. Returns the number
    /// of the first batch that is not opened yet.
    pub(super) fn make_due(&mut self, reason: Reason) -> u64 {
        if let Some(open) = &mut self.open {
            // The first reason stays, if the batch was due before.
            open.due.get_or_insert(reason);
        }
        self.next
    }

    /// Takes the oldest batch that may be handed over now.
    pub(super) fn take(&mut self, clock: &Clock) -> Option<OpenBatch<T, R>> {
        // Ready batches are older than the open one.
        self.ready.pop_front().or_else(|| {
            let open = self.open.as_mut()?;
            if open.due.is_none() && open.deadline.is_some_and(|at| clock.now() >= at) {
                open.due = Some(Reason::Aged);
            }
            self.open.take_if(|open| open.due.is_some())
        })
    }

    /// Takes all batches, whether due or not.
    pub(super) fn take_all(&mut self) -> Vec<OpenBatch<T, R>> {
        let mut all: Vec<_> = self.ready.drain(..).collect();
        all.extend(self.open.take());
        all
    }

    /// When the open batch reaches the maximum age, if there is one.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.open.as_ref()?.deadline
    }

    /// True if a batch may be handed over now, whatever the time.
    pub(super) fn is_due(&self) -> bool {
        !self.ready.is_empty() || self.open.as_ref().is_some_and(|open| open.due.is_some())
    }

    /// True if every batch before `number` has been taken.
    pub(super) fn is_past(&self, number: u64) -> bool {
        // Batches leave in the order of their numbers, so the oldest decides.
        self.ready.front().or(self.open.as_ref()).is_none_or(|oldest| oldest.number >= number)
    }

    /// Keeps an emptied list for a later batch.
    pub(super) fn reuse(&mut self, items: Vec<T>, limits: &Limits) {
        debug_assert!(items.is_empty(), "an item would be in two batches");
        // No more lists than batches can wait; a list that the handler took has no capacity to keep.
        if self.spare.len() < limits.batches && items.capacity() > 0 {
            self.spare.push(items);
        }
    }

    /// Batches that wait for a thread.
    pub(super) fn len(&self) -> usize {
        self.ready.len() + usize::from(self.open.is_some())
    }
}
