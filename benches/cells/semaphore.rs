//! Semaphores: acquire, do something, release.

use std::hint::black_box;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use crate::rivals::permits::Permits;
use crate::rivals::plain;
use crate::{Cell, team};

/// How a cell uses its semaphore.
#[derive(Clone, Copy)]
pub(crate) struct Crowd {
    threads: usize,
    permits: usize,
    /// How long a thread stays inside.
    work: Duration,
}

const SECTION: Duration = Duration::from_nanos(100);

pub(crate) fn all() -> Vec<Cell> {
    vec![
        cell("uncontended", Crowd { threads: 1, permits: 1, work: Duration::ZERO }),
        pair(),
        busy(8, 1),
        busy(8, 4),
    ]
}

/// Two threads that compete for one permit.
pub(crate) fn pair() -> Cell {
    cell("2 threads, 1 permit, empty section", crowd(2, 1))
}

/// Threads that stay inside for a while.
pub(crate) fn busy(threads: usize, permits: usize) -> Cell {
    let name = format!("{threads} threads, {permits} permits, 100 ns inside");
    cell(&name, Crowd { threads, permits, work: SECTION })
}

/// Threads that only acquire and release.
pub(crate) fn crowd(threads: usize, permits: usize) -> Crowd {
    Crowd { threads, permits, work: Duration::ZERO }
}

fn cell(name: &str, crowd: Crowd) -> Cell {
    Cell::new("semaphore", name, "acquire+release")
        .with("selvedge", move |n| pass::<selvedge::Semaphore>(crowd, n))
        .with("tokio", move |n| pass::<tokio::sync::Semaphore>(crowd, n))
        .with("async-lock", move |n| pass::<async_lock::Semaphore>(crowd, n))
        .with("std-semaphore", move |n| pass::<std_semaphore::Semaphore>(crowd, n))
        .with("Mutex+Condvar", move |n| pass::<plain::Semaphore>(crowd, n))
}

pub(crate) fn pass<G: Permits>(crowd: Crowd, total: u64) -> Duration {
    let turns = turns_in(crowd.work);
    let gate = Arc::new(G::new(crowd.permits));
    team::split(total, crowd.threads, move |count| {
        for _ in 0..count {
            gate.pass(|| turn(turns));
        }
    })
}

/// Work that touches no memory and makes no call.
#[inline]
fn turn(turns: u64) {
    for turn in 0..turns {
        black_box(turn);
    }
}

/// How many turns take so long on this machine.
fn turns_in(time: Duration) -> u64 {
    const SAMPLE: u64 = 1_000_000;
    static NANOS_A_TURN: LazyLock<f64> = LazyLock::new(|| {
        let measure = || {
            let start = Instant::now();
            turn(SAMPLE);
            start.elapsed().as_nanos() as f64 / SAMPLE as f64
        };
        // The first makes the processor awake, and the fastest was disturbed least.
        (0..5).map(|_| measure()).fold(f64::INFINITY, f64::min)
    });
    (time.as_nanos() as f64 / *NANOS_A_TURN) as u64
}
