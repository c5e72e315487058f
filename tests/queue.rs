//! Black-box tests of the bounded queue: no item is lost and no thread is left asleep.

mod common;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use common::{HOUR, eventually, until_figure, within_a_minute};
use proptest::prelude::*;
use selvedge::error::{Closed, TryError, WaitError};
use selvedge::queue::{BoundedQueue, bounded, resizable};
use selvedge::{CancelToken, Until};

fn full(capacity: usize) -> Arc<BoundedQueue<usize>> {
    let queue = BoundedQueue::new(capacity);
    queue.push_all(0..capacity).unwrap();
    Arc::new(queue)
}

/// A token that was cancelled before its first use.
fn cancelled() -> CancelToken {
    let token = CancelToken::new();
    token.cancel();
    token
}

#[test]
fn items_come_out_in_the_order_in_which_they_went_in() {
    let queue = BoundedQueue::new(3);
    // Goes round the ring several times, so that batches start at every offset.
    for start in 0..20 {
        queue.push_all([start, start + 1]).unwrap();
        assert_eq!(queue.pop_many(9).unwrap(), [start, start + 1]);
    }
}

#[test]
fn full_queue_gives_the_item_back() {
    let queue = full(2);
    let rejected = queue.try_push(7).unwrap_err();
    assert_eq!((rejected.value, rejected.error), (7, TryError::WouldBlock));
    assert_eq!((queue.len(), queue.capacity(), queue.is_empty()), (2, 2, false));
}

#[test]
fn empty_queue_says_would_block_and_closed_only_once_closed() {
    let queue = BoundedQueue::<u8>::new(1);
    assert_eq!(queue.try_pop(), Err(TryError::WouldBlock));
    assert_eq!(queue.try_pop_many(5), Err(TryError::WouldBlock));
    queue.close();
    assert_eq!(queue.try_pop(), Err(TryError::Closed));
    assert_eq!(queue.try_pop_many(5), Err(TryError::Closed));
}

#[test]
fn closing_lets_consumers_drain_and_then_says_closed() {
    let queue = full(2);
    assert!(queue.close());
    assert_eq!(queue.pop(), Ok(0));
    assert_eq!(queue.pop_until(Duration::ZERO), Ok(1));
    assert_eq!(queue.pop(), Err(Closed));
    assert_eq!(queue.pop_many(1), Err(Closed));
    assert_eq!(queue.pop_until(HOUR), Err(WaitError::Closed));
    assert_eq!(queue.iter().next(), None);
}

#[test]
fn closed_queue_gives_every_push_back() {
    let queue = BoundedQueue::new(4);
    queue.close();
    assert_eq!(queue.push("a").unwrap_err().into_value(), "a");
    let rejected = queue.try_push("b").unwrap_err();
    assert_eq!((rejected.value, rejected.error), ("b", TryError::Closed));
    let rejected = queue.push_until("c", HOUR).unwrap_err();
    assert_eq!((rejected.value, rejected.error), ("c", WaitError::Closed));
    let rest = queue.push_all(["d", "e"]).unwrap_err();
    assert_eq!(rest.value.collect::<Vec<_>>(), ["d", "e"]);
    assert!(queue.is_empty());
}

#[test]
fn closing_twice_does_nothing_the_second_time() {
    let queue = full(1);
    assert!(queue.close());
    assert!(!queue.close());
    assert!(queue.is_closed());
    assert_eq!(queue.pop(), Ok(0));
}

#[test]
fn closing_and_draining_gives_the_rest_to_the_closer_alone() {
    let queue = full(3);
    assert_eq!(queue.close_and_drain(), [0, 1, 2]);
    assert_eq!(queue.try_pop(), Err(TryError::Closed));
    assert!(queue.close_and_drain().is_empty());
}

#[test]
fn one_push_wakes_a_sleeping_pop() {
    within_a_minute(|| {
        let queue = Arc::new(BoundedQueue::new(1));
        let sleeper = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.pop()
        });
        until_figure(&queue, "waiting_to_pop", 1);
        assert_eq!(queue.try_push(4), Ok(()));
        assert_eq!(sleeper.join().unwrap(), Ok(4));
    });
}

#[test]
fn one_pop_wakes_a_sleeping_push() {
    within_a_minute(|| {
        let queue = full(1);
        let sleeper = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.push(4)
        });
        until_figure(&queue, "waiting_to_push", 1);
        assert_eq!(queue.try_pop(), Ok(0));
        assert_eq!(sleeper.join().unwrap(), Ok(()));
        assert_eq!(queue.try_pop(), Ok(4));
    });
}

#[test]
fn closing_wakes_every_consumer() {
    within_a_minute(|| {
        let queue = Arc::new(BoundedQueue::<u8>::new(1));
        let sleepers = [(); 3].map(|()| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.pop())
        });
        until_figure(&queue, "waiting_to_pop", 3);
        queue.close();
        for sleeper in sleepers {
            assert_eq!(sleeper.join().unwrap(), Err(Closed));
        }
        until_figure(&queue, "waiting_to_pop", 0);
    });
}

#[test]
fn closing_wakes_every_producer_and_gives_its_item_back() {
    within_a_minute(|| {
        let queue = full(1);
        let sleepers = [10, 11, 12].map(|item| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.push(item).unwrap_err().into_value())
        });
        until_figure(&queue, "waiting_to_push", 3);
        queue.close();
        assert_eq!(sleepers.map(|sleeper| sleeper.join().unwrap()), [10, 11, 12]);
        assert_eq!(queue.pop_many(9), Ok(vec![0]));
    });
}

#[test]
fn cancel_wakes_a_sleeping_pop() {
    within_a_minute(|| {
        let (queue, token) = (Arc::new(BoundedQueue::<u8>::new(1)), CancelToken::new());
        let sleeper = thread::spawn({
            let (queue, token) = (Arc::clone(&queue), token.clone());
            move || queue.pop_until(&token)
        });
        until_figure(&queue, "waiting_to_pop", 1);
        token.cancel();
        assert_eq!(sleeper.join().unwrap(), Err(WaitError::Cancelled));
        until_figure(&queue, "waiting_to_pop", 0);
    });
}

#[test]
fn cancel_wakes_a_sleeping_push_and_gives_its_item_back() {
    within_a_minute(|| {
        let (queue, token) = (full(1), CancelToken::new());
        let sleeper = thread::spawn({
            let (queue, token) = (Arc::clone(&queue), token.clone());
            move || queue.push_until(77, &token).unwrap_err()
        });
        until_figure(&queue, "waiting_to_push", 1);
        token.cancel();
        let rejected = sleeper.join().unwrap();
        assert_eq!((rejected.value, rejected.error), (77, WaitError::Cancelled));
        until_figure(&queue, "waiting_to_push", 0);
    });
}

#[test]
fn token_cancelled_before_takes_nothing_although_an_item_is_there() {
    let queue = full(2);
    let token = cancelled();
    assert_eq!(queue.pop_until(&token), Err(WaitError::Cancelled));
    assert_eq!(queue.pop_many_until(2, &token), Err(WaitError::Cancelled));
    assert_eq!(queue.pop_until((&token, Duration::ZERO)), Err(WaitError::Cancelled));
    assert_eq!(queue.len(), 2);
}

#[test]
fn token_cancelled_before_gives_nothing_although_there_is_room() {
    let queue = BoundedQueue::new(4);
    let token = cancelled();
    let rejected = queue.push_until(5, &token).unwrap_err();
    assert_eq!((rejected.value, rejected.error), (5, WaitError::Cancelled));
    let rejected = queue.push_all_until([6, 7], &token).unwrap_err();
    assert_eq!(rejected.error, WaitError::Cancelled);
    assert_eq!(rejected.value.collect::<Vec<_>>(), [6, 7]);
    assert!(queue.is_empty());
}

#[test]
fn limit_in_the_past_succeeds_if_it_can_and_is_timed_out_if_not() {
    let past = Instant::now();
    let queue = BoundedQueue::new(1);
    assert_eq!(queue.push_until(1, past), Ok(()));
    let rejected = queue.push_until(2, past).unwrap_err();
    assert_eq!((rejected.value, rejected.error), (2, WaitError::TimedOut));
    assert_eq!(queue.pop_until(past), Ok(1));
    assert_eq!(queue.pop_until(past), Err(WaitError::TimedOut));
}

#[test]
fn zero_duration_does_not_wait() {
    let queue = BoundedQueue::new(1);
    assert_eq!(queue.pop_until(Duration::ZERO), Err(WaitError::TimedOut));
    assert_eq!(queue.push_until(1, Duration::ZERO), Ok(()));
    let rejected = queue.push_until(2, Duration::ZERO).unwrap_err();
    assert_eq!((rejected.value, rejected.error), (2, WaitError::TimedOut));
    assert_eq!(queue.pop_many_until(8, Duration::ZERO), Ok(vec![1]));
}

#[test]
fn longest_duration_waits_forever_and_does_not_overflow() {
    within_a_minute(|| {
        let queue = Arc::new(BoundedQueue::new(1));
        let sleeper = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.pop_until(Duration::MAX)
        });
        until_figure(&queue, "waiting_to_pop", 1);
        queue.push(3).unwrap();
        assert_eq!(sleeper.join().unwrap(), Ok(3));
    });
}

#[test]
fn timed_out_waiter_leaves_the_list() {
    within_a_minute(|| {
        let queue = BoundedQueue::<u8>::new(1);
        assert_eq!(queue.pop_until(Duration::from_millis(1)), Err(WaitError::TimedOut));
        until_figure(&queue, "waiting_to_pop", 0);
        queue.push(1).unwrap();
        assert_eq!(queue.push_until(2, Duration::from_millis(1)).unwrap_err().error, WaitError::TimedOut);
        until_figure(&queue, "waiting_to_push", 0);
    });
}

#[test]
fn push_wakes_the_sleeper_behind_one_that_gave_up() {
    within_a_minute(|| {
        let (queue, token) = (Arc::new(BoundedQueue::new(1)), CancelToken::new());
        let front = thread::spawn({
            let (queue, token) = (Arc::clone(&queue), token.clone());
            move || queue.pop_until(&token)
        });
        until_figure(&queue, "waiting_to_pop", 1);
        let behind = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.pop()
        });
        until_figure(&queue, "waiting_to_pop", 2);
        token.cancel();
        queue.push(5).unwrap();
        // The cancel came first, so the item goes to the other consumer, however late the first wakes up.
        assert_eq!(front.join().unwrap(), Err(WaitError::Cancelled));
        assert_eq!(behind.join().unwrap(), Ok(5));
    });
}

#[test]
fn popping_none_takes_nothing_and_returns_at_once() {
    let queue = BoundedQueue::<usize>::new(1);
    assert_eq!(queue.pop_many(0), Ok(vec![]));
    assert_eq!(queue.try_pop_many(0), Ok(vec![]));
    queue.push(1).unwrap();
    assert_eq!(queue.pop_many(0), Ok(vec![]));
    assert_eq!(queue.len(), 1);
}

#[test]
fn batch_that_is_larger_than_the_queue_goes_through_in_order() {
    within_a_minute(|| {
        let (sender, receiver) = bounded(3);
        let producer = thread::spawn(move || sender.push_all(0..1000).unwrap());
        let mut seen = Vec::new();
        while let Ok(some) = receiver.pop_many(7) {
            assert!(!some.is_empty() && some.len() <= 3, "{some:?}");
            seen.extend(some);
        }
        producer.join().unwrap();
        assert_eq!(seen, (0..1000).collect::<Vec<_>>());
    });
}

#[test]
fn batch_that_times_out_gives_back_exactly_what_did_not_go_in() {
    let queue = BoundedQueue::new(4);
    let rejected = queue.push_all_until(0..100, Duration::from_millis(1)).unwrap_err();
    assert_eq!(rejected.error, WaitError::TimedOut);
    assert_eq!(rejected.value.collect::<Vec<_>>(), (4..100).collect::<Vec<_>>());
    assert_eq!(queue.close_and_drain(), [0, 1, 2, 3]);
}

#[test]
fn closing_gives_a_sleeping_batch_its_rest_back() {
    within_a_minute(|| {
        let queue = full(2);
        let sleeper = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.push_all(10..60).unwrap_err().value.collect::<Vec<_>>()
        });
        until_figure(&queue, "waiting_to_push", 1);
        assert_eq!(queue.pop(), Ok(0));
        until_figure(&queue, "waiting_to_push", 1);
        let drained = queue.close_and_drain();
        let rest = sleeper.join().unwrap();
        let all: Vec<_> = drained.into_iter().skip(1).chain(rest).collect();
        assert_eq!(all, (10..60).collect::<Vec<_>>());
    });
}

#[test]
fn one_batch_wakes_as_many_consumers_as_it_has_items() {
    within_a_minute(|| {
        let queue = Arc::new(BoundedQueue::new(4));
        let sleepers = [(); 3].map(|()| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.pop().unwrap())
        });
        until_figure(&queue, "waiting_to_pop", 3);
        queue.push_all([1, 2, 3]).unwrap();
        assert_eq!(sleepers.map(|sleeper| sleeper.join().unwrap()).iter().sum::<i32>(), 6);
    });
}

#[test]
fn one_batch_pop_wakes_as_many_producers_as_it_makes_room_for() {
    within_a_minute(|| {
        let queue = full(3);
        let sleepers = [10, 11, 12].map(|item| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.push(item).unwrap())
        });
        until_figure(&queue, "waiting_to_push", 3);
        assert_eq!(queue.pop_many(3), Ok(vec![0, 1, 2]));
        sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
        let mut rest = queue.close_and_drain();
        rest.sort_unstable();
        assert_eq!(rest, [10, 11, 12]);
    });
}

#[test]
fn last_sender_to_go_closes_the_queue() {
    let (sender, receiver) = bounded(2);
    let other = sender.clone();
    drop(sender);
    assert!(!receiver.is_closed());
    other.push(1).unwrap();
    drop(other);
    assert!(receiver.is_closed());
    assert_eq!((&receiver).into_iter().collect::<Vec<_>>(), [1]);
}

#[test]
fn last_sender_to_go_wakes_a_sleeping_receiver() {
    within_a_minute(|| {
        let (sender, receiver) = bounded::<u8>(1);
        let looker = receiver.clone();
        let sleeper = thread::spawn(move || receiver.pop());
        until_figure(&looker, "waiting_to_pop", 1);
        drop(sender);
        assert_eq!(sleeper.join().unwrap(), Err(Closed));
    });
}

#[test]
fn last_receiver_to_go_closes_the_queue_and_drops_what_is_left() {
    within_a_minute(|| {
        let item = Arc::new(());
        let (sender, receiver) = bounded(1);
        sender.push(Arc::clone(&item)).unwrap();
        let sleeper = thread::spawn({
            let (sender, item) = (sender.clone(), Arc::clone(&item));
            move || sender.push(item).is_err()
        });
        until_figure(&sender, "waiting_to_push", 1);
        drop(receiver.clone());
        assert!(!sender.is_closed());
        drop(receiver);
        assert!(sleeper.join().unwrap());
        assert!(sender.try_push(Arc::clone(&item)).is_err());
        assert_eq!(Arc::strong_count(&item), 1);
    });
}

#[test]
fn dropping_the_queue_drops_each_item_once() {
    let item = Arc::new(());
    let queue = BoundedQueue::new(3);
    queue.push_all([(); 3].map(|()| Arc::clone(&item))).unwrap();
    drop(queue.pop());
    queue.push(Arc::clone(&item)).unwrap();
    assert_eq!(Arc::strong_count(&item), 4);
    drop(queue);
    assert_eq!(Arc::strong_count(&item), 1);
}

#[test]
fn popped_item_is_not_kept_by_the_queue() {
    let item = Arc::new(());
    let queue = BoundedQueue::new(4);
    queue.push_all([Arc::clone(&item), Arc::clone(&item)]).unwrap();
    drop(queue.pop_many(2));
    assert_eq!(Arc::strong_count(&item), 1);
}

#[test]
fn item_whose_drop_uses_the_queue_finds_it_unlocked() {
    struct Looks(Arc<BoundedQueue<Looks>>, Arc<AtomicUsize>);
    impl Drop for Looks {
        fn drop(&mut self) {
            self.1.fetch_add(1, SeqCst);
            self.0.close();
            assert!(self.0.is_empty() && self.0.try_pop().is_err());
        }
    }
    within_a_minute(|| {
        let (queue, drops) = (Arc::new(BoundedQueue::new(2)), Arc::new(AtomicUsize::new(0)));
        queue.push(Looks(Arc::clone(&queue), Arc::clone(&drops))).unwrap();
        queue.push(Looks(Arc::clone(&queue), Arc::clone(&drops))).unwrap();
        drop(queue.close_and_drain());
        assert_eq!(drops.load(SeqCst), 2);
    });
}

#[test]
fn iterator_that_uses_the_queue_while_it_is_pushed_finds_it_unlocked() {
    within_a_minute(|| {
        let queue = full(4);
        // Each item that the iterator returns pops another one, which makes room for it.
        queue.push_all((10..13).inspect(|_| _ = queue.pop())).unwrap();
        assert_eq!(queue.close_and_drain(), [3, 10, 11, 12]);
    });
}

#[test]
fn queue_of_items_without_size_counts_them() {
    let queue = BoundedQueue::new(2);
    queue.push_all([(), ()]).unwrap();
    assert!(queue.try_push(()).is_err());
    assert_eq!(queue.pop_many(9).unwrap().len(), 2);
}

#[test]
fn debug_shows_the_waiters_and_needs_no_debug_of_the_item() {
    struct Plain;
    let queue = BoundedQueue::new(2);
    queue.push(Plain).unwrap_or_else(|_| unreachable!());
    let shown = format!("{queue:?}");
    for part in ["len: 1", "capacity: 2", "closed: false", "waiting_to_pop: 0", "waiting_to_push: 0"] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
}

#[test]
fn forever_is_a_limit_that_only_close_ends() {
    within_a_minute(|| {
        let queue = Arc::new(BoundedQueue::<u8>::new(1));
        let sleeper = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.pop_until(Until::forever())
        });
        until_figure(&queue, "waiting_to_pop", 1);
        queue.close();
        assert_eq!(sleeper.join().unwrap(), Err(WaitError::Closed));
    });
}

#[derive(Clone, Debug)]
enum Op {
    Push(u16),
    Pop,
    PushAll(Vec<u16>),
    PopMany(usize),
    Close,
    CloseAndDrain,
    ForcePush(u16),
    Resize(usize),
}

/// The most that a queue can be resized to.
const MAX: usize = 8;

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        10 => any::<u16>().prop_map(Op::Push),
        8 => Just(Op::Pop),
        4 => proptest::collection::vec(any::<u16>(), 0..12).prop_map(Op::PushAll),
        4 => (0usize..12).prop_map(Op::PopMany),
        1 => Just(Op::Close),
        1 => Just(Op::CloseAndDrain),
        3 => any::<u16>().prop_map(Op::ForcePush),
        4 => (1usize..=MAX).prop_map(Op::Resize),
    ]
}

/// A model of the queue, built on std's deque.
struct Model {
    items: VecDeque<u16>,
    capacity: usize,
    closed: bool,
}

impl Model {
    fn push(&mut self, item: u16) -> Result<(), (u16, TryError)> {
        match (self.closed, self.items.len() < self.capacity) {
            (true, _) => Err((item, TryError::Closed)),
            (false, false) => Err((item, TryError::WouldBlock)),
            (false, true) => {
                self.items.push_back(item);
                Ok(())
            }
        }
    }

    fn force_push(&mut self, item: u16) -> Result<Option<u16>, u16> {
        if self.closed {
            return Err(item);
        }
        let first = if self.items.len() < self.capacity { None } else { self.items.pop_front() };
        self.items.push_back(item);
        Ok(first)
    }

    fn pop_many(&mut self, max: usize) -> Result<Vec<u16>, TryError> {
        match (max, self.items.is_empty()) {
            (0, _) => Ok(Vec::new()),
            (_, true) if self.closed => Err(TryError::Closed),
            (_, true) => Err(TryError::WouldBlock),
            (_, false) => Ok(self.items.drain(..max.min(self.items.len())).collect()),
        }
    }

    fn push_all(&mut self, items: Vec<u16>) -> Result<(), (Vec<u16>, WaitError)> {
        for (at, &item) in items.iter().enumerate() {
            if let Err((_, error)) = self.push(item) {
                let error = if error == TryError::Closed { WaitError::Closed } else { WaitError::TimedOut };
                return Err((items[at..].to_vec(), error));
            }
        }
        Ok(())
    }
}

fn apply(op: Op, queue: &BoundedQueue<u16>, model: &mut Model) {
    match op {
        Op::Push(item) => {
            let pushed = queue.try_push(item).map_err(|rejected| (rejected.value, rejected.error));
            assert_eq!(pushed, model.push(item));
        }
        Op::Pop => assert_eq!(queue.try_pop(), model.pop_many(1).map(|items| items[0])),
        Op::PushAll(items) => {
            let pushed = queue.push_all_until(items.clone(), Duration::ZERO);
            let pushed = pushed.map_err(|rejected| (rejected.value.collect::<Vec<_>>(), rejected.error));
            assert_eq!(pushed, model.push_all(items));
        }
        Op::PopMany(max) => assert_eq!(queue.try_pop_many(max), model.pop_many(max)),
        Op::Close => assert_eq!(queue.close(), !std::mem::replace(&mut model.closed, true)),
        Op::CloseAndDrain => {
            model.closed = true;
            assert_eq!(queue.close_and_drain(), model.items.drain(..).collect::<Vec<_>>());
        }
        Op::ForcePush(item) => {
            let pushed = queue.force_push(item).map_err(|rejected| rejected.value);
            assert_eq!(pushed, model.force_push(item));
        }
        Op::Resize(capacity) => {
            model.capacity = capacity;
            queue.resize(capacity);
        }
    }
    assert_eq!((queue.capacity(), queue.max_capacity()), (model.capacity, MAX));
    assert_eq!(queue.len(), model.items.len());
    assert_eq!(queue.is_empty(), model.items.is_empty());
    assert_eq!(queue.is_closed(), model.closed);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn any_sequence_of_calls_agrees_with_a_deque(
        capacity in 1usize..=MAX,
        ops in proptest::collection::vec(op(), 0..80),
    ) {
        let queue = BoundedQueue::resizable(capacity, MAX);
        let mut model = Model { items: VecDeque::new(), capacity, closed: false };
        for op in ops {
            apply(op, &queue, &mut model);
        }
    }
}

#[test]
fn queue_that_was_seen_closed_is_closed_from_either_side() {
    within_a_minute(|| {
        for round in 0..400 {
            let queue = Arc::new(BoundedQueue::<u8>::new(1));
            let closer = thread::spawn({
                let queue = Arc::clone(&queue);
                move || queue.close()
            });
            let mut first = false;
            match round % 4 {
                0 => {
                    while !queue.is_closed() {
                        thread::yield_now();
                    }
                }
                1 => {
                    while queue.try_pop() == Err(TryError::WouldBlock) {
                        thread::yield_now();
                    }
                }
                2 => {
                    while queue.try_push(1).is_ok() {
                        queue.try_pop().unwrap();
                    }
                }
                _ => first = queue.close(),
            }
            assert!(queue.is_closed(), "round {round}");
            assert_eq!(queue.try_pop(), Err(TryError::Closed), "round {round}");
            assert_eq!(queue.try_pop_many(1), Err(TryError::Closed), "round {round}");
            assert_eq!(queue.try_push(1).unwrap_err().error, TryError::Closed, "round {round}");
            assert!(closer.join().unwrap() != first, "one of them closed it");
        }
    });
}

#[test]
fn handles_have_the_calls_of_their_side() {
    within_a_minute(|| {
        let (sender, receiver) = bounded(3);
        assert_eq!((sender.capacity(), receiver.capacity()), (3, 3));
        sender.push(1).unwrap();
        sender.try_push(2).unwrap();
        sender.push_until(3, HOUR).unwrap();
        assert_eq!(sender.try_push(4).unwrap_err().into_value(), 4);
        assert_eq!((sender.len(), receiver.len(), sender.is_empty()), (3, 3, false));
        assert_eq!((receiver.pop(), receiver.try_pop(), receiver.pop_until(HOUR)), (Ok(1), Ok(2), Ok(3)));
        assert!(receiver.is_empty());
        sender.push_all([4, 5]).unwrap();
        sender.push_all_until([6], HOUR).unwrap();
        assert_eq!(receiver.pop_many(1), Ok(vec![4]));
        assert_eq!(receiver.try_pop_many(1), Ok(vec![5]));
        assert_eq!(receiver.pop_many_until(9, HOUR), Ok(vec![6]));
        sender.push(7).unwrap();
        assert!(receiver.close() && !sender.close() && sender.is_closed() && receiver.is_closed());
        assert_eq!(sender.push(8).unwrap_err().into_value(), 8);
        assert_eq!(receiver.close_and_drain(), [7]);
        assert_eq!(receiver.iter().count(), 0);
    });
}

#[test]
fn receiver_by_value_is_an_iterator_that_ends_with_the_senders_and_closes_when_dropped() {
    within_a_minute(|| {
        let (sender, receiver) = bounded(4);
        sender.push_all([1, 2, 3]).unwrap();
        let mut items = receiver.into_iter();
        assert_eq!(items.by_ref().take(2).collect::<Vec<_>>(), [1, 2]);
        drop(items);
        assert!(sender.is_closed());
        let (sender, receiver) = bounded(4);
        sender.push_all([1, 2, 3]).unwrap();
        drop(sender);
        assert_eq!(receiver.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
    });
}

#[test]
fn forced_push_drops_the_first_out_and_never_waits() {
    let (sender, receiver) = bounded(2);
    assert_eq!([0, 1, 2, 3].map(|item| sender.force_push(item).unwrap()), [None, None, Some(0), Some(1)]);
    assert_eq!((receiver.pop(), sender.force_push(4), receiver.len()), (Ok(2), Ok(None), 2));
    receiver.close();
    let refused = sender.force_push(5).unwrap_err();
    assert_eq!((refused.value, refused.error), (5, Closed));
    assert_eq!(receiver.close_and_drain(), [3, 4]);
}

#[test]
fn forced_push_wakes_a_consumer() {
    within_a_minute(|| {
        let queue = BoundedQueue::new(1);
        thread::scope(|s| {
            let popping = s.spawn(|| queue.pop());
            until_figure(&queue, "waiting_to_pop", 1);
            assert_eq!(queue.force_push(7), Ok(None));
            assert_eq!(popping.join().unwrap(), Ok(7));
        });
    });
}

#[test]
fn raised_capacity_wakes_as_many_producers_as_there_is_room_for() {
    within_a_minute(|| {
        let queue = Arc::new(BoundedQueue::resizable(1, 4));
        queue.push(0).unwrap();
        let producers: Vec<_> = (1..=4)
            .map(|item| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || queue.push(item).unwrap())
            })
            .collect();
        until_figure(&queue, "waiting_to_push", 4);
        queue.resize(3);
        until_figure(&queue, "waiting_to_push", 2);
        queue.resize(4);
        // A producer that was granted has left the list and has not pushed yet.
        eventually("three have pushed", || queue.len() == 4);
        until_figure(&queue, "waiting_to_push", 1);
        queue.pop().unwrap();
        producers.into_iter().for_each(|producer| producer.join().unwrap());
    });
}

#[test]
fn capacity_below_what_is_in_the_queue_keeps_the_items_and_lets_pushes_wait_until_they_are_drained() {
    within_a_minute(|| {
        let queue = full(4);
        queue.resize(2);
        assert_eq!((queue.len(), queue.capacity(), queue.max_capacity()), (4, 2, 4));
        assert_eq!(queue.try_push(9).unwrap_err().error, TryError::WouldBlock);
        let producer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.push(4).unwrap()
        });
        until_figure(&queue, "waiting_to_push", 1);
        assert_eq!((queue.pop(), queue.pop()), (Ok(0), Ok(1)));
        // Two are left, as many as may be: the producer still waits.
        until_figure(&queue, "waiting_to_push", 1);
        assert_eq!(queue.pop(), Ok(2));
        producer.join().unwrap();
        assert_eq!(queue.close_and_drain(), [3, 4]);
    });
}

#[test]
fn batch_pop_of_a_queue_that_was_lowered_wakes_no_more_than_may_come_in() {
    within_a_minute(|| {
        let queue = full(4);
        queue.resize(1);
        let producers: Vec<_> = (4..7)
            .map(|item| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || queue.push(item).unwrap())
            })
            .collect();
        until_figure(&queue, "waiting_to_push", 3);
        assert_eq!(queue.pop_many(4).unwrap(), [0, 1, 2, 3]);
        until_figure(&queue, "waiting_to_push", 2);
        queue.resize(4);
        producers.into_iter().for_each(|producer| producer.join().unwrap());
        assert_eq!(queue.len(), 3);
    });
}

#[test]
fn changing_the_capacity_all_the_time_loses_no_item_and_leaves_nobody_asleep() {
    within_a_minute(|| {
        let (sender, receiver) = resizable(1, 16);
        thread::scope(|s| {
            for producer in 0..2_u64 {
                let sender = sender.clone();
                s.spawn(move || (0..5_000).for_each(|item| sender.push(producer << 32 | item).unwrap()));
            }
            drop(sender);
            let sizes = receiver.clone();
            let resizes = s.spawn(move || {
                let mut dice = common::Dice::new(7);
                while !sizes.is_closed() {
                    sizes.resize(1 + dice.roll(16));
                    thread::yield_now();
                }
            });
            let (mut next, mut count) = ([0; 2], 0);
            for item in receiver {
                let producer = (item >> 32) as usize;
                assert_eq!(item & 0xFFFF_FFFF, next[producer], "in order");
                next[producer] += 1;
                count += 1;
            }
            assert_eq!(count, 10_000);
            resizes.join().unwrap();
        });
    });
}
