//! A worker slot: a name, counters, and the task that runs there.

use crossbeam_utils::CachePadded;

use crate::error::Panic;
use crate::panics::{contain, discard};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use crate::sync::{Arc, Mutex, MutexGuard, thread};

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
    /// The name of the task that runs here, if it has one.
    task: Mutex<Option<Arc<str>>>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

impl WorkerSlot {
    pub(super) fn new(name: String, on_panic: Option<PanicHook>) -> Self {
        WorkerSlot {
            name,
            counters: CachePadded::new(Counters::default()),
            on_panic,
            is_free: AtomicBool::new(true),
            task: Mutex::new(None),
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

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Shows the named task as running until the guard is dropped. `None` for the external slot, where many
    /// threads run tasks and reports show none.
    pub(super) fn enter_task(&self, name: &Arc<str>) -> Option<RunningTask<'_>> {
        let before =
            // Many threads share the external slot, so a name there would be ambiguous.
            if self.is_external() { return None } else { self.task.lock().replace(Arc::clone(name)) };
        Some(RunningTask { slot: self, before })
    }

    /// True if a named task runs here.
    pub(super) fn runs_named_task(&self) -> bool {
        self.task.lock().is_some()
    }

    /// The name of the worker, and of the task that it runs.
    pub(super) fn label(&self) -> String {
        match &*self.task.lock() {
            Some(task) => format!("{}: {task}", self.name),
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
    before: Option<Arc<str>>,
}

impl Drop for RunningTask<'_> {
    fn drop(&mut self) {
        // The outer task's name comes back: tasks nest.
        *self.slot.task.lock() = self.before.take();
    }
}

/// Counters of ended tasks. Relaxed: they are figures and publish nothing. A thread that has joined a task or
/// the pool has synchronised with the end, which comes after the count.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) completed: AtomicUsize,
    pub(super) panicked: AtomicUsize,
    pub(super) cancelled: AtomicUsize,
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
            completed: sum.completed + slot.counters().completed.load(Relaxed),
            panicked: sum.panicked + slot.counters().panicked.load(Relaxed),
            cancelled: sum.cancelled + slot.counters().cancelled.load(Relaxed),
        })
    }
}

/// Adds one.
pub(super) fn count(figure: &AtomicUsize) {
    // A read-modify-write, since the external slot is shared by threads.
    figure.fetch_add(1, Relaxed);
}
