//! Time that only a test moves: every deadline exact, nobody woken a nanosecond early.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{HOUR, figure, until_figure, within_a_minute};
use selvedge::error::{Cancelled, WaitError};
use selvedge::limiter::Ticker;
use selvedge::{BoundedQueue, CancelToken, Clock, Latch, Until};

const NANO: Duration = Duration::from_nanos(1);

#[test]
fn manual_clock_stands_still_until_advanced() {
    let clock = Clock::manual();
    let start = clock.now();
    assert_eq!(clock.now(), start);
    clock.advance(HOUR);
    clock.advance(Duration::ZERO);
    assert_eq!(clock.now(), start + HOUR);
    assert_eq!(clock.clock().now(), start + HOUR);
    assert_eq!(clock.clone().now(), start + HOUR);
}

#[test]
fn time_too_far_away_is_never() {
    let clock = Clock::manual();
    assert_eq!(clock.clock().after(Duration::MAX), None);
    assert_eq!(clock.clock().after(HOUR), Some(clock.now() + HOUR));
    assert_eq!(Clock::system().after(Duration::MAX), None);
}

#[test]
fn systems_clock_goes_on_by_itself() {
    let before = Instant::now();
    let now = Clock::system().now();
    assert!(before <= now && now <= Instant::now());
    assert!(Clock::default().after(HOUR).unwrap() > now);
}

#[test]
fn sleeper_wakes_at_its_deadline_and_not_a_nanosecond_earlier() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let token = CancelToken::with_clock(&clock);
        let (told, hears) = channel();
        let sleeper = thread::spawn({
            let (token, clock) = (token.clone(), clock.clone());
            move || {
                let slept = token.sleep(HOUR);
                told.send(clock.now()).unwrap();
                slept
            }
        });
        let start = clock.now();
        clock.wait_for_sleepers(1);
        clock.advance(HOUR - NANO);
        // Still in the list of those who sleep: it was not woken.
        assert_eq!(figure(&clock, "alarms"), Some(1));
        assert!(hears.try_recv().is_err());
        clock.advance(NANO);
        assert_eq!(sleeper.join().unwrap(), Ok(()));
        assert_eq!(hears.recv().unwrap(), start + HOUR);
        assert_eq!(figure(&clock, "alarms"), Some(0));
    });
}

#[test]
fn one_advance_wakes_exactly_the_sleepers_that_are_due() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let latch = Arc::new(Latch::new(1));
        let waits: Vec<_> = (1..=4)
            .map(|hours| {
                let (latch, clock) = (Arc::clone(&latch), clock.clone());
                thread::spawn(move || latch.wait_until((clock.clock(), HOUR * hours)))
            })
            .collect();
        clock.wait_for_sleepers(4);
        clock.advance(HOUR * 2);
        // The late ones are gone before the latch opens.
        let mut waits = waits.into_iter().map(|wait| wait.join().unwrap());
        assert_eq!([waits.next(), waits.next()], [Some(Err(WaitError::TimedOut)); 2]);
        assert_eq!((figure(&latch, "waiting"), figure(&clock, "alarms")), (Some(2), Some(2)));
        latch.count_down();
        assert_eq!(waits.collect::<Vec<_>>(), [Ok(()), Ok(())]);
    });
}

#[test]
fn deadlines_ring_in_their_order_whatever_order_they_were_set_in() {
    let clock = Clock::manual();
    let root = CancelToken::with_clock(&clock);
    let rung = Arc::new(Mutex::new(Vec::new()));
    for hours in [3, 1, 2, 1] {
        let rung = Arc::clone(&rung);
        let token = root.child_until(HOUR * hours);
        let copy = token.clone();
        token
            .on_cancel(move || {
                drop(copy);
                rung.lock().unwrap().push(hours);
            })
            .keep();
    }
    clock.advance(HOUR * 5);
    assert_eq!(*rung.lock().unwrap(), [1, 1, 2, 3]);
}

#[test]
fn tokens_that_are_due_are_cancelled_before_advance_returns() {
    let clock = Clock::manual();
    let token = CancelToken::with_clock(&clock).child_until(HOUR);
    let receiver = token.done().clone();
    let child = token.child();
    clock.advance(HOUR);
    assert!(receiver.try_recv().unwrap_err().is_disconnected());
    assert!(child.cause().unwrap().is_deadline());
}

#[test]
fn callback_that_advances_its_clock_finds_it_unlocked() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let start = clock.now();
        let token = CancelToken::with_clock(&clock).child_until(HOUR);
        token
            .on_cancel({
                let clock = clock.clone();
                move || clock.advance(HOUR)
            })
            .keep();
        clock.advance(HOUR);
        assert_eq!(clock.now(), start + HOUR * 2);
    });
}

#[test]
fn wait_that_ends_otherwise_leaves_no_alarm() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let token = CancelToken::with_clock(&clock);
        let queue = Arc::new(BoundedQueue::new(1));
        let waits = [(); 2].map(|()| {
            let (queue, token) = (Arc::clone(&queue), token.clone());
            thread::spawn(move || queue.pop_until((&token, HOUR)))
        });
        clock.wait_for_sleepers(2);
        queue.push(1).unwrap();
        until_figure(&queue, "waiting_to_pop", 1);
        until_figure(&clock, "alarms", 1);
        token.cancel();
        let mut results = waits.map(|wait| wait.join().unwrap());
        results.sort_by_key(Result::is_err);
        assert_eq!(results, [Ok(1), Err(WaitError::Cancelled)]);
        assert_eq!(figure(&clock, "alarms"), Some(0));
        assert_eq!(figure(&token, "watchers"), Some(0));
    });
}

#[test]
fn token_that_is_gone_leaves_no_alarm() {
    let clock = Clock::manual();
    let token = CancelToken::with_clock(&clock).child_until(HOUR);
    assert!(token.done().try_recv().is_err());
    assert_eq!(figure(&clock, "alarms"), Some(1));
    drop(token);
    assert_eq!(figure(&clock, "alarms"), Some(0));
}

#[test]
fn advancing_one_clock_does_not_move_another() {
    within_a_minute(|| {
        let (one, other) = (Clock::manual(), Clock::manual());
        let (a, b) = (CancelToken::with_clock(&one), CancelToken::with_clock(&other));
        let sleeper = thread::spawn({
            let a = a.clone();
            move || a.sleep(HOUR)
        });
        one.wait_for_sleepers(1);
        let before = other.now();
        other.advance(HOUR * 9);
        assert_eq!(other.now(), before + HOUR * 9);
        assert_eq!((figure(&one, "alarms"), figure(&other, "alarms")), (Some(1), Some(0)));
        b.cancel();
        assert!(!a.is_cancelled());
        one.advance(HOUR);
        assert_eq!(sleeper.join().unwrap(), Ok(()));
    });
}

#[test]
fn wait_on_one_clock_for_a_token_on_another_ends_with_either() {
    within_a_minute(|| {
        let (one, other) = (Clock::manual(), Clock::manual());
        let token = CancelToken::with_clock(&one).child_until(HOUR);
        let late = thread::spawn({
            let (token, other) = (token.clone(), other.clone());
            move || token.wait_until((other.clock(), HOUR))
        });
        other.wait_for_sleepers(1);
        other.advance(HOUR);
        assert_eq!(late.join().unwrap(), Err(WaitError::TimedOut));
        let cancelled = thread::spawn({
            let (token, other) = (token.clone(), other.clone());
            move || token.wait_until((other.clock(), HOUR))
        });
        other.wait_for_sleepers(1);
        one.advance(HOUR);
        assert_eq!(cancelled.join().unwrap(), Ok(()));
    });
}

#[test]
fn token_hands_its_clock_to_children_and_to_what_it_limits() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let child = CancelToken::with_clock(clock.clone()).child().child();
        assert_eq!(child.clock().now(), clock.now());
        let sleeper = thread::spawn({
            let child = child.clone();
            move || BoundedQueue::<u8>::new(1).pop_until((&child, HOUR))
        });
        clock.wait_for_sleepers(1);
        clock.advance(HOUR);
        assert_eq!(sleeper.join().unwrap(), Err(WaitError::TimedOut));
        assert_eq!(child.check(), Ok::<(), Cancelled>(()));
    });
}

/// Whether `count` threads, and no more, sleep with a deadline on the clock.
fn sleepers_are(clock: &selvedge::ManualClock, count: usize) -> bool {
    clock.wait_for_sleepers(count);
    clock.wait_for_sleepers_until(count + 1, Duration::from_millis(20)) == Err(WaitError::TimedOut)
}

#[test]
fn thread_that_a_tokens_deadline_ends_is_a_sleeper() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let token = CancelToken::with_clock(&clock).child_until(HOUR);
        let queue = Arc::new(BoundedQueue::<u8>::new(1));
        let pops = thread::spawn({
            let (queue, token) = (Arc::clone(&queue), token.clone());
            move || queue.pop_until(&token)
        });
        assert!(sleepers_are(&clock, 1));
        let waits = thread::spawn({
            let token = token.clone();
            move || token.wait()
        });
        assert!(sleepers_are(&clock, 2));
        // No deadline on this clock, so nothing to count.
        let other = CancelToken::new();
        let unlimited = thread::spawn({
            let other = other.clone();
            move || other.wait_until(HOUR)
        });
        assert!(sleepers_are(&clock, 2));
        clock.advance(HOUR);
        assert_eq!(pops.join().unwrap(), Err(WaitError::Cancelled));
        waits.join().unwrap();
        other.cancel();
        assert_eq!(unlimited.join().unwrap(), Ok(()));
        assert!(sleepers_are(&clock, 0));
    });
}

#[test]
fn thread_with_several_deadlines_is_one_sleeper() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let token = CancelToken::with_clock(&clock).child_until(HOUR * 3);
        let mut ticker = Ticker::new(HOUR * 2).with_clock(&clock);
        let ticks = thread::spawn({
            let (token, clock) = (token.clone(), clock.clone());
            move || ticker.next_until(Until::from((clock.clock(), HOUR)).or_cancelled(&token))
        });
        assert!(sleepers_are(&clock, 1));
        clock.advance(HOUR);
        assert_eq!(ticks.join().unwrap(), Err(WaitError::TimedOut));
        let waits = thread::spawn({
            let token = token.clone();
            move || token.wait_until((&token, HOUR))
        });
        assert!(sleepers_are(&clock, 1));
        clock.advance(HOUR);
        assert_eq!(waits.join().unwrap(), Err(WaitError::TimedOut));
    });
}

#[test]
fn sleeper_on_two_clocks_counts_on_each() {
    within_a_minute(|| {
        let (one, other) = (Clock::manual(), Clock::manual());
        let token = CancelToken::with_clock(&one).child_until(HOUR);
        let waits = thread::spawn({
            let other = other.clone();
            move || token.wait_until((other.clock(), HOUR))
        });
        assert!(sleepers_are(&one, 1) && sleepers_are(&other, 1));
        one.advance(HOUR);
        assert_eq!(waits.join().unwrap(), Ok(()));
        assert!(sleepers_are(&other, 0));
    });
}

#[test]
fn sleeper_whose_wait_has_ended_is_not_counted() {
    within_a_minute(|| {
        let clock = Clock::manual();
        for _ in 0..300 {
            let [first, second] = [(); 2].map(|()| CancelToken::with_clock(&clock));
            let sleeper = thread::spawn({
                let first = first.clone();
                move || (first.sleep(HOUR), second.sleep(HOUR))
            });
            clock.wait_for_sleepers(1);
            first.cancel();
            // Not the one that was cancelled, awake or not: the hour is for the second.
            clock.wait_for_sleepers(1);
            clock.advance(HOUR);
            assert_eq!(sleeper.join().unwrap(), (Err(Cancelled), Ok(())));
        }
    });
}

#[test]
fn those_who_count_sleepers_are_woken_each_at_its_own_number() {
    within_a_minute(|| {
        let (clock, stop) = (Clock::manual(), CancelToken::new());
        let token = CancelToken::with_clock(&clock);
        // In either order, so that whoever is asked first is not always the one who is content.
        for order in [[1, 2, 3], [3, 2, 1]] {
            let (told, hears) = channel();
            let counting = order.map(|count| {
                let (clock, stop, told) = (clock.clone(), stop.clone(), told.clone());
                thread::spawn(move || {
                    clock.wait_for_sleepers_until(count, &stop).unwrap();
                    told.send(count).unwrap();
                })
            });
            until_figure(&stop, "watchers", 3);
            let sleepers = [1, 2, 3].map(|count| {
                let token = token.clone();
                let sleeper = thread::spawn(move || token.sleep(HOUR));
                assert_eq!(hears.recv(), Ok(count));
                sleeper
            });
            counting.into_iter().for_each(|waits| waits.join().unwrap());
            clock.advance(HOUR);
            sleepers.into_iter().for_each(|sleeper| assert_eq!(sleeper.join().unwrap(), Ok(())));
        }
    });
}

#[test]
fn counting_sleepers_within_a_limit_ends_by_it_and_does_not_count_itself() {
    within_a_minute(|| {
        let (clock, stop) = (Clock::manual(), CancelToken::new());
        assert_eq!(clock.wait_for_sleepers_until(0, Duration::ZERO), Ok(()));
        assert_eq!(clock.wait_for_sleepers_until(1, Duration::ZERO), Err(WaitError::TimedOut));
        let counts = thread::spawn({
            let clock = clock.clone();
            move || clock.wait_for_sleepers_until(1, (clock.clock(), HOUR))
        });
        until_figure(&clock, "alarms", 1);
        assert_eq!(clock.wait_for_sleepers_until(1, Duration::from_millis(20)), Err(WaitError::TimedOut));
        clock.advance(HOUR);
        assert_eq!(counts.join().unwrap(), Err(WaitError::TimedOut));
        assert_eq!(figure(&clock, "counting"), Some(0));
        stop.cancel();
        assert_eq!(clock.wait_for_sleepers_until(1, &stop), Err(WaitError::Cancelled));
    });
}
