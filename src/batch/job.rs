//! One batch from the moment it is taken to the moment it has ended, on the thread that took it.
//!
//! All of the caller's code that a batch leads to runs here, with no lock held: the handler, the clones of
//! its result, the retry policy, the hook, and the drop of the items.

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
use crate::sync::Arc;
use crate::wait::context::Inside;
use crate::wait::context::{self, Context};
use crate::wait::graph;

/// By the numbers of their tickets.
type Settled<T, R> = Vec<(usize, TicketResult<T, R>)>;

/// What a batcher's thread does from its first to its last moment.
pub(super) fn work<T, V: HandlerResult>(
    shared: &Arc<Shared<T, V::Value>>,
    thread: usize,
    mut handler: impl FnMut(&mut Batch<T>) -> V,
) {
    let inside = Inside::of(shared.address()).enter();
    shared.handlers.begin();
    let _owing = graph::owe();
    while let Some(open_batch) = shared.next(thread) {
        let number = open_batch.number;
        let mut job = Job::new(shared, open_batch);
        job.run(&mut handler);
        let mut items = job.batch.items;
        // An item's drop is the caller's, and may panic: each by itself, for of two that panic in one drop of
        // the list the second would end the process.
        panics::discard_each(items.drain(..));
        shared.end(number, items);
    }
    // So is what the handler captured. It may use the batcher, and is still inside it.
    panics::discard(handler);
    drop(inside);
    shared.thread_leaves();
    context::with(Context::leave);
}

struct Job<'a, T, R> {
    shared: &'a Shared<T, R>,
    batch: Batch<T>,
    /// For each item with a ticket, in rising order: its place in the batch, and the number of its ticket.
    tickets: Vec<(usize, usize)>,
    completion: Option<Arc<Completion<T, R>>>,
}

/// The part of a batch that has failed: the items that are still in it, for one reason or each for its own.
enum Failure {
    All(BatchError),
    Each(Vec<BatchError>),
}

impl Failure {
    fn panicked(payload: Payload) -> Self {
        Failure::All(BatchError::Panicked(Panic::new(payload)))
    }

    fn of(&self, place: usize) -> &BatchError {
        match self {
            Failure::All(error) => error,
            Failure::Each(errors) => &errors[place],
        }
    }

    /// Drops the errors, of which these may be the last references: they are the caller's.
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
        if let Some(completion) = &open_batch.completion {
            completion.begin();
        }
        Job {
            shared,
            batch: Batch::new(open_batch.items, reason, open_batch.weight),
            tickets: open_batch
                .tickets
                .into_iter()
                .enumerate()
                .map(|(number, place)| (place, number))
                .collect(),
            completion: open_batch.completion,
        }
    }

    /// Hands the batch to the handler until nothing has failed, or what has failed is not to be retried.
    fn run<V: HandlerResult<Value = R>>(&mut self, handler: &mut impl FnMut(&mut Batch<T>) -> V) {
        while let Some(failure) = self.attempt(handler) {
            let pauses = self.pauses(&failure);
            // Where the errors differ, some items may be retried and others not.
            let leaves: Vec<bool> = pauses.iter().map(Option::is_none).collect();
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
            if self.shared.pause(pause) {
                return self.hand_back();
            }
            self.batch.attempt += 1;
        }
    }

    /// Hands the batch to the handler once. Answers those that have succeeded, and leaves the others in the
    /// batch.
    fn attempt<V: HandlerResult<Value = R>>(
        &mut self,
        handler: &mut impl FnMut(&mut Batch<T>) -> V,
    ) -> Option<Failure> {
        let Job { batch, tickets, .. } = self;
        match panics::catch(|| handler(batch).outcome()) {
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
                let (found, wanted) = (results.len(), self.batch.count());
                panics::discard_each(results);
                let text = format!("the handler returned {found} results for {wanted} items");
                Some(Failure::panicked(Box::new(text)))
            }
            Err(payload) => Some(Failure::panicked(payload)),
        }
    }

    /// Answers the items that have succeeded, and keeps the others.
    fn sort_out(&mut self, results: Vec<Result<R, BoxedError>>) -> Option<Failure> {
        let leaves: Vec<bool> = results.iter().map(Result::is_ok).collect();
        let mut done = self.split_off(&leaves);
        let (mut settled, mut errors, mut unwanted) = (Vec::new(), Vec::new(), Vec::new());
        let mut tickets = mem::take(&mut done.tickets).into_iter().peekable();
        let mut place = 0;
        for result in results {
            match result {
                Err(error) => errors.push(BatchError::failed(error)),
                Ok(result) => {
                    match tickets.next_if(|(owner, _)| *owner == place) {
                        Some((_, number)) => settled.push((number, Ok(result))),
                        None => unwanted.push(result),
                    }
                    place += 1;
                }
            }
        }
        done.succeed(place, settled);
        panics::discard_each(unwanted);
        panics::discard_each(done.batch.items);
        (!errors.is_empty()).then_some(Failure::Each(errors))
    }

    /// Makes a batch of its own of the items that `leaves` says.
    fn split_off(&mut self, leaves: &[bool]) -> Job<'a, T, R> {
        let (left, stays) = self.batch.split(leaves);
        // How many there are on the same side before each place.
        let mut counts = [0, 0];
        let places: Vec<usize> = leaves
            .iter()
            .map(|&leaves| {
                counts[usize::from(leaves)] += 1;
                counts[usize::from(leaves)] - 1
            })
            .collect();
        let (left_tickets, tickets): (Vec<_>, Vec<_>) =
            mem::take(&mut self.tickets).into_iter().partition(|&(place, _)| leaves[place]);
        let moved = |tickets: Vec<(usize, usize)>| {
            tickets.into_iter().map(|(place, number)| (places[place], number)).collect()
        };
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
        self.shared.count(|stats| {
            stats.processing -= count;
            stats.processed += count;
        });
        self.shared.settle(self.completion.as_ref(), results);
    }

    /// How long to wait before the next attempt, for each error; `None` if there is to be none. A panic is no
    /// verdict on the items: nobody knows what was done before it, so it is not retried. What the handler
    /// took is gone.
    fn pauses(&self, failure: &Failure) -> Vec<Option<Duration>> {
        let pause = |error: &BatchError| {
            let policy = self.shared.retry.as_ref()?;
            let again = !self.batch.is_taken() && !error.is_panic();
            again.then(|| contain(|| policy(self.batch.attempt, error)).flatten()).flatten()
        };
        failure.errors().iter().map(pause).collect()
    }

    /// Tells everybody whose item is left in the batch.
    fn give_up(&mut self, failure: &Failure) {
        self.shared.count_failed(self.batch.count(), failure.errors().iter());
        let untold = self.batch.count() - self.tickets.len();
        let (results, rest) = self.part(|place| failure.of(place).clone());
        self.shared.settle(self.completion.as_ref(), results);
        match failure {
            // Told although the handler took the items: the error must not be lost with them.
            Failure::All(error) if untold > 0 => {
                let items = rest.into_iter().map(|(_, item)| item).collect();
                self.shared.tell(Failed::new(items, error.clone()));
            }
            Failure::All(_) => {}
            Failure::Each(_) => rest.into_iter().for_each(|(place, item)| {
                self.shared.tell(Failed::new(vec![item], failure.of(place).clone()));
            }),
        }
    }

    /// Gives everything that is left in the batch to an abort.
    fn hand_back(&mut self) {
        let count = self.batch.count();
        let results = self.tickets.iter().map(|&(_, number)| (number, aborted())).collect();
        self.shared.take_back(mem::take(&mut self.batch.items), count);
        self.shared.settle(self.completion.as_ref(), results);
    }

    /// Parts the items that have a ticket, with what it is told, from those that have none, with their
    /// places.
    fn part(&mut self, error: impl Fn(usize) -> BatchError) -> (Settled<T, R>, Vec<(usize, T)>) {
        let mut items = mem::take(&mut self.batch.items).into_iter();
        let (mut results, mut rest) = (Vec::new(), Vec::new());
        let mut tickets = self.tickets.iter().peekable();
        for place in 0..self.batch.count() {
            let item = items.next();
            match tickets.next_if(|(owner, _)| *owner == place) {
                Some(&(_, number)) => results.push((number, Err(Failed::new(item, error(place))))),
                None => rest.extend(item.map(|item| (place, item))),
            }
        }
        (results, rest)
    }
}

/// One result for all tickets: clones, and the original for the last. If a clone panics, nobody gets any.
fn share<T, R>(result: R, clone: fn(&R) -> R, tickets: &[(usize, usize)]) -> Result<Settled<T, R>, Payload> {
    let Some(((_, last), others)) = tickets.split_last() else {
        // Nobody wants it.
        panics::discard(result);
        return Ok(Vec::new());
    };
    let mut results = Vec::with_capacity(tickets.len());
    for &(_, number) in others {
        match panics::catch(|| clone(&result)) {
            Ok(copy) => results.push((number, Ok(copy))),
            Err(payload) => {
                panics::discard(result);
                panics::discard_each(results);
                return Err(payload);
            }
        }
    }
    results.push((*last, Ok(result)));
    Ok(results)
}

/// What the ticket of an item is told that went back to whoever aborted.
fn aborted<T, R>() -> TicketResult<T, R> {
    Err(Failed::new(None, BatchError::Cancelled))
}

/// Tells the tickets of a batch that was never begun, and gives its items back.
pub(super) fn unbegun<T, R>(shared: &Shared<T, R>, open_batch: OpenBatch<T, R>) -> Vec<T> {
    let results = (0..open_batch.tickets.len()).map(|number| (number, aborted())).collect();
    shared.settle(open_batch.completion.as_ref(), results);
    open_batch.items
}
