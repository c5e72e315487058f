//! Black-box tests of queues of capacity 0.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use common::{HOUR, until_figure, within_a_minute};
use selvedge::error::{Closed, TryError, WaitError};
use selvedge::queue::rendezvous;
use selvedge::select::Select;
use selvedge::{CancelToken, select};

#[test]
fn nothing_fits_in_and_nothing_lies_inside() {
    let (sender, receiver) = rendezvous();
    assert_eq!((sender.capacity(), sender.len(), receiver.is_empty()), (0, 0, true));
    let back = sender.try_push(7).unwrap_err();
    assert_eq!((back.value, back.error), (7, TryError::WouldBlock));
    assert_eq!(receiver.try_pop(), Err(TryError::WouldBlock));
    assert_eq!(receiver.try_pop_many(3), Err(TryError::WouldBlock));
    assert_eq!(receiver.pop_many(0), Ok(vec![]));
    assert_eq!(receiver.pop_until(Duration::from_millis(1)), Err(WaitError::TimedOut));
}

#[test]
fn push_returns_when_the_item_was_taken() {
    within_a_minute(|| {
        let (sender, receiver) = rendezvous();
        thread::scope(|s| {
            let pushing = s.spawn(|| sender.push(7));
            until_figure(&sender, "waiting_to_push", 1);
            assert_eq!(receiver.try_pop(), Ok(7));
            assert!(pushing.join().unwrap().is_ok());
            let popping = s.spawn(|| receiver.pop());
            until_figure(&sender, "waiting_to_pop", 1);
            assert!(sender.try_push(8).is_ok());
            assert_eq!(popping.join().unwrap(), Ok(8));
        });
    });
}

#[test]
fn push_that_nobody_takes_comes_back() {
    within_a_minute(|| {
        let ((sender, receiver), stop) = (rendezvous(), CancelToken::new());
        let late = sender.push_until("late", Duration::from_millis(1)).unwrap_err();
        assert_eq!((late.value, late.error), ("late", WaitError::TimedOut));
        thread::scope(|s| {
            let cancelled = s.spawn(|| sender.push_until("stopped", &stop));
            until_figure(&sender, "waiting_to_push", 1);
            stop.cancel();
            let back = cancelled.join().unwrap().unwrap_err();
            assert_eq!((back.value, back.error), ("stopped", WaitError::Cancelled));
            let closed = s.spawn(|| sender.push("closed"));
            until_figure(&sender, "waiting_to_push", 1);
            receiver.close();
            assert_eq!(closed.join().unwrap().unwrap_err().into_value(), "closed");
        });
        assert_eq!(receiver.pop(), Err(Closed));
        assert!(receiver.close_and_drain().is_empty());
    });
}

#[test]
fn last_handle_of_a_side_ends_the_others_wait() {
    within_a_minute(|| {
        let (sender, receiver) = rendezvous::<u32>();
        thread::scope(|s| {
            let popping = s.spawn(|| receiver.pop());
            until_figure(&receiver, "waiting_to_pop", 1);
            drop(sender);
            assert_eq!(popping.join().unwrap(), Err(Closed));
        });
        let (sender, receiver) = rendezvous();
        thread::scope(|s| {
            let pushing = s.spawn(|| sender.push(7));
            until_figure(&receiver, "waiting_to_push", 1);
            drop(receiver);
            assert_eq!(pushing.join().unwrap().unwrap_err().into_value(), 7);
        });
    });
}

#[test]
fn many_items_go_one_after_another_and_come_together() {
    within_a_minute(|| {
        let (sender, receiver) = rendezvous();
        thread::scope(|s| {
            s.spawn(move || sender.push_all(0..100).unwrap());
            let mut seen = Vec::new();
            while let Ok(items) = receiver.pop_many(7) {
                assert!(!items.is_empty() && items.len() <= 7);
                seen.extend(items);
            }
            assert!(seen.into_iter().eq(0..100));
        });
    });
}

#[test]
fn batch_that_is_not_taken_comes_back_from_the_first_item_on() {
    within_a_minute(|| {
        let (sender, receiver) = rendezvous();
        thread::scope(|s| {
            let pushing = s.spawn(|| sender.push_all(0..5));
            assert_eq!((receiver.pop(), receiver.pop()), (Ok(0), Ok(1)));
            until_figure(&sender, "waiting_to_push", 1);
            receiver.close();
            let rest = pushing.join().unwrap().unwrap_err().into_value();
            assert!(rest.eq(2..5));
        });
    });
}

#[test]
fn producers_are_served_in_the_order_in_which_they_came() {
    within_a_minute(|| {
        let (sender, receiver) = rendezvous();
        thread::scope(|s| {
            for item in 0..5 {
                let sender = &sender;
                s.spawn(move || sender.push(item).unwrap());
                until_figure(sender, "waiting_to_push", item + 1);
            }
            assert!((0..5).all(|item| receiver.pop() == Ok(item)));
        });
    });
}

#[test]
fn selection_meets_others_and_not_itself() {
    within_a_minute(|| {
        let (sender, receiver) = rendezvous();
        let mut mine = Some(1);
        let why = select! {
            push(&sender, &mut mine) -> _ => panic!("only it is there"),
            pop(&receiver) -> _ => panic!("only it is there"),
            until(Duration::from_millis(1)) -> why => why,
        };
        assert_eq!((why, mine), (WaitError::TimedOut, Some(1)));
        thread::scope(|s| {
            let selecting = |item: u32| {
                let (sender, receiver) = (&sender, &receiver);
                move || {
                    let mut mine = Some(item);
                    select! {
                        push(sender, &mut mine) -> pushed => { pushed.unwrap(); None }
                        pop(receiver) -> item => Some((item.unwrap(), mine.unwrap())),
                    }
                }
            };
            for _ in 0..100 {
                let (one, other) = (s.spawn(selecting(1)), s.spawn(selecting(2)));
                let met = (one.join().unwrap(), other.join().unwrap());
                assert!(matches!(met, (None, Some((1, 2))) | (Some((2, 1)), None)), "{met:?}");
            }
        });
    });
}

#[test]
fn two_selections_over_two_queues_in_opposite_order_meet() {
    within_a_minute(|| {
        let (a, b) = (rendezvous(), rendezvous());
        let met = AtomicUsize::new(0);
        thread::scope(|s| {
            s.spawn(|| {
                for round in 0..1_000 {
                    let (mut one, mut two) = (Some(round), Some(round));
                    select! {
                        push(&a.0, &mut one) -> pushed => pushed.unwrap(),
                        push(&b.0, &mut two) -> pushed => pushed.unwrap(),
                    }
                    assert!(one.is_none() != two.is_none());
                }
            });
            for round in 0..1_000 {
                let item = select! {
                    pop(&b.1) -> item => item.unwrap(),
                    pop(&a.1) -> item => item.unwrap(),
                };
                assert_eq!(item, round);
                met.fetch_add(1, Relaxed);
            }
        });
        assert_eq!(met.into_inner(), 1_000);
    });
}

#[test]
fn push_and_pop_that_time_out_all_the_time_lose_and_double_nothing() {
    within_a_minute(|| {
        const ITEMS: usize = 2_000;
        let (sender, receiver) = rendezvous();
        let sum = AtomicUsize::new(0);
        thread::scope(|s| {
            for worker in 0..2 {
                let sender = sender.clone();
                s.spawn(move || {
                    for item in 1..=ITEMS {
                        let mut item = item;
                        while let Err(back) = sender.push_until(item, Duration::from_micros(worker * 30)) {
                            assert_eq!(back.error, WaitError::TimedOut);
                            item = back.value;
                        }
                    }
                });
            }
            drop(sender);
            for worker in 0..2 {
                let (receiver, sum) = (&receiver, &sum);
                s.spawn(move || {
                    loop {
                        match receiver.pop_until(Duration::from_micros(worker * 50)) {
                            Ok(item) => _ = sum.fetch_add(item, Relaxed),
                            Err(WaitError::Closed) => break,
                            Err(_) => {}
                        }
                    }
                });
            }
        });
        assert_eq!(sum.into_inner(), ITEMS * (ITEMS + 1));
    });
}

#[test]
fn asking_whether_somebody_is_there_takes_nothing() {
    within_a_minute(|| {
        let (sender, receiver) = rendezvous();
        thread::scope(|s| {
            let asking = s.spawn(|| {
                let mut selection = Select::new();
                selection.add(select::pop(&receiver), drop);
                selection.ready_until(HOUR)
            });
            until_figure(&receiver, "waiting_to_pop", 1);
            let pushing = s.spawn(|| sender.push(7));
            assert_eq!(asking.join().unwrap(), Ok(0));
            assert_eq!(receiver.pop(), Ok(7));
            assert!(pushing.join().unwrap().is_ok());
            let asking = s.spawn(|| {
                let (mut item, mut selection) = (Some(8), Select::new());
                selection.add(select::push(&sender, &mut item), drop);
                let ready = selection.ready_until(HOUR);
                drop(selection);
                (ready, item)
            });
            until_figure(&receiver, "waiting_to_push", 1);
            let popping = s.spawn(|| receiver.pop());
            assert_eq!(asking.join().unwrap(), (Ok(0), Some(8)));
            sender.push(9).unwrap();
            assert_eq!(popping.join().unwrap(), Ok(9));
        });
    });
}

#[test]
fn forced_push_that_nobody_waits_for_comes_back() {
    within_a_minute(|| {
        let (sender, receiver) = rendezvous();
        assert_eq!(sender.force_push(7), Ok(Some(7)));
        thread::scope(|s| {
            let popping = s.spawn(|| receiver.pop());
            until_figure(&sender, "waiting_to_pop", 1);
            assert_eq!(sender.force_push(8), Ok(None));
            assert_eq!(popping.join().unwrap(), Ok(8));
        });
    });
}
