//! Condvars: every way in which a wait ends, and what a notification returns.

use std::time::Duration;

use crate::facade::atomic::AtomicU32;
use crate::facade::atomic::Ordering::Relaxed;
use crate::facade::{Arc, Condvar, Mutex, MutexGuard, WaitTimeoutResult, thread, time};
use crate::threads::race;
use crate::{Outcome, Start};

struct Shared {
    flag: Mutex<u32>,
    changed: Condvar,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Shared { flag: Mutex::new(0), changed: Condvar::new() })
    }

    /// Sets the flag and notifies, with the lock held.
    fn ring_inside(&self, notify: fn(&Condvar)) {
        let mut flag = self.flag.lock();
        *flag += 1;
        notify(&self.changed);
    }

    /// Sets the flag, and notifies once the lock is free.
    fn ring_after(&self, notify: fn(&Condvar)) {
        *self.flag.lock() += 1;
        notify(&self.changed);
    }
}

fn one(changed: &Condvar) {
    changed.notify_one();
}

fn all(changed: &Condvar) {
    changed.notify_all();
}

/// A limit that is short enough to show the tie on real threads.
const SHORT: Duration = Duration::from_micros(30);

type Wait = fn(&Condvar, &mut MutexGuard<'_, u32>) -> Option<WaitTimeoutResult>;

fn forever(changed: &Condvar, flag: &mut MutexGuard<'_, u32>) -> Option<WaitTimeoutResult> {
    changed.wait(flag);
    None
}

fn until(changed: &Condvar, flag: &mut MutexGuard<'_, u32>) -> Option<WaitTimeoutResult> {
    Some(changed.wait_until(flag, time::now() + SHORT))
}

fn within(changed: &Condvar, flag: &mut MutexGuard<'_, u32>) -> Option<WaitTimeoutResult> {
    Some(changed.wait_for(flag, SHORT))
}

fn until_now(changed: &Condvar, flag: &mut MutexGuard<'_, u32>) -> Option<WaitTimeoutResult> {
    Some(changed.wait_until(flag, time::now()))
}

/// One thread waits once, unless the flag is set; the other notifies. The outcome: waited, timed out, the
/// flag.
fn one_wait(wait: Wait, ring: fn(&Shared, fn(&Condvar)), notify: fn(&Condvar)) -> Outcome {
    let shared = Shared::new();
    let other = Arc::clone(&shared);
    let (_, seen) = race(
        move || ring(&other, notify),
        move || {
            let mut flag = shared.flag.lock();
            if *flag > 0 {
                return vec![0, 0, *flag];
            }
            let late = wait(&shared.changed, &mut flag).is_some_and(|result| result.timed_out());
            vec![1, u32::from(late), *flag]
        },
    );
    seen
}

/// Two threads wait for a unit and take it; one thread adds two units. The outcome: which waiter was first.
fn two_takers(ring: fn(&Shared, fn(&Condvar)), notify: fn(&Condvar)) -> Outcome {
    let (shared, start, order) = (Shared::new(), Start::of(3), Arc::new(AtomicU32::new(0)));
    let takers = [(); 2].map(|()| {
        let (shared, start, order) = (Arc::clone(&shared), start.clone(), Arc::clone(&order));
        thread::spawn(move || {
            start.wait();
            let mut free = shared.flag.lock();
            shared.changed.wait_while(&mut free, |free| *free == 0);
            *free -= 1;
            order.fetch_add(1, Relaxed)
        })
    });
    start.wait();
    ring(&shared, notify);
    ring(&shared, notify);
    takers.map(|taker| taker.join().unwrap()).to_vec()
}

/// One thread waits, another notifies without a lock. The outcome: whether the notification found a waiter,
/// and how the wait ended.
fn bare_notify(notify: fn(&Condvar) -> u32) -> Outcome {
    let shared = Shared::new();
    let other = Arc::clone(&shared);
    let (told, late) = race(
        move || notify(&other.changed),
        move || {
            let mut flag = shared.flag.lock();
            u32::from(shared.changed.wait_for(&mut flag, SHORT).timed_out())
        },
    );
    vec![told, late]
}

/// An unlimited wait: not needed; woken spuriously; notified.
const UNLIMITED: [&[u32]; 3] = [&[0, 0, 1], &[1, 0, 0], &[1, 0, 1]];
/// A wait with a limit may also time out, before the flag is set and after.
const LIMITED: [&[u32]; 5] = [&[0, 0, 1], &[1, 0, 0], &[1, 0, 1], &[1, 1, 0], &[1, 1, 1]];

litmus! {
    a_wait_is_ended_by_one_notified_inside allowed UNLIMITED, => || one_wait(forever, Shared::ring_inside, one);
    a_wait_is_ended_by_one_notified_after allowed UNLIMITED, => || one_wait(forever, Shared::ring_after, one);
    a_wait_is_ended_by_all_notified_inside allowed UNLIMITED, => || one_wait(forever, Shared::ring_inside, all);
    a_wait_is_ended_by_all_notified_after allowed UNLIMITED, => || one_wait(forever, Shared::ring_after, all);

    /// The tie: timed out, although the flag was set with a notification under the lock.
    a_wait_until_may_end_late_by_all_inside allowed LIMITED, => || one_wait(until, Shared::ring_inside, all);
    a_wait_until_may_end_late_by_all_after allowed LIMITED, => || one_wait(until, Shared::ring_after, all);
    a_wait_until_may_end_late_by_one_inside allowed LIMITED, => || one_wait(until, Shared::ring_inside, one);
    a_wait_until_may_end_late_by_one_after allowed LIMITED, => || one_wait(until, Shared::ring_after, one);
    a_wait_for_may_end_late_inside allowed LIMITED, => || one_wait(within, Shared::ring_inside, one);
    a_wait_for_may_end_late_after allowed LIMITED, => || one_wait(within, Shared::ring_after, one);
    /// A wait whose deadline has passed unlocks the mutex nevertheless, and may be notified.
    a_wait_until_now_gives_the_mutex_up allowed LIMITED, => || one_wait(until_now, Shared::ring_inside, all);

    either_taker_is_first_by_one_inside allowed [&[0, 1], &[1, 0]], => || two_takers(Shared::ring_inside, one);
    either_taker_is_first_by_one_after allowed [&[0, 1], &[1, 0]], => || two_takers(Shared::ring_after, one);
    either_taker_is_first_by_all allowed [&[0, 1], &[1, 0]], => || two_takers(Shared::ring_after, all);

    /// No thread waits yet, or any more; or the waiter is woken in time. A spurious wake-up is in time too.
    notify_one_says_whether_somebody_waited allowed [&[0, 0], &[0, 1], &[1, 0]],
        => || bare_notify(|changed| u32::from(changed.notify_one()));
    notify_all_says_how_many_waited allowed [&[0, 0], &[0, 1], &[1, 0]],
        => || bare_notify(|changed| changed.notify_all() as u32);

    /// Two waits with a limit, of which one is notified: either of them, or none if it came too late.
    one_of_two_waits_is_notified allowed [&[0, 0], &[0, 1], &[1, 0], &[1, 1]], => || {
        let (shared, start) = (Shared::new(), Start::of(3));
        let waiters = [(); 2].map(|()| {
            let (shared, start) = (Arc::clone(&shared), start.clone());
            thread::spawn(move || {
                start.wait();
                let mut flag = shared.flag.lock();
                u32::from(shared.changed.wait_for(&mut flag, SHORT).timed_out())
            })
        });
        start.wait();
        shared.changed.notify_one();
        waiters.map(|waiter| waiter.join().unwrap()).to_vec()
    };
    /// A flag that is set without the lock falls between the check and the wait, and only the limit helps.
    a_notify_that_bypasses_the_lock_may_be_lost
        allowed [&[0, 0, 1], &[1, 0, 0], &[1, 0, 1], &[1, 1, 0], &[1, 1, 1]], => || {
        let shared = Arc::new((Mutex::new(()), Condvar::new(), AtomicU32::new(0)));
        let other = Arc::clone(&shared);
        let (_, seen) = race(
            move || {
                other.2.store(1, Relaxed);
                other.1.notify_all();
            },
            move || {
                let mut guard = shared.0.lock();
                if shared.2.load(Relaxed) == 1 {
                    return vec![0, 0, 1];
                }
                let late = shared.1.wait_for(&mut guard, SHORT).timed_out();
                vec![1, u32::from(late), shared.2.load(Relaxed)]
            },
        );
        seen
    };
}
