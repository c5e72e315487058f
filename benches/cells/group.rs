//! Scopes.

use std::hint::black_box;
use std::time::{Duration, Instant};

use selvedge::group::{self, Group};
use selvedge::{CancelToken, Semaphore};

use crate::Cell;

/// What a task does, if it does something.
const WORK: Duration = Duration::from_micros(20);

pub(crate) fn all() -> Vec<Cell> {
    let mut cells = spawned();
    cells.extend([
        Cell::new("group", "1,000 empty tasks, owned", "group")
            .elements(1_000)
            .with("selvedge", |n| repeat(n, || owned(1_000)))
            .with("threads and a wait group", |n| repeat(n, || threads(1_000))),
        Cell::new("group", "1,000 empty tasks, 4 at a time", "scope")
            .elements(1_000)
            .with("selvedge", |n| repeat(n, || limited(1_000, 4)))
            .with("std and a semaphore", |n| repeat(n, || std_limited(1_000, 4))),
        Cell::new("group", "1,000 results in order", "scope")
            .elements(1_000)
            .with("selvedge", |n| repeat(n, || results(1_000)))
            .with("std", |n| repeat(n, || std_results(1_000))),
    ]);
    cells
}

/// Tasks that are spawned into a scope.
pub(crate) fn spawned() -> Vec<Cell> {
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

/// So many scopes of so many empty tasks.
pub(crate) fn ours_in_turn(tasks: u64, scopes: u64) -> Duration {
    repeat(scopes, || ours(tasks, Duration::ZERO))
}

pub(crate) fn rayon_in_turn(tasks: u64, scopes: u64) -> Duration {
    repeat(scopes, || rayon(tasks, Duration::ZERO))
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

/// What Go's errgroup is used for, with the group made anew each time as there.
fn owned(tasks: u64) {
    let group = Group::<()>::new(&CancelToken::new());
    for word in 0..tasks {
        let spawned = group.spawn(move |_| {
            task(&word, Duration::ZERO);
            Ok(())
        });
        spawned.expect("nobody cancels");
    }
    group.wait().expect("nobody fails");
}

fn threads(tasks: u64) {
    let members = crossbeam_utils::sync::WaitGroup::new();
    for word in 0..tasks {
        let member = members.clone();
        std::thread::spawn(move || {
            task(&word, Duration::ZERO);
            drop(member);
        });
    }
    members.wait();
}

fn limited(tasks: u64, limit: usize) {
    let word = black_box(7);
    let scope = group::scope(&CancelToken::new(), |g| {
        g.limit(limit);
        for _ in 0..tasks {
            g.spawn(|_| {
                task(&word, Duration::ZERO);
                Ok(())
            });
        }
        Ok::<_, ()>(())
    });
    scope.expect("nobody fails");
}

/// The semaphore is ours: std has none, and it costs nothing beside the threads.
fn std_limited(tasks: u64, limit: usize) {
    let (word, permits) = (black_box(7), Semaphore::new(limit));
    std::thread::scope(|s| {
        for _ in 0..tasks {
            let permit = permits.acquire().expect("nobody closes it");
            let word = &word;
            s.spawn(move || {
                task(word, Duration::ZERO);
                drop(permit);
            });
        }
    });
}

fn results(tasks: u64) {
    let scope = group::scope(&CancelToken::new(), |g| {
        let handles: Vec<_> = (0..tasks).map(|n| g.submit(move |_| Ok(black_box(n)))).collect();
        g.wait().expect("no task waits for the body");
        Ok::<_, ()>(handles.into_iter().map(|handle| handle.join().expect("nobody fails")).sum::<u64>())
    });
    assert_eq!(scope, Ok(tasks * (tasks - 1) / 2));
}

fn std_results(tasks: u64) {
    let sum: u64 = std::thread::scope(|s| {
        let handles: Vec<_> = (0..tasks).map(|n| s.spawn(move || black_box(n))).collect();
        handles.into_iter().map(|handle| handle.join().expect("nobody panics")).sum()
    });
    assert_eq!(sum, tasks * (tasks - 1) / 2);
}
