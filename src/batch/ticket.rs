//! Waiting for the result of one's own item.

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

/// How an item ended: its result, or the item and the reason why there is none.
pub type TicketResult<T, R> = Result<R, Failed<Option<T>>>;

/// [`unheard_later`], for items and results that are known to borrow nothing.
pub(super) type Later<T, R> = fn(TicketResult<T, R>, Option<Hook<T>>) -> Box<dyn FnOnce()>;

/// The result of an item that was [submitted](super::Batcher::submit), as soon as its batch was processed.
///
/// Dropping the ticket lets the item be processed all the same. If it fails, it goes to the batcher's
/// [hook](super::Builder::on_error) then, as the items do that were [added](super::Batcher::add).
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
/// Joining consumes the ticket, so nobody can join twice:
/// ```compile_fail,E0382
/// # use selvedge::{Batcher, batch::Batch};
/// let batcher = Batcher::builder().build(|_: &mut Batch<u32>| ()).unwrap();
/// let ticket = batcher.submit(1).unwrap();
/// let once = ticket.join();
/// let twice = ticket.join();
/// ```
///
/// # Blocking
/// [`join`](Ticket::join) blocks until the handler has returned and no retry is left, or the batcher was
/// aborted. The batcher's thread wakes all who wait for one batch together.
///
/// # Cancellation
/// A wait that ends early gives the ticket back; the item is not taken out of its batch.
#[must_use = "dropping the ticket loses the result; `add` is for items without one"]
pub struct Ticket<T, R> {
    completion: Arc<Completion<T, R>>,
    number: usize,
}

/// The tickets of one batch. One mutex orders everything in this file.
pub(super) struct Completion<T, R> {
    state: Mutex<State<T, R>>,
    /// Where failures go whose ticket was dropped.
    hook: Option<Hook<T>>,
    later: Later<T, R>,
    /// The thread that has taken the batch.
    owner: Arc<Owner>,
    handlers: Arc<Handlers>,
    /// The batcher's name among those that a thread can be inside.
    address: usize,
}

struct State<T, R> {
    /// By the number of the ticket; what is missing at the end is `Open`.
    results: Vec<TicketState<T, R>>,
    waiting: WaitList,
}

enum TicketState<T, R> {
    /// Nothing is known yet.
    Open,
    /// The ticket was dropped before.
    Dropped,
    Known(TicketResult<T, R>),
}

impl<T, R> Completion<T, R> {
    pub(super) fn new(
        hook: Option<Hook<T>>,
        later: Later<T, R>,
        address: usize,
        handlers: Arc<Handlers>,
    ) -> Arc<Self> {
        let state = Mutex::new(State { results: Vec::new(), waiting: WaitList::new() });
        Arc::new(Completion { state, hook, later, owner: Owner::new(None), handlers, address })
    }

    /// The calling thread has taken the batch.
    pub(super) fn begin(&self) {
        self.owner.set(this_thread());
    }

    /// Makes answers known and wakes those who wait; gives back the answers that nobody waits for any more.
    pub(super) fn settle(&self, results: Vec<(usize, TicketResult<T, R>)>) -> Vec<TicketResult<T, R>> {
        let mut unheard = Vec::new();
        let mut state = self.state.lock();
        for (number, result) in results {
            let ticket = state.ticket(number);
            if matches!(ticket, TicketState::Dropped) {
                unheard.push(result);
            } else {
                *ticket = TicketState::Known(result);
            }
        }
        let wakes = state.waiting.take_all();
        drop(state);
        drop(wakes);
        unheard
    }

    fn take(&self, number: usize) -> Option<TicketResult<T, R>> {
        self.state.lock().take(number)
    }
}

impl<T, R> State<T, R> {
    fn ticket(&mut self, number: usize) -> &mut TicketState<T, R> {
        if self.results.len() <= number {
            self.results.resize_with(number + 1, || TicketState::Open);
        }
        &mut self.results[number]
    }

    fn is_known(&self, number: usize) -> bool {
        matches!(self.results.get(number), Some(TicketState::Known(_)))
    }

    /// Takes an answer that is known; its ticket counts as dropped from then on.
    fn take(&mut self, number: usize) -> Option<TicketResult<T, R>> {
        if !self.is_known(number) {
            return None;
        }
        match mem::replace(&mut self.results[number], TicketState::Dropped) {
            TicketState::Known(result) => Some(result),
            TicketState::Open | TicketState::Dropped => None,
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
    /// [`BatchError::Cancelled`]. [`BatchError::WouldDeadlock`] at once from inside the batcher's own
    /// handler, while the result is not known, and where the batch waits, itself or through others, for this
    /// thread: the item is processed all the same.
    #[track_caller]
    pub fn join(self) -> TicketResult<T, R> {
        match self.join_until(Until::forever()) {
            Ok(result) => result,
            // A forever limit does not end.
            Err(_) => Err(Failed::new(None, BatchError::WouldDeadlock)),
        }
    }

    /// Takes the result if it is known.
    ///
    /// # Errors
    /// The ticket itself, if it is not.
    pub fn try_join(self) -> Result<TicketResult<T, R>, Self> {
        self.completion.take(self.number).ok_or(self)
    }

    /// Like [`join`](Ticket::join), and waits at most until `limit`. The outer result says whether the item
    /// was processed, the inner one how.
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
        // The common case, at the cost of one lock.
        if let Some(result) = self.completion.take(self.number) {
            return Ok(result);
        }
        match self.wait_until(limit) {
            Ok(()) => Ok(self.completion.take(self.number).expect("it is known, and nobody else takes it")),
            Err(error) => Err(Rejected::new(self, error)),
        }
    }

    /// Waits for the item to be processed, at most until `limit`, and leaves its result.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] or [`WaitError::Cancelled`]; [`WaitError::WouldDeadlock`] as in
    /// [`join`](Ticket::join).
    #[track_caller]
    pub fn wait_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<(), WaitError> {
        let limit = limit.into();
        limit.check_token()?;
        if !self.is_finished() && self.is_inside() {
            return Err(WaitError::WouldDeadlock);
        }
        limit
            .called("Ticket::join")
            .retry(self, || if self.is_finished() { Ok(()) } else { Err(TryError::WouldBlock) })
    }

    /// True if this thread is inside the batcher's handler, which the result waits for.
    pub(crate) fn is_inside(&self) -> bool {
        context::is_inside(self.completion.address)
    }

    /// True once the result is known.
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
        // `settle` writes the answer under this lock, and takes everybody out of the line.
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
        let unheard = mem::replace(state.ticket(self.number), TicketState::Dropped);
        drop(state);
        let (TicketState::Known(result), completion) = (unheard, &self.completion) else { return };
        let later = |result| (completion.later)(result, completion.hook.clone());
        // The item or the result may hold a ticket.
        wait::drop_link(result, |result| drop_unheard(result, completion.hook.as_ref()), later);
    }
}

/// Tells the hook of a failure, or drops the answer.
fn drop_unheard<T, R>(result: TicketResult<T, R>, hook: Option<&Hook<T>>) {
    match (result, hook) {
        (Err(failed), Some(hook)) => {
            hook.tell(Failed::new(failed.value.into_iter().collect(), failed.error));
        }
        (result, _) => panics::drop_here(result),
    }
}

/// What drops an answer as [`drop_unheard`] does, when it is called.
pub(super) fn unheard_later<T: 'static, R: 'static>(
    result: TicketResult<T, R>,
    hook: Option<Hook<T>>,
) -> Box<dyn FnOnce()> {
    Box::new(move || drop_unheard(result, hook.as_ref()))
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
