//! Models of `Monitor`, with the edits that break each.

extern crate selvedge_loom as selvedge;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use selvedge::error::WaitError;
use selvedge::sync::{Arc, model, thread};
use selvedge::{CancelToken, Clock, Monitor};

/// The priority queue of the guide.
#[allow(unreachable_pub, reason = "readers of the guide want a public type")]
#[path = "../../src/guide/priority_queue.rs"]
mod priority_queue;
use priority_queue::PriorityQueue;

const SECOND: Duration = Duration::from_secs(1);

/// Takes `amount` from a purse that holds enough.
fn take(amount: u32) -> impl FnMut(&mut u32) -> Option<u32> + Send {
    move |purse| {
        *purse = purse.checked_sub(amount)?;
        Some(amount)
    }
}

/// A change between a waiter's attempt and its sleep is not missed.
///
/// Fails if an unlock makes no attempts (edit `monitor-unlock-asks-nobody`).
#[test]
fn a_change_reaches_a_waiter_on_its_way_to_sleep() {
    model::check(|| {
        let purse = Arc::new(Monitor::new(0));
        let waiter = thread::spawn({
            let purse = Arc::clone(&purse);
            move || purse.wait(take(1))
        });
        *purse.lock() += 1;
        assert_eq!(waiter.join().unwrap(), 1);
        assert_eq!(*purse.lock(), 0);
    });
}

/// Of two waiters with different conditions, the one that can continue does, even behind the other.
///
/// Fails if an unlock tries only the first waiter (edit `monitor-asks-the-front-only`).
#[test]
fn a_change_passes_a_waiter_that_has_no_use_for_it() {
    model::check(|| {
        let purse = Arc::new(Monitor::new(0));
        let [large, small] = [2, 1].map(|amount| {
            let purse = Arc::clone(&purse);
            thread::spawn(move || purse.wait(take(amount)))
        });
        *purse.lock() += 1;
        assert_eq!(small.join().unwrap(), 1);
        *purse.lock() += 2;
        assert_eq!(large.join().unwrap(), 2);
    });
}

/// The change that one waiter makes lets an earlier waiter continue.
///
/// Fails if the pass continues behind a waiter that succeeded instead of starting again (edit
/// `monitor-does-not-begin-anew`).
#[test]
fn a_waiters_own_change_lets_an_earlier_one_continue() {
    model::check(|| {
        let state = Arc::new(Monitor::new(0));
        let steps = [1, 0].map(|at| {
            let state = Arc::clone(&state);
            thread::spawn(move || state.wait(|state| (*state == at).then(|| *state += 1)))
        });
        state.wait(|state| (*state == 2).then_some(()));
        steps.into_iter().for_each(|step| step.join().unwrap());
    });
}

/// A change that all waiters wait for wakes all of them.
///
/// Fails if an unlock stops at the first waiter that can continue (edit `monitor-lets-one-go-on`).
#[test]
fn a_close_lets_every_waiter_continue() {
    model::check(|| {
        let closed = Arc::new(Monitor::new(false));
        let waiters = [(); 2].map(|()| {
            let closed = Arc::clone(&closed);
            thread::spawn(move || closed.wait(|closed| closed.then_some(())))
        });
        *closed.lock() = true;
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    });
}

/// A cancelled waiter has taken its item or left it for the next waiter: no item is lost or taken twice.
///
/// Fails if a waiter discards a result that came first (edit `monitor-forgets-the-result`), or stays in the
/// list (edit `monitor-late-waiter-stays`).
#[test]
fn a_cancelled_waiter_has_its_result_or_leaves_no_trace() {
    model::check(|| {
        let purse = Arc::new(Monitor::new(0));
        let stop = CancelToken::new();
        let waiter = thread::spawn({
            let (purse, stop) = (Arc::clone(&purse), stop.clone());
            move || purse.wait_until(&stop, take(1))
        });
        let payer = thread::spawn({
            let purse = Arc::clone(&purse);
            move || *purse.lock() += 1
        });
        stop.cancel();
        let taken = waiter.join().unwrap();
        payer.join().unwrap();
        assert!(!format!("{purse:?}").contains("waiting: 1"));
        let left = *purse.lock();
        match taken {
            Ok(amount) => assert_eq!((amount, left), (1, 0)),
            Err(error) => assert_eq!((error, left), (WaitError::Cancelled, 1)),
        }
    });
}

/// An item that arrives after a waiter's deadline goes to the waiter behind it.
///
/// Fails if a waiter that its limit has ended is still tried (edit `monitor-asks-those-who-gave-up`).
#[test]
fn a_change_after_a_deadline_goes_to_the_next_waiter() {
    model::check(|| {
        let clock = Clock::manual();
        let purse = Arc::new(Monitor::new(0));
        let late = thread::spawn({
            let (purse, clock) = (Arc::clone(&purse), clock.clone());
            move || purse.wait_until((clock.clock(), SECOND), take(1))
        });
        clock.wait_for_sleepers(1);
        let behind = thread::spawn({
            let purse = Arc::clone(&purse);
            move || purse.wait(take(1))
        });
        clock.advance(SECOND);
        *purse.lock() += 1;
        assert_eq!(late.join().unwrap(), Err(WaitError::TimedOut));
        assert_eq!(behind.join().unwrap(), 1);
    });
}

/// A deadline and a success race: the waiter gets one of them, the state agrees, and the waiter has left the
/// list.
///
/// Fails if a waiter discards a result that came first (edit `monitor-forgets-the-result`), or stays in the
/// list (edit `monitor-late-waiter-stays`).
#[test]
fn a_deadline_and_a_success_exclude_each_other() {
    model::check(|| {
        let clock = Clock::manual();
        let purse = Arc::new(Monitor::new(0));
        let waiter = thread::spawn({
            let (purse, clock) = (Arc::clone(&purse), clock.clone());
            move || purse.wait_until((clock.clock(), SECOND), take(1))
        });
        clock.wait_for_sleepers(1);
        let payer = thread::spawn({
            let purse = Arc::clone(&purse);
            move || *purse.lock() += 1
        });
        clock.advance(SECOND);
        let taken = waiter.join().unwrap();
        payer.join().unwrap();
        assert!(!format!("{purse:?}").contains("waiting: 1"));
        assert_eq!(taken.unwrap_or(0) + *purse.lock(), 1);
    });
}

/// The panic of a closure reaches its own waiter, even if another thread made the attempt, and the other
/// waiters are tried nevertheless.
///
/// Fails if a panic counts as a failed attempt (edit `monitor-panic-is-no-end`).
#[test]
fn a_panic_reaches_its_waiter() {
    model::check(|| {
        let state = Arc::new(Monitor::new(0));
        let panics = thread::spawn({
            let state = Arc::clone(&state);
            move || {
                let attempt = |state: &mut u32| match state {
                    0 => None::<()>,
                    _ => std::panic::resume_unwind(Box::new("mine")),
                };
                catch_unwind(AssertUnwindSafe(|| state.wait(attempt))).is_err()
            }
        });
        let behind = thread::spawn({
            let state = Arc::clone(&state);
            move || state.wait(|state| (*state == 1).then_some(()))
        });
        *state.lock() = 1;
        assert!(panics.join().unwrap());
        behind.join().unwrap();
    });
}

/// A thread that has locked the monitor, or whose attempt is being made, cannot wait for itself: the wait is
/// refused, and the lock is free afterwards.
///
/// Fails if the holder of the lock is not recorded (edit `monitor-does-not-know-its-holder`).
#[test]
fn a_wait_under_its_own_lock_is_refused() {
    model::check(|| {
        let state = Arc::new(Monitor::new(0));
        let other = thread::spawn({
            let state = Arc::clone(&state);
            move || {
                let inner = Arc::clone(&state);
                state.wait(move |now| (*now > 0).then(|| inner.wait_until(&CancelToken::new(), |_| Some(()))))
            }
        });
        *state.lock() += 1;
        assert_eq!(other.join().unwrap(), Err(WaitError::WouldDeadlock));
        assert_eq!(state.wait(|state| Some(*state)), 1);
    });
}

/// The guide's priority queue: each pushed item is popped, although both sides have to wait, and a close
/// reaches both sides.
///
/// Fails if an unlock makes no attempts (edit `monitor-unlock-asks-nobody`).
#[test]
fn the_guides_priority_queue_loses_nothing() {
    model::check(|| {
        let queue = Arc::new(PriorityQueue::new(1));
        let producer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || [1, 2].map(|item| queue.push(item).is_ok())
        });
        let consumer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.pop()
        });
        let own = queue.pop().unwrap();
        let popped = consumer.join().unwrap().unwrap();
        assert_eq!(producer.join().unwrap(), [true; 2]);
        assert_eq!(own + popped, 3);
        queue.close();
        assert!(queue.pop().is_err());
    });
}
