//! Models of `queue::BoundedQueue`: every schedule of a few threads. Each model names the edits of the source
//! that it detects.
//!
//! In a model, a waiter takes a turn after one loss, and `push_all` collects two items.

use selvedge_loom as selvedge;

use selvedge::error::{Closed, TryError, WaitError};
use selvedge::queue::{BoundedQueue, bounded};
use selvedge::sync::{Arc, model, thread};
use selvedge::{CancelToken, Clock};
use std::time::Duration;

fn queue(capacity: usize) -> Arc<BoundedQueue<u32>> {
    Arc::new(BoundedQueue::new(capacity))
}

/// A push wakes a thread that sleeps in `pop`, and the item is visible there.
///
/// Fails if `try_push` removes no waiter from the list (edit `queue-push-wakes-nobody`), if the ring
/// publishes an item with a relaxed store (edit `ring-publishes-relaxed`) or before it is written (edit
/// `ring-publishes-before-it-writes`), or if it loads a flag without acquire before it reads (edit
/// `ring-tail-is-read-relaxed`).
#[test]
fn a_push_reaches_a_sleeping_pop() {
    model::check(|| {
        let queue = queue(1);
        let consumer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || assert_eq!(queue.pop(), Ok(7))
        });
        queue.push(7).unwrap();
        consumer.join().unwrap();
    });
}

/// A pop wakes a thread that sleeps in `push`, and the items stay in order.
///
/// Fails if `try_pop` removes no waiter from the list (edit `queue-pop-wakes-nobody`), if the ring returns a
/// cell to the writer with a relaxed store (edit `ring-releases-relaxed`) or before it is read (edit
/// `ring-releases-before-it-reads`), loads the flag of a cell to fill without acquire (edit
/// `ring-head-is-read-relaxed`), fills a full cell (edit `ring-finds-one-cell-too-many`), or looks full to a
/// producer that is about to sleep though there is room (edit `ring-looks-full-when-it-is-not`).
#[test]
fn a_pop_reaches_a_sleeping_push() {
    model::check(|| {
        let queue = queue(1);
        let producer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                queue.push(1).unwrap();
                queue.push(2).unwrap();
            }
        });
        assert_eq!(queue.pop(), Ok(1));
        assert_eq!(queue.pop(), Ok(2));
        producer.join().unwrap();
    });
}

/// Capacity 1, one producer with two items, two consumers with one each: the smallest program on which one
/// condition variable for both sides loses a wake-up. Here every consumer gets its item.
///
/// Fails if a consumer joins the list without checking again (edit `queue-join-without-looking`), or if the
/// ring reads an empty cell (edit `ring-finds-one-item-too-many`).
#[test]
fn capacity_one_with_one_producer_and_two_consumers_ends() {
    model::check(|| {
        let queue = queue(1);
        let consumers = [(); 2].map(|()| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.pop().unwrap())
        });
        queue.push(1).unwrap();
        queue.push(2).unwrap();
        let sum: u32 = consumers.map(|consumer| consumer.join().unwrap()).iter().sum();
        assert_eq!(sum, 3);
    });
}

/// Capacity 1, two producers and two consumers with one item each; the main thread is one of each. No thread
/// is left asleep.
///
/// Fails if a producer joins the list without checking again (edit `queue-room-join-without-looking`).
#[test]
fn capacity_one_with_two_producers_and_two_consumers_ends() {
    model::check(|| {
        let queue = queue(1);
        let producer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.push(1).unwrap()
        });
        let consumer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.pop().unwrap()
        });
        queue.push(2).unwrap();
        let sum = queue.pop().unwrap() + consumer.join().unwrap();
        assert_eq!(sum, 3);
        producer.join().unwrap();
    });
}

/// Capacity 2, two producers and three consumers; the main thread is one producer and two consumers. No
/// thread is left asleep. (With five threads, the model takes hours.)
///
/// Fails if a push wakes no consumer (edit `queue-push-wakes-nobody`), or if the ring looks empty to a
/// consumer that is about to sleep though there is an item (edit `ring-looks-empty-when-it-is-not`).
#[test]
fn capacity_two_with_two_producers_and_three_consumers_ends() {
    model::check(|| {
        let queue = queue(2);
        let consumer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.pop().unwrap()
        });
        let producer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.push(4).unwrap()
        });
        queue.push_all([1, 2]).unwrap();
        let sum = queue.pop().unwrap() + queue.pop().unwrap();
        assert_eq!(sum + consumer.join().unwrap(), 7);
        producer.join().unwrap();
    });
}

/// A batch of two items wakes two consumers.
///
/// Fails if a batch wakes one consumer for all its items (edit `queue-batch-wakes-one`).
#[test]
fn a_batch_wakes_as_many_as_it_brings() {
    model::check(|| {
        let queue = queue(2);
        let consumers = [(); 2].map(|()| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.pop().unwrap())
        });
        queue.push_all([1, 2]).unwrap();
        let sum: u32 = consumers.map(|consumer| consumer.join().unwrap()).iter().sum();
        assert_eq!(sum, 3);
    });
}

/// `close` wakes every thread that sleeps in `pop`, and each gets `Closed`.
///
/// Fails if `close` ignores the consumers' list (edit `queue-close-forgets-poppers`), or if a consumer joins
/// that list without checking `closed` (edit `queue-join-ignores-close`).
#[test]
fn closing_wakes_every_consumer() {
    model::check(|| {
        let queue = queue(1);
        let consumers = [(); 2].map(|()| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || assert_eq!(queue.pop(), Err(Closed)))
        });
        queue.close();
        for consumer in consumers {
            consumer.join().unwrap();
        }
    });
}

/// A thread that has seen the queue closed from one side finds it closed from the other.
///
/// Fails if the two sides are closed in two steps (edit `queue-closes-its-sides-one-after-the-other`).
#[test]
fn thread_that_sees_the_queue_closed_finds_it_closed_from_the_other_side() {
    model::check(|| {
        let queue = queue(1);
        let closer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.close()
        });
        if queue.try_pop() == Err(TryError::Closed) {
            assert_eq!(queue.try_push(1).unwrap_err().error, TryError::Closed);
        }
        if queue.is_closed() {
            assert_eq!(queue.try_pop(), Err(TryError::Closed));
        }
        let mine = queue.close();
        assert_eq!(queue.try_pop(), Err(TryError::Closed), "this call closed it: {mine}");
        assert!(closer.join().unwrap() != mine, "exactly one of them closed it");
    });
}

/// `close` wakes a producer that sleeps in `push`, and its item comes back.
///
/// Fails if `close` ignores the producers' list (edit `queue-close-forgets-pushers`), or if a producer joins
/// that list without checking `closed` (edit `queue-room-join-ignores-close`).
#[test]
fn closing_gives_a_sleeping_producer_its_item_back() {
    model::check(|| {
        let queue = queue(1);
        queue.push(1).unwrap();
        let producer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.push(2).unwrap_err().into_value()
        });
        queue.close();
        assert_eq!(producer.join().unwrap(), 2);
        assert_eq!(queue.pop(), Ok(1));
        assert_eq!(queue.pop(), Err(Closed));
    });
}

/// An item whose push succeeded is popped even if the queue is closed meanwhile; an item whose push failed is
/// not. A pop returns `Closed` only when no further item can come.
///
/// Fails if the head is closed before the tail (edit `queue-closes-head-first`).
#[test]
fn closing_loses_no_item_that_was_pushed() {
    model::check(|| {
        let queue = queue(2);
        let producer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.push(1).is_ok()
        });
        let closer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || assert!(queue.close())
        });
        let popped = queue.pop().is_ok();
        assert_eq!(popped, producer.join().unwrap());
        closer.join().unwrap();
    });
}

/// Draining a closed queue and popping from it share the items: each item goes to one of them.
///
/// Fails if `close_and_drain` leaves items behind (edit `queue-drain-takes-one`).
#[test]
fn draining_and_popping_share_what_is_left() {
    model::check(|| {
        let queue = queue(2);
        queue.push_all([1, 2]).unwrap();
        let consumer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.pop().unwrap_or(0)
        });
        let drained: u32 = queue.close_and_drain().iter().sum();
        assert_eq!(queue.try_pop(), Err(TryError::Closed));
        assert_eq!(drained + consumer.join().unwrap(), 3);
    });
}

/// A cancelled consumer neither loses an item nor keeps a wake-up that another consumer needs.
///
/// Fails if a granted waiter checks its limit before it tries (edit `retry-looks-at-the-limit-first`), or if
/// a push grants only the first waiter of the list even if that one has given up (edit
/// `list-stops-at-the-gone`).
#[test]
fn a_cancelled_consumer_hands_its_wake_up_on() {
    model::check(|| {
        let queue = queue(1);
        let token = CancelToken::new();
        let cancelled = thread::spawn({
            let (queue, token) = (Arc::clone(&queue), token.clone());
            move || queue.pop_until(&token)
        });
        let patient = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.pop().ok()
        });
        token.cancel();
        queue.push(1).unwrap();
        let first = cancelled.join().unwrap();
        if first.is_ok() {
            queue.push(2).unwrap();
        }
        assert!(patient.join().unwrap().is_some());
    });
}

/// An item arrives as a deadline passes: either the pop returns it, or it is still in the queue.
///
/// Fails if a wait that ended by its limit takes an item and drops it (edit `retry-takes-and-drops`).
#[test]
fn an_item_that_meets_a_deadline_is_popped_once() {
    model::check(|| {
        let queue = queue(1);
        let clock = Clock::manual();
        let consumer = thread::spawn({
            let (queue, clock) = (Arc::clone(&queue), clock.clone());
            move || queue.pop_until((clock.clock(), Duration::from_secs(1)))
        });
        let producer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.push(7).unwrap()
        });
        clock.advance(Duration::from_secs(1));
        let first = consumer.join().unwrap();
        producer.join().unwrap();
        match first {
            Ok(item) => assert_eq!((item, queue.try_pop()), (7, Err(TryError::WouldBlock))),
            Err(error) => assert_eq!((error, queue.try_pop()), (WaitError::TimedOut, Ok(7))),
        }
    });
}

/// A pop with a limit on the system clock does not hang in a model: it may time out at any point.
///
/// Fails if a sleep ignores the limit's deadline (edit `sleep-forgets-the-deadline`), or if a waiter that
/// gives up stays in the list (edit `retry-stays-in-the-list`).
#[test]
fn a_system_deadline_ends_a_pop_that_nobody_serves() {
    model::check(|| {
        let queue = queue(1);
        let other = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.pop_until(Duration::from_secs(3600))
        });
        let mine = queue.pop_until(Duration::from_secs(3600));
        assert_eq!(mine, Err(WaitError::TimedOut));
        assert_eq!(other.join().unwrap(), Err(WaitError::TimedOut));
        let debug = format!("{queue:?}");
        assert!(!debug.contains("waiting_to_pop: 1") && !debug.contains("waiting_to_pop: 2"), "{debug}");
    });
}

/// The items of a batch come out in order, and a batch that is larger than the queue waits for room.
///
/// Fails if a batch pop wakes no producer (edit `queue-batch-pop-wakes-nobody`).
#[test]
fn a_batch_larger_than_the_queue_goes_through_in_order() {
    model::check(|| {
        let queue = queue(1);
        let producer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.push_all([1, 2, 3]).unwrap()
        });
        let mut items = Vec::new();
        while items.len() < 3 {
            items.extend(queue.pop_many(2).unwrap());
        }
        assert_eq!(items, [1, 2, 3]);
        producer.join().unwrap();
    });
}

/// Dropping the last sender closes the queue even while a receiver sleeps; the items that were sent are
/// received.
///
/// Fails if dropping the last sender does not close the queue (edit `sender-drop-does-not-close`).
#[test]
fn dropping_the_last_sender_ends_the_receiver() {
    model::check(|| {
        let (sender, receiver) = bounded(1);
        let consumer = thread::spawn(move || receiver.iter().sum::<u32>());
        let other = sender.clone();
        let producer = thread::spawn(move || other.push(1).unwrap());
        sender.push(2).unwrap();
        drop(sender);
        assert_eq!(consumer.join().unwrap(), 3);
        producer.join().unwrap();
    });
}

/// Dropping the last receiver wakes a sleeping producer, which gets its item back, and drops the items that
/// are left.
///
/// Fails if dropping the last receiver leaves the queue open (edit `receiver-drop-does-not-close`).
#[test]
fn dropping_the_receiver_ends_the_producer_and_the_items() {
    model::check(|| {
        let (sender, receiver) = bounded(1);
        let item = std::sync::Arc::new(());
        sender.push(std::sync::Arc::clone(&item)).unwrap();
        let producer = thread::spawn({
            let item = std::sync::Arc::clone(&item);
            move || sender.push(item).is_err()
        });
        drop(receiver);
        assert!(producer.join().unwrap());
        assert_eq!(std::sync::Arc::strong_count(&item), 1);
    });
}

/// The number of waiters that `Debug` shows in `field`; 0 also while the lock is held.
fn asleep(queue: &BoundedQueue<u32>, field: &str) -> usize {
    let text = format!("{queue:?}");
    let number = text.split_once(&format!("{field}: ")).and_then(|(_, rest)| rest.chars().next());
    number.and_then(|digit| digit.to_digit(10)).unwrap_or(0) as usize
}

/// A producer that was woken for room and found it taken (once, in a model) takes a turn: no other producer
/// gets the next room.
///
/// Fails if a turn restricts no other thread (edit `queue-push-turn-keeps-nobody-off`).
#[test]
fn nobody_pushes_before_a_producer_that_has_lost_too_often() {
    model::check(|| {
        let queue = queue(1);
        queue.push(0).unwrap();
        let producer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.push(9).unwrap()
        });
        if asleep(&queue, "waiting_to_push") == 1 {
            queue.pop().unwrap();
            let overtaken = queue.try_push(1).is_ok();
            if overtaken && asleep(&queue, "waiting_to_push") == 1 {
                // It sleeps again, so it has lost and taken a turn: this room is reserved for it.
                queue.pop().unwrap();
                assert_eq!(queue.try_push(2).unwrap_err().error, TryError::WouldBlock);
            }
        }
        while queue.pop() != Ok(9) {}
        producer.join().unwrap();
    });
}

/// A consumer that was woken for an item and found it taken (once, in a model) takes a turn: no other
/// consumer gets the next item.
///
/// Fails if a turn restricts no other thread (edit `queue-pop-turn-keeps-nobody-off`).
#[test]
fn nobody_pops_before_a_consumer_that_has_lost_too_often() {
    model::check(|| {
        let queue = queue(1);
        let consumer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.pop().unwrap()
        });
        if asleep(&queue, "waiting_to_pop") == 1 {
            queue.push(1).unwrap();
            let overtaken = queue.try_pop().is_ok();
            if overtaken && asleep(&queue, "waiting_to_pop") == 1 {
                queue.push(2).unwrap();
                assert_eq!(queue.try_pop(), Err(TryError::WouldBlock));
            }
        }
        // The consumer takes an earlier item that is left, or this one.
        let _ = queue.try_push(3);
        consumer.join().unwrap();
    });
}

/// A pop wakes the producer whose turn it is, even if another producer has waited longer.
///
/// Fails if the turn's owner joins the list at the end (edit `queue-push-turn-waits-behind`), if a turn
/// admits no thread (edit `turns-admit-nobody`), or if it does not end when its owner has succeeded (edit
/// `turns-never-end`).
#[test]
fn a_pop_calls_the_producer_whose_turn_it_is() {
    model::check(|| {
        let queue = queue(1);
        queue.push(1).unwrap();
        let producers = [vec![9], vec![2, 3]].map(|items| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || items.into_iter().for_each(|item| queue.push(item).unwrap()))
        });
        let sum: u32 = (0..4).map(|_| queue.pop().unwrap()).sum();
        assert_eq!(sum, 15);
        producers.into_iter().for_each(|producer| producer.join().unwrap());
    });
}

/// A push wakes the consumer whose turn it is, even if another consumer has waited longer.
///
/// Fails if the turn's owner joins the list at the end (edit `queue-pop-turn-waits-behind`).
#[test]
fn a_push_calls_the_consumer_whose_turn_it_is() {
    model::check(|| {
        let queue = queue(1);
        let consumers = [1, 2].map(|count| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || (0..count).map(|_| queue.pop().unwrap()).sum::<u32>())
        });
        (1..4).for_each(|item| queue.push(item).unwrap());
        let sums = consumers.map(|consumer| consumer.join().unwrap());
        assert_eq!(sums.iter().sum::<u32>(), 6);
    });
}

/// A producer gives up its turn while the turn keeps another producer off although there is room: the other
/// one gets in.
///
/// Fails if the end of a turn wakes no thread (edit `queue-push-turn-ends-unheard`), or if a turn does not
/// end when its owner gives up (edit `turns-never-end`).
#[test]
fn a_producer_that_gives_its_turn_up_lets_the_others_in() {
    model::check(|| {
        let (queue, stop) = (queue(1), CancelToken::new());
        queue.push(0).unwrap();
        let other = thread::spawn({
            let (queue, stop) = (Arc::clone(&queue), stop.clone());
            move || {
                queue.pop().unwrap();
                // If this fails, the other thread's item is in the queue or was, and the other thread takes
                // it.
                if queue.try_push(1).is_ok() {
                    queue.pop().unwrap();
                }
                stop.cancel();
                queue.push(2).unwrap();
            }
        });
        let pushed = queue.push_until(9, &stop).is_ok();
        let item = queue.pop().unwrap();
        assert!(item == 2 || pushed);
        other.join().unwrap();
    });
}

/// A consumer gives up its turn while the turn keeps another consumer off although there is an item: the
/// other one gets it.
///
/// Fails if the end of a turn wakes no thread (edit `queue-pop-turn-ends-unheard`), or if a turn does not end
/// when its owner gives up (edit `turns-never-end`).
#[test]
fn a_consumer_that_gives_its_turn_up_lets_the_others_in() {
    model::check(|| {
        let (queue, stop) = (queue(1), CancelToken::new());
        let other = thread::spawn({
            let (queue, stop) = (Arc::clone(&queue), stop.clone());
            move || {
                queue.push(1).unwrap();
                let _ = queue.try_pop();
                queue.push(2).unwrap();
                stop.cancel();
                queue.pop().unwrap()
            }
        });
        let popped = queue.pop_until(&stop);
        if popped == Ok(2) {
            queue.push(3).unwrap();
        }
        let rest = other.join().unwrap();
        assert_eq!(rest, if popped == Ok(2) { 3 } else { 2 });
    });
}

/// Once the queue is closed, any consumer may pop the items that are left, even if another one has a turn.
///
/// Fails if turns still restrict consumers then (edit `queue-turns-outlast-close`).
#[test]
fn nobody_keeps_off_what_is_left_in_a_closed_queue() {
    model::check(|| {
        let queue = queue(1);
        let other = thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                queue.push(1).unwrap();
                let overtook = queue.try_pop().is_ok();
                queue.push(2).unwrap();
                queue.close();
                let last = queue.try_pop();
                assert_ne!(last, Err(TryError::WouldBlock));
                (overtook, last.is_ok())
            }
        });
        let first = queue.pop();
        let (overtook, last) = other.join().unwrap();
        assert_eq!(usize::from(first.is_ok()) + usize::from(overtook) + usize::from(last), 2 - queue.len());
    });
}

/// A turn that ends after the queue was closed does not reopen it.
///
/// Fails if pushes succeed again (edit `queue-turn-ends-and-opens`).
#[test]
fn a_turn_that_ends_in_a_closed_queue_lets_nobody_push() {
    model::check(|| {
        let queue = queue(1);
        queue.push(0).unwrap();
        let other = thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                queue.pop().unwrap();
                let _ = queue.try_push(1);
                queue.close();
            }
        });
        let pushed = queue.push(9).is_ok();
        other.join().unwrap();
        assert_eq!(queue.try_push(2).unwrap_err().error, TryError::Closed);
        assert_eq!(queue.iter().filter(|item| *item == 9).count(), usize::from(pushed));
    });
}

/// A forced push into a full queue runs beside a pop: each of the items is popped, removed by the push, or
/// left, exactly once.
///
/// Fails if the first item is removed without checking for room that a pop has made (edit
/// `queue-force-push-looks-once`).
#[test]
fn a_forced_push_and_a_pop_take_an_item_each_once() {
    model::check(|| {
        let queue = queue(2);
        queue.push_all([1, 2]).unwrap();
        let popping = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.pop().unwrap()
        });
        let dropped = queue.force_push(3).unwrap();
        let popped = popping.join().unwrap();
        let left = queue.close_and_drain();
        match dropped {
            // The pop had made room.
            None => assert_eq!((popped, &left[..]), (1, &[2, 3][..])),
            // The queue was full, so the pop came afterwards.
            Some(dropped) => assert_eq!((dropped, popped, &left[..]), (1, 2, &[3][..])),
        }
    });
}

/// A producer waits for room while the capacity is raised: it goes on.
///
/// Fails if the change wakes no producer (edit `queue-resize-wakes-nobody`), or if one end of the ring does
/// not learn of it, so that a producer waits for room that is there (edit `queue-resize-tells-one-end`).
#[test]
fn raising_the_capacity_wakes_a_producer() {
    model::check(|| {
        let queue = Arc::new(BoundedQueue::resizable(1, 2));
        queue.push(1).unwrap();
        let producer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.push(2).unwrap()
        });
        queue.resize(2);
        producer.join().unwrap();
        assert_eq!(queue.close_and_drain(), [1, 2]);
    });
}

/// The capacity is lowered below what is in the queue while a producer pushes: once that is done, the
/// producer waits until enough was popped, and is woken then.
///
/// Fails if the tail keeps its limit (edit `queue-lowered-capacity-is-ignored`) or does not heed it (edit
/// `ring-heeds-no-lowered-limit`), or if the pop that makes room wakes nobody (edit
/// `queue-drained-queue-wakes-nobody`).
#[test]
fn a_lowered_capacity_holds_for_every_later_push() {
    model::check(|| {
        let queue = queue(2);
        queue.push_all([1, 2]).unwrap();
        queue.resize(1);
        let producer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.push(3).unwrap()
        });
        assert_eq!(queue.pop(), Ok(1));
        // As many as may be are left, so the producer is not in.
        assert_eq!(queue.len(), 1);
        assert_eq!(queue.pop(), Ok(2));
        assert_eq!(queue.pop(), Ok(3));
        producer.join().unwrap();
    });
}
