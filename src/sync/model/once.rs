//! What is made once: cells and statics, whose every look is a point at which loom may switch threads.
//!
//! The value is in a cell of std's, which loom does not see. Beside it stands a flag of loom's, set after the
//! value; a look at the cell looks at the flag first, and finds nothing as long as it does not see it.

use std::fmt;
use std::sync::atomic::{AtomicBool as StdBool, Ordering};

use super::atomics::AtomicBool;

/// A cell that is written once.
pub struct OnceLock<T> {
    value: std::sync::OnceLock<T>,
    /// Stored with release, loaded with acquire, as std's state is.
    ready: AtomicBool,
    /// Held by the one that makes the value; the others wait for it.
    making: loom::sync::Mutex<()>,
}

#[expect(missing_docs, reason = "each call is std's of the same name")]
impl<T> OnceLock<T> {
    #[track_caller]
    pub fn new() -> Self {
        OnceLock {
            value: std::sync::OnceLock::new(),
            ready: AtomicBool::new(false),
            making: loom::sync::Mutex::new(()),
        }
    }

    #[track_caller]
    pub fn get(&self) -> Option<&T> {
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
        let _making = self.making();
        self.value.set(value)?;
        self.ready.store(true, Ordering::Release);
        Ok(())
    }

    /// A cell that is being made is waited for; one whose maker panicked is made by the next.
    #[track_caller]
    pub fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let _making = self.making();
        let value = self.value.get_or_init(make);
        self.ready.store(true, Ordering::Release);
        value
    }

    pub fn take(&mut self) -> Option<T> {
        std::mem::take(self).into_inner()
    }

    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    #[track_caller]
    fn making(&self) -> loom::sync::MutexGuard<'_, ()> {
        self.making.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
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

/// What [`lazy_static`](crate::sync::lazy_static) keeps in an execution.
#[doc(hidden)]
#[derive(Debug)]
pub struct Lazy<T> {
    cell: OnceLock<T>,
    /// The maker panicked; nobody makes it again. Written by the one that makes, read by the next.
    is_poisoned: StdBool,
}

impl<T> Lazy<T> {
    #[allow(clippy::new_without_default, reason = "a function's name is wanted, for a static")]
    #[track_caller]
    pub fn new() -> Self {
        Lazy { cell: OnceLock::new(), is_poisoned: StdBool::new(false) }
    }

    #[track_caller]
    pub fn force(&self, make: impl FnOnce() -> T) -> &T {
        self.cell.get_or_init(|| {
            assert!(
                !self.is_poisoned.swap(true, Ordering::Relaxed),
                "the static's maker has panicked before"
            );
            let value = make();
            self.is_poisoned.store(false, Ordering::Relaxed);
            value
        })
    }
}
