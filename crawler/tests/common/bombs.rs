//! Values, payloads and calls of the caller's that panic, each in every way that it can.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::within_a_minute;

pub(crate) type Payload = Box<dyn Any + Send>;

/// A payload whose drop panics, with one more of its kind, unless somebody [receives](received) it.
pub(crate) struct Bomb {
    pub(crate) name: &'static str,
    pub(crate) live: bool,
}

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.live {
            blow("a payload's drop");
        }
    }
}

/// Panics with a [`Bomb`], without a word.
pub(crate) fn blow(name: &'static str) -> ! {
    resume_unwind(Box::new(Bomb { name, live: true }))
}

/// The name of a bomb that arrived. Any other payload passes as text.
pub(crate) fn received(payload: Payload) -> String {
    match payload.downcast::<Bomb>() {
        Ok(mut bomb) => {
            bomb.live = false;
            bomb.name.to_owned()
        }
        Err(other) => super::message(&*other),
    }
}

/// Runs `f`, which must panic, and says with what.
#[track_caller]
pub(crate) fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => panic!("it should have panicked"),
        Err(payload) => received(payload),
    }
}

/// A value whose drop panics with a [`Bomb`], and that counts its drops.
pub(crate) struct Touchy(Arc<AtomicUsize>);

impl Drop for Touchy {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
        blow("a value's drop");
    }
}

/// Makes touchy values, and knows how many were dropped.
#[derive(Clone, Default)]
pub(crate) struct Touchies(Arc<AtomicUsize>);

impl Touchies {
    pub(crate) fn make(&self) -> Touchy {
        Touchy(Arc::clone(&self.0))
    }

    pub(crate) fn dropped(&self) -> usize {
        self.0.load(SeqCst)
    }
}

/// Runs a row of the table under a watchdog. A [`Bomb`] that should have been received fails it with its
/// name; the harness would drop it.
#[track_caller]
pub(crate) fn row<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) {
    let ended = within_a_minute(|| catch_unwind(AssertUnwindSafe(body)).map_err(received));
    if let Err(name) = ended {
        panic!("{name}");
    }
}

/// How often something has happened.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<AtomicUsize>);

impl Calls {
    pub(crate) fn hear(&self) {
        self.0.fetch_add(1, SeqCst);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}
