//! Pools.

use std::cell::Cell as StdCell;
use std::hint::black_box;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use crate::rivals::workers::{ByHand, Micropool, ROOMY, Rayon, Selvedge, Workers};
use crate::team::{self, share};
use crate::{Cell, TaskEntry};

/// Tasks in a burst.
const BURST: u64 = 100_000;
/// Tasks whose results are fetched together.
const RESULTS: u64 = 1_000;
/// Tasks of different lengths that are submitted together.
const MIXED: u64 = 2_000;
/// Tasks of a full binary tree of 16 levels.
const TREE: u64 = (1 << 16) - 1;

type Ours = Selvedge<ROOMY>;
type Unbounded = ByHand<0>;

pub(crate) fn all() -> Vec<Cell> {
    let mut cells: Vec<Cell> =
        [(1, 1), (2, 1), (4, 1), (8, 1), (1, 2), (2, 2), (4, 2), (8, 2)].map(bursts).into();
    cells.extend([bounded(), tree(), results(), in_turn(), in_turn_quantile("p50", 0.5)]);
    cells.extend([in_turn_quantile("p99", 0.99), mixed()]);
    cells.extend(super::pool_at_rest::all());
    cells
}

pub(crate) fn bursts((workers, submitters): (usize, usize)) -> Cell {
    let name = format!("burst of 100,000, {workers} workers, {submitters} submitters");
    Cell::new("burst", name, "task")
        .with("selvedge", move |n| burst::<Ours>(workers, submitters, n))
        .with("rayon", move |n| burst::<Rayon>(workers, submitters, n))
        .with("threadpool", move |n| burst::<threadpool::ThreadPool>(workers, submitters, n))
        .with("rusty_pool", move |n| burst::<rusty_pool::ThreadPool>(workers, submitters, n))
        .with("micropool", move |n| burst::<Micropool>(workers, submitters, n))
        .with("crossbeam by hand", move |n| burst::<Unbounded>(workers, submitters, n))
}

fn bounded() -> Cell {
    Cell::new("burst", "burst, queue of 1,024, 2 workers, 2 submitters", "task")
        .with("selvedge", |n| burst::<Selvedge<1024>>(2, 2, n))
        .with("crossbeam by hand", |n| burst::<ByHand<1024>>(2, 2, n))
}

/// From the first submit until the last task has run.
pub(crate) fn burst<W: Workers>(workers: usize, submitters: usize, total: u64) -> Duration {
    let pool = warm::<W>(workers);
    let mut taken = Duration::ZERO;
    let mut left = total;
    while left > 0 {
        let count = left.min(BURST);
        left -= count;
        let goal = Runs::count() + count;
        let pool = pool.clone();
        let submit = move |count| {
            for _ in 0..count {
                // Captures a word, so that nobody is spared the box that a real task costs.
                let word = black_box(7_u64);
                pool.execute(move || Runs::add(black_box(word)));
            }
        };
        taken += match submitters {
            // On this thread, which has to be started anyway.
            1 => timed(|| {
                submit(count);
                Runs::wait_for(goal);
            }),
            _ => team::time(
                (0..submitters)
                    .map(|index| {
                        let submit = submit.clone();
                        let part = move || {
                            submit(share(count, submitters, index));
                            Runs::wait_for(goal);
                        };
                        Box::new(part) as team::Part
                    })
                    .collect(),
            ),
        };
    }
    taken
}

/// Submits `total` tasks, so many at a time, to two workers, and joins them.
pub(crate) fn bursts_of<W: Workers>(tasks: u64, total: u64) -> Duration {
    let pool = warm::<W>(2);
    let mut left = total;
    timed(|| {
        while left > 0 {
            let count = left.min(tasks);
            left -= count;
            let handles: Vec<_> = (0..count).map(|word| pool.submit(move || black_box(word))).collect();
            handles.into_iter().for_each(|handle| _ = W::join(handle));
        }
    })
}

/// A pool whose threads have run something.
pub(crate) fn warm<W: Workers>(workers: usize) -> W {
    let pool = W::new(workers);
    let goal = Runs::count() + 1_000;
    (0..1_000).for_each(|_| pool.execute(|| Runs::add(7)));
    Runs::wait_for(goal);
    pool
}

fn timed(f: impl FnOnce()) -> Duration {
    let start = Instant::now();
    f();
    start.elapsed()
}

fn tree() -> Cell {
    Cell::new("tasks that spawn tasks", "tree of 65,535 tasks, 2 workers", "task")
        .with("selvedge", trees::<Ours>)
        .with("rayon", trees::<Rayon>)
        .with("threadpool", trees::<threadpool::ThreadPool>)
        .with("rusty_pool", trees::<rusty_pool::ThreadPool>)
        .with("micropool", trees::<Micropool>)
        .with("crossbeam by hand", trees::<Unbounded>)
}

/// Whole trees, as many as have at least so many tasks.
fn trees<W: Workers>(total: u64) -> Duration {
    let pool = warm::<W>(2);
    let count = total.div_ceil(TREE);
    let taken = timed(|| {
        for _ in 0..count {
            let goal = Runs::count() + TREE;
            node(&pool, 16);
            Runs::wait_for(goal);
        }
    });
    taken.mul_f64(total as f64 / (count * TREE) as f64)
}

fn node<W: Workers>(pool: &W, levels: u32) {
    let own = pool.clone();
    pool.execute(move || {
        if levels > 1 {
            node(&own, levels - 1);
            node(&own, levels - 1);
        }
        // Before the count: the last clone of a pool must not go on one of its own threads.
        drop(own);
        Runs::add(7);
    });
}

fn mixed() -> Cell {
    Cell::new("mixed", "2,000 tasks of 1 to 19 µs, 10 on average, 2 workers", "task")
        .with("selvedge", mix::<Ours>)
        .with("rayon", mix::<Rayon>)
        .with("threadpool", mix::<threadpool::ThreadPool>)
        .with("rusty_pool", mix::<rusty_pool::ThreadPool>)
        .with("micropool", mix::<Micropool>)
        .with("crossbeam by hand", mix::<Unbounded>)
}

/// Tasks that compute for a while, the short and the long ones in turn.
fn mix<W: Workers>(total: u64) -> Duration {
    let pool = warm::<W>(2);
    let mut left = total;
    timed(|| {
        while left > 0 {
            let count = left.min(MIXED);
            left -= count;
            let goal = Runs::count() + count;
            for id in 0..count {
                pool.execute(move || {
                    let until = Duration::from_micros(1 + id * 7 % 19);
                    let start = Instant::now();
                    while start.elapsed() < until {}
                    Runs::add(id);
                });
            }
            Runs::wait_for(goal);
        }
    })
}

pub(crate) fn results() -> Cell {
    Cell::new("results", "results of 1,000 tasks, 2 workers", "task")
        .with("selvedge", fetch::<Ours>)
        .with("rayon", fetch::<Rayon>)
        .with("threadpool", fetch::<threadpool::ThreadPool>)
        .with("rusty_pool", fetch::<rusty_pool::ThreadPool>)
        .with("micropool", fetch::<Micropool>)
        .with("crossbeam by hand", fetch::<Unbounded>)
}

fn fetch<W: Workers>(total: u64) -> Duration {
    let pool = warm::<W>(2);
    timed(|| {
        let mut left = total;
        while left > 0 {
            let count = left.min(RESULTS);
            left -= count;
            let handles: Vec<_> = (0..count).map(|word| pool.submit(move || black_box(word))).collect();
            let sum: u64 = handles.into_iter().map(W::join).sum();
            assert_eq!(sum, count * (count - 1) / 2);
        }
    })
}

fn in_turn() -> Cell {
    Cell::new("submit and join in turn", "submit and join in turn, 2 workers", "task")
        .with("selvedge", |n| one_by_one::<Ours>(n, submit_and_join, |times| times.iter().sum()))
        .with("rayon", |n| one_by_one::<Rayon>(n, install, |times| times.iter().sum()))
        .with("threadpool", |n| {
            one_by_one::<threadpool::ThreadPool>(n, submit_and_join, |times| times.iter().sum())
        })
        .with("rusty_pool", |n| {
            one_by_one::<rusty_pool::ThreadPool>(n, submit_and_join, |times| times.iter().sum())
        })
        .with("micropool", |n| one_by_one::<Micropool>(n, submit_and_join, |times| times.iter().sum()))
        .with("crossbeam by hand", |n| {
            one_by_one::<Unbounded>(n, submit_and_join, |times| times.iter().sum())
        })
}

fn in_turn_quantile(name: &str, q: f64) -> Cell {
    Cell::new("submit and join in turn", format!("submit and join in turn, {name}"), "task")
        .quantile()
        .with("selvedge", move |n| one_by_one::<Ours>(n, submit_and_join, |times| quantile(times, q)))
        .with("rayon", move |n| one_by_one::<Rayon>(n, install, |times| quantile(times, q)))
        .with("threadpool", move |n| {
            one_by_one::<threadpool::ThreadPool>(n, submit_and_join, |times| quantile(times, q))
        })
        .with("rusty_pool", move |n| {
            one_by_one::<rusty_pool::ThreadPool>(n, submit_and_join, |times| quantile(times, q))
        })
        .with("micropool", move |n| one_by_one::<Micropool>(n, submit_and_join, |times| quantile(times, q)))
        .with("crossbeam by hand", move |n| {
            one_by_one::<Unbounded>(n, submit_and_join, |times| quantile(times, q))
        })
}

fn submit_and_join<W: Workers>(pool: &W, word: u64) -> u64 {
    W::join(pool.submit(move || black_box(word)))
}

fn install(pool: &Rayon, word: u64) -> u64 {
    pool.install(move || black_box(word))
}

/// One task after the other. Each is timed by itself: the 30 ns are in every library's figure.
fn one_by_one<W: Workers>(
    total: u64,
    step: fn(&W, u64) -> u64,
    summary: impl FnOnce(&mut [Duration]) -> Duration,
) -> Duration {
    let pool = warm::<W>(2);
    let mut times: Vec<Duration> = Vec::with_capacity(total as usize);
    let mut last = Instant::now();
    for word in 0..total {
        assert_eq!(step(&pool, word), word);
        let now = Instant::now();
        times.push(now - last);
        last = now;
    }
    summary(&mut times)
}

/// As many times the quantile as there are times, so that it is divided as every other answer is.
pub(crate) fn quantile(times: &mut [Duration], quantile: f64) -> Duration {
    times.sort_unstable();
    let index = ((times.len() - 1) as f64 * quantile) as usize;
    times[index] * u32::try_from(times.len()).expect("a run is short")
}

pub(crate) fn task_entries() -> Vec<TaskEntry> {
    vec![
        task_entry::<Ours>("selvedge"),
        task_entry::<Rayon>("rayon"),
        task_entry::<threadpool::ThreadPool>("threadpool"),
        task_entry::<rusty_pool::ThreadPool>("rusty_pool"),
        task_entry::<Micropool>("micropool"),
        task_entry::<Unbounded>("crossbeam by hand"),
    ]
}

fn task_entry<W: Workers>(name: &'static str) -> TaskEntry {
    let pool = warm::<W>(2);
    let execute = {
        let pool = pool.clone();
        move |count| {
            let goal = Runs::count() + count;
            for word in 0..count {
                let words = black_box([word; 6]);
                pool.execute(move || Runs::add(words.iter().sum()));
            }
            Runs::wait_for(goal);
        }
    };
    let submit = move |count| {
        let handles: Vec<_> = (0..count).map(|word| pool.submit(move || black_box(word))).collect();
        handles.into_iter().for_each(|handle| _ = W::join(handle));
    };
    TaskEntry { name, execute: Box::new(execute), submit: Box::new(submit) }
}

/// How many tasks have run. Every thread counts for itself, so that the counting costs no cache misses that
/// would make all libraries look alike.
struct Runs;

static RUNS: LazyLock<Vec<CachePadded<AtomicU64>>> =
    LazyLock::new(|| (0..64).map(|_| CachePadded::new(AtomicU64::new(0))).collect());

thread_local! {
    static OWN: StdCell<Option<&'static AtomicU64>> = const { StdCell::new(None) };
}

impl Runs {
    fn add(word: u64) {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        black_box(word);
        let own = OWN.get().unwrap_or_else(|| {
            let own = &*RUNS[THREADS.fetch_add(1, Relaxed) % RUNS.len()];
            OWN.set(Some(own));
            own
        });
        own.fetch_add(1, Release);
    }

    fn count() -> u64 {
        RUNS.iter().map(|count| count.load(Acquire)).sum()
    }

    /// Sleeps meanwhile, because a thread that looks all the time takes a processor from the workers.
    fn wait_for(goal: u64) {
        while Runs::count() < goal {
            thread::sleep(Duration::from_micros(20));
        }
    }
}
