//! What a scope still has to do, and who does it.
//!
//! Tasks are posted on the board. Helpers take them down, and so does the owner once its body is done. Where
//! helpers come from is said by [`Callers`], or they are the [`crew`]'s. One mutex orders everything here.
//!
//! # Who is called
//! At most one helper is *on its way* at a time. It is called when a task is posted, and when it arrives and
//! takes a task while others are left, it calls the next before it begins. So a thousand small tasks do not
//! cost a thousand wake-ups: whoever is awake takes the next one. And still every task gets a thread even if
//! all of them block, because of
//!
//! # Invariant
//! With the lock free: if a task is posted that the limit allows to run, then a helper is on its way, or the
//! owner is taking tasks. It is made by `call_if_needed`, before each unlocking that could break it.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};

use super::callers::Callers;
use crate::crew;
use crate::error::TryError;
use crate::inside::Inside;
use crate::sync::{Arc, Mutex, MutexGuard};
use crate::until::Until;
use crate::wait::{Line, Place, Slot};

/// A task: says whether it ran, or was not started because its scope had been cancelled.
pub(super) type Task = Box<dyn FnOnce() -> bool + Send + 'static>;

pub(super) struct Board {
    state: Mutex<State>,
    /// `None` for the crew, which always has a thread unless the operating system refuses.
    callers: Option<Arc<dyn Callers>>,
    /// The pools that the owner works for: they wait for whoever helps it.
    inside: Inside,
}

struct State {
    posted: VecDeque<Task>,
    /// Taken down, and not dropped yet.
    running: usize,
    /// Places that `try_spawn` keeps between its look and its post.
    reserved: usize,
    limit: usize,
    helper_on_its_way: bool,
    /// Some task was not started.
    skipped: bool,
    /// The owner, while it waits for the tasks that others run.
    owner: Line,
}

impl Board {
    pub(super) fn new(callers: Option<Arc<dyn Callers>>) -> Self {
        Board {
            callers,
            inside: Inside::current(),
            state: Mutex::new(State {
                posted: VecDeque::new(),
                running: 0,
                reserved: 0,
                limit: usize::MAX,
                helper_on_its_way: false,
                skipped: false,
                owner: Line::new(),
            }),
        }
    }

    /// Posts a task; false if it needed another thread and none was to be had.
    pub(super) fn post(board: &Arc<Self>, task: Task) -> bool {
        let mut state = board.state.lock();
        state.posted.push_back(task);
        Board::call_if_needed(board, state)
    }

    /// Keeps a place for a task, if the limit has one.
    pub(super) fn reserve(&self) -> bool {
        let mut state = self.state.lock();
        let free = state.posted.len() + state.running + state.reserved < state.limit;
        state.reserved += usize::from(free);
        free
    }

    pub(super) fn post_reserved(board: &Arc<Self>, task: Task) {
        let mut state = board.state.lock();
        state.reserved -= 1;
        state.posted.push_back(task);
        Board::call_if_needed(board, state);
    }

    pub(super) fn limit(board: &Arc<Self>, limit: usize) {
        let mut state = board.state.lock();
        state.limit = limit;
        Board::call_if_needed(board, state);
    }

    /// Unlocks, and calls a helper if there is something for it to do and none is on its way. False if there was
    /// none to be had.
    fn call_if_needed(board: &Arc<Self>, mut state: MutexGuard<'_, State>) -> bool {
        if state.helper_on_its_way || !state.has_work() {
            return true;
        }
        state.helper_on_its_way = true;
        drop(state);
        let ticket = Ticket(Some(Arc::clone(board)));
        // If no thread is to be had, the ticket is dropped. Whoever ends a task takes the next; if nobody runs
        // one, the owner does.
        match &board.callers {
            None => crew::call(move || ticket.arrive()).is_ok(),
            Some(callers) => Arc::clone(callers).call(Box::new(move || ticket.arrive())),
        }
    }

    /// What a helper does: takes tasks until there are none for it.
    fn help(board: &Arc<Self>) {
        let _inside = board.inside.enter();
        let mut state = board.state.lock();
        state.helper_on_its_way = false;
        while let Some(task) = state.take() {
            Board::call_if_needed(board, state);
            let ran = Board::run(task);
            state = board.state.lock();
            let wakes = state.end(ran);
            if !wakes.is_empty() {
                drop(state);
                drop(wakes);
                state = board.state.lock();
            }
        }
    }

    /// Runs a task and drops what it holds. A panic in a drop is the caller's, and the task has ended all
    /// the same.
    fn run(task: Task) -> bool {
        panic::catch_unwind(AssertUnwindSafe(task)).unwrap_or_else(|payload| {
            std::mem::forget(payload);
            true
        })
    }

    /// What the owner does when its body is done: takes tasks, and when there are none for it, waits for
    /// those that helpers run. Returns when nothing is posted and nothing runs.
    pub(super) fn finish(self: &Arc<Self>) {
        loop {
            let mut state = self.state.lock();
            if let Some(task) = state.take() {
                Board::call_if_needed(self, state);
                let ran = Board::run(task);
                self.state.lock().end(ran);
                continue;
            }
            if state.is_finished() {
                return;
            }
            drop(state);
            let waited = Until::forever().retry(&**self, || self.look());
            debug_assert!(waited.is_ok(), "a forever limit does not end");
        }
    }

    /// Whether the owner has something to do: a task to take, or nothing left at all.
    fn look(&self) -> Result<(), TryError> {
        let state = self.state.lock();
        if state.has_work() || state.is_finished() { Ok(()) } else { Err(TryError::WouldBlock) }
    }

    /// True if some task was not started.
    pub(super) fn skipped(&self) -> bool {
        self.state.lock().skipped
    }
}

/// A helper on its way. It arrives, or is dropped by whoever could not or would not send it.
struct Ticket(Option<Arc<Board>>);

impl Ticket {
    fn arrive(mut self) {
        let board = self.0.take().expect("only this empties it, and consumes it");
        Board::help(&board);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(board) = self.0.take() {
            board.state.lock().helper_on_its_way = false;
        }
    }
}

impl State {
    /// A task is posted that the limit allows to run.
    fn has_work(&self) -> bool {
        !self.posted.is_empty() && self.running < self.limit
    }

    fn is_finished(&self) -> bool {
        self.posted.is_empty() && self.running == 0
    }

    fn take(&mut self) -> Option<Task> {
        if !self.has_work() {
            return None;
        }
        self.running += 1;
        self.posted.pop_front()
    }

    /// A task has ended and is gone. Wakes the owner if it was the last. (If others are posted, whoever ran
    /// this one takes the next, so nobody need be called.)
    fn end(&mut self, ran: bool) -> Vec<crate::wait::Wake> {
        self.running -= 1;
        self.skipped |= !ran;
        if self.is_finished() { self.owner.take_all() } else { Vec::new() }
    }
}

impl Place for Board {
    fn looks_ready(&self) -> bool {
        self.state.try_lock().is_some_and(|state| state.has_work() || state.is_finished())
    }

    fn join(&self) -> Option<Arc<Slot>> {
        // Ended by the helper that ends the last task, under this lock. Tasks that are posted meanwhile are
        // the helpers': by the invariant, one of them is on its way.
        let mut state = self.state.lock();
        let wait = !state.has_work() && !state.is_finished();
        wait.then(|| state.owner.join())
    }

    fn leave(&self, slot: &Arc<Slot>) {
        self.state.lock().owner.leave(slot);
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Board");
        if let Some(state) = self.state.try_lock() {
            out.field("posted", &state.posted.len()).field("running", &state.running);
        }
        out.finish_non_exhaustive()
    }
}
