//! Models of `ManualClock`, with the edits that break each. The models of deadlines that race other events
//! are in `cancel.rs`.

use selvedge_loom as selvedge;

use std::time::Duration;

use selvedge::error::WaitError;
use selvedge::sync::atomic::{AtomicBool, Ordering::Relaxed};
use selvedge::sync::{Arc, model, thread};
use selvedge::{BoundedQueue, CancelToken, Clock, Latch, Until, timeout};

const HOUR: Duration = Duration::from_secs(3600);

/// A thread whose sleep was cancelled sleeps again. A thread that waits for a sleeper after the cancellation
/// sees the second sleep, so the hour by which it then advances the clock ends that sleep.
///
/// Fails if a thread counts until it is awake (edit `clock-counts-the-ended`), or if a new sleeper does not
/// wake the thread that waits for it (edit `clock-sleeper-tells-nobody`).
#[test]
fn a_sleeper_that_was_cancelled_is_not_counted() {
    model::check(|| {
        let clock = Clock::manual();
        let (first, second) = (CancelToken::with_clock(&clock), CancelToken::with_clock(&clock));
        let sleeper = thread::spawn({
            let first = first.clone();
            move || (first.sleep(HOUR), second.sleep(HOUR))
        });
        clock.wait_for_sleepers(1);
        first.cancel();
        clock.wait_for_sleepers(1);
        clock.advance(HOUR);
        let (first, second) = sleeper.join().unwrap();
        assert!(first.is_err());
        assert_eq!(second, Ok(()));
    });
}

/// Two threads that wait for different numbers of sleepers are both woken, and a thread that has two
/// deadlines on the clock, one of them that of its token, is one sleeper.
///
/// Fails if only a limit's own time counts (edit `clock-token-deadline-does-not-count`), or if a new sleeper
/// wakes only one waiter, for any number (edit `clock-sleeper-tells-one`). No edit makes a thread count
/// twice: the clock has one entry for each thread.
#[test]
fn each_sleeper_counts_once_whatever_ends_its_sleep() {
    model::check(|| {
        let clock = Clock::manual();
        let token = CancelToken::with_clock(&clock).child_until(HOUR);
        let queue = Arc::new(BoundedQueue::<u8>::new(1));
        let both = thread::spawn({
            let (queue, token) = (Arc::clone(&queue), token.clone());
            move || queue.pop_until((&token, HOUR * 2))
        });
        let last_comes = Arc::new(AtomicBool::new(false));
        let counting = thread::spawn({
            let (clock, last_comes) = (clock.clone(), Arc::clone(&last_comes));
            move || {
                clock.wait_for_sleepers(2);
                // Relaxed: the thread that counts takes the clock's lock after the sleeper did.
                assert!(last_comes.load(Relaxed));
            }
        });
        clock.wait_for_sleepers(1);
        // This thread is the second sleeper. The clock advances only once the other thread has counted two.
        let advancer = thread::spawn({
            let clock = clock.clone();
            move || {
                counting.join().unwrap();
                clock.advance(HOUR);
            }
        });
        last_comes.store(true, Relaxed);
        token.wait();
        assert_eq!(both.join().unwrap(), Err(WaitError::Cancelled));
        advancer.join().unwrap();
        assert_eq!(queue.try_push(1), Ok(()));
    });
}

/// A bare time in a scope of a manual clock passes with that clock, and races other events like any deadline:
/// the wait times out only after an advance, and an item that was not popped is left.
///
/// Fails if a bare time is read on the system's clock (edit `limit-ignores-the-scope`).
#[test]
fn a_bare_time_in_a_scope_passes_with_its_clock() {
    model::check(|| {
        let (clock, queue) = (Clock::manual(), Arc::new(BoundedQueue::new(1)));
        let advanced = Arc::new(AtomicBool::new(false));
        let other = thread::spawn({
            let (clock, queue, advanced) = (clock.clone(), Arc::clone(&queue), Arc::clone(&advanced));
            move || {
                advanced.store(true, Relaxed);
                clock.advance(HOUR);
                queue.push(1).unwrap();
            }
        });
        let popped = clock.scope(|| queue.pop_until(HOUR));
        assert!(popped == Ok(1) || (popped == Err(WaitError::TimedOut) && advanced.load(Relaxed)));
        other.join().unwrap();
        assert_eq!(queue.len(), usize::from(popped.is_err()));
    });
}

/// A helper reads the clock of the thread that it works for.
///
/// Fails if it reads the system's clock (edit `helper-ignores-the-scope`).
#[test]
fn a_helper_reads_the_clock_of_the_owner_it_works_for() {
    model::check(|| {
        let clock = Clock::manual();
        let now = clock.now();
        clock.advance(HOUR);
        clock.scope(|| {
            timeout::run(Until::forever(), move |_| assert_eq!(Clock::current().now(), now + HOUR)).unwrap();
        });
    });
}

/// A thread that an advance wakes works, wakes another one, and sleeps again. When the clock has settled,
/// both have done their work.
///
/// Fails if a thread that was woken and has not run counts as asleep (edit `clock-counts-the-ended`), if one
/// that runs is forgotten (edit `clock-forgets-the-awake`), or if a thread that goes to sleep does not wake
/// the one that waits for it (edit `clock-sleeper-tells-nobody`).
#[test]
fn what_an_advance_caused_has_happened_when_the_clock_has_settled() {
    model::check(|| {
        let clock = Clock::manual();
        let token = CancelToken::with_clock(&clock);
        let (queue, popped) = (Arc::new(BoundedQueue::<u8>::new(1)), Arc::new(AtomicBool::new(false)));
        let first = thread::spawn({
            let (queue, token) = (Arc::clone(&queue), token.clone());
            move || {
                token.sleep(HOUR).unwrap();
                queue.push(1).unwrap();
                token.sleep(HOUR)
            }
        });
        let second = thread::spawn({
            let (token, popped) = (token.clone(), Arc::clone(&popped));
            move || {
                let item = queue.pop_until((&token, HOUR * 2));
                // Relaxed: the lock of the clock, which the next sleep takes, publishes it.
                popped.store(item.is_ok(), Relaxed);
                token.sleep(HOUR)
            }
        });
        clock.wait_for_sleepers(2);
        clock.advance(HOUR);
        clock.settle();
        assert!(popped.load(Relaxed));
        // Both sleep, or the clock would not have settled.
        clock.advance(HOUR);
        assert_eq!((first.join().unwrap(), second.join().unwrap()), (Ok(()), Ok(())));
    });
}

/// A thread that an advance wakes works and ends. The clock has settled then, and not before.
///
/// Fails if the end of a thread does not wake the one that waits for it (edit `clock-end-tells-nobody`).
#[test]
fn a_thread_that_ends_no_longer_keeps_the_clock_from_settling() {
    model::check(|| {
        let (clock, ends) = (Clock::manual(), Arc::new(AtomicBool::new(false)));
        let sleeper = thread::spawn({
            let (token, ends) = (CancelToken::with_clock(&clock), Arc::clone(&ends));
            move || {
                token.sleep(HOUR).unwrap();
                ends.store(true, Relaxed);
            }
        });
        clock.wait_for_sleepers(1);
        clock.advance(HOUR);
        clock.settle();
        assert!(ends.load(Relaxed));
        sleeper.join().unwrap();
    });
}

/// A known thread that sleeps without a deadline, in a wait on another clock, has settled: whatever it did
/// before has happened.
///
/// Fails if a clock hears only of the sleeps that it measures (edit `clock-overlooks-other-sleeps`), or if a
/// thread in its scope is known from its first sleep only (edit `clock-scope-is-not-known`).
#[test]
fn a_known_thread_settles_in_a_sleep_on_another_clock() {
    model::check(|| {
        let clock = Clock::manual();
        let (known, queue) = (Arc::new(Latch::new(1)), Arc::new(BoundedQueue::<u8>::new(1)));
        let begins = Arc::new(AtomicBool::new(false));
        let popping = thread::spawn({
            let (clock, known, queue, begins) =
                (clock.clone(), Arc::clone(&known), Arc::clone(&queue), Arc::clone(&begins));
            move || {
                clock.scope(|| {
                    known.count_down();
                    begins.store(true, Relaxed);
                    let elsewhere = CancelToken::with_clock(Clock::system());
                    queue.pop_until(&elsewhere)
                })
            }
        });
        known.wait();
        clock.settle();
        assert!(begins.load(Relaxed));
        queue.push(7).unwrap();
        assert_eq!(popping.join().unwrap(), Ok(7));
    });
}
