//! What the threads of a pool share, and what each does from its first moment to its last.

use std::io;
use std::time::{Duration, Instant};

use super::injector::{Figures, Injector};
use super::next::{Comes, Next};
use super::raw_job::{Job, RawJob};
use super::report::{Counters, Report, Stats, Totals, Unstarted};
use super::worker_counts::{Call, WorkerCounts};
use crate::clock::Clock;
use crate::error::{Panic, Partial};
use crate::group::{HelperFn, Spawn};
use crate::panics::{contain, discard};
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::sync::{Arc, Mutex, sized, thread};
use crate::until::Until;
use crate::wait::cache;
use crate::wait::context::{self, Context, Entered, Inside};
use crate::wait::{Blocking, Waiter, graph, observed_by, unobserved};
use crossbeam_utils::CachePadded;

/// Tasks after which a worker does not take its own next, but looks round: at the queue and at everybody's
/// local queue in turn, so that a task waits there for a bounded number of others.
const ROUND: usize = sized(61, 4);

/// What the threads of a pool and its handles share.
pub(super) struct Shared {
    pub(super) injector: Injector,
    pub(super) config: Config,
    waiters: Mutex<Vec<Arc<WorkerSlot>>>,
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
    pub(super) on_panic: Option<Arc<dyn Fn(Panic) + Send + Sync>>,
    pub(super) on_start: Option<Arc<dyn Fn() + Send + Sync>>,
    pub(super) on_exit: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// A place for a worker, with a name and what was counted there. It outlives its worker, and the next one
/// that is started takes it over.
pub(super) struct WorkerSlot {
    name: String,
    counters: CachePadded<Counters>,
    on_panic: Option<Arc<dyn Fn(Panic) + Send + Sync>>,
    /// Its worker has done all that is the caller's. Relaxed: whoever sees it joins the thread afterwards.
    is_free: AtomicBool,
    /// What the task that runs there is called, if it has a name.
    task: Mutex<Option<Arc<str>>>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

impl WorkerSlot {
    fn new(name: String, config: &Config) -> Self {
        WorkerSlot {
            name,
            counters: CachePadded::new(Counters::default()),
            on_panic: config.on_panic.clone(),
            is_free: AtomicBool::new(true),
            task: Mutex::new(None),
            thread: Mutex::new(None),
        }
    }

    /// True if no worker ever has this seat: see [`Shared::visitor`].
    fn is_visitors(&self) -> bool {
        self.name.is_empty()
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// A task of that name runs here until the guard is dropped. `None` where many threads run tasks, and no
    /// report says which.
    pub(super) fn runs(&self, name: &Arc<str>) -> Option<Named<'_>> {
        let before =
            if self.is_visitors() { return None } else { self.task.lock().replace(Arc::clone(name)) };
        Some(Named { waiter: self, before })
    }

    /// The name of the thread, and of the task that it runs.
    fn label(&self) -> String {
        match &*self.task.lock() {
            Some(task) => format!("{}: {task}", self.name),
            None => self.name.clone(),
        }
    }

    /// Hands a panic that nobody joins to the pool's hook.
    pub(super) fn report(&self, panic: Panic) {
        let Some(hook) = &self.on_panic else {
            // The payload may panic when it is dropped: that is the caller's, and no worker's end.
            discard(panic);
            return;
        };
        contain(|| hook(panic));
    }
}

/// See [`WorkerSlot::runs`].
#[must_use = "dropping it says that the task has ended"]
pub(super) struct Named<'a> {
    waiter: &'a WorkerSlot,
    before: Option<Arc<str>>,
}

impl Drop for Named<'_> {
    fn drop(&mut self) {
        *self.waiter.task.lock() = self.before.take();
    }
}

impl Shared {
    pub(super) fn new(injector: Injector, config: Config) -> Arc<Self> {
        let external = WorkerSlot::new(String::new(), &config);
        Arc::new(Shared { injector, config, waiters: Mutex::new(Vec::new()), external })
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
        let mut waiters = self.waiters.lock();
        let free = waiters.iter().find(|waiter| waiter.is_free.load(Relaxed)).cloned();
        let waiter = free.unwrap_or_else(|| {
            let name = format!("{}-{}", self.config.name, waiters.len());
            waiters.push(Arc::new(WorkerSlot::new(name, &self.config)));
            waiters.last().expect("it was pushed").clone()
        });
        waiter.is_free.store(false, Relaxed);
        drop(waiters);
        // The worker slot's last worker is past its exit hook; this waits for the system only.
        let last = waiter.thread.lock().take();
        if let Some(last) = last {
            cache::join(last);
        }
        let mut builder = thread::Builder::new().name(waiter.name.clone());
        if let Some(bytes) = self.config.stack_size {
            builder = builder.stack_size(bytes);
        }
        let mut handle = waiter.thread.lock();
        let spawned = builder.spawn({
            let (shared, waiter) = (Arc::clone(self), waiter.clone());
            move || shared.work(&waiter)
        });
        match spawned {
            Ok(thread) => *handle = Some(thread),
            Err(error) => {
                waiter.is_free.store(true, Relaxed);
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

    /// What a worker does from its first to its last moment.
    fn work(self: &Arc<Self>, waiter: &WorkerSlot) {
        let _inside = self.enter();
        let _clock = self.config.tasks_clock.enter();
        // Whoever waits for a task that is queued waits for the workers.
        let _owing = graph::owe();
        if let Some(hook) = &self.config.on_start {
            contain(|| hook());
        }
        let observed = observed_by(Arc::new(BlockHook(Arc::clone(self))));
        let local = self.injector.new_desk();
        let seated = local.sit_down(self.address());
        let mut comes = Comes::Called;
        let mut turn = 0_usize;
        loop {
            turn = turn.wrapping_add(1);
            if comes == Comes::FromTask
                && !turn.is_multiple_of(ROUND)
                && let Some(raw) = self.injector.take(&local)
            {
                self.run(raw, waiter);
                continue;
            }
            let (next, call) = self.injector.next(&local, comes, turn / ROUND);
            self.answer(call);
            comes = match next {
                Next::Run(raw) => {
                    self.run(raw, waiter);
                    Comes::FromTask
                }
                Next::Idle(waiter, limited) => self.idle(&waiter, limited),
                Next::Leave => break,
            };
        }
        drop(seated);
        drop(observed);
        if let Some(hook) = &self.config.on_exit {
            contain(|| hook());
        }
        waiter.is_free.store(true, Relaxed);
        context::with(Context::leave);
    }

    #[inline]
    pub(super) fn run(&self, raw: RawJob, waiter: &WorkerSlot) {
        // The task's own panic is caught inside. What is left is the drop of a result that nobody wanted,
        // which is the caller's code too and must not take the worker with it.
        contain(|| raw.run(waiter));
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

    /// Waits for the workers, joins them, and says how it went. The pool is closed.
    pub(super) fn finish(
        self: &Arc<Self>,
        unstarted: Vec<Unstarted>,
        limit: Until<'_>,
    ) -> Result<Report, Partial<Report>> {
        // From inside, one would wait for oneself.
        let waited = match self.is_inside() {
            true => Ok(()),
            false => self.injector.wait_until_deserted(limit),
        };
        let waiters = self.waiters.lock().clone();
        let mut running = Vec::new();
        for waiter in &waiters {
            if waiter.is_free.load(Relaxed) || (waited.is_ok() && !self.is_inside()) {
                // It is past its last task; this waits for its exit hook and the system only.
                let thread = waiter.thread.lock().take();
                if let Some(thread) = thread {
                    cache::join(thread);
                }
            } else {
                running.push(waiter.label());
            }
        }
        let Totals { completed, panicked, cancelled } = self.totals();
        let report = Report { completed, panicked, cancelled, unstarted, running };
        match waited {
            Ok(()) => Ok(report),
            Err(error) => Err(Partial::new(report, error)),
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

    pub(super) fn stats(&self) -> Stats {
        // What has ended is counted before what is queued is looked at: in the other order a task could be in
        // both.
        let Totals { completed, panicked, cancelled } = self.totals();
        let Figures { workers, idle, blocked, peak_workers, queued, peak_queued } = self.injector.figures();
        let busy = workers - idle - blocked;
        Stats {
            workers,
            idle,
            blocked,
            busy,
            queued,
            completed,
            panicked,
            cancelled,
            peak_workers,
            peak_queued,
        }
    }

    fn totals(&self) -> Totals {
        let waiters = self.waiters.lock();
        Totals::of(waiters.iter().map(|waiter| &**waiter).chain([&self.external]))
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

/// HelperFn with a scope. It is no task of the pool's, so it is not counted, and no abort hands it back.
struct Assistance(HelperFn);

impl Job for Assistance {
    fn run(self, waiter: &WorkerSlot) {
        // One who stands in for a worker that the system refused is no help: it may be the owner of the
        // scope, or the reader of the pipeline, and has other things to do. Dropped, the help counts as not
        // to be had.
        if !waiter.is_visitors() {
            (self.0)();
        }
    }

    fn is_waiting(&self) -> bool {
        false
    }

    fn revoke(&self, _: &WorkerSlot) {}
}

/// A pool that has lent a thread its work, and hears when the thread sleeps.
struct BlockHook(Arc<Shared>);

impl Blocking for BlockHook {
    fn blocked(self: Arc<Self>, _: Option<Instant>) -> bool {
        let call = self.0.injector.with_staff(WorkerCounts::blocked);
        self.0.answer(call);
        true
    }

    fn resumed(&self) {
        let call = self.0.injector.with_staff(WorkerCounts::resumed);
        self.0.answer(call);
    }
}
