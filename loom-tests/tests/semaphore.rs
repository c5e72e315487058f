//! Models of `Semaphore`: every schedule of a few threads, with the edit that breaks each.

use selvedge_loom as selvedge;

use selvedge::error::{TryError, WaitError};
use selvedge::sync::atomic::{AtomicUsize, Ordering};
use selvedge::sync::cell::UnsafeCell;
use selvedge::sync::{Arc, model, thread};
use selvedge::{CancelToken, Clock, Semaphore};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// A cell that only one thread at a time may access; loom reports concurrent accesses.
struct Guarded(UnsafeCell<u32>);

// SAFETY: the models access it only while they hold the one permit of a semaphore. If that does not exclude
// other threads, loom reports the access instead of performing it.
unsafe impl Sync for Guarded {}
// SAFETY: a number has no thread affinity.
unsafe impl Send for Guarded {}

impl Guarded {
    fn touch(&self) {
        self.0.with_mut(|value| {
            // SAFETY: loom has checked that no other thread accesses the cell now.
            unsafe { *value += 1 }
        });
    }
}

/// One permit excludes other holders, and what its holder did is visible to the next holder.
///
/// Fails if returning a permit publishes nothing (edit `semaphore-release-relaxed`), or if acquiring does not
/// synchronise with it, on the fast path (edit `semaphore-acquire-relaxed`) or when a waiter is granted (edit
/// `semaphore-serve-relaxed`).
#[test]
fn one_permit_excludes_and_publishes() {
    model::check(|| {
        let shared = Arc::new((Semaphore::new(1), Guarded(UnsafeCell::new(0))));
        let other = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let _permit = shared.0.acquire().unwrap();
                shared.1.touch();
            }
        });
        for _ in 0..2 {
            let _permit = shared.0.acquire().unwrap();
            shared.1.touch();
        }
        other.join().unwrap();
        assert_eq!(shared.0.available(), 1);
    });
}

/// What the holder of a permit did is visible to the next holder, if the permit returned on the slow path and
/// is acquired on the fast path: a thread waited when the first began to return it, and had left before the
/// second acquired it.
///
/// Fails if the slow path of returning publishes nothing (edit `semaphore-slow-release-relaxed`).
#[test]
fn a_permit_given_back_slowly_publishes() {
    model::check(|| {
        let shared = Arc::new((Semaphore::new(1), Guarded(UnsafeCell::new(0))));
        let permit = shared.0.acquire().unwrap();
        let waiter = thread::spawn({
            let shared = Arc::clone(&shared);
            move || drop(shared.0.acquire_until(HOUR))
        });
        let taker = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                if let Ok(_permit) = shared.0.try_acquire() {
                    shared.1.touch();
                }
            }
        });
        shared.1.touch();
        drop(permit);
        waiter.join().unwrap();
        taker.join().unwrap();
        assert_eq!(shared.0.available(), 1);
    });
}

/// Two threads that each try to acquire one of two permits both succeed: a lost race for the word is not a
/// lack of permits.
///
/// Fails if a failed exchange is not repeated (edit `semaphore-tries-once`).
#[test]
fn a_try_that_loses_the_race_for_the_word_tries_again() {
    model::check(|| {
        let semaphore = Arc::new(Semaphore::new(2));
        let other = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.try_acquire().map(drop)
        });
        let mine = semaphore.try_acquire().map(drop);
        assert_eq!((mine, other.join().unwrap()), (Ok(()), Ok(())));
        assert_eq!(semaphore.available(), 2);
    });
}

/// A permit that returns while a thread joins the list of waiters is not missed.
///
/// Fails if joining does not serve the list (edit `semaphore-join-without-serving`), or if it does not stop
/// the fast path (edit `semaphore-join-sets-no-bit`).
#[test]
fn a_permit_given_back_reaches_a_sleeper() {
    model::check(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let permit = semaphore.acquire_owned().unwrap();
        let sleeper = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || drop(semaphore.acquire().unwrap())
        });
        drop(permit);
        sleeper.join().unwrap();
        assert_eq!(semaphore.available(), 1);
    });
}

/// When the first waiter, which wants many permits, times out, the waiter behind it, which wants few, is
/// served, though no permit returns.
///
/// Fails if a waiter that gives up does not serve the list (edit `semaphore-give-up-serves-nobody`).
#[test]
fn a_front_waiter_that_gives_up_hands_its_turn_on() {
    model::check(|| {
        let clock = Clock::manual();
        let at = clock.now() + HOUR;
        let semaphore = Arc::new(Semaphore::new(2));
        let held = semaphore.acquire_owned().unwrap();
        let large = thread::spawn({
            let (semaphore, clock) = (Arc::clone(&semaphore), clock.clone());
            move || semaphore.acquire_many_until(2, (clock.clock(), at)).map(|permit| permit.count())
        });
        let small = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.acquire().map(|permit| permit.count())
        });
        clock.advance(HOUR);
        assert_eq!(small.join().unwrap(), Ok(1));
        assert_eq!(large.join().unwrap(), Err(WaitError::TimedOut));
        drop(held);
        assert_eq!(semaphore.available(), 2);
    });
}

/// When a grant and a cancellation meet, the permit is either held by the waiter or free, never lost or
/// doubled.
///
/// Fails if a grant that came too late takes permits all the same (edit `semaphore-grants-the-gone`), or if a
/// wait can be ended twice (edit `waiter-ends-twice`).
#[test]
fn a_grant_that_meets_a_cancel_loses_no_permit() {
    model::check(|| {
        let token = CancelToken::new();
        let semaphore = Arc::new(Semaphore::new(1));
        let permit = semaphore.acquire_owned().unwrap();
        let waiter = thread::spawn({
            let (semaphore, token) = (Arc::clone(&semaphore), token.clone());
            move || semaphore.acquire_owned_until(&token)
        });
        let canceller = thread::spawn(move || token.cancel());
        drop(permit);
        canceller.join().unwrap();
        let result = waiter.join().unwrap();
        assert_eq!(semaphore.available(), usize::from(result.is_err()));
        drop(result);
        assert_eq!(semaphore.available(), 1);
    });
}

/// A newcomer does not overtake a waiter, however few permits it wants.
///
/// Fails if newcomers take free permits while threads wait (edit `semaphore-newcomers-overtake`).
#[test]
fn a_small_newcomer_does_not_overtake_a_large_waiter() {
    model::check(|| {
        let semaphore = Arc::new(Semaphore::new(2));
        let held = semaphore.acquire_owned().unwrap();
        let order = Arc::new(AtomicUsize::new(0));
        let large = thread::spawn({
            let (semaphore, order) = (Arc::clone(&semaphore), Arc::clone(&order));
            move || {
                let _both = semaphore.acquire_many(2).unwrap();
                order.fetch_add(1, Ordering::AcqRel)
            }
        });
        while !format!("{semaphore:?}").contains("waiting: 1") {
            thread::yield_now();
        }
        // The one free permit is not for newcomers while a thread waits for two.
        assert_eq!(semaphore.try_acquire().unwrap_err(), TryError::WouldBlock);
        let small = thread::spawn({
            let (semaphore, order) = (Arc::clone(&semaphore), Arc::clone(&order));
            move || {
                let _one = semaphore.acquire().unwrap();
                order.fetch_add(1, Ordering::AcqRel)
            }
        });
        drop(held);
        assert_eq!(large.join().unwrap(), 0);
        assert_eq!(small.join().unwrap(), 1);
    });
}

/// `close` wakes all waiters, and no thread joins the list afterwards.
///
/// Fails if closing ignores the list (edit `semaphore-close-forgets-the-waiters`).
#[test]
fn closing_wakes_every_waiter() {
    model::check(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let held = semaphore.acquire().unwrap();
        let waiters = [(); 2].map(|()| {
            let semaphore = Arc::clone(&semaphore);
            thread::spawn(move || semaphore.acquire().map(drop))
        });
        semaphore.close();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), Err(WaitError::Closed));
        }
        drop(held);
    });
}

/// Permits that are added and permits that return at the same time all count; removed permits do not return.
///
/// Fails if a resize does not stop the fast path (edit `semaphore-resize-races-the-fast-path`).
#[test]
fn resizing_while_permits_move_keeps_the_sum() {
    model::check(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let held = semaphore.acquire_owned().unwrap();
        let mover = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || {
                drop(held);
                drop(semaphore.try_acquire());
            }
        });
        semaphore.resize(0);
        semaphore.resize(2);
        mover.join().unwrap();
        assert_eq!((semaphore.available(), semaphore.total()), (2, 2));
    });
}

/// A waiter for more permits than a resized semaphore has gets an error instead of waiting forever.
///
/// Fails if a resize ignores the list (edit `semaphore-resize-refuses-nobody`).
#[test]
fn shrinking_below_what_a_waiter_wants_ends_its_wait() {
    model::check(|| {
        let semaphore = Arc::new(Semaphore::new(2));
        let held = semaphore.acquire_owned().unwrap();
        let waiter = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.acquire_many(2).map(drop)
        });
        semaphore.resize(1);
        assert_eq!(waiter.join().unwrap(), Err(WaitError::InsufficientCapacity));
        drop(held);
        assert_eq!(semaphore.available(), 1);
    });
}

/// A try that races a resize takes a permit if one is free throughout.
///
/// Fails if the try believes the bit that the resize has set for a moment (edit
/// `semaphore-try-believes-a-resize`).
#[test]
fn a_try_that_races_a_resize_takes_a_free_permit() {
    model::check(|| {
        let semaphore = Arc::new(Semaphore::new(2));
        let resizer = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.resize(3)
        });
        assert!(semaphore.try_acquire().is_ok());
        resizer.join().unwrap();
        assert_eq!(semaphore.available(), 3);
    });
}
