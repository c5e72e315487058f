//! Items with tags: each is handled once and none is lost, with selections on both sides of the queues.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use crate::common::{Dice, within_a_minute};
use selvedge::queue::{Receiver, Sender, bounded, rendezvous};
use selvedge::select::Select;
use selvedge::{CancelToken, select};

/// So many items come from each producer.
const EACH: usize = 2_000;

/// Two queues, three producers that select where to push, and three consumers that select where to pop. Each
/// tag is seen once.
fn each_tag_once(queues: impl Fn() -> (Sender<usize>, Receiver<usize>) + Send + 'static) {
    within_a_minute(move || {
        let ((left_in, left_out), (right_in, right_out)) = (queues(), queues());
        let seen: Vec<AtomicUsize> = (0..3 * EACH).map(|_| AtomicUsize::new(0)).collect();
        thread::scope(|s| {
            for producer in 0..3 {
                let (left, right) = (left_in.clone(), right_in.clone());
                s.spawn(move || {
                    let mut dice = Dice::new(producer as u64);
                    for tag in producer * EACH..(producer + 1) * EACH {
                        push_somewhere(&left, &right, tag, &mut dice);
                    }
                });
            }
            drop((left_in, right_in));
            for consumer in 0..3 {
                let (left, right, seen) = (left_out.clone(), right_out.clone(), &seen);
                s.spawn(move || {
                    let mut dice = Dice::new(10 + consumer);
                    let (mut left, mut right) = (Some(left), Some(right));
                    while left.is_some() || right.is_some() {
                        pop_somewhere(&mut left, &mut right, &mut dice, |tag| {
                            seen[tag].fetch_add(1, Relaxed);
                        });
                    }
                });
            }
        });
        let counts: Vec<usize> = seen.iter().map(|count| count.load(Relaxed)).collect();
        assert!(counts.iter().all(|count| *count == 1), "{:?}", counts.iter().position(|count| *count != 1));
    });
}

/// Pushes into the queue that has room first; gives up now and then, and tries again.
fn push_somewhere(left: &Sender<usize>, right: &Sender<usize>, tag: usize, dice: &mut Dice) {
    let item = std::cell::Cell::new(Some(tag));
    loop {
        let limit = if dice.once_in(4) { Some(Duration::from_micros(20)) } else { None };
        let mut selection = Select::new();
        selection.add(select::push_from(left, &item), |pushed| pushed.unwrap());
        selection.add(select::push_from(right, &item), |pushed| pushed.unwrap());
        match selection.wait_until(limit) {
            Ok(_) => {
                drop(selection);
                return assert_eq!(item.take(), None, "it was pushed");
            }
            Err(_) => drop(selection),
        }
        let kept = item.take();
        assert_eq!(kept, Some(tag), "a selection that gave up has pushed nothing");
        item.set(kept);
    }
}

/// Pops from the queue that has an item first, or turns off the one that has ended.
fn pop_somewhere(
    left: &mut Option<Receiver<usize>>,
    right: &mut Option<Receiver<usize>>,
    dice: &mut Dice,
    mut seen: impl FnMut(usize),
) {
    let stop = CancelToken::new();
    if dice.once_in(5) {
        stop.cancel();
    }
    let limit = if dice.once_in(3) { Some(Duration::from_micros(20)) } else { None };
    let (mut left_ended, mut right_ended) = (false, false);
    select! {
        arm(left.as_ref().map(select::pop)) -> item => match item {
            Ok(tag) => seen(tag),
            Err(_) => left_ended = true,
        },
        arm(right.as_ref().map(select::pop)) -> item => match item {
            Ok(tag) => seen(tag),
            Err(_) => right_ended = true,
        },
        until((&stop, limit)) -> _why => {}
    }
    if left_ended {
        *left = None;
    }
    if right_ended {
        *right = None;
    }
}

#[test]
fn each_item_of_bounded_queues_is_handled_once() {
    each_tag_once(|| bounded(1));
    each_tag_once(|| bounded(4));
}

#[test]
fn each_item_of_rendezvous_queues_is_handled_once() {
    each_tag_once(rendezvous);
}

#[test]
fn items_that_select_in_a_ring_come_round() {
    // Each thread passes on what it gets, and selects between a stop and its own input: as Go's test of
    // selections that wait for each other.
    within_a_minute(|| {
        let (ends, mut inputs): (Vec<_>, Vec<_>) = (0..4).map(|_| bounded::<u32>(1)).unzip();
        let (stop, laps) = (CancelToken::new(), Mutex::new(0));
        inputs.rotate_right(1);
        thread::scope(|s| {
            for (at, input) in inputs.iter().enumerate() {
                let (output, stop, laps) = (&ends[at], &stop, &laps);
                s.spawn(move || {
                    loop {
                        let token = select! {
                            pop(input) -> token => token.unwrap(),
                            until(stop) -> _why => return,
                        };
                        if at == 0 {
                            *laps.lock().unwrap() += 1;
                            if token == 500 {
                                return stop.cancel();
                            }
                        }
                        let mut item = Some(token + u32::from(at == 0));
                        select! {
                            push(output, &mut item) -> pushed => pushed.unwrap(),
                            until(stop) -> _why => return,
                        }
                    }
                });
            }
            ends[1].push(0).unwrap();
        });
        assert_eq!(*laps.lock().unwrap(), 501);
    });
}
