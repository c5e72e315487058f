//! Panics of the caller's code: where each one ends, and what becomes of its payload.
//!
//! Anything that the caller passes in may panic when it is called or dropped: closures, iterators, items,
//! results, errors, keys, hooks, and the payload of an earlier panic. Other users must not be affected, so
//! all such code runs through one of these functions:
//!
//! | the panic | function |
//! |---|---|
//! | has an owner: a joiner, a sink, the body of a scope | [`catch`], then [`resume`] there, once the state is consistent |
//! | has none: a hook, a callback at a deadline, an unwanted item | [`contain`], [`discard`] |
//! | may be one of several, and the first has an owner | [`FirstPanic`] |
//! | comes from a drop, and belongs to this crate's caller | [`drop_here`] and [`drop_each`] in destructors, [`drop_before`] |
//!
//! # Payloads without a receiver
//! Such a payload is dropped, because it may own something that must be released; the panic hook has reported
//! the panic. Its drop may panic with a second payload. That one is leaked: payloads whose drops panic could
//! follow each other without end. So an ordinary panic leaks nothing, and a panicking payload at most one
//! box.
//!
//! # During another panic
//! A panic that *leaves* a destructor during unwinding aborts the process; one that is caught inside does
//! not. So this crate's destructors drop the caller's values with [`drop_here`] or [`drop_each`], which
//! contain the panic in that case, and code that is about to resume a panic drops what it holds first. Two
//! cases are out of reach, where the language's rule applies: a value in the caller's own frames, and a value
//! with two fields that panic when dropped.
//!
//! # Unwind safety
//! Every type of this crate can be used after a panic, and so implements `UnwindSafe` and `RefUnwindSafe`.
//! These traits ask whether a panic can leave a broken state behind for a later observer. It cannot: none of
//! the caller's code runs under a lock of this crate, so no panic of the caller's unwinds through one, and
//! the crate's own code leaves the state consistent at every unlock. The traits are not implemented
//! automatically only because locks and cells are assumed to be at risk.

use std::any::Any;
use std::mem::{self, needs_drop};
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Continues a panic with its payload, without calling the panic hook again.
pub(crate) use std::panic::resume_unwind as resume;

/// The message of a panic, if its payload is text.
pub(crate) use crate::sync::failure::text;
use crate::sync::thread;

/// The payload of a panic.
pub(crate) type Payload = Box<dyn Any + Send>;

/// The message of a panic, for another message.
pub(crate) fn said(payload: &(dyn Any + Send)) -> &str {
    text(payload).unwrap_or("a payload that is not text")
}

/// Calls the caller's code; `Err` is the payload of its panic.
///
/// It needs no `UnwindSafe`: see the end of the module's documentation.
#[inline]
pub(crate) fn catch<R>(f: impl FnOnce() -> R) -> Result<R, Payload> {
    // Asserted: what `f` changes is either the caller's own, or consistent at every unlock.
    catch_unwind(AssertUnwindSafe(f))
}

/// Calls the caller's code, whose panic has no receiver. `None` if it panicked, which the panic hook has
/// reported.
#[inline]
pub(crate) fn contain<R>(f: impl FnOnce() -> R) -> Option<R> {
    catch(f).map_err(forget_panic).ok()
}

/// Drops a value of the caller's, or a payload, where a panic has no receiver.
#[inline]
pub(crate) fn discard<T>(value: T) {
    if needs_drop::<T>() {
        contain(|| drop(value));
    }
}

/// Drops each of the caller's values, even after one has panicked, where a panic has no receiver.
pub(crate) fn discard_each<T>(values: impl IntoIterator<Item = T>) {
    values.into_iter().for_each(discard);
}

/// Drops a payload that has no receiver, and leaks the payload of a panic in that drop.
#[cold]
fn forget_panic(payload: Payload) {
    // Leaked, not dropped: its drop may panic again, and so on without end.
    if let Err(second) = catch(|| drop(payload)) {
        mem::forget(second);
    }
}

/// Drops a value of the caller's whose panic belongs to the caller; contains the panic during unwinding.
#[inline]
pub(crate) fn drop_here<T>(value: T) {
    // Only during unwinding: otherwise the panic of the drop belongs to the caller and must not be hidden.
    if needs_drop::<T>() && thread::panicking() {
        discard(value);
    } else {
        drop(value);
    }
}

/// Drops a value of the caller's, and returns `result`. If the drop panics, `result` is dropped before the
/// panic continues: a second panic during unwinding would abort the process.
#[inline]
pub(crate) fn drop_before<T, R>(value: T, result: R) -> R {
    // No drop, no panic: saves the `catch_unwind` for plain data.
    if !needs_drop::<T>() {
        return result;
    }
    match catch(|| drop(value)) {
        Ok(()) => result,
        Err(payload) => {
            // The result is dropped first: if it panicked while the payload below unwinds, the process would
            // abort.
            discard(result);
            resume(payload)
        }
    }
}

/// Like [`drop_here`] for several values: drops all of them, then resumes the first panic.
pub(crate) fn drop_each<T>(values: impl IntoIterator<Item = T>) {
    let mut first = FirstPanic::new();
    for value in values {
        if needs_drop::<T>() {
            // Each value in a call of its own, so that one that panics does not leak the rest.
            first.call(|| drop(value));
        }
    }
    first.resume();
}

/// A value of the caller's in a shared type of this crate, or in a stack frame that the caller's own panic
/// may unwind. It is dropped with [`drop_here`].
#[derive(Debug)]
pub(crate) struct Held<T>(Option<T>);

impl<T> Held<T> {
    pub(crate) const fn new(value: T) -> Self {
        Held(Some(value))
    }

    /// Returns the value.
    pub(crate) fn into_inner(mut self) -> T {
        self.0.take().expect("only its drop empties it")
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
        // Taken out first: the glue after this destructor then drops `None`, which cannot panic.
        drop_here(self.0.take());
    }
}

/// The first of several panics; later ones are discarded.
#[must_use = "a panic that is kept is to be resumed, or discarded on purpose"]
pub(crate) struct FirstPanic(Option<Payload>);

impl FirstPanic {
    pub(crate) const fn new() -> Self {
        FirstPanic(None)
    }

    /// Calls the caller's code.
    #[inline]
    pub(crate) fn call<R>(&mut self, f: impl FnOnce() -> R) -> Option<R> {
        catch(f).map_err(|payload| self.keep(payload)).ok()
    }

    /// Keeps a payload if it is the first, and discards it otherwise.
    #[cold]
    pub(crate) fn keep(&mut self, payload: Payload) {
        match self.0 {
            None => self.0 = Some(payload),
            // The first panic is the cause; a later one is mostly its consequence.
            Some(_) => forget_panic(payload),
        }
    }

    /// Resumes the panic, if there was one; discards it during unwinding.
    #[inline]
    pub(crate) fn resume(self) {
        if let Some(payload) = self.0 {
            resume_here(payload);
        }
    }

    /// Returns the payload, if there was a panic.
    pub(crate) fn into_payload(self) -> Option<Payload> {
        self.0
    }
}

/// Resumes a panic in a destructor of this crate; discards it during unwinding.
#[cold]
pub(crate) fn resume_here(payload: Payload) {
    if thread::panicking() {
        forget_panic(payload);
    } else {
        resume(payload);
    }
}
