//! The side of callers that add items. One mutex orders everything; see the [parent module](super).

use super::{Shared, State};
use crate::batch::ticket::{Completion, Ticket};
use crate::error::{Rejected, TryError, WaitError};
use crate::panics;
use crate::sync::Arc;
use crate::until::Until;
use crate::wait::graph::Awaited;
use crate::wait::{Turn, TurnPoint};

impl<T, R> Shared<T, R> {
    /// Adds an item, with or without a ticket, waiting for room within the limit.
    #[inline]
    #[track_caller]
    pub(in crate::batch) fn add(
        self: &Arc<Self>,
        item: T,
        ticket: bool,
        limit: Until<'_>,
    ) -> Result<Option<Ticket<T, R>>, Rejected<T, WaitError>> {
        if let Err(error) = limit.check_token() {
            return Err(Rejected::new(item, error));
        }
        let (item, weight) = self.weighed(item);
        match self.attempt(item, weight, ticket, None) {
            Ok(ticket) => Ok(ticket),
            Err(Rejected { value, error: TryError::WouldBlock }) => {
                self.add_slow(value, weight, ticket, limit)
            }
            Err(Rejected { value, error: TryError::Closed }) => Err(Rejected::new(value, WaitError::Closed)),
            Err(Rejected { value, .. }) => Err(Rejected::new(value, WaitError::InsufficientCapacity)),
        }
    }

    #[cold]
    #[track_caller]
    fn add_slow(
        self: &Arc<Self>,
        item: T,
        weight: usize,
        ticket: bool,
        limit: Until<'_>,
    ) -> Result<Option<Ticket<T, R>>, Rejected<T, WaitError>> {
        if self.is_inside() {
            // The room would be made by the thread that runs this handler, or that waits for this one.
            return Err(Rejected::new(item, WaitError::WouldDeadlock));
        }
        let mut item = Some(item);
        // No missed wake-up: `next` makes room and `close` closes under this lock, and both take waiters out
        // of the list.
        let ready = |state: &State<T, R>, turn| state.closed || self.has_room(state, weight, turn);
        let room = TurnPoint::new(&self.state, |state| (&mut state.adders, &mut state.turns), ready)
            .brought_by(Arc::clone(&self.handlers) as Arc<dyn Awaited>);
        let added = limit.called("Batcher::add").retry(&room, || {
            let value = item.take().expect("a refused item comes back");
            self.attempt(value, weight, ticket, room.turn()).map_err(|refused| {
                item = Some(refused.value);
                refused.error
            })
        });
        added.map_err(|error| Rejected::new(item.expect("a refused item comes back"), error))
    }

    /// Adds an item without waiting.
    #[inline]
    pub(in crate::batch) fn try_add(
        self: &Arc<Self>,
        item: T,
        ticket: bool,
    ) -> Result<Option<Ticket<T, R>>, Rejected<T, TryError>> {
        let (item, weight) = self.weighed(item);
        self.attempt(item, weight, ticket, None)
    }

    /// True if a caller with that turn, or without one, may add an item of that weight.
    #[inline]
    fn has_room(&self, state: &State<T, R>, weight: usize, turn: Option<Turn>) -> bool {
        // An item that fits into the open batch takes no room from a waiter, so turns do not apply to it.
        state.backlog.has_room(weight, &self.limits)
            && (state.turns.admits(turn) || state.backlog.fits_open(weight, &self.limits))
    }

    /// The item and its weight. If the caller's function panics, the item is dropped before the panic
    /// continues.
    #[inline]
    fn weighed(&self, item: T) -> (T, usize) {
        let Some(weigh) = &self.weigh else { return (item, 1) };
        match panics::catch(|| weigh(&item)) {
            Ok(weight) => (item, weight),
            // The item is dropped first: unwinding with it could panic twice.
            Err(payload) => {
                panics::discard(item);
                panics::resume(payload)
            }
        }
    }

    #[inline]
    fn attempt(
        self: &Arc<Self>,
        item: T,
        weight: usize,
        ticket: bool,
        turn: Option<Turn>,
    ) -> Result<Option<Ticket<T, R>>, Rejected<T, TryError>> {
        // Checked without the lock: no batch could ever take it.
        if weight > self.limits.weight {
            return Err(Rejected::new(item, TryError::InsufficientCapacity));
        }
        // Weighed before the lock is taken: `weigh` is the caller's code.
        let mut state = self.state.lock();
        // Closed wins over full: a caller must not wait for room in a closed batcher.
        if state.closed {
            return Err(Rejected::new(item, TryError::Closed));
        }
        if !self.has_room(&state, weight, turn) {
            return Err(Rejected::new(item, TryError::WouldBlock));
        }
        // The lock of a manual clock is taken under this one; no code takes them in the other order.
        let wakeups = state.backlog.push(item, weight, &self.limits, &self.clock);
        // Under the lock of the push, so that the figures always add up.
        state.stats.added += 1;
        state.stats.waiting += 1;
        let ticket = ticket.then(|| self.ticket(&mut state));
        // As many as there are new duties, and any of the idle threads will do: they are alike.
        let wakes = if wakeups == 0 { Vec::new() } else { state.idle.take(wakeups) };
        drop(state);
        drop(wakes);
        Ok(ticket)
    }

    /// A ticket for the item that was pushed last.
    fn ticket(self: &Arc<Self>, state: &mut State<T, R>) -> Ticket<T, R> {
        let batch = state.backlog.last_mut();
        let number = batch.tickets.len();
        // Still under the lock, so the item is the last one.
        batch.tickets.push(batch.items.len() - 1);
        let completion = batch.completion.get_or_insert_with(|| {
            Completion::new(self.hook.clone(), self.drop_later, self.address(), Arc::clone(&self.handlers))
        });
        Ticket::new(Arc::clone(completion), number)
    }
}
