//! The main loop of a worker.

use std::time::Instant;

use super::injector::{Arrival, Next};
use super::raw_job::RawJob;
use super::shared::Shared;
use super::slot::WorkerSlot;
use super::worker_counts::WorkerCounts;
use crate::panics::contain;
use crate::sync::{Arc, sized};
use crate::until::Until;
use crate::wait::context::{self, Context};
use crate::wait::{Blocking, Waiter, graph, observed_by, unobserved};

/// How many tasks a worker takes in order before it tries the queue and the local queues in rotation, so that
/// a task there waits for a bounded number of others. Prime, as tokio's interval, so that it does not
/// resonate with the shape of the work.
const ROUND: usize = sized(61, 4);

impl Shared {
    /// Runs a worker from its first to its last moment.
    pub(super) fn work(self: &Arc<Self>, slot: &WorkerSlot) {
        let _working = self.enter();
        // In the wait-for graph, queued tasks are owed by the workers.
        let _owing = graph::owe();
        if let Some(hook) = &self.config.on_start {
            contain(|| hook());
        }
        // From here on, a task that blocks reports it, so that a spare can stand in. The hooks are outside:
        // they run without a task.
        let observed = observed_by(Arc::new(BlockHook(Arc::clone(self))));
        let local = self.injector.new_local();
        let own = local.make_own(self.address());
        let mut arrival = Arrival::Woken;
        let mut turn = 0_usize;
        // The first arrival is counted as waking since the thread was requested.
        loop {
            turn = turn.wrapping_add(1);
            if arrival == Arrival::AfterTask
                && !turn.is_multiple_of(ROUND)
                && let Some(job) = self.injector.take(&local)
            {
                self.run(job, slot);
                continue;
            }
            let (next, notify) = self.injector.next(&local, arrival, turn / ROUND);
            // Before the task runs: the invariant holds only once the notified worker is awake.
            self.perform(notify);
            arrival = match next {
                Next::Run(job) => {
                    self.run(job, slot);
                    Arrival::AfterTask
                }
                Next::Idle(waiter, limited) => self.idle(&waiter, limited),
                Next::Leave => break,
            };
            // In this order: the exit hook is the caller's code, and what it submits or blocks on is no
            // task's.
        }
        drop(own);
        drop(observed);
        if let Some(hook) = &self.config.on_exit {
            contain(|| hook());
        }
        // Last: a shutdown that sees it joins the thread, so nothing of the caller's may follow but the drops
        // of its thread-locals.
        slot.vacate();
        context::with(Context::leave);
    }

    #[inline]
    pub(super) fn run(&self, job: RawJob, slot: &WorkerSlot) {
        // The task's own panic is caught inside. What remains is the drop of an unwanted result, which is the
        // caller's code and must not end the worker.
        contain(|| job.run(slot));
    }

    /// Parks until the worker is notified or its keep-alive expires.
    fn idle(&self, waiter: &Waiter, limited: bool) -> Arrival {
        let limit = match limited {
            true => Until::from((&self.config.clock, self.config.keep_alive)),
            false => Until::forever(),
        };
        // Unobserved: an idle worker is not blocked in a task, and no spare stands in for it. A notification
        // cannot be missed: it ends the waiter, which was registered under the tail's lock.
        match unobserved(|| limit.start().sleep(waiter)) {
            Ok(()) => Arrival::Woken,
            // It may have been notified at the same moment: the list decides, and the notification wins.
            Err(_) => self.injector.expire(waiter),
        }
    }
}

/// Tells the pool when a task of a worker blocks, so that a spare can stand in.
struct BlockHook(Arc<Shared>);

impl Blocking for BlockHook {
    fn blocked(self: Arc<Self>, _: Option<Instant>) -> bool {
        // The worker is counted as blocked first, so that a spare is within the limits.
        let notify = self.0.injector.with_counts(WorkerCounts::blocked);
        self.0.perform(notify);
        true
    }

    fn resumed(&self) {
        let notify = self.0.injector.with_counts(WorkerCounts::resumed);
        // Often none: the worker that continues is one active worker more, and a surplus one goes idle after
        // its task.
        self.0.perform(notify);
    }
}
