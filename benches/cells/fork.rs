//! Fork and join, and loops: work that splits itself, which is what rayon, chili, micropool and forkunion are
//! for.

use std::hint::spin_loop;
use std::time::{Duration, Instant};

use crate::Cell;
use crate::rivals::forks::{Chili, Chunks, Dynamic, Fork, Loop, Micropool, Rayon, Selvedge, Work};

pub(crate) fn all() -> Vec<Cell> {
    vec![
        tree("a tree of 65,535 calls that do nothing", 16, || ()),
        tree("a tree of 4,095 calls of 1 µs", 12, || busy(1)),
        loops("a loop of 1,000 turns that do nothing", 1_000, || ()),
        loops("a loop of 1,000 turns of 1 µs", 1_000, || busy(1)),
        loops("a loop of 100 turns of 20 µs", 100, || busy(20)),
    ]
}

fn busy(micros: u64) {
    let (start, end) = (Instant::now(), Duration::from_micros(micros));
    while start.elapsed() < end {
        spin_loop();
    }
}

fn tree(name: &str, levels: u32, work: Work) -> Cell {
    Cell::new("fork and join", name, "call")
        .with("selvedge", move |n| trees::<Selvedge>(levels, work, n))
        .with("rayon", move |n| trees::<Rayon>(levels, work, n))
        .with("chili", move |n| trees::<Chili>(levels, work, n))
        .with("micropool", move |n| trees::<Micropool>(levels, work, n))
}

/// Whole trees, as many as have at least so many calls.
fn trees<F: Fork>(levels: u32, work: Work, total: u64) -> Duration {
    let calls = (1 << levels) - 1;
    let trees = total.div_ceil(calls);
    let mut taken = Duration::ZERO;
    F::with(work, |count| {
        // The threads are awake then.
        count(4);
        let start = Instant::now();
        for _ in 0..trees {
            assert_eq!(count(levels), calls);
        }
        taken = start.elapsed();
    });
    taken.mul_f64(total as f64 / (trees * calls) as f64)
}

fn loops(name: &str, turns: usize, work: Work) -> Cell {
    Cell::new("loop", name, "loop")
        .elements(turns as u64)
        .with("selvedge, chunks", move |n| repeat::<Chunks>(turns, work, n))
        .with("selvedge", move |n| repeat::<Selvedge>(turns, work, n))
        .with("rayon", move |n| repeat::<Rayon>(turns, work, n))
        .with("chili", move |n| repeat::<Chili>(turns, work, n))
        .with("micropool", move |n| repeat::<Micropool>(turns, work, n))
        .with("forkunion", move |n| repeat::<Dynamic>(turns, work, n))
}

fn repeat<L: Loop>(turns: usize, work: Work, total: u64) -> Duration {
    let mut taken = Duration::ZERO;
    L::with(work, |run| {
        run(turns);
        let start = Instant::now();
        (0..total).for_each(|_| run(turns));
        taken = start.elapsed();
    });
    taken
}
