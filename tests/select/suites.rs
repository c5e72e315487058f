//! What crossbeam's and Go's own tests of their selections ask for, in other words.

use std::thread;
use std::time::Duration;

use crate::common::{HOUR, until_figure, within_a_minute};
use selvedge::error::{Closed, TryError, WaitError};
use selvedge::queue::{bounded, rendezvous, resizable};
use selvedge::select::Select;
use selvedge::{BoundedQueue, Clock, select};

#[test]
fn arms_of_closed_queues_are_ready_and_as_fair_as_others() {
    let (closed, open) = (BoundedQueue::<u32>::new(1), BoundedQueue::new(1_000));
    closed.close();
    open.push_all(0..1_000).unwrap();
    let mut counts = [0; 2];
    for _ in 0..1_000 {
        select! {
            pop(&closed) -> item => { assert_eq!(item, Err(Closed)); counts[0] += 1 }
            pop(&open) -> item => { item.unwrap(); counts[1] += 1 }
        }
    }
    assert!(counts.iter().all(|count| *count > 200), "{counts:?}");
}

#[test]
fn push_and_pop_arms_that_are_ready_are_each_taken_often() {
    let (full, empty) = (BoundedQueue::new(1), BoundedQueue::new(1));
    let mut counts = [0; 2];
    for _ in 0..1_000 {
        full.force_push(1).unwrap();
        let mut item = Some(2);
        select! {
            pop(&full) -> got => { got.unwrap(); counts[0] += 1 }
            push(&empty, &mut item) -> pushed => { pushed.unwrap(); counts[1] += 1 }
        }
        let _ = empty.try_pop();
    }
    assert!(counts.iter().all(|count| *count > 200), "{counts:?}");
}

#[test]
fn one_ready_arm_among_many_is_found_wherever_it_is() {
    let queues: Vec<_> = (0..100).map(|_| BoundedQueue::new(1)).collect();
    let mut selection = Select::new();
    queues.iter().for_each(|queue| _ = selection.add(select::pop(queue), |item| item.unwrap()));
    for (at, queue) in queues.iter().enumerate() {
        queue.push(at).unwrap();
        assert_eq!(selection.wait(), (at, at));
        assert_eq!(selection.try_wait().unwrap_err(), TryError::WouldBlock);
        assert_eq!(selection.wait_until(Duration::ZERO).unwrap_err(), WaitError::TimedOut);
    }
}

#[test]
fn limit_that_has_passed_loses_to_an_arm_that_is_ready() {
    let clock = Clock::manual();
    let (queue, past) = (BoundedQueue::new(1), clock.now());
    clock.advance(HOUR);
    for _ in 0..100 {
        queue.push(7).unwrap();
        let item = select! {
            pop(&queue) -> item => item.ok(),
            until((clock.clock(), past)) -> _why => None,
        };
        assert_eq!(item, Some(7));
    }
}

#[test]
fn same_queue_in_push_and_pop_arms_of_two_threads_passes_items_between_them() {
    within_a_minute(|| {
        let (sender, receiver) = rendezvous();
        thread::scope(|s| {
            for _ in 0..2 {
                let (sender, receiver) = (&sender, &receiver);
                s.spawn(move || {
                    // Each pushes or pops; every push needs the other's pop.
                    for _ in 0..500 {
                        let mut item = Some(1);
                        select! {
                            push(sender, &mut item) -> pushed => pushed.unwrap(),
                            pop(receiver) -> got => assert_eq!(got, Ok(1)),
                        }
                    }
                });
            }
        });
    });
}

#[test]
fn selection_in_the_function_of_an_arm_may_use_the_same_queues() {
    let (first, second) = (BoundedQueue::new(4), BoundedQueue::new(4));
    first.push_all([1, 2]).unwrap();
    second.push_all([10, 20]).unwrap();
    let pair = |biased: bool| {
        let mut selection = if biased { Select::new().biased() } else { Select::new() };
        selection.add(select::pop(&first), |one| {
            select! { biased; pop(&first) -> two => (one, two), pop(&second) -> two => (one, two) }
        });
        selection.wait().1
    };
    assert_eq!((pair(true), first.len(), second.len()), ((Ok(1), Ok(2)), 0, 2));
}

#[test]
fn loop_over_a_closed_queue_ends_when_its_arm_is_turned_off() {
    within_a_minute(|| {
        let (ends, others) = (bounded::<u32>(1), BoundedQueue::new(3));
        others.push_all([1, 2, 3]).unwrap();
        let (sender, receiver) = ends;
        drop(sender);
        let (mut receiver, mut closed, mut sum) = (Some(receiver), 0, 0);
        while sum < 6 {
            let ended = select! {
                arm(receiver.as_ref().map(select::pop)) -> item => { assert_eq!(item, Err(Closed)); true }
                pop(&others) -> item => { sum += item.unwrap(); false }
            };
            if ended {
                closed += 1;
                receiver = None;
            }
        }
        assert!(closed <= 1, "the arm was ready once");
    });
}

#[test]
fn push_arm_waits_for_a_capacity_that_was_lowered_and_goes_on_when_it_is_raised() {
    within_a_minute(|| {
        let (sender, receiver) = resizable(2, 2);
        sender.push_all([1, 2]).unwrap();
        receiver.resize(1);
        receiver.pop().unwrap();
        let mut item = Some(3);
        let late = select! {
            push(&sender, &mut item) -> _pushed => false,
            until(Duration::from_millis(1)) -> _why => true,
        };
        assert!(late && item == Some(3), "one is in the queue, as many as may be");
        thread::scope(|s| {
            let pushes = s.spawn(|| {
                let never = BoundedQueue::<u32>::new(1);
                select! {
                    push(&sender, &mut item) -> pushed => pushed.unwrap(),
                    pop(&never) -> _item => unreachable!("nobody pushes"),
                }
            });
            until_figure(&receiver, "waiting_to_push", 1);
            receiver.resize(2);
            pushes.join().unwrap();
        });
        assert_eq!((receiver.pop(), receiver.pop()), (Ok(2), Ok(3)));
    });
}

#[test]
#[should_panic(expected = "would wait forever")]
fn selection_without_an_arm_panics_instead_of_waiting_forever() {
    Select::<()>::new().wait();
}

#[test]
fn selection_without_an_arm_waits_for_its_limit() {
    assert_eq!(Select::<()>::new().wait_until(Duration::ZERO).unwrap_err(), WaitError::TimedOut);
    assert_eq!(Select::<()>::new().try_wait().unwrap_err(), TryError::WouldBlock);
}
