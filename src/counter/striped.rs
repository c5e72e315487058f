//! A counter with a cell for each thread.
//!
//! # Why no cell is ever reset
//! The usual striped counter takes its count by swapping each stripe with 0. So each addition must be a
//! read-modify-write operation, even in a stripe with a single writer. Here cells only accumulate, and `take`
//! remembers the total that it has already returned. So only its own thread writes a cell, with a plain load
//! and a plain store. That is cheaper than any atomic addition, and a `take` disturbs no thread.
//!
//! # Invariants
//! 1. A cell is written only by the thread with its [index](crate::wait::thread_index), except the shared
//!    cell, to which threads without an index add atomically.
//! 2. The value of a cell is the wrapping sum of all additions to it. A load divides them into earlier and
//!    later ones.
//! 3. `taken` is the total that all takes have returned. It changes under its lock, under which a take also
//!    reads the cells. Since cells only accumulate, a later take misses nothing that an earlier one saw.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crossbeam_utils::CachePadded;

use crate::sync::atomic::AtomicI64;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::{Mutex, OnceLock, sized};
use crate::wait::thread_index;

/// Counts events of many threads without contention for a cache line.
///
/// Each thread adds to a cell of its own, which it gets with its first addition; the sum is computed when it
/// is requested. [`take`](StripedCounter::take) takes each addition exactly once: all takes and the final sum
/// together contain every addition once.
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
/// A periodic report, in which no addition is missing or counted twice:
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
/// `sum` and `take` read one cell after another. Additions that happened before the call are counted: those
/// of this thread, and those that it knows of through a join, a lock or a message. Concurrent additions may
/// or may not be counted, each by itself. Of two additions by one thread, the earlier is counted if the later
/// is; for additions of different threads there is no such rule. So a sum during additions may be a number
/// that the counter never had; without concurrent additions it is exact. What a `take` does not count, the
/// next one does.
///
/// # Blocking
/// Additions do not block, except for a short lock with a thread's first addition to a counter. Calls of
/// `sum` and `take` exclude each other.
///
/// # Ordering
/// None, as with [`Counter`](super::Counter): it publishes only counts.
///
/// # Proof
/// Models in `loom-tests/tests/counter.rs`: `each_addition_is_in_exactly_one_take`,
/// `threads_that_reuse_an_index_lose_no_addition`, `sums_do_not_go_back` and `a_take_of_one_cell_is_atomic`.
///
/// # Cost
/// An addition is a load and a store: 1.0 ns with 2 and with 8 threads, 4.6 times as fast as an `AtomicU64`,
/// and two thirds of the time of an atomic addition on one thread (bench `counter`, 2-core virtual machine).
/// A sum reads a cache line for each cell. Memory: 768 bytes, and 128 for each index up to the highest that
/// has been used, rounded up to a power of two; it is freed with the counter.
///
/// # Instead
/// [`Counter`](super::Counter) if one or two threads count, if the count is read as often as it changes, or
/// if an addition must return the previous count.
pub struct StripedCounter {
    /// Cells by index, in segments of 1, 2, 4, 8… cells that are allocated on demand.
    segments: [OnceLock<Box<[Cell]>>; SEGMENTS],
    /// For threads without an index: those that are exiting, and those above 65,535.
    shared: Cell,
    /// On a cache line that additions do not read.
    taken: CachePadded<Mutex<i64>>,
}

type Cell = CachePadded<AtomicI64>;

/// 2^16 - 1 cells.
const SEGMENTS: usize = sized(16, 3);

impl StripedCounter {
    /// Makes a counter at 0.
    pub fn new() -> Self {
        StripedCounter {
            segments: std::array::from_fn(|_| OnceLock::new()),
            shared: Cell::default(),
            taken: CachePadded::new(Mutex::new(0)),
        }
    }

    /// Adds `count`, which may be negative. The sum wraps around.
    #[inline]
    pub fn add(&self, count: i64) {
        match thread_index::current().and_then(|index| self.cell(index)) {
            Some(cell) => add_owned(cell, count),
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

    /// Returns the sum of additions not yet taken; see [Consistency](StripedCounter#consistency).
    pub fn sum(&self) -> i64 {
        let taken = self.taken.lock();
        self.total().wrapping_sub(*taken)
    }

    /// Takes the sum of additions not yet taken. No other call returns any of them.
    pub fn take(&self) -> i64 {
        // The cells are read under the lock: a concurrent take would read some cells earlier and others later
        // than this one.
        let mut taken = self.taken.lock();
        let total = self.total();
        let new = total.wrapping_sub(*taken);
        *taken = total;
        new
    }

    /// The sum of all additions ever. The caller holds the lock under which segments are allocated.
    fn total(&self) -> i64 {
        // Each cell is read once, so an addition that happens meanwhile is counted once or not at all.
        let cells = self.segments.iter().filter_map(OnceLock::get).flatten();
        // Relaxed: see `add_owned`.
        cells.chain([&self.shared]).fold(0, |sum, cell| sum.wrapping_add(cell.load(Relaxed)))
    }

    /// The cell with that index, if it is allocated.
    #[inline]
    fn cell(&self, index: usize) -> Option<&Cell> {
        let (segment, index) = position(index);
        // The `OnceLock` publishes the segment with its zeros.
        self.segments.get(segment)?.get()?.get(index)
    }

    fn grow(&self, segment: usize) {
        // The lock that `total` is called under, so no take misses a segment that it should see.
        let _guard = self.taken.lock();
        if let Some(cells) = self.segments.get(segment) {
            // Another thread may have allocated the segment before.
            cells.get_or_init(|| (0..1_usize << segment).map(|_| Cell::default()).collect());
        }
    }

    #[cold]
    fn add_slowly(&self, count: i64) {
        let index = thread_index::current().or_else(thread_index::assign);
        if let Some(index) = index {
            // Before the first addition under this index, so `cell` finds the segment below.
            self.grow(position(index).0);
        }
        match index.and_then(|index| self.cell(index)) {
            Some(cell) => add_owned(cell, count),
            // Relaxed: publishes nothing.
            None => drop(self.shared.fetch_add(count, Relaxed)),
        }
    }
}

/// Adds to a cell that only this thread writes.
#[inline]
fn add_owned(cell: &AtomicI64, count: i64) {
    // Relaxed: publishes nothing, since readers use only the value. The load sees the last store of this
    // thread. A store of an earlier thread with this index is visible through the lock under which the index
    // was passed on.
    cell.store(cell.load(Relaxed).wrapping_add(count), Relaxed);
}

/// The segment of an index, and the position in it.
#[inline]
fn position(index: usize) -> (usize, usize) {
    let segment = (index + 1).ilog2();
    (segment as usize, index + 1 - (1 << segment))
}

impl Default for StripedCounter {
    fn default() -> Self {
        StripedCounter::new()
    }
}

impl fmt::Debug for StripedCounter {
    /// Never blocks: leaves out the sum while another thread computes it.
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
