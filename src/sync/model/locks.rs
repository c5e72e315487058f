//! loom's locks with parking_lot's interface: no poisoning, and guards that a condvar can borrow.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex as StdMutex, PoisonError};

use loom::thread::ThreadId;

use super::trace::Outcome;
use super::{chances, trace};
use crate::sync::failure::Policy;

/// A mutual exclusion lock.
pub struct Mutex<T: ?Sized>(loom::sync::Mutex<T>);

/// The guard of a [`Mutex`]; unlocks when dropped.
#[must_use = "a guard that is dropped at once unlocks at once"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    /// `None` only inside `unlocked`.
    inner: Option<loom::sync::MutexGuard<'a, T>>,
    locked: trace::Begun,
}

impl<T> Mutex<T> {
    /// Makes a lock that guards `value`.
    #[track_caller]
    pub fn new(value: T) -> Self {
        Mutex(loom::sync::Mutex::new(value))
    }

    /// Returns the value.
    pub fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Blocks until the lock is free, and takes it.
    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let locked = trace::begin("lock", "Mutex", self.address());
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        locked.done(Outcome::Plain);
        MutexGuard { mutex: self, inner: Some(inner), locked }
    }

    /// Takes the lock if it is free. May fail spuriously, which loom's own does not.
    #[track_caller]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let locked = trace::begin("try_lock", "Mutex", self.address());
        if chances::takes_spurious() {
            locked.done(Outcome::Was("fails spuriously"));
            return None;
        }
        let inner = self.0.try_lock().ok();
        locked.done(Outcome::Was(if inner.is_some() { "locked" } else { "is locked already" }));
        Some(MutexGuard { mutex: self, inner: Some(inner?), locked })
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Returns the value without locking, since it is borrowed exclusively.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> MutexGuard<'_, T> {
    /// The address of the mutex, which identifies it.
    pub(super) fn address(&self) -> usize {
        self.mutex.address()
    }

    /// Unlocks, calls `f`, and locks again.
    #[track_caller]
    pub(super) fn unlocked<R>(&mut self, f: impl FnOnce() -> R) -> R {
        // The wait that this is part of says what happens meanwhile.
        self.inner = None;
        let result = f();
        let relocked = trace::begin("lock again", "Mutex", self.mutex.address());
        let inner = self.mutex.0.lock().unwrap_or_else(PoisonError::into_inner);
        relocked.done(Outcome::Plain);
        self.inner = Some(inner);
        result
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        if self.inner.take().is_some() {
            self.locked.ended("unlock");
        }
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

/// A lock held by several readers or one writer.
///
/// Nothing specifies whether a new reader or a waiting writer comes first. The real side lets no reader
/// overtake a waiting writer, so a reader may have to wait although the lock is only read; loom lets it
/// overtake. Both are explored: under [`Policy::NewestFirst`] each thread passes through an entry lock, which
/// a waiting writer holds.
pub struct RwLock<T: ?Sized> {
    entry: loom::sync::Mutex<()>,
    /// The threads that hold the lock for reading.
    readers: StdMutex<Vec<ThreadId>>,
    lock: loom::sync::RwLock<T>,
}

/// The guard of a reader of an [`RwLock`]; unlocks when dropped.
#[must_use = "a guard that is dropped at once unlocks at once"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    readers: &'a StdMutex<Vec<ThreadId>>,
    inner: loom::sync::RwLockReadGuard<'a, T>,
}

/// The guard of a writer of an [`RwLock`]; unlocks when dropped.
#[must_use = "a guard that is dropped at once unlocks at once"]
pub struct RwLockWriteGuard<'a, T: ?Sized>(loom::sync::RwLockWriteGuard<'a, T>);

impl<T> RwLock<T> {
    /// Makes a lock that guards `value`.
    pub fn new(value: T) -> Self {
        RwLock {
            entry: loom::sync::Mutex::new(()),
            readers: StdMutex::default(),
            lock: loom::sync::RwLock::new(value),
        }
    }

    /// Returns the value.
    pub fn into_inner(self) -> T {
        self.lock.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Blocks until the lock can be read.
    ///
    /// # Panics
    /// If this thread reads it already: the real side deadlocks there if a writer comes in between.
    #[track_caller]
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.refuse_second_read();
        let _entry = self.entry();
        let begun = trace::begin("read", "RwLock", self.address());
        let inner = self.lock.read().unwrap_or_else(PoisonError::into_inner);
        begun.done(Outcome::Plain);
        self.reading(inner)
    }

    /// Takes the lock for reading if no writer has it. May fail spuriously, which loom's own does not.
    #[track_caller]
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        self.refuse_second_read();
        let fails = chances::takes_spurious();
        self.lock.try_read().ok().filter(|_| !fails).map(|inner| self.reading(inner))
    }

    /// Blocks until the lock is free, and takes it for writing.
    #[track_caller]
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        let _entry = self.entry();
        let begun = trace::begin("write", "RwLock", self.address());
        let inner = self.lock.write().unwrap_or_else(PoisonError::into_inner);
        begun.done(Outcome::Plain);
        RwLockWriteGuard(inner)
    }

    /// Takes the lock for writing if it is free. May fail spuriously, like [`try_read`](RwLock::try_read).
    #[track_caller]
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        let fails = chances::takes_spurious();
        self.lock.try_write().ok().filter(|_| !fails).map(RwLockWriteGuard)
    }

    /// Returns the value without locking, since it is borrowed exclusively.
    pub fn get_mut(&mut self) -> &mut T {
        self.lock.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(&self.entry).addr()
    }

    fn entry(&self) -> Option<loom::sync::MutexGuard<'_, ()>> {
        let is_used = chances::policy() == Policy::NewestFirst;
        is_used.then(|| self.entry.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Rejects a second read by one thread, for which loom would report "invalid internal state" when the
    /// guards are dropped.
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
