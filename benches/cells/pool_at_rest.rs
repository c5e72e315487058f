//! Pools with little or nothing to do: how soon a task starts that comes after a pause, and what it costs to
//! wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};
use std::thread;
use std::time::{Duration, Instant};

use crate::Cell;
use crate::cells::pool::{quantile, warm};
use crate::rivals::workers::{ByHand, Micropool, ROOMY, Rayon, Selvedge, Workers};

/// Between two tasks, so that the workers are asleep: several times what the longest look-out takes.
const PAUSE: Duration = Duration::from_micros(300);
/// How long an idle pool is watched at a time.
const WINDOW: Duration = Duration::from_millis(100);

pub(crate) fn all() -> Vec<Cell> {
    vec![sparse("p50", 0.5), sparse("p99", 0.99), idle()]
}

fn sparse(name: &str, q: f64) -> Cell {
    Cell::new("sparse", format!("task after a pause, until it runs, 2 workers, {name}"), "task")
        .quantile()
        .with("selvedge", move |n| starts::<Selvedge<ROOMY>>(n, q))
        .with("rayon", move |n| starts::<Rayon>(n, q))
        .with("threadpool", move |n| starts::<threadpool::ThreadPool>(n, q))
        .with("rusty_pool", move |n| starts::<rusty_pool::ThreadPool>(n, q))
        .with("micropool", move |n| starts::<Micropool>(n, q))
        .with("crossbeam by hand", move |n| starts::<ByHand<0>>(n, q))
}

/// From before the submit to the task's first step. This thread sleeps meanwhile: it is in nobody's way.
fn starts<W: Workers>(total: u64, q: f64) -> Duration {
    let pool = warm::<W>(2);
    let started = Arc::new(AtomicU64::new(0));
    let mut times: Vec<Duration> = Vec::with_capacity(total as usize);
    for _ in 0..total {
        thread::sleep(PAUSE);
        let (tells, before) = (Arc::clone(&started), Instant::now());
        pool.execute(move || tells.store(before.elapsed().as_nanos() as u64, Release));
        let nanoseconds = loop {
            match started.swap(0, Acquire) {
                0 => thread::sleep(Duration::from_micros(20)),
                nanoseconds => break nanoseconds,
            }
        };
        times.push(Duration::from_nanos(nanoseconds));
    }
    quantile(&mut times, q)
}

fn idle() -> Cell {
    let name = "64 idle workers, processor time in a tenth of a second";
    Cell::new("idle", name, "tenth of a second")
        .count(1)
        .with("selvedge", spent_idle::<Selvedge<ROOMY>>)
        .with("rayon", spent_idle::<Rayon>)
        .with("threadpool", spent_idle::<threadpool::ThreadPool>)
        .with("rusty_pool", spent_idle::<rusty_pool::ThreadPool>)
        .with("micropool", spent_idle::<Micropool>)
        .with("crossbeam by hand", spent_idle::<ByHand<0>>)
}

/// Processor time of all threads but this one while the pool has nothing to do; a nanosecond if it is none.
/// On systems that do not tell, that is the answer too.
fn spent_idle<W: Workers>(windows: u64) -> Duration {
    let _pool = warm::<W>(64);
    // What was woken for the warming has gone to sleep by then.
    thread::sleep(WINDOW);
    let before = others_time();
    thread::sleep(WINDOW * windows as u32);
    let spent = others_time().saturating_sub(before);
    Duration::from_nanos(spent.max(windows))
}

/// Nanoseconds on a processor, of all threads of this process but the one that asks.
fn others_time() -> u64 {
    let of = |path: std::path::PathBuf| -> Option<u64> {
        std::fs::read_to_string(path).ok()?.split_whitespace().next()?.parse().ok()
    };
    let own = of("/proc/thread-self/schedstat".into()).unwrap_or(0);
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let all: u64 = tasks.filter_map(|task| of(task.path().join("schedstat"))).sum();
    all.saturating_sub(own)
}
