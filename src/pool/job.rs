//! A closure on its way from submit to result.
//!
//! One allocation holds the closure, then the result, and is shared by the queue and the handle. Whoever
//! moves it out of `Waiting` has it for himself: a worker that runs it, a joiner that will not wait for one,
//! a canceller, an abort. So it runs at most once whoever comes, and one that was claimed elsewhere is
//! passed over when the queue brings it up.
//!
//! | from | to | by |
//! |---|---|---|
//! | `Waiting` | `Running` | `run` |
//! | `Waiting` | `Done(Cancelled)` | `revoke` |
//! | `Waiting` | `Taken` | `take_back`, when the queue refused it |
//! | `Running` | `Done` | `run`, by its end; `Taken` at once if nobody has a handle |
//! | `Done` | `Taken` | `take_result`, `detach` |
//!
//! One mutex orders everything here.

use std::mem;

use super::parcel::Load;
use super::report::count;
use super::task::{Panic, TaskError};
use super::worker::Seat;
use crate::cancel::CancelToken;
use crate::inside::this_thread;
use crate::panics;
use crate::sync::{Arc, Mutex};
use crate::wait::{Line, Place, Slot};

pub(super) struct Job<F, R> {
    state: Mutex<State<F, R>>,
    /// Tells the running task to stop, if it was submitted with a token.
    token: Option<CancelToken>,
    call: fn(F, Option<&CancelToken>) -> R,
}

struct State<F, R> {
    stage: Stage<F, R>,
    /// Who waits for the end.
    joiners: Line,
    /// Nobody has a handle any more.
    detached: bool,
}

enum Stage<F, R> {
    Waiting(F),
    /// On the thread with this key.
    Running(usize),
    Done(Result<R, TaskError>),
    Taken,
}

/// What a handle knows of a job.
pub(super) trait Joinable<R>: Runs + Place {
    /// Takes the result out, if the job has ended.
    fn take_result(&self) -> Option<Result<R, TaskError>>;

    /// Says that nobody will join; takes the result out, if there is one.
    fn detach(&self) -> Option<Result<R, TaskError>>;
}

/// What can be known of a job whatever its result is.
pub(super) trait Runs: Send + Sync {
    /// Runs the closure, unless somebody has claimed it. It is counted by the time that a joiner hears of its end.
    fn run(&self, seat: &Seat);

    /// Cancels the job if it has not started; says whether it did. It is counted as above.
    fn revoke(&self, seat: &Seat) -> bool;

    /// Tells the running task to stop, if it has a token.
    fn stop(&self);

    /// True while nobody has claimed it.
    fn is_waiting(&self) -> bool;

    fn is_finished(&self) -> bool;

    /// The thread that runs the job now.
    fn runs_on(&self) -> Option<usize>;
}

impl<F, R> Job<F, R> {
    pub(super) fn new(f: F, token: Option<CancelToken>, call: fn(F, Option<&CancelToken>) -> R) -> Arc<Self> {
        let state = State { stage: Stage::Waiting(f), joiners: Line::new(), detached: false };
        Arc::new(Job { state: Mutex::new(state), token, call })
    }

    /// The closure of a job that was refused and that nobody else has seen.
    pub(super) fn take_back(&self) -> F {
        match mem::replace(&mut self.state.lock().stage, Stage::Taken) {
            Stage::Waiting(f) => f,
            _ => unreachable!("a job that the queue refused is nobody else's"),
        }
    }

    /// Moves the closure out and puts `next` in its place, if it is still there.
    fn claim(&self, next: impl FnOnce() -> Stage<F, R>) -> Option<F> {
        let mut state = self.state.lock();
        match mem::replace(&mut state.stage, Stage::Taken) {
            Stage::Waiting(f) => {
                state.stage = next();
                Some(f)
            }
            other => {
                state.stage = other;
                None
            }
        }
    }

    /// Writes the end down and wakes who waits for it; gives it back if nobody will ever ask.
    fn finish(&self, result: Result<R, TaskError>) -> Option<Result<R, TaskError>> {
        let mut state = self.state.lock();
        if state.detached {
            state.stage = Stage::Taken;
            return Some(result);
        }
        state.stage = Stage::Done(result);
        let wakes = state.joiners.take_all();
        drop(state);
        drop(wakes);
        None
    }
}

/// Hands the panic of a task that nobody joins to the pool's hook. Other results are dropped, and a panic of that drop
/// ends here: whether it comes on a worker or on the thread that drops the handle is decided by who is faster.
pub(super) fn report_unjoined<R>(result: Option<Result<R, TaskError>>, seat: &Seat) {
    match result {
        Some(Err(TaskError::Panicked(panic))) => seat.report(panic),
        other => panics::discard(other),
    }
}

impl<F, R> Runs for Job<F, R>
where
    F: Send,
    R: Send,
{
    fn run(&self, seat: &Seat) {
        let Some(f) = self.claim(|| Stage::Running(this_thread())) else { return };
        let result = panics::catch(|| (self.call)(f, self.token.as_ref()));
        match &result {
            Ok(_) => count(&seat.tally().completed),
            Err(_) => count(&seat.tally().panicked),
        }
        let unjoined = self.finish(result.map_err(|payload| TaskError::Panicked(Panic::new(payload))));
        report_unjoined(unjoined, seat);
    }

    fn revoke(&self, seat: &Seat) -> bool {
        let claimed = self.claim(|| {
            count(&seat.tally().cancelled);
            Stage::Done(Err(TaskError::Cancelled))
        });
        if claimed.is_some() {
            let wakes = self.state.lock().joiners.take_all();
            drop(wakes);
        }
        let revokes = claimed.is_some();
        // Under no lock, and contained: whoever cancels is to hear whether that was in time.
        panics::discard(claimed);
        revokes
    }

    fn stop(&self) {
        if let Some(token) = &self.token {
            token.cancel();
        }
    }

    fn is_waiting(&self) -> bool {
        matches!(self.state.lock().stage, Stage::Waiting(_))
    }

    fn is_finished(&self) -> bool {
        matches!(self.state.lock().stage, Stage::Done(_) | Stage::Taken)
    }

    fn runs_on(&self) -> Option<usize> {
        match self.state.lock().stage {
            Stage::Running(thread) => Some(thread),
            _ => None,
        }
    }
}

impl<F, R> Joinable<R> for Job<F, R>
where
    F: Send,
    R: Send,
{
    fn take_result(&self) -> Option<Result<R, TaskError>> {
        self.state.lock().take_result()
    }

    fn detach(&self) -> Option<Result<R, TaskError>> {
        let mut state = self.state.lock();
        state.detached = true;
        state.take_result()
    }
}

impl<F, R> State<F, R> {
    fn take_result(&mut self) -> Option<Result<R, TaskError>> {
        match mem::replace(&mut self.stage, Stage::Taken) {
            Stage::Done(result) => Some(result),
            other => {
                self.stage = other;
                None
            }
        }
    }
}

impl<F, R> Load for Arc<Job<F, R>>
where
    F: Send + 'static,
    R: Send + 'static,
{
    fn run(self, seat: &Seat) {
        Runs::run(&*self, seat);
    }

    fn is_waiting(&self) -> bool {
        Runs::is_waiting(&**self)
    }

    fn revoke(&self, seat: &Seat) {
        Runs::revoke(&**self, seat);
    }
}

/// A closure whose result nobody waits for: it needs no state to share, and so no allocation.
pub(super) struct Errand<F>(pub(super) F);

impl<F: FnOnce() + Send + 'static> Load for Errand<F> {
    fn run(self, seat: &Seat) {
        match panics::catch(self.0) {
            Ok(()) => count(&seat.tally().completed),
            Err(payload) => {
                count(&seat.tally().panicked);
                seat.report(Panic::new(payload));
            }
        }
    }

    fn is_waiting(&self) -> bool {
        true
    }

    fn revoke(&self, seat: &Seat) {
        count(&seat.tally().cancelled);
    }
}

impl<F, R> Place for Job<F, R> {
    fn looks_ready(&self) -> bool {
        self.state.try_lock().is_some_and(|state| matches!(state.stage, Stage::Done(_)))
    }

    fn join(&self) -> Option<Arc<Slot>> {
        // Whoever ends the job does so under this lock and takes everybody out of the line.
        let mut state = self.state.lock();
        let ended = matches!(state.stage, Stage::Done(_) | Stage::Taken);
        (!ended).then(|| state.joiners.join())
    }

    fn leave(&self, slot: &Arc<Slot>) {
        self.state.lock().joiners.leave(slot);
    }
}
