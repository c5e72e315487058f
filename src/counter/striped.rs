//! A counter with a place for each thread.
//!
//! # Why nobody resets a place
//! The usual striped counter takes by swapping every stripe with 0, so every addition must be a
//! read-modify-write operation, also where a stripe has only one writer. Here places only ever go on, and a
//! take remembers how far it has counted: the next one counts from there. So a place is written by its thread
//! alone, with a plain load and a plain store; that is cheaper than any atomic addition, and a take disturbs
//! nobody.
//!
//! # Invariants
//! 1. A place is written only by the thread whose number it has ([`places`]), except the crowd's, to which
//!    threads without a number add atomically.
//! 2. A place's value is the sum, wrapping around, of all that was ever added there. Whoever reads it splits
//!    those additions into earlier and later ones, none in both.
//! 3. `taken` is what all takes up to now have returned, together; it changes under its lock, in which a
//!    take reads the places. A place only goes on, so a later take reads nothing that an earlier one did not.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crossbeam_utils::CachePadded;

use super::thread_index;
use crate::sync::atomic::AtomicI64;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::{Mutex, OnceLock, sized};

/// Counts what many threads do at the same time, and does not make them wait for each other's cache line.
///
/// Each thread adds in a place of its own, which it gets with its first addition; the sum is made when
/// somebody asks for it. What is [taken](StripedCounter::take) is taken exactly once: added up over all takes
/// and what is left, every addition is there once.
///
/// # Examples
/// ```
/// use selvedge::StripedCounter;
///
/// let requests = StripedCounter::new();
/// std::thread::scope(|s| {
///     for _ in 0..4 {
///         s.spawn(|| (0..1_000).for_each(|_| requests.increment()));
///     }
/// });
/// assert_eq!(requests.sum(), 4_000);
/// ```
///
/// A report a second, in which nothing is missing and nothing is twice:
/// ```
/// use selvedge::StripedCounter;
/// use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
///
/// let (requests, done) = (StripedCounter::new(), AtomicBool::new(false));
/// let reported = std::thread::scope(|s| {
///     let reporter = s.spawn(|| {
///         let mut reported = 0;
///         while !done.load(Relaxed) {
///             reported += requests.take();
///         }
///         reported
///     });
///     let workers = [(); 3].map(|()| s.spawn(|| (0..1_000).for_each(|_| requests.increment())));
///     workers.map(|worker| worker.join().unwrap());
///     done.store(true, Relaxed);
///     reporter.join().unwrap()
/// });
/// assert_eq!(reported + requests.take(), 3_000);
/// ```
///
/// # Consistency
/// `sum` and `take` read one place after another. What was added before the call, by this thread or one that
/// it knows to have added (by a join, a lock, a message), is counted. What is added while the call runs may
/// be counted or not, each addition by itself: of two that one thread makes the earlier is always counted if
/// the later is, of those of different threads either one may be. So a sum while threads add may be a number
/// that the counter never had; when they are still, it is exact. What a `take` did not count, the next one
/// will.
///
/// # Blocking
/// Adding does not block, but for a short lock with a thread's first addition to any counter. Two calls of
/// `sum` or `take` wait for each other.
///
/// # Ordering
/// None, as with [`Counter`](super::Counter): it publishes nothing but numbers.
///
/// # Proof
/// Models in `loom-tests/tests/counter.rs`.
///
/// # Cost
/// An addition is a load and a store, two thirds of the time of an atomic one when nobody else counts, and
/// the same when everybody does. A sum reads a cache line for each place. Memory: 768 bytes, and 128 for each
/// number up to the highest that a thread has added under, rounded up to a power of two: a few for a few
/// threads, and none is given back before the counter is dropped. Bench `counter`.
///
/// # Instead
/// [`Counter`](super::Counter) if one or two threads count, if you look as often as you add, or if an
/// addition must say what the number was.
pub struct StripedCounter {
    /// Places by number, in segments of 1, 2, 4, 8… which come when somebody needs them.
    segments: [OnceLock<Box<[Cell]>>; SEGMENTS],
    /// For threads without a number: those at their very end, and those above 65,535.
    crowd: Cell,
    /// Away from what adding reads.
    taken: CachePadded<Mutex<i64>>,
}

type Cell = CachePadded<AtomicI64>;

/// 2^16 - 1 places.
const SEGMENTS: usize = sized(16, 3);

impl StripedCounter {
    /// Makes a counter at 0.
    pub fn new() -> Self {
        StripedCounter {
            segments: std::array::from_fn(|_| OnceLock::new()),
            crowd: Cell::default(),
            taken: CachePadded::new(Mutex::new(0)),
        }
    }

    /// Adds `count`, which may be negative. The sum wraps around at the ends of `i64`.
    #[inline]
    pub fn add(&self, count: i64) {
        match thread_index::current().and_then(|number| self.place(number)) {
            Some(place) => add_alone(place, count),
            None => self.add_slowly(count),
        }
    }

    /// Subtracts `count`.
    #[inline]
    pub fn sub(&self, count: i64) {
        self.add(count.wrapping_neg());
    }

    /// Adds 1.
    #[inline]
    pub fn increment(&self) {
        self.add(1);
    }

    /// Subtracts 1.
    #[inline]
    pub fn decrement(&self) {
        self.add(-1);
    }

    /// What was added and not taken, as far as it is seen; see [Consistency](StripedCounter#consistency).
    pub fn sum(&self) -> i64 {
        let taken = self.taken.lock();
        self.total().wrapping_sub(*taken)
    }

    /// Takes what was added and not taken: of what it returns, no other call does.
    pub fn take(&self) -> i64 {
        let mut taken = self.taken.lock();
        let total = self.total();
        let new = total.wrapping_sub(*taken);
        *taken = total;
        new
    }

    /// Everything that was ever added. The caller holds the lock under which segments are made.
    fn total(&self) -> i64 {
        let thread_index = self.segments.iter().filter_map(OnceLock::get).flatten();
        // Relaxed: see `add_alone`.
        thread_index.chain([&self.crowd]).fold(0, |sum, place| sum.wrapping_add(place.load(Relaxed)))
    }

    /// The place with that number, if it is there.
    #[inline]
    fn place(&self, number: usize) -> Option<&Cell> {
        let (segment, index) = position(number);
        // The cell publishes the segment, with its zeros.
        self.segments.get(segment)?.get()?.get(index)
    }

    fn grow(&self, segment: usize) {
        let _alone = self.taken.lock();
        if let Some(thread_index) = self.segments.get(segment) {
            // Set already if somebody else came first.
            thread_index.get_or_init(|| (0..1_usize << segment).map(|_| Cell::default()).collect());
        }
    }

    #[cold]
    fn add_slowly(&self, count: i64) {
        let number = thread_index::current().or_else(thread_index::draw);
        if let Some(number) = number {
            self.grow(position(number).0);
        }
        match number.and_then(|number| self.place(number)) {
            Some(place) => add_alone(place, count),
            // Relaxed: nothing is published.
            None => drop(self.crowd.fetch_add(count, Relaxed)),
        }
    }
}

/// Adds to a place that this thread alone writes to.
#[inline]
fn add_alone(place: &AtomicI64, count: i64) {
    // Relaxed: nothing is published; who reads it wants the number only, and what this thread wrote before
    // comes from the same thread. What another thread with this number wrote is visible through the lock in
    // which the number changed hands.
    place.store(place.load(Relaxed).wrapping_add(count), Relaxed);
}

/// The segment that a number is in, and its index there.
#[inline]
fn position(number: usize) -> (usize, usize) {
    let segment = (number + 1).ilog2();
    (segment as usize, number + 1 - (1 << segment))
}

impl Default for StripedCounter {
    fn default() -> Self {
        StripedCounter::new()
    }
}

impl fmt::Debug for StripedCounter {
    /// Never waits: the sum is left out while another thread reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("StripedCounter");
        if let Some(taken) = self.taken.try_lock() {
            out.field("sum", &self.total().wrapping_sub(*taken));
        }
        out.finish_non_exhaustive()
    }
}

impl UnwindSafe for StripedCounter {}
impl RefUnwindSafe for StripedCounter {}
