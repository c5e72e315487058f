//! One batch from the moment it is taken until it has ended, on the thread that took it.
//!
//! All of the caller's code that a batch leads to runs here, with no lock held: the handler, the clones of
//! its result, the retry policy, the hook, and the drops of the items.

use std::mem;
use std::time::Duration;

use super::backlog::OpenBatch;
use super::failure::{BatchError, Failed};
use super::handler_result::{BoxedError, HandlerResult, Outcome};
use super::items::Batch;
use super::shared::Shared;
use super::ticket::{Completion, TicketResult};
use crate::error::Panic;
use crate::panics::{self, Payload, contain};
use crate::retry::Course;
use crate::sync::Arc;
use crate::wait::context::Inside;
use crate::wait::context::{self, Context};
use crate::wait::{graph, timeline};

/// With the numbers of their tickets.
type Settled<T, R> = Vec<(usize, TicketResult<T, R>)>;

/// Runs a batcher's thread from its first to its last moment.
pub(super) fn work<T, V: HandlerResult>(
    shared: &Arc<Shared<T, V::Value>>,
    thread: usize,
    mut handler: impl FnMut(&mut Batch<T>) -> V,
) {
    let inside = Inside::of(shared.address()).enter();
    // Registered before the first batch: a wait for that batch names this thread as a provider.
    shared.handlers.begin();
    // In the wait-for graph, waiting items are owed by the batcher's threads.
    let _owing = graph::owe();
    while let Some(open_batch) = shared.next(thread) {
        let number = open_batch.number;
        // The handler runs with no lock held, so items are added meanwhile.
        let mut job = Job::new(shared, open_batch);
        job.run(&mut handler);
        let mut items = job.batch.items;
        // The drop of an item is the caller's code and may panic. Each is dropped separately: of two panics
        // in one drop of the list, the second would abort.
        panics::discard_each(items.drain(..));
        // Ended only now: a flush that returns must find the items dropped.
        shared.end(number, items);
    }
    // The handler's captures are the caller's too. Their drop may use the batcher, and is still inside it.
    panics::discard(handler);
    drop(inside);
    shared.thread_leaves();
    context::with(Context::leave);
}

struct Job<'a, T, R> {
    shared: &'a Shared<T, R>,
    batch: Batch<T>,
    /// For each item with a ticket, in ascending order: its position in the batch, and the ticket's number.
    tickets: Vec<(usize, usize)>,
    completion: Option<Arc<Completion<T, R>>>,
}

/// The failed part of a batch: the items that are still in it, with one error for all or one for each.
enum Failure {
    All(BatchError),
    Each(Vec<BatchError>),
}

impl Failure {
    fn panicked(payload: Payload) -> Self {
        Failure::All(BatchError::Panicked(Panic::new(payload)))
    }

    fn of(&self, index: usize) -> &BatchError {
        match self {
            Failure::All(error) => error,
            Failure::Each(errors) => &errors[index],
        }
    }

    /// Drops the errors, which may be the last references to the caller's values.
    fn discard(self) {
        match self {
            Failure::All(error) => panics::discard(error),
            Failure::Each(errors) => panics::discard_each(errors),
        }
    }

    /// Each error once.
    fn errors(&self) -> &[BatchError] {
        match self {
            Failure::All(error) => std::slice::from_ref(error),
            Failure::Each(errors) => errors,
        }
    }
}

impl<'a, T, R> Job<'a, T, R> {
    fn new(shared: &'a Shared<T, R>, open_batch: OpenBatch<T, R>) -> Self {
        let reason = open_batch.due.expect("only what is due is taken");
        // A batch without tickets has no completion, and no waiter to tell.
        if let Some(completion) = &open_batch.completion {
            // Before the handler runs: from now on only this thread can settle the tickets.
            completion.begin();
        }
        Job {
            shared,
            batch: Batch::new(open_batch.items, reason, open_batch.weight),
            tickets: open_batch
                .tickets
                .into_iter()
                .enumerate()
                .map(|(number, index)| (index, number))
                .collect(),
            completion: open_batch.completion,
        }
    }

    /// Passes the batch to the handler until nothing has failed, or what has failed is not retried.
    fn run<V: HandlerResult<Value = R>>(&mut self, handler: &mut impl FnMut(&mut Batch<T>) -> V) {
        let course = self.shared.retry.as_ref().map(|retry| retry.policy.begin(&self.shared.clock));
        while let Some(failure) = self.attempt(handler) {
            let pauses = self.pauses(&failure, course.as_ref());
            // If the errors differ, some items may be retried and others not.
            let leaves: Vec<bool> = pauses.iter().map(Option::is_none).collect();
            // The longest pause: the items are retried together, and none earlier than its policy said.
            let Some(pause) = pauses.into_iter().flatten().max() else {
                self.give_up(&failure);
                return failure.discard();
            };
            if let Failure::Each(errors) = &failure
                && leaves.contains(&true)
            {
                let left = errors.iter().zip(&leaves).filter_map(|(error, leaves)| leaves.then_some(error));
                let left = Failure::Each(left.cloned().collect());
                self.split_off(&leaves).give_up(&left);
                left.discard();
            }
            failure.discard();
            // Aborted during the pause: the items go to the abort's report instead of another attempt.
            if self.shared.pause(pause) {
                return self.hand_back();
            }
            // Counted after the pause, so that an abort during it reports the attempts that were made.
            self.batch.attempt += 1;
        }
    }

    /// Passes the batch to the handler once. Settles the items that succeeded, and leaves the others in the
    /// batch.
    fn attempt<V: HandlerResult<Value = R>>(
        &mut self,
        handler: &mut impl FnMut(&mut Batch<T>) -> V,
    ) -> Option<Failure> {
        let Job { batch, tickets, .. } = self;
        // The conversion of the result runs the caller's `Into`, so it is caught as well.
        let recorded = timeline::task("Batcher", None);
        let outcome = panics::catch(|| handler(batch).outcome());
        drop(recorded);
        match outcome {
            Ok(Outcome::All(result, clone)) => match share(result, clone, tickets) {
                Ok(results) => {
                    let count = self.batch.count();
                    self.succeed(count, results);
                    None
                }
                Err(payload) => Some(Failure::panicked(payload)),
            },
            Ok(Outcome::Failed(error)) => Some(Failure::All(BatchError::failed(error))),
            Ok(Outcome::Each(results)) if results.len() == self.batch.count() => self.sort_out(results),
            Ok(Outcome::Each(results)) => {
                // Too few or too many results cannot be assigned to items: a bug in the handler, treated as
                // its panic.
                let (found, wanted) = (results.len(), self.batch.count());
                panics::discard_each(results);
                let text = format!("the handler returned {found} results for {wanted} items");
                Some(Failure::panicked(Box::new(text)))
            }
            Err(payload) => Some(Failure::panicked(payload)),
        }
    }

    /// Settles the items that succeeded, and keeps the others.
    fn sort_out(&mut self, results: Vec<Result<R, BoxedError>>) -> Option<Failure> {
        // The items that succeeded leave the batch; the others stay for a retry.
        let leaves: Vec<bool> = results.iter().map(Result::is_ok).collect();
        let mut done = self.split_off(&leaves);
        let (mut settled, mut errors, mut unwanted) = (Vec::new(), Vec::new(), Vec::new());
        let mut tickets = mem::take(&mut done.tickets).into_iter().peekable();
        let mut index = 0;
        for result in results {
            match result {
                Err(error) => errors.push(BatchError::failed(error)),
                Ok(result) => {
                    match tickets.next_if(|(owner, _)| *owner == index) {
                        Some((_, number)) => settled.push((number, Ok(result))),
                        None => unwanted.push(result),
                    }
                    index += 1;
                }
            }
        }
        // Settled before the unwanted results are dropped: a slow drop must not delay the waiters.
        done.succeed(index, settled);
        panics::discard_each(unwanted);
        panics::discard_each(done.batch.items);
        // The errors are in the order of the items that are left, so positions match.
        (!errors.is_empty()).then_some(Failure::Each(errors))
    }

    /// Makes a batch of the items for which `leaves` is true.
    fn split_off(&mut self, leaves: &[bool]) -> Job<'a, T, R> {
        let (left, stays) = self.batch.split(leaves);
        // The number of items before each position that go to the same side.
        let mut counts = [0, 0];
        let indexes: Vec<usize> = leaves
            .iter()
            .map(|&leaves| {
                counts[usize::from(leaves)] += 1;
                counts[usize::from(leaves)] - 1
            })
            .collect();
        let (left_tickets, tickets): (Vec<_>, Vec<_>) =
            mem::take(&mut self.tickets).into_iter().partition(|&(index, _)| leaves[index]);
        let moved = |tickets: Vec<(usize, usize)>| {
            tickets.into_iter().map(|(index, number)| (indexes[index], number)).collect()
        };
        // Only now, since the new positions were derived from the old ones.
        self.batch = stays;
        self.tickets = moved(tickets);
        Job {
            shared: self.shared,
            batch: left,
            tickets: moved(left_tickets),
            completion: self.completion.clone(),
        }
    }

    fn succeed(&mut self, count: usize, results: Settled<T, R>) {
        // Counted before the tickets are settled: a waiter that wakes finds its item counted.
        self.shared.count(|stats| {
            stats.processing -= count;
            stats.processed += count;
        });
        self.shared.settle(self.completion.as_ref(), results);
    }

    /// The pause before the next attempt, for each error; `None` to give up. A panic says nothing about the
    /// items: it is unknown what was done before it, so it is not retried. Items that the handler took are
    /// gone.
    fn pauses(&self, failure: &Failure, course: Option<&Course<'_>>) -> Vec<Option<Duration>> {
        let pause = |error: &BatchError| {
            let (retry, course) = (self.shared.retry.as_ref()?, course?);
            if self.batch.is_taken() || error.is_panic() {
                return None;
            }
            // The caller's closure, which gives up if it panics.
            let again = contain(|| (retry.worth)(error))?;
            let pause = course.pause(self.batch.attempt, again).ok()?;
            course.affords(pause, &self.shared.clock).then_some(pause)
        };
        failure.errors().iter().map(pause).collect()
    }

    /// Reports a failure for each item that is left in the batch.
    fn give_up(&mut self, failure: &Failure) {
        // Counted before the tickets are settled, as for a success.
        self.shared.count_failed(self.batch.count(), failure.errors().iter());
        let without_ticket = self.batch.count() - self.tickets.len();
        let (results, rest) = self.part(|index| failure.of(index).clone());
        self.shared.settle(self.completion.as_ref(), results);
        match failure {
            // Reported even if the handler took the items: the error must not be lost with them.
            Failure::All(error) if without_ticket > 0 => {
                let items = rest.into_iter().map(|(_, item)| item).collect();
                self.shared.report_failure(Failed::new(items, error.clone()));
            }
            Failure::All(_) => {}
            Failure::Each(_) => rest.into_iter().for_each(|(index, item)| {
                self.shared.report_failure(Failed::new(vec![item], failure.of(index).clone()));
            }),
        }
    }

    /// Hands everything that is left in the batch to an abort.
    fn hand_back(&mut self) {
        let count = self.batch.count();
        let results = self.tickets.iter().map(|&(_, number)| (number, aborted())).collect();
        // Returned before the tickets are settled: a waiter that wakes finds its item in the report.
        self.shared.take_back(mem::take(&mut self.batch.items), count);
        self.shared.settle(self.completion.as_ref(), results);
    }

    /// Separates the items with a ticket, as failures for their tickets, from those without, with their
    /// positions.
    fn part(&mut self, error: impl Fn(usize) -> BatchError) -> (Settled<T, R>, Vec<(usize, T)>) {
        // Shorter than the count if the handler took the items; their tickets then get no item.
        let mut items = mem::take(&mut self.batch.items).into_iter();
        let (mut results, mut rest) = (Vec::new(), Vec::new());
        let mut tickets = self.tickets.iter().peekable();
        for index in 0..self.batch.count() {
            let item = items.next();
            match tickets.next_if(|(owner, _)| *owner == index) {
                Some(&(_, number)) => results.push((number, Err(Failed::new(item, error(index))))),
                None => rest.extend(item.map(|item| (index, item))),
            }
        }
        (results, rest)
    }
}

/// One result for all tickets: clones, and the original for the last. If a clone panics, no ticket gets one.
fn share<T, R>(result: R, clone: fn(&R) -> R, tickets: &[(usize, usize)]) -> Result<Settled<T, R>, Payload> {
    let Some(((_, last), others)) = tickets.split_last() else {
        // No ticket wants it.
        panics::discard(result);
        return Ok(Vec::new());
    };
    let mut results = Vec::with_capacity(tickets.len());
    for &(_, number) in others {
        // Caught for each clone, so that the earlier ones can be disposed of with their panics contained.
        match panics::catch(|| clone(&result)) {
            Ok(copy) => results.push((number, Ok(copy))),
            Err(payload) => {
                panics::discard(result);
                panics::discard_each(results);
                return Err(payload);
            }
        }
    }
    // The original goes to the last ticket, which saves a clone.
    results.push((*last, Ok(result)));
    Ok(results)
}

/// The result of an item that was handed back by an abort.
fn aborted<T, R>() -> TicketResult<T, R> {
    Err(Failed::new(None, BatchError::Cancelled))
}

/// Cancels the tickets of a batch that was never started, and returns its items.
pub(super) fn cancel_unstarted<T, R>(shared: &Shared<T, R>, open_batch: OpenBatch<T, R>) -> Vec<T> {
    let results = (0..open_batch.tickets.len()).map(|number| (number, aborted())).collect();
    shared.settle(open_batch.completion.as_ref(), results);
    open_batch.items
}
