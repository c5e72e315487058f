//! Models of `Semaphore`: every schedule of a few threads, with the edit that breaks each.

use selvedge_loom as selvedge;

use selvedge::error::{TryError, WaitError};
use selvedge::sync::atomic::{AtomicUsize, Ordering};
use selvedge::sync::cell::UnsafeCell;
use selvedge::sync::{Arc, model, thread};
use selvedge::{CancelToken, Clock, Semaphore};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// A cell that only one thread at a time may touch; loom reports two that do.
struct Guarded(UnsafeCell<u32>);

// SAFETY: the models below touch it under the only permit of a semaphore; that this excludes is what loom
// checks.
unsafe impl Sync for Guarded {}
// SAFETY: a number.
unsafe impl Send for Guarded {}

impl Guarded {
    fn touch(&self) {
        self.0.with_mut(|value| {
            // SAFETY: as above.
            unsafe { *value += 1 }
        });
    }
}

/// One permit excludes, and what its holder did is visible to the next.
///
/// Fails if giving back publishes nothing (edit `semaphore-release-relaxed`), or if taking does not look at
/// what was published, at once (edit `semaphore-acquire-relaxed`) or in line (edit
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

/// What the holder of a permit did is visible to a holder who takes it at once, although it was given back
/// the slow way: somebody waited when the one began to give back, and had left before the other took.
///
/// Fails if giving back slowly publishes nothing (edit `semaphore-slow-release-relaxed`).
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

/// Two threads that try for one of two permits each both get one: a lost race for the word is not a refusal.
///
/// Fails if the exchange that fails is not tried again (edit `semaphore-tries-once`).
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

/// A permit that comes back while a thread joins the line is not missed.
///
/// Fails if the line is not served when somebody joins it (edit `semaphore-join-without-serving`), or if
/// joining does not stop the calls that do without the lock (edit `semaphore-join-sets-no-bit`).
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

/// A large waiter at the front gives up by time: the small one behind it is served, though nobody gives
/// anything back.
///
/// Fails if who gives up does not serve those behind it (edit `semaphore-give-up-serves-nobody`).
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

/// A grant and a cancel meet: the permit is either with the waiter or free again, never lost or doubled.
///
/// Fails if a grant to somebody who has left is counted all the same (edit `semaphore-grants-the-gone`), or
/// if a waiter can be ended twice (edit `slot-ends-twice`).
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

/// Who comes later does not overtake who waits, however little it wants.
///
/// Fails if newcomers take what is free past the line (edit `semaphore-newcomers-overtake`).
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
        // The one free permit is not for newcomers while somebody waits for two.
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

/// `close` wakes everybody who waits, and nobody joins the line afterwards.
///
/// Fails if closing leaves the line alone (edit `semaphore-close-forgets-the-line`).
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

/// Permits added and permits given back at the same time both count; those taken away do not come back.
///
/// Fails if a resize does not stop the calls that do without the lock (edit
/// `semaphore-resize-races-the-fast-path`).
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

/// A waiter for more than a shrunk semaphore has is told, instead of waiting for ever.
///
/// Fails if a resize leaves the line alone (edit `semaphore-resize-refuses-nobody`).
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
