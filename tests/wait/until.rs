//! Every kind of limit, and which of two simultaneous ends wins.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{HOUR, until_figure, within_a_minute};
use selvedge::error::WaitError;
use selvedge::{BoundedQueue, CancelToken, Clock, Until};

/// Starts a pop that only its limit ends.
fn pop_until(
    limit: impl for<'a> FnOnce(&'a CancelToken, &'a Clock) -> Until<'a> + Send + 'static,
    token: &CancelToken,
    clock: &Clock,
) -> thread::JoinHandle<Result<u8, WaitError>> {
    let (token, clock) = (token.clone(), clock.clone());
    thread::spawn(move || BoundedQueue::new(1).pop_until(limit(&token, &clock)))
}

#[test]
fn duration_and_instant_of_the_systems_clock_time_out() {
    within_a_minute(|| {
        let queue = BoundedQueue::<u8>::new(1);
        let short = Duration::from_millis(5);
        let begin = Instant::now();
        assert_eq!(queue.pop_until(short), Err(WaitError::TimedOut));
        assert!(begin.elapsed() >= short);
        let at = Instant::now() + short;
        assert_eq!(queue.pop_until(at), Err(WaitError::TimedOut));
        assert!(Instant::now() >= at);
        assert_eq!(queue.pop_until((&Clock::system(), short)), Err(WaitError::TimedOut));
    });
}

#[test]
fn time_with_a_token_is_measured_by_the_tokens_clock() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let token = CancelToken::with_clock(&clock);
        let after = pop_until(|token, _| Until::from((token, HOUR)), &token, clock.clock());
        let at = clock.now() + HOUR;
        let at = pop_until(move |token, _| Until::from((token, at)), &token, clock.clock());
        clock.wait_for_sleepers(2);
        clock.advance(HOUR);
        assert_eq!(after.join().unwrap(), Err(WaitError::TimedOut));
        assert_eq!(at.join().unwrap(), Err(WaitError::TimedOut));
        assert!(!token.is_cancelled());
    });
}

#[test]
fn time_with_a_clock_is_measured_by_that_clock_despite_a_token() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let token = CancelToken::new();
        let plain = pop_until(|_, clock| Until::from((clock, HOUR)), &token, clock.clock());
        let at = clock.now() + HOUR;
        let both = pop_until(
            move |token, clock| Until::from((clock, at)).or_cancelled(token),
            &token,
            clock.clock(),
        );
        clock.wait_for_sleepers(2);
        clock.advance(HOUR);
        assert_eq!(plain.join().unwrap(), Err(WaitError::TimedOut));
        assert_eq!(both.join().unwrap(), Err(WaitError::TimedOut));
    });
}

#[test]
fn token_ends_the_wait_before_its_time_does() {
    within_a_minute(|| {
        let token = CancelToken::new();
        let clock = Clock::system();
        let waits = [
            pop_until(|token, _| Until::from(token), &token, &clock),
            pop_until(|token, _| Until::from((token, HOUR)), &token, &clock),
            pop_until(|token, _| Until::from((token, Duration::MAX)), &token, &clock),
            pop_until(|token, _| Until::from(HOUR).or_cancelled(token), &token, &clock),
        ];
        until_figure(&token, "watchers", 4);
        token.cancel();
        for wait in waits {
            assert_eq!(wait.join().unwrap(), Err(WaitError::Cancelled));
        }
    });
}

#[test]
fn later_token_of_a_limit_replaces_the_earlier_one() {
    let (first, second) = (CancelToken::new(), CancelToken::new());
    first.cancel();
    let limit = Until::from((&first, Duration::ZERO)).or_cancelled(&second);
    assert_eq!(BoundedQueue::<u8>::new(1).pop_until(limit), Err(WaitError::TimedOut));
    second.cancel();
    assert_eq!(BoundedQueue::<u8>::new(1).pop_until(limit), Err(WaitError::Cancelled));
}

#[test]
fn tokens_own_deadline_ends_the_wait_as_cancelled() {
    within_a_minute(|| {
        let token = CancelToken::new().child_until(Duration::from_millis(5));
        let queue = BoundedQueue::<u8>::new(1);
        assert_eq!(queue.pop_until((&token, HOUR)), Err(WaitError::Cancelled));
        assert!(token.cause().unwrap().is_deadline());
    });
}

#[test]
fn time_and_token_that_end_together_are_cancelled() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let token = CancelToken::with_clock(&clock).child_until(HOUR);
        let wait = pop_until(|token, _| Until::from((token, HOUR)), &token, clock.clock());
        clock.wait_for_sleepers(1);
        clock.advance(HOUR);
        assert_eq!(wait.join().unwrap(), Err(WaitError::Cancelled));
    });
}

#[test]
fn success_at_once_beats_a_limit_that_has_passed() {
    let queue = BoundedQueue::new(1);
    queue.push(1).unwrap();
    assert_eq!(queue.pop_until(Instant::now()), Ok(1));
    let token = CancelToken::new();
    queue.push(2).unwrap();
    assert_eq!(queue.pop_until((&token, Duration::ZERO)), Ok(2));
}

#[test]
fn duration_starts_again_with_each_call() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let token = CancelToken::with_clock(&clock);
        let queue = Arc::new(BoundedQueue::<u8>::new(1));
        let waits = thread::spawn({
            let (token, queue) = (token.clone(), Arc::clone(&queue));
            move || {
                let limit = Until::from((&token, HOUR));
                [queue.pop_until(limit), queue.pop_until(limit)]
            }
        });
        for _ in 0..2 {
            clock.wait_for_sleepers(1);
            clock.advance(HOUR);
        }
        assert_eq!(waits.join().unwrap(), [Err(WaitError::TimedOut); 2]);
    });
}

#[test]
fn call_that_need_not_wait_reads_no_clock() {
    let queue = BoundedQueue::new(1);
    assert_eq!(queue.push_until(1, Until::forever()), Ok(()));
    assert_eq!(queue.pop_until(Duration::MAX), Ok(1));
}

#[test]
fn optional_time_is_a_limit_or_none() {
    within_a_minute(|| {
        let queue = BoundedQueue::<u8>::new(1);
        let token = CancelToken::new();
        for time_out in [Some(Duration::ZERO), Some(Duration::from_millis(1))] {
            assert_eq!(queue.pop_until(time_out), Err(WaitError::TimedOut));
            assert_eq!(queue.pop_until((&token, time_out)), Err(WaitError::TimedOut));
        }
        let never: Option<Duration> = None;
        std::thread::scope(|s| {
            let waits = s.spawn(|| queue.pop_until(never));
            until_figure(&queue, "waiting_to_pop", 1);
            queue.push(7).unwrap();
            assert_eq!(waits.join().unwrap(), Ok(7));
            let cancelled = s.spawn(|| queue.pop_until((&token, never)));
            until_figure(&queue, "waiting_to_pop", 1);
            token.cancel();
            assert_eq!(cancelled.join().unwrap(), Err(WaitError::Cancelled));
        });
    });
}
