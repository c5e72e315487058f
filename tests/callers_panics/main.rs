//! The caller's code panics: every public type, when its code is called, when what it handed over is dropped, and when
//! the payload of such a panic panics in its own drop.
//!
//! In each row nobody hangs, nobody else goes without, the counts are right, everything is dropped once, and the payload
//! reaches whom the docs name, once, or nobody where they say so.

#[path = "../common/mod.rs"]
mod common;

mod batches;
mod groups;
mod keys;
mod pipelines;
mod pools;
mod queues;
mod tokens;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use common::{HOUR, eventually, until_figure, within_a_minute};

type Payload = Box<dyn Any + Send>;

/// A payload whose drop panics, with one more of its kind, unless somebody [receives](received) it.
struct Bomb {
    name: &'static str,
    live: bool,
}

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.live {
            blow("a payload's drop");
        }
    }
}

/// Panics with a [`Bomb`], without a word.
fn blow(name: &'static str) -> ! {
    resume_unwind(Box::new(Bomb { name, live: true }))
}

/// The name of a bomb that arrived. Any other payload passes as text.
fn received(payload: Payload) -> String {
    match payload.downcast::<Bomb>() {
        Ok(mut bomb) => {
            bomb.live = false;
            bomb.name.to_owned()
        }
        Err(other) => common::message(&*other),
    }
}

/// Runs `f`, which must panic, and says with what.
#[track_caller]
fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => panic!("it should have panicked"),
        Err(payload) => received(payload),
    }
}

/// A value whose drop panics with a [`Bomb`], and that counts its drops.
struct Touchy(Arc<AtomicUsize>);

impl Drop for Touchy {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
        blow("a value's drop");
    }
}

/// Makes touchy values, and knows how many were dropped.
#[derive(Clone, Default)]
struct Touchies(Arc<AtomicUsize>);

impl Touchies {
    fn make(&self) -> Touchy {
        Touchy(Arc::clone(&self.0))
    }

    fn dropped(&self) -> usize {
        self.0.load(SeqCst)
    }
}

/// Runs a row of the table under a watchdog. A [`Bomb`] that should have been received fails it with its name; the
/// harness would drop it.
#[track_caller]
fn row<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) {
    let ended = within_a_minute(|| catch_unwind(AssertUnwindSafe(body)).map_err(received));
    if let Err(name) = ended {
        panic!("{name}");
    }
}

/// How often something has happened.
#[derive(Clone, Default)]
struct Calls(Arc<AtomicUsize>);

impl Calls {
    fn hear(&self) {
        self.0.fetch_add(1, SeqCst);
    }

    fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}

#[test]
fn bomb_goes_off_unless_it_is_received() {
    assert_eq!(panic_of(|| blow("tick")), "tick");
    let bomb: Payload = Box::new(Bomb { name: "tick", live: true });
    assert_eq!(panic_of(|| drop(bomb)), "a payload's drop");
    let touchies = Touchies::default();
    assert_eq!(panic_of(|| drop(touchies.make())), "a value's drop");
    assert_eq!(touchies.dropped(), 1);
}
