//! The fast paths, a function each: `.ci/instructions` counts under callgrind how many instructions they
//! take, and compares with `core-tests/instructions.txt`.
//!
//! Unlike a time, such a count is the same on a busy machine. It says nothing of cache misses and wake-ups,
//! so it replaces no bench; it tells that a call that never sleeps has grown. Each path repeats one call
//! [`COUNT`] times on the main thread, beside no other thread.

use std::hash::{BuildHasherDefault, DefaultHasher};
use std::hint::black_box;
use std::time::Duration;

use selvedge::{
    BoundedQueue, CancelToken, Clock, Counter, Latch, Monitor, RateLimiter, Semaphore, ShardedMap,
    SingleFlight, StripedCounter, WaitGroup, queue, select,
};

/// How often each path repeats its call. `.ci/instructions` divides by it.
const COUNT: u64 = 10_000;

fn main() {
    println!("{COUNT}");
    path_queue_push_pop();
    path_queue_try_push_try_pop();
    path_queue_push_until_pop_until_a_token();
    path_queue_handles_push_pop();
    path_queue_push_all_pop_many_32();
    path_select_two_queues_one_ready();
    path_semaphore_acquire();
    path_semaphore_try_acquire_of_none();
    path_latch_wait_open();
    path_wait_group_add();
    path_monitor_lock_no_waiter();
    path_token_is_cancelled();
    path_token_child_cancel();
    path_token_on_cancel();
    path_counter_add();
    path_striped_counter_add();
    path_map_get();
    path_map_insert_of_a_known_key();
    path_flight_alone();
    path_limiter_try_acquire_granted();
}

#[inline(never)]
fn path_queue_push_pop() {
    let queue = BoundedQueue::new(8);
    for n in 0..COUNT {
        queue.push(n).expect("it is open");
        black_box(queue.pop().expect("it has an item"));
    }
}

#[inline(never)]
fn path_queue_try_push_try_pop() {
    let queue = BoundedQueue::new(8);
    for n in 0..COUNT {
        queue.try_push(n).expect("it has room");
        black_box(queue.try_pop().expect("it has an item"));
    }
}

#[inline(never)]
fn path_queue_push_until_pop_until_a_token() {
    let (queue, token) = (BoundedQueue::new(8), CancelToken::new());
    for n in 0..COUNT {
        queue.push_until(n, &token).expect("it has room");
        black_box(queue.pop_until(&token).expect("it has an item"));
    }
}

#[inline(never)]
fn path_queue_handles_push_pop() {
    let (sender, receiver) = queue::bounded(8);
    for n in 0..COUNT {
        sender.push(n).expect("it is open");
        black_box(receiver.pop().expect("it has an item"));
    }
}

#[inline(never)]
fn path_queue_push_all_pop_many_32() {
    let queue = BoundedQueue::new(32);
    for _ in 0..COUNT {
        queue.push_all(0..32_u64).expect("it has room");
        black_box(queue.pop_many(32).expect("it has items"));
    }
}

#[inline(never)]
fn path_select_two_queues_one_ready() {
    let (full, empty) = (BoundedQueue::new(8), BoundedQueue::<u64>::new(8));
    for n in 0..COUNT {
        full.try_push(n).expect("it has room");
        let item = select! {
            biased;
            pop(&empty) -> item => item,
            pop(&full) -> item => item,
        };
        black_box(item.expect("one has an item"));
    }
}

#[inline(never)]
fn path_semaphore_acquire() {
    let semaphore = Semaphore::new(1);
    for _ in 0..COUNT {
        drop(black_box(semaphore.acquire().expect("it is open")));
    }
}

#[inline(never)]
fn path_semaphore_try_acquire_of_none() {
    let semaphore = Semaphore::new(1);
    let _held = semaphore.acquire().expect("it is open");
    for _ in 0..COUNT {
        assert!(black_box(semaphore.try_acquire()).is_err());
    }
}

#[inline(never)]
fn path_latch_wait_open() {
    let latch = Latch::new(0);
    for _ in 0..COUNT {
        black_box(&latch).wait();
    }
}

#[inline(never)]
fn path_wait_group_add() {
    let group = WaitGroup::new();
    for _ in 0..COUNT {
        drop(black_box(group.add()));
    }
}

#[inline(never)]
fn path_monitor_lock_no_waiter() {
    let monitor = Monitor::new(0);
    for _ in 0..COUNT {
        *black_box(&monitor).lock() += 1;
    }
}

#[inline(never)]
fn path_token_is_cancelled() {
    let token = CancelToken::new();
    for _ in 0..COUNT {
        assert!(!black_box(&token).is_cancelled());
    }
}

#[inline(never)]
fn path_token_child_cancel() {
    let token = CancelToken::new();
    for _ in 0..COUNT {
        black_box(token.child()).cancel();
    }
}

#[inline(never)]
fn path_token_on_cancel() {
    let token = CancelToken::new();
    for _ in 0..COUNT {
        drop(black_box(token.on_cancel(|| ())));
    }
}

#[inline(never)]
fn path_counter_add() {
    let counter = Counter::new();
    for _ in 0..COUNT {
        black_box(&counter).add(1);
    }
}

#[inline(never)]
fn path_striped_counter_add() {
    let counter = StripedCounter::new();
    for _ in 0..COUNT {
        black_box(&counter).add(1);
    }
}

/// With a hash that is the same in every run.
type Map = ShardedMap<u64, u64, BuildHasherDefault<DefaultHasher>>;

#[inline(never)]
fn path_map_get() {
    let map = Map::with_hasher(BuildHasherDefault::default());
    map.insert(1, 2);
    for _ in 0..COUNT {
        black_box(map.get(black_box(&1)));
    }
}

#[inline(never)]
fn path_map_insert_of_a_known_key() {
    let map = Map::with_hasher(BuildHasherDefault::default());
    for n in 0..COUNT {
        black_box(map.insert(black_box(1), n));
    }
}

#[inline(never)]
fn path_flight_alone() {
    let flight = SingleFlight::<u64, u64, _>::with_hasher(BuildHasherDefault::<DefaultHasher>::default());
    for n in 0..COUNT {
        black_box(flight.call(&1, || n).expect("it does not panic"));
    }
}

#[inline(never)]
fn path_limiter_try_acquire_granted() {
    // On the system's clock it depends on the time which path a call takes.
    let limiter = RateLimiter::new(1 << 30, Duration::from_secs(1)).with_clock(Clock::manual());
    for _ in 0..COUNT {
        limiter.try_acquire(1).expect("it has tokens");
    }
}
