//! Latches and wait groups from outside.

mod common;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use common::{HOUR, figure, until_figure, within_a_minute};
use selvedge::error::WaitError;
use selvedge::{CancelToken, Latch, WaitGroup};

#[test]
fn latch_made_for_no_steps_is_open() {
    let latch = Latch::new(0);
    assert!(latch.is_open());
    latch.wait();
    assert_eq!(latch.wait_until(Duration::ZERO), Ok(()));
}

#[test]
fn last_step_wakes_every_waiter_and_no_earlier_one_does() {
    within_a_minute(|| {
        let latch = Arc::new(Latch::new(1_001));
        let sleepers = [(); 3].map(|()| {
            let latch = Arc::clone(&latch);
            thread::spawn(move || latch.wait())
        });
        until_figure(&latch, "waiting", 3);
        for missing in (1..=1_000).rev() {
            latch.count_down();
            assert_eq!((latch.count(), latch.is_open()), (missing, false));
            // Nobody else takes the lock, so the number is there. Whoever is woken for nothing is not, for a
            // moment.
            assert_eq!(figure(&*latch, "waiting"), Some(3));
        }
        latch.count_down();
        sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
        assert_eq!((latch.count(), latch.is_open()), (0, true));
    });
}

#[test]
fn cancel_wakes_one_waiter_and_leaves_the_others() {
    within_a_minute(|| {
        let (latch, token) = (Arc::new(Latch::new(1)), CancelToken::new());
        let leaves = thread::spawn({
            let (latch, token) = (Arc::clone(&latch), token.clone());
            move || latch.wait_until(&token)
        });
        let stays = thread::spawn({
            let latch = Arc::clone(&latch);
            move || latch.wait_until(HOUR)
        });
        until_figure(&latch, "waiting", 2);
        token.cancel();
        assert_eq!(leaves.join().unwrap(), Err(WaitError::Cancelled));
        until_figure(&latch, "waiting", 1);
        latch.count_down();
        assert_eq!(stays.join().unwrap(), Ok(()));
    });
}

#[test]
fn limits_that_have_passed_do_not_wait() {
    let latch = Latch::new(1);
    assert_eq!(latch.wait_until(Duration::ZERO), Err(WaitError::TimedOut));
    assert_eq!(latch.wait_until(Instant::now()), Err(WaitError::TimedOut));
    assert_eq!(latch.wait_until(Duration::from_millis(1)), Err(WaitError::TimedOut));
}

#[test]
fn token_cancelled_before_beats_an_open_latch() {
    let token = CancelToken::new();
    token.cancel();
    assert_eq!(Latch::new(0).wait_until(&token), Err(WaitError::Cancelled));
    assert_eq!(WaitGroup::new().wait_until(&token), Err(WaitError::Cancelled));
}

#[test]
fn longest_duration_waits_forever_and_does_not_overflow() {
    within_a_minute(|| {
        let latch = Arc::new(Latch::new(1));
        let sleeper = thread::spawn({
            let latch = Arc::clone(&latch);
            move || latch.wait_until(Duration::MAX)
        });
        until_figure(&latch, "waiting", 1);
        latch.count_down();
        assert_eq!(sleeper.join().unwrap(), Ok(()));
    });
}

#[test]
fn empty_group_does_not_wait() {
    let group = WaitGroup::new();
    group.wait();
    assert_eq!((group.count(), group.wait_until(Duration::ZERO)), (0, Ok(())));
}

#[test]
fn group_waits_for_every_member_and_every_clone_of_one() {
    within_a_minute(|| {
        let group = WaitGroup::new();
        let first = group.add();
        let second = first.clone();
        assert_eq!(group.clone().count(), 2);
        let sleeper = thread::spawn({
            let group = group.clone();
            move || group.wait()
        });
        until_figure(&group, "waiting", 1);
        drop(first);
        until_figure(&group, "waiting", 1);
        drop(second);
        sleeper.join().unwrap();
    });
}

#[test]
fn member_whose_thread_panics_leaves() {
    within_a_minute(|| {
        let group = WaitGroup::new();
        let member = group.add();
        let thread = thread::spawn(move || {
            let _member = member;
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        group.wait();
        assert!(thread.join().is_err());
    });
}

#[test]
fn group_can_be_used_again() {
    let group = WaitGroup::new();
    for _ in 0..3 {
        let member = group.add();
        assert_eq!(group.wait_until(Duration::ZERO), Err(WaitError::TimedOut));
        drop(member);
        group.wait();
    }
}

#[test]
fn cancel_wakes_a_waiter_of_a_group() {
    within_a_minute(|| {
        let (group, token) = (WaitGroup::new(), CancelToken::new());
        let _member = group.add();
        let sleeper = thread::spawn({
            let (group, token) = (group.clone(), token.clone());
            move || group.wait_until((&token, HOUR))
        });
        until_figure(&group, "waiting", 1);
        token.cancel();
        assert_eq!(sleeper.join().unwrap(), Err(WaitError::Cancelled));
    });
}
