//! The pools and batchers there are, each with its figures.

use std::fmt;

use crate::sync::{Arc, Mutex, lazy_static, sized};

/// Something that works with threads of its own, and what it is at.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Object {
    /// The type: `Pool` or `Batcher`.
    pub kind: &'static str,
    /// The name that it was given when it was built.
    pub name: String,
    /// Numbers with their names, such as how many workers it has and how many tasks are queued.
    pub figures: Vec<(&'static str, usize)>,
    /// What runs there now, by name.
    pub running: Vec<String>,
    /// Work is queued, and every thread that could do it is asleep in a call of this crate.
    pub is_stuck: bool,
}

/// What [`blocked`](super::blocked) asks for an [`Object`].
pub(crate) trait Inspect: Send + Sync {
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

/// An entry in the list of objects, which goes when this is dropped.
#[derive(Debug)]
#[must_use = "dropping it takes the object out of the list"]
pub(crate) struct Listed(u64);

/// Adds an object to the list. Not in models, where nothing reads it.
pub(crate) fn list(object: impl FnOnce() -> Arc<dyn Inspect>) -> Option<Listed> {
    if sized(1, 0) == 0 {
        return None;
    }
    let mut objects = OBJECTS.lock();
    objects.last += 1;
    let number = objects.last;
    objects.all.push((number, object()));
    Some(Listed(number))
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut objects = OBJECTS.lock();
        let place = objects.all.iter().position(|(number, _)| *number == self.0);
        let object = place.map(|place| objects.all.swap_remove(place));
        // Under no lock: it may be the last reference.
        drop(objects);
        drop(object);
    }
}

/// All of them, in the order in which they were made.
pub(super) fn all() -> Vec<Object> {
    let mut listed = OBJECTS.lock().all.clone();
    listed.sort_by_key(|(number, _)| *number);
    // Each takes its object's own lock for a moment, and no other meanwhile.
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
