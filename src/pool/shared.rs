//! The state that a pool's workers and handles share, and how a worker's thread is started.

use std::io;
use std::time::Duration;

use super::delayed::Delays;
use super::injector::Injector;
use super::keyed::KeyQueues;
use super::raw_job::{Job, RawJob};
use super::slot::{PanicHook, Totals, WorkerSlot};
use super::worker_counts::Notify;
use crate::clock::{self, Clock};
use crate::group::{HelperFn, Spawn};
use crate::inspect::Running;
use crate::sync::{Arc, Mutex, thread, weak};
use crate::wait::cache;
use crate::wait::context::{self, Entered, Inside};
use crate::wait::graph::{Awaited, Needs};

/// The state that a pool's workers and handles share.
pub(super) struct Shared {
    pub(super) injector: Injector,
    pub(super) delays: Delays,
    keyed: Mutex<KeyedList>,
    pub(super) config: Config,
    slots: Mutex<Vec<Arc<WorkerSlot>>>,
    /// Counts the tasks that are run by threads other than workers.
    external: WorkerSlot,
}

/// The tasks with keys.
#[derive(Default)]
struct KeyedList {
    /// Weak, since they refer to the pool.
    queues: Vec<weak::Weak<KeyQueues>>,
    closed: bool,
}

/// The configuration of the workers.
#[derive(Clone)]
pub(super) struct Config {
    pub(super) name: String,
    pub(super) stack_size: Option<usize>,
    pub(super) keep_alive: Duration,
    pub(super) clock: Clock,
    /// The clock that tasks read: that of the thread that built the pool.
    pub(super) tasks_clock: Clock,
    pub(super) on_panic: Option<PanicHook>,
    pub(super) on_start: Option<Arc<dyn Fn() + Send + Sync>>,
    pub(super) on_exit: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl Shared {
    pub(super) fn new(injector: Injector, delays: Delays, config: Config) -> Arc<Self> {
        let external = WorkerSlot::new(String::new(), config.on_panic.clone());
        let keyed = Mutex::default();
        Arc::new(Shared { injector, delays, keyed, config, slots: Mutex::new(Vec::new()), external })
    }

    /// Lists tasks with keys; false if the pool is closed.
    pub(super) fn list_keyed(&self, queues: &weak::Arc<KeyQueues>) -> bool {
        let mut keyed = self.keyed.lock();
        // The dropped ones leave here, so the list is at most twice as long as there are.
        if keyed.queues.len() == keyed.queues.capacity() {
            keyed.queues.retain(|other| other.upgrade().is_some());
        }
        keyed.queues.push(weak::Arc::downgrade(queues));
        !keyed.closed
    }

    /// Closes all key queues, and returns them.
    pub(super) fn close_keyed(&self) -> Vec<weak::Arc<KeyQueues>> {
        let mut keyed = self.keyed.lock();
        // Under the lock of the list: queues that come later find it.
        keyed.closed = true;
        let queues: Vec<_> = keyed.queues.iter().filter_map(weak::Weak::upgrade).collect();
        drop(keyed);
        queues.iter().for_each(|queues| queues.close());
        queues
    }

    pub(super) fn external(&self) -> &WorkerSlot {
        &self.external
    }

    /// Identifies the pool among those that a thread can be inside.
    pub(super) fn address(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self).addr()
    }

    /// True on the pool's workers, and on threads that run tasks for one.
    pub(super) fn is_inside(self: &Arc<Self>) -> bool {
        context::is_inside(self.address())
    }

    /// Makes the calling thread work for the pool until the guards are dropped: it is inside the pool, and
    /// reads the clock of the thread that built it. For workers, and for threads that run tasks instead of
    /// one.
    pub(super) fn enter(self: &Arc<Self>) -> (Entered, Option<clock::Entered>) {
        (Inside::of(self.address()).enter(), self.config.tasks_clock.enter())
    }

    /// Wakes or starts the worker that a [`Notify`] stands for. To be called without a lock: starting a
    /// thread takes long, and a woken worker takes the injector's lock at once.
    #[inline]
    pub(super) fn perform(self: &Arc<Self>, notify: Option<Notify>) {
        match notify {
            None => {}
            // Dropping it wakes the worker.
            Some(Notify::Wake { _wake }) => {}
            Some(Notify::Start) => self.start_or_run_inline(),
        }
    }

    #[cold]
    fn start_or_run_inline(self: &Arc<Self>) {
        if self.start().is_err() {
            self.run_inline();
        }
    }

    /// Starts the thread of a worker that is counted already.
    pub(super) fn start(self: &Arc<Self>) -> io::Result<()> {
        let mut slots = self.slots.lock();
        // Reused, so that names and counters stay bounded by the peak of workers.
        let free = slots.iter().find(|slot| slot.is_free()).cloned();
        let slot = free.unwrap_or_else(|| {
            let name = format!("{}-{}", self.config.name, slots.len());
            slots.push(Arc::new(WorkerSlot::new(name, self.config.on_panic.clone())));
            slots.last().expect("it was pushed").clone()
        });
        // Occupied under the lock, so that no other thread takes the same slot.
        slot.occupy();
        drop(slots);
        // The slot's previous worker is past its exit hook: this waits only for the operating system to end
        // its thread.
        let last = slot.thread().take();
        if let Some(last) = last {
            cache::join(last);
        }
        let mut builder = thread::Builder::new().name(slot.name().to_owned());
        if let Some(bytes) = self.config.stack_size {
            builder = builder.stack_size(bytes);
        }
        // Locked until the handle is stored: a shutdown that looks for the thread waits for it.
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

    /// Runs tasks in place of a thread that the operating system refused. If the pool has no other thread,
    /// nothing else would ever run them. A task that blocks here is not replaced by a spare.
    fn run_inline(self: &Arc<Self>) {
        self.injector.run_inline();
        // These tasks may join, submit and shut down as on a worker, and read the pool's clock.
        let _working = self.enter();
        while let Some(job) = self.injector.take_inline() {
            self.run(job, &self.external);
        }
    }

    /// Starts the threads that are missing to the minimum.
    pub(super) fn fill(self: &Arc<Self>) -> io::Result<()> {
        // One at a time, each decided under the lock: a concurrent resize may change the minimum.
        while let Some(notify) = self.injector.fill() {
            debug_assert!(matches!(notify, Notify::Start), "the minimum is filled by starting");
            self.start().inspect_err(|_| self.run_inline())?;
        }
        Ok(())
    }

    /// The tasks with a name that run now, on the workers and on other threads.
    pub(super) fn running_tasks(&self) -> Vec<Running> {
        let mut running = Vec::new();
        self.slots().iter().for_each(|slot| slot.add_running(&mut running));
        self.external.add_running(&mut running);
        running
    }

    pub(super) fn slots(&self) -> Vec<Arc<WorkerSlot>> {
        // Cloned, so that no caller joins a thread under this lock.
        self.slots.lock().clone()
    }

    pub(super) fn totals(&self) -> Totals {
        let slots = self.slots.lock();
        Totals::of(slots.iter().map(|slot| &**slot).chain([&self.external]))
    }
}

/// For the wait-for graph: a worker that takes a queued task makes room.
impl Awaited for Shared {
    fn providers(&self, threads: &mut Vec<usize>) -> Needs {
        self.injector.takers(threads)
    }
}

impl Spawn for Shared {
    fn spawn_helper(self: Arc<Self>, help: HelperFn) -> bool {
        // Queued beyond the bound: the calling worker may be the one that would make room. A scope has at
        // most one helper queued, so the excess is bounded.
        match self.injector.push_beyond(RawJob::new(HelperJob(help))) {
            Ok(notify) => {
                self.perform(notify);
                true
            }
            Err(_closed) => false,
        }
    }
}

/// A helper of a scope. It is not a task of the pool: it is not counted, and an abort does not hand it back.
struct HelperJob(HelperFn);

impl Job for HelperJob {
    fn run(self, slot: &WorkerSlot) {
        // A thread that runs tasks inline is not used as a helper: it may be the owner of the scope or the
        // reader of a pipeline, and would not return to that. Dropping the helper tells the scope that it got
        // no thread.
        if !slot.is_external() {
            (self.0)();
        }
    }

    fn is_unclaimed(&self) -> bool {
        false
    }

    fn revoke(&self, _: &WorkerSlot) {}
}
