//! Counting: in one place, or in a place for each thread.

mod striped;
mod thread_index;

use std::fmt;

use crossbeam_utils::CachePadded;

use crate::sync::atomic::AtomicI64;
use crate::sync::atomic::Ordering::Relaxed;

pub use striped::StripedCounter;

/// Counts what several threads do, and knows the number at any moment.
///
/// Every call is one step in one order that all threads agree on: [`get`](Counter::get) is exact,
/// [`add`](Counter::add) says what the number was, and of two calls of [`take`](Counter::take) no addition is
/// in both.
///
/// # Examples
/// ```
/// use selvedge::Counter;
///
/// let bytes = Counter::new();
/// bytes.add(512);
/// bytes.sub(12);
/// assert_eq!((bytes.get(), bytes.take(), bytes.get()), (500, 500, 0));
/// ```
///
/// As a source of numbers that are given out once each:
/// ```
/// use selvedge::Counter;
///
/// let ids = Counter::new();
/// let mut seen: Vec<i64> = std::thread::scope(|s| {
///     let threads = [(); 4].map(|()| s.spawn(|| [(); 100].map(|()| ids.increment())));
///     threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
/// });
/// seen.sort();
/// assert!(seen.into_iter().eq(0..400));
/// ```
///
/// # Blocking
/// Nothing here blocks.
///
/// # Ordering
/// None: the counter counts, and publishes nothing else. A number that was read does not mean that the work
/// it counts can be seen; that takes a lock, a channel or a join. What a thread added before it was joined is
/// counted by who joined it.
///
/// # Cost
/// An atomic addition, on a cache line of its own: 128 bytes. From two threads on that line goes to and fro
/// at every call; if they do little else, [`StripedCounter`] is several times faster. Bench `counter`.
///
/// # Instead
/// [`StripedCounter`] if many threads add often and somebody looks seldom. `AtomicI64` where 128 bytes are
/// too many.
pub struct Counter {
    count: CachePadded<AtomicI64>,
}

impl Counter {
    /// Makes a counter at 0.
    pub fn new() -> Self {
        Counter { count: CachePadded::new(AtomicI64::new(0)) }
    }

    /// Adds `count`, which may be negative; returns the number before. It wraps around at the ends of `i64`.
    #[inline]
    pub fn add(&self, count: i64) -> i64 {
        // Relaxed: nothing is published. The same for every access here.
        self.count.fetch_add(count, Relaxed)
    }

    /// Subtracts `count`; returns the number before.
    #[inline]
    pub fn sub(&self, count: i64) -> i64 {
        self.count.fetch_sub(count, Relaxed)
    }

    /// Adds 1; returns the number before.
    #[inline]
    pub fn increment(&self) -> i64 {
        self.add(1)
    }

    /// Subtracts 1; returns the number before.
    #[inline]
    pub fn decrement(&self) -> i64 {
        self.sub(1)
    }

    /// The number now.
    #[inline]
    pub fn get(&self) -> i64 {
        self.count.load(Relaxed)
    }

    /// Takes the number and leaves 0.
    #[inline]
    pub fn take(&self) -> i64 {
        self.count.swap(0, Relaxed)
    }
}

impl Default for Counter {
    fn default() -> Self {
        Counter::new()
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counter").field(&self.get()).finish()
    }
}
