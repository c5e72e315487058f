//! Streams.

use std::hint::{black_box, spin_loop};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use selvedge::Pipeline;

use crate::Cell;
use crate::rivals::streams::{self, Work};

pub(crate) fn all() -> Vec<Cell> {
    let works: [(&str, Work); 5] = [
        ("nothing", |n| black_box(n.wrapping_mul(3))),
        ("200 ns", |n| busy(n, 200)),
        ("2 µs", |n| busy(n, 2_000)),
        ("20 µs", |n| busy(n, 20_000)),
        ("1 ms", |n| busy(n, 1_000_000)),
    ];
    let rows = || [2, 4, 8].into_iter().flat_map(|workers| works.map(|(cost, work)| (cost, workers, work)));
    let mut cells = vec![fused(), latency()];
    cells.extend(rows().map(|(cost, workers, work)| ordered(cost, workers, work)));
    cells.extend(rows().map(|(cost, workers, work)| unordered(cost, workers, work)));
    cells
}

fn busy(n: u64, nanoseconds: u64) -> u64 {
    let (start, end) = (Instant::now(), Duration::from_nanos(nanoseconds));
    while start.elapsed() < end {
        spin_loop();
    }
    n
}

fn timed(run: impl FnOnce() -> u64) -> Duration {
    let start = Instant::now();
    black_box(run());
    start.elapsed()
}

fn ordered(cost: &str, workers: usize, work: Work) -> Cell {
    Cell::new("ordered", format!("ordered, {workers} workers, item costs {cost}"), "item")
        .with("selvedge", move |n| timed(|| streams::ours(n, workers, true, work)))
        .with("sequential", move |n| timed(|| streams::sequential(n, work)))
        .with("pariter", move |n| timed(|| streams::pariter(n, workers, work)))
        .with("crossbeam", move |n| timed(|| streams::crossbeam(n, workers, true, work)))
        .with("rayon par_iter", move |n| timed(|| streams::par_iter(n, workers, work)))
        .with("orx", move |n| timed(|| streams::orx(n, workers, work)))
}

fn unordered(cost: &str, workers: usize, work: Work) -> Cell {
    Cell::new("unordered", format!("unordered, {workers} workers, item costs {cost}"), "item")
        .with("selvedge", move |n| timed(|| streams::ours(n, workers, false, work)))
        .with("sequential", move |n| timed(|| streams::sequential(n, work)))
        .with("crossbeam", move |n| timed(|| streams::crossbeam(n, workers, false, work)))
        .with("rayon par_bridge", move |n| timed(|| streams::par_bridge(n, workers, work)))
}

/// Stages without a thread: what std's adaptors cost.
fn fused() -> Cell {
    let keep = |n: &u64| !n.is_multiple_of(3);
    Cell::new("fused", "map, filter and fold on one thread", "item")
        .with("selvedge", move |n| {
            timed(|| {
                Pipeline::source(0..n).map(|n| n * 7).filter(keep).map(black_box).fold(0, |sum, n| sum ^ n)
            })
        })
        .with("std", move |n| {
            timed(|| (0..n).map(|n| n * 7).filter(keep).map(black_box).fold(0, |sum, n| sum ^ n))
        })
}

/// One item at a time through three stages on threads of their own.
fn latency() -> Cell {
    Cell::new("latency", "one item through three stages", "item")
        .with("selvedge", |n| {
            let (sender, items) = channel::<u64>();
            let stages =
                Pipeline::source(items).par_map(1, |n| n + 1).par_map(1, |n| n + 1).par_map(1, |n| n + 1);
            let mut outputs = stages.into_iter();
            let start = Instant::now();
            for k in 0..n {
                sender.send(k).expect("the pipeline reads");
                assert_eq!(outputs.next(), Some(k + 3));
            }
            let time = start.elapsed();
            drop(sender);
            time
        })
        .with("crossbeam", |n| {
            let (sender, mut last) = crossbeam_channel::bounded::<u64>(64);
            for _ in 0..3 {
                let (next, items) = crossbeam_channel::bounded(64);
                let stage = std::mem::replace(&mut last, items);
                std::thread::spawn(move || stage.into_iter().for_each(|n| next.send(n + 1).expect("read")));
            }
            let start = Instant::now();
            for k in 0..n {
                sender.send(k).expect("the stage reads");
                assert_eq!(last.recv(), Ok(k + 3));
            }
            start.elapsed()
        })
}
