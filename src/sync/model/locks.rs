//! loom's locks in parking_lot's clothes: no poisoning, guards that a condvar can borrow.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex as StdMutex, PoisonError};

use loom::thread::ThreadId;

use super::check;
use crate::sync::failure::Policy;

/// A mutual exclusion lock.
pub struct Mutex<T: ?Sized>(loom::sync::Mutex<T>);

/// Access to what a [`Mutex`] guards; unlocks when dropped.
#[must_use = "a guard that is dropped at once unlocks at once"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    /// `None` only inside `unlocked`.
    inner: Option<loom::sync::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    /// Guards a value.
    #[track_caller]
    pub fn new(value: T) -> Self {
        Mutex(loom::sync::Mutex::new(value))
    }

    /// Unwraps the value.
    pub fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the lock.
    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        MutexGuard { mutex: self, inner: Some(inner) }
    }

    /// Takes the lock if it is free. May fail without cause: loom itself never lets it fail by chance.
    #[track_caller]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        if check::takes_spurious() {
            return None;
        }
        let inner = self.0.try_lock().ok()?;
        Some(MutexGuard { mutex: self, inner: Some(inner) })
    }

    /// The value, of which nobody else knows.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> MutexGuard<'_, T> {
    /// Tells one mutex from another.
    pub(super) fn address(&self) -> usize {
        std::ptr::from_ref(self.mutex).addr()
    }

    /// Unlocks, runs `f`, locks again.
    #[track_caller]
    pub(super) fn unlocked<R>(&mut self, f: impl FnOnce() -> R) -> R {
        self.inner = None;
        let result = f();
        let inner = self.mutex.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.inner = Some(inner);
        result
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.inner.as_deref().expect("the guard is whole outside `unlocked`")
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.inner.as_deref_mut().expect("the guard is whole outside `unlocked`")
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Mutex::new(T::default())
    }
}

impl<T: ?Sized> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").finish_non_exhaustive()
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// A lock that many may read or one may write.
///
/// Nothing says who comes first, a reader or a writer that waits for other readers to leave. The real side
/// lets no reader pass a waiting writer, so a reader may have to wait although the lock is only read; loom
/// lets it pass. Both are explored: under [`Policy::NewestFirst`] whoever enters goes through a door, which a
/// waiting writer holds.
pub struct RwLock<T: ?Sized> {
    door: loom::sync::Mutex<()>,
    /// The threads that read now.
    readers: StdMutex<Vec<ThreadId>>,
    lock: loom::sync::RwLock<T>,
}

/// Shared access to what a [`RwLock`] guards.
#[must_use = "a guard that is dropped at once unlocks at once"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    readers: &'a StdMutex<Vec<ThreadId>>,
    inner: loom::sync::RwLockReadGuard<'a, T>,
}

/// Exclusive access to what a [`RwLock`] guards.
#[must_use = "a guard that is dropped at once unlocks at once"]
pub struct RwLockWriteGuard<'a, T: ?Sized>(loom::sync::RwLockWriteGuard<'a, T>);

impl<T> RwLock<T> {
    /// Guards a value.
    pub fn new(value: T) -> Self {
        RwLock {
            door: loom::sync::Mutex::new(()),
            readers: StdMutex::default(),
            lock: loom::sync::RwLock::new(value),
        }
    }

    /// Unwraps the value.
    pub fn into_inner(self) -> T {
        self.lock.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits until nobody writes.
    ///
    /// # Panics
    /// If this thread reads already: with a writer in between, the real side deadlocks there.
    #[track_caller]
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.refuse_second_read();
        let _door = self.door();
        self.reading(self.lock.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads if nobody writes. May fail without cause: loom itself never lets it fail by chance.
    #[track_caller]
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        self.refuse_second_read();
        let fails = check::takes_spurious();
        self.lock.try_read().ok().filter(|_| !fails).map(|inner| self.reading(inner))
    }

    /// Waits until nobody reads or writes.
    #[track_caller]
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        let _door = self.door();
        RwLockWriteGuard(self.lock.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes if nobody reads or writes. May fail without cause, as [`try_read`](RwLock::try_read).
    #[track_caller]
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        let fails = check::takes_spurious();
        self.lock.try_write().ok().filter(|_| !fails).map(RwLockWriteGuard)
    }

    /// The value, of which nobody else knows.
    pub fn get_mut(&mut self) -> &mut T {
        self.lock.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn door(&self) -> Option<loom::sync::MutexGuard<'_, ()>> {
        let is_shut = check::policy() == Policy::NewestFirst;
        is_shut.then(|| self.door.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Refuses a second read by one thread, before loom takes the lock for it and says "invalid internal
    /// state" when the guards are dropped.
    #[track_caller]
    fn refuse_second_read(&self) {
        let again = self.readers().contains(&loom::thread::current().id());
        assert!(
            !again,
            "this thread reads the lock already, and a second read deadlocks if a writer comes between"
        );
    }

    fn reading<'a>(&'a self, inner: loom::sync::RwLockReadGuard<'a, T>) -> RwLockReadGuard<'a, T> {
        self.readers().push(loom::thread::current().id());
        RwLockReadGuard { readers: &self.readers, inner }
    }

    fn readers(&self) -> std::sync::MutexGuard<'_, Vec<ThreadId>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    fn drop(&mut self) {
        let me = loom::thread::current().id();
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = readers.iter().position(|reader| *reader == me) {
            readers.swap_remove(index);
        }
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        RwLock::new(T::default())
    }
}

impl<T: ?Sized> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock").finish_non_exhaustive()
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
