//! Panics of callbacks, fetchers and planned answers: when they are called, and when they are dropped.
//!
//! A payload that nobody receives is dropped, and its own drop may panic with a second one. That one is
//! forgotten: payloads whose drops panic could follow each other without end. And a panic that leaves a
//! destructor while its thread unwinds ends the process, so [`Held`] contains it in that case.

use std::any::Any;
use std::mem;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};

use selvedge::sync::thread;

/// Goes on panicking with a payload, without another message of the panic hook.
pub(crate) use std::panic::resume_unwind as resume;

/// What a panic carries.
pub(crate) type Payload = Box<dyn Any + Send>;

/// Runs code of the caller's; `Err` is what it panicked with. No lock is held around it and nothing is left
/// half done by it, which is why no `UnwindSafe` is asked for.
pub(crate) fn catch<R>(f: impl FnOnce() -> R) -> Result<R, Payload> {
    catch_unwind(AssertUnwindSafe(f))
}

/// Drops something of the caller's where a panic has nobody to go to.
pub(crate) fn discard<T>(value: T) {
    if let Err(payload) = catch(|| drop(value)) {
        forget(payload);
    }
}

/// Drops a payload that nobody receives; forgets the one that its drop panics with.
fn forget(payload: Payload) {
    if let Err(second) = catch(|| drop(payload)) {
        mem::forget(second);
    }
}

/// What a panic said, if its payload is text.
pub(crate) fn text(payload: &(dyn Any + Send)) -> Option<&str> {
    payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref::<&str>().copied())
}

/// Drops each, whatever the others do, and resumes the first panic at the end.
pub(crate) fn drop_each<T>(values: impl IntoIterator<Item = T>) {
    let mut first = FirstPanic::default();
    for value in values {
        first.call(|| drop(value));
    }
    first.resume();
}

/// Something of the caller's in a type of ours that others share. Its panic when it is dropped is for whoever
/// drops it, and is contained if another unwinds already.
#[derive(Debug)]
pub(crate) struct Held<T>(Option<T>);

impl<T> Held<T> {
    pub(crate) const fn new(value: T) -> Self {
        Held(Some(value))
    }
}

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("only its drop empties it")
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        let value = self.0.take();
        if thread::panicking() { discard(value) } else { drop(value) }
    }
}

/// The first of several panics; the others are dropped as they come.
#[derive(Default)]
#[must_use = "a panic that is kept is to be resumed, or dropped on purpose"]
pub(crate) struct FirstPanic(Option<Payload>);

impl FirstPanic {
    /// Runs code of the caller's.
    pub(crate) fn call(&mut self, f: impl FnOnce()) {
        match (catch(f), &self.0) {
            (Ok(()), _) => {}
            (Err(payload), None) => self.0 = Some(payload),
            (Err(payload), Some(_)) => forget(payload),
        }
    }

    /// Resumes the panic if there was one; drops it if another unwinds already.
    pub(crate) fn resume(self) {
        match self.0 {
            Some(payload) if thread::panicking() => forget(payload),
            Some(payload) => resume(payload),
            None => {}
        }
    }
}
