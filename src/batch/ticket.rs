//! Tickets: waiting for the result of one item.

use std::fmt;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::failure::{BatchError, Failed};
use super::handlers::{Handlers, Processed};
use super::report::Hook;
use crate::error::{Rejected, TryError, WaitError};
use crate::panics;
use crate::sync::{Arc, Mutex};
use crate::until::Until;
use crate::wait::context::{self, this_thread};
use crate::wait::graph::{Awaited, Owner};
use crate::wait::{self, WaitList, WaitPoint, Waiter};

/// How an item ended: with its result, or with an error that contains the item.
pub type TicketResult<T, R> = Result<R, Failed<Option<T>>>;

/// [`drop_unclaimed_later`], for items and results that are known to borrow nothing.
pub(super) type DropLater<T, R> = fn(TicketResult<T, R>, Option<Hook<T>>) -> Box<dyn FnOnce()>;

/// A handle to an item that was [submitted](super::Batcher::submit), for its result.
///
/// Dropping the ticket does not affect the item. If the item fails, it then goes to the batcher's
/// [hook](super::Builder::on_error), as items that were [added](super::Batcher::add) do.
///
/// # Examples
/// ```
/// use selvedge::Batcher;
/// use selvedge::batch::Batch;
/// use std::time::Duration;
///
/// let batcher = Batcher::builder()
///     .max_items(2)
///     .build(|batch: &mut Batch<u32>| Ok::<u32, std::io::Error>(batch.iter().sum()))?;
/// let (one, two) = (batcher.submit(1)?, batcher.submit(2)?);
/// assert_eq!(one.join()?, 3);                          // of both, because they were in one batch
/// assert_eq!(two.join_until(Duration::from_secs(60))??, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Joining consumes the ticket, so a result is taken at most once:
/// ```compile_fail,E0382
/// # use selvedge::{Batcher, batch::Batch};
/// let batcher = Batcher::builder().build(|_: &mut Batch<u32>| ()).unwrap();
/// let ticket = batcher.submit(1).unwrap();
/// let once = ticket.join();
/// let twice = ticket.join();
/// ```
///
/// # Blocking
/// [`join`](Ticket::join) and [`wait_until`](Ticket::wait_until) block until the handler has returned and no
/// retry is left, or the batcher was aborted. The batcher's thread wakes all waiters of a batch together. The
/// other methods never block.
///
/// # Cancellation
/// A wait that ends early returns the ticket; the item stays in its batch. A result that exists when the
/// limit passes is a success.
///
/// # Panics
/// A panic of the handler is in the [`BatchError`]. Dropping a ticket whose item has failed calls the hook,
/// and contains its panics.
///
/// # Ordering
/// What the handler did for the item is visible to the thread that has its result.
///
/// # Proof
/// Models in `loom-tests/tests/batch.rs`: `each_ticket_gets_the_result_of_its_own_batch`,
/// `a_panicking_handler_tells_its_tickets_and_goes_on`, `a_waiter_that_gives_up_keeps_the_answer_for_later`,
/// `a_failure_reaches_the_hook_when_its_ticket_is_dropped`.
///
/// # Cost
/// The tickets of a batch share one allocation, with a lock of their own. Bench `ratios`, group commit.
///
/// # Instead
/// Use [`add`](super::Batcher::add) if the result does not matter, and [`flush`](super::Batcher::flush) to
/// wait for many items at once.
#[must_use = "dropping the ticket loses the result; `add` is for items without one"]
pub struct Ticket<T, R> {
    completion: Arc<Completion<T, R>>,
    number: usize,
}

/// The tickets of one batch. One mutex orders everything in this file.
pub(super) struct Completion<T, R> {
    state: Mutex<State<T, R>>,
    /// Receives failures whose ticket was dropped.
    hook: Option<Hook<T>>,
    drop_later: DropLater<T, R>,
    /// The thread that has taken the batch.
    owner: Arc<Owner>,
    handlers: Arc<Handlers>,
    /// Identifies the batcher among those that a thread can be inside.
    address: usize,
}

struct State<T, R> {
    /// Indexed by the ticket's number; missing ones are `Pending`.
    results: Vec<TicketState<T, R>>,
    waiting: WaitList,
}

enum TicketState<T, R> {
    /// Without a result so far.
    Pending,
    /// The ticket was dropped, or its result taken.
    Dropped,
    Known(TicketResult<T, R>),
}

impl<T, R> Completion<T, R> {
    pub(super) fn new(
        hook: Option<Hook<T>>,
        drop_later: DropLater<T, R>,
        address: usize,
        handlers: Arc<Handlers>,
    ) -> Arc<Self> {
        // A lock apart from the batcher's, so that joiners and adders do not contend.
        let state = Mutex::new(State { results: Vec::new(), waiting: WaitList::new() });
        Arc::new(Completion { state, hook, drop_later, owner: Owner::new(None), handlers, address })
    }

    /// The calling thread has taken the batch.
    pub(super) fn begin(&self) {
        self.owner.set(this_thread());
    }

    /// Stores results and wakes the waiters; returns the results whose tickets were dropped.
    pub(super) fn settle(&self, results: Vec<(usize, TicketResult<T, R>)>) -> Vec<TicketResult<T, R>> {
        let mut unclaimed = Vec::new();
        let mut state = self.state.lock();
        for (number, result) in results {
            let ticket = state.ticket(number);
            // The ticket's drop came first, so this thread disposes of the result.
            if matches!(ticket, TicketState::Dropped) {
                unclaimed.push(result);
            } else {
                // The waiter takes it from here, under the same lock.
                *ticket = TicketState::Known(result);
            }
        }
        // All waiters: each waits for a result of this batch, and they are settled together.
        let wakes = state.waiting.take_all();
        drop(state);
        // Woken after unlocking, since the waiters take this lock first. The unclaimed results are dropped by
        // the caller, outside the lock.
        drop(wakes);
        unclaimed
    }

    fn take(&self, number: usize) -> Option<TicketResult<T, R>> {
        self.state.lock().take(number)
    }
}

impl<T, R> State<T, R> {
    fn ticket(&mut self, number: usize) -> &mut TicketState<T, R> {
        if self.results.len() <= number {
            // Grown on demand: the number of tickets is known only when the batch closes.
            self.results.resize_with(number + 1, || TicketState::Pending);
        }
        &mut self.results[number]
    }

    fn is_known(&self, number: usize) -> bool {
        matches!(self.results.get(number), Some(TicketState::Known(_)))
    }

    /// Takes a stored result; the ticket counts as dropped from then on.
    fn take(&mut self, number: usize) -> Option<TicketResult<T, R>> {
        if !self.is_known(number) {
            return None;
        }
        // Taken once; the ticket's own drop then finds nothing to report.
        match mem::replace(&mut self.results[number], TicketState::Dropped) {
            TicketState::Known(result) => Some(result),
            TicketState::Pending | TicketState::Dropped => None,
        }
    }
}

impl<T, R> Ticket<T, R> {
    pub(super) fn new(completion: Arc<Completion<T, R>>, number: usize) -> Self {
        Ticket { completion, number }
    }

    /// Waits for the item to be processed, and takes its result.
    ///
    /// # Errors
    /// [`Failed`], with the item unless the handler took it: the handler's error or panic, or
    /// [`BatchError::Cancelled`]. [`BatchError::WouldDeadlock`] while there is no result, inside the
    /// batcher's own handler, or if the batch waits, directly or through others, for the calling thread; the
    /// item is processed nevertheless.
    #[track_caller]
    pub fn join(self) -> TicketResult<T, R> {
        match self.join_until(Until::forever()) {
            Ok(result) => result,
            // An unlimited wait fails only with `WouldDeadlock`.
            Err(_) => Err(Failed::new(None, BatchError::WouldDeadlock)),
        }
    }

    /// Takes the result if there is one.
    ///
    /// # Errors
    /// The ticket itself, if it is not.
    pub fn try_join(self) -> Result<TicketResult<T, R>, Self> {
        self.completion.take(self.number).ok_or(self)
    }

    /// Like [`join`](Ticket::join), waiting until `limit` at most. The outer result says whether the item was
    /// processed, the inner one how.
    ///
    /// # Errors
    /// With the ticket: [`WaitError::TimedOut`] or [`WaitError::Cancelled`]; [`WaitError::WouldDeadlock`] as
    /// in [`join`](Ticket::join).
    #[track_caller]
    pub fn join_until<'a>(
        self,
        limit: impl Into<Until<'a>>,
    ) -> Result<TicketResult<T, R>, Rejected<Self, WaitError>> {
        let limit = limit.into();
        if let Err(error) = limit.check_token() {
            return Err(Rejected::new(self, error));
        }
        // The common case costs one lock.
        if let Some(result) = self.completion.take(self.number) {
            return Ok(result);
        }
        match self.wait_until(limit) {
            Ok(()) => Ok(self.completion.take(self.number).expect("it is known, and nobody else takes it")),
            Err(error) => Err(Rejected::new(self, error)),
        }
    }

    /// Waits for the item to be processed, until `limit` at most, and leaves its result in place.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] or [`WaitError::Cancelled`]; [`WaitError::WouldDeadlock`] as in
    /// [`join`](Ticket::join).
    #[track_caller]
    pub fn wait_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<(), WaitError> {
        let limit = limit.into();
        limit.check_token()?;
        // Inside the handler the wait could never end, except that the result exists already.
        if !self.is_finished() && self.is_inside() {
            return Err(WaitError::WouldDeadlock);
        }
        limit
            .called("Ticket::join")
            .retry(self, || if self.is_finished() { Ok(()) } else { Err(TryError::WouldBlock) })
    }

    /// True if the calling thread is inside the batcher's handler, on which the result depends.
    pub(crate) fn is_inside(&self) -> bool {
        context::is_inside(self.completion.address)
    }

    /// Returns true once there is a result.
    pub fn is_finished(&self) -> bool {
        self.completion.state.lock().is_known(self.number)
    }
}

impl<T, R> WaitPoint for Ticket<T, R> {
    fn looks_ready(&self) -> bool {
        self.completion.state.try_lock().is_some_and(|state| state.is_known(self.number))
    }

    #[track_caller]
    fn join(&self, waiter: &Waiter) -> bool {
        // No missed wake-up: `settle` stores the result under this lock and takes all waiters out of the
        // list.
        let mut state = self.completion.state.lock();
        let must_wait = !state.is_known(self.number);
        state.waiting.join_if(must_wait, waiter)
    }

    fn leave(&self, waiter: &Waiter) {
        self.completion.state.lock().waiting.leave(waiter);
    }

    fn awaited(&self) -> Option<Arc<dyn Awaited>> {
        let (owner, handlers) = (Arc::clone(&self.completion.owner), Arc::clone(&self.completion.handlers));
        Some(Arc::new(Processed { owner, handlers }))
    }
}

impl<T, R> Drop for Ticket<T, R> {
    fn drop(&mut self) {
        let mut state = self.completion.state.lock();
        let unclaimed = mem::replace(state.ticket(self.number), TicketState::Dropped);
        // Unlocked first: the drop of the result and the hook are the caller's code.
        drop(state);
        let (TicketState::Known(result), completion) = (unclaimed, &self.completion) else { return };
        let drop_later = |result| (completion.drop_later)(result, completion.hook.clone());
        // The item or the result may contain another ticket, and so on: dropped in a loop, not recursively.
        wait::drop_link(result, |result| drop_unclaimed(result, completion.hook.as_ref()), drop_later);
    }
}

/// Passes a failure to the hook, or drops the result.
fn drop_unclaimed<T, R>(result: TicketResult<T, R>, hook: Option<&Hook<T>>) {
    match (result, hook) {
        (Err(failed), Some(hook)) => {
            hook.report(Failed::new(failed.value.into_iter().collect(), failed.error));
        }
        (result, _) => panics::drop_here(result),
    }
}

/// Defers [`drop_unclaimed`].
pub(super) fn drop_unclaimed_later<T: 'static, R: 'static>(
    result: TicketResult<T, R>,
    hook: Option<Hook<T>>,
) -> Box<dyn FnOnce()> {
    Box::new(move || drop_unclaimed(result, hook.as_ref()))
}

impl<T, R> fmt::Debug for Ticket<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Ticket");
        if let Some(state) = self.completion.state.try_lock() {
            out.field("finished", &state.is_known(self.number)).field("waiting", &state.waiting.len());
        }
        out.finish_non_exhaustive()
    }
}

impl<T, R> UnwindSafe for Ticket<T, R> {}
impl<T, R> RefUnwindSafe for Ticket<T, R> {}
