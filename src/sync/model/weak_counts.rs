//! Reference counts whose last strong handle may go away between any two steps of another thread.
//!
//! The value and the memory are std's. Beside them stands a count of the handles that have gone in an atomic
//! of loom's, in an allocation of its own so that a [`Weak`] reaches it without a strong handle. A drop is a
//! step on it, with std's orderings, and so is an upgrade. loom switches threads before each step, and not
//! between it and what is done to std's own count, so the two agree whenever another thread runs.
//!
//! A clone is no step, and need not be: whoever clones a handle has one before and after, so neither an
//! upgrade nor another's drop can tell whether it comes before or after the clone. (`strong_count` could, and
//! is not offered.) The count of weak references is not mirrored, because nothing that is offered shows it.
//! All steps are read-modify-write operations, of which loom explores every order.

use std::borrow::Borrow;
use std::ops::Deref;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::AtomicUsize as StdUsize;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::{fmt, ptr};

use loom::alloc::Track;
use loom::sync::atomic::{AtomicUsize, fence};

/// Shares a value, which a [`Weak`] refers to without keeping it.
pub struct Arc<T: ?Sized> {
    /// Always there, until `let_go` takes it out.
    value: Option<std::sync::Arc<T>>,
    counts: std::sync::Arc<Counts>,
}

/// Refers to a value that an [`Arc`] keeps.
pub struct Weak<T: ?Sized> {
    value: std::sync::Weak<T>,
    counts: std::sync::Arc<Counts>,
}

struct Counts {
    /// Handles that have gone: what loom orders.
    gone: AtomicUsize,
    /// The same, to be read without a step.
    gone_now: StdUsize,
    /// Handles that were ever made. When all of them have gone it stays so.
    made: StdUsize,
    /// Dropped with the last reference, strong or weak; loom reports one that is left at the end of an
    /// execution.
    leak: Option<Track<()>>,
}

impl Counts {
    fn is_alive(&self) -> bool {
        self.gone_now.load(Relaxed) < self.made.load(Relaxed)
    }
}

impl Drop for Counts {
    fn drop(&mut self) {
        in_drop(|| drop(self.leak.take()));
    }
}

/// Does one of loom's operations in a destructor. When a model has failed, what its threads hold is dropped
/// without a model around it, and there loom panics: a second panic, which must not leave the destructor.
fn in_drop(operation: impl FnOnce()) {
    if std::thread::panicking() {
        let _ = panic::catch_unwind(AssertUnwindSafe(operation));
    } else {
        operation();
    }
}

#[expect(missing_docs, reason = "each call is std's of the same name")]
impl<T> Arc<T> {
    #[track_caller]
    pub fn new(value: T) -> Self {
        Arc {
            value: Some(std::sync::Arc::new(value)),
            counts: std::sync::Arc::new(Counts {
                gone: AtomicUsize::new(0),
                gone_now: StdUsize::new(0),
                made: StdUsize::new(1),
                leak: Some(Track::new(())),
            }),
        }
    }

    pub fn into_inner(mut this: Self) -> Option<T> {
        this.let_go().and_then(std::sync::Arc::into_inner)
    }
}

#[expect(missing_docs, reason = "each call is std's of the same name")]
impl<T: ?Sized> Arc<T> {
    /// No step: see the module's doc.
    pub fn downgrade(this: &Self) -> Weak<T> {
        Weak { value: std::sync::Arc::downgrade(this.value()), counts: std::sync::Arc::clone(&this.counts) }
    }

    pub fn ptr_eq(this: &Self, other: &Self) -> bool {
        std::sync::Arc::ptr_eq(this.value(), other.value())
    }

    pub fn as_ptr(this: &Self) -> *const T {
        ptr::from_ref(&**this)
    }

    fn value(&self) -> &std::sync::Arc<T> {
        self.value.as_ref().expect("only a handle that goes lets go")
    }

    /// Counts a handle less, whose share in the value is to be dropped with no step between; `None` if it was
    /// before.
    fn let_go(&mut self) -> Option<std::sync::Arc<T>> {
        let value = self.value.take()?;
        // Release, and acquire for the last one, as in std: who drops the value sees what everybody did with
        // it. A fence is no point at which loom switches.
        in_drop(|| {
            self.counts.gone.fetch_add(1, Release);
            self.counts.gone_now.fetch_add(1, Relaxed);
            if !self.counts.is_alive() {
                fence(Acquire);
            }
        });
        Some(value)
    }
}

impl<T: ?Sized> Weak<T> {
    /// As std's: `None` once the last [`Arc`] has gone.
    pub fn upgrade(&self) -> Option<Arc<T>> {
        loop {
            let gone = self.counts.gone_now.load(Relaxed);
            if !self.counts.is_alive() {
                // It stays so. What finds nothing acquires nothing, as in std.
                self.counts.gone.fetch_add(0, Relaxed);
                return None;
            }
            // If no handle has gone in the moment before this step, there is one still.
            if self.counts.gone.compare_exchange(gone, gone, Acquire, Relaxed).is_ok() {
                break;
            }
        }
        self.counts.made.fetch_add(1, Relaxed);
        let value = self.value.upgrade();
        assert!(value.is_some(), "the door's count of strong handles differs from std's");
        Some(Arc { value, counts: std::sync::Arc::clone(&self.counts) })
    }
}

impl<T: ?Sized> Clone for Arc<T> {
    fn clone(&self) -> Self {
        self.counts.made.fetch_add(1, Relaxed);
        Arc { value: Some(std::sync::Arc::clone(self.value())), counts: std::sync::Arc::clone(&self.counts) }
    }
}

impl<T: ?Sized> Drop for Arc<T> {
    fn drop(&mut self) {
        drop(self.let_go());
    }
}

impl<T: ?Sized> Clone for Weak<T> {
    fn clone(&self) -> Self {
        Weak { value: self.value.clone(), counts: std::sync::Arc::clone(&self.counts) }
    }
}

impl<T: ?Sized> Deref for Arc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value()
    }
}

impl<T: ?Sized> AsRef<T> for Arc<T> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T: ?Sized> Borrow<T> for Arc<T> {
    fn borrow(&self) -> &T {
        self
    }
}

impl<T> From<T> for Arc<T> {
    #[track_caller]
    fn from(value: T) -> Self {
        Arc::new(value)
    }
}

impl<T: Default> Default for Arc<T> {
    #[track_caller]
    fn default() -> Self {
        Arc::new(T::default())
    }
}

impl<T: fmt::Debug + ?Sized> fmt::Debug for Arc<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Display + ?Sized> fmt::Display for Arc<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized> fmt::Debug for Weak<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(Weak)")
    }
}
