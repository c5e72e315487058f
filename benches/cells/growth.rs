//! How a cost grows: curves over the number of threads, the capacity, the size of an item, the number of
//! tasks, of children, of waiters and of keys; and of what is held for each, and of threads. A family is a
//! curve, and none may grow faster than linearly: [`measure::trend`](crate::measure::trend) says which do.

use std::hash::{BuildHasherDefault, DefaultHasher};
use std::hint::black_box;
use std::iter;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Condvar as StdCondvar, Mutex as StdMutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use selvedge::queue::bounded;
use selvedge::{CancelToken, Latch, ShardedMap};
use tokio_util::sync::CancellationToken;

use crate::Cell;
use crate::cells::{cancel, counter, group, map, memory, pool, queue, semaphore};
use crate::rivals::channels::{Crossbeam, Crossfire, Selvedge, Std};
use crate::rivals::workers::{ByHand, ROOMY, Rayon, Selvedge as Pool};
use crate::team::{self, Part};

pub(crate) fn all() -> Vec<Cell> {
    let mut cells = Vec::new();
    cells.extend([1, 2, 4, 8, 16, 32].map(queue_by_threads));
    cells.extend([1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536].map(queue_by_capacity));
    cells.extend([item::<1>(), item::<8>(), item::<64>(), item::<512>()]);
    cells.extend([1, 2, 4, 8, 16, 32, 64].map(semaphore_by_threads));
    cells.extend([1, 2, 4, 8, 16, 32, 64].map(counter_by_threads));
    cells.extend(map::by_threads(&[1, 2, 4, 8, 16, 32, 64]));
    cells.extend([1, 2, 4, 8, 16, 32, 64].map(pool_by_workers));
    cells.extend([1, 10, 100, 1_000, 10_000, 100_000, 1_000_000].map(pool_by_tasks));
    cells.extend([1, 10, 100, 1_000, 10_000, 100_000].map(scope_by_tasks));
    cells.extend([1, 10, 100, 1_000, 10_000, 100_000].map(cancel_by_children));
    cells.extend([1, 10, 100, 1_000, 10_000].map(wake_by_waiters));
    cells.extend([1_000, 10_000, 100_000, 1_000_000, 10_000_000].map(map_by_keys));
    cells.extend(memory::all());
    cells
}

/// As many producers as consumers, at capacity 128.
fn queue_by_threads(threads: usize) -> Cell {
    let shape = (threads, threads, 128);
    Cell::new("queue, by threads a side", format!("{threads} threads a side"), "item")
        .size(threads as u64)
        .with("selvedge", move |n| queue::flow::<Selvedge>(shape, n))
        .with("crossbeam", move |n| queue::flow::<Crossbeam>(shape, n))
        .with("crossfire", move |n| queue::flow::<Crossfire>(shape, n))
}

fn queue_by_capacity(capacity: usize) -> Cell {
    let shape = (1, 1, capacity);
    Cell::new("queue, by capacity", format!("capacity {capacity}"), "item")
        .size(capacity as u64)
        .with("selvedge", move |n| queue::flow::<Selvedge>(shape, n))
        .with("crossbeam", move |n| queue::flow::<Crossbeam>(shape, n))
        .with("crossfire", move |n| queue::flow::<Crossfire>(shape, n))
        .with("std", move |n| queue::flow::<Std>(shape, n))
}

/// Items of so many words, one producer and one consumer, at capacity 128.
fn item<const WORDS: usize>() -> Cell {
    let bytes = WORDS * 8;
    Cell::new("queue, by bytes of an item", format!("items of {bytes} bytes"), "item")
        .size(bytes as u64)
        .with("selvedge", |total| {
            let (sender, receiver) = bounded::<[u64; WORDS]>(128);
            pass(total, move |item| sender.push(item).expect("it is open"), move || receiver.pop().ok())
        })
        .with("crossbeam", |total| {
            let (sender, receiver) = crossbeam_channel::bounded::<[u64; WORDS]>(128);
            pass(total, move |item| sender.send(item).expect("it is read"), move || receiver.recv().ok())
        })
        .with("std", |total| {
            let (sender, receiver) = mpsc::sync_channel::<[u64; WORDS]>(128);
            pass(total, move |item| sender.send(item).expect("it is read"), move || receiver.recv().ok())
        })
}

/// Passes items from one thread to another, until `pop` has no more of them.
fn pass<const WORDS: usize>(
    total: u64,
    push: impl Fn([u64; WORDS]) + Send + 'static,
    pop: impl Fn() -> Option<[u64; WORDS]> + Send + 'static,
) -> Duration {
    // Dropped at the end of its part, and with it the last sender.
    let pushes: Part = Box::new(move || (0..total).for_each(|n| push([n; WORDS])));
    let pops: Part = Box::new(move || iter::from_fn(pop).for_each(|item| _ = black_box(item)));
    team::time(vec![pushes, pops])
}

/// Half as many permits as threads.
fn semaphore_by_threads(threads: usize) -> Cell {
    let crowd = semaphore::crowd(threads, threads.div_ceil(2));
    Cell::new("semaphore, by threads", format!("{threads} threads"), "acquire+release")
        .size(threads as u64)
        .with("selvedge", move |n| semaphore::pass::<selvedge::Semaphore>(crowd, n))
        .with("tokio", move |n| semaphore::pass::<tokio::sync::Semaphore>(crowd, n))
}

fn counter_by_threads(threads: usize) -> Cell {
    Cell::new("counter, by threads", format!("{threads} threads"), "addition")
        .size(threads as u64)
        .with("selvedge, striped", move |n| counter::add::<selvedge::StripedCounter>(threads, n, u64::MAX))
        .with("AtomicU64", move |n| counter::add::<CachePadded<AtomicU64>>(threads, n, u64::MAX))
}

/// A burst of empty tasks, on so many workers.
fn pool_by_workers(workers: usize) -> Cell {
    Cell::new("pool, by workers", format!("{workers} workers"), "task")
        .size(workers as u64)
        .with("selvedge", move |n| pool::burst::<Pool<ROOMY>>(workers, 1, n))
        .with("rayon", move |n| pool::burst::<Rayon>(workers, 1, n))
        .with("crossbeam by hand", move |n| pool::burst::<ByHand<0>>(workers, 1, n))
}

/// A scope of so many empty tasks; the time is that of the scope.
fn scope_by_tasks(tasks: u64) -> Cell {
    Cell::new("scope, by tasks", format!("{tasks} tasks"), "scope")
        .size(tasks)
        .with("selvedge", move |n| group::ours_in_turn(tasks, n))
        .with("rayon", move |n| group::rayon_in_turn(tasks, n))
}

/// Bursts of so many empty tasks with results, on two workers; the time is that of a task.
fn pool_by_tasks(tasks: u64) -> Cell {
    Cell::new("pool, by tasks of a burst", format!("{tasks} tasks"), "task")
        .share_of(tasks)
        .with("selvedge", move |n| pool::bursts_of::<Pool<ROOMY>>(tasks, n))
        .with("rayon", move |n| pool::bursts_of::<Rayon>(tasks, n))
}

/// Cancels a parent of so many children; the time is that of a child.
fn cancel_by_children(children: u64) -> Cell {
    Cell::new("cancel, by children", format!("{children} children"), "child")
        .share_of(children)
        .with("selvedge", move |n| {
            cancel::family(n, children, CancelToken::new, CancelToken::child, CancelToken::cancel)
        })
        .with("tokio-util", move |n| {
            let (new, child) = (CancellationToken::new, CancellationToken::child_token);
            cancel::family(n, children, new, child, CancellationToken::cancel)
        })
}

/// Opens a latch that so many threads sleep on, and waits until all are awake; the time is that of a thread.
fn wake_by_waiters(waiters: u64) -> Cell {
    Cell::new("wake-up, by waiters", format!("{waiters} waiters"), "waiter")
        .share_of(waiters)
        .with("selvedge", move |n| {
            let gates = |_| Arc::new(Latch::new(1));
            wake(n, waiters, gates, |latch| latch.wait(), |latch| latch.count_down())
        })
        .with("std condvar", move |n| {
            let gates = |_| Arc::new((StdMutex::new(false), StdCondvar::new()));
            let wait = |gate: &(StdMutex<bool>, StdCondvar)| {
                let open = gate.0.lock().expect("no thread panics");
                drop(gate.1.wait_while(open, |open| !*open).expect("no thread panics"));
            };
            let open = |gate: &(StdMutex<bool>, StdCondvar)| {
                *gate.0.lock().expect("no thread panics") = true;
                gate.1.notify_all();
            };
            wake(n, waiters, gates, wait, open)
        })
}

/// Wakes `total` threads, `waiters` at a time. Their start is not in the figure.
fn wake<G: Send + Sync + 'static>(
    total: u64,
    waiters: u64,
    gate: impl Fn(()) -> Arc<G>,
    wait: fn(&G),
    open: fn(&G),
) -> Duration {
    let mut taken = Duration::ZERO;
    let mut woken = 0;
    while woken < total {
        let (gate, started) = (gate(()), Arc::new(Latch::new(waiters as usize)));
        let start = || {
            let (gate, started) = (Arc::clone(&gate), Arc::clone(&started));
            let body = move || {
                started.count_down();
                wait(&gate);
            };
            let thread = thread::Builder::new().stack_size(16 << 10).spawn(body);
            thread.expect("the system has ten thousand threads")
        };
        let threads: Vec<_> = iter::repeat_with(start).take(waiters as usize).collect();
        started.wait();
        // The last to count down has yet to go to sleep.
        thread::sleep(Duration::from_millis(1));
        let begun = Instant::now();
        open(&gate);
        threads.into_iter().for_each(|thread| thread.join().expect("it only waits"));
        taken += begun.elapsed();
        woken += waiters;
    }
    // As if exactly `total` had been woken.
    taken.mul_f64(total as f64 / woken as f64)
}

/// Reads of keys that are there, from one thread, all over the map.
fn map_by_keys(keys: u64) -> Cell {
    type Hash = BuildHasherDefault<DefaultHasher>;
    let mut ours = None;
    let mut theirs = None;
    Cell::new("map, by keys", format!("{keys} keys"), "read")
        .size(keys)
        .with("selvedge", move |n| {
            let map = ours.get_or_insert_with(|| {
                let map = ShardedMap::<u64, u64, Hash>::with_hasher(Hash::default());
                (0..keys).for_each(|key| _ = map.insert(key, key));
                map
            });
            reads(n, keys, |key| map.with(key, |value| _ = black_box(value)).is_some())
        })
        .with("dashmap", move |n| {
            let map = theirs.get_or_insert_with(|| {
                let map = dashmap::DashMap::<u64, u64, Hash>::with_hasher(Hash::default());
                (0..keys).for_each(|key| _ = map.insert(key, key));
                map
            });
            reads(n, keys, |key| map.get(key).is_some_and(|value| black_box(*value) == *key))
        })
}

fn reads(total: u64, keys: u64, read: impl Fn(&u64) -> bool) -> Duration {
    let start = Instant::now();
    let mut key = 0;
    for _ in 0..total {
        // A full period over any number of keys is not needed, only that neighbours are not read in a row.
        key = (key + 7_919) % keys;
        assert!(read(&key));
    }
    start.elapsed()
}
