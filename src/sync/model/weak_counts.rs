//! Reference counts whose last strong handle may be dropped between any two steps of another thread.
//!
//! The value and the memory are std's. Next to them is a count of the dropped handles in an atomic of loom's,
//! in an allocation of its own so that a [`Weak`] reaches it without a strong handle. Each drop and each
//! upgrade is an operation on it, with std's orderings. loom switches threads before each operation, and not
//! between the operation and the change of std's own count, so the two counts agree whenever another thread
//! runs.
//!
//! A clone is no operation and need not be: the cloning thread has a handle before and after, so neither an
//! upgrade nor another drop can tell whether it happens before or after the clone. (`strong_count` could, and
//! is not provided.) The weak count is not mirrored, because nothing shows it. All operations are
//! read-modify-write operations, of which loom explores every order.

use std::borrow::Borrow;
use std::ops::Deref;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::AtomicUsize as StdUsize;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::{fmt, ptr};

use super::engine;
use loom::alloc::Track;
use loom::sync::atomic::{AtomicUsize, fence};

/// Shares ownership of a value, which a [`Weak`] refers to without owning it.
pub struct Arc<T: ?Sized> {
    /// `None` only after `release`.
    value: Option<std::sync::Arc<T>>,
    counts: std::sync::Arc<Counts>,
}

/// Refers to a value that [`Arc`]s own.
pub struct Weak<T: ?Sized> {
    value: std::sync::Weak<T>,
    counts: std::sync::Arc<Counts>,
}

struct Counts {
    /// The number of dropped handles, which loom orders.
    dropped: AtomicUsize,
    /// The same, readable without a switch point.
    dropped_now: StdUsize,
    /// The number of handles ever made. It does not change once all of them are dropped.
    made: StdUsize,
    /// Dropped with the last reference, strong or weak; loom reports one that remains at the end of an
    /// execution.
    leak: Option<Track<()>>,
}

impl Counts {
    fn is_alive(&self) -> bool {
        self.dropped_now.load(Relaxed) < self.made.load(Relaxed)
    }
}

impl Drop for Counts {
    fn drop(&mut self) {
        in_drop(|| drop(self.leak.take()));
    }
}

/// Performs an operation of loom's in a destructor. After a model has failed, what its threads hold is
/// dropped outside of the model, where loom panics: a second panic, which must not leave the destructor.
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
                dropped: AtomicUsize::new(0),
                dropped_now: StdUsize::new(0),
                made: StdUsize::new(1),
                leak: Some(Track::new(())),
            }),
        }
    }

    pub fn into_inner(mut this: Self) -> Option<T> {
        this.release().and_then(std::sync::Arc::into_inner)
    }
}

#[expect(missing_docs, reason = "each call is std's of the same name")]
impl<T: ?Sized> Arc<T> {
    /// No switch point: see the module's documentation.
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
        self.value.as_ref().expect("only a dropped handle is released")
    }

    /// Counts a handle out and returns its share of the value, to be dropped without a switch point in
    /// between; `None` if it was counted out before.
    fn release(&mut self) -> Option<std::sync::Arc<T>> {
        let value = self.value.take()?;
        // Release, and acquire for the last handle, as in std: the thread that drops the value sees what all
        // others did with it. A fence is no switch point.
        in_drop(|| {
            engine::switch();
            self.counts.dropped.fetch_add(1, Release);
            self.counts.dropped_now.fetch_add(1, Relaxed);
            if !self.counts.is_alive() {
                fence(Acquire);
            }
        });
        Some(value)
    }
}

impl<T: ?Sized> Weak<T> {
    /// Like std's: `None` once the last [`Arc`] was dropped.
    pub fn upgrade(&self) -> Option<Arc<T>> {
        engine::switch();
        loop {
            let dropped = self.counts.dropped_now.load(Relaxed);
            if !self.counts.is_alive() {
                // This is final. As in std, a failure acquires nothing.
                self.counts.dropped.fetch_add(0, Relaxed);
                return None;
            }
            // If no handle was dropped since the load, there is still one.
            if self.counts.dropped.compare_exchange(dropped, dropped, Acquire, Relaxed).is_ok() {
                break;
            }
        }
        self.counts.made.fetch_add(1, Relaxed);
        let value = self.value.upgrade();
        assert!(value.is_some(), "the facade's count of strong handles differs from std's");
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
        drop(self.release());
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
