//! `retry::run`: how often, after which pauses, and how it ends. All on a manual clock.

mod common;

use std::error::Error as _;
use std::io;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use common::bombs::{Touchies, blow, panic_of};
use common::{HOUR, until_figure, within_a_minute};
use proptest::prelude::*;
use selvedge::error::WaitError;
use selvedge::retry::{self, Again, Error, Jitter, Policy, Reason};
use selvedge::{BoundedQueue, CancelToken, Clock, Latch, ManualClock, Until};

const SECOND: Duration = Duration::from_secs(1);

/// Pauses of 1, 2, 4, ... seconds.
fn seconds() -> Policy {
    retry::policy().attempts(usize::MAX).first(SECOND).cap(Duration::MAX).jitter(Jitter::None)
}

/// Without pauses.
fn at_once(attempts: usize) -> Policy {
    retry::policy().attempts(attempts).first(Duration::ZERO)
}

/// The seconds since now, on `clock`, at which attempts of `call` began, and how it ended. The clock is
/// advanced by half seconds.
fn times_of<T: Send, E: Send>(
    clock: &ManualClock,
    call: impl FnOnce(&dyn Fn()) -> Result<T, Error<E>> + Send,
) -> (Vec<f64>, Result<T, Error<E>>) {
    let (start, times, known) = (clock.now(), Mutex::new(Vec::new()), Latch::new(1));
    let note = || times.lock().unwrap().push((clock.now() - start).as_secs_f64());
    let result = thread::scope(|s| {
        let in_scope = || {
            known.count_down();
            call(&note)
        };
        let call = s.spawn(|| clock.scope(in_scope));
        known.wait();
        // It sleeps, or has ended.
        clock.settle();
        while !call.is_finished() && clock.wait_for_sleepers_until(1, Duration::ZERO).is_ok() {
            clock.advance(SECOND / 2);
            clock.settle();
        }
        call.join().unwrap()
    });
    (times.into_inner().unwrap(), result)
}

#[test]
fn operation_that_succeeds_at_once_is_called_once() {
    let mut calls = 0;
    let result = retry::run(Until::forever(), &seconds(), |attempt| {
        calls += 1;
        Ok::<_, ()>(attempt.number())
    });
    assert_eq!((result, calls), (Ok(1), 1));
}

#[test]
fn pauses_grow_until_the_operation_succeeds() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let (times, result) = times_of(&clock, |note| {
            retry::run((clock.clock(), HOUR), &seconds(), |attempt| {
                note();
                if attempt.number() < 5 { Err("not yet") } else { Ok(attempt.number()) }
            })
        });
        assert_eq!(times, [0.0, 1.0, 3.0, 7.0, 15.0]);
        assert_eq!(result, Ok(5));
    });
}

#[test]
fn last_error_comes_back_when_the_attempts_are_used_up() {
    let mut last = Vec::new();
    let error = retry::run(Until::forever(), &at_once(3), |attempt| {
        last.push(attempt.is_last());
        Err::<(), _>(attempt.number())
    })
    .unwrap_err();
    assert_eq!((error.last, error.attempts, error.reason), (Some(3), 3, Reason::Exhausted));
    assert_eq!(last, [false, false, true]);
}

#[test]
fn pause_that_would_reach_the_limit_is_not_begun() {
    within_a_minute(|| {
        let clock = Clock::manual();
        // Attempts at 0, 1, 3; the next would be at 7.
        for (limit, attempts) in [(6.5, 3), (7.0, 3), (7.5, 4), (1.0, 1), (0.0, 1)] {
            let limit = Duration::from_secs_f64(limit);
            let before = clock.now();
            let (times, result) = times_of(&clock, |note| {
                retry::run((clock.clock(), limit), &seconds(), |attempt| {
                    note();
                    Err::<(), _>(attempt.number())
                })
            });
            let error = result.unwrap_err();
            assert_eq!((error.last, error.reason), (Some(attempts), Reason::TimedOut));
            assert_eq!(error.attempts, times.len());
            // At once: the clock stands where the last attempt began.
            assert_eq!((clock.now() - before).as_secs_f64(), *times.last().unwrap());
        }
    });
}

#[test]
fn deadline_of_the_token_counts_as_the_limit_does() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let token = CancelToken::with_clock(&clock).child_until(7 * SECOND);
        let (times, result) = times_of(&clock, |note| {
            retry::run((&token, HOUR), &seconds(), |_| {
                note();
                Err::<(), _>("no")
            })
        });
        assert_eq!(times, [0.0, 1.0, 3.0]);
        assert_eq!(result.unwrap_err().reason, Reason::TimedOut);
        assert!(!token.is_cancelled());
    });
}

#[test]
fn budget_bounds_all_attempts_together() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let policy = seconds().budget(7 * SECOND);
        let (times, result) = times_of(&clock, |note| {
            retry::run((clock.clock(), HOUR), &policy, |attempt| {
                note();
                // Shortens what the attempt may wait as well.
                let queue = BoundedQueue::<u8>::new(1);
                match attempt.number() {
                    3 => Err::<(), _>(queue.pop_until(attempt.limit()).unwrap_err()),
                    _ => Err(WaitError::Closed),
                }
            })
        });
        assert_eq!(times, [0.0, 1.0, 3.0]);
        let error = result.unwrap_err();
        assert_eq!((error.last, error.reason), (Some(WaitError::TimedOut), Reason::TimedOut));
        // One without an end is none.
        let endless = at_once(2).budget(Duration::MAX);
        let error = retry::run(HOUR, &endless, |_| Err::<(), _>(())).unwrap_err();
        assert_eq!(error.reason, Reason::Exhausted);
        let none = at_once(2).budget(Duration::ZERO);
        let error = retry::run(HOUR, &none, |_| Err::<(), _>(())).unwrap_err();
        assert_eq!((error.attempts, error.reason), (1, Reason::TimedOut));
    });
}

#[test]
fn limit_that_has_passed_allows_one_attempt_as_every_wait_does() {
    let past = Instant::now();
    assert_eq!(retry::run(past, &seconds(), |_| Ok::<_, ()>(7)), Ok(7));
    assert_eq!(retry::run(Duration::ZERO, &at_once(9), |_| Ok::<_, ()>(7)), Ok(7));
    let error = retry::run(Duration::ZERO, &at_once(9), |_| Err::<(), _>("no")).unwrap_err();
    assert_eq!((error.last, error.attempts, error.reason), (Some("no"), 1, Reason::TimedOut));
}

#[test]
fn cancel_before_the_call_allows_no_attempt() {
    let token = CancelToken::new();
    token.cancel();
    let error = retry::run(&token, &seconds(), |_| -> io::Result<()> { unreachable!("called") }).unwrap_err();
    assert_eq!((error.attempts, error.reason), (0, Reason::Cancelled));
    assert!(error.last.is_none() && error.source().is_none());
    assert_eq!(error.to_string(), "cancelled before the first attempt");
}

#[test]
fn cancel_during_a_pause_ends_it_with_the_last_error() {
    within_a_minute(|| {
        // The second pause has no end in the range of `Instant`.
        for first in [HOUR, Duration::MAX] {
            let token = CancelToken::with_clock(Clock::manual());
            let policy = seconds().first(first);
            thread::scope(|s| {
                let call = s.spawn(|| retry::run(&token, &policy, |_| Err::<(), _>("no")));
                until_figure(&token, "watchers", 1);
                token.cancel();
                let error = call.join().unwrap().unwrap_err();
                assert_eq!((error.last, error.attempts, error.reason), (Some("no"), 1, Reason::Cancelled));
            });
        }
    });
}

#[test]
fn cancel_during_an_attempt_keeps_its_success_and_ends_after_its_error() {
    let token = CancelToken::new();
    let ok = retry::run(&token, &at_once(9), |_| {
        token.cancel();
        Ok::<_, ()>(7)
    });
    assert_eq!(ok, Ok(7));
    let token = CancelToken::new();
    let error = retry::run(&token, &at_once(9), |attempt| {
        token.cancel();
        Err::<(), _>(attempt.number())
    })
    .unwrap_err();
    assert_eq!((error.last, error.attempts, error.reason), (Some(1), 1, Reason::Cancelled));
}

#[test]
fn error_that_is_not_worth_it_is_not_repeated() {
    let worth = |error: &io::Error| error.kind() == io::ErrorKind::Interrupted;
    let mut calls = 0;
    let error = retry::run_if(Until::forever(), &at_once(9), worth, |_| {
        calls += 1;
        let kind = if calls < 3 { io::ErrorKind::Interrupted } else { io::ErrorKind::NotFound };
        Err::<(), _>(io::Error::from(kind))
    })
    .unwrap_err();
    assert_eq!((error.attempts, error.reason, calls), (3, Reason::Permanent, 3));
    assert_eq!(error.last.as_ref().unwrap().kind(), io::ErrorKind::NotFound);
    assert!(error.source().unwrap().is::<io::Error>());
}

#[test]
fn pause_that_an_error_asks_for_replaces_the_policys_and_obeys_the_limit() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let worth = |seconds: &u32| Again::After(SECOND * *seconds);
        let (times, result) = times_of(&clock, |note| {
            let policy = seconds().cap(Duration::ZERO);
            retry::run_if((clock.clock(), 60 * SECOND), &policy, worth, |attempt| {
                note();
                match attempt.number() {
                    1 => Err(5),
                    2 => Err(0),
                    3 => Err::<(), _>(30),
                    _ => Err(60),
                }
            })
        });
        assert_eq!(times, [0.0, 5.0, 5.0, 35.0]);
        let error = result.unwrap_err();
        assert_eq!((error.last, error.reason), (Some(60), Reason::TimedOut));
    });
}

#[test]
fn panic_of_the_operation_is_not_repeated_and_meets_no_earlier_error() {
    let error = Arc::new(());
    let mut calls = 0;
    let said = panic_of(|| {
        let _ = retry::run(Until::forever(), &at_once(9), |attempt| {
            calls += 1;
            if attempt.number() == 1 {
                return Err::<(), _>(Arc::clone(&error));
            }
            // Dropped by now: its drop, which may panic, would run during the unwinding.
            assert_eq!(Arc::strong_count(&error), 1);
            blow("the operation")
        });
    });
    assert_eq!((said.as_str(), calls), ("the operation", 2));
}

#[test]
fn panic_of_the_closure_drops_the_error_and_goes_on() {
    let touchies = Touchies::default();
    let said = panic_of(|| {
        let worth = |_: &_| -> bool { blow("the closure") };
        let _ = retry::run_if(Until::forever(), &at_once(9), worth, |_| Err::<(), _>(touchies.make()));
    });
    assert_eq!((said.as_str(), touchies.dropped()), ("the closure", 1));
}

#[test]
fn panic_of_a_dropped_error_ends_the_call() {
    let touchies = Touchies::default();
    let mut calls = 0;
    let said = panic_of(|| {
        let _ = retry::run(Until::forever(), &at_once(9), |_| {
            calls += 1;
            Err::<(), _>(touchies.make())
        });
    });
    assert_eq!((said.as_str(), calls, touchies.dropped()), ("a value's drop", 1, 1));
}

#[test]
fn absurd_policies_are_exact() {
    let pauses = |policy: Policy, attempts: usize| policy.pause_after(attempts);
    let longest = seconds().first(Duration::MAX);
    assert_eq!(pauses(longest, 1), Some(Duration::MAX));
    assert_eq!(pauses(longest, usize::MAX - 1), Some(Duration::MAX));
    assert_eq!(pauses(longest.jitter(Jitter::Equal), 7).map(|pause| pause >= Duration::MAX / 3), Some(true));
    let infinite = seconds().factor(f64::INFINITY).cap(HOUR);
    assert_eq!([pauses(infinite, 1), pauses(infinite, 2)], [Some(SECOND), Some(HOUR)]);
    let none = seconds().first(Duration::ZERO).factor(f64::INFINITY);
    assert_eq!(pauses(none, 9), Some(Duration::ZERO));
    let constant = seconds().factor(1.0);
    assert_eq!([pauses(constant, 1), pauses(constant, usize::MAX - 1)], [Some(SECOND); 2]);
    // The cap bounds the first pause as well.
    assert_eq!(pauses(seconds().cap(SECOND / 2), 1), Some(SECOND / 2));
    // Before the first attempt there is none, and after the last there is no other.
    assert_eq!(
        [0, 1, 2].map(|attempts| seconds().attempts(2).pause_after(attempts)),
        [Some(Duration::ZERO), Some(SECOND), None,]
    );
    let single = retry::run(Until::forever(), &longest.attempts(1), |_| Err::<(), _>(()));
    assert_eq!(single.unwrap_err().reason, Reason::Exhausted);
}

#[test]
fn default_is_what_the_docs_say() {
    let policy = Policy::default().jitter(Jitter::None);
    assert_eq!(
        [1, 2, 3].map(|attempts| policy.pause_after(attempts)),
        [Some(Duration::from_millis(100)), Some(Duration::from_millis(200)), None,]
    );
    assert_eq!(policy.attempts(100).pause_after(50), Some(10 * SECOND));
    assert_eq!((Policy::default(), Jitter::default()), (retry::policy(), Jitter::Full));
}

#[test]
fn callers_without_a_seed_do_not_pause_in_step() {
    let policy = retry::policy().attempts(usize::MAX);
    let pauses = |_| [1, 2, 3].map(|attempts| policy.pause_after(attempts));
    assert_ne!(pauses(0), pauses(1));
}

#[test]
fn message_says_how_often_why_and_what() {
    let told = |attempts: usize, limit: Option<Duration>| {
        let error = retry::run(limit, &at_once(attempts), |_| Err::<(), _>("the disk is full")).unwrap_err();
        error.to_string()
    };
    assert_eq!(told(2, None), "gave up after 2 attempts: the disk is full");
    assert_eq!(
        told(2, Some(Duration::ZERO)),
        "no time for another attempt after 1 attempt: the disk is full"
    );
}

proptest! {
    #[test]
    fn jitter_stays_within_its_part_of_the_pause(
        seed: u64,
        first in 0_u64..u64::MAX,
        factor in 1.0..1e300_f64,
        cap: u64,
        attempts in 1..usize::MAX,
    ) {
        let policy = retry::policy().attempts(usize::MAX).factor(factor).seed(seed);
        let policy = policy.first(Duration::from_nanos(first)).cap(Duration::from_nanos(cap));
        let [whole, equal, full] = [Jitter::None, Jitter::Equal, Jitter::Full]
            .map(|jitter| policy.jitter(jitter).pause_after(attempts).unwrap());
        prop_assert!(whole <= policy_cap(cap) && full <= whole && equal <= whole);
        // Rounded to a nanosecond, and by 53 bits.
        let half = whole / 2;
        prop_assert!(equal + Duration::from_nanos(1) + half / (1 << 30) >= half, "{equal:?} of {whole:?}");
        // The same seed, the same pause; another attempt or seed, another one.
        let again = policy.jitter(Jitter::Full).pause_after(attempts).unwrap();
        prop_assert_eq!(again, full);
    }
}

fn policy_cap(cap: u64) -> Duration {
    Duration::from_nanos(cap)
}

#[test]
fn shares_of_the_jitter_are_even() {
    let policy = seconds().factor(1.0);
    let mut tenths = [0_u32; 10];
    for seed in 0..10_000 {
        let pause = policy.jitter(Jitter::Full).seed(seed).pause_after(1).unwrap();
        tenths[(pause.as_secs_f64() * 10.0) as usize] += 1;
    }
    // Ten standard deviations.
    assert!(tenths.iter().all(|count| (700..1_300).contains(count)), "{tenths:?}");
}
