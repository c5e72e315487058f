//! Models of `queue::rendezvous`: every schedule of a few threads. Each model names the edits of the source
//! that it detects.

use selvedge_loom as selvedge;

use selvedge::error::{Closed, WaitError};
use selvedge::queue::{Receiver, Sender, rendezvous};
use selvedge::sync::{Arc, model, thread};
use selvedge::{BoundedQueue, CancelToken, select};

/// A push and a pop meet, whichever comes first, and both return.
///
/// Fails if a producer joins without checking for a consumer under the same lock (edit
/// `rendezvous-joins-without-looking`), or if a consumer takes an item and does not wake the producer (edit
/// `rendezvous-takes-and-wakes-nobody`).
#[test]
fn a_push_and_a_pop_meet() {
    model::check(|| {
        let (sender, receiver) = rendezvous();
        let popping = thread::spawn(move || receiver.pop());
        sender.push(7).unwrap();
        assert_eq!(popping.join().unwrap(), Ok(7));
    });
}

/// An item whose push is cancelled as a consumer arrives is taken or comes back: never both, never neither.
///
/// Fails if an item is taken from a producer that has given up (edit `rendezvous-takes-from-the-gone`).
#[test]
fn an_item_that_meets_a_cancel_is_taken_or_comes_back() {
    model::check(|| {
        let ((sender, receiver), stop) = (rendezvous(), CancelToken::new());
        let pushing = thread::spawn({
            let stop = stop.clone();
            move || sender.push_until(7, &stop)
        });
        let cancelling = thread::spawn(move || stop.cancel());
        let taken = receiver.try_pop();
        let pushed = pushing.join().unwrap();
        assert_eq!(pushed.is_ok(), taken == Ok(7), "{pushed:?}, {taken:?}");
        cancelling.join().unwrap();
    });
}

/// An item that is handed to a consumer as its pop is cancelled is returned by the pop or comes back to its
/// producer.
///
/// Fails if an item is left for a consumer that has given up (edit `rendezvous-leaves-for-the-gone`).
#[test]
fn an_item_that_meets_a_cancelled_pop_is_not_lost() {
    model::check(|| {
        let ((sender, receiver), stop) = (rendezvous(), CancelToken::new());
        let popping = thread::spawn({
            let stop = stop.clone();
            move || receiver.pop_until(&stop)
        });
        let cancelling = thread::spawn(move || stop.cancel());
        let pushed = sender.try_push(7);
        let popped = popping.join().unwrap();
        assert_eq!(pushed.is_ok(), popped == Ok(7), "{pushed:?}, {popped:?}");
        cancelling.join().unwrap();
    });
}

/// Close returns a waiting producer's item, unless a consumer has taken it.
///
/// Fails if close ignores the producers (edit `rendezvous-close-forgets-the-producers`).
#[test]
fn closing_gives_the_item_back() {
    model::check(|| {
        let (sender, receiver) = rendezvous();
        let pushing = thread::spawn(move || sender.push_until(7, selvedge::Until::forever()));
        let taken = receiver.try_pop();
        receiver.close();
        let pushed = pushing.join().unwrap().map_err(|back| (back.value, back.error));
        assert_eq!(pushed, taken.map(drop).map_err(|_| (7, WaitError::Closed)));
    });
}

/// Two selections, each with a push and a pop arm of one rendezvous: they meet each other, and neither meets
/// itself.
///
/// Fails if a selection takes its own entry for that of another thread (edit `rendezvous-meets-itself`).
#[test]
fn two_selections_meet_each_other() {
    model::check(|| {
        let (sender, receiver) = rendezvous();
        let (sender, receiver) = (Arc::new(sender), Arc::new(receiver));
        let round = |mine: u32| {
            let (sender, receiver) = (Arc::clone(&sender), Arc::clone(&receiver));
            move || {
                let mut mine = Some(mine);
                select! {
                    push(&sender, &mut mine) -> pushed => { pushed.unwrap(); None }
                    pop(&receiver) -> item => item.ok().zip(mine),
                }
            }
        };
        let other = thread::spawn(round(1));
        let met = (round(2)(), other.join().unwrap());
        assert!(matches!(met, (None, Some((2, 1))) | (Some((1, 2)), None)), "{met:?}");
    });
}

/// A selection over a rendezvous and a token: the item of its push arm is taken, or the caller still has it.
///
/// Fails if a push arm that did not take effect does not fetch its item (edit `select-leaves-its-item`).
#[test]
fn a_selection_that_gives_up_has_its_item() {
    model::check(|| {
        let ((sender, receiver), stop) = (rendezvous(), CancelToken::new());
        let popping = thread::spawn({
            let stop = stop.clone();
            move || {
                stop.cancel();
                receiver.try_pop().ok()
            }
        });
        let mut item = Some(7);
        select! {
            push(&sender, &mut item) -> _ => {}
            cancelled(&stop) -> () => {}
        }
        let taken = popping.join().unwrap();
        assert_eq!(taken.xor(item), Some(7));
    });
}

/// A selection finds an arm ready while it joins the lists, and its rendezvous is closed meanwhile: nothing
/// was handed over, neither to its pop arm nor from its push arm.
///
/// Fails if each end of a wait that comes before the sleep is taken for a grant (edit
/// `select-takes-a-close-for-a-grant`).
#[test]
fn a_close_that_comes_while_a_selection_withdraws_hands_nothing_over() {
    let closed_while = |selects: fn(&Sender<u32>, &Receiver<u32>, &BoundedQueue<()>)| {
        model::check(move || {
            let ((sender, receiver), queue) = (rendezvous(), Arc::new(BoundedQueue::new(1)));
            let closing = thread::spawn({
                let (sender, queue) = (sender.clone(), Arc::clone(&queue));
                move || {
                    sender.close();
                    queue.push(()).unwrap();
                }
            });
            selects(&sender, &receiver, &queue);
            closing.join().unwrap();
        });
    };
    closed_while(|_, receiver, queue| {
        select! {
            biased;
            pop(receiver) -> item => assert_eq!(item, Err(Closed)),
            pop(queue) -> item => assert_eq!(item, Ok(())),
        }
    });
    closed_while(|sender, _, queue| {
        let mut item = Some(7);
        select! {
            biased;
            push(sender, &mut item) -> pushed => assert_eq!(pushed, Err(Closed)),
            pop(queue) -> item => assert_eq!(item, Ok(())),
        }
        assert_eq!(item, Some(7));
    });
}
