//! Results in the order in which tasks end, that nobody has to read.

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::{fmt, mem};

use super::job::report_unjoined;
use super::raw_job::{Job, RawJob};
use super::shared::Shared;
use super::slot::{WorkerSlot, count};
use super::submit::refused;
use crate::burst;
use crate::error::{Closed, JoinError, Panic, Rejected, TryError, WaitError};
use crate::panics;
use crate::sync::{Arc, Mutex};
use crate::until::Until;
use crate::wait::{Turn, TurnPoint, Turns, WaitList};

/// Submits tasks whose results come back in the order in which they end: made by
/// [`Pool::results`](super::Pool::results).
///
/// Each result carries the number of its task, so that it is known whose it is. Results that nobody reads
/// hold nobody up: neither the workers nor a shutdown wait for a reader. They are kept until they are read or
/// the stream is dropped, so memory is bounded by what you submit without reading.
///
/// # Examples
/// ```
/// use selvedge::Pool;
///
/// let pool = Pool::builder().workers(2).build()?;
/// let squares = pool.results();
/// for n in 0..10_u32 {
///     squares.submit(move || n * n)?;
/// }
/// let mut sum = 0;
/// for (number, square) in &squares {       // ends with the last result
///     assert_eq!(square.as_ref().unwrap(), &(number as u32).pow(2));
///     sum += square?;
/// }
/// assert_eq!(sum, 285);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Blocking
/// The submitting calls as those of the [`Pool`](super::Pool). [`next`](Results::next) and the iterator wait
/// while nothing has ended and something is still to end. From inside a task of the same pool they may wait
/// for themselves, unless the pool has [spares](super::Builder::spares).
///
/// # Fairness
/// Several threads may read; they are woken first come, first served, and one that is awake may be faster. A
/// reader that has lost 32 times has a turn: until it has its result or gives up, nobody else gets one, and
/// `try_next` is refused. Turns are served in order. So a reader is served after a bounded number of others.
/// Those who wait for room to submit are served as the [pool](super::Pool)'s are.
///
/// # Panics
/// A task's panic is its result. One that is in the stream when it is dropped, or ends later, goes to the
/// pool's [hook](super::Builder::on_panic).
///
/// # Proof
/// Models in `loom-tests/tests/pool.rs`.
///
/// # Instead
/// [`Task`](super::Task) to fetch a certain result; [`group::scope`](crate::group::scope) if the first error
/// should stop the rest.
pub struct Results<'pool, R> {
    pool: &'pool Arc<Shared>,
    inbox: Arc<Inbox<R>>,
}

/// The number of a task, in the order of submission, and how it ended.
pub type Ended<R> = (usize, Result<R, JoinError>);

struct Inbox<R> {
    state: Mutex<State<R>>,
}

struct State<R> {
    ended: VecDeque<Ended<R>>,
    /// Tasks that were submitted, refused ones not counted; the next one's number.
    submitted: usize,
    /// Tasks that were submitted and have not ended.
    under_way: usize,
    readers: WaitList,
    /// Readers that have lost too often: while there are any, nobody else gets a result.
    turns: Turns,
    /// Nobody will read any more.
    dropped: bool,
}

impl<'pool, R: Send + 'static> Results<'pool, R> {
    pub(super) fn new(pool: &'pool Arc<Shared>) -> Self {
        let state = State {
            ended: VecDeque::new(),
            submitted: 0,
            under_way: 0,
            readers: WaitList::new(),
            turns: Turns::new(),
            dropped: false,
        };
        Results { pool, inbox: Arc::new(Inbox { state: Mutex::new(state) }) }
    }

    /// Submits a closure; waits for room in the queue as long as it takes. Returns its number: the first is
    /// 0.
    ///
    /// # Errors
    /// [`Closed`], with the closure, once the pool is shut down.
    #[track_caller]
    pub fn submit<F>(&self, f: F) -> Result<usize, Rejected<F, Closed>>
    where
        F: FnOnce() -> R + Send + 'static,
    {
        self.submit_until(f, Until::forever()).map_err(|rejected| Rejected::new(rejected.value, Closed))
    }

    /// Like [`submit`](Results::submit), without waiting.
    ///
    /// # Errors
    /// With the closure: [`TryError::WouldBlock`] if the queue is full, [`TryError::Closed`].
    pub fn try_submit<F>(&self, f: F) -> Result<usize, Rejected<F, TryError>>
    where
        F: FnOnce() -> R + Send + 'static,
    {
        let number = Cell::new(0);
        let mut load = Some(f);
        match self.pool.try_post(&mut load, |f| self.pack(f, &number)) {
            Ok(()) => Ok(number.get()),
            Err(error) => Err(refused(load, error)),
        }
    }

    /// Like [`submit`](Results::submit), and waits for room at most until `limit`.
    ///
    /// # Errors
    /// With the closure: [`WaitError::TimedOut`], [`WaitError::Cancelled`] or [`WaitError::Closed`].
    #[track_caller]
    pub fn submit_until<'a, F>(
        &self,
        f: F,
        limit: impl Into<Until<'a>>,
    ) -> Result<usize, Rejected<F, WaitError>>
    where
        F: FnOnce() -> R + Send + 'static,
    {
        let number = Cell::new(0);
        let mut load = Some(f);
        match self.pool.push(&mut load, |f| self.pack(f, &number), limit.into()) {
            Ok(()) => Ok(number.get()),
            Err(error) => Err(refused(load, error)),
        }
    }

    /// Takes the next result, in the order in which the tasks end; waits for one to end. `None` if every task
    /// that was submitted has been told of.
    #[track_caller]
    pub fn next(&self) -> Option<Ended<R>> {
        // A forever limit does not end.
        self.next_until(Until::forever()).unwrap_or(None)
    }

    /// Takes the next result if there is one now, and no reader has a [turn](Results#fairness).
    ///
    /// # Errors
    /// [`TryError::WouldBlock`] if none has ended and some are still to end, or if another reader has a turn.
    pub fn try_next(&self) -> Result<Option<Ended<R>>, TryError> {
        self.inbox.take(None)
    }

    /// Like [`next`](Results::next), and waits at most until `limit`.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] or [`WaitError::Cancelled`].
    #[track_caller]
    pub fn next_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<Option<Ended<R>>, WaitError> {
        // `receive` adds a result under this lock, and takes a reader out of the list.
        let reader = TurnPoint::new(
            &self.inbox.state,
            |state| (&mut state.readers, &mut state.turns),
            State::is_worth_a_try,
        );
        limit.into().called("Results::next").retry(&reader, || self.inbox.take(reader.turn()))
    }

    /// Results that can be read now.
    pub fn len(&self) -> usize {
        self.inbox.state.lock().ended.len()
    }

    /// True if no result can be read now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tasks that were submitted and have not ended.
    pub fn under_way(&self) -> usize {
        self.inbox.state.lock().under_way
    }

    /// Numbers a closure and wraps it so that its end comes to the inbox. Done once it is accepted, so that
    /// no number is missing.
    fn pack<F>(&self, f: F, number: &Cell<usize>) -> RawJob
    where
        F: FnOnce() -> R + Send + 'static,
    {
        let mut state = self.inbox.state.lock();
        number.set(state.submitted);
        state.submitted += 1;
        state.under_way += 1;
        drop(state);
        let receipt = Receipt { number: number.get(), inbox: Some(Arc::clone(&self.inbox)) };
        RawJob::new(Addressed { f, receipt })
    }
}

impl<R> Drop for Results<'_, R> {
    /// Nobody reads any more: tasks go on, and their results are dropped.
    fn drop(&mut self) {
        let mut state = self.inbox.state.lock();
        state.dropped = true;
        let unread = mem::take(&mut state.ended);
        drop(state);
        for (_, result) in unread {
            report_unjoined(Some(result), self.pool.external());
        }
    }
}

/// A closure whose result goes to an inbox.
struct Addressed<F, R> {
    f: F,
    receipt: Receipt<R>,
}

impl<F, R> Job for Addressed<F, R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    fn run(self, slot: &WorkerSlot) {
        let result = panics::catch(self.f);
        match &result {
            Ok(_) => count(&slot.counters().completed),
            Err(_) => count(&slot.counters().panicked),
        }
        let unread = self.receipt.hand_in(result.map_err(|payload| JoinError::Panicked(Panic::new(payload))));
        report_unjoined(unread, slot);
    }

    fn is_waiting(&self) -> bool {
        true
    }

    fn revoke(&self, slot: &WorkerSlot) {
        // The stream is told when the closure is dropped.
        count(&slot.counters().cancelled);
    }
}

/// The duty to tell an inbox of an end, once.
struct Receipt<R> {
    number: usize,
    /// `None` once it was told.
    inbox: Option<Arc<Inbox<R>>>,
}

impl<R> Receipt<R> {
    /// Tells the inbox; gives the result back if nobody reads there any more.
    fn hand_in(mut self, result: Result<R, JoinError>) -> Option<Result<R, JoinError>> {
        self.inbox.take().and_then(|inbox| inbox.receive(self.number, result))
    }
}

impl<R> Drop for Receipt<R> {
    fn drop(&mut self) {
        if let Some(inbox) = self.inbox.take() {
            drop(inbox.receive(self.number, Err(JoinError::Cancelled)));
        }
    }
}

impl<R> Inbox<R> {
    /// Takes a result for one with that turn, or none.
    fn take(&self, turn: Option<Turn>) -> Result<Option<Ended<R>>, TryError> {
        let mut state = self.state.lock();
        if state.ended.is_empty() && state.under_way == 0 {
            return Ok(None);
        }
        if !state.turns.admits(turn) {
            return Err(TryError::WouldBlock);
        }
        let ended = state.ended.pop_front().ok_or(TryError::WouldBlock)?;
        burst::give_back(&mut state.ended);
        Ok(Some(ended))
    }

    #[track_caller]
    fn receive(&self, number: usize, result: Result<R, JoinError>) -> Option<Result<R, JoinError>> {
        let mut state = self.state.lock();
        state.under_way -= 1;
        if state.dropped {
            return Some(result);
        }
        state.ended.push_back((number, result));
        // One reader for one result: any of them will do. After the last, the others are told that none
        // comes.
        let count = if state.under_way == 0 { usize::MAX } else { 1 };
        let wakes = state.readers.take(count);
        drop(state);
        drop(wakes);
        None
    }
}

impl<R> State<R> {
    /// True if one with that turn, or none, need not wait: there is a result for it, or none will come.
    fn is_worth_a_try(&self, turn: Option<Turn>) -> bool {
        match self.ended.is_empty() {
            true => self.under_way == 0,
            false => self.turns.admits(turn),
        }
    }
}

impl<'a, R: Send + 'static> IntoIterator for &'a Results<'_, R> {
    type Item = Ended<R>;
    type IntoIter = ResultsIter<'a, R>;

    fn into_iter(self) -> ResultsIter<'a, R> {
        ResultsIter { results: self }
    }
}

/// Takes results until all that were submitted have been told of; see [`Results`].
#[derive(Debug)]
pub struct ResultsIter<'a, R: Send + 'static> {
    results: &'a Results<'a, R>,
}

impl<R: Send + 'static> Iterator for ResultsIter<'_, R> {
    type Item = Ended<R>;

    #[track_caller]
    fn next(&mut self) -> Option<Ended<R>> {
        self.results.next()
    }
}

impl<R> fmt::Debug for Results<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Results");
        if let Some(state) = self.inbox.state.try_lock() {
            out.field("ended", &state.ended.len()).field("under_way", &state.under_way);
            out.field("waiting", &state.readers.len());
        }
        out.finish_non_exhaustive()
    }
}

impl<R> UnwindSafe for Results<'_, R> {}
impl<R> RefUnwindSafe for Results<'_, R> {}
