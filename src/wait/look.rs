//! Looking at figures that lie under a lock which others work under.

use crate::sync::{Mutex, MutexGuard, hint, sized};

/// Attempts before the lock is waited for.
const ATTEMPTS: usize = sized(64, 0);
/// Spin hints after a look, 2 to 3 µs: a hundred times as long as the lock was held.
const PAUSE: usize = sized(64, 0);

/// Reads what the lock guards, and leaves the lock alone for a moment.
///
/// A thread that polls in a loop would hold the lock half of the time, and those who find it held go to
/// sleep: by the time that they are awake it is held again. So the time between two looks is made long beside
/// a look. A lock that is held is tried a few times before it is waited for, because whoever unlocks would
/// have to wake this thread.
pub(crate) fn look<T, R>(mutex: &Mutex<T>, read: impl FnOnce(&mut T) -> R) -> R {
    let result = read(&mut lock_politely(mutex));
    (0..PAUSE).for_each(|_| hint::spin_loop());
    result
}

#[allow(clippy::reversed_empty_ranges, reason = "in a model the count is 0")]
fn lock_politely<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    for _ in 0..ATTEMPTS {
        if let Some(guard) = mutex.try_lock() {
            return guard;
        }
        hint::spin_loop();
    }
    mutex.lock()
}
