//! What a worker does from its first moment to its last.

use std::time::Instant;

use super::injector::{Comes, Next};
use super::raw_job::RawJob;
use super::shared::Shared;
use super::slot::WorkerSlot;
use super::worker_counts::WorkerCounts;
use crate::panics::contain;
use crate::sync::{Arc, sized};
use crate::until::Until;
use crate::wait::context::{self, Context};
use crate::wait::{Blocking, Waiter, graph, observed_by, unobserved};

/// Tasks after which a worker does not take its own next, but looks round: at the queue and at everybody's
/// local queue in turn, so that a task waits there for a bounded number of others.
const ROUND: usize = sized(61, 4);

impl Shared {
    /// What a worker does from its first to its last moment.
    pub(super) fn work(self: &Arc<Self>, slot: &WorkerSlot) {
        let _inside = self.enter();
        let _clock = self.config.tasks_clock.enter();
        // Whoever waits for a task that is queued waits for the workers.
        let _owing = graph::owe();
        if let Some(hook) = &self.config.on_start {
            contain(|| hook());
        }
        let observed = observed_by(Arc::new(BlockHook(Arc::clone(self))));
        let local = self.injector.new_local();
        let own = local.make_own(self.address());
        let mut comes = Comes::Called;
        let mut turn = 0_usize;
        loop {
            turn = turn.wrapping_add(1);
            if comes == Comes::FromTask
                && !turn.is_multiple_of(ROUND)
                && let Some(raw) = self.injector.take(&local)
            {
                self.run(raw, slot);
                continue;
            }
            let (next, call) = self.injector.next(&local, comes, turn / ROUND);
            self.answer(call);
            comes = match next {
                Next::Run(raw) => {
                    self.run(raw, slot);
                    Comes::FromTask
                }
                Next::Idle(waiter, limited) => self.idle(&waiter, limited),
                Next::Leave => break,
            };
        }
        drop(own);
        drop(observed);
        if let Some(hook) = &self.config.on_exit {
            contain(|| hook());
        }
        slot.vacate();
        context::with(Context::leave);
    }

    #[inline]
    pub(super) fn run(&self, raw: RawJob, slot: &WorkerSlot) {
        // The task's own panic is caught inside. What is left is the drop of a result that nobody wanted,
        // which is the caller's code too and must not take the worker with it.
        contain(|| raw.run(slot));
    }

    /// Sleeps until the worker is called, or its time is up.
    fn idle(&self, waiter: &Waiter, limited: bool) -> Comes {
        let limit = match limited {
            true => Until::from((&self.config.clock, self.config.keep_alive)),
            false => Until::forever(),
        };
        match unobserved(|| limit.start().sleep(waiter)) {
            Ok(()) => Comes::Called,
            Err(_) => self.injector.get_up(waiter),
        }
    }
}

/// A pool that has lent a thread its work, and hears when the thread sleeps.
struct BlockHook(Arc<Shared>);

impl Blocking for BlockHook {
    fn blocked(self: Arc<Self>, _: Option<Instant>) -> bool {
        let call = self.0.injector.with_counts(WorkerCounts::blocked);
        self.0.answer(call);
        true
    }

    fn resumed(&self) {
        let call = self.0.injector.with_counts(WorkerCounts::resumed);
        self.0.answer(call);
    }
}
