//! Models of `select!`: every schedule of a few threads. Each model names the edits of the source that it
//! detects.

use selvedge_loom as selvedge;

use selvedge::error::{Closed, WaitError};
use selvedge::select::Select;
use selvedge::sync::{Arc, model, thread};
use selvedge::{BoundedQueue, CancelToken, Latch, Monitor, Semaphore, select};

fn queue() -> Arc<BoundedQueue<u32>> {
    Arc::new(BoundedQueue::new(1))
}

/// A push wakes a selection that is in the lists of two queues, through either list, and the selection takes
/// the item once.
///
/// Fails if a selection joins only the first list (edit `select-joins-one`).
#[test]
fn a_push_reaches_a_selection_in_either_list() {
    model::check(|| {
        let queues = [queue(), queue()];
        let selecting = thread::spawn({
            let queues = queues.clone();
            move || {
                select! {
                    pop(&queues[0]) -> item => item,
                    pop(&queues[1]) -> item => item,
                }
            }
        });
        queues[1].push(7).unwrap();
        assert_eq!(selecting.join().unwrap(), Ok(7));
        assert!(queues.iter().all(|queue| queue.is_empty()));
    });
}

/// Two queues with one item each, a selection over both, and a consumer of one: if the selection does not
/// take the item that it was woken for, the consumer gets it.
///
/// Fails if a selection tries its other arms before the one that it was woken through (edit
/// `select-forgets-who-woke-it`), or checks its limit before it (edit `select-looks-at-the-limit-first`).
#[test]
fn a_wake_up_that_comes_to_a_selection_is_not_swallowed() {
    model::check(|| {
        let queues = [queue(), queue()];
        let stop = CancelToken::new();
        let selecting = thread::spawn({
            let (queues, stop) = (queues.clone(), stop.clone());
            move || {
                select! {
                    biased;
                    pop(&queues[1]) -> item => item.unwrap(),
                    pop(&queues[0]) -> item => item.unwrap(),
                    until(&stop) -> _ => 0,
                }
            }
        });
        let popping = thread::spawn({
            let queue = Arc::clone(&queues[0]);
            move || queue.pop().unwrap()
        });
        queues[0].push(1).unwrap();
        queues[1].push(2).unwrap();
        stop.cancel();
        let selected = selecting.join().unwrap();
        // If the selection took the first item, the consumer needs another.
        if selected == 1 {
            queues[0].push(3).unwrap();
        }
        let popped = popping.join().unwrap();
        assert!(matches!((selected, popped), (0 | 2, 1) | (1, 3)), "{selected}, {popped}");
    });
}

/// A selection finds an arm ready while it joins the lists, and is granted a permit through another arm
/// meanwhile: it takes the permit.
///
/// Fails if it withdraws without checking that it was ended (edit `select-withdraws-blindly`).
#[test]
fn a_permit_that_comes_while_a_selection_withdraws_is_not_lost() {
    model::check(|| {
        let (semaphore, queue) = (Arc::new(Semaphore::new(1)), queue());
        let selecting = thread::spawn({
            let (semaphore, queue) = (Arc::clone(&semaphore), Arc::clone(&queue));
            move || {
                select! {
                    biased;
                    acquire(&semaphore) -> permit => { drop(permit.unwrap()); 0 }
                    pop(&queue) -> item => item.unwrap(),
                }
            }
        });
        if let Ok(permit) = semaphore.try_acquire() {
            queue.push(7).unwrap();
            drop(permit);
        }
        let selected = selecting.join().unwrap();
        assert_eq!((semaphore.available(), selected == 7), (1, queue.is_empty() && selected != 0));
        assert_eq!(semaphore.acquire().unwrap().count(), 1);
    });
}

/// Two selections over the same two queues, in opposite order, and one item for each: both selections end.
///
/// Fails if a push wakes no waiter (edit `queue-push-wakes-nobody`), or if the gauge of the ring loads its
/// counts without acquire (edit `ring-gauge-is-relaxed`).
#[test]
fn two_selections_in_opposite_order_each_get_an_item() {
    model::check(|| {
        let queues = [queue(), queue()];
        let select = |first: &Arc<BoundedQueue<u32>>, second: &Arc<BoundedQueue<u32>>| {
            let (first, second) = (Arc::clone(first), Arc::clone(second));
            move || {
                select! {
                    pop(&first) -> item => item.unwrap(),
                    pop(&second) -> item => item.unwrap(),
                }
            }
        };
        let selecting = thread::spawn(select(&queues[0], &queues[1]));
        let pushing = thread::spawn({
            let queues = queues.clone();
            move || {
                queues[0].push(1).unwrap();
                queues[1].push(2).unwrap();
            }
        });
        let sum = select(&queues[1], &queues[0])() + selecting.join().unwrap();
        assert_eq!(sum, 3);
        pushing.join().unwrap();
    });
}

/// Two selections, each with a push arm and a pop arm of the same queue: an item that one selection pushes is
/// taken by the other or stays in the queue; no item is lost or duplicated.
///
/// Fails if a push arm that did not take effect drops its item (edit `select-push-keeps-the-item`).
#[test]
fn push_and_pop_arms_of_one_queue_against_each_other_lose_nothing() {
    model::check(|| {
        let queue = queue();
        let round = |queue: &BoundedQueue<u32>, mine: u32| {
            let mut item = Some(mine);
            let got = select! {
                push(queue, &mut item) -> pushed => { pushed.unwrap(); 0 }
                pop(queue) -> item => item.unwrap(),
            };
            got + item.unwrap_or(0)
        };
        let other = thread::spawn({
            let queue = Arc::clone(&queue);
            move || round(&queue, 1)
        });
        let kept = round(&queue, 2) + other.join().unwrap();
        let left: u32 = queue.close_and_drain().into_iter().sum();
        assert_eq!(kept + left, 3);
    });
}

/// A grant, a cancel and a close reach one selection: it ends once, and an item that it did not take is still
/// in the queue.
///
/// Fails if the selection continues after an arm has taken effect (edit `select-goes-on-after-a-success`).
#[test]
fn a_grant_a_cancel_and_a_close_end_one_selection() {
    model::check(|| {
        let (queues, stop) = ([queue(), queue()], CancelToken::new());
        let selecting = thread::spawn({
            let (queues, stop) = (queues.clone(), stop.clone());
            move || {
                select! {
                    pop(&queues[0]) -> item => item.map_err(WaitError::from),
                    pop(&queues[1]) -> item => item.map_err(WaitError::from),
                    until(&stop) -> why => Err(why),
                }
            }
        });
        let cancelling = thread::spawn(move || stop.cancel());
        queues[0].push(7).unwrap();
        queues[1].close();
        let selected = selecting.join().unwrap();
        let left = queues[0].try_pop().ok();
        assert_eq!(left.is_none(), selected == Ok(7));
        cancelling.join().unwrap();
    });
}

/// A permit that is granted to a selection is its result or is released.
///
/// Fails if the arm makes an attempt instead of taking the granted permit (edit
/// `select-asks-for-what-it-has`).
#[test]
fn a_permit_that_meets_an_item_is_not_lost() {
    model::check(|| {
        let (semaphore, queue) = (Arc::new(Semaphore::new(1)), queue());
        let permit = semaphore.acquire().unwrap();
        let selecting = thread::spawn({
            let (semaphore, queue) = (Arc::clone(&semaphore), Arc::clone(&queue));
            move || {
                select! {
                    acquire(&semaphore) -> permit => permit.unwrap().count(),
                    pop(&queue) -> item => item.unwrap() as usize,
                }
            }
        });
        let pushing = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.push(7).unwrap()
        });
        drop(permit);
        let selected = selecting.join().unwrap();
        pushing.join().unwrap();
        assert_eq!((semaphore.available(), queue.len()), (1, usize::from(selected == 1)));
        assert!(semaphore.try_acquire().is_ok());
    });
}

/// Closing a semaphore ends a selection that waits for a permit, as the result of that arm.
///
/// Fails if the error is taken for that of the limit (edit `select-takes-closed-for-the-limit`).
#[test]
fn closing_a_semaphore_is_the_outcome_of_its_arm() {
    model::check(|| {
        let (semaphore, queue) = (Arc::new(Semaphore::new(0)), queue());
        semaphore.resize(1);
        let permit = semaphore.acquire().unwrap();
        let closing = thread::spawn({
            let semaphore = Arc::clone(&semaphore);
            move || semaphore.close()
        });
        let selected = select! {
            acquire(&semaphore) -> permit => permit.err(),
            pop(&queue) -> item => item.err().map(|Closed| WaitError::TimedOut),
        };
        assert_eq!(selected, Some(WaitError::Closed));
        drop(permit);
        assert!(closing.join().unwrap());
    });
}

/// A selection finds an arm ready while it joins the lists, and another arm is closed meanwhile: that is the
/// outcome of the closed arm, and no permit comes of it.
///
/// Fails if each end of a wait that comes before the sleep is taken for a grant (edit
/// `select-takes-a-close-for-a-grant`).
#[test]
fn a_close_that_comes_while_a_selection_withdraws_grants_nothing() {
    model::check(|| {
        let (semaphore, queue) = (Arc::new(Semaphore::new(1)), queue());
        let permit = semaphore.acquire().unwrap();
        let closing = thread::spawn({
            let (semaphore, queue) = (Arc::clone(&semaphore), Arc::clone(&queue));
            move || {
                semaphore.close();
                queue.push(7).unwrap();
            }
        });
        let selected = select! {
            biased;
            acquire(&semaphore) -> permit => permit.map(|_| ()).err(),
            pop(&queue) -> item => { assert_eq!(item, Ok(7)); Some(WaitError::Closed) }
        };
        assert_eq!(selected, Some(WaitError::Closed));
        closing.join().unwrap();
        drop(permit);
        assert_eq!(semaphore.available(), 1);
    });
}

/// The last count-down ends a selection, which is then reused with the same waiter.
///
/// Fails if the waiter is not renewed for the next wait (edit `select-sleeps-in-an-ended-waiter`).
#[test]
fn a_selection_that_is_used_again_sleeps_again() {
    model::check(|| {
        let (queue, latch) = (queue(), Arc::new(Latch::new(1)));
        let other = thread::spawn({
            let (queue, latch) = (Arc::clone(&queue), Arc::clone(&latch));
            move || {
                queue.push(7).unwrap();
                latch.count_down();
            }
        });
        {
            let mut selection = Select::new();
            selection.add(select::pop(&queue), |item| item.ok());
            assert_eq!(selection.wait(), (0, Some(7)));
            selection.add(select::wait(&*latch), |()| None);
            assert_eq!(selection.wait(), (1, None));
        }
        other.join().unwrap();
    });
}

/// A change of a monitor's state wakes a selection that waits for it, even if the change falls between the
/// selection's attempt and its sleep.
///
/// Fails if a selection begins to watch without checking for a change since its attempt (edit
/// `select-watches-without-looking`), or if an unlock ignores the watchers (edit
/// `monitor-forgets-who-watches`).
#[test]
fn a_change_of_state_reaches_a_selection() {
    model::check(|| {
        let (stock, queue) = (Arc::new(Monitor::new(0)), queue());
        let changing = thread::spawn({
            let stock = Arc::clone(&stock);
            move || *stock.lock() += 1
        });
        let taken = select! {
            monitor(&stock, |stock| (*stock > 0).then_some(7)) -> taken => taken,
            pop(&queue) -> item => item.unwrap(),
        };
        assert_eq!(taken, 7);
        changing.join().unwrap();
    });
}
