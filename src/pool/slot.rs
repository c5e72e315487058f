//! A worker's slot: its name, what it has counted, and what runs there now.

use crossbeam_utils::CachePadded;

use crate::error::Panic;
use crate::panics::{contain, discard};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use crate::sync::{Arc, Mutex, MutexGuard, thread};

/// What is called with a panic that nobody joins.
pub(super) type PanicHook = Arc<dyn Fn(Panic) + Send + Sync>;

/// A place for a worker, with a name and what was counted there. It outlives its worker, and the next one
/// that is started takes it over.
pub(super) struct WorkerSlot {
    name: String,
    counters: CachePadded<Counters>,
    on_panic: Option<PanicHook>,
    /// Its worker has done all that is the caller's. Relaxed: whoever sees it joins the thread afterwards.
    is_free: AtomicBool,
    /// What the task that runs there is called, if it has a name.
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

    /// True if no worker ever has this slot: it counts for all other threads together.
    pub(super) fn is_external(&self) -> bool {
        self.name.is_empty()
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Takes the slot for a worker that is about to be started.
    pub(super) fn occupy(&self) {
        self.is_free.store(false, Relaxed);
    }

    /// The worker has done all that is the caller's.
    pub(super) fn vacate(&self) {
        self.is_free.store(true, Relaxed);
    }

    pub(super) fn is_free(&self) -> bool {
        self.is_free.load(Relaxed)
    }

    /// The last worker's thread, until somebody has taken it to join it.
    pub(super) fn thread(&self) -> MutexGuard<'_, Option<thread::JoinHandle<()>>> {
        self.thread.lock()
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// A task of that name runs here until the guard is dropped. `None` where many threads run tasks, and no
    /// report says which.
    pub(super) fn runs(&self, name: &Arc<str>) -> Option<Named<'_>> {
        let before =
            if self.is_external() { return None } else { self.task.lock().replace(Arc::clone(name)) };
        Some(Named { slot: self, before })
    }

    /// True if the task that runs here has a name.
    pub(super) fn runs_named(&self) -> bool {
        self.task.lock().is_some()
    }

    /// The name of the thread, and of the task that it runs.
    pub(super) fn label(&self) -> String {
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
    slot: &'a WorkerSlot,
    before: Option<Arc<str>>,
}

impl Drop for Named<'_> {
    fn drop(&mut self) {
        *self.slot.task.lock() = self.before.take();
    }
}

/// Counts of ended tasks. Relaxed throughout: they are figures, and publish nothing. Who has joined a task or
/// the pool has synchronised with its end, which comes after the count of it.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) completed: AtomicUsize,
    pub(super) panicked: AtomicUsize,
    pub(super) cancelled: AtomicUsize,
}

/// Counts of ended tasks, of all worker slots together.
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
    figure.fetch_add(1, Relaxed);
}
