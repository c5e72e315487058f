//! Counters: add, and now and then a sum.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crossbeam_utils::CachePadded;

use crate::rivals::counts::{Count, Stripes};
use crate::{Cell, team};

pub(crate) fn all() -> Vec<Cell> {
    let mut cells: Vec<Cell> =
        [1, 2, 8].map(|threads| cell("counter", format!("{threads} threads"), threads, u64::MAX)).into();
    cells.push(cell("counter with sums", "8 threads, a sum each 1,000 additions".into(), 8, 1_000));
    cells
}

fn cell(family: &'static str, name: String, threads: usize, sum_each: u64) -> Cell {
    Cell::new(family, name, "addition")
        .with("selvedge, striped", move |n| add::<selvedge::StripedCounter>(threads, n, sum_each))
        .with("selvedge, exact", move |n| add::<selvedge::Counter>(threads, n, sum_each))
        .with("AtomicU64", move |n| add::<CachePadded<AtomicU64>>(threads, n, sum_each))
        .with("fast-counter", move |n| add::<fast_counter::ConcurrentCounter>(threads, n, sum_each))
        .with("stripes by hand", move |n| add::<Stripes>(threads, n, sum_each))
}

pub(crate) fn add<C: Count>(threads: usize, total: u64, sum_each: u64) -> Duration {
    let counter = Arc::new(C::new());
    team::split(total, threads, move |count| {
        for number in 1..=count {
            // Not the compiler's to fold into one addition.
            black_box(&*counter).add(1);
            if number % sum_each == 0 {
                black_box(counter.sum());
            }
        }
    })
}
