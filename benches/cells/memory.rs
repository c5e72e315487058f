//! What is held for each element, and how many threads there are at most: counts, not times. Each is looked
//! at in a process of its own, whose memory nothing else has touched.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::Duration;
use std::{fs, mem, thread};

use governor::{DefaultKeyedRateLimiter, Quota};
use selvedge::limiter::KeyedLimiter;
use selvedge::{BoundedQueue, CancelToken, Latch, ShardedMap, group};
use tokio_util::sync::CancellationToken;

use crate::rivals::workers::{ByHand, ROOMY, Rayon, Selvedge, Workers};
use crate::{Cell, children};

pub(crate) fn all() -> Vec<Cell> {
    let sizes = [10_000, 100_000, 1_000_000];
    let mut cells = Vec::new();
    cells.extend(sizes.map(|size| held("queue", "item", size, &["selvedge", "crossbeam", "std"])));
    cells.extend(
        sizes.map(|size| held("pool's queue", "task", size, &["selvedge", "rayon", "crossbeam by hand"])),
    );
    cells.extend(
        [10_000, 30_000, 100_000].map(|size| held("token", "child", size, &["selvedge", "tokio-util"])),
    );
    cells.extend(sizes.map(|size| held("keyed limiter", "key", size, &["selvedge", "governor"])));
    let keys = [10_000, 100_000, 1_000_000, 10_000_000];
    cells.extend(keys.map(|size| held("map", "key", size, &["selvedge", "dashmap", "std HashMap"])));
    cells.extend(
        [10, 100, 1_000].map(|size| held("latch", "sleeping thread", size, &["selvedge", "std condvar"])),
    );
    let tasks = [1, 10, 100, 1_000, 10_000, 100_000];
    cells.extend(tasks.map(|size| threads("tasks of a scope", size)));
    cells.extend(tasks.map(|size| threads("scopes of a task, in turn", size)));
    cells
}

/// Memory for each element of a structure that has so many.
fn held(what: &'static str, unit: &'static str, size: u64, libraries: &[&'static str]) -> Cell {
    let cell = Cell::new(format!("memory of a {what}"), format!("{what}, {size}"), unit);
    // The answer is for all, and is divided by the count.
    let cell = cell.share_of(size).counting("bytes").count(size);
    libraries.iter().fold(cell, |cell, &library| {
        cell.with(library, move |_| Duration::from_nanos(children::count(what, library, size)))
    })
}

fn threads(what: &'static str, size: u64) -> Cell {
    let cell = Cell::new(format!("threads at most, by {what}"), format!("{what}, {size}"), "process");
    ["selvedge", "rayon"].into_iter().fold(cell.size(size).counting("threads"), |cell, library| {
        cell.with(library, move |_| Duration::from_nanos(children::count(what, library, size)))
    })
}

/// In the child: prints what it counts.
pub(crate) fn serve(what: &str, library: &str, size: &str) -> Result<(), Box<dyn std::error::Error>> {
    let size: u64 = size.parse()?;
    let count = match what {
        "queue" => queue(library, size),
        "pool's queue" => tasks(library, size),
        "token" => tokens(library, size),
        "keyed limiter" => keyed(library, size),
        "map" => map(library, size),
        "latch" => sleepers(library, size),
        "tasks of a scope" => at_most(|| scope(library, size)),
        "scopes of a task, in turn" => at_most(|| (0..size).for_each(|_| scope(library, 1))),
        _ => None,
    };
    println!("{}", count.ok_or_else(|| format!("{what} of {library} cannot be counted here"))?);
    Ok(())
}

/// How much more memory is resident when it is built. It is not taken down: the process ends.
fn grown<T>(build: impl FnOnce() -> T) -> Option<u64> {
    let before = resident()?;
    let built = build();
    let after = resident()?;
    mem::forget(built);
    // At least a byte, so that there is a logarithm.
    Some(after.saturating_sub(before).max(1))
}

/// In bytes. The other file that tells counts some pages late.
fn resident() -> Option<u64> {
    number("/proc/self/smaps_rollup", "Rss:").map(|kilobytes| kilobytes * 1024)
}

fn number(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn queue(library: &str, size: u64) -> Option<u64> {
    let capacity = size as usize;
    match library {
        "selvedge" => grown(|| {
            let queue = BoundedQueue::new(capacity);
            (0..size).for_each(|item| queue.push(item).expect("there is room"));
            queue
        }),
        "crossbeam" => grown(|| {
            let ends = crossbeam_channel::bounded(capacity);
            (0..size).for_each(|item| ends.0.send(item).expect("there is room"));
            ends
        }),
        _ => grown(|| {
            let ends = mpsc::sync_channel(capacity);
            (0..size).for_each(|item| ends.0.send(item).expect("there is room"));
            ends
        }),
    }
}

fn tasks(library: &str, size: u64) -> Option<u64> {
    match library {
        "selvedge" => queued::<Selvedge<{ 8 * ROOMY }>>(size),
        "rayon" => queued::<Rayon>(size),
        _ => queued::<ByHand<0>>(size),
    }
}

/// Tasks of a word behind one that does not end.
fn queued<W: Workers>(size: u64) -> Option<u64> {
    let pool = W::new(1);
    let (started, begun) = mpsc::channel();
    pool.execute(move || {
        started.send(()).expect("somebody waits");
        loop {
            thread::park();
        }
    });
    begun.recv().ok()?;
    let sum = Arc::new(AtomicU64::new(0));
    grown(|| {
        for word in 0..size {
            let sum = Arc::clone(&sum);
            pool.execute(move || _ = sum.fetch_add(word, Relaxed));
        }
        mem::forget(pool);
    })
}

fn tokens(library: &str, size: u64) -> Option<u64> {
    match library {
        "selvedge" => {
            let parent = CancelToken::new();
            grown(|| (0..size).map(|_| parent.child()).collect::<Vec<_>>())
        }
        _ => {
            let parent = CancellationToken::new();
            grown(|| (0..size).map(|_| parent.child_token()).collect::<Vec<_>>())
        }
    }
}

fn keyed(library: &str, size: u64) -> Option<u64> {
    match library {
        "selvedge" => grown(|| {
            let limiter = KeyedLimiter::<u64>::new(1, Duration::from_secs(3600));
            (0..size).for_each(|key| assert!(limiter.try_acquire(&key, 1).is_ok()));
            limiter
        }),
        _ => grown(|| {
            let one_an_hour = Quota::with_period(Duration::from_secs(3600)).expect("it is not zero");
            let limiter = DefaultKeyedRateLimiter::<u64>::keyed(one_an_hour);
            (0..size).for_each(|key| assert!(limiter.check_key(&key).is_ok()));
            limiter
        }),
    }
}

fn map(library: &str, size: u64) -> Option<u64> {
    match library {
        "selvedge" => grown(|| {
            let map = ShardedMap::<u64, u64>::new();
            (0..size).for_each(|key| _ = map.insert(key, key));
            map
        }),
        "dashmap" => grown(|| {
            let map = dashmap::DashMap::<u64, u64>::new();
            (0..size).for_each(|key| _ = map.insert(key, key));
            map
        }),
        _ => grown(|| (0..size).map(|key| (key, key)).collect::<HashMap<u64, u64>>()),
    }
}

/// Threads that sleep on a latch, their stacks included.
fn sleepers(library: &str, size: u64) -> Option<u64> {
    let latch = Arc::new(Latch::new(1));
    let gate = Arc::new((Mutex::new(()), Condvar::new()));
    let is_ours = library == "selvedge";
    let started = Arc::new(Latch::new(size as usize));
    grown(|| {
        for _ in 0..size {
            let (latch, gate, started) = (Arc::clone(&latch), Arc::clone(&gate), Arc::clone(&started));
            thread::spawn(move || {
                started.count_down();
                match is_ours {
                    true => latch.wait(),
                    false => {
                        let guard = gate.0.lock().expect("nobody panics");
                        drop(gate.1.wait_while(guard, |()| true).expect("nobody panics"));
                    }
                }
            });
        }
        started.wait();
        // The last has yet to go to sleep.
        thread::sleep(Duration::from_millis(20));
    })
}

/// How many threads there are at most while it runs, this one and the one that looks left out.
fn at_most(run: impl FnOnce()) -> Option<u64> {
    let ended = AtomicBool::new(false);
    thread::scope(|s| {
        let look = s.spawn(|| {
            let mut most = 0;
            while !ended.load(Relaxed) {
                most = most.max(number("/proc/self/status", "Threads:")?);
                thread::sleep(Duration::from_micros(100));
            }
            // Those that are kept are there still.
            Some(most.max(number("/proc/self/status", "Threads:")?))
        });
        run();
        ended.store(true, Relaxed);
        // At least one, so that there is a logarithm.
        Some(look.join().expect("it does not panic")?.saturating_sub(2).max(1))
    })
}

fn scope(library: &str, tasks: u64) {
    match library {
        "selvedge" => {
            let scope = group::scope(&CancelToken::new(), |g| {
                for _ in 0..tasks {
                    g.spawn(|_| std::hint::black_box(()));
                }
            });
            scope.expect("nobody fails");
        }
        _ => rayon::scope(|s| {
            for _ in 0..tasks {
                s.spawn(|_| std::hint::black_box(()));
            }
        }),
    }
}
