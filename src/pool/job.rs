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
//! | `Running` | `Done` | `run`, by its end |
//! | `Done` | `Taken` | `take_result` |
//!
//! One mutex orders everything here.

use std::mem;
use std::panic::{self, AssertUnwindSafe};

use super::report::Tally;
use super::task::{Panic, TaskError};
use crate::sync::thread::{self, ThreadId};
use crate::sync::{Arc, Mutex};
use crate::wait::{Line, Place, Slot};

pub(super) struct Job<F, R> {
    state: Mutex<State<F, R>>,
}

struct State<F, R> {
    stage: Stage<F, R>,
    /// Who waits for the end.
    joiners: Line,
}

enum Stage<F, R> {
    Waiting(F),
    Running(ThreadId),
    Done(Result<R, TaskError>),
    Taken,
}

/// What a worker knows of a job.
pub(super) trait Runnable: Send + Sync {
    /// Runs the closure, unless somebody has claimed it. It is in the tally by the time that a joiner hears of
    /// its end.
    fn run(&self, tally: &Tally);

    /// Cancels the job if it has not started; says whether it did. It is in the tally as above.
    fn revoke(&self, tally: &Tally) -> bool;

    /// True while nobody has claimed it.
    fn is_waiting(&self) -> bool;
}

/// What a handle knows of a job.
pub(super) trait Joinable<R>: Runnable + Place {
    /// Takes the result out, if the job has ended.
    fn take_result(&self) -> Option<Result<R, TaskError>>;

    fn is_finished(&self) -> bool;

    /// True if the job runs on this thread: below us on the stack.
    fn runs_here(&self) -> bool;
}

impl<F, R> Job<F, R> {
    pub(super) fn new(f: F) -> Arc<Self> {
        Arc::new(Job { state: Mutex::new(State { stage: Stage::Waiting(f), joiners: Line::new() }) })
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

    fn wake_joiners(&self) {
        let wakes = self.state.lock().joiners.take_all();
        drop(wakes);
    }
}

impl<F, R> Runnable for Job<F, R>
where
    F: FnOnce() -> R + Send,
    R: Send,
{
    fn run(&self, tally: &Tally) {
        let here = thread::current().id();
        let Some(f) = self.claim(|| Stage::Running(here)) else { return };
        let result = panic::catch_unwind(AssertUnwindSafe(f)).map_err(Panic::new);
        match &result {
            Ok(_) => tally.completed(),
            Err(_) => tally.panicked(),
        }
        let mut state = self.state.lock();
        state.stage = Stage::Done(result.map_err(TaskError::Panicked));
        let wakes = state.joiners.take_all();
        drop(state);
        drop(wakes);
    }

    fn revoke(&self, tally: &Tally) -> bool {
        let claimed = self.claim(|| {
            tally.cancelled();
            Stage::Done(Err(TaskError::Cancelled))
        });
        if claimed.is_some() {
            self.wake_joiners();
        }
        // The closure is dropped here, under no lock: its captures are the caller's.
        claimed.is_some()
    }

    fn is_waiting(&self) -> bool {
        matches!(self.state.lock().stage, Stage::Waiting(_))
    }
}

impl<F, R> Joinable<R> for Job<F, R>
where
    F: FnOnce() -> R + Send,
    R: Send,
{
    fn take_result(&self) -> Option<Result<R, TaskError>> {
        let mut state = self.state.lock();
        match mem::replace(&mut state.stage, Stage::Taken) {
            Stage::Done(result) => Some(result),
            other => {
                state.stage = other;
                None
            }
        }
    }

    fn is_finished(&self) -> bool {
        matches!(self.state.lock().stage, Stage::Done(_) | Stage::Taken)
    }

    fn runs_here(&self) -> bool {
        matches!(self.state.lock().stage, Stage::Running(thread) if thread == thread::current().id())
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
