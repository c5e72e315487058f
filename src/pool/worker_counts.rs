//! The workers of a pool, and when to wake or start another: the rules of growing and shrinking.
//!
//! A [`WorkerCounts`] is a set of counters and a list without a lock of its own. The tail's lock of the
//! [`Injector`](super::injector::Injector) protects it, so a decision and the state it depends on form one
//! step, and no schedule takes the pool above its maximum or below its minimum.
//!
//! | a worker is | from | until |
//! |---|---|---|
//! | *waking* | it is started, woken, or allowed to spin | it looks at the queue under the lock |
//! | *active* | it is notified | it goes idle |
//! | *blocked* | its task blocks in a call of this crate | the task continues |
//! | *idle* | it found no task | it is notified, or its keep-alive expires and it leaves |
//!
//! No worker is notified while another one is waking. The waking worker takes one task and, if more are left,
//! notifies the next worker before it runs its own. A burst thus costs few wake-ups: a worker that is awake
//! takes the next task, and by the time a second worker would arrive, the burst may be over. tokio's
//! scheduler throttles its wake-ups in the same way.
//!
//! # Invariant
//! With the lock free: if a task is queued, then a worker is waking, or `max` unblocked workers are active,
//! or no worker is idle and there are as many threads as the limits, or the operating system, allow.
//! [`WorkerCounts::notify`] establishes it and is called wherever it could have become false.

use crate::wait::{Waiter, Wake};

#[derive(Debug)]
#[repr(C)] // what `can_notify` reads comes first, as in the injector's tail
pub(super) struct WorkerCounts {
    /// Workers that are being started or woken, or that spin, and have not looked at the queue since.
    waking: usize,
    /// Threads, including those that are being started.
    workers: usize,
    /// Workers whose task is blocked.
    blocked: usize,
    /// Threads allowed beyond `max`, each standing in for a blocked worker.
    spares: usize,
    max: usize,
    /// Idle workers. The last to go idle is woken first: its caches are the warmest, and the workers below it
    /// reach the end of their keep-alive.
    idle: Vec<Waiter>,
    min: usize,
    /// One of the waking workers spins. `figures` counts it as idle.
    spinning: bool,
    /// Threads that run tasks in place of workers that the operating system refused.
    inline_runners: usize,
    /// The maximum of `workers` so far.
    peak: usize,
}

/// What the caller must do after unlocking.
#[derive(Debug)]
#[must_use = "a worker was claimed and must be woken or started"]
pub(super) enum Notify {
    /// Dropping it wakes an idle worker.
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
            spinning: false,
            blocked: 0,
            inline_runners: 0,
            peak: 0,
        }
    }

    /// Workers that run tasks or are waking, without those for which a spare stands in.
    fn active(&self) -> usize {
        // Without spares, a blocked worker stays active: no other may take its place.
        self.workers - self.idle.len() - self.blocked.min(self.spares)
    }

    /// Claims a worker for the queued tasks, if one is needed and available. The caller wakes or starts it
    /// after unlocking, so that it does not run into the lock.
    #[inline]
    pub(super) fn notify(&mut self) -> Option<Notify> {
        if !self.can_notify() {
            return None;
        }
        match self.idle.pop() {
            Some(waiter) => {
                self.waking += 1;
                // `None` if its keep-alive expired first: it has ended its wait itself and comes back without
                // being woken.
                waiter.end(Ok(())).map(|_wake| Notify::Wake { _wake })
            }
            // No worker is idle, so all are active except the blocked ones, of which `active` leaves out at
            // most `spares`. Fewer than `max` active workers therefore mean fewer than `max + spares`
            // threads.
            None => Some(self.start()),
        }
    }

    /// True if no worker is waking and another may be woken or started.
    #[inline]
    pub(super) fn can_notify(&self) -> bool {
        self.waking == 0 && self.active() < self.max
    }

    /// Counts a thread that is about to be started.
    fn start(&mut self) -> Notify {
        self.waking += 1;
        self.workers += 1;
        // Only here does the number of workers grow.
        self.peak = self.peak.max(self.workers);
        Notify::Start
    }

    /// Starts a thread if there are fewer than the minimum, whether or not a task is queued.
    pub(super) fn fill(&mut self) -> Option<Notify> {
        // Whether or not another worker is waking: the minimum does not depend on work.
        (self.workers < self.min).then(|| self.start())
    }

    /// A waking worker looks at the queue.
    pub(super) fn stop_waking(&mut self) {
        self.waking -= 1;
    }

    /// Lets a worker that found no task spin briefly before it parks. A spinning worker counts as waking, so
    /// at most one spins, and submitters need not wake another.
    pub(super) fn start_spinning(&mut self) -> bool {
        // A branch because of rust-lang/rust#158206: rustc 1.95.0 and 1.96.0 delete a comparison whose result
        // is used as data (`self.spinning |= may`) and then returned to a caller that branches on it, as
        // `next` does. `spinning` was set, `waking` was not, and the pool slept with a full queue. `.ci/scan`
        // finds the plain form in `next`, and no other place.
        if self.waking > 0 {
            return false;
        }
        self.waking = 1;
        self.spinning = true;
        true
    }

    /// The spinning worker looks at the queue, whether or not it has seen a task.
    pub(super) fn stop_spinning(&mut self) {
        self.spinning = false;
        self.stop_waking();
    }

    /// True if one active worker is too many: a blocked task has continued, or the maximum was lowered.
    pub(super) fn has_surplus_active(&self) -> bool {
        self.active() > self.max
    }

    /// True if every thread is a worker and no thread can be added even if all workers block. Until then, a
    /// thread that does not exist yet may run what is queued.
    pub(super) fn is_complete(&self) -> bool {
        self.workers >= self.max.saturating_add(self.spares) && self.inline_runners == 0
    }

    /// Threads, including those that are being started.
    pub(super) fn count(&self) -> usize {
        self.workers
    }

    /// True if there are more threads than allowed.
    pub(super) fn has_surplus_threads(&self) -> bool {
        self.workers > self.max + self.spares
    }

    /// Registers a worker as idle. Returns the waiter to park on, and whether its keep-alive limits the wait.
    pub(super) fn go_idle(&mut self) -> (Waiter, bool) {
        let waiter = Waiter::new();
        self.idle.push(waiter.clone());
        (waiter, self.workers > self.min)
    }

    /// Removes an idle worker whose keep-alive expired. False if it was notified at the same time: then it
    /// counts as waking, and the notification wins.
    pub(super) fn expire(&mut self, waiter: &Waiter) -> bool {
        // A notifier removes the waiter under the same lock, so exactly one of the two finds it in the list.
        let before = self.idle.len();
        self.idle.retain(|other| !other.is(waiter));
        self.idle.len() < before
    }

    /// True if a worker whose keep-alive expired is not needed for the minimum.
    pub(super) fn is_above_minimum(&self) -> bool {
        self.workers > self.min
    }

    /// A worker leaves the pool.
    pub(super) fn leave(&mut self) {
        self.workers -= 1;
    }

    /// Wakes all idle workers, to look again at a state that has changed for all of them.
    pub(super) fn wake_all(&mut self) -> Vec<Wake> {
        self.waking += self.idle.len();
        // A worker whose keep-alive expired at the same moment needs no wake, but counts as waking like the
        // others.
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

    /// The operating system refused a thread; its caller runs tasks inline instead and counts as a worker.
    pub(super) fn run_inline(&mut self) {
        self.stop_waking();
        self.inline_runners += 1;
    }

    /// True if all workers are callers that run tasks inline.
    pub(super) fn has_only_inline_runners(&self) -> bool {
        self.workers == self.inline_runners
    }

    /// A caller stops running tasks inline.
    pub(super) fn stop_running_inline(&mut self) {
        self.inline_runners -= 1;
        self.leave();
    }

    /// Notifies an idle worker for the queued tasks, if there is one and it is needed.
    pub(super) fn notify_idle(&mut self) -> Option<Notify> {
        if self.idle.is_empty() { None } else { self.notify() }
    }

    /// The number of workers, of idle ones, of blocked ones, and the peak.
    pub(super) fn figures(&self) -> (usize, usize, usize, usize) {
        // A spinning worker has no task; counting it as busy would make an idle pool look busy.
        let idle = self.idle.len() + usize::from(self.spinning);
        (self.workers, idle, self.blocked.min(self.workers - idle), self.peak)
    }
}

#[cfg(all(test, not(any(loom, selvedge_loom))))]
mod tests {
    use super::*;

    #[test]
    fn one_worker_at_a_time_spins_and_counts_as_waking() {
        let mut counts = WorkerCounts::new(1, 2, 0);
        assert!(counts.start_spinning() && !counts.can_notify());
        assert!(!counts.start_spinning(), "one spins");
        counts.stop_spinning();
        assert!(counts.can_notify() && counts.start_spinning());
    }
}
