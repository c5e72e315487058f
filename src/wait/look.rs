//! Reading a snapshot under a contended lock.

use crate::sync::{Mutex, MutexGuard, hint, sized};

/// The number of attempts before blocking on the lock.
const ATTEMPTS: usize = sized(64, 0);
/// Spin hints after reading, 2 to 3 µs: a hundred times as long as the lock was held.
const PAUSE: usize = sized(64, 0);

/// Reads what the lock guards, then leaves the lock alone for a moment.
///
/// A thread that polls in a loop would hold the lock half of the time. Threads that find it held go to sleep,
/// and by the time they are awake it is held again. So the pause between two reads is long compared with a
/// read. A lock that is held is tried a few times before blocking, since otherwise its holder would have to
/// wake this thread.
pub(crate) fn look<T, R>(mutex: &Mutex<T>, read: impl FnOnce(&mut T) -> R) -> R {
    // The guard is dropped at the end of this line, so the pause below is without the lock.
    let result = read(&mut lock_politely(mutex));
    (0..PAUSE).for_each(|_| hint::spin_loop());
    result
}

#[allow(clippy::reversed_empty_ranges, reason = "in a model the count is 0")]
fn lock_politely<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    for _ in 0..ATTEMPTS {
        // The lock is held for nanoseconds at a time, so it is free again within a few attempts.
        if let Some(guard) = mutex.try_lock() {
            return guard;
        }
        hint::spin_loop();
    }
    mutex.lock()
}
