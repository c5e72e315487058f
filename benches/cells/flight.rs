//! Single flight: alone, a key each, and one key for all.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::rivals::flights::{Calls, Flight};
use crate::{Cell, team};

/// How a cell uses its single flight.
#[derive(Clone, Copy)]
struct Crowd {
    threads: usize,
    keys: usize,
    /// How long a call takes.
    work: Duration,
}

pub(crate) fn all() -> Vec<Cell> {
    let micro = Duration::from_micros(1);
    vec![
        cell("alone, empty call", Crowd { threads: 1, keys: 1, work: Duration::ZERO }),
        cell("8 threads, a key each, empty call", Crowd { threads: 8, keys: 8, work: Duration::ZERO }),
        cell("2 threads, a key each, 1 µs a call", Crowd { threads: 2, keys: 2, work: micro }),
        cell("2 threads, one key, 1 µs a call", Crowd { threads: 2, keys: 1, work: micro }),
        cell("8 threads, one key, 1 µs a call", Crowd { threads: 8, keys: 1, work: micro }),
    ]
}

fn cell(name: &str, crowd: Crowd) -> Cell {
    Cell::new("flight", name, "call")
        .with("selvedge", move |n| call::<selvedge::SingleFlight<String, u64>>(crowd, n))
        .with("moka", move |n| call::<moka::sync::Cache<String, u64>>(crowd, n))
        .with("singleflight", move |n| call::<singleflight::Group<u64>>(crowd, n))
        .with("Mutex<HashMap> by hand", move |n| call::<Calls>(crowd, n))
}

fn call<F: Flight>(crowd: Crowd, total: u64) -> Duration {
    let (flight, next) = (Arc::new(F::new()), AtomicUsize::new(0));
    team::split(total, crowd.threads, move |count| {
        let key = format!("key {}", next.fetch_add(1, Relaxed) % crowd.keys);
        for number in 0..count {
            black_box(flight.call(&key, || work(crowd.work, number)));
        }
    })
}

fn work(time: Duration, number: u64) -> u64 {
    if !time.is_zero() {
        let end = Instant::now() + time;
        while Instant::now() < end {}
    }
    number
}
