//! The side of the threads that take batches. One mutex orders everything; see `shared.rs`.

use std::time::{Duration, Instant};

use super::Shared;
use crate::batch::backlog::OpenBatch;
use crate::batch::failure::{BatchError, Failed};
use crate::batch::report::{Report, Stats};
use crate::batch::ticket::{Completion, TicketResult};
use crate::panics;
use crate::sync::Arc;
use crate::until::Until;
use crate::wait::Waiter;

impl<T, R> Shared<T, R> {
    /// Waits for a batch to hand over; `None` if there will be none.
    pub(in crate::batch) fn next(&self, thread: usize) -> Option<OpenBatch<T, R>> {
        loop {
            let mut state = self.state.lock();
            if let Some(batch) = state.backlog.take(&self.clock) {
                state.in_flight.push((batch.number, thread));
                let reason = batch.due.expect("only what is due is taken");
                state.stats.count_batch(reason, batch.items.len());
                // There is room for a batch more. Who is called tries again, and waits again if others were
                // faster.
                let wakes = state.adders.take(self.limits.items);
                drop(state);
                drop(wakes);
                return Some(batch);
            }
            // The open batch is due once it is closed, so nothing is left.
            if state.closed {
                return None;
            }
            // Found to be without work and put into the line under one lock: see "Nobody oversleeps".
            let waiter = Waiter::new();
            state.idle.join(&waiter);
            let deadline = state.backlog.deadline();
            drop(state);
            self.sleep(&waiter, deadline);
        }
    }

    fn sleep(&self, waiter: &Waiter, deadline: Option<Instant>) {
        // Where batches fill in microseconds, the adder need not make a system call to wake this thread.
        let limit = match deadline {
            Some(at) => Until::from((&self.clock, at)),
            None => Until::forever(),
        };
        let limit = limit.start();
        limit.spin(|| waiter.has_ended());
        if limit.sleep(waiter).is_err() {
            self.state.lock().idle.leave(waiter);
        }
    }

    /// Sleeps before a retry; true if the batcher was aborted meanwhile.
    pub(in crate::batch) fn pause(&self, pause: Duration) -> bool {
        let mut state = self.state.lock();
        if state.aborted {
            return true;
        }
        state.stats.retries += 1;
        let waiter = Waiter::new();
        state.pausing.join(&waiter);
        drop(state);
        // Only an abort grants.
        let aborted = Until::from((&self.clock, pause)).start().sleep(&waiter).is_ok();
        if !aborted {
            self.state.lock().pausing.leave(&waiter);
        }
        aborted
    }

    /// Changes the counts while items are being processed.
    pub(in crate::batch) fn count(&self, change: impl FnOnce(&mut Stats)) {
        change(&mut self.state.lock().stats);
    }

    /// Counts items that have failed, and keeps the reason if it is one of the first.
    pub(in crate::batch) fn count_failed<'e>(
        &self,
        items: usize,
        errors: impl Iterator<Item = &'e BatchError>,
    ) {
        let mut state = self.state.lock();
        state.stats.processing -= items;
        let room = Report::<T>::MAX_ERRORS - state.errors.len();
        let mut errors = errors.peekable();
        let panicked = errors.peek().is_some_and(|error| error.is_panic());
        *(if panicked { &mut state.stats.panicked } else { &mut state.stats.failed }) += items;
        state.errors.extend(errors.take(room).cloned());
    }

    /// Takes items back for an abort.
    pub(in crate::batch) fn take_back(&self, items: Vec<T>, count: usize) {
        let mut state = self.state.lock();
        state.stats.processing -= count;
        state.stats.aborted += count;
        state.returned.extend(items);
    }

    /// A batch has ended, whatever became of its items.
    pub(in crate::batch) fn end(&self, number: u64, spare: Vec<T>) {
        let mut state = self.state.lock();
        state.in_flight.retain(|(other, _)| *other != number);
        state.backlog.reuse(spare, &self.limits);
        let wakes = state.watchers.take_all();
        drop(state);
        drop(wakes);
    }

    /// Answers the tickets of a batch, and tells the hook what no ticket hears of.
    pub(in crate::batch) fn settle(
        &self,
        completion: Option<&Arc<Completion<T, R>>>,
        results: Vec<(usize, TicketResult<T, R>)>,
    ) {
        let Some(completion) = completion else { return };
        for unheard in completion.settle(results) {
            match unheard {
                Err(Failed { value, error }) if !matches!(error, BatchError::Cancelled) => {
                    self.tell(Failed::new(value.into_iter().collect(), error));
                }
                // A result whose ticket is gone, on the batcher's thread: it has other batches to see to.
                result_or_aborted => panics::discard(result_or_aborted),
            }
        }
    }

    pub(in crate::batch) fn tell(&self, failed: Failed<Vec<T>>) {
        match &self.hook {
            Some(hook) => hook.tell(failed),
            None => {
                panics::discard_each(failed.value);
                panics::discard(failed.error);
            }
        }
    }

    /// Counts a thread that is to be started, or gives up that it has started.
    pub(in crate::batch) fn thread_starts(&self) {
        self.handlers.expect_one();
        self.state.lock().threads += 1;
    }

    pub(in crate::batch) fn thread_leaves(&self) {
        self.handlers.leave();
        let mut state = self.state.lock();
        state.threads -= 1;
        let wakes = state.watchers.take_all();
        drop(state);
        drop(wakes);
    }
}
