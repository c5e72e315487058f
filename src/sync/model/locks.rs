//! loom's locks with parking_lot's interface: no poisoning, and guards that a condvar can borrow.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex as StdMutex, PoisonError, TryLockError};

use super::quiet::{Quiet, QuietGuard};
use super::threads::{self, ThreadId};
use super::trace::Outcome;
use super::{chances, engine, trace};
use crate::sync::failure::Policy;

/// A mutual exclusion lock.
pub struct Mutex<T: ?Sized> {
    id: trace::Id,
    inner: loom::sync::Mutex<T>,
}

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
        Mutex { id: trace::Id::new(), inner: loom::sync::Mutex::new(value) }
    }

    /// Returns the value.
    pub fn into_inner(self) -> T {
        self.inner.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Blocks until a lock of loom's is free, and takes it. Whoever unlocks it calls [`engine::wake`].
pub(super) fn acquire<T: ?Sized>(
    mutex: &loom::sync::Mutex<T>,
    id: trace::Id,
) -> loom::sync::MutexGuard<'_, T> {
    if !engine::is_on() {
        return mutex.lock().unwrap_or_else(PoisonError::into_inner);
    }
    engine::switch();
    loop {
        match try_acquire(mutex) {
            Some(guard) => return guard,
            None => _ = engine::block(id.key(), None),
        }
    }
}

fn try_acquire<T: ?Sized>(mutex: &loom::sync::Mutex<T>) -> Option<loom::sync::MutexGuard<'_, T>> {
    tried(mutex.try_lock())
}

impl<T: ?Sized> Mutex<T> {
    /// Blocks until the lock is free, and takes it.
    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let locked = trace::begin("lock", "Mutex", self.id);
        let inner = acquire(&self.inner, self.id);
        locked.done(Outcome::Plain);
        MutexGuard { mutex: self, inner: Some(inner), locked }
    }

    /// Takes the lock if it is free. May fail spuriously, which loom's own does not.
    #[track_caller]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let locked = trace::begin("try_lock", "Mutex", self.id);
        engine::switch();
        if chances::takes_spurious() {
            locked.done(Outcome::Was("fails spuriously"));
            return None;
        }
        let inner = try_acquire(&self.inner);
        locked.done(Outcome::Was(if inner.is_some() { "locked" } else { "is locked already" }));
        Some(MutexGuard { mutex: self, inner: Some(inner?), locked })
    }

    /// Returns the value without locking, since it is borrowed exclusively.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> MutexGuard<'_, T> {
    pub(super) fn id(&self) -> trace::Id {
        self.mutex.id
    }

    /// Unlocks, calls `f`, and locks again.
    #[track_caller]
    pub(super) fn unlocked<R>(&mut self, f: impl FnOnce() -> R) -> R {
        // The wait that this is part of says what happens meanwhile.
        self.inner = None;
        engine::wake(self.id().key());
        let result = f();
        let relocked = trace::begin("lock again", "Mutex", self.id());
        let inner = acquire(&self.mutex.inner, self.id());
        relocked.done(Outcome::Plain);
        self.inner = Some(inner);
        result
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        if self.inner.take().is_some() {
            engine::wake(self.id().key());
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
    id: trace::Id,
    entry: Quiet<()>,
    /// The threads that hold the lock for reading.
    readers: StdMutex<Vec<ThreadId>>,
    lock: loom::sync::RwLock<T>,
}

/// The guard of a reader of an [`RwLock`]; unlocks when dropped.
#[must_use = "a guard that is dropped at once unlocks at once"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    readers: &'a StdMutex<Vec<ThreadId>>,
    /// `None` only while it is dropped.
    inner: Option<loom::sync::RwLockReadGuard<'a, T>>,
    locked: trace::Begun,
}

/// The guard of a writer of an [`RwLock`]; unlocks when dropped.
#[must_use = "a guard that is dropped at once unlocks at once"]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    /// `None` only while it is dropped.
    inner: Option<loom::sync::RwLockWriteGuard<'a, T>>,
    locked: trace::Begun,
}

impl<T> RwLock<T> {
    /// Makes a lock that guards `value`.
    pub fn new(value: T) -> Self {
        RwLock {
            id: trace::Id::new(),
            entry: Quiet::new(()),
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
        let locked = trace::begin("read", "RwLock", self.id);
        let inner = match engine::is_on() {
            false => self.lock.read().unwrap_or_else(PoisonError::into_inner),
            true => self.acquire(|lock| match self.readers().is_empty() {
                true => lock.try_read(),
                // Loom counts its own threads, of which a sampled execution has one: the first reader that
                // left would unlock for all. So readers come one at a time there.
                false => Err(TryLockError::WouldBlock),
            }),
        };
        locked.done(Outcome::Plain);
        self.reading(inner, locked)
    }

    /// Takes the lock for reading if no writer has it. May fail spuriously, which loom's own does not.
    #[track_caller]
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        self.refuse_second_read();
        let locked = trace::begin("try_read", "RwLock", self.id);
        engine::switch();
        // The second: as in `read`.
        let fails = chances::takes_spurious() || (engine::is_on() && !self.readers().is_empty());
        let inner = if fails { None } else { tried(self.lock.try_read()) };
        locked.done(tries(inner.is_some(), fails));
        Some(self.reading(inner?, locked))
    }

    /// Blocks until the lock is free, and takes it for writing.
    #[track_caller]
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        let _entry = self.entry();
        let locked = trace::begin("write", "RwLock", self.id);
        let inner = match engine::is_on() {
            false => self.lock.write().unwrap_or_else(PoisonError::into_inner),
            true => self.acquire(|lock| lock.try_write()),
        };
        locked.done(Outcome::Plain);
        RwLockWriteGuard { inner: Some(inner), locked }
    }

    /// Takes the lock for writing if it is free. May fail spuriously, like [`try_read`](RwLock::try_read).
    #[track_caller]
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        let locked = trace::begin("try_write", "RwLock", self.id);
        engine::switch();
        let fails = chances::takes_spurious();
        let inner = tried(self.lock.try_write()).filter(|_| !fails);
        locked.done(tries(inner.is_some(), fails));
        Some(RwLockWriteGuard { inner: Some(inner?), locked })
    }

    /// Returns the value without locking, since it is borrowed exclusively.
    pub fn get_mut(&mut self) -> &mut T {
        self.lock.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self) -> Option<QuietGuard<'_, ()>> {
        let is_used = chances::policy() == Policy::NewestFirst;
        is_used.then(|| self.entry.lock())
    }

    /// Blocks until `attempt` succeeds, in a sampled execution.
    fn acquire<'a, G>(
        &'a self,
        attempt: impl Fn(&'a loom::sync::RwLock<T>) -> Result<G, TryLockError<G>>,
    ) -> G {
        engine::switch();
        loop {
            match tried(attempt(&self.lock)) {
                Some(guard) => return guard,
                None => _ = engine::block(self.id.key(), None),
            }
        }
    }

    /// Rejects a second read by one thread, for which loom would report "invalid internal state" when the
    /// guards are dropped.
    #[track_caller]
    fn refuse_second_read(&self) {
        let again = self.readers().contains(&threads::current().id());
        assert!(
            !again,
            "this thread reads the lock already, and a second read deadlocks if a writer comes between"
        );
    }

    fn reading<'a>(
        &'a self,
        inner: loom::sync::RwLockReadGuard<'a, T>,
        locked: trace::Begun,
    ) -> RwLockReadGuard<'a, T> {
        self.readers().push(threads::current().id());
        RwLockReadGuard { readers: &self.readers, inner: Some(inner), locked }
    }

    fn readers(&self) -> std::sync::MutexGuard<'_, Vec<ThreadId>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The guard, also of a lock that a panic has poisoned.
fn tried<G>(result: Result<G, TryLockError<G>>) -> Option<G> {
    match result {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// How a try ended.
fn tries(succeeds: bool, fails_spuriously: bool) -> Outcome {
    Outcome::Was(match (succeeds, fails_spuriously) {
        (_, true) => "fails spuriously",
        (true, _) => "locked",
        (false, _) => "is locked already",
    })
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    fn drop(&mut self) {
        let me = threads::current().id();
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = readers.iter().position(|reader| *reader == me) {
            readers.swap_remove(index);
        }
        drop(readers);
        self.inner = None;
        engine::wake(self.locked.object().key());
        self.locked.ended("unlock");
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    fn drop(&mut self) {
        self.inner = None;
        engine::wake(self.locked.object().key());
        self.locked.ended("unlock");
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.inner.as_deref().expect("the guard is whole until it is dropped")
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.inner.as_deref().expect("the guard is whole until it is dropped")
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.inner.as_deref_mut().expect("the guard is whole until it is dropped")
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
