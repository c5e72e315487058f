//! Who works for a pool, and when to call another: the rules of growing and shrinking.
//!
//! A [`WorkerCounts`] is numbers and a list, without a lock of its own: it lies under the submitters' lock of
//! the [`Injector`](super::intake::Injector), so a decision and what it was decided on are one step, and no
//! schedule can take the pool above its maximum or below its minimum.
//!
//! | a worker is | from | until |
//! |---|---|---|
//! | *coming* | it is started, woken, or allowed to look out | it looks at the queue under the lock |
//! | *on duty* | it is called | it goes idle |
//! | *blocked* | its task falls asleep in a call of this crate | the task goes on |
//! | *idle* | it found nothing to do | it is called, or its time is up and it leaves |
//!
//! Nobody is called while somebody is coming: who comes takes one task, and if more are left it calls the
//! next before it begins. So a burst costs few wake-ups: whoever is awake takes the next task, and by the
//! time that the second worker would arrive the burst may be over.
//!
//! # Invariant
//! With the lock free: if a task is queued, then somebody is coming, or `max` workers are on duty and not
//! blocked, or nobody is idle and as many threads are there as may be, or as the system gave.
//! [`WorkerCounts::call`] makes it so; it is called wherever it could have become false.

use crate::wait::{Waiter, Wake};

#[derive(Debug)]
pub(super) struct WorkerCounts {
    min: usize,
    max: usize,
    /// Threads that there may be above `max`, in the place of blocked ones.
    spares: usize,
    /// Threads that there are, those included that are being started.
    workers: usize,
    /// Idle workers; the one that went idle last is called first, because its memory is the warmest, and
    /// because those below it then reach the end of their time.
    idle: Vec<Waiter>,
    waking: usize,
    /// One of those who are coming looks out for work: it is idle, in a way.
    looking: bool,
    blocked: usize,
    /// Threads that do the work of workers which the system refused.
    stand_ins: usize,
    peak: usize,
}

/// What a caller must do once it has unlocked.
#[derive(Debug)]
#[must_use = "somebody was promised to come"]
pub(super) enum Call {
    /// Drop it: that wakes an idle worker.
    Wake { _wake: Wake },
    /// Start a thread; it is counted already.
    Start,
}

impl WorkerCounts {
    pub(super) fn new(min: usize, max: usize, spares: usize) -> Self {
        WorkerCounts {
            min,
            max,
            spares,
            workers: 0,
            idle: Vec::new(),
            waking: 0,
            looking: false,
            blocked: 0,
            stand_ins: 0,
            peak: 0,
        }
    }

    /// Workers that run tasks or are on their way to one, without those whose task sleeps.
    fn active(&self) -> usize {
        self.workers - self.idle.len() - self.blocked.min(self.spares)
    }

    /// Calls somebody for the tasks that are queued, if anybody is needed and to be had.
    #[inline]
    pub(super) fn call(&mut self) -> Option<Call> {
        if !self.could_call() {
            return None;
        }
        match self.idle.pop() {
            Some(waiter) => {
                self.waking += 1;
                // If its time ran out it has ended its wait itself, and is coming without being woken.
                waiter.end(Ok(())).map(|_wake| Call::Wake { _wake })
            }
            // There are fewer threads than may be: all are active but for blocked ones, of whom `active`
            // leaves out as many as there are spares.
            None => Some(self.start()),
        }
    }

    /// True if nobody is coming, and somebody is to be had.
    #[inline]
    pub(super) fn could_call(&self) -> bool {
        self.waking == 0 && self.active() < self.max
    }

    /// Counts a thread that is to be started.
    fn start(&mut self) -> Call {
        self.waking += 1;
        self.workers += 1;
        self.peak = self.peak.max(self.workers);
        Call::Start
    }

    /// Starts a thread if there are fewer than the minimum, whether there is work or not.
    pub(super) fn fill(&mut self) -> Option<Call> {
        (self.workers < self.min).then(|| self.start())
    }

    /// One that was coming has come.
    pub(super) fn arrive(&mut self) {
        self.waking -= 1;
    }

    /// A worker that found nothing asks whether it may look out for a moment, instead of sleeping at once;
    /// then it is coming.
    pub(super) fn may_look_out(&mut self) -> bool {
        // Written as a branch because of rust-lang/rust#158206: rustc 1.95.0 and 1.96.0 delete a comparison
        // whose answer is used as data (`self.looking |= may`) and then returned to a caller that branches on
        // it, as `next` does with this one. `looking` was set, `coming` was not, and the pool slept on a full
        // queue. `.ci/scan` finds the plain form in `next`, and no other place.
        if self.waking > 0 {
            return false;
        }
        self.waking = 1;
        self.looking = true;
        true
    }

    /// The one that looked out has come, for something or not.
    pub(super) fn stop_looking(&mut self) {
        self.looking = false;
        self.arrive();
    }

    /// True if this worker, which is on duty, is one too many: a blocked one went on, or the maximum was
    /// lowered.
    pub(super) fn is_crowded(&self) -> bool {
        self.active() > self.max
    }

    /// True if no thread can be added, whoever sleeps, and every one is a worker.
    pub(super) fn is_complete(&self) -> bool {
        self.workers >= self.max.saturating_add(self.spares) && self.stand_ins == 0
    }

    /// Threads that there are, those included that are being started.
    pub(super) fn count(&self) -> usize {
        self.workers
    }

    /// True if there are more threads than may be.
    pub(super) fn is_overfull(&self) -> bool {
        self.workers > self.max + self.spares
    }

    /// A worker goes idle. The waiter is its bed; the flag says whether its time is limited.
    pub(super) fn go_idle(&mut self) -> (Waiter, bool) {
        let waiter = Waiter::new();
        self.idle.push(waiter.clone());
        (waiter, self.workers > self.min)
    }

    /// An idle worker's time is up: takes it off the list. False if it is not there, because it was called
    /// just then: it is coming.
    pub(super) fn get_up(&mut self, waiter: &Waiter) -> bool {
        let before = self.idle.len();
        self.idle.retain(|other| !other.is(waiter));
        self.idle.len() < before
    }

    /// True if an idle worker whose time is up is not one of the minimum.
    pub(super) fn is_above_minimum(&self) -> bool {
        self.workers > self.min
    }

    /// A worker leaves for good.
    pub(super) fn leave(&mut self) {
        self.workers -= 1;
    }

    /// Wakes all who are idle, to look again at what holds now.
    pub(super) fn wake_all(&mut self) -> Vec<Wake> {
        self.waking += self.idle.len();
        self.idle.drain(..).filter_map(|waiter| waiter.end(Ok(()))).collect()
    }

    pub(super) fn resize(&mut self, min: usize, max: usize) {
        (self.min, self.max) = (min, max);
    }

    pub(super) fn blocked(&mut self) {
        self.blocked += 1;
    }

    pub(super) fn resumed(&mut self) {
        self.blocked -= 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.workers == 0
    }

    /// The system refused the thread that was coming: its caller has come in its place.
    pub(super) fn run_inline(&mut self) {
        self.arrive();
        self.stand_ins += 1;
    }

    /// True if there is no worker but those who stand in for one.
    pub(super) fn is_standing_in(&self) -> bool {
        self.workers == self.stand_ins
    }

    /// One who stood in leaves.
    pub(super) fn stop_standing_in(&mut self) {
        self.stand_ins -= 1;
        self.leave();
    }

    /// Calls an idle worker for the tasks that are queued, if there is one and it is needed.
    pub(super) fn call_idle(&mut self) -> Option<Call> {
        if self.idle.is_empty() { None } else { self.call() }
    }

    /// Workers, those who are idle, those who are blocked, and the most that there were.
    pub(super) fn figures(&self) -> (usize, usize, usize, usize) {
        let idle = self.idle.len() + usize::from(self.looking);
        (self.workers, idle, self.blocked.min(self.workers - idle), self.peak)
    }
}

#[cfg(all(test, not(any(loom, selvedge_loom))))]
mod tests {
    use super::*;

    #[test]
    fn one_worker_at_a_time_looks_out_and_counts_as_coming() {
        let mut counts = WorkerCounts::new(1, 2, 0);
        assert!(counts.may_look_out() && !counts.could_call());
        assert!(!counts.may_look_out(), "one looks out");
        counts.stop_looking();
        assert!(counts.could_call() && counts.may_look_out());
    }
}
