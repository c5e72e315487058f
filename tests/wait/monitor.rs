//! `Monitor`: each waiter that can continue does, with its result, and no other is woken.

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use crate::common::{HOUR, message, until_figure, within_a_minute};
use selvedge::error::WaitError;
use selvedge::{CancelToken, Clock, Monitor};

/// Takes `amount` from a purse that contains enough.
fn take(amount: u32) -> impl FnMut(&mut u32) -> Option<u32> + Send {
    move |purse| {
        let rest = purse.checked_sub(amount)?;
        *purse = rest;
        Some(amount)
    }
}

#[test]
fn attempt_that_succeeds_at_once_does_not_wait() {
    let purse = Monitor::new(5);
    assert_eq!(purse.wait(take(2)), 2);
    assert_eq!(purse.wait_until(Duration::ZERO, take(3)), Ok(3));
    assert_eq!(purse.wait_until(Duration::ZERO, take(1)), Err(WaitError::TimedOut));
    assert_eq!(purse.try_lock().map(|purse| *purse), Some(0));
    assert_eq!(purse.into_inner(), 0);
}

#[test]
fn thread_that_holds_one_monitor_waits_for_another_that_is_locked() {
    within_a_minute(|| {
        let (one, other) = (Monitor::new(1), Arc::new(Monitor::new(2)));
        let (locked, is_locked) = channel();
        let (tried, is_tried) = channel::<()>();
        let holder = thread::spawn({
            let other = Arc::clone(&other);
            move || {
                let _held = other.lock();
                locked.send(()).unwrap();
                // A thread that waits for the lock cannot be observed, but one that was refused would be.
                is_tried.recv_timeout(Duration::from_millis(50)).is_ok()
            }
        });
        is_locked.recv().unwrap();
        let held = one.lock();
        let sum = *held + *other.lock();
        let _ = tried.send(());
        assert_eq!((sum, holder.join().unwrap()), (3, false));
    });
}

#[test]
fn change_wakes_the_waiter_whose_condition_it_meets() {
    within_a_minute(|| {
        let purse = Monitor::new(0);
        thread::scope(|s| {
            let large = s.spawn(|| purse.wait(take(100)));
            until_figure(&purse, "waiting", 1);
            let small = s.spawn(|| purse.wait(take(1)));
            until_figure(&purse, "waiting", 2);
            *purse.lock() += 1;
            assert_eq!(small.join().unwrap(), 1);
            until_figure(&purse, "waiting", 1);
            *purse.lock() += 100;
            assert_eq!(large.join().unwrap(), 100);
        });
        assert_eq!(*purse.lock(), 0);
    });
}

#[test]
fn first_of_the_waiters_that_can_continue_does() {
    within_a_minute(|| {
        let purse = Monitor::new(0_u32);
        let order = Monitor::new(Vec::new());
        thread::scope(|s| {
            for n in 0..4 {
                let (purse, order) = (&purse, &order);
                s.spawn(move || {
                    // The order of the successful attempts, which are made one at a time.
                    purse.wait(|purse| {
                        *purse = purse.checked_sub(1)?;
                        order.lock().push(n);
                        Some(())
                    });
                });
                until_figure(purse, "waiting", n + 1);
            }
            for _ in 0..4 {
                *purse.lock() += 1;
            }
        });
        assert_eq!(order.into_inner(), [0, 1, 2, 3]);
    });
}

#[test]
fn change_by_a_waiter_lets_an_earlier_one_continue() {
    within_a_minute(|| {
        let state = Monitor::new(0);
        thread::scope(|s| {
            let last = s.spawn(|| state.wait(|state| (*state == 2).then(|| *state = 3)));
            until_figure(&state, "waiting", 1);
            let middle = s.spawn(|| state.wait(|state| (*state == 1).then(|| *state = 2)));
            until_figure(&state, "waiting", 2);
            *state.lock() = 1;
            middle.join().unwrap();
            last.join().unwrap();
        });
        assert_eq!(state.into_inner(), 3);
    });
}

#[test]
fn unlock_tries_every_waiter_and_wakes_none_in_vain() {
    within_a_minute(|| {
        let state = Monitor::new(0_usize);
        let calls = AtomicUsize::new(0);
        thread::scope(|s| {
            for n in 0..100 {
                let (state, calls) = (&state, &calls);
                s.spawn(move || {
                    state.wait(|state| {
                        calls.fetch_add(1, SeqCst);
                        (*state == usize::MAX).then_some(())
                    });
                });
                until_figure(state, "waiting", n + 1);
            }
            let before = calls.load(SeqCst);
            *state.lock() = 1;
            // Each is tried once, by this thread, before the lock is free, so the count is complete.
            assert_eq!(calls.load(SeqCst) - before, 100);
            *state.lock() = usize::MAX;
        });
    });
}

#[test]
fn waiter_that_gives_up_leaves_no_trace() {
    within_a_minute(|| {
        let purse = Monitor::new(0);
        let stop = CancelToken::new();
        thread::scope(|s| {
            let cancelled = s.spawn(|| purse.wait_until(&stop, take(1)));
            until_figure(&purse, "waiting", 1);
            stop.cancel();
            assert_eq!(cancelled.join().unwrap(), Err(WaitError::Cancelled));
        });
        assert_eq!(purse.wait_until(Duration::from_millis(1), take(1)), Err(WaitError::TimedOut));
        until_figure(&purse, "waiting", 0);
        *purse.lock() = 1;
        assert_eq!(purse.wait_until(&stop, take(1)), Err(WaitError::Cancelled));
        assert_eq!(purse.into_inner(), 1);
    });
}

#[test]
fn deadline_on_a_manual_clock_ends_a_wait() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let purse = Monitor::new(0);
        thread::scope(|s| {
            let late = s.spawn(|| purse.wait_until((clock.clock(), HOUR), take(1)));
            clock.wait_for_sleepers(1);
            clock.advance(HOUR);
            assert_eq!(late.join().unwrap(), Err(WaitError::TimedOut));
        });
    });
}

#[test]
fn panic_of_a_closure_reaches_the_waiting_thread() {
    within_a_minute(|| {
        let state = Monitor::new(0);
        thread::scope(|s| {
            let waits = s.spawn(|| {
                let attempt = |state: &mut i32| if *state == 1 { panic!("one") } else { None::<()> };
                catch_unwind(AssertUnwindSafe(|| state.wait(attempt))).unwrap_err()
            });
            until_figure(&state, "waiting", 1);
            let behind = s.spawn(|| state.wait(|state| (*state == 1).then_some(())));
            until_figure(&state, "waiting", 2);
            *state.lock() = 1;
            assert_eq!(message(&*waits.join().unwrap()), "one");
            behind.join().unwrap();
        });
        let first = catch_unwind(AssertUnwindSafe(|| state.wait(|_| -> Option<()> { panic!("at once") })));
        assert_eq!(message(&*first.unwrap_err()), "at once");
        assert_eq!(*state.lock(), 1);
    });
}

#[test]
fn panic_while_the_lock_is_held_lets_waiters_continue() {
    within_a_minute(|| {
        let state = Monitor::new(0);
        thread::scope(|s| {
            let waits = s.spawn(|| state.wait(|state| (*state == 1).then_some(())));
            until_figure(&state, "waiting", 1);
            let held = catch_unwind(AssertUnwindSafe(|| {
                let mut guard = state.lock();
                *guard = 1;
                panic!("held");
            }));
            assert!(held.is_err());
            waits.join().unwrap();
        });
    });
}

#[test]
fn thread_that_has_locked_the_monitor_is_refused() {
    within_a_minute(|| {
        let state = Monitor::new(1);
        let (other, guard) = (Monitor::new(2), state.lock());
        assert_eq!(state.wait_until(HOUR, |state| Some(*state)), Err(WaitError::WouldDeadlock));
        assert!(state.try_lock().is_none());
        let again = catch_unwind(AssertUnwindSafe(|| drop(state.lock()))).unwrap_err();
        assert!(message(&*again).contains("would wait for itself"));
        let again = catch_unwind(AssertUnwindSafe(|| state.wait(|_| Some(())))).unwrap_err();
        assert!(message(&*again).contains("would wait for itself"));
        // Another monitor does not matter, in any order of the guards.
        let inner = other.lock();
        drop(guard);
        assert_eq!(state.wait(|state| Some(*state)), 1);
        assert_eq!(other.wait_until(HOUR, |_| Some(())), Err(WaitError::WouldDeadlock));
        drop(inner);
        assert_eq!(other.wait(|other| Some(*other)), 2);
    });
}

#[test]
fn closure_that_calls_its_own_monitor_is_refused_on_its_own_thread() {
    within_a_minute(|| {
        let state = Monitor::new(0);
        thread::scope(|s| {
            let waits = s.spawn(|| {
                let attempt = |now: &mut i32| if *now == 0 { None } else { Some(*state.lock()) };
                catch_unwind(AssertUnwindSafe(|| state.wait(attempt))).unwrap_err()
            });
            until_figure(&state, "waiting", 1);
            *state.lock() = 1;
            assert!(message(&*waits.join().unwrap()).contains("would wait for itself"));
        });
    });
}

#[test]
fn closing_state_wakes_every_waiter() {
    within_a_minute(|| {
        let jobs = Arc::new(Monitor::new((VecDeque::<u32>::new(), false)));
        let waiters: Vec<_> = (0..20)
            .map(|_| {
                let jobs = Arc::clone(&jobs);
                thread::spawn(move || {
                    jobs.wait(|(jobs, closed)| jobs.pop_front().map(Ok).or(closed.then_some(Err(()))))
                })
            })
            .collect();
        until_figure(&*jobs, "waiting", 20);
        {
            let mut jobs = jobs.lock();
            jobs.0.extend([1, 2]);
            jobs.1 = true;
        }
        let taken: u32 = waiters.into_iter().filter_map(|waiter| waiter.join().unwrap().ok()).sum();
        assert_eq!(taken, 3);
    });
}

#[test]
fn ten_thousand_steps_pass_between_threads_that_want_different_things() {
    within_a_minute(|| {
        let turn = Monitor::new(0_u32);
        thread::scope(|s| {
            let turn = &turn;
            let threads = [0, 1, 2, 3].map(|me| {
                s.spawn(move || {
                    for _ in 0..2_500 {
                        turn.wait(|turn| (*turn % 4 == me).then(|| *turn += 1));
                    }
                })
            });
            // Joined explicitly, since ThreadSanitizer does not see the join of std's scope.
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
        assert_eq!(turn.into_inner(), 10_000);
    });
}

#[test]
fn debug_never_blocks_and_shows_the_state_and_the_waiters() {
    let state = Monitor::new(7);
    assert_eq!(format!("{state:?}"), "Monitor { state: 7, waiting: 0 }");
    let guard = state.lock();
    assert_eq!(format!("{guard:?}"), "MonitorGuard(7)");
    assert_eq!(format!("{state:?}"), "Monitor { .. }");
}

#[test]
fn state_need_not_be_sync() {
    within_a_minute(|| {
        let state = Monitor::new(Cell::new(0));
        thread::scope(|s| {
            let waits = s.spawn(|| state.wait(|state| (state.get() == 1).then_some(())));
            until_figure(&state, "waiting", 1);
            // A change through a shared reference counts too.
            state.lock().set(1);
            waits.join().unwrap();
        });
        assert_eq!(state.into_inner().get(), 1);
        assert_eq!(Monitor::from(3).into_inner(), Monitor::<i32>::default().into_inner() + 3);
    });
}
