//! Mixes of everything on real threads, by dice with a fixed seed: whatever the schedule, the sums are right.
//!
//! `SELVEDGE_STRESS=50` runs fifty times as much; without it the whole takes a second or two.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use common::rounds::{current, limit, meddle, rounds, tokens};
use common::{Dice, figure};
use selvedge::error::WaitError;
use selvedge::queue::bounded;
use selvedge::{BoundedQueue, CancelToken, Latch, Semaphore, group};

type Item = (usize, usize);

/// Pushes items of its own, one by one and in batches, under all limits; says which went in.
fn produce(queue: &BoundedQueue<Item>, who: usize, tokens: &[CancelToken], mut dice: Dice) -> Vec<Item> {
    let (mut pushed, mut next) = (Vec::new(), 0);
    while next < 300 {
        let token = current(tokens);
        let batch: Vec<Item> = (next..next + 1 + dice.roll(6)).map(|id| (who, id)).collect();
        next += batch.len();
        let (mut rest, closed) = match dice.roll(4) {
            0 => match queue.push_all(batch.clone()) {
                Ok(()) => (Vec::new(), false),
                Err(rejected) => (rejected.value.collect(), true),
            },
            1 => match queue.push_all_until(batch.clone(), limit(&mut dice, token)) {
                Ok(()) => (Vec::new(), false),
                Err(rejected) => (rejected.value.collect(), rejected.error == WaitError::Closed),
            },
            2 => one_by_one(&batch, |item| match queue.try_push(item) {
                Ok(()) => None,
                Err(rejected) => Some(rejected.value),
            }),
            _ => one_by_one(&batch, |item| match queue.push_until(item, limit(&mut dice, token)) {
                Ok(()) => None,
                Err(rejected) => Some(rejected.value),
            }),
        };
        // What came back is exactly what did not go in.
        pushed.extend(batch.iter().filter(|item| !rest.contains(item)));
        rest.retain(|item| !batch.contains(item));
        assert!(rest.is_empty(), "strangers came back: {rest:?}");
        if closed {
            break;
        }
    }
    pushed
}

fn one_by_one(batch: &[Item], mut push: impl FnMut(Item) -> Option<Item>) -> (Vec<Item>, bool) {
    (batch.iter().filter_map(|item| push(*item)).collect(), false)
}

/// Pops in every way until the queue is closed and empty.
fn consume(queue: &BoundedQueue<Item>, tokens: &[CancelToken], mut dice: Dice) -> Vec<Item> {
    let mut popped = Vec::new();
    loop {
        let token = current(tokens);
        let result = match dice.roll(5) {
            0 => queue.pop().map(|item| vec![item]).map_err(WaitError::from),
            1 => queue.pop_many(1 + dice.roll(5)).map_err(WaitError::from),
            2 => queue.pop_many_until(dice.roll(5), limit(&mut dice, token)),
            3 => queue.try_pop().map(|item| vec![item]).or(Err(WaitError::TimedOut)),
            _ => queue.pop_until(limit(&mut dice, token)).map(|item| vec![item]),
        };
        match result {
            Ok(items) => popped.extend(items),
            Err(WaitError::Closed) => return popped,
            Err(_) => {}
        }
    }
}

/// Who produced what, and that none of it is there twice or out of its producer's order.
fn assert_in_order(items: &[Item]) {
    for producer in items.iter().map(|item| item.0).collect::<std::collections::BTreeSet<_>>() {
        let own: Vec<_> = items.iter().filter(|item| item.0 == producer).collect();
        assert!(own.is_sorted_by(|a, b| a.1 < b.1), "producer {producer} is out of order");
    }
}

fn queue_round(consumers: usize, close_early: bool, mut dice: Dice) {
    let queue = Arc::new(BoundedQueue::new(1 + dice.roll(5)));
    let (tokens, done) = (tokens(20), Arc::new(Latch::new(1)));
    let producers: Vec<_> = (0..1 + dice.roll(3))
        .map(|who| {
            let (queue, tokens, dice) =
                (Arc::clone(&queue), Arc::clone(&tokens), Dice::new(dice.roll(1 << 30) as u64));
            thread::spawn(move || produce(&queue, who, &tokens, dice))
        })
        .collect();
    let consumers: Vec<_> = (0..consumers)
        .map(|_| {
            let (queue, tokens, dice) =
                (Arc::clone(&queue), Arc::clone(&tokens), Dice::new(dice.roll(1 << 30) as u64));
            thread::spawn(move || consume(&queue, &tokens, dice))
        })
        .collect();
    let meddler = thread::spawn({
        let (tokens, done, dice) = (Arc::clone(&tokens), Arc::clone(&done), dice.clone());
        move || meddle(&tokens, &done, dice)
    });
    let mut out = Vec::new();
    if close_early {
        (0..dice.roll(2000)).for_each(|_| thread::yield_now());
        out = queue.close_and_drain();
    }
    let mut pushed: Vec<Item> = producers.into_iter().flat_map(|it| it.join().unwrap()).collect();
    queue.close();
    let popped: Vec<_> = consumers.into_iter().map(|it| it.join().unwrap()).collect();
    done.count_down();
    meddler.join().unwrap();
    popped.iter().for_each(|own| assert_in_order(own));
    assert_in_order(&out);
    out.extend(popped.into_iter().flatten());
    assert!(queue.is_empty());
    pushed.sort_unstable();
    out.sort_unstable();
    assert_eq!(pushed, out);
    assert_eq!((figure(&*queue, "waiting_to_pop"), figure(&*queue, "waiting_to_push")), (Some(0), Some(0)));
}

#[test]
fn queue_gives_out_what_went_in_and_keeps_each_producers_order() {
    rounds(6, |dice| queue_round(1, false, dice));
}

#[test]
fn queue_shares_items_among_consumers_each_once() {
    rounds(6, |dice| queue_round(3, false, dice));
}

#[test]
fn queue_closed_in_the_middle_loses_nothing() {
    rounds(12, |dice| queue_round(2, true, dice));
}

#[test]
fn queue_without_limits_wakes_every_thread_that_must_be_woken() {
    // No time-out mends a lost wake-up here: a hang is a hang.
    rounds(6, |mut dice| {
        let (sender, receiver) = bounded(1 + dice.roll(3));
        let producers: Vec<_> = (0..3)
            .map(|who| {
                let sender = sender.clone();
                thread::spawn(move || (0..500).for_each(|id| sender.push(who * 500 + id).unwrap()))
            })
            .collect();
        drop(sender);
        let consumers: Vec<_> = (0..3)
            .map(|_| {
                let receiver = receiver.clone();
                thread::spawn(move || receiver.iter().sum::<usize>())
            })
            .collect();
        producers.into_iter().for_each(|it| it.join().unwrap());
        let sum: usize = consumers.into_iter().map(|it| it.join().unwrap()).sum();
        assert_eq!(sum, (0..1500).sum::<usize>());
    });
}

/// Takes permits in every way, and never sees more out than there may be.
fn acquire(
    semaphore: &Arc<Semaphore>,
    out: &AtomicUsize,
    most: usize,
    tokens: &[CancelToken],
    mut dice: Dice,
) {
    for _ in 0..200 {
        let (token, count) = (current(tokens), 1 + dice.roll(4));
        let permit = match dice.roll(4) {
            0 => semaphore.try_acquire_many_owned(count).ok(),
            1 => semaphore.acquire_many_owned(count).ok(),
            _ => semaphore.acquire_many_owned_until(count, limit(&mut dice, token)).ok(),
        };
        let Some(mut permit) = permit else { continue };
        let now = out.fetch_add(count, SeqCst) + count;
        assert!(now <= most, "{now} out of {most}");
        if dice.once_in(3) {
            thread::yield_now();
        }
        // Counted out before it is given back, so that the sum is never too small.
        if let Some(part) = permit.split(dice.roll(3)) {
            out.fetch_sub(part.count(), SeqCst);
            drop(part);
        }
        out.fetch_sub(permit.count(), SeqCst);
        drop(permit);
    }
}

fn semaphore_round(resizes: bool, mut dice: Dice) {
    let total = 4 + dice.roll(4);
    let semaphore = Arc::new(Semaphore::new(total));
    let (tokens, done, out) = (tokens(20), Arc::new(Latch::new(1)), Arc::new(AtomicUsize::new(0)));
    // While it is resized, the largest size is what holds at every moment.
    let most = if resizes { 8 } else { total };
    let holders: Vec<_> = (0..4)
        .map(|_| {
            let (semaphore, out, tokens) = (Arc::clone(&semaphore), Arc::clone(&out), Arc::clone(&tokens));
            let dice = Dice::new(dice.roll(1 << 30) as u64);
            thread::spawn(move || acquire(&semaphore, &out, most, &tokens, dice))
        })
        .collect();
    let meddler = thread::spawn({
        let (semaphore, tokens, done) = (Arc::clone(&semaphore), Arc::clone(&tokens), Arc::clone(&done));
        let mut dice = dice.clone();
        move || {
            for _ in 0..if resizes { 50 } else { 0 } {
                semaphore.resize(dice.roll(9));
                thread::yield_now();
            }
            semaphore.resize(total);
            meddle(&tokens, &done, dice);
        }
    });
    holders.into_iter().for_each(|it| it.join().unwrap());
    done.count_down();
    meddler.join().unwrap();
    assert_eq!((semaphore.available(), semaphore.total(), out.load(SeqCst)), (total, total, 0));
    assert_eq!(figure(&*semaphore, "waiting"), Some(0));
}

#[test]
fn semaphore_never_has_more_out_than_its_total_and_gets_everything_back() {
    rounds(8, |dice| semaphore_round(false, dice));
}

#[test]
fn semaphore_that_is_resized_all_the_time_gets_everything_back() {
    rounds(8, |dice| semaphore_round(true, dice));
}

#[test]
fn scopes_tasks_have_all_ended_whatever_failed() {
    rounds(40, |mut dice| {
        let (inside, held) = (AtomicUsize::new(0), Arc::new(()));
        let token = CancelToken::new();
        let limited = dice.once_in(2).then(|| 1 + dice.roll(4));
        let fails_at = dice.roll(60);
        let result = group::scope(&token, |g| {
            limited.into_iter().for_each(|limit| g.limit(limit));
            for id in 0..40 {
                let (held, inside) = (Arc::clone(&held), &inside);
                g.spawn(move |token| {
                    inside.fetch_add(1, SeqCst);
                    // Asleep when the failure comes, or through before it.
                    let _ = token.sleep(Duration::from_micros(id as u64));
                    inside.fetch_sub(1, SeqCst);
                    drop(held);
                    if id == fails_at { Err(id) } else { Ok(()) }
                });
            }
            Ok(())
        });
        let expected = if fails_at < 40 { Err(group::Error::Failed(fails_at)) } else { Ok(()) };
        assert_eq!(result, expected);
        assert_eq!((inside.load(SeqCst), Arc::strong_count(&held)), (0, 1));
        assert_eq!(figure(&token, "watchers"), Some(0));
    });
}

#[test]
fn latch_opened_while_others_give_up_is_seen_by_all_remaining_waiters() {
    rounds(40, |mut dice| {
        let (latch, tokens) = (Arc::new(Latch::new(3)), tokens(4));
        let stay: Vec<_> = (0..2)
            .map(|_| {
                let latch = Arc::clone(&latch);
                thread::spawn(move || latch.wait())
            })
            .collect();
        let leave: Vec<_> = (0..2)
            .map(|_| {
                let (latch, tokens) = (Arc::clone(&latch), Arc::clone(&tokens));
                let mut dice = Dice::new(dice.roll(1 << 30) as u64);
                thread::spawn(move || _ = latch.wait_until(limit(&mut dice, &tokens[0])))
            })
            .collect();
        for _ in 0..3 {
            (0..dice.roll(20)).for_each(|_| thread::yield_now());
            latch.count_down();
        }
        tokens[0].cancel();
        stay.into_iter().chain(leave).for_each(|it| it.join().unwrap());
        assert_eq!(figure(&*latch, "waiting"), Some(0));
    });
}
