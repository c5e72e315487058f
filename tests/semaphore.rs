//! The semaphore as a black box: it never grants more permits than it has, serves waiters in order, and loses
//! no permit.

mod common;

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use common::{HOUR, until_figure, within_a_minute};
use selvedge::error::{TryError, WaitError};
use selvedge::{CancelToken, Semaphore};

#[test]
fn permits_come_back_when_their_guard_is_dropped() {
    let semaphore = Semaphore::new(3);
    let two = semaphore.acquire_many(2).unwrap();
    assert_eq!((two.count(), semaphore.available(), semaphore.total()), (2, 1, 3));
    assert_eq!(semaphore.try_acquire_many(2).unwrap_err(), TryError::WouldBlock);
    drop(two);
    assert_eq!(semaphore.available(), 3);
}

#[test]
fn more_than_the_total_is_impossible_at_once() {
    let semaphore = Arc::new(Semaphore::new(2));
    assert_eq!(semaphore.acquire_many(3).unwrap_err(), WaitError::InsufficientCapacity);
    assert_eq!(semaphore.try_acquire_many(3).unwrap_err(), TryError::InsufficientCapacity);
    assert_eq!(semaphore.acquire_many_until(3, HOUR).unwrap_err(), WaitError::InsufficientCapacity);
    assert_eq!(semaphore.acquire_many_until(usize::MAX, HOUR).unwrap_err(), WaitError::InsufficientCapacity);
    assert_eq!(semaphore.acquire_many_owned_until(3, HOUR).unwrap_err(), WaitError::InsufficientCapacity);
    assert_eq!(Semaphore::new(0).acquire().unwrap_err(), WaitError::InsufficientCapacity);
    assert_eq!(semaphore.available(), 2);
}

#[test]
fn acquiring_none_succeeds_despite_waiters_until_closed() {
    within_a_minute(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let held = semaphore.acquire().unwrap();
        assert_eq!(semaphore.try_acquire_many(0).unwrap().count(), 0);
        let sleeper = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.acquire().map(drop)
        });
        until_figure(&semaphore, "waiting", 1);
        assert_eq!(semaphore.try_acquire_many(0).unwrap().count(), 0);
        assert_eq!(semaphore.acquire_many(0).unwrap().count(), 0);
        semaphore.close();
        assert_eq!(semaphore.try_acquire_many(0).unwrap_err(), TryError::Closed);
        assert_eq!(semaphore.acquire_many(0).unwrap_err(), WaitError::Closed);
        assert_eq!(sleeper.join().unwrap(), Err(WaitError::Closed));
        drop(held);
    });
}

#[test]
fn cancelled_token_never_acquires_although_permits_are_free() {
    let (semaphore, token) = (Arc::new(Semaphore::new(5)), CancelToken::new());
    token.cancel();
    for count in 0..=5 {
        let refused = semaphore.acquire_many_until(count, &token).unwrap_err();
        assert_eq!(refused, WaitError::Cancelled);
        let refused = semaphore.acquire_many_owned_until(count, (&token, HOUR)).unwrap_err();
        assert_eq!(refused, WaitError::Cancelled);
    }
    assert_eq!(semaphore.available(), 5);
}

#[test]
fn limit_in_the_past_succeeds_if_it_can_and_is_timed_out_if_not() {
    let semaphore = Semaphore::new(1);
    let past = Instant::now();
    let held = semaphore.acquire_until(past).unwrap();
    assert_eq!(semaphore.acquire_until(past).unwrap_err(), WaitError::TimedOut);
    assert_eq!(semaphore.acquire_until(Duration::ZERO).unwrap_err(), WaitError::TimedOut);
    drop(held);
    assert!(semaphore.acquire_until(Duration::ZERO).is_ok());
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn longest_duration_waits_forever_and_does_not_overflow() {
    within_a_minute(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let held = semaphore.acquire().unwrap();
        let sleeper = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.acquire_until(Duration::MAX).map(drop)
        });
        until_figure(&semaphore, "waiting", 1);
        drop(held);
        assert_eq!(sleeper.join().unwrap(), Ok(()));
    });
}

#[test]
fn large_request_is_not_overtaken_by_small_ones() {
    within_a_minute(|| {
        let semaphore = Arc::new(Semaphore::new(3));
        let held = semaphore.acquire_many(2).unwrap();
        let (order, served) = channel();
        let sleepers: Vec<_> = [3, 1, 1]
            .into_iter()
            .enumerate()
            .map(|(place, count)| {
                let (semaphore, order) = (Arc::clone(&semaphore), order.clone());
                let before = place;
                let sleeper = {
                    let semaphore = Arc::clone(&semaphore);
                    thread::spawn(move || {
                        let permit = semaphore.acquire_many(count).unwrap();
                        order.send(count).unwrap();
                        drop(permit);
                    })
                };
                until_figure(&semaphore, "waiting", before + 1);
                sleeper
            })
            .collect();
        // One permit is free, but a newcomer does not get it while a thread waits.
        assert_eq!(semaphore.available(), 1);
        assert_eq!(semaphore.try_acquire().unwrap_err(), TryError::WouldBlock);
        assert_eq!(semaphore.acquire_until(Duration::ZERO).unwrap_err(), WaitError::TimedOut);
        assert!(served.try_recv().is_err());
        drop(held);
        assert_eq!(served.iter().take(3).collect::<Vec<_>>(), [3, 1, 1]);
        sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
        assert_eq!(semaphore.available(), 3);
    });
}

#[test]
fn cancelled_front_waiter_hands_its_turn_on() {
    within_a_minute(|| {
        let (semaphore, token) = (Arc::new(Semaphore::new(3)), CancelToken::new());
        let held = semaphore.acquire_many(2).unwrap();
        let front = thread::spawn({
            let (semaphore, token) = (Arc::clone(&semaphore), token.clone());
            move || semaphore.acquire_many_until(3, &token).map(drop)
        });
        until_figure(&semaphore, "waiting", 1);
        let behind = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.acquire().map(drop)
        });
        until_figure(&semaphore, "waiting", 2);
        token.cancel();
        assert_eq!(front.join().unwrap(), Err(WaitError::Cancelled));
        assert_eq!(behind.join().unwrap(), Ok(()));
        drop(held);
        assert_eq!(semaphore.available(), 3);
    });
}

#[test]
fn front_waiter_that_times_out_hands_its_turn_on() {
    within_a_minute(|| {
        let clock = selvedge::Clock::manual();
        let semaphore = Arc::new(Semaphore::new(2));
        let held = semaphore.acquire().unwrap();
        let front = thread::spawn({
            let (semaphore, clock) = (Arc::clone(&semaphore), clock.clone());
            move || semaphore.acquire_many_until(2, (clock.clock(), HOUR)).map(drop)
        });
        clock.wait_for_sleepers(1);
        let behind = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.acquire().map(drop)
        });
        until_figure(&semaphore, "waiting", 2);
        clock.advance(HOUR);
        assert_eq!(front.join().unwrap(), Err(WaitError::TimedOut));
        assert_eq!(behind.join().unwrap(), Ok(()));
        drop(held);
    });
}

#[test]
fn closing_wakes_every_waiter_and_leaves_permits_good() {
    within_a_minute(|| {
        let semaphore = Arc::new(Semaphore::new(2));
        let held = semaphore.acquire_many(2).unwrap();
        let sleepers = [1, 2, 1].map(|count| {
            let semaphore = Arc::clone(&semaphore);
            thread::spawn(move || semaphore.acquire_many(count).map(drop))
        });
        until_figure(&semaphore, "waiting", 3);
        assert!(semaphore.close());
        assert!(!semaphore.close());
        for sleeper in sleepers {
            assert_eq!(sleeper.join().unwrap(), Err(WaitError::Closed));
        }
        assert_eq!(held.count(), 2);
        drop(held);
        assert!(semaphore.is_closed());
        assert_eq!((semaphore.available(), semaphore.total()), (2, 2));
        assert_eq!(semaphore.try_acquire().unwrap_err(), TryError::Closed);
    });
}

#[test]
fn split_permits_come_back_each_by_itself() {
    let semaphore = Semaphore::new(5);
    let mut all = semaphore.acquire_many(5).unwrap();
    assert!(all.split(6).is_none());
    assert_eq!(all.count(), 5);
    let three = all.split(3).unwrap();
    assert_eq!((all.count(), three.count()), (2, 3));
    drop(three);
    assert_eq!(semaphore.available(), 3);
    let rest = all.split(2).unwrap();
    drop(all); // holds no permits any more
    assert_eq!(semaphore.available(), 3);
    drop(rest);
    assert_eq!(semaphore.available(), 5);
}

#[test]
fn merged_permits_come_back_together() {
    let semaphore = Semaphore::new(3);
    let mut permit = semaphore.acquire().unwrap();
    permit.merge(semaphore.acquire_many(2).unwrap());
    assert_eq!((permit.count(), semaphore.available()), (3, 0));
    drop(permit);
    assert_eq!(semaphore.available(), 3);
}

#[test]
fn forgotten_permits_leave_the_total() {
    let semaphore = Semaphore::new(3);
    let mut permit = semaphore.acquire_many(2).unwrap();
    permit.split(1).unwrap().forget();
    assert_eq!((semaphore.available(), semaphore.total()), (1, 2));
    drop(permit);
    assert_eq!((semaphore.available(), semaphore.total()), (2, 2));
    assert_eq!(semaphore.try_acquire_many(3).unwrap_err(), TryError::InsufficientCapacity);
}

#[test]
fn forgetting_tells_a_waiter_that_can_no_longer_be_served() {
    within_a_minute(|| {
        let semaphore = Arc::new(Semaphore::new(2));
        let held = semaphore.acquire().unwrap();
        let wants_both = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.acquire_many(2).map(drop)
        });
        until_figure(&semaphore, "waiting", 1);
        held.forget();
        assert_eq!(wants_both.join().unwrap(), Err(WaitError::InsufficientCapacity));
        assert_eq!((semaphore.available(), semaphore.total()), (1, 1));
    });
}

#[test]
fn resizing_up_serves_the_waiters() {
    within_a_minute(|| {
        let semaphore = Arc::new(Semaphore::new(2));
        let held = semaphore.acquire_many(2).unwrap();
        let sleepers = [(); 2].map(|()| {
            let semaphore = Arc::clone(&semaphore);
            thread::spawn(move || semaphore.acquire_owned().unwrap())
        });
        until_figure(&semaphore, "waiting", 2);
        semaphore.resize(4);
        let permits = sleepers.map(|sleeper| sleeper.join().unwrap());
        assert_eq!((semaphore.available(), semaphore.total()), (0, 4));
        drop((permits, held));
        assert_eq!(semaphore.available(), 4);
    });
}

#[test]
fn resizing_below_what_is_out_takes_it_from_what_comes_back() {
    let semaphore = Semaphore::new(5);
    let (a, b) = (semaphore.acquire_many(2).unwrap(), semaphore.acquire_many(2).unwrap());
    semaphore.resize(1);
    assert_eq!((semaphore.available(), semaphore.total()), (0, 1));
    drop(a); // returns two of the three permits in excess
    assert_eq!(semaphore.available(), 0);
    assert_eq!(semaphore.try_acquire().unwrap_err(), TryError::WouldBlock);
    drop(b);
    assert_eq!((semaphore.available(), semaphore.total()), (1, 1));
}

#[test]
fn forgetting_pays_what_a_resize_is_owed() {
    let semaphore = Semaphore::new(4);
    let held = semaphore.acquire_many(4).unwrap();
    semaphore.resize(2);
    held.forget();
    assert_eq!((semaphore.available(), semaphore.total()), (0, 0));
    semaphore.resize(3);
    assert_eq!((semaphore.available(), semaphore.total()), (3, 3));
}

#[test]
fn resizing_back_up_forgives_what_is_owed() {
    let semaphore = Semaphore::new(4);
    let held = semaphore.acquire_many(4).unwrap();
    semaphore.resize(1);
    semaphore.resize(6);
    assert_eq!((semaphore.available(), semaphore.total()), (2, 6));
    drop(held);
    assert_eq!((semaphore.available(), semaphore.total()), (6, 6));
}

#[test]
fn resizing_down_tells_a_waiter_that_can_no_longer_be_served_and_serves_the_next() {
    within_a_minute(|| {
        let semaphore = Arc::new(Semaphore::new(3));
        let held = semaphore.acquire().unwrap();
        let large = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.acquire_many(3).map(drop)
        });
        until_figure(&semaphore, "waiting", 1);
        let small = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.acquire().map(drop)
        });
        until_figure(&semaphore, "waiting", 2);
        semaphore.resize(2);
        assert_eq!(large.join().unwrap(), Err(WaitError::InsufficientCapacity));
        assert_eq!(small.join().unwrap(), Ok(()));
        drop(held);
        assert_eq!(semaphore.available(), 2);
    });
}

#[test]
fn semaphore_made_with_none_gets_its_permits_by_resize() {
    let semaphore = Semaphore::new(0);
    assert_eq!(semaphore.try_acquire().unwrap_err(), TryError::InsufficientCapacity);
    semaphore.resize(1);
    assert!(semaphore.try_acquire().is_ok());
}

#[test]
fn largest_semaphore_counts_without_overflow() {
    let semaphore = Semaphore::new(Semaphore::MAX);
    let all = semaphore.acquire_many(Semaphore::MAX).unwrap();
    assert_eq!(semaphore.available(), 0);
    drop(all);
    assert_eq!(semaphore.available(), Semaphore::MAX);
    semaphore.resize(0);
    semaphore.resize(Semaphore::MAX);
    assert_eq!((semaphore.available(), semaphore.total()), (Semaphore::MAX, Semaphore::MAX));
}

#[test]
fn owned_permit_keeps_its_semaphore_alive_on_another_thread() {
    let semaphore = Arc::new(Semaphore::new(3));
    let weak = Arc::downgrade(&semaphore);
    let mut permit = semaphore.acquire_many_owned(2).unwrap();
    permit.merge(semaphore.try_acquire_owned().unwrap());
    drop(semaphore);
    let available = thread::spawn(move || {
        let one = permit.split(1).unwrap();
        assert!(permit.split(9).is_none());
        drop(permit);
        one.semaphore().available()
    });
    assert_eq!(available.join().unwrap(), 2);
    assert!(weak.upgrade().is_none());
}

#[test]
fn panic_of_the_holder_gives_the_permit_back() {
    let semaphore = Arc::new(Semaphore::new(1));
    let holder = thread::spawn({
        let semaphore = Arc::clone(&semaphore);
        move || {
            let _permit = semaphore.acquire().unwrap();
            std::panic::resume_unwind(Box::new("on purpose"));
        }
    });
    assert!(holder.join().is_err());
    assert_eq!(semaphore.available(), 1);
}
