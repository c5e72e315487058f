//! What the threads of a pool and its handles share, and how a worker's thread is started.

use std::io;
use std::time::Duration;

use super::injector::Injector;
use super::raw_job::{Job, RawJob};
use super::slot::{PanicHook, Totals, WorkerSlot};
use super::worker_counts::Call;
use crate::clock::Clock;
use crate::group::{HelperFn, Spawn};
use crate::sync::{Arc, Mutex, thread};
use crate::wait::cache;
use crate::wait::context::{self, Entered, Inside};
use crate::wait::graph::{Awaited, Needs};

/// What the threads of a pool and its handles share.
pub(super) struct Shared {
    pub(super) injector: Injector,
    pub(super) config: Config,
    slots: Mutex<Vec<Arc<WorkerSlot>>>,
    /// Counts what is done for the pool by threads that are not its workers.
    external: WorkerSlot,
}

/// What was said of the workers when the pool was built.
#[derive(Clone)]
pub(super) struct Config {
    pub(super) name: String,
    pub(super) stack_size: Option<usize>,
    pub(super) keep_alive: Duration,
    pub(super) clock: Clock,
    /// What the workers read: the clock of the thread that built the pool.
    pub(super) tasks_clock: Clock,
    pub(super) on_panic: Option<PanicHook>,
    pub(super) on_start: Option<Arc<dyn Fn() + Send + Sync>>,
    pub(super) on_exit: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl Shared {
    pub(super) fn new(injector: Injector, config: Config) -> Arc<Self> {
        let external = WorkerSlot::new(String::new(), config.on_panic.clone());
        Arc::new(Shared { injector, config, slots: Mutex::new(Vec::new()), external })
    }

    pub(super) fn external(&self) -> &WorkerSlot {
        &self.external
    }

    /// The pool's name among those that a thread can be inside.
    pub(super) fn address(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self).addr()
    }

    /// True on the pool's workers, and on threads that they wait for.
    pub(super) fn is_inside(self: &Arc<Self>) -> bool {
        context::is_inside(self.address())
    }

    /// This thread works for the pool until the guard is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> Entered {
        Inside::of(self.address()).enter()
    }

    /// Does what a [`Call`] asks for.
    #[inline]
    pub(super) fn answer(self: &Arc<Self>, call: Option<Call>) {
        match call {
            None => {}
            // Wakes by being dropped.
            Some(Call::Wake { _wake }) => {}
            Some(Call::Start) => self.start_or_stand_in(),
        }
    }

    #[cold]
    fn start_or_stand_in(self: &Arc<Self>) {
        if self.start().is_err() {
            self.run_inline();
        }
    }

    /// Starts a worker, which is counted already.
    pub(super) fn start(self: &Arc<Self>) -> io::Result<()> {
        let mut slots = self.slots.lock();
        let free = slots.iter().find(|slot| slot.is_free()).cloned();
        let slot = free.unwrap_or_else(|| {
            let name = format!("{}-{}", self.config.name, slots.len());
            slots.push(Arc::new(WorkerSlot::new(name, self.config.on_panic.clone())));
            slots.last().expect("it was pushed").clone()
        });
        slot.occupy();
        drop(slots);
        // The worker slot's last worker is past its exit hook; this waits for the system only.
        let last = slot.thread().take();
        if let Some(last) = last {
            cache::join(last);
        }
        let mut builder = thread::Builder::new().name(slot.name().to_owned());
        if let Some(bytes) = self.config.stack_size {
            builder = builder.stack_size(bytes);
        }
        let mut handle = slot.thread();
        let spawned = builder.spawn({
            let (shared, slot) = (Arc::clone(self), slot.clone());
            move || shared.work(&slot)
        });
        match spawned {
            Ok(thread) => *handle = Some(thread),
            Err(error) => {
                slot.vacate();
                return Err(error);
            }
        }
        Ok(())
    }

    /// What is done about a thread that the system refused: if the pool has no other, its tasks run here,
    /// because nobody else would ever run them. What they sleep for is not replaced by a spare.
    fn run_inline(self: &Arc<Self>) {
        self.injector.run_inline();
        // Those tasks may join, submit and shut down as on a worker.
        let _inside = self.enter();
        while let Some(raw) = self.injector.take_standing_in() {
            self.run(raw, &self.external);
        }
    }

    /// Starts what is missing to the minimum.
    pub(super) fn fill(self: &Arc<Self>) -> io::Result<()> {
        while let Some(call) = self.injector.fill() {
            debug_assert!(matches!(call, Call::Start), "the minimum is filled by starting");
            self.start().inspect_err(|_| self.run_inline())?;
        }
        Ok(())
    }

    /// The workers that run a task with a name, each with the task's.
    pub(super) fn running_tasks(&self) -> Vec<String> {
        self.slots.lock().iter().filter(|slot| slot.runs_named()).map(|slot| slot.label()).collect()
    }

    pub(super) fn slots(&self) -> Vec<Arc<WorkerSlot>> {
        self.slots.lock().clone()
    }

    pub(super) fn totals(&self) -> Totals {
        let slots = self.slots.lock();
        Totals::of(slots.iter().map(|slot| &**slot).chain([&self.external]))
    }
}

/// For the wait-for graph: a worker takes a task that is queued, which makes room.
impl Awaited for Shared {
    fn providers(&self, threads: &mut Vec<usize>) -> Needs {
        self.injector.takers(threads)
    }
}

impl Spawn for Shared {
    fn call(self: Arc<Self>, help: HelperFn) -> bool {
        // Past the bound of the queue: a worker that waits for room may be who would have to make it, and a
        // scope has one helper on its way at most.
        match self.injector.post_beyond(RawJob::new(Assistance(help))) {
            Ok(call) => {
                self.answer(call);
                true
            }
            Err(_closed) => false,
        }
    }
}

/// Help with a scope. It is no task of the pool's, so it is not counted, and no abort hands it back.
struct Assistance(HelperFn);

impl Job for Assistance {
    fn run(self, slot: &WorkerSlot) {
        // One who stands in for a worker that the system refused is no help: it may be the owner of the
        // scope, or the reader of the pipeline, and has other things to do. Dropped, the help counts as not
        // to be had.
        if !slot.is_external() {
            (self.0)();
        }
    }

    fn is_waiting(&self) -> bool {
        false
    }

    fn revoke(&self, _: &WorkerSlot) {}
}
