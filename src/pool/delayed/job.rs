//! A task that runs when its time has come, once or in rounds.
//!
//! As for every task, a [`OneShot`] holds the closure and then the result. The closure comes with the task's
//! [`Place`], so that the place is free as soon as the closure is gone, however it went.
//!
//! | stage | the closure may be run by |
//! |---|---|
//! | `WAITING` | nobody; a joiner sleeps |
//! | `DUE` | a worker, or a joiner inside the pool |
//! | `LEFT` | the holder of what the close of the pool handed back; a joiner inside the pool cancels it |
//!
//! A periodic task goes back to `WAITING` when a round is claimed, and its closure goes back into the
//! one-shot after the round.

use super::rounds::Next;
use super::set::{Place, When};
use crate::cancel::CancelToken;
use crate::error::{JoinError, Panic};
use crate::panics;
use crate::pool::job::{Joinable, Runs, report_unjoined};
use crate::pool::raw_job::Job;
use crate::pool::shared::Shared;
use crate::pool::slot::{End, WorkerSlot};
use crate::sync::Arc;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::wait::{OneShot, WaitPoint, graph};

/// The closure of a delayed task.
pub(super) trait Work<R>: Send + Sized {
    /// Runs it. `stop` is the token of a periodic task.
    fn run(self, stop: Option<&CancelToken>) -> Next<Self, R>;
}

/// A delayed task, as the [set](super::set) of a pool sees it.
pub(in crate::pool) trait Delayed: Runs {
    /// The time has come.
    fn make_due(&self);

    /// Makes the threads that wait for the end look again.
    fn wake_joiners(&self);

    /// The pool is closed before the time has come. Cancels a periodic task; returns true for another one,
    /// which is handed back.
    fn leave_behind(&self, slot: &WorkerSlot) -> bool;

    /// True until the closure is claimed, due or not. False for a periodic task, which is not handed back.
    fn may_be_handed_back(&self) -> bool;

    /// Runs a task that was handed back, although it is not due.
    fn run_early(&self, slot: &WorkerSlot);
}

pub(super) struct DelayedJob<W, R> {
    end: OneShot<(W, Place), Result<R, JoinError>>,
    /// `WAITING`, `DUE` or `LEFT`.
    ///
    /// Relaxed: it publishes nothing, since the closure is claimed under the one-shot's lock. `DUE` and
    /// `LEFT` are written before the task is queued and before the joiners are woken. A worker that takes the
    /// task out of the queue, and a joiner that was in the list or joined it later, thus see them.
    stage: AtomicUsize,
    /// Ends the rounds of a periodic task.
    stop: Option<CancelToken>,
}

const WAITING: usize = 0;
const DUE: usize = 1;
const LEFT: usize = 2;

impl<W: Work<R>, R: Send> DelayedJob<W, R> {
    pub(super) fn new(work: W, place: Place, stop: Option<CancelToken>) -> Self {
        DelayedJob { end: OneShot::new((work, place)), stage: AtomicUsize::new(WAITING), stop }
    }

    /// Takes the closure of a job that was refused, and that no other thread has seen.
    pub(super) fn take_back(&self) -> W {
        let (work, _place) = self.end.take_back();
        work
    }

    /// Claims the closure and runs it once.
    fn run_now(&self, slot: &WorkerSlot) {
        let Some((work, place)) = self.end.claim() else { return };
        // Waiters for this task depend on this thread from now on, in the wait-for graph.
        let owing = graph::owe();
        let result = panics::catch(|| work.run(self.stop.as_ref()));
        // Counted before it is published, as for every task. Each round counts.
        match &result {
            Ok(_) => slot.count(End::Completed),
            Err(_) => slot.count(End::Panicked),
        }
        let result = match result {
            Ok(Next::Again(work, when)) => {
                drop(owing);
                return self.go_on(work, place, when, slot);
            }
            Ok(Next::Done(value)) => Ok(value),
            Err(payload) => Err(JoinError::Panicked(Panic::new(payload))),
        };
        // Before the end is published: a joiner may submit another task in its place.
        drop(place);
        report_unjoined(self.end.keep(result), slot);
    }

    /// Puts the closure of a periodic task back, until the next round is due.
    fn go_on(&self, work: W, place: Place, when: When, slot: &WorkerSlot) {
        let (number, pool) = (place.number(), Arc::clone(place.pool()));
        self.end.put_back((work, place));
        // Tie: a cancel that came during the round did not get the closure, but it cancelled the token before
        // it tried, and so is seen here. One that comes later gets the closure.
        let stopped = self.stop.as_ref().is_some_and(CancelToken::is_cancelled);
        // Refused if the pool is closed: this was the last round.
        if stopped || !pool.arm(number, when) {
            self.revoke(slot);
        }
    }
}

impl<W: Work<R>, R: Send> Runs for DelayedJob<W, R> {
    fn run(&self, slot: &WorkerSlot) {
        // One of the threads that find the task due has this round. Without the exchange, the other could
        // claim the closure when the round is over, and run the next one early.
        match self.stage.compare_exchange(DUE, WAITING, Relaxed, Relaxed) {
            Ok(_) => self.run_now(slot),
            // A joiner inside the pool: the closing thread may wait for it, so it must not wait for what was
            // handed to that thread.
            Err(LEFT) => {
                self.revoke(slot);
            }
            Err(_) => {}
        }
    }

    fn revoke(&self, slot: &WorkerSlot) -> bool {
        // First, so that a round that runs meanwhile is the last: see `go_on`. Contained, since the token's
        // callbacks are the caller's and a worker may be here.
        if let Some(stop) = &self.stop {
            panics::contain(|| stop.cancel());
        }
        let claimed = self.end.revoke(|| {
            slot.count(End::Cancelled);
            Err(JoinError::Cancelled)
        });
        let revokes = claimed.is_some();
        // Without a lock and contained, as for every task. With it goes the place, and the alarm.
        panics::discard(claimed);
        revokes
    }

    fn stop(&self) {
        // `revoke` has cancelled the token, since it must do so first.
    }

    fn is_unclaimed(&self) -> bool {
        self.stage.load(Relaxed) == DUE && self.end.is_unclaimed()
    }

    fn is_up_to_joiner(&self) -> bool {
        self.stage.load(Relaxed) != WAITING && self.end.is_unclaimed()
    }

    fn is_finished(&self) -> bool {
        self.end.is_finished()
    }

    fn runs_on(&self) -> Option<usize> {
        self.end.claimant()
    }

    fn detach(&self, slot: &WorkerSlot) {
        report_unjoined(self.end.detach(), slot);
    }
}

impl<W: Work<R>, R: Send> Joinable<R> for DelayedJob<W, R> {
    fn end(&self) -> &dyn WaitPoint {
        &self.end
    }

    fn take_result(&self) -> Option<Result<R, JoinError>> {
        self.end.take().ok()
    }
}

impl<W: Work<R>, R: Send> Delayed for DelayedJob<W, R> {
    fn make_due(&self) {
        self.stage.store(DUE, Relaxed);
    }

    fn wake_joiners(&self) {
        self.end.wake();
    }

    fn leave_behind(&self, slot: &WorkerSlot) -> bool {
        if self.stop.is_some() {
            self.revoke(slot);
            return false;
        }
        // The caller has taken the task out of its place, so no alarm makes it due any more.
        self.stage.store(LEFT, Relaxed);
        self.end.wake();
        true
    }

    fn may_be_handed_back(&self) -> bool {
        self.stop.is_none() && self.end.is_unclaimed()
    }

    fn run_early(&self, slot: &WorkerSlot) {
        self.run_now(slot);
    }
}

/// A task that is due, in the pool's queue. Cancels the task if it is dropped instead of run.
pub(super) struct Queued {
    job: Arc<dyn Delayed>,
    pool: Arc<Shared>,
    was_run: bool,
}

impl Queued {
    pub(super) fn new(job: Arc<dyn Delayed>, pool: Arc<Shared>) -> Self {
        Queued { job, pool, was_run: false }
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        if !self.was_run {
            self.job.revoke(self.pool.external());
        }
    }
}

impl Job for Queued {
    fn run(mut self, slot: &WorkerSlot) {
        self.was_run = true;
        self.job.run(slot);
    }

    fn is_unclaimed(&self) -> bool {
        self.job.may_be_handed_back()
    }

    fn revoke(&self, slot: &WorkerSlot) {
        self.job.revoke(slot);
    }
}

/// A task that was not due when the pool was closed.
pub(super) struct HandedBack(pub(super) Arc<dyn Delayed>);

impl Job for HandedBack {
    fn run(self, slot: &WorkerSlot) {
        self.0.run_early(slot);
    }

    fn is_unclaimed(&self) -> bool {
        self.0.may_be_handed_back()
    }

    fn revoke(&self, slot: &WorkerSlot) {
        self.0.revoke(slot);
    }
}
