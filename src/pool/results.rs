//! A stream of results in the order in which tasks end.

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::{fmt, mem};

use super::job::report_unjoined;
use super::raw_job::{Job, RawJob};
use super::shared::Shared;
use super::slot::{End, WorkerSlot};
use super::submit::refused;
use crate::burst;
use crate::error::{Closed, JoinError, Panic, Rejected, TryError, WaitError};
use crate::panics;
use crate::sync::{Arc, Mutex};
use crate::until::Until;
use crate::wait::{Turn, TurnPoint, Turns, WaitList};

/// Submits tasks and returns their results in the order in which they end; made by
/// [`Pool::results`](super::Pool::results).
///
/// Each result carries the number of its task. Unread results block neither the workers nor a shutdown. They
/// are kept until they are read or the stream is dropped, so the tasks submitted without reading bound the
/// memory.
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
/// The submitting calls block as those of the [`Pool`](super::Pool) do. [`next`](Results::next) and the
/// iterator block until a task ends, unless all have ended; the task that ends wakes one reader. Inside a
/// task of the same pool they may wait for a task that no free worker can run, unless the pool has
/// [spares](super::Builder::spares).
///
/// # Cancellation
/// A reader whose limit passes takes nothing; the result stays for the next one. A result that has arrived
/// when the limit passes is returned.
/// # Fairness
/// Several threads may read. They are woken first come, first served; a thread that is awake may overtake
/// them, within a bound: a reader that has lost 32 times takes a turn, and until it has its result or gives
/// up, no other reader gets one and `try_next` is refused. Turns are served in order. Submitters that wait
/// for room are served as those of the [pool](super::Pool) are.
///
/// # Panics
/// A task's panic is its result. Panics that are unread when the stream is dropped, or happen later, go to
/// the pool's [hook](super::Builder::on_panic).
///
/// # Proof
/// Models in `loom-tests/tests/pool.rs`: `a_result_wakes_a_reader`, `the_last_result_tells_every_reader`,
/// `readers_that_take_turns_both_hear_of_the_end`, `an_aborted_task_is_in_the_results_as_cancelled`.
///
/// # Cost
/// A closure of at most 32 bytes allocates nothing. Bench `ratios`, 1,000 results: 121 ns each, 1.9 to 3.9
/// times faster than rusty_pool, crossbeam by hand, threadpool and rayon.
///
/// # Instead
/// Use [`Task`](super::Task) to join one particular task; [`group::scope`](crate::group::scope) if the first
/// error should stop the rest.
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
    /// The number of tasks submitted, without refused ones; the number of the next task.
    submitted: usize,
    /// Submitted tasks that have not ended.
    under_way: usize,
    readers: WaitList,
    /// Readers that have lost too often: while there are any, no other reader gets a result.
    turns: Turns,
    /// The stream is dropped: there are no readers any more.
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

    /// Submits a closure, waiting for room in the queue as long as it takes. Returns its number, starting
    /// from 0.
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
        let mut task = Some(f);
        match self.pool.try_push(&mut task, |f| self.pack(f, &number)) {
            Ok(()) => Ok(number.get()),
            Err(error) => Err(refused(task, error)),
        }
    }

    /// Like [`submit`](Results::submit), waiting for room until `limit` at most.
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
        let mut task = Some(f);
        match self.pool.push(&mut task, |f| self.pack(f, &number), limit.into()) {
            Ok(()) => Ok(number.get()),
            Err(error) => Err(refused(task, error)),
        }
    }

    /// Takes the next result in the order in which tasks end, waiting for a task to end if necessary. `None`
    /// once every submitted task has been reported.
    #[track_caller]
    pub fn next(&self) -> Option<Ended<R>> {
        // An unlimited wait fails only if it would deadlock, and no wait-for edge leads out of here.
        self.next_until(Until::forever()).unwrap_or(None)
    }

    /// Takes the next result if there is one and no reader has a [turn](Results#fairness).
    ///
    /// # Errors
    /// [`TryError::WouldBlock`] if no task has ended but some will, or if another reader has a turn.
    pub fn try_next(&self) -> Result<Option<Ended<R>>, TryError> {
        self.inbox.take(None)
    }

    /// Like [`next`](Results::next), waiting until `limit` at most.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] or [`WaitError::Cancelled`].
    #[track_caller]
    pub fn next_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<Option<Ended<R>>, WaitError> {
        // No missed wake-up: `receive` adds a result and takes a reader out of the list under the lock under
        // which the reader looked and joined the list.
        let reader = TurnPoint::new(
            &self.inbox.state,
            |state| (&mut state.readers, &mut state.turns),
            State::is_worth_a_try,
        );
        limit.into().called("Results::next").retry(&reader, || self.inbox.take(reader.turn()))
    }

    /// The number of results that can be read now.
    pub fn len(&self) -> usize {
        self.inbox.state.lock().ended.len()
    }

    /// Returns true if no result can be read now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of submitted tasks that have not ended.
    pub fn under_way(&self) -> usize {
        self.inbox.state.lock().under_way
    }

    /// Numbers a closure and wraps it, so that its end reaches the inbox. Called once the task is accepted,
    /// so that no number is left out.
    fn pack<F>(&self, f: F, number: &Cell<usize>) -> RawJob
    where
        F: FnOnce() -> R + Send + 'static,
    {
        let mut state = self.inbox.state.lock();
        number.set(state.submitted);
        state.submitted += 1;
        // Under the lock: a reader that finds nothing under way has received every result.
        state.under_way += 1;
        // Unlocked before the job is built: `RawJob::new` may allocate.
        drop(state);
        let sender = ResultSender { number: number.get(), inbox: Some(Arc::clone(&self.inbox)) };
        RawJob::new(StreamedJob { f, sender })
    }
}

impl<R> Drop for Results<'_, R> {
    /// Lets the tasks run on; their results are dropped.
    fn drop(&mut self) {
        let mut state = self.inbox.state.lock();
        state.dropped = true;
        // Unlocked first: the hook and the drops of results are the caller's code.
        let unread = mem::take(&mut state.ended);
        drop(state);
        for (_, result) in unread {
            report_unjoined(Some(result), self.pool.external());
        }
    }
}

/// A closure whose result is sent to an inbox.
struct StreamedJob<F, R> {
    f: F,
    sender: ResultSender<R>,
}

impl<F, R> Job for StreamedJob<F, R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    fn run(self, slot: &WorkerSlot) {
        // Caught here, because a panic is a result of the stream.
        let result = panics::catch(self.f);
        // Counted before it is sent: a reader that sees the result sees it counted.
        match &result {
            Ok(_) => slot.count(End::Completed),
            Err(_) => slot.count(End::Panicked),
        }
        let unread = self.sender.send(result.map_err(|payload| JoinError::Panicked(Panic::new(payload))));
        report_unjoined(unread, slot);
    }

    fn is_unclaimed(&self) -> bool {
        true
    }

    fn revoke(&self, slot: &WorkerSlot) {
        // The inbox learns of it when the closure, and with it the sender, is dropped.
        slot.count(End::Cancelled);
    }
}

/// Sends one end to the inbox: the task's result, or `Cancelled` if it is dropped first.
struct ResultSender<R> {
    number: usize,
    /// `None` once the end was sent.
    inbox: Option<Arc<Inbox<R>>>,
}

impl<R> ResultSender<R> {
    /// Sends the result; returns it if the stream is gone.
    fn send(mut self, result: Result<R, JoinError>) -> Option<Result<R, JoinError>> {
        self.inbox.take().and_then(|inbox| inbox.receive(self.number, result))
    }
}

impl<R> Drop for ResultSender<R> {
    fn drop(&mut self) {
        if let Some(inbox) = self.inbox.take() {
            // Revoked before it ran: the readers must not wait for it.
            drop(inbox.receive(self.number, Err(JoinError::Cancelled)));
        }
    }
}

impl<R> Inbox<R> {
    /// Takes a result, for a reader with or without a turn.
    fn take(&self, turn: Option<Turn>) -> Result<Option<Ended<R>>, TryError> {
        let mut state = self.state.lock();
        // Before the turn is checked: the end of the stream is for every reader.
        if state.ended.is_empty() && state.under_way == 0 {
            return Ok(None);
        }
        if !state.turns.admits(turn) {
            return Err(TryError::WouldBlock);
        }
        let ended = state.ended.pop_front().ok_or(TryError::WouldBlock)?;
        // A burst of results must not keep its memory forever.
        burst::give_back(&mut state.ended);
        Ok(Some(ended))
    }

    #[track_caller]
    fn receive(&self, number: usize, result: Result<R, JoinError>) -> Option<Result<R, JoinError>> {
        let mut state = self.state.lock();
        state.under_way -= 1;
        if state.dropped {
            // Not dropped under the lock: the result is the caller's, and its drop may panic.
            return Some(result);
        }
        state.ended.push_back((number, result));
        // One result is for one reader, and any will do: the first in the list has waited longest. The last
        // result wakes all readers, since the others learn that none is left.
        let count = if state.under_way == 0 { usize::MAX } else { 1 };
        let wakes = state.readers.take(count);
        // Woken after unlocking, so that a reader does not run into the lock.
        drop(state);
        drop(wakes);
        None
    }
}

impl<R> State<R> {
    /// True if a reader with or without a turn need not wait: there is a result for it, or none will come.
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

/// Takes results until every submitted task has been reported; see [`Results`].
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
