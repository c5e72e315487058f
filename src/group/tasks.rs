//! The queued tasks of a group, and the running ones: the first of each is stored without an allocation.
//!
//! Most scopes that are opened in a loop have one task, and a queue and a list that allocate for it would
//! cost more than the rest of the task set's work.

use std::collections::VecDeque;

use super::state::{Queued, RunningTask};
use crate::burst;

/// Tasks that no thread has taken, in the order of their numbers.
#[derive(Default)]
pub(super) struct Waiting {
    /// `None` only while `others` is empty.
    first: Option<Queued>,
    others: VecDeque<Queued>,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn push(&mut self, task: Queued) {
        match self.first {
            None => self.first = Some(task),
            Some(_) => self.others.push_back(task),
        }
    }

    /// Takes the oldest task.
    pub(super) fn pop(&mut self) -> Option<Queued> {
        let oldest = self.first.take()?;
        // `first` is always the oldest, so that it is empty only if all are taken.
        self.first = self.others.pop_front();
        burst::give_back(&mut self.others);
        Some(oldest)
    }

    pub(super) fn has(&self, number: usize) -> bool {
        self.is_first(number) || self.position(number).is_some()
    }

    /// Takes the task of that number.
    pub(super) fn remove(&mut self, number: usize) -> Option<Queued> {
        if self.is_first(number) {
            return self.pop();
        }
        let at = self.position(number)?;
        self.others.remove(at)
    }

    fn is_first(&self, number: usize) -> bool {
        self.first.as_ref().is_some_and(|task| task.label.number == number)
    }

    fn position(&self, number: usize) -> Option<usize> {
        // Numbers ascend, since tasks are only appended.
        self.others.binary_search_by_key(&number, |task| task.label.number).ok()
    }
}

/// The running tasks, in no order.
#[derive(Default)]
pub(super) struct Running {
    first: Option<RunningTask>,
    others: Vec<RunningTask>,
}

impl Running {
    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none() && self.others.is_empty()
    }

    pub(super) fn push(&mut self, task: RunningTask) {
        match self.first {
            None => self.first = Some(task),
            Some(_) => self.others.push(task),
        }
    }

    /// Removes a running task.
    pub(super) fn remove(&mut self, number: usize) {
        if self.first.take_if(|task| task.label.number == number).is_some() {
            return;
        }
        // No longer than the number of threads; the youngest task usually ends first.
        let at = self.others.iter().rposition(|task| task.label.number == number);
        self.others.swap_remove(at.expect("it was taken"));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &RunningTask> {
        self.first.iter().chain(&self.others)
    }
}
