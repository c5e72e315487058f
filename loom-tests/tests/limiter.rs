//! Models of `RateLimiter`: every schedule of a few threads, with the edit that breaks each.

use selvedge_loom as selvedge;

use std::time::Duration;

use selvedge::error::{Closed, TryError, WaitError};
use selvedge::limiter::{KeyedLimiter, Pacer, Ticker};
use selvedge::sync::{Arc, model, thread};
use selvedge::{CancelToken, Clock, ManualClock, RateLimiter};

const HOUR: Duration = Duration::from_secs(3600);

/// One token an hour, and `burst` tokens at the start.
fn hourly(burst: u64) -> (ManualClock, Arc<RateLimiter>) {
    let clock = Clock::manual();
    let limiter = RateLimiter::new(1, HOUR).with_burst(burst).with_clock(&clock);
    (clock, Arc::new(limiter))
}

/// Two threads that acquire while time passes between their calls never get more than burst + rate · time.
///
/// Fails if the check and the taking are two steps (edit `limiter-looks-and-takes-apart`), or if time
/// counts twice (edit `limiter-fills-from-the-past`).
#[test]
fn two_takers_never_get_more_than_burst_and_rate_allow() {
    model::check(|| {
        let (clock, limiter) = hourly(1);
        let taker = {
            let limiter = Arc::clone(&limiter);
            move || usize::from(limiter.try_acquire(1).is_ok()) + usize::from(limiter.try_acquire(1).is_ok())
        };
        let other = thread::spawn(taker.clone());
        let waker = thread::spawn(move || clock.advance(HOUR));
        let taken = taker() + other.join().unwrap();
        waker.join().unwrap();
        assert!((1..=2).contains(&taken), "{taken} were given out");
        // What is left is at most what came and was not given out; a full bucket spills.
        assert!(limiter.available() <= 2 - taken as u64);
    });
}

/// Of two tokens one is taken, and another comes meanwhile: whoever asks for one finds one, whichever of the
/// two it sees first.
///
/// Fails if a call reads the clock before the bucket, and so finds what was taken later missing at an earlier
/// time (edit `limiter-reads-the-clock-first`).
#[test]
fn a_token_that_is_always_there_is_never_refused() {
    model::check(|| {
        let (clock, limiter) = hourly(2);
        limiter.try_acquire(1).unwrap();
        let other = thread::spawn({
            let limiter = Arc::clone(&limiter);
            move || limiter.try_acquire(1)
        });
        clock.advance(HOUR);
        assert_eq!(limiter.try_acquire(1), Ok(()));
        assert_eq!(other.join().unwrap(), Ok(()));
        assert_eq!(limiter.available(), 0);
    });
}

/// One thread takes the only token while another uses the lock, and then wants it too: one of them gets it.
///
/// Fails if a call with the lock reads and locks the bucket in two steps (edit
/// `limiter-withdraws-in-two-steps`), or if a call goes on with a bucket that was locked under it (edit
/// `limiter-takes-from-a-locked-bucket`).
#[test]
fn a_call_with_the_lock_loses_no_taking() {
    model::check(|| {
        let (_clock, limiter) = hourly(1);
        let other = thread::spawn({
            let limiter = Arc::clone(&limiter);
            move || limiter.try_acquire(1).is_ok()
        });
        assert_eq!(limiter.waiting(), 0);
        let taken = limiter.try_acquire(1).is_ok();
        assert_ne!(taken, other.join().unwrap());
        assert_eq!(limiter.available(), 0);
    });
}

/// After `close` has returned, nobody gets a token; before, one may.
///
/// Fails if a closed bucket may be taken from without the lock (edit `limiter-publishes-a-closed-bucket`).
#[test]
fn a_closed_limiter_gives_out_nothing() {
    model::check(|| {
        let (_clock, limiter) = hourly(2);
        let other = thread::spawn({
            let limiter = Arc::clone(&limiter);
            move || limiter.try_acquire(1)
        });
        assert!(limiter.close());
        assert_eq!(limiter.try_acquire(1), Err(TryError::Closed));
        assert!(matches!(other.join().unwrap(), Ok(()) | Err(TryError::Closed)));
    });
}

/// A waiter is cancelled before its token comes. When it has come, a thread that takes without the lock finds
/// it, or the waiter has it: not neither.
///
/// Fails if a thread takes without the lock while another waits, and so does not notice that the other has
/// given up (edit `limiter-publishes-while-a-thread-waits`).
#[test]
fn a_token_of_a_waiter_that_gave_up_is_not_lost_to_a_taker() {
    model::check(|| {
        let (clock, limiter) = hourly(1);
        limiter.try_acquire(1).unwrap();
        let token = CancelToken::new();
        let waiter = thread::spawn({
            let (limiter, token) = (Arc::clone(&limiter), token.clone());
            move || limiter.acquire_until(1, &token)
        });
        token.cancel();
        clock.advance(HOUR);
        let taken = limiter.try_acquire(1).is_ok();
        assert_ne!(taken, waiter.join().unwrap().is_ok());
    });
}

/// A waiter does not miss the instant at which its token comes, wherever in its call the clock reaches that
/// instant.
///
/// Fails if a waiter sets no alarm (edit `limiter-sets-no-alarm`).
#[test]
fn a_token_that_comes_while_a_waiter_joins_reaches_it() {
    model::check(|| {
        let (clock, limiter) = hourly(1);
        limiter.acquire(1).unwrap();
        let waiter = thread::spawn({
            let limiter = Arc::clone(&limiter);
            move || limiter.acquire(1)
        });
        clock.advance(HOUR);
        // No call uses the limiter from here on, so only the clock can wake the waiter.
        assert_eq!(waiter.join().unwrap(), Ok(()));
        assert_eq!(limiter.available(), 0);
    });
}

/// When the first waiter gives up, the waiters behind it get its tokens, and so their own earlier.
///
/// Fails if a waiter that gives up keeps its reservation (edit `limiter-keeps-what-was-given-up`), or if the
/// waiters behind sleep until the old instant (edit `limiter-new-plan-wakes-nobody`).
#[test]
fn a_cancelled_front_waiter_hands_its_turn_on() {
    model::check(|| {
        let (clock, limiter) = hourly(2);
        limiter.acquire(2).unwrap();
        let token = CancelToken::new();
        let front = thread::spawn({
            let (limiter, token) = (Arc::clone(&limiter), token.clone());
            move || limiter.acquire_until(2, &token)
        });
        wait_for_line(&limiter, 1);
        let behind = thread::spawn({
            let limiter = Arc::clone(&limiter);
            move || limiter.acquire(1)
        });
        wait_for_line(&limiter, 2);
        token.cancel();
        assert_eq!(front.join().unwrap(), Err(WaitError::Cancelled));
        // One token comes, and the second waiter gets it.
        clock.advance(HOUR);
        assert_eq!(behind.join().unwrap(), Ok(()));
        assert_eq!((limiter.available(), limiter.delay(1)), (0, Some(HOUR)));
    });
}

fn wait_for_line(limiter: &RateLimiter, length: usize) {
    while limiter.waiting() < length {
        thread::yield_now();
    }
}

/// When the token comes and a cancellation comes, either the waiter has the token or it is available to
/// others, never both or neither.
///
/// Fails if a waiter that gave up before its token came is charged for it because that is noticed only
/// afterwards (edit `limiter-charges-the-gone`).
#[test]
fn a_token_that_meets_a_cancel_is_not_lost() {
    model::check(|| {
        let (clock, limiter) = hourly(1);
        limiter.acquire(1).unwrap();
        let token = CancelToken::new();
        let waiter = thread::spawn({
            let (limiter, token) = (Arc::clone(&limiter), token.clone());
            move || limiter.acquire_until(1, &token)
        });
        let canceller = thread::spawn(move || token.cancel());
        // The cancellation may come before the waiter joins, so the list may stay empty.
        for _ in 0..2 {
            if limiter.waiting() == 0 {
                thread::yield_now();
            }
        }
        clock.advance(HOUR);
        canceller.join().unwrap();
        match waiter.join().unwrap() {
            Ok(()) => assert_eq!(limiter.available(), 0),
            Err(error) => assert_eq!((error, limiter.available()), (WaitError::Cancelled, 1)),
        }
    });
}

/// Closing ends all waits, also that of a waiter that was just woken for a new instant.
///
/// Fails if a waiter that was woken before is forgotten (edit `limiter-close-forgets-the-woken`), or if
/// closing ignores the list (edit `limiter-close-forgets-the-waiters`).
#[test]
fn closing_wakes_every_waiter() {
    model::check(|| {
        let (_clock, limiter) = hourly(2);
        limiter.acquire(2).unwrap();
        let waiters = [(); 2].map(|()| {
            let limiter = Arc::clone(&limiter);
            thread::spawn(move || limiter.acquire(1))
        });
        limiter.set_rate(1, HOUR * 2);
        limiter.close();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), Err(WaitError::Closed));
        }
    });
}

/// The waiters of a paused limiter have no instant to sleep to; a new rate reaches them.
///
/// Fails if waiters are not woken for a new instant (edit `limiter-new-plan-wakes-nobody`), or if instants
/// are compared in ticks, whose length depends on the rate (edit `limiter-compares-ticks`).
#[test]
fn a_new_rate_reaches_a_sleeper() {
    model::check(|| {
        let clock = Clock::manual();
        let limiter = Arc::new(RateLimiter::new(0, HOUR).with_burst(1).with_clock(&clock));
        limiter.acquire(1).unwrap();
        let waiter = thread::spawn({
            let limiter = Arc::clone(&limiter);
            move || limiter.acquire(1)
        });
        limiter.set_rate(1, HOUR);
        clock.wait_for_sleepers(1);
        clock.advance(HOUR);
        assert_eq!(waiter.join().unwrap(), Ok(()));
        assert_eq!(limiter.available(), 0);
    });
}

/// A paused limiter has one token left, and a waiter for more reserves it. When that waiter is refused while
/// another thread is between its attempt and its reservation, the other gets the token.
///
/// Fails if an available token never comes because no more tokens come (edit `limiter-paused-never-comes`).
#[test]
fn a_token_that_a_smaller_burst_frees_reaches_a_joining_waiter() {
    model::check(|| {
        let limiter = Arc::new(RateLimiter::new(0, HOUR).with_burst(3).with_clock(Clock::manual()));
        limiter.acquire(2).unwrap();
        let [in_the_way, waiter] = [3, 1].map(|count| {
            let limiter = Arc::clone(&limiter);
            thread::spawn(move || limiter.acquire(count))
        });
        limiter.set_burst(2);
        // Only the two waiters use the limiter from here on.
        assert_eq!(waiter.join().unwrap(), Ok(()));
        assert_eq!(in_the_way.join().unwrap(), Err(WaitError::InsufficientCapacity));
        assert_eq!(limiter.available(), 0);
    });
}

/// When a tick comes and a cancellation comes, the call returns one of them, and a tick that it did not take
/// is left for the next call.
///
/// Fails if a tick is taken before the wait for it (edit `ticker-takes-before-it-waits`).
#[test]
fn a_tick_and_a_cancel_are_the_one_or_the_other() {
    model::check(|| {
        let (clock, token) = (Clock::manual(), CancelToken::new());
        let first = clock.now() + HOUR;
        let mut ticks = Ticker::new(HOUR).with_clock(&clock);
        let waiter = thread::spawn({
            let token = token.clone();
            move || {
                let mut seen = vec![ticks.next_until(&token)];
                if seen[0].is_err() {
                    seen.push(ticks.next_until(Duration::MAX));
                }
                seen
            }
        });
        let canceller = thread::spawn(move || token.cancel());
        clock.advance(HOUR);
        canceller.join().unwrap();
        let seen = waiter.join().unwrap();
        let tick = seen.last().unwrap().expect("the tick has come");
        assert_eq!((tick.due, tick.missed), (first, 0));
        assert!(seen.len() == 1 || seen[0] == Err(WaitError::Cancelled));
    });
}

/// When a sweep of idle keys meets two threads that use the same key, there are never two buckets for it.
///
/// Fails if a sweep forgets a key that a thread holds (edit `keyed-forgets-what-is-held`), or if a key is
/// inserted without a second lookup (edit `keyed-enters-without-a-look`).
#[test]
fn a_key_is_not_forgotten_under_a_taker() {
    model::check(|| {
        let clock = Clock::manual();
        let limiter = Arc::new(KeyedLimiter::<u8>::new(1, HOUR).with_clock(&clock));
        let takers = [(); 2].map(|()| {
            let limiter = Arc::clone(&limiter);
            thread::spawn(move || u32::from(limiter.try_acquire(&1, 1).is_ok()))
        });
        limiter.forget_idle();
        let taken: u32 = takers.map(|taker| taker.join().unwrap()).iter().sum();
        assert_eq!((taken, limiter.available(&1)), (1, 0));
    });
}

/// A token that is given back serves the waiter, for whom no time passes.
///
/// Fails if it only fills the bucket (edit `limiter-gives-back-to-nobody`).
#[test]
fn a_token_that_is_given_back_serves_the_waiter() {
    model::check(|| {
        let (_clock, limiter) = hourly(1);
        limiter.acquire(1).unwrap();
        let waiter = thread::spawn({
            let limiter = Arc::clone(&limiter);
            move || limiter.acquire(1)
        });
        limiter.give_back(1);
        assert_eq!(waiter.join().unwrap(), Ok(()));
        assert_eq!(limiter.available(), 0);
    });
}

/// A reservation is dropped while a thread joins behind it, and while its token comes: the thread gets the
/// token at the first hour in any case.
///
/// Fails if a dropped reservation keeps its place (edit `limiter-reservation-keeps-its-place`), or its token
/// if that has come (edit `limiter-reservation-keeps-its-token`).
#[test]
fn a_reservation_that_is_dropped_leaves_its_tokens_to_the_next() {
    model::check(|| {
        let (clock, limiter) = hourly(1);
        limiter.acquire(1).unwrap();
        let reservation = limiter.reserve(1).unwrap();
        let waiter = thread::spawn({
            let limiter = Arc::clone(&limiter);
            move || limiter.acquire(1)
        });
        let advancing = thread::spawn(move || clock.advance(HOUR));
        drop(reservation);
        assert_eq!(waiter.join().unwrap(), Ok(()));
        advancing.join().unwrap();
        assert_eq!(limiter.available(), 0);
    });
}

/// A key that is used for the first time while the burst changes has the new burst from then on.
///
/// Fails if it is entered with the burst that it was made for (edit `limiter-enters-a-stale-key`).
#[test]
fn a_key_that_is_made_during_a_change_has_the_new_rate() {
    model::check(|| {
        let clock = Clock::manual();
        let limiter = Arc::new(KeyedLimiter::<u8>::new(1, HOUR).with_clock(&clock));
        let other = thread::spawn({
            let limiter = Arc::clone(&limiter);
            move || limiter.try_acquire(&7, 1)
        });
        limiter.set_burst(2);
        assert_eq!(other.join().unwrap(), Ok(()));
        // It had one token or two, and there is room for two.
        assert_eq!(limiter.try_acquire(&7, 2), Err(TryError::WouldBlock));
        assert_eq!(limiter.burst(), 2);
    });
}

/// A push into an empty slot wakes the thread that waits for a value, wherever in its call it is.
///
/// Fails if it wakes nobody (edit `pacer-push-wakes-nobody`).
#[test]
fn a_push_wakes_the_thread_that_waits_for_a_value() {
    model::check(|| {
        let pacer = Arc::new(Pacer::debounce(Duration::ZERO).with_clock(Clock::manual()));
        let taker = thread::spawn({
            let pacer = Arc::clone(&pacer);
            move || pacer.next()
        });
        pacer.push(7).unwrap();
        assert_eq!(taker.join().unwrap(), Ok(7));
    });
}

/// A value that is not due is due when the pacer closes. Of two threads that wait, one takes it, and the
/// other is told that no more will come.
///
/// Fails if closing wakes nobody (edit `pacer-close-wakes-nobody`), or if the value waits for its time (edit
/// `pacer-close-leaves-the-last`).
#[test]
fn closing_makes_the_last_value_due() {
    model::check(|| {
        let pacer = Arc::new(Pacer::debounce(HOUR).with_clock(Clock::manual()));
        pacer.push(7).unwrap();
        let takers = [(); 2].map(|()| {
            let pacer = Arc::clone(&pacer);
            thread::spawn(move || pacer.next())
        });
        pacer.close();
        let taken = takers.map(|taker| taker.join().unwrap());
        assert!(taken == [Ok(7), Err(Closed)] || taken == [Err(Closed), Ok(7)], "{taken:?}");
    });
}
