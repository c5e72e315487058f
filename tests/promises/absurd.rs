//! Numbers that nobody can mean: a call panics with the number in its message, or it works; it neither ends
//! the process nor hangs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::common::{HOUR, message, within_a_minute};
use selvedge::batch::Batch;
use selvedge::error::{TryError, WaitError};
use selvedge::limiter::KeyedLimiter;
use selvedge::queue::bounded;
use selvedge::{Batcher, BoundedQueue, Latch, Pipeline, Pool, RateLimiter, Semaphore, ShardedMap};

/// More than any address space, a size that overflows only when it is multiplied, and one that does not.
const ABSURD: [usize; 4] = [usize::MAX, usize::MAX / 4, 1 << 62, 1 << 50];

/// `f` panics, and its message has the number.
#[track_caller]
fn panics_with<R>(number: usize, what: &str, f: impl FnOnce() -> R) {
    let told = catch_unwind(AssertUnwindSafe(f));
    let said = message(&*told.err().unwrap_or_else(|| panic!("{what} of {number} works")));
    assert!(said.contains(&number.to_string()), "{what}: {said}");
}

#[test]
fn room_for_more_than_memory_holds_is_refused_by_a_panic() {
    within_a_minute(|| {
        for number in ABSURD {
            panics_with(number, "a queue", || BoundedQueue::<u64>::new(number));
            panics_with(number, "a pair of handles", || bounded::<u64>(number));
            panics_with(number, "a map", || ShardedMap::<u64, u64>::with_capacity(number));
            let map = ShardedMap::from([(1_u64, 1_u64)]);
            panics_with(number, "a reservation", || map.reserve(number));
            assert_eq!((map.get(&1), map.insert(2, 2), map.len()), (Some(1), None, 2), "it is as it was");
            panics_with(number, "shards", || ShardedMap::<u64, u64>::with_shards(number));
            panics_with(number, "a channel", || Pipeline::source(0..3_u64).into_channel(number));
            let merged =
                || Pipeline::merge([Pipeline::source(0..3), Pipeline::source(3..6)]).capacity(number).count();
            panics_with(number, "a merge", merged);
            panics_with(number, "a fan-out", || Pipeline::source(0..3_u64).broadcast(number, 1));
        }
    });
}

#[test]
fn bound_that_allocates_nothing_may_be_any_number() {
    within_a_minute(|| {
        for number in ABSURD {
            let pool = Pool::builder().workers(1).queue(number).build().unwrap();
            assert_eq!(pool.submit(|| 7).unwrap().join().unwrap(), 7);
            pool.shutdown();

            let (told, sums) = std::sync::mpsc::channel();
            let adds = Batcher::builder().max_items(number).max_weight(number).backlog(number);
            let adds = adds
                .build(move |items: &mut Batch<u32>| told.send(items.iter().sum::<u32>()).unwrap())
                .unwrap();
            adds.add(3).unwrap();
            adds.close();
            assert_eq!(sums.recv(), Ok(3));

            let latch = Latch::new(number);
            latch.count_down();
            assert_eq!((latch.count(), latch.is_open()), (number - 1, false));

            let outputs = Pipeline::source(0..3).broadcast(2, number);
            let [first, second] = outputs.try_into().unwrap_or_else(|_| panic!("two"));
            assert_eq!((first.count(), second.count()), (3, 3));
        }
    });
}

#[test]
fn asking_for_more_than_there_is_takes_what_is_there_or_is_told() {
    within_a_minute(|| {
        for number in ABSURD {
            let queue = BoundedQueue::new(3);
            queue.push_all(0..3).unwrap();
            assert_eq!(queue.pop_many(number).unwrap(), [0, 1, 2]);
            assert_eq!(queue.try_pop_many(number), Err(TryError::WouldBlock));
            assert_eq!(queue.pop_many_until(number, Duration::ZERO), Err(WaitError::TimedOut));

            let semaphore = Semaphore::new(3);
            assert_eq!(semaphore.try_acquire_many(number).err(), Some(TryError::InsufficientCapacity));
            assert_eq!(semaphore.acquire_many(number).err(), Some(WaitError::InsufficientCapacity));

            let limiter = RateLimiter::new(3, HOUR);
            assert_eq!(limiter.try_acquire(number as u64), Err(TryError::InsufficientCapacity));
            assert_eq!(
                (limiter.acquire(number as u64), limiter.delay(number as u64)),
                (Err(WaitError::InsufficientCapacity), None)
            );
            panics_with(number, "a rate", || RateLimiter::new(number as u64, HOUR));
            panics_with(number, "a burst", || RateLimiter::new(1, HOUR).with_burst(number as u64));
            panics_with(number, "a new burst", || limiter.set_burst(number as u64));
            panics_with(number, "a keyed rate", || KeyedLimiter::<u8>::new(number as u64, HOUR));
        }
    });
}

#[test]
fn items_without_a_size_cost_nothing_however_many_fit() {
    within_a_minute(|| {
        for capacity in [1 << 40, usize::MAX / 4] {
            let queue = BoundedQueue::<()>::new(capacity);
            queue.push_all([(); 1000]).unwrap();
            assert_eq!((queue.capacity(), queue.len()), (capacity, 1000));
            assert_eq!(queue.pop_many(10).unwrap().len(), 10);
            assert_eq!((queue.pop(), queue.close_and_drain().len()), (Ok(()), 989));
        }
    });
}

#[test]
fn items_without_a_size_are_bounded_and_dropped_one_by_one() {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    struct Counted;
    impl Drop for Counted {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, SeqCst);
        }
    }
    let queue = BoundedQueue::new(3);
    for round in 1..=5 {
        for _ in 0..3 {
            assert!(queue.try_push(Counted).is_ok());
        }
        let refused = queue.try_push(Counted).unwrap_err();
        std::mem::forget(refused.into_value());
        drop((queue.pop(), queue.pop_many(9)));
        assert_eq!(DROPPED.load(SeqCst), 3 * round);
    }
    assert!(queue.try_push(Counted).is_ok());
    drop(queue);
    assert_eq!(DROPPED.load(SeqCst), 16);
}
