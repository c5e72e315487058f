//! The side of the threads that take batches. One mutex orders everything; see the [parent module](super).

use std::time::{Duration, Instant};

use super::{InFlight, Shared};
use crate::batch::backlog::OpenBatch;
use crate::batch::failure::{BatchError, Failed};
use crate::batch::report::{Report, Stats};
use crate::batch::ticket::{Completion, TicketResult};
use crate::inspect::Began;
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
                state.in_flight.push(InFlight { number: batch.number, thread, began: Began::now() });
                let reason = batch.due.expect("only what is due is taken");
                // In the same critical section as the move, so that the figures always add up.
                state.stats.count_batch(reason, batch.items.len());
                // The batch leaves room for as many items. A woken caller tries again, and waits again if
                // others were faster.
                let wakes = state.adders.take(self.limits.items);
                drop(state);
                drop(wakes);
                return Some(batch);
            }
            // Closing makes the open batch due, so nothing is left.
            if state.closed {
                return None;
            }
            // No missed wake-up: this thread finds no work and registers under one lock; see "No missed
            // wake-up" in the parent module.
            let waiter = Waiter::new();
            state.idle.join(&waiter);
            let deadline = state.backlog.deadline();
            // Unlocked to sleep; an add in between ends the waiter, which is registered.
            drop(state);
            self.sleep(&waiter, deadline);
        }
    }

    fn sleep(&self, waiter: &Waiter, deadline: Option<Instant>) {
        // Spins first: where batches fill within microseconds, the adder is spared a system call to wake this
        // thread.
        let limit = match deadline {
            Some(at) => Until::from((&self.clock, at)),
            None => Until::forever(),
        };
        let limit = limit.start();
        limit.spin(|| waiter.has_ended());
        if limit.sleep(waiter).is_err() {
            // The batch it watched may be due now. If it was woken at the same moment, the next look finds
            // the work of both.
            self.state.lock().idle.leave(waiter);
        }
    }

    /// Sleeps before a retry; true if the batcher was aborted meanwhile.
    pub(in crate::batch) fn pause(&self, pause: Duration) -> bool {
        let mut state = self.state.lock();
        // The abort came first, and its wake-up with it.
        if state.aborted {
            return true;
        }
        state.stats.retries += 1;
        let waiter = Waiter::new();
        state.pausing.join(&waiter);
        drop(state);
        // Only an abort ends the waiter, and it does so under this lock after setting `aborted`, so none is
        // missed.
        let aborted = Until::from((&self.clock, pause)).start().sleep(&waiter).is_ok();
        if !aborted {
            self.state.lock().pausing.leave(&waiter);
        }
        aborted
    }

    /// Changes the counters.
    pub(in crate::batch) fn count(&self, change: impl FnOnce(&mut Stats)) {
        change(&mut self.state.lock().stats);
    }

    /// Counts items that have failed, and keeps the error if it is one of the first.
    pub(in crate::batch) fn count_failed<'e>(
        &self,
        items: usize,
        errors: impl Iterator<Item = &'e BatchError>,
    ) {
        let mut state = self.state.lock();
        state.stats.processing -= items;
        // Bounded, so that a handler that always fails does not fill the memory.
        let room = Report::<T>::MAX_ERRORS - state.errors.len();
        let mut errors = errors.peekable();
        let panicked = errors.peek().is_some_and(|error| error.is_panic());
        *(if panicked { &mut state.stats.panicked } else { &mut state.stats.failed }) += items;
        state.errors.extend(errors.take(room).cloned());
    }

    /// Hands items back to an abort.
    pub(in crate::batch) fn take_back(&self, items: Vec<T>, count: usize) {
        let mut state = self.state.lock();
        state.stats.processing -= count;
        state.stats.aborted += count;
        state.returned.extend(items);
    }

    /// A batch has ended, whatever became of its items.
    pub(in crate::batch) fn end(&self, number: u64, spare: Vec<T>) {
        let mut state = self.state.lock();
        state.in_flight.retain(|batch| batch.number != number);
        state.backlog.reuse(spare, &self.limits);
        // All watchers: they wait for different batches, and each checks whether its own has ended.
        let wakes = state.watchers.take_all();
        drop(state);
        drop(wakes);
    }

    /// Settles the tickets of a batch, and reports to the hook the failures whose tickets were dropped.
    pub(in crate::batch) fn settle(
        &self,
        completion: Option<&Arc<Completion<T, R>>>,
        results: Vec<(usize, TicketResult<T, R>)>,
    ) {
        let Some(completion) = completion else { return };
        for unclaimed in completion.settle(results) {
            match unclaimed {
                Err(Failed { value, error }) if !matches!(error, BatchError::Cancelled) => {
                    self.report_failure(Failed::new(value.into_iter().collect(), error));
                }
                // An unclaimed result is dropped on the batcher's thread, which has other batches to process:
                // contained.
                result_or_aborted => panics::discard(result_or_aborted),
            }
        }
    }

    pub(in crate::batch) fn report_failure(&self, failed: Failed<Vec<T>>) {
        match &self.hook {
            // With no lock held: the hook is the caller's code.
            Some(hook) => hook.report(failed),
            None => {
                panics::discard_each(failed.value);
                panics::discard(failed.error);
            }
        }
    }

    /// Counts a thread that is about to be started.
    pub(in crate::batch) fn thread_starts(&self) {
        self.handlers.expect_one();
        self.state.lock().threads += 1;
    }

    pub(in crate::batch) fn thread_leaves(&self) {
        self.handlers.leave();
        let mut state = self.state.lock();
        state.threads -= 1;
        // All watchers: this may have been the last thread that a close waits for.
        let wakes = state.watchers.take_all();
        drop(state);
        drop(wakes);
    }
}
