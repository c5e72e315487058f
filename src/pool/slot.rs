//! A worker slot: a name, counters, and the task that runs there.

use crossbeam_utils::CachePadded;

use crate::error::Panic;
use crate::inspect::{Began, Running};
use crate::panics::{contain, discard};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use crate::sync::{Arc, Mutex, MutexGuard, thread};
use crate::wait::context::this_thread;

/// A hook for panics that nobody joins.
pub(super) type PanicHook = Arc<dyn Fn(Panic) + Send + Sync>;

/// A slot for a worker: its name, counters and thread. It outlives the worker, and the next worker that is
/// started reuses it.
pub(super) struct WorkerSlot {
    name: String,
    counters: CachePadded<Counters>,
    on_panic: Option<PanicHook>,
    /// The worker has run the caller's last code. Relaxed: a thread that sees it joins the worker's thread,
    /// which synchronises.
    is_free: AtomicBool,
    /// The tasks with a name that run here, innermost last: tasks nest, and the external slot is for many
    /// threads.
    tasks: Mutex<Vec<NamedTask>>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

impl WorkerSlot {
    pub(super) fn new(name: String, on_panic: Option<PanicHook>) -> Self {
        WorkerSlot {
            name,
            counters: CachePadded::new(Counters::default()),
            on_panic,
            is_free: AtomicBool::new(true),
            tasks: Mutex::new(Vec::new()),
            thread: Mutex::new(None),
        }
    }

    /// True if no worker occupies this slot: it counts for all threads that are not workers.
    pub(super) fn is_external(&self) -> bool {
        self.name.is_empty()
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Occupies the slot for a worker that is about to be started.
    pub(super) fn occupy(&self) {
        // The lock of the slots orders it with other starts.
        self.is_free.store(false, Relaxed);
    }

    /// The worker has run the caller's last code.
    pub(super) fn vacate(&self) {
        self.is_free.store(true, Relaxed);
    }

    pub(super) fn is_free(&self) -> bool {
        self.is_free.load(Relaxed)
    }

    /// The thread of the last worker, until another thread takes it to join it.
    pub(super) fn thread(&self) -> MutexGuard<'_, Option<thread::JoinHandle<()>>> {
        self.thread.lock()
    }

    /// Counts the end of a task.
    #[inline]
    pub(super) fn count(&self, end: End) {
        let figure = match end {
            End::Completed => &self.counters.completed,
            End::Panicked => &self.counters.panicked,
            End::Cancelled => &self.counters.cancelled,
        };
        if self.is_external() {
            figure.fetch_add(1, Relaxed);
        } else {
            // Only the slot's worker counts here, and a read-modify-write takes 5 ns.
            figure.store(figure.load(Relaxed) + 1, Relaxed);
        }
    }

    /// Shows the named task as running until the guard is dropped.
    pub(super) fn enter_task(&self, name: &Arc<str>) -> RunningTask<'_> {
        // The clock is read before the lock is taken.
        let task = NamedTask { name: Arc::clone(name), thread: this_thread(), began: Began::now() };
        self.tasks.lock().push(task);
        RunningTask { slot: self }
    }

    /// Adds the named tasks that run here.
    pub(super) fn add_running(&self, running: &mut Vec<Running>) {
        let tasks = self.tasks.lock();
        running.extend(tasks.iter().filter_map(|task| Some(task.began.as_ref()?.running(&task.name))));
    }

    /// The name of the worker, and of the task that it runs.
    pub(super) fn label(&self) -> String {
        match self.tasks.lock().last() {
            Some(NamedTask { name, .. }) => format!("{}: {name}", self.name),
            None => self.name.clone(),
        }
    }

    /// Passes a panic that nobody joins to the pool's hook.
    pub(super) fn report(&self, panic: Panic) {
        let Some(hook) = &self.on_panic else {
            // The payload's drop is the caller's code: if it panics, that must not end the worker.
            discard(panic);
            return;
        };
        // The hook is the caller's code: its panic must not end the worker.
        contain(|| hook(panic));
    }
}

/// See [`WorkerSlot::enter_task`].
#[must_use = "dropping it says that the task has ended"]
pub(super) struct RunningTask<'a> {
    slot: &'a WorkerSlot,
}

struct NamedTask {
    name: Arc<str>,
    /// The thread that runs it.
    thread: usize,
    began: Option<Began>,
}

impl Drop for RunningTask<'_> {
    fn drop(&mut self) {
        let (this, mut tasks) = (this_thread(), self.slot.tasks.lock());
        // The innermost of this thread, since tasks nest.
        let place = tasks.iter().rposition(|task| task.thread == this);
        let task = place.map(|place| tasks.remove(place));
        // Unlocked before the name is freed.
        drop(tasks);
        drop(task);
    }
}

/// How a task has ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Completed,
    Panicked,
    Cancelled,
}

/// Counters of ended tasks. Relaxed: they are figures and publish nothing. A thread that has joined a task or
/// the pool has synchronised with the end, which comes after the count.
#[derive(Debug, Default)]
struct Counters {
    completed: AtomicUsize,
    panicked: AtomicUsize,
    cancelled: AtomicUsize,
}

/// Counters of ended tasks, summed over all worker slots.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) completed: usize,
    pub(super) panicked: usize,
    pub(super) cancelled: usize,
}

impl Totals {
    pub(super) fn of<'a>(slots: impl Iterator<Item = &'a WorkerSlot>) -> Self {
        slots.fold(Totals::default(), |sum, slot| Totals {
            completed: sum.completed + slot.counters.completed.load(Relaxed),
            panicked: sum.panicked + slot.counters.panicked.load(Relaxed),
            cancelled: sum.cancelled + slot.counters.cancelled.load(Relaxed),
        })
    }
}
