//! The pools and batchers that exist, each with its figures.
//!
//! A list of references, since an object is asked for its figures only when a report is made: keeping figures
//! here would cost every submit.

use std::fmt;

use crate::sync::{Arc, Mutex, lazy_static, sized};

/// A pool or batcher, as [`blocked`](super::blocked) found it: its figures and the work that it has.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Object {
    /// The type: `Pool` or `Batcher`.
    pub kind: &'static str,
    /// The name that it was given when it was built.
    pub name: String,
    /// Numbers with their names, such as the number of workers and of queued tasks.
    pub figures: Vec<(&'static str, usize)>,
    /// The names of the tasks that run now.
    pub running: Vec<String>,
    /// True if work is queued, and every thread that could do it is asleep in a call of this crate.
    pub is_stuck: bool,
}

/// A source of an [`Object`] for [`blocked`](super::blocked).
pub(crate) trait Inspect: Send + Sync {
    /// Describes the object. Takes only locks of that object, and runs none of the caller's code under them.
    fn object(&self) -> Object;
}

lazy_static! {
    static ref OBJECTS: Mutex<Objects> = Mutex::default();
}

#[derive(Default)]
struct Objects {
    last: u64,
    all: Vec<(u64, Arc<dyn Inspect>)>,
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
    let mut objects = OBJECTS.lock();
    // Numbered and inserted in one critical section, so that the numbers are in the order of the insertions.
    objects.last += 1;
    let number = objects.last;
    objects.all.push((number, object()));
    Some(Listed(number))
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut objects = OBJECTS.lock();
        let place = objects.all.iter().position(|(number, _)| *number == self.0);
        // Constant time after the search; `all` sorts by number, so the order here does not matter.
        let object = place.map(|place| objects.all.swap_remove(place));
        // Unlocked before the reference is dropped: it may be the last one, and dropping the object may run
        // the caller's code.
        drop(objects);
        drop(object);
    }
}

/// All objects, in the order in which they were made.
pub(super) fn all() -> Vec<Object> {
    // Cloned under the lock and asked after unlocking: no object's lock nests in this one.
    let mut listed = OBJECTS.lock().all.clone();
    listed.sort_by_key(|(number, _)| *number);
    // Each call takes locks of its object only, and this thread holds no other meanwhile.
    listed.iter().map(|(_, object)| object.object()).collect()
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Object { kind, name, figures, running, is_stuck } = self;
        write!(f, "{kind} {name:?}:")?;
        for (place, (figure, value)) in figures.iter().enumerate() {
            write!(f, "{} {figure} {value}", if place == 0 { "" } else { "," })?;
        }
        if *is_stuck {
            write!(f, "; work is queued, and every thread that could do it is blocked")?;
        }
        if !running.is_empty() {
            write!(f, "\n    runs {}", running.join(", "))?;
        }
        Ok(())
    }
}
