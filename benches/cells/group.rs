//! Scopes.

use std::hint::black_box;
use std::time::{Duration, Instant};

use selvedge::{CancelToken, group};

use crate::Cell;

/// What a task does, if it does something.
const WORK: Duration = Duration::from_micros(20);

pub(crate) fn all() -> Vec<Cell> {
    vec![
        cell("1 empty task", 1, Duration::ZERO),
        cell("10 empty tasks", 10, Duration::ZERO),
        cell("1,000 empty tasks", 1_000, Duration::ZERO),
        cell("1,000 tasks of 20 µs", 1_000, WORK),
    ]
}

fn cell(name: &str, tasks: u64, work: Duration) -> Cell {
    Cell::new("group", name, "scope")
        .elements(tasks)
        .with("selvedge", move |n| repeat(n, || ours(tasks, work)))
        .with("std", move |n| repeat(n, || std(tasks, work)))
        .with("crossbeam", move |n| repeat(n, || crossbeam(tasks, work)))
        .with("rayon", move |n| repeat(n, || rayon(tasks, work)))
        .with("rayon in place", move |n| repeat(n, || rayon_in_place(tasks, work)))
}

fn repeat(total: u64, mut scope: impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..total {
        scope();
    }
    start.elapsed()
}

/// Borrows the word, which is what scopes are for.
fn task(word: &u64, work: Duration) {
    black_box(*word);
    if !work.is_zero() {
        let start = Instant::now();
        while start.elapsed() < work {
            std::hint::spin_loop();
        }
    }
}

fn ours(tasks: u64, work: Duration) {
    let word = black_box(7);
    let scope = group::scope(&CancelToken::new(), |g| {
        for _ in 0..tasks {
            g.spawn(|_| {
                task(&word, work);
                Ok(())
            });
        }
        Ok::<_, ()>(())
    });
    scope.expect("nobody fails");
}

fn std(tasks: u64, work: Duration) {
    let word = black_box(7);
    std::thread::scope(|s| {
        for _ in 0..tasks {
            s.spawn(|| task(&word, work));
        }
    });
}

fn crossbeam(tasks: u64, work: Duration) {
    let word = black_box(7);
    let scope = crossbeam_utils::thread::scope(|s| {
        for _ in 0..tasks {
            s.spawn(|_| task(&word, work));
        }
    });
    scope.expect("nobody panics");
}

fn rayon(tasks: u64, work: Duration) {
    let word = black_box(7);
    rayon::scope(|s| {
        for _ in 0..tasks {
            s.spawn(|_| task(&word, work));
        }
    });
}

fn rayon_in_place(tasks: u64, work: Duration) {
    let word = black_box(7);
    rayon::in_place_scope(|s| {
        for _ in 0..tasks {
            s.spawn(|_| task(&word, work));
        }
    });
}
