//! Counters.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use crossbeam_utils::CachePadded;

/// A counter, as a thread uses it.
pub(crate) trait Count: Send + Sync + 'static {
    fn new() -> Self;

    fn add(&self, count: u64);

    fn sum(&self) -> u64;
}

impl Count for selvedge::StripedCounter {
    fn new() -> Self {
        selvedge::StripedCounter::new()
    }

    fn add(&self, count: u64) {
        self.add(count as i64);
    }

    fn sum(&self) -> u64 {
        self.sum() as u64
    }
}

impl Count for selvedge::Counter {
    fn new() -> Self {
        selvedge::Counter::new()
    }

    fn add(&self, count: u64) {
        self.add(count as i64);
    }

    fn sum(&self) -> u64 {
        self.get() as u64
    }
}

impl Count for CachePadded<AtomicU64> {
    fn new() -> Self {
        CachePadded::new(AtomicU64::new(0))
    }

    fn add(&self, count: u64) {
        self.fetch_add(count, Relaxed);
    }

    fn sum(&self) -> u64 {
        self.load(Relaxed)
    }
}

impl Count for fast_counter::ConcurrentCounter {
    fn new() -> Self {
        // As many as the team has threads.
        fast_counter::ConcurrentCounter::new(16)
    }

    fn add(&self, count: u64) {
        self.add(count as isize);
    }

    fn sum(&self) -> u64 {
        self.sum() as u64
    }
}

/// The usual one by hand: padded atomic cells, and each thread keeps to one of them.
pub(crate) struct Stripes([CachePadded<AtomicU64>; 16]);

thread_local! {
    static STRIPE: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    STRIPE.with(|stripe| {
        if stripe.get() == usize::MAX {
            stripe.set(NEXT.fetch_add(1, Relaxed) % 16);
        }
        stripe.get()
    })
}

impl Count for Stripes {
    fn new() -> Self {
        Stripes(Default::default())
    }

    fn add(&self, count: u64) {
        self.0[stripe()].fetch_add(count, Relaxed);
    }

    fn sum(&self) -> u64 {
        self.0.iter().map(|cell| cell.load(Relaxed)).sum()
    }
}
