//! Panics of the caller's code: where each ends, and what becomes of its payload.
//!
//! Whatever the caller hands over may panic when it is called, and also when it is dropped: closures,
//! iterators, items, results, errors, keys, hooks, and the payload of an earlier panic. Nobody else may
//! suffer from it, so all such code is run by one of these:
//!
//! | the panic | use |
//! |---|---|
//! | has an owner: a joiner, a sink, the body of a scope | [`catch`], then [`resume`] there, once the state is right |
//! | has none: a hook, a callback at a deadline, an item that nobody wanted | [`contain`], [`discard`] |
//! | may be one of several, and the first has an owner | [`FirstPanic`] |
//! | comes out of a drop, and is for whoever called us | [`drop_here`] and [`drop_each`] in destructors, [`drop_before`] |
//!
//! # A payload that nobody receives
//! is dropped, because it may hold what its maker wants back; the panic hook has reported the panic. Its own
//! drop may panic with a second payload. That one is forgotten: payloads whose drops panic could follow each
//! other without end. So of an ordinary panic nothing leaks, and of a panicking payload one box at most.
//!
//! # While another panic unwinds
//! A panic that *leaves* a destructor while its thread unwinds ends the process; one that is caught within
//! does not. So a destructor of ours drops what is the caller's by [`drop_here`] or [`drop_each`], which
//! contain the panic in that case, and code of ours that is about to resume a panic drops what it has left
//! first. What they cannot reach is a value in the caller's own frames, and one whose fields panic in their
//! drops twice: there the language's rule holds.
//!
//! # Afterwards
//! Every type of this crate may be used after a panic passed by, and so implements `UnwindSafe` and
//! `RefUnwindSafe`. These ask whether a panic can leave a broken state behind that somebody sees afterwards. It
//! cannot: none of the caller's code runs under a lock of ours, so no panic of the caller's unwinds through one,
//! and our own code leaves the state consistent at every unlock. The traits are not derived by themselves only
//! because locks and cells are assumed to be at risk.

use std::any::Any;
use std::mem::{self, needs_drop};
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Goes on panicking with a payload, without another message of the panic hook.
pub(crate) use std::panic::resume_unwind as resume;

/// What a panic said, if its payload is text.
pub(crate) use crate::sync::failure::text;
use crate::sync::thread;

/// What a panic carries.
pub(crate) type Payload = Box<dyn Any + Send>;

/// What a panic said, for a message.
pub(crate) fn said(payload: &(dyn Any + Send)) -> &str {
    text(payload).unwrap_or("a payload that is not text")
}

/// Runs code of the caller's; `Err` is what it panicked with.
///
/// No `UnwindSafe` is asked for: see the end of the module's docs.
#[inline]
pub(crate) fn catch<R>(f: impl FnOnce() -> R) -> Result<R, Payload> {
    catch_unwind(AssertUnwindSafe(f))
}

/// Runs code of the caller's that has nobody to panic to. `None` if it panicked, which the panic hook has
/// reported.
#[inline]
pub(crate) fn contain<R>(f: impl FnOnce() -> R) -> Option<R> {
    catch(f).map_err(forget_panic).ok()
}

/// Drops something of the caller's where a panic has nobody to go to; also a payload that nobody receives.
#[inline]
pub(crate) fn discard<T>(value: T) {
    if needs_drop::<T>() {
        contain(|| drop(value));
    }
}

/// Drops things of the caller's where a panic has nobody to go to: each of them, also after one that
/// panicked.
pub(crate) fn discard_each<T>(values: impl IntoIterator<Item = T>) {
    values.into_iter().for_each(discard);
}

/// Drops a payload that nobody receives; forgets the one that its drop panics with.
#[cold]
fn forget_panic(payload: Payload) {
    if let Err(second) = catch(|| drop(payload)) {
        mem::forget(second);
    }
}

/// Drops something of the caller's whose panic is for whoever called; contains it if another unwinds already.
#[inline]
pub(crate) fn drop_here<T>(value: T) {
    if needs_drop::<T>() && thread::panicking() {
        discard(value);
    } else {
        drop(value);
    }
}

/// Drops something of the caller's, and returns `result`. If the drop panics, `result` is dropped before that
/// goes on: while it unwinds, a second panic would end the process.
#[inline]
pub(crate) fn drop_before<T, R>(value: T, result: R) -> R {
    if !needs_drop::<T>() {
        return result;
    }
    match catch(|| drop(value)) {
        Ok(()) => result,
        Err(payload) => {
            discard(result);
            resume(payload)
        }
    }
}

/// [`drop_here`] for several: drops each, whatever the others do, and resumes the first panic at the end.
pub(crate) fn drop_each<T>(values: impl IntoIterator<Item = T>) {
    let mut first = FirstPanic::new();
    for value in values {
        if needs_drop::<T>() {
            first.call(|| drop(value));
        }
    }
    first.resume();
}

/// Something of the caller's in a type of ours that others share, or in a frame of ours that the caller's own
/// panic may unwind; dropped with it by [`drop_here`].
#[derive(Debug)]
pub(crate) struct Held<T>(Option<T>);

impl<T> Held<T> {
    pub(crate) const fn new(value: T) -> Self {
        Held(Some(value))
    }
}

impl<T> Deref for Held<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.0.as_ref().expect("only its drop empties it")
    }
}

impl<T> DerefMut for Held<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("only its drop empties it")
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        drop_here(self.0.take());
    }
}

/// The first of several panics; the others are discarded as they come.
#[must_use = "a panic that is kept is to be resumed, or discarded on purpose"]
pub(crate) struct FirstPanic(Option<Payload>);

impl FirstPanic {
    pub(crate) const fn new() -> Self {
        FirstPanic(None)
    }

    /// Runs code of the caller's.
    #[inline]
    pub(crate) fn call<R>(&mut self, f: impl FnOnce() -> R) -> Option<R> {
        catch(f).map_err(|payload| self.keep(payload)).ok()
    }

    /// Keeps a payload, if it is the first.
    #[cold]
    pub(crate) fn keep(&mut self, payload: Payload) {
        match self.0 {
            None => self.0 = Some(payload),
            Some(_) => forget_panic(payload),
        }
    }

    /// Resumes the panic if there was one; discards it if another unwinds already.
    #[inline]
    pub(crate) fn resume(self) {
        if let Some(payload) = self.0 {
            resume_here(payload);
        }
    }

    /// The payload, if there was a panic.
    pub(crate) fn into_payload(self) -> Option<Payload> {
        self.0
    }
}

/// Resumes a panic in a destructor of ours; discards it if another unwinds already.
#[cold]
pub(crate) fn resume_here(payload: Payload) {
    if thread::panicking() {
        forget_panic(payload);
    } else {
        resume(payload);
    }
}
