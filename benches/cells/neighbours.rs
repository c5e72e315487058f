//! Beside neighbours: how late a wait of a millisecond ends where other threads use all processors.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{hint, iter};

use selvedge::{BoundedQueue, CancelToken, Latch, Pool, Semaphore};

use crate::Cell;
use crate::cells::pool::quantile;

const LIMIT: Duration = Duration::from_millis(1);
/// Waits before the first that is measured: so many that the library has learnt what the neighbours are like.
const WARM_UP: u64 = 1000;

type Late = fn(u64, f64) -> Duration;

pub(crate) fn all() -> Vec<Cell> {
    let ours: [(&str, Late); 6] = [
        ("pop", pop),
        ("push", push),
        ("acquire", acquire),
        ("latch", latch),
        ("token", token),
        ("join", join),
    ];
    let each =
        ours.into_iter().flat_map(|(name, ours)| [(name, ours, "p50", 0.5), (name, ours, "p99", 0.99)]);
    each.map(|(name, ours, quantile, q)| {
        cell(format!("beside neighbours, lateness of 1 ms: {name}, {quantile}"), ours, q)
    })
    .collect()
}

fn cell(name: String, ours: Late, q: f64) -> Cell {
    Cell::new("beside neighbours", name, "wait")
        .quantile()
        .with("selvedge", move |n| ours(n, q))
        .with("std recv_timeout", move |n| std_channel(n, q))
        .with("std condvar", move |n| std_condvar(n, q))
        .with("crossbeam recv_timeout", move |n| crossbeam(n, q))
}

fn pop(total: u64, q: f64) -> Duration {
    let queue = BoundedQueue::<u8>::new(1);
    late(total, q, || assert!(queue.pop_until(LIMIT).is_err()))
}

fn push(total: u64, q: f64) -> Duration {
    let queue = BoundedQueue::new(1);
    queue.push(1).expect("it is open");
    late(total, q, || assert!(queue.push_until(2, LIMIT).is_err()))
}

fn acquire(total: u64, q: f64) -> Duration {
    let semaphore = Semaphore::new(1);
    let _permit = semaphore.try_acquire().expect("it is free");
    late(total, q, || assert!(semaphore.acquire_until(LIMIT).is_err()))
}

fn latch(total: u64, q: f64) -> Duration {
    let latch = Latch::new(1);
    late(total, q, || assert!(latch.wait_until(LIMIT).is_err()))
}

fn token(total: u64, q: f64) -> Duration {
    let token = CancelToken::new();
    late(total, q, || assert!(token.wait_until(LIMIT).is_err()))
}

fn join(total: u64, q: f64) -> Duration {
    let pool = Pool::builder().workers(1).build().expect("a thread is to be had");
    let end = Arc::new(Latch::new(1));
    let waits = Arc::clone(&end);
    let mut task = Some(pool.submit(move || waits.wait()).expect("the pool is open"));
    let lateness = late(total, q, || {
        let late = task.take().and_then(|task| task.join_until(LIMIT).err());
        task = Some(late.expect("the task waits for its latch").into_value());
    });
    end.count_down();
    lateness
}

fn std_channel(total: u64, q: f64) -> Duration {
    let (_sender, receiver) = mpsc::sync_channel::<u8>(1);
    late(total, q, || assert!(receiver.recv_timeout(LIMIT).is_err()))
}

fn std_condvar(total: u64, q: f64) -> Duration {
    let (mutex, condvar) = (Mutex::new(()), Condvar::new());
    late(total, q, || {
        let guard = mutex.lock().expect("nobody panics");
        let waited = condvar.wait_timeout_while(guard, LIMIT, |()| true);
        assert!(waited.expect("nobody panics").1.timed_out());
    })
}

fn crossbeam(total: u64, q: f64) -> Duration {
    let (_sender, receiver) = crossbeam_channel::bounded::<u8>(1);
    late(total, q, || assert!(receiver.recv_timeout(LIMIT).is_err()))
}

/// The quantile of the time beyond the limit, beside a thread that spins on each processor.
fn late(total: u64, q: f64, mut wait: impl FnMut()) -> Duration {
    let _neighbours = Neighbours::new();
    (0..WARM_UP.min(total)).for_each(|_| wait());
    let timed = || {
        let before = Instant::now();
        wait();
        before.elapsed().saturating_sub(LIMIT)
    };
    let mut times: Vec<Duration> = iter::repeat_with(timed).take(total as usize).collect();
    quantile(&mut times, q)
}

/// A thread for each processor that spins, until it is dropped.
struct Neighbours {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Neighbours {
    fn new() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let processors = thread::available_parallelism().map_or(2, usize::from);
        let threads = (0..processors).map(|_| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                while !stop.load(Relaxed) {
                    hint::spin_loop();
                }
            })
        });
        Neighbours { threads: threads.collect(), stop }
    }
}

impl Drop for Neighbours {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        self.threads.drain(..).for_each(|thread| thread.join().expect("it only spins"));
    }
}
