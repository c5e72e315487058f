//! What a group still has to do, and who does it.
//!
//! Tasks are posted on the board. Helpers take them down, and so does whoever waits for the group. Where
//! helpers come from is said by [`Callers`], or they are the [`crew`]'s. One mutex orders everything here;
//! what it guards is in [`state`](super::state).
//!
//! # Who is called
//! At most one helper is *on its way* at a time. It is called when a task is posted, and when it arrives and
//! takes a task while others are left, it calls the next before it begins. So a thousand small tasks do not
//! cost a thousand wake-ups: whoever is awake takes the next one. Who takes the last one takes back the call
//! of a helper that has not come by then. And still every task gets a thread even if all of them block,
//! because of
//!
//! # Invariant
//! With the lock free: if a task is posted that the limit allows to run, then a helper is on its way, or
//! somebody who waits is taking tasks, or no thread is to be had. It is made by `settle`, before each
//! unlocking that could break it: a post, a raised limit, a task that is taken, and one that falls asleep.
//!
//! # No thread to be had
//! Then whoever ends a task takes the next, and who waits for the group takes them all; a
//! [handle](super::Handle)'s joiner takes the one that it waits for, which it does with a thread to be had,
//! too; those who wait elsewhere for what a task does are told by a token ([`Board::tell_of_refusal`]). The
//! call stays with the crew, whose next free helper comes for it, and the next post asks for a thread again.
//!
//! # Lock order
//! The board's, then the crew's.

mod helpers;
mod owner;

use std::fmt;
use std::io;
use std::mem;

use super::Unfinished;
use super::callers::Callers;
use super::state::{State, Task};
use crate::cancel::CancelToken;
use crate::crew::Behalf;
use crate::sync::{Arc, Mutex};

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
        Board::settle_patiently(board, state)
    }

    /// Like [`post`](Board::post), for a task that is joined: its number.
    pub(super) fn post_joined(board: &Arc<Self>, task: Task) -> usize {
        let mut state = board.state.lock();
        let number = state.post(None, task);
        let _ = Board::settle_patiently(board, state);
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
