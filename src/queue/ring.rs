//! A ring buffer with one writer and one reader: the only unsafe code of the queue.
//!
//! A [`Tail`] writes and a [`Head`] reads, each through `&mut`, so there is one writer and one reader at a
//! time; [`BoundedQueue`](super::BoundedQueue) puts each end behind a lock of its own. Each cell has a flag
//! that says whether it is full, as in FastForward (J. Giacomoni, T. Moseley, M. Vachharajani, "FastForward
//! for Efficient Pipeline Parallelism", 2008). An item therefore costs one shared cache line, the cell's own:
//! neither end loads the position of the other.
//!
//! # State
//! | flag of the cell | owner | the cell holds |
//! |---|---|---|
//! | clear | `Tail` | nothing |
//! | set | `Head` | an item |
//!
//! The tail fills the cells in order, around and around, and the head empties them in the same order. So the
//! full cells are consecutive: from the head's position up to the tail's.
//!
//! The number of items has a *limit*, at most the number of cells, which both ends know. The cell that lies
//! `limit` cells before the tail's next is full exactly if there are as many items as the limit, or more. If
//! the limit is the number of cells, which it is unless it was lowered, it is the tail's next cell itself.
//! Likewise the head looks at the cell that lies `limit - 1` cells after its own. The owner of both ends
//! changes both limits at once.
//!
//! # Orderings
//! The flag is set with release after an item is written, and loaded with acquire before the item is read, so
//! the item is visible. It is cleared with release after the item is read, and loaded with acquire before the
//! cell is written again, so the reader has finished with the cell.
//!
//! Each end also counts its items, for the [`Gauge`]. No cell is accessed on the strength of the counts.
//!
//! # Dropping
//! A ring that is dropped leaks its items, so the owner of both ends takes them out first. The owner holds
//! the locks that order the last accesses of the ends before its own; a `Drop` in this file would have only
//! the reference count.
//!
//! # Why not
//! *Two positions that the ends load from each other (Lamport's queue), and load again only if the ring looks
//! full or empty.* That is as good while the ring is neither. But consumers are as a rule as fast as
//! producers, and then each item needs the other's position: a second shared line.
//!
//! *A sequence number in each cell, as in crossbeam's `ArrayQueue`.* It allows several writers without a
//! lock. The locks are needed anyway, for the wait lists, and under a lock a flag says as much.
//!
//! *The flags in an array of their own.* It would be dense, so both ends would write to the same line even
//! when their items are far from each other.

#[forbid(unsafe_code)]
mod gauge;

use std::collections::VecDeque;
use std::mem::MaybeUninit;

use crossbeam_utils::CachePadded;

use crate::sync::Arc;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use crate::sync::cell::UnsafeCell;
pub(super) use gauge::Gauge;

/// Makes the two ends of a ring.
#[track_caller]
pub(super) fn ring<T>(capacity: usize) -> (Tail<T>, Head<T>) {
    let count = if Shared::<T>::ONE_CELL { 1 } else { capacity };
    let mut cells = Vec::new();
    // Fallible, because a plain allocation of an absurd capacity would abort the process instead of
    // panicking.
    if cells.try_reserve_exact(count).is_err() {
        panic!("a queue of capacity {capacity} does not fit into memory");
    }
    cells.extend((0..count).map(|_| Cell::new()));
    let shared = Arc::new(Shared {
        cells: cells.into_boxed_slice(),
        capacity,
        pushed: CachePadded::new(AtomicU64::new(0)),
        popped: CachePadded::new(AtomicU64::new(0)),
    });
    let tail = Tail { shared: Arc::clone(&shared), next: 0, pushed: 0, limit: capacity };
    (tail, Head { shared, next: 0, popped: 0, limit: capacity })
}

struct Shared<T> {
    cells: Box<[Cell<T>]>,
    capacity: usize,
    /// The number of items that were ever pushed, and popped. Each is written by one end, after the flag of
    /// the cell. It does not overflow: at one item a nanosecond it would take 584 years.
    ///
    /// Padded, so that a push and a pop do not invalidate each other's cache line.
    pushed: CachePadded<AtomicU64>,
    popped: CachePadded<AtomicU64>,
}

struct Cell<T> {
    /// Whether there is an item; it also says who owns the cell (see the table).
    is_full: AtomicBool,
    item: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the ends move items from one thread to another, which `T: Send` allows. No reference to an item in
// a cell leaves this file, so `T: Sync` is not needed. Each cell is accessed only by the end that owns it by
// the table above, and ownership passes by release and acquire.
unsafe impl<T: Send> Sync for Cell<T> {}
// SAFETY: as above; the cell owns its item.
unsafe impl<T: Send> Send for Cell<T> {}

impl<T> Cell<T> {
    fn new() -> Self {
        Cell { is_full: AtomicBool::new(false), item: UnsafeCell::new(MaybeUninit::uninit()) }
    }
}

impl<T> Shared<T> {
    /// Zero-sized items share one cell, so their number costs neither memory nor time to make cells. No
    /// access to the cell touches a byte, so accesses do not race. Its flag is not used: the counts tell what
    /// is there, and are therefore stored with release and loaded with acquire.
    const ONE_CELL: bool = size_of::<UnsafeCell<MaybeUninit<T>>>() == 0;

    /// The index of a cell, given as a sum that is less than twice the number of cells.
    fn wrap(&self, index: usize) -> usize {
        // A branch instead of a remainder: the capacity is not a power of two, and a division costs more.
        if index >= self.capacity { index - self.capacity } else { index }
    }

    /// The cell with that index and those after it. `count` is at most the capacity.
    #[inline]
    fn cells_from(&self, index: usize, count: usize) -> impl DoubleEndedIterator<Item = &Cell<T>> {
        let cells = &*self.cells;
        // How many lie before the end of the ring, how many after its start, and how often the one cell is
        // meant.
        let (before, after, same) = match Self::ONE_CELL {
            true => (0, 0, count),
            false => (count.min(cells.len() - index), count.saturating_sub(cells.len() - index), 0),
        };
        let index = if Self::ONE_CELL { 0 } else { index };
        cells[index..index + before].iter().chain(&cells[..after]).chain((0..same).map(|_| &cells[0]))
    }

    /// `None` if there are no cells.
    fn cell(&self, index: usize) -> Option<&Cell<T>> {
        self.cells.get(self.wrap(index))
    }
}

/// The end that writes items.
pub(super) struct Tail<T> {
    shared: Arc<Shared<T>>,
    /// The index of the cell that comes next.
    next: usize,
    /// As in [`Shared`].
    pushed: u64,
    /// At most the capacity.
    limit: usize,
}

/// The end that reads items.
pub(super) struct Head<T> {
    shared: Arc<Shared<T>>,
    /// The index of the cell that comes next.
    next: usize,
    /// As in [`Shared`].
    popped: u64,
    /// That of the tail.
    limit: usize,
}

impl<T> Tail<T> {
    /// Returns the cell so many cells after the next one if it may be filled after those before it. `ahead`
    /// is less than the limit.
    #[inline]
    fn free(&self, ahead: usize) -> Option<&Cell<T>> {
        if Shared::<T>::ONE_CELL {
            let is_free = self.len() + ahead < self.limit;
            return is_free.then(|| &self.shared.cells[0]);
        }
        let cell = self.shared.cell(self.next + ahead)?;
        // Acquire, partner of the release in `Head::release`: the read of the cell has finished before it is
        // written again.
        let is_free = !cell.is_full.load(Acquire) && !self.is_limited(ahead);
        is_free.then_some(cell)
    }

    /// Returns how many of the next cells may be filled, at most `wanted`, which is at most the limit.
    fn count_free(&self, wanted: usize) -> usize {
        if Shared::<T>::ONE_CELL || self.limit < self.shared.capacity {
            return (0..wanted).take_while(|&ahead| self.free(ahead).is_some()).count();
        }
        // Acquire: as in `free`.
        let is_free = |cell: &&Cell<T>| !cell.is_full.load(Acquire);
        self.shared.cells_from(self.next, wanted).take_while(is_free).count()
    }

    /// Returns true if the limit forbids to fill the cell so many cells after the next one, though it is
    /// clear.
    #[inline]
    fn is_limited(&self, ahead: usize) -> bool {
        let lowered_by = self.shared.capacity - self.limit;
        lowered_by > 0 && self.is_full_before(self.shared.wrap(self.next + ahead) + lowered_by)
    }

    #[cold]
    fn is_full_before(&self, index: usize) -> bool {
        // Relaxed: this cell is not accessed.
        self.shared.cell(index).is_none_or(|cell| cell.is_full.load(Relaxed))
    }

    /// Writes an item, or returns it if the ring is full.
    #[inline]
    pub(super) fn push(&mut self, item: T) -> Result<(), T> {
        // Exact when it says full: consumers that make room later find the waiter under their own lock.
        let Some(cell) = self.free(0) else { return Err(item) };
        // Written first, published second: the reader may read the cell as soon as it sees the flag.
        self.write(cell, item);
        Self::publish(cell);
        self.advance(1);
        Ok(())
    }

    /// Writes as many of `items` as fit, in order, and returns how many.
    pub(super) fn push_many(&mut self, items: &mut VecDeque<T>) -> usize {
        let wanted = items.len().min(self.limit);
        let count = self.count_free(wanted);
        for (item, cell) in items.drain(..count).zip(self.shared.cells_from(self.next, count)) {
            self.write(cell, item);
        }
        // Published after the last write, and the last one first: a consumer that waits for the first would
        // otherwise take each cache line away while the rest of it is being written.
        self.shared.cells_from(self.next, count).rev().for_each(Self::publish);
        self.advance(count);
        count
    }

    /// Writes an item into a cell that may be filled.
    #[inline]
    fn write(&self, cell: &Cell<T>, item: T) {
        cell.item.with_mut(|cell| {
            // SAFETY: the pointer is valid and aligned, since it comes from a cell of the box. No other
            // access is concurrent: `free` or `count_free` has found the flag clear, so the cell belongs to
            // the tail, and there is one `Tail` for each ring, borrowed by `&mut` in the only callers.
            let cell = unsafe { &mut *cell };
            // A cell of the tail holds no item, so overwriting it leaks nothing.
            cell.write(item);
        });
    }

    /// Passes a cell to the head.
    #[inline]
    fn publish(cell: &Cell<T>) {
        // Release, partner of the acquire in `Head::filled`: the item is visible.
        cell.is_full.store(true, Release);
    }

    /// Counts cells that were published.
    #[inline]
    fn advance(&mut self, count: usize) {
        self.next = self.shared.wrap(self.next + count);
        self.pushed += count as u64;
        // Release, for zero-sized items; partner of the acquire in `Head::len`.
        self.shared.pushed.store(self.pushed, Release);
    }

    /// Writes an item although the ring may hold as many as its limit. For an owner of both ends that has
    /// just read one.
    pub(super) fn push_in_place(&mut self, item: T) -> Result<(), T> {
        let limit = std::mem::replace(&mut self.limit, self.shared.capacity);
        let pushed = self.push(item);
        self.limit = limit;
        pushed
    }

    pub(super) fn gauge(&self) -> Gauge<T> {
        Gauge::new(Arc::clone(&self.shared))
    }

    /// Sets the limit, which is at most the capacity.
    pub(super) fn set_limit(&mut self, limit: usize) {
        debug_assert!(limit <= self.shared.capacity, "the ring has no more cells");
        self.limit = limit;
    }

    /// Returns the number of items, or an upper bound.
    #[inline]
    pub(super) fn len(&self) -> usize {
        // Acquire, for zero-sized items; partner of the release in `Head::release`.
        (self.pushed - self.shared.popped.load(Acquire)) as usize
    }

    /// Returns true if the ring is empty. Exact when it says so, since only this end adds items. It may say
    /// no while an item is being read.
    pub(super) fn is_empty(&self) -> bool {
        if Shared::<T>::ONE_CELL {
            return self.len() == 0;
        }
        // The last item is the last to be read. Relaxed: the cell is not accessed.
        let last = self.shared.cell(self.next + self.shared.capacity.saturating_sub(1));
        last.is_none_or(|cell| !cell.is_full.load(Relaxed))
    }
}

impl<T> Head<T> {
    /// Returns the cell so many cells after the next one if it is full. `ahead` is less than the capacity.
    #[inline]
    fn filled(&self, ahead: usize) -> Option<&Cell<T>> {
        if Shared::<T>::ONE_CELL {
            return (self.len() > ahead).then(|| &self.shared.cells[0]);
        }
        let cell = self.shared.cell(self.next + ahead)?;
        // Acquire, partner of the release in `Tail::publish`: the item is visible before it is read.
        cell.is_full.load(Acquire).then_some(cell)
    }

    /// Returns how many of the next cells are full, at most `max`, which is at most the capacity.
    fn count_filled(&self, max: usize) -> usize {
        if Shared::<T>::ONE_CELL {
            return self.len().min(max);
        }
        // Acquire: as in `filled`.
        let is_full = |cell: &&Cell<T>| cell.is_full.load(Acquire);
        self.shared.cells_from(self.next, max).take_while(is_full).count()
    }

    /// Reads the first item.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<T> {
        let cell = self.filled(0)?;
        // Read first, released second: the writer may overwrite the cell as soon as it sees the flag.
        let item = self.read(cell);
        Self::release(cell);
        self.advance(1);
        Some(item)
    }

    /// Reads at most `max` items.
    pub(super) fn pop_many(&mut self, max: usize) -> Vec<T> {
        let max = max.min(self.shared.capacity);
        let count = self.count_filled(max);
        let items = self.shared.cells_from(self.next, count).map(|cell| self.read(cell)).collect();
        // Released after the last read, and the last one first, as in `push_many`. Nothing above can panic
        // except an allocation failure, which aborts, so no item is read twice.
        self.shared.cells_from(self.next, count).rev().for_each(Self::release);
        self.advance(count);
        items
    }

    /// Reads an item from a full cell.
    #[inline]
    fn read(&self, cell: &Cell<T>) -> T {
        cell.item.with_mut(|cell| {
            // SAFETY: the pointer is valid and aligned, and no other access is concurrent: `filled` or
            // `count_filled` has found the flag set, so the cell belongs to the head, and there is one `Head`
            // for each ring, borrowed by `&mut` in the only callers.
            let cell = unsafe { &*cell };
            // SAFETY: the cell holds an item: the tail wrote it before it set the flag, which the acquire
            // load of the flag has seen. It is not read twice, since `release` clears the flag.
            unsafe { cell.assume_init_read() }
        })
    }

    /// Passes a cell to the tail.
    #[inline]
    fn release(cell: &Cell<T>) {
        // Release, partner of the acquire in `Tail::free`: the read has finished.
        cell.is_full.store(false, Release);
    }

    /// Counts cells that were released.
    #[inline]
    fn advance(&mut self, count: usize) {
        self.next = self.shared.wrap(self.next + count);
        self.popped += count as u64;
        // Release, for zero-sized items; partner of the acquire in `Tail::len`.
        self.shared.popped.store(self.popped, Release);
    }

    /// Returns the number of items, without those that are being written.
    #[inline]
    pub(super) fn len(&self) -> usize {
        // Acquire, for zero-sized items; partner of the release in `Tail::publish`. Saturating: a count is
        // stored after the flag, so an item may be read before it is counted.
        self.shared.pushed.load(Acquire).saturating_sub(self.popped) as usize
    }

    /// Returns how many items may be added, or an upper bound.
    pub(super) fn room(&self) -> usize {
        self.limit.saturating_sub(self.len())
    }

    /// Returns true if the ring holds as many items as its limit, or more. Exact when it says so, since only
    /// this end removes items. It may say no while an item is being written.
    pub(super) fn is_full(&self) -> bool {
        if Shared::<T>::ONE_CELL {
            return self.len() >= self.limit;
        }
        // Relaxed: the cell is not accessed.
        let last = self.shared.cell(self.next + self.limit.saturating_sub(1));
        last.is_none_or(|cell| cell.is_full.load(Relaxed))
    }

    /// Sets the limit, as that of the tail.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }
}
