//! The reference's designs, built on the facade. Each must fail as it was seen to, under the same harness
//! that passes ours. If one of them stops failing, the harness has gone blind.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::time::{Duration, Instant};

use selvedge_loom::queue::BoundedQueue;
use selvedge_loom::sync::atomic::{AtomicUsize, Ordering};
use selvedge_loom::sync::model::{check, find_failure};
use selvedge_loom::sync::{Arc, Condvar, Mutex, RwLock, thread};
use selvedge_loom::{CancelToken, Clock, ManualClock, Semaphore, ShardedMap, StripedCounter};

/// The reference's queue: one condvar for both sides, and a signal for each change.
struct OneCondvarQueue {
    items: Mutex<VecDeque<u32>>,
    changed: Condvar,
    capacity: usize,
    wake_all: bool,
}

impl OneCondvarQueue {
    fn new(capacity: usize, wake_all: bool) -> Arc<Self> {
        let items = Mutex::new(VecDeque::new());
        Arc::new(OneCondvarQueue { items, changed: Condvar::new(), capacity, wake_all })
    }

    fn push(&self, item: u32) {
        let mut items = self.items.lock();
        while items.len() >= self.capacity {
            self.changed.wait(&mut items);
        }
        items.push_back(item);
        self.signal();
    }

    fn pop(&self) -> u32 {
        let mut items = self.items.lock();
        while items.is_empty() {
            self.changed.wait(&mut items);
        }
        let item = items.pop_front().expect("not empty");
        self.signal();
        item
    }

    fn signal(&self) {
        if self.wake_all {
            self.changed.notify_all();
        } else {
            self.changed.notify_one();
        }
    }
}

/// One producer with two items and two consumers with one each, on the reference's queue.
fn one_by_two(capacity: usize, wake_all: bool) -> impl Fn() + Send + Sync + 'static {
    move || {
        let queue = OneCondvarQueue::new(capacity, wake_all);
        let consumers = [(); 2].map(|()| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.pop())
        });
        queue.push(1);
        queue.push(2);
        let sum: u32 = consumers.map(|consumer| consumer.join().unwrap()).iter().sum();
        assert_eq!(sum, 3);
    }
}

/// Capacity 1 is too small for three threads: 2 · 1 < 1 + 2. A signal meant for the other side wakes a thread
/// of the same side, and all threads sleep.
#[test]
fn the_one_condvar_queue_loses_a_wake_up_at_capacity_one() {
    let failure = find_failure(one_by_two(1, false)).expect("the reference's queue deadlocks");
    assert!(failure.message().contains("deadlock"), "{failure:?}");
}

/// The rule's other side: capacity 2 is enough for them, 2 · 2 ≥ 1 + 2. Waking all threads repairs capacity
/// 1, at the price of waking all threads.
#[test]
fn the_one_condvar_queue_holds_within_the_rule_and_with_notify_all() {
    check(one_by_two(2, false));
    check(one_by_two(1, true));
}

/// The reference's cancellation: a check of the token before each wait, and no wake-up for the sleeper.
#[test]
fn a_cancel_that_is_only_looked_at_reaches_no_sleeper() {
    let failure = find_failure(|| {
        let token = CancelToken::new();
        let queue = OneCondvarQueue::new(1, false);
        let consumer = thread::spawn({
            let (queue, token) = (Arc::clone(&queue), token.clone());
            move || {
                let mut items = queue.items.lock();
                while items.is_empty() && !token.is_cancelled() {
                    queue.changed.wait(&mut items);
                }
            }
        });
        token.cancel();
        consumer.join().unwrap();
    });
    assert!(failure.expect("the sleeper is not woken").message().contains("deadlock"));
    // Ours, in the same situation.
    check(|| {
        let token = CancelToken::new();
        let queue = Arc::new(BoundedQueue::<u32>::new(1));
        let consumer = thread::spawn({
            let (queue, token) = (Arc::clone(&queue), token.clone());
            move || queue.pop_until(&token).is_err()
        });
        token.cancel();
        assert!(consumer.join().unwrap());
    });
}

/// A repair that does not go far enough: the cancellation wakes the sleepers, but a thread that leaves
/// swallows a signal that was meant for another.
#[test]
fn a_cancelled_waiter_that_eats_a_signal_is_found() {
    let failure = find_failure(|| {
        let queue = OneCondvarQueue::new(1, false);
        let cancelled = Arc::new(Mutex::new(false));
        let leaving = thread::spawn({
            let (queue, cancelled) = (Arc::clone(&queue), Arc::clone(&cancelled));
            move || {
                let mut items = queue.items.lock();
                while items.is_empty() {
                    if *cancelled.lock() {
                        return;
                    }
                    queue.changed.wait(&mut items);
                    // Woken by either: if it was the push's signal, it is swallowed here.
                    if *cancelled.lock() {
                        return;
                    }
                }
                items.pop_front();
                queue.push_after_pop(items);
            }
        });
        let staying = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.pop()
        });
        *cancelled.lock() = true;
        queue.push(1);
        leaving.join().unwrap();
        queue.refill();
        staying.join().unwrap();
    });
    assert!(failure.expect("the other sleeper is not woken").message().contains("deadlock"));
}

/// The reference's shrinking pool: a worker whose keep-alive has expired checks how many workers there are,
/// and then leaves. Two workers that expire together both find one more than the minimum, and none is left.
#[test]
fn workers_that_look_and_then_leave_go_below_the_minimum() {
    fn workers_left(leave: fn(&AtomicUsize) -> bool) -> impl Fn() + Send + Sync + 'static {
        move || {
            let workers = Arc::new(AtomicUsize::new(2));
            let other = thread::spawn({
                let workers = Arc::clone(&workers);
                move || leave(&workers)
            });
            let left = usize::from(leave(&workers)) + usize::from(other.join().unwrap());
            assert_eq!(left, 1, "{left} of 2 workers have left a pool of at least 1");
        }
    }
    const MIN: usize = 1;
    let failure = find_failure(workers_left(|workers| {
        let leaves = workers.load(Ordering::SeqCst) > MIN;
        workers.fetch_sub(usize::from(leaves), Ordering::SeqCst);
        leaves
    }));
    assert!(failure.expect("both leave").message().contains("2 of 2 workers"));
    // One step instead of two repairs it. The pool here decides under the lock of its worker counts.
    check(workers_left(|workers| {
        workers
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| (count > MIN).then(|| count - 1))
            .is_ok()
    }));
}

/// The reference's map: a lock around each call, and two calls where one step is meant. An update is lost,
/// and a missing page is fetched twice.
#[test]
fn a_map_that_is_asked_and_then_told_loses_updates_and_makes_twice() {
    type Locked = RwLock<HashMap<u8, u32>>;
    let get = |map: &Locked| map.read().get(&1).copied();
    let set = |map: &Locked, value| _ = map.write().insert(1, value);
    let failure = find_failure(move || {
        let map = Arc::new(Locked::default());
        let add = move |map: &Locked| set(map, get(map).unwrap_or(0) + 1);
        let other = thread::spawn({
            let map = Arc::clone(&map);
            move || add(&map)
        });
        add(&map);
        other.join().unwrap();
        assert_eq!(get(&map), Some(2), "an update is lost");
    });
    assert!(failure.expect("an update is lost").message().contains("an update is lost"));
    let failure = find_failure(move || {
        let (map, fetches) = (Arc::new(Locked::default()), Arc::new(AtomicUsize::new(0)));
        let fetch = move |map: &Locked, fetches: &AtomicUsize| {
            if get(map).is_none() {
                fetches.fetch_add(1, Ordering::SeqCst);
                set(map, 7);
            }
        };
        let other = thread::spawn({
            let (map, fetches) = (Arc::clone(&map), Arc::clone(&fetches));
            move || fetch(&map, &fetches)
        });
        fetch(&map, &fetches);
        other.join().unwrap();
        assert_eq!(fetches.fetch_add(0, Ordering::SeqCst), 1, "fetched twice");
    });
    assert!(failure.expect("the page is fetched twice").message().contains("fetched twice"));
    // Ours, in the same situations.
    check(|| {
        let map = Arc::new(ShardedMap::<u8, u32, OneHash>::with_shards_and_hasher(1, OneHash::default()));
        let fetches = Arc::new(AtomicUsize::new(0));
        let visit = |map: &ShardedMap<u8, u32, OneHash>, fetches: &AtomicUsize| {
            map.entry(1, |entry| *entry.or_insert(0) += 1);
            map.get_or_insert_with(2, || fetches.fetch_add(1, Ordering::SeqCst) as u32).unwrap();
        };
        let other = thread::spawn({
            let (map, fetches) = (Arc::clone(&map), Arc::clone(&fetches));
            move || visit(&map, &fetches)
        });
        visit(&map, &fetches);
        other.join().unwrap();
        assert_eq!((map.get(&1), fetches.fetch_add(0, Ordering::SeqCst)), (Some(2), 1));
    });
}

/// std's hash function with a key that is the same in every execution.
type OneHash = BuildHasherDefault<DefaultHasher>;

impl OneCondvarQueue {
    /// What `pop` does at its end.
    fn push_after_pop(&self, items: selvedge_loom::sync::MutexGuard<'_, VecDeque<u32>>) {
        drop(items);
        self.signal();
    }

    /// Pushes an item without a signal if there is none, for the consumer that still waits.
    fn refill(&self) {
        let mut items = self.items.lock();
        if items.is_empty() {
            items.push_back(2);
            drop(items);
            self.signal();
        }
    }
}

/// The reference's batcher: a list, a size, and a timer that each add resets.
struct TimerBatcher {
    state: Mutex<TimerState>,
    clock: ManualClock,
    /// True for the reference's way; false if only the first item of a batch sets the timer.
    each_add_resets: bool,
}

struct TimerState {
    items: Vec<u32>,
    flushed: Vec<u32>,
    rings_at: Option<Instant>,
}

const INTERVAL: Duration = Duration::from_millis(100);

impl TimerBatcher {
    fn new(each_add_resets: bool) -> Arc<Self> {
        let state = TimerState { items: Vec::new(), flushed: Vec::new(), rings_at: None };
        Arc::new(TimerBatcher { state: Mutex::new(state), clock: Clock::manual(), each_add_resets })
    }

    fn add(&self, item: u32) {
        let mut state = self.state.lock();
        if self.each_add_resets || state.items.is_empty() {
            state.rings_at = Some(self.clock.now() + INTERVAL);
        }
        state.items.push(item);
    }

    /// What the timer's thread does after the interval.
    fn tick(&self) {
        let mut state = self.state.lock();
        if state.rings_at.is_some_and(|at| self.clock.now() >= at) {
            let due = std::mem::take(&mut state.items);
            state.flushed.extend(due);
        }
    }
}

/// An item that arrives during the first one's interval delays it by another interval, and so may the next.
#[test]
fn a_timer_that_each_add_resets_keeps_the_first_item_waiting() {
    fn first_item_is_flushed_in_time(each_add_resets: bool) -> impl Fn() + Send + Sync + 'static {
        move || {
            let batcher = TimerBatcher::new(each_add_resets);
            batcher.add(1);
            let other = thread::spawn({
                let batcher = Arc::clone(&batcher);
                move || batcher.add(2)
            });
            batcher.clock.advance(INTERVAL);
            batcher.tick();
            assert!(batcher.state.lock().flushed.contains(&1), "the first item still waits");
            other.join().unwrap();
        }
    }
    let failure = find_failure(first_item_is_flushed_in_time(true));
    assert!(failure.expect("the timer is reset").message().contains("still waits"));
    // The age of the oldest repairs it. Ours is in `batch.rs`.
    check(first_item_is_flushed_in_time(false));
}

/// The reference's other half: the batch is processed under the lock, and the rest is never flushed.
struct LockedBatcher {
    items: Mutex<Vec<u32>>,
    processed: Mutex<Vec<u32>>,
    adds_again: bool,
}

impl LockedBatcher {
    fn add(&self, item: u32) {
        let mut items = self.items.lock();
        items.push(item);
        if items.len() == 2 {
            let batch = std::mem::take(&mut *items);
            self.process(&batch);
        }
    }

    fn process(&self, batch: &[u32]) {
        self.processed.lock().extend_from_slice(batch);
        if self.adds_again {
            self.add(9);
        }
    }
}

/// A handler that adds an item waits for the lock that it runs under.
#[test]
fn a_handler_under_the_lock_cannot_add() {
    let failure = find_failure(|| {
        let batcher =
            LockedBatcher { items: Mutex::default(), processed: Mutex::default(), adds_again: true };
        let batcher = Arc::new(batcher);
        let other = thread::spawn({
            let batcher = Arc::clone(&batcher);
            move || batcher.add(1)
        });
        batcher.add(2);
        other.join().unwrap();
    });
    assert!(failure.is_some(), "the handler's add went through its own lock");
}

/// Once the adders stop, the items that do not fill a batch are left behind.
#[test]
fn a_batcher_without_a_close_loses_the_rest() {
    let failure = find_failure(|| {
        let batcher =
            LockedBatcher { items: Mutex::default(), processed: Mutex::default(), adds_again: false };
        let batcher = Arc::new(batcher);
        let other = thread::spawn({
            let batcher = Arc::clone(&batcher);
            move || (0..2).for_each(|n| batcher.add(n))
        });
        batcher.add(2);
        other.join().unwrap();
        assert_eq!(batcher.processed.lock().len(), 3, "items are lost");
    });
    assert!(failure.expect("two of three are processed").message().contains("items are lost"));
}

/// The reference's run, cancel and wait: a count of children, and a wait until it is zero. A child that is
/// started during a wait is missed if the wait checks first, and runs after the wait has returned.
#[test]
fn a_wait_that_misses_a_concurrent_run_is_found() {
    let failure = find_failure(|| {
        let (children, ended) = (Arc::new(Mutex::new(0_u32)), Arc::new(Condvar::new()));
        let (stop, waited) = (CancelToken::new(), Arc::new(AtomicUsize::new(0)));
        let runner = thread::spawn({
            let (children, ended) = (Arc::clone(&children), Arc::clone(&ended));
            let (_stop, waited) = (stop.clone(), Arc::clone(&waited));
            move || {
                *children.lock() += 1;
                // The child. Checking the token is up to it.
                assert_eq!(waited.load(Ordering::Acquire), 0, "it runs after the wait");
                *children.lock() -= 1;
                ended.notify_all();
            }
        });
        stop.cancel();
        let mut count = children.lock();
        while *count > 0 {
            ended.wait(&mut count);
        }
        drop(count);
        waited.store(1, Ordering::Release);
        runner.join().unwrap();
    });
    assert!(failure.expect("the child is missed").message().contains("after the wait"));
}

/// The usual reset of a counter: a load, and a store of 0. An addition in between is lost.
#[test]
fn a_counter_that_is_read_and_then_emptied_loses_additions() {
    let failure = find_failure(|| {
        let cell = Arc::new(AtomicUsize::new(0));
        let adder = thread::spawn({
            let cell = Arc::clone(&cell);
            move || cell.fetch_add(1, Ordering::AcqRel)
        });
        let taken = cell.load(Ordering::Acquire);
        cell.store(0, Ordering::Release);
        adder.join().unwrap();
        assert_eq!(taken + cell.load(Ordering::Acquire), 1, "an addition is in no take");
    });
    assert!(failure.expect("an addition is lost").message().contains("in no take"));
    // Ours, in the same situation.
    check(|| {
        let counter = Arc::new(StripedCounter::new());
        let adder = thread::spawn({
            let counter = Arc::clone(&counter);
            move || counter.increment()
        });
        let taken = counter.take();
        adder.join().unwrap();
        assert_eq!(taken + counter.take(), 1);
    });
}

/// The reference's crawler: a page holds its permit while it waits for the pages that it links to.
fn page_that_waits_for_its_links(permits: &Arc<Semaphore>, links: usize) {
    let _permit = permits.acquire().expect("nobody closes it");
    if links > 0 {
        let permits = Arc::clone(permits);
        let child = thread::spawn(move || page_that_waits_for_its_links(&permits, links - 1));
        child.join().expect("the child does not panic");
    }
}

/// The crawler with permits: with one worker, two pages suffice to hang it; with two, they do not.
#[test]
fn a_crawler_that_holds_its_permit_for_its_links_hangs() {
    let crawl = |permits, links| {
        find_failure(move || page_that_waits_for_its_links(&Arc::new(Semaphore::new(permits)), links))
    };
    let failure = crawl(1, 1).expect("one permit and a page with a link");
    assert!(failure.message().contains("deadlock"), "{}", failure.message());
    assert!(crawl(2, 1).is_none());
}
