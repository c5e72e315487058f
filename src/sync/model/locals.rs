//! Thread-locals of a model's threads.
//!
//! loom's own belong to a thread of loom's, which all threads of a sampled execution share. So what is stored
//! there is a value for each of them; in an exhaustive execution it is the first.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use super::engine;

/// A thread-local that [`thread_local`](crate::sync::thread_local) declares.
pub struct LocalKey<T: 'static> {
    #[doc(hidden)]
    pub slots: &'static loom::thread::LocalKey<Slots<T>>,
    #[doc(hidden)]
    pub init: fn() -> T,
}

/// The values of the threads.
#[doc(hidden)]
pub struct Slots<T>(RefCell<Vec<Slot<T>>>);

enum Slot<T> {
    Empty,
    Full(Rc<T>),
    /// Its thread has dropped it.
    Gone,
}

/// The value has been dropped, because its thread is exiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessError;

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the thread-local has been dropped")
    }
}

impl std::error::Error for AccessError {}

impl<T: 'static> Slots<T> {
    #[allow(clippy::new_without_default, reason = "a function's name is wanted, for a static")]
    pub fn new() -> Self {
        Slots(RefCell::new(Vec::new()))
    }

    fn get(&self, thread: usize) -> Result<Option<Rc<T>>, AccessError> {
        match self.0.borrow().get(thread) {
            Some(Slot::Full(value)) => Ok(Some(Rc::clone(value))),
            Some(Slot::Gone) => Err(AccessError),
            Some(Slot::Empty) | None => Ok(None),
        }
    }

    fn replace(&self, thread: usize, slot: Slot<T>) -> Slot<T> {
        let mut slots = self.0.borrow_mut();
        while slots.len() <= thread {
            slots.push(Slot::Empty);
        }
        std::mem::replace(&mut slots[thread], slot)
    }
}

impl<T> Drop for Slots<T> {
    fn drop(&mut self) {
        // After a failure, as a static: its destructor would use the facade outside of the model.
        if std::thread::panicking() {
            std::mem::forget(self.0.take());
        }
    }
}

impl<T: 'static> LocalKey<T> {
    /// Calls `f` with this thread's value.
    ///
    /// # Panics
    /// If the thread is exiting and has dropped it.
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        self.try_with(f).expect("the thread-local is used while its thread is exiting")
    }

    /// Calls `f` with this thread's value.
    ///
    /// # Errors
    /// If the thread is exiting and has dropped it.
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        let thread = engine::current();
        let number = thread.unwrap_or(0);
        let found = self.slots.try_with(|slots| slots.get(number)).map_err(|_| AccessError)??;
        if let Some(value) = found {
            return Ok(f(&value));
        }
        let value = Rc::new((self.init)());
        self.replace(number, Slot::Full(Rc::clone(&value)))?;
        if thread.is_some() {
            engine::at_end(Box::new(move || drop(self.replace(number, Slot::Gone))));
        }
        let result = f(&value);
        Ok(result)
    }

    fn replace(&'static self, thread: usize, slot: Slot<T>) -> Result<Slot<T>, AccessError> {
        self.slots.try_with(|slots| slots.replace(thread, slot)).map_err(|_| AccessError)
    }
}

impl<T> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Slots<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots").finish_non_exhaustive()
    }
}
