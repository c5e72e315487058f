//! The pools, groups, pipelines, batchers and limiters that exist, each with its figures.
//!
//! A list of references, since an object is asked for its figures only when a report is made: keeping figures
//! here would cost every submit.

use std::collections::BTreeMap;
use std::panic::Location;
use std::time::{Duration, Instant};

use crate::panics;
use crate::sync::thread::Thread;
use crate::sync::{Arc, Mutex, lazy_static, sized, thread, time};
use crate::wait::context::this_thread;
use crate::wait::sleeps;

/// A pool, group, pipeline, batcher or limiter, as [`blocked`](super::blocked) found it: its figures and the
/// work that it has.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Object {
    /// The type, such as `Pool` or `Batcher`; `Scope` for the tasks of [`group::scope`](crate::group::scope).
    pub kind: &'static str,
    /// The name that it was given when it was built; empty if it has none.
    pub name: String,
    /// The address under which [`Sleep::object`](super::Sleep::object) knows it.
    pub address: usize,
    /// The place in the source where it was made, if it has no name to be known by.
    pub location: Option<&'static Location<'static>>,
    /// Numbers with their names, such as the number of workers and of queued tasks.
    pub figures: Vec<(&'static str, usize)>,
    /// The tasks with a name that run now, whether or not they sleep, and a batcher's batches.
    pub running: Vec<Running>,
    /// True if work is queued, and every thread that could do it is asleep in a call of this crate.
    pub is_stuck: bool,
    /// The key under which a thread that works for it is [inside](crate::wait::context::Inside) it.
    pub(crate) key: usize,
}

impl Object {
    pub(crate) fn new(kind: &'static str, key: usize) -> Self {
        Object {
            kind,
            name: String::new(),
            address: key,
            location: None,
            figures: Vec::new(),
            running: Vec::new(),
            is_stuck: false,
            key,
        }
    }

    /// What a person knows it by.
    pub(super) fn label(&self) -> String {
        match self.location {
            Some(location) if self.name.is_empty() => format!("{} at {location}", self.kind),
            _ => format!("{} {:?}", self.kind, self.name),
        }
    }
}

/// A task that runs now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Running {
    /// The name of the task; empty for a batch.
    pub task: String,
    /// The name of the thread that runs it, or its id.
    pub thread: String,
    /// The time since it began. `None` if it is not known: only for a task with a name is the clock read.
    pub elapsed: Option<Duration>,
    /// When it began, and on which thread.
    pub(crate) began: Option<Began>,
}

/// When a task with a name began, and on which thread.
#[derive(Clone, Debug)]
pub(crate) struct Began {
    pub(crate) since: Instant,
    pub(crate) thread: Thread,
    /// The thread's number in the wait-for graph.
    pub(crate) thread_number: usize,
}

impl Began {
    /// A task with a name begins on this thread. `None` in models, where nothing reads it.
    pub(crate) fn now() -> Option<Self> {
        let began = || Began { since: time::now(), thread: thread::current(), thread_number: this_thread() };
        sleeps::is_kept().then(began)
    }

    pub(crate) fn running(&self, task: &str) -> Running {
        Running {
            task: task.to_owned(),
            thread: super::name_of(&self.thread),
            elapsed: Some(time::now().saturating_duration_since(self.since)),
            began: Some(self.clone()),
        }
    }
}

/// A source of an [`Object`] for [`blocked`](super::blocked).
pub(crate) trait Inspect: Send + Sync {
    /// Describes the object; `None` if it is gone. Takes only locks of that object, and runs none of the
    /// caller's code under them.
    fn object(&self) -> Option<Object>;
}

lazy_static! {
    static ref OBJECTS: Mutex<Objects> = Mutex::default();
}

#[derive(Default)]
struct Objects {
    last: u64,
    /// By number, and so in the order in which they were made.
    all: BTreeMap<u64, Arc<dyn Inspect>>,
}

/// An entry in the list of objects, until it is dropped.
#[derive(Debug)]
#[must_use = "dropping it removes the object from the list"]
pub(crate) struct Listed(u64);

/// Adds an object to the list. `None` in models, where nothing reads the list.
pub(crate) fn list(object: impl FnOnce() -> Arc<dyn Inspect>) -> Option<Listed> {
    if sized(1, 0) == 0 {
        return None;
    }
    // Made before the lock is taken, which is then held for a moment only.
    let object = object();
    let mut objects = OBJECTS.lock();
    // Numbered and inserted in one critical section, so that the numbers are in the order of the insertions.
    objects.last += 1;
    let number = objects.last;
    objects.all.insert(number, object);
    Some(Listed(number))
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut objects = OBJECTS.lock();
        let object = objects.all.remove(&self.0);
        // Unlocked before the reference is dropped: it may be the last one, and dropping the object may run
        // the caller's code.
        drop(objects);
        drop(object);
    }
}

/// All objects, in the order in which they were made.
pub(super) fn all() -> Vec<Object> {
    // Cloned under the lock and asked after unlocking: no object's lock nests in this one.
    let listed: Vec<Arc<dyn Inspect>> = OBJECTS.lock().all.values().cloned().collect();
    // Each call takes locks of its object only, and this thread holds no other meanwhile.
    let objects = listed.iter().filter_map(|object| object.object()).collect();
    // Contained: if an object was dropped meanwhile, this is the last reference to what it holds of the
    // caller's.
    panics::discard_each(listed);
    objects
}
