//! Locks: which thread gets them, what they publish, and when a try fails.

use crate::Start;
use crate::facade::atomic::AtomicU32;
use crate::facade::atomic::Ordering::Relaxed;
use crate::facade::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, thread};
use crate::threads::race;

/// Two threads access the same value.
fn both<T: Send + Sync + 'static, A: Send + 'static, B>(
    value: T,
    first: fn(&T) -> A,
    second: fn(&T) -> B,
) -> (A, B, Option<T>) {
    let shared = Arc::new(value);
    let (mine, other) = (Arc::clone(&shared), Arc::clone(&shared));
    let (a, b) = race(move || first(&other), move || second(&mine));
    (a, b, Arc::into_inner(shared))
}

/// Adds under the lock, and returns the previous value.
fn add(lock: &Mutex<u32>) -> u32 {
    let mut guard: MutexGuard<'_, u32> = lock.lock();
    *guard += 1;
    *guard - 1
}

litmus! {
    a_mutex_loses_no_update allowed [&[0, 1, 3], &[1, 0, 3]], => || {
        let (a, b, lock) = both(Mutex::new(0), add, add);
        let mut lock = lock.unwrap();
        *lock.get_mut() += 1;
        vec![a, b, lock.into_inner()]
    };
    /// Everything before an unlock is visible after the next lock.
    a_mutex_publishes allowed [&[0, 0], &[0, 1], &[1, 1]], => || {
        let (_, seen, _) = both(
            (Mutex::new(0_u32), AtomicU32::new(0)),
            |shared| {
                shared.1.store(1, Relaxed);
                *shared.0.lock() = 1;
            },
            |shared| {
                let flag = *shared.0.lock();
                vec![flag, shared.1.load(Relaxed)]
            },
        );
        seen
    };
    /// A try finds the lock free or held; it may fail spuriously on a free lock.
    a_try_lock_succeeds_or_not allowed [&[9], &[0], &[1]], => || {
        let (_, seen, _) = both(Mutex::new(0_u32), add, |lock| lock.try_lock().map_or(9, |guard| *guard));
        vec![seen]
    };
    /// While a thread is known to hold the lock, no try succeeds.
    a_held_mutex_refuses_a_try allowed [&[0, 9], &[0, 0], &[1, 9]], => || {
        let (_, seen, _) = both(
            (Mutex::new(0_u32), AtomicU32::new(0), Mutex::new(())),
            |shared| {
                let outer = shared.2.lock();
                let guard = shared.0.lock();
                shared.1.store(1, Relaxed);
                drop(outer);
                let _outer = shared.2.lock();
                shared.1.store(0, Relaxed);
                drop(guard);
            },
            |shared| {
                let _outer = shared.2.lock();
                let held = shared.1.load(Relaxed);
                vec![held, shared.0.try_lock().map_or(9, |guard| *guard)]
            },
        );
        seen
    };
    a_write_lock_loses_no_update allowed [&[0, 1, 3], &[1, 0, 3]], => || {
        let write = |lock: &RwLock<u32>| {
            let mut guard: RwLockWriteGuard<'_, u32> = lock.write();
            *guard += 1;
            *guard - 1
        };
        let (a, b, lock) = both(RwLock::new(0), write, write);
        let mut lock = lock.unwrap();
        *lock.get_mut() += 1;
        vec![a, b, lock.into_inner()]
    };
    /// Two readers may hold the lock at once, or one after the other.
    two_read_at_once allowed [&[0, 0], &[0, 1], &[1, 0], &[1, 1]], => || {
        let read = |shared: &(RwLock<()>, AtomicU32)| {
            let _guard: RwLockReadGuard<'_, ()> = shared.0.read();
            shared.1.fetch_add(1, Relaxed);
            let others = shared.1.load(Relaxed) - 1;
            shared.1.fetch_sub(1, Relaxed);
            others
        };
        let (a, b, _) = both((RwLock::new(()), AtomicU32::new(0)), read, read);
        vec![a, b]
    };
    /// A writer excludes all others.
    one_writes_while_none_reads allowed [&[0, 0]], => || {
        let (a, b, _) = both(
            (RwLock::new(()), AtomicU32::new(0)),
            |shared| {
                let _guard = shared.0.read();
                shared.1.fetch_add(1, Relaxed);
                let others = shared.1.load(Relaxed) - 1;
                shared.1.fetch_sub(1, Relaxed);
                others
            },
            |shared| {
                let _guard = shared.0.write();
                shared.1.fetch_add(1, Relaxed);
                let others = shared.1.load(Relaxed) - 1;
                shared.1.fetch_sub(1, Relaxed);
                others
            },
        );
        vec![a, b]
    };
    /// Everything before the unlock of a writer is visible to later readers.
    a_write_lock_publishes allowed [&[0, 0], &[0, 1], &[1, 1]], => || {
        let (_, seen, _) = both(
            (RwLock::new(0_u32), AtomicU32::new(0)),
            |shared| {
                shared.1.store(1, Relaxed);
                *shared.0.write() = 1;
            },
            |shared| {
                let flag = *shared.0.read();
                vec![flag, shared.1.load(Relaxed)]
            },
        );
        seen
    };
    /// Everything before the unlock of a reader is visible to later writers.
    a_read_lock_publishes_to_a_writer allowed [&[0, 0], &[1, 1]], => || {
        let (_, seen, _) = both(
            (RwLock::new(()), AtomicU32::new(0), AtomicU32::new(0)),
            |shared| {
                let _guard = shared.0.read();
                shared.1.store(1, Relaxed);
                shared.2.store(1, Relaxed);
            },
            |shared| {
                let _guard = shared.0.write();
                vec![shared.2.load(Relaxed), shared.1.load(Relaxed)]
            },
        );
        seen
    };
    a_try_read_succeeds_or_not allowed [&[9], &[0], &[1]], => || {
        let (_, seen, _) =
            both(RwLock::new(0_u32), |lock| *lock.write() = 1, |lock| lock.try_read().map_or(9, |guard| *guard));
        vec![seen]
    };
    a_try_write_succeeds_or_not allowed [&[0, 1], &[0, 0], &[1, 1]], => || {
        let (a, b, _) = both(
            RwLock::new(0_u32),
            |lock| *lock.read(),
            |lock| lock.try_write().map_or(0, |mut guard| {
                *guard = 1;
                1
            }),
        );
        vec![a, b]
    };
    /// Three in a row: every order of two writers and a reader.
    readers_and_writers_come_in_any_order allowed [&[0, 2], &[0, 1], &[1, 2], &[1, 1], &[2, 1], &[2, 2]], => || {
        let (lock, start) = (Arc::new(RwLock::new(0_u32)), Start::of(3));
        let writers = [1, 2].map(|value| {
            let (lock, start) = (Arc::clone(&lock), start.clone());
            thread::spawn(move || {
                start.wait();
                *lock.write() = value;
            })
        });
        start.wait();
        let seen = *lock.read();
        for writer in writers {
            writer.join().unwrap();
        }
        vec![seen, *lock.read()]
    };
}
