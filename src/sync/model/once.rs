//! Cells and statics that are initialised once, and whose accesses are switch points.
//!
//! The value is in a cell of std's, which loom does not see. Next to it is a flag of loom's, set after the
//! value. An access loads the flag first, and finds the cell empty until it sees the flag.

use std::fmt;
use std::sync::atomic::{AtomicBool as StdBool, Ordering};

use super::atomics::AtomicBool;
use super::quiet::Quiet;

/// A cell that is written at most once.
pub struct OnceLock<T> {
    value: std::sync::OnceLock<T>,
    /// Stored with release and loaded with acquire, like std's state, so that the value is visible.
    ready: AtomicBool,
    /// Held during initialisation; other initialisers wait for it.
    initialising: Quiet<()>,
}

#[expect(missing_docs, reason = "each call is std's of the same name")]
impl<T> OnceLock<T> {
    #[track_caller]
    pub fn new() -> Self {
        OnceLock {
            value: std::sync::OnceLock::new(),
            ready: AtomicBool::new(false),
            initialising: Quiet::new(()),
        }
    }

    #[track_caller]
    pub fn get(&self) -> Option<&T> {
        // Acquire, paired with the release stores of `set` and `get_or_init`: the value is visible with the
        // flag.
        if self.ready.load(Ordering::Acquire) { self.value.get() } else { None }
    }

    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut()
    }

    #[track_caller]
    pub fn set(&self, value: T) -> Result<(), T> {
        if self.get().is_some() {
            return Err(value);
        }
        let _making = self.initialising.lock();
        self.value.set(value)?;
        self.ready.store(true, Ordering::Release);
        Ok(())
    }

    /// Waits for an initialisation in progress. If that panics, the next caller initialises the cell.
    #[track_caller]
    pub fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let _making = self.initialising.lock();
        // Under the mutex, so that a second initialiser waits where loom can see it, and not in std's
        // cell.
        let value = self.value.get_or_init(init);
        self.ready.store(true, Ordering::Release);
        value
    }

    pub fn take(&mut self) -> Option<T> {
        std::mem::take(self).into_inner()
    }

    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }
}

impl<T> Default for OnceLock<T> {
    #[track_caller]
    fn default() -> Self {
        OnceLock::new()
    }
}

impl<T> From<T> for OnceLock<T> {
    fn from(value: T) -> Self {
        let cell = OnceLock::new();
        let _ = cell.set(value);
        cell
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// The value of a [`lazy_static`](crate::sync::lazy_static) in an execution.
#[doc(hidden)]
#[derive(Debug)]
pub struct Lazy<T> {
    /// `None` only while it is dropped.
    cell: Option<OnceLock<T>>,
    /// The initialiser panicked, and the static cannot be initialised any more. Accessed under the cell's
    /// lock only.
    is_poisoned: StdBool,
}

impl<T> Lazy<T> {
    #[allow(clippy::new_without_default, reason = "a function's name is wanted, for a static")]
    #[track_caller]
    pub fn new() -> Self {
        Lazy { cell: Some(OnceLock::new()), is_poisoned: StdBool::new(false) }
    }

    #[track_caller]
    pub fn force(&self, init: impl FnOnce() -> T) -> &T {
        let cell = self.cell.as_ref().expect("only a dropped static has none");
        cell.get_or_init(|| {
            assert!(
                !self.is_poisoned.swap(true, Ordering::Relaxed),
                "the initialiser of this static has panicked before"
            );
            let value = init();
            self.is_poisoned.store(false, Ordering::Relaxed);
            value
        })
    }
}

impl<T> Drop for Lazy<T> {
    fn drop(&mut self) {
        let cell = self.cell.take();
        // The model has failed. Its statics are dropped outside of it, where their destructors would panic
        // once more when they use the facade, and abort the process.
        if std::thread::panicking() {
            std::mem::forget(cell);
        }
    }
}
