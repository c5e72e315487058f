//! Whoever waits is served after a bounded number of others, though those are faster each time.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use crate::common::{eventually, figure, within_a_minute};
use selvedge::queue::BoundedQueue;
use selvedge::{CancelToken, Pool};

/// Others that may go first: the waiter loses 32 times, and then it is its turn.
const BOUND: usize = 100;

/// Waits of each kind. Without turns some are served by luck.
const WAITS: usize = 100;

/// Each time that the waiter sleeps, `wake` does what wakes it, and `overtake` does at once what it was woken
/// for. Holds how many of those went first against the bound. Each says whether it succeeded.
fn is_served_in_the_end(
    (subject, sleepers): (&impl Debug, &str),
    give_up: impl Fn(),
    wait: impl Fn() -> bool + Sync,
    wake: impl Fn() -> bool,
    overtake: impl Fn() -> bool,
) {
    for _ in 0..WAITS {
        while overtake() {}
        let (served, mut others) = (AtomicBool::new(false), 0);
        thread::scope(|s| {
            s.spawn(|| served.store(wait(), Relaxed));
            while !served.load(Relaxed) && others <= BOUND {
                eventually("the waiter sleeps or has been served", || {
                    figure(subject, sleepers) == Some(1) || served.load(Relaxed)
                });
                others += usize::from(!served.load(Relaxed) && wake() && overtake());
            }
            if !served.load(Relaxed) {
                give_up();
            }
        });
        assert!(others <= BOUND, "more than {BOUND} others went first");
    }
}

#[test]
fn push_that_is_always_overtaken_gets_in_after_a_bounded_number_of_others() {
    for capacity in [1, 3] {
        within_a_minute(move || {
            let queue = BoundedQueue::new(capacity);
            let (wait, overtake) = (|| queue.push(9).is_ok(), || queue.try_push(1).is_ok());
            let give_up = || drop(queue.close_and_drain());
            is_served_in_the_end(
                (&queue, "waiting_to_push"),
                give_up,
                wait,
                || queue.try_pop().is_ok(),
                overtake,
            );
        });
    }
}

#[test]
fn batch_that_is_always_overtaken_gets_in_after_a_bounded_number_of_others() {
    within_a_minute(|| {
        let queue = BoundedQueue::new(1);
        let (wait, overtake) = (|| queue.push_all([9]).is_ok(), || queue.try_push(1).is_ok());
        let give_up = || drop(queue.close_and_drain());
        is_served_in_the_end(
            (&queue, "waiting_to_push"),
            give_up,
            wait,
            || queue.try_pop().is_ok(),
            overtake,
        );
    });
}

#[test]
fn pop_that_is_always_overtaken_gets_an_item_after_a_bounded_number_of_others() {
    within_a_minute(|| {
        let queue = BoundedQueue::new(3);
        let (wait, overtake) = (|| queue.pop().is_ok(), || queue.try_pop().is_ok());
        let give_up = || drop(queue.close_and_drain());
        is_served_in_the_end(
            (&queue, "waiting_to_pop"),
            give_up,
            wait,
            || queue.try_push(1).is_ok(),
            overtake,
        );
    });
}

#[test]
fn pop_of_many_that_is_always_overtaken_gets_items_after_a_bounded_number_of_others() {
    within_a_minute(|| {
        let queue = BoundedQueue::new(3);
        let (wait, overtake) = (|| queue.pop_many(2).is_ok(), || queue.try_pop().is_ok());
        let give_up = || drop(queue.close_and_drain());
        is_served_in_the_end(
            (&queue, "waiting_to_pop"),
            give_up,
            wait,
            || queue.try_push(1).is_ok(),
            overtake,
        );
    });
}

#[test]
fn reader_that_is_always_overtaken_gets_a_result_after_a_bounded_number_of_others() {
    within_a_minute(|| {
        let pool = Pool::builder().workers(2).build().unwrap();
        let (results, stop) = (pool.results(), CancelToken::new());
        // One that does not end, so that readers wait.
        let end = stop.clone();
        results.submit(move || end.wait()).unwrap();
        let wait = || results.next_until(&stop).is_ok();
        let overtake = || (0..10_000).any(|_| results.try_next().is_ok());
        let wake = || results.submit(|| ()).is_ok();
        is_served_in_the_end((&results, "waiting"), || stop.cancel(), wait, wake, overtake);
        stop.cancel();
    });
}
