//! Helpers: when one is called for a board, by whom it is sent, and what it is told when it comes or cannot.

use std::io;
use std::mem;
use std::time::Instant;

use super::Board;
use crate::cancel::CancelToken;
use crate::crew::{self, Call, Caller, Patience};
use crate::group::state::{Helper, State};
use crate::inside;
use crate::sync::{Arc, MutexGuard};
use crate::wait::graph;
use crate::wait::{Blocking, observed_by};

impl Board {
    /// Like [`settle`](Board::settle); calls a helper for a first task with patience. Most scopes of one task
    /// end before it could come.
    pub(super) fn settle_patiently(board: &Arc<Self>, state: MutexGuard<'_, State>) -> io::Result<()> {
        match (state.is_first(), state.helper, &board.callers) {
            (true, None, None) if state.has_work() => Board::call_crew(board, state, Patience::Patient),
            _ => Board::settle(board, state),
        }
    }

    /// Unlocks. Calls a helper if there is something for it to do and none is on its way, and takes the call
    /// back if one is and there is nothing left.
    ///
    /// # Errors
    /// If there was none to be had. Whoever ends a task takes the next; if nobody runs one, who waits for the
    /// group does.
    pub(super) fn settle(board: &Arc<Self>, mut state: MutexGuard<'_, State>) -> io::Result<()> {
        match (state.has_work(), state.helper, &board.callers) {
            (true, None, None) => Board::call_crew(board, state, Patience::Impatient),
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
            (true, Some(Helper::Patient(number)), _) => {
                state.helper = Some(Helper::Crew(number));
                drop(state);
                crew::hurry();
                Ok(())
            }
            (true, Some(Helper::Refused(number)), _) => {
                state.helper = Some(Helper::Crew(number));
                drop(state);
                crew::call_again(number).inspect_err(|_| board.is_refused(number))
            }
            (false, Some(Helper::Crew(number) | Helper::Patient(number) | Helper::Refused(number)), _) => {
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

    fn call_crew(board: &Arc<Self>, mut state: MutexGuard<'_, State>, patience: Patience) -> io::Result<()> {
        let called = crew::add(Call::Shared(Arc::clone(board) as Arc<dyn Caller>), patience);
        let number = called.number;
        // Under this lock, so that whoever finds nothing left to do finds the call too.
        state.helper = Some(match patience {
            Patience::Patient => Helper::Patient(number),
            Patience::Impatient => Helper::Crew(number),
        });
        drop(state);
        called.send().inspect_err(|_| board.is_refused(number))
    }

    /// The crew's helper that was called is not to be had.
    #[cold]
    fn is_refused(&self, call: u64) {
        let mut state = self.state.lock();
        // The call may have been taken back, and another made.
        if let Some(Helper::Crew(number) | Helper::Patient(number)) = state.helper
            && number == call
        {
            state.helper = Some(Helper::Refused(number));
        }
        Board::tell_refusal(state);
    }

    /// Another's helper that was called is not to be had.
    #[cold]
    pub(super) fn is_refused_a_lent_one(&self) {
        let mut state = self.state.lock();
        if state.helper == Some(Helper::Lent) {
            state.helper = None;
        }
        Board::tell_refusal(state);
    }

    /// Whoever waits takes the task instead.
    fn tell_refusal(mut state: MutexGuard<'_, State>) {
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
    pub(super) fn as_worker(board: &Arc<Self>, f: impl FnOnce()) {
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
    pub(in crate::group) fn is_inside(&self) -> bool {
        inside::is_inside(self.key())
    }

    /// What a helper does when it arrives.
    fn help(board: &Arc<Self>) {
        let mut state = board.state.lock();
        state.helper = None;
        Board::take_all(board, state);
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
            board.is_refused_a_lent_one();
        }
    }
}

impl Caller for Board {
    fn arrive(self: Arc<Self>) {
        Board::arrive(&self);
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
