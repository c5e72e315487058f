//! What a group still has to do, and who does it.
//!
//! Tasks are posted on the board. Helpers take them down, and so does whoever waits for the group. Where
//! helpers come from is said by [`Callers`], or they are the [`crew`]'s. One mutex orders everything here; what it
//! guards is in [`state`](super::state).
//!
//! # Who is called
//! At most one helper is *on its way* at a time. It is called when a task is posted, and when it arrives and
//! takes a task while others are left, it calls the next before it begins. So a thousand small tasks do not
//! cost a thousand wake-ups: whoever is awake takes the next one. Who takes the last one takes back the call of a
//! helper that has not come by then. And still every task gets a thread even if all of them block, because of
//!
//! # Invariant
//! With the lock free: if a task is posted that the limit allows to run, then a helper is on its way, or somebody
//! who waits is taking tasks, or no thread is to be had. It is made by `settle`, before each unlocking that could
//! break it: a post, a raised limit, a task that is taken, and one that falls asleep.
//!
//! # No thread to be had
//! Then whoever ends a task takes the next, and who waits for the group takes them all; a [handle](super::Handle)'s
//! joiner takes the one that it waits for, which it does with a thread to be had, too; those who wait elsewhere for
//! what a task does are told by a token ([`Board::tell_of_refusal`]). The call stays with the crew, whose next free
//! helper comes for it, and the next post asks for a thread again.
//!
//! # Lock order
//! The board's, then the crew's.

use std::fmt;
use std::io;
use std::mem;
use std::time::Instant;

use super::Unfinished;
use super::callers::Callers;
use super::state::{Helper, State, Task};
use crate::cancel::CancelToken;
use crate::crew::{self, Behalf, nested};
use crate::error::{TryError, WaitError};
use crate::inside;
use crate::panics;
use crate::sync::{Arc, Mutex, MutexGuard};
use crate::until::Until;
use crate::wait::graph::{self, Awaited, Needs};
use crate::wait::{Blocking, Place, Slot, observed_by};

pub(super) struct Board {
    state: Mutex<State>,
    /// `None` for the crew, which always has a thread unless the operating system refuses.
    callers: Option<Arc<dyn Callers>>,
    /// Its maker's, who waits for whoever helps.
    behalf: Behalf,
}

impl Board {
    pub(super) fn new(callers: Option<Arc<dyn Callers>>) -> Self {
        Board { callers, behalf: Behalf::current(), state: Mutex::new(State::new()) }
    }

    /// Posts a task.
    ///
    /// # Errors
    /// If it needed another thread and none was to be had; it is posted all the same.
    pub(super) fn post(board: &Arc<Self>, name: Option<Arc<str>>, task: Task) -> io::Result<()> {
        let mut state = board.state.lock();
        state.post(name, task);
        Board::settle(board, state)
    }

    /// Like [`post`](Board::post), for a task that is joined: its number.
    pub(super) fn post_joined(board: &Arc<Self>, task: Task) -> usize {
        let mut state = board.state.lock();
        let number = state.post(None, task);
        let _ = Board::settle(board, state);
        number
    }

    /// Posts a task without calling anybody; [`call`](Board::call) must follow. Returns the task's number.
    pub(super) fn put(&self, task: Task) -> usize {
        self.state.lock().post(None, task)
    }

    /// Takes back a task that nobody has taken.
    pub(super) fn withdraw(board: &Arc<Self>, number: usize) -> Option<Task> {
        let mut state = board.state.lock();
        let task = state.withdraw(number)?;
        let wakes = state.wake_if_finished();
        let _ = Board::settle(board, state);
        drop(wakes);
        Some(task)
    }

    /// Calls a helper if one is needed.
    ///
    /// # Errors
    /// If none was to be had.
    pub(super) fn call(board: &Arc<Self>) -> io::Result<()> {
        Board::settle(board, board.state.lock())
    }

    /// Cancels `token` when a helper was called from now on and is not to be had.
    pub(super) fn tell_of_refusal(&self, token: CancelToken) {
        let mut state = self.state.lock();
        // Of those who have left meanwhile nobody listens.
        state.refusals.retain(|token| !token.is_cancelled());
        state.refusals.push(token);
    }

    /// Keeps a place for a task, if the limit has one.
    pub(super) fn reserve(&self) -> bool {
        self.state.lock().reserve()
    }

    pub(super) fn post_reserved(board: &Arc<Self>, name: Option<Arc<str>>, task: Task) {
        let mut state = board.state.lock();
        state.give_back_place();
        state.post(name, task);
        let _ = Board::settle(board, state);
    }

    pub(super) fn limit(board: &Arc<Self>, limit: usize) {
        let mut state = board.state.lock();
        state.limit = limit;
        let _ = Board::settle(board, state);
    }

    /// Unlocks. Calls a helper if there is something for it to do and none is on its way, and takes the call back if
    /// one is and there is nothing left.
    ///
    /// # Errors
    /// If there was none to be had. Whoever ends a task takes the next; if nobody runs one, who waits for the group
    /// does.
    fn settle(board: &Arc<Self>, mut state: MutexGuard<'_, State>) -> io::Result<()> {
        match (state.has_work(), state.helper, &board.callers) {
            (true, None, None) => Board::call_crew(board, state),
            (true, None, Some(callers)) => {
                state.helper = Some(Helper::Lent);
                drop(state);
                let ticket = Ticket(Some(Arc::clone(board)));
                // Dropped if no thread is to be had.
                match Arc::clone(callers).call(Box::new(move || ticket.arrive())) {
                    true => Ok(()),
                    false => Err(io::ErrorKind::WouldBlock.into()),
                }
            }
            (true, Some(Helper::Refused(number)), _) => {
                let helper = Helper::Crew(number);
                state.helper = Some(helper);
                drop(state);
                crew::call_again(number).inspect_err(|_| board.is_refused(helper))
            }
            (false, Some(Helper::Crew(number) | Helper::Refused(number)), _) => {
                let call = crew::take_back(number);
                if call.is_some() {
                    state.helper = None;
                }
                drop(state);
                // It holds a reference to the board, which is not the last.
                drop(call);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn call_crew(board: &Arc<Self>, mut state: MutexGuard<'_, State>) -> io::Result<()> {
        let called = crew::add({
            let board = Arc::clone(board);
            move || Board::arrive(&board)
        });
        // Under this lock, so that whoever finds nothing left to do finds the call too.
        let helper = Helper::Crew(called.number);
        state.helper = Some(helper);
        drop(state);
        called.send().inspect_err(|_| board.is_refused(helper))
    }

    /// The helper that was called is not to be had.
    #[cold]
    fn is_refused(&self, helper: Helper) {
        let mut state = self.state.lock();
        // The call may have been taken back, and another made.
        if state.helper == Some(helper) {
            state.helper = match helper {
                Helper::Crew(number) | Helper::Refused(number) => Some(Helper::Refused(number)),
                Helper::Lent => None,
            };
        }
        // Who waits takes the task instead.
        let (wakes, tokens) = (state.waiting.take_all(), mem::take(&mut state.refusals));
        drop(state);
        drop(wakes);
        tokens.iter().for_each(CancelToken::cancel);
    }

    /// What a helper does, on the thread that has come.
    fn arrive(board: &Arc<Self>) {
        board.behalf.run(|| Board::as_worker(board, || Board::help(board)));
    }

    /// Does `f` as one who runs this board's tasks: inside the group, and its sleeps are counted.
    fn as_worker(board: &Arc<Self>, f: impl FnOnce()) {
        let _inside = inside::enter(board.key());
        let _owing = graph::owe();
        let _observed = observed_by(Arc::clone(board) as Arc<dyn Blocking>);
        f();
    }

    /// The group's name among those that a thread can be inside.
    fn key(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// True on threads that run the group's tasks, and on those that they wait for.
    pub(super) fn is_inside(&self) -> bool {
        inside::is_inside(self.key())
    }

    /// What a helper does when it arrives.
    fn help(board: &Arc<Self>) {
        let mut state = board.state.lock();
        state.helper = None;
        Board::take_all(board, state);
    }

    /// Takes tasks until there are none for this thread.
    fn take_all<'a>(board: &'a Arc<Self>, mut state: MutexGuard<'a, State>) {
        while let Some(taken) = state.take() {
            state = Board::perform(board, state, taken);
        }
    }

    /// Runs a task that was taken with the lock held, and gives the lock back.
    fn perform<'a>(
        board: &'a Arc<Self>,
        state: MutexGuard<'a, State>,
        (number, task): (usize, Task),
    ) -> MutexGuard<'a, State> {
        let _ = Board::settle(board, state);
        let ran = Board::run(task);
        let mut state = board.state.lock();
        let wakes = state.end(number, ran);
        if wakes.is_empty() {
            return state;
        }
        drop(state);
        drop(wakes);
        board.state.lock()
    }

    /// What a thread does that is about to wait for the end of one task: it runs the task if nobody has started it and
    /// the limit allows it. It waits for nothing else, so it runs no other task.
    ///
    /// Says whether the task is left for a helper because of the limit.
    pub(super) fn run_joined(board: &Arc<Self>, number: usize) -> bool {
        let state = board.state.lock();
        if !state.admits(number) {
            return state.has(number);
        }
        drop(state);
        // In the place of the helper that is on its way: the thread need not be the group's maker.
        let run = move |board: &Arc<Self>| {
            let take = || {
                let mut state = board.state.lock();
                if let Some(taken) = state.take_this(number) {
                    drop(Board::perform(board, state, taken));
                }
            };
            board.behalf.run(|| Board::as_worker(board, take));
        };
        match nested::enter() {
            Some(_nested) => run(board),
            None => {
                let board = Arc::clone(board);
                nested::run_elsewhere(Arc::new(move || run(&board)));
            }
        }
        false
    }

    /// Runs a task and drops what it holds. Tasks catch the panics of the caller's function; what is left is the
    /// drop of a result that nobody waits for, and the task has ended all the same.
    fn run(task: Task) -> bool {
        panics::contain(task).unwrap_or(true)
    }

    /// What an owner does who waits for as long as it takes: takes tasks, and when there are none for it, waits for
    /// those that helpers run. Returns when nothing is posted and nothing runs.
    pub(super) fn finish(self: &Arc<Self>) {
        loop {
            let state = self.state.lock();
            if state.is_finished() {
                return;
            }
            if state.has_work() {
                drop(state);
                self.work();
                continue;
            }
            drop(state);
            let waited = Until::forever().retry(&Finish(self), || self.look());
            debug_assert!(waited.is_ok(), "a forever limit does not end");
        }
    }

    /// Takes tasks on this stack, or if too many run inside each other there already, on another.
    fn work(self: &Arc<Self>) {
        let work = |board: &Arc<Self>| Board::as_worker(board, || Board::take_all(board, board.state.lock()));
        match nested::enter() {
            Some(_nested) => work(self),
            None => {
                let board = Arc::clone(self);
                nested::run_elsewhere(Arc::new(move || work(&board)));
            }
        }
    }

    /// Like [`finish`](Board::finish); also drops the closers that nobody called, and in the same critical section
    /// that finds nothing else left: so nothing that came to the board is there afterwards.
    pub(super) fn finish_for_good(self: &Arc<Self>) {
        loop {
            self.finish();
            let mut state = self.state.lock();
            let uncalled = mem::take(&mut state.closers);
            let finished = state.is_finished();
            drop(state);
            if finished && uncalled.is_empty() {
                return;
            }
            // Not under the lock: what they hold may use the group when it is dropped.
            panics::discard_each(uncalled);
        }
    }

    /// Whether an owner has something to do: a task to take, or nothing left at all.
    fn look(&self) -> Result<(), TryError> {
        let state = self.state.lock();
        if state.has_work() || state.is_finished() { Ok(()) } else { Err(TryError::WouldBlock) }
    }

    /// Waits until nothing is posted and nothing runs, at most until `limit`. Takes no task, because a task may
    /// outlast the limit: by the invariant, helpers take them all.
    ///
    /// If no thread was to be had they do not; then one is asked for again, and a wait without a limit takes the tasks.
    pub(super) fn wait_until(self: &Arc<Self>, limit: Until<'_>) -> Result<(), WaitError> {
        limit.check_token()?;
        if self.is_inside() {
            return Err(WaitError::WouldDeadlock);
        }
        if limit.is_unlimited() {
            self.finish();
            return Ok(());
        }
        let _ = Board::call(self);
        limit.retry(&Ended(self), || match self.state.lock().is_finished() {
            true => Ok(()),
            false => Err(TryError::WouldBlock),
        })
    }

    /// Keeps `closer` until the group stops; calls it at once if it has. Says whether it is kept.
    pub(super) fn keep_closer(&self, closer: Task) -> bool {
        let mut state = self.state.lock();
        if !state.has_stopped {
            state.closers.push(closer);
            return true;
        }
        drop(state);
        Board::run(closer);
        false
    }

    /// The group stops: calls the closers.
    pub(super) fn stop(&self) {
        let mut state = self.state.lock();
        state.has_stopped = true;
        let closers = mem::take(&mut state.closers);
        state.closing += 1;
        drop(state);
        for closer in closers {
            Board::run(closer);
        }
        let mut state = self.state.lock();
        state.closing -= 1;
        let wakes = state.wake_if_finished();
        drop(state);
        drop(wakes);
    }

    /// True if some task was not started.
    pub(super) fn skipped(&self) -> bool {
        self.state.lock().skipped
    }

    pub(super) fn unfinished(&self) -> Unfinished {
        self.state.lock().unfinished()
    }
}

/// A helper on its way that is lent. It arrives, or is dropped by whoever could not or would not send it.
struct Ticket(Option<Arc<Board>>);

impl Ticket {
    fn arrive(mut self) {
        let board = self.0.take().expect("only this empties it, and consumes it");
        Board::arrive(&board);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(board) = self.0.take() {
            board.is_refused(Helper::Lent);
        }
    }
}

/// Tasks that sleep make room under the limit; see [`state`](super::state).
impl Blocking for Board {
    fn blocked(self: Arc<Self>, deadline: Option<Instant>) -> bool {
        let mut state = self.state.lock();
        let sleeps = state.falls_asleep(deadline);
        // Without a limit, whoever took the task has called the next helper.
        if sleeps && state.is_limited() {
            let _ = Board::settle(&self, state);
        }
        sleeps
    }

    fn resumed(&self) {
        self.state.lock().wakes_up();
    }

    fn counts_helpers(&self) -> bool {
        true
    }
}

/// The end of all tasks, for one who takes those that are left.
struct Finish<'a>(&'a Arc<Board>);

impl Place for Finish<'_> {
    fn looks_ready(&self) -> bool {
        self.0.state.try_lock().is_some_and(|state| state.has_work() || state.is_finished())
    }

    fn join(&self) -> Option<Arc<Slot>> {
        // Ended by the helper that ends the last task, under this lock. Tasks that are posted meanwhile are
        // the helpers': by the invariant, one of them is on its way.
        let mut state = self.0.state.lock();
        let wait = !state.has_work() && !state.is_finished();
        wait.then(|| state.waiting.join())
    }

    fn leave(&self, slot: &Arc<Slot>) {
        self.0.state.lock().waiting.leave(slot);
    }

    fn awaited(&self) -> Option<Arc<dyn Awaited>> {
        Some(Arc::clone(self.0) as Arc<dyn Awaited>)
    }

    /// A scope does not return before its tasks have ended.
    fn must_stay(&self) -> bool {
        true
    }
}

/// For the wait-for graph: the group ends when each of its tasks has.
impl Awaited for Board {
    fn bringers(&self, threads: &mut Vec<usize>) -> Needs {
        threads.extend(self.state.lock().threads());
        Needs::All
    }
}

/// The end of all tasks, for one who takes none.
struct Ended<'a>(&'a Board);

impl Place for Ended<'_> {
    fn looks_ready(&self) -> bool {
        self.0.state.try_lock().is_some_and(|state| state.is_finished())
    }

    fn join(&self) -> Option<Arc<Slot>> {
        // Ended as above.
        let mut state = self.0.state.lock();
        (!state.is_finished()).then(|| state.waiting.join())
    }

    fn leave(&self, slot: &Arc<Slot>) {
        self.0.state.lock().waiting.leave(slot);
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Board");
        if let Some(state) = self.state.try_lock() {
            let (posted, running) = state.figures();
            out.field("posted", &posted).field("running", &running);
        }
        out.finish_non_exhaustive()
    }
}
