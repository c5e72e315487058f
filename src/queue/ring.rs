//! A ring buffer with one writer and one reader: the only unsafe code of the queue.
//!
//! A [`Tail`] writes and a [`Head`] reads, each through `&mut`, so there is one writer and one reader at a
//! time; [`BoundedQueue`](super::BoundedQueue) puts each end behind a lock of its own. This is Lamport's
//! queue (L. Lamport, "Specifying Concurrent Program Modules", 1983). Each end also keeps the last position
//! of the other end that it has seen, and loads the other's cache line only when the ring looks full or
//! empty.
//!
//! # State
//! A position runs from 0 to twice the capacity and then starts again at 0, so full and empty differ and no
//! position overflows. Each end owns the cells `p mod capacity` of some positions `p`:
//!
//! | position | owner | holds |
//! |---|---|---|
//! | head ≤ p < tail | `Head` | an item |
//! | tail ≤ p < head + capacity | `Tail` | nothing |
//!
//! Each end has a *limit*, at most the capacity, on the number of items. The tail fills no more than that; if
//! the limit is lowered below what is there, the ring counts as full until enough was read. The owner of both
//! ends changes both limits at once.
//!
//! # Orderings
//! `tail` is stored with release after an item is written, and loaded with acquire before the item is read,
//! so the item is visible. `head` is stored with release after an item is read, and loaded with acquire
//! before the cell is written again, so the reader has finished with the cell. Each end reads its own
//! position from a private copy.
//!
//! # Dropping
//! A ring that is dropped leaks its items, so the owner of both ends takes them out first. The owner holds
//! the locks that order the last accesses of the ends before its own; a `Drop` in this file would have only
//! the reference count.
//!
//! # Why not
//! *A sequence number in each cell, as in crossbeam's `ArrayQueue`.* It allows several writers without a
//! lock. The locks are needed anyway, for the wait lists, and then two positions are cheaper than a number in
//! each cell.

use std::collections::VecDeque;
use std::mem::MaybeUninit;

use crossbeam_utils::CachePadded;

use crate::sync::Arc;
use crate::sync::atomic::{AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use crate::sync::cell::UnsafeCell;

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
    cells.extend((0..count).map(|_| UnsafeCell::new(MaybeUninit::uninit())));
    let shared = Arc::new(Shared {
        cells: cells.into_boxed_slice(),
        capacity,
        tail: CachePadded::new(AtomicUsize::new(0)),
        head: CachePadded::new(AtomicUsize::new(0)),
    });
    let tail = Tail { shared: Arc::clone(&shared), tail: 0, head_seen: 0, limit: capacity };
    (tail, Head { shared, head: 0, tail_seen: 0, limit: capacity })
}

struct Shared<T> {
    /// Each is accessed only by its owner (see the table).
    cells: Box<[UnsafeCell<MaybeUninit<T>>]>,
    capacity: usize,
    /// Padded, so that a push and a pop do not invalidate each other's cache line.
    tail: CachePadded<AtomicUsize>,
    head: CachePadded<AtomicUsize>,
}

// SAFETY: the ends move items from one thread to another, which `T: Send` allows. No reference to an item in
// a cell leaves this file, so `T: Sync` is not needed. Each cell is accessed only by the end that owns it by
// the table above, and ownership passes by release and acquire.
unsafe impl<T: Send> Sync for Shared<T> {}
// SAFETY: as above; the ring owns its items.
unsafe impl<T: Send> Send for Shared<T> {}

impl<T> Shared<T> {
    /// Zero-sized items share one cell, so their number costs neither memory nor time to make cells. No
    /// access to the cell touches a byte, so accesses do not race.
    const ONE_CELL: bool = size_of::<UnsafeCell<MaybeUninit<T>>>() == 0;

    fn advance(&self, position: usize, by: usize) -> usize {
        // Cannot overflow: the sum is below three times the capacity, and `BoundedQueue::new` allows a
        // quarter of `usize::MAX`.
        let next = position + by;
        if next >= 2 * self.capacity { next - 2 * self.capacity } else { next }
    }

    /// The number of items between two positions; `tail` must not be behind `head`.
    fn distance(&self, head: usize, tail: usize) -> usize {
        if tail >= head { tail - head } else { tail + 2 * self.capacity - head }
    }

    fn cell(&self, position: usize) -> &UnsafeCell<MaybeUninit<T>> {
        let capacity = self.capacity;
        // A branch instead of a remainder: the capacity is not a power of two, and a division costs more.
        let index = if position >= capacity { position - capacity } else { position };
        &self.cells[if Self::ONE_CELL { 0 } else { index }]
    }
}

/// The end that writes items.
pub(super) struct Tail<T> {
    shared: Arc<Shared<T>>,
    tail: usize,
    /// A position that the head had; it may have advanced since.
    head_seen: usize,
    /// At most the capacity.
    limit: usize,
}

/// The end that reads items.
pub(super) struct Head<T> {
    shared: Arc<Shared<T>>,
    head: usize,
    /// A position that the tail had; it may have advanced since.
    tail_seen: usize,
    /// That of the tail.
    limit: usize,
}

impl<T> Tail<T> {
    /// Returns the number of cells that may be filled, or a lower bound that is at least `wanted`.
    #[inline]
    fn free(&mut self, wanted: usize) -> usize {
        // Saturating: the limit may be below the number of items.
        let free = self.limit.saturating_sub(self.shared.distance(self.head_seen, self.tail));
        // The other end only makes this number larger, so an old position is safe: it hides free cells but
        // never invents one.
        if free >= wanted {
            return free;
        }
        self.look_at_head();
        self.limit.saturating_sub(self.shared.distance(self.head_seen, self.tail))
    }

    #[inline]
    fn look_at_head(&mut self) {
        // Acquire, partner of the release in `Head::release`: the reads of the cells below this position are
        // finished before they are written again.
        self.head_seen = self.shared.head.load(Acquire);
    }

    /// Writes an item, or returns it if the ring is full.
    #[inline]
    pub(super) fn push(&mut self, item: T) -> Result<(), T> {
        // Exact when it says full: `free` has then loaded the head's position, and consumers that make room
        // later find the waiter under their own lock.
        if self.free(1) == 0 {
            return Err(item);
        }
        // Written first, published second: the reader may read the cell as soon as it sees the position.
        self.write(0, item);
        self.publish(1);
        Ok(())
    }

    /// Writes as many of `items` as fit, in order, and returns how many.
    pub(super) fn push_many(&mut self, items: &mut VecDeque<T>) -> usize {
        let count = self.free(items.len()).min(items.len());
        for (offset, item) in items.drain(..count).enumerate() {
            self.write(offset, item);
        }
        // Published once for all, after the last write: one store instead of one for each item.
        self.publish(count);
        count
    }

    #[inline]
    fn write(&mut self, offset: usize, item: T) {
        self.shared.cell(self.shared.advance(self.tail, offset)).with_mut(|cell| {
            // SAFETY: the pointer is valid and aligned, since it comes from a cell of the box. No other
            // access is concurrent: `free` has counted the position, so it belongs to the tail, and there is
            // one `Tail` for each ring, borrowed by `&mut`.
            let cell = unsafe { &mut *cell };
            // A cell of the tail holds no item, so overwriting it leaks nothing.
            cell.write(item);
        });
    }

    #[inline]
    fn publish(&mut self, count: usize) {
        self.tail = self.shared.advance(self.tail, count);
        // Release, partner of the acquire in `Head::available`: the items up to this position are visible.
        self.shared.tail.store(self.tail, Release);
    }

    /// Writes an item although the ring may hold as many as its limit. For an owner of both ends that has
    /// just read one.
    pub(super) fn push_in_place(&mut self, item: T) -> Result<(), T> {
        let limit = std::mem::replace(&mut self.limit, self.shared.capacity);
        let pushed = self.push(item);
        self.limit = limit;
        pushed
    }

    /// Sets the limit, which is at most the capacity.
    pub(super) fn set_limit(&mut self, limit: usize) {
        debug_assert!(limit <= self.shared.capacity, "the ring has no more cells");
        self.limit = limit;
    }

    /// Returns the number of items, or an upper bound.
    pub(super) fn len(&mut self) -> usize {
        if self.shared.distance(self.head_seen, self.tail) > 0 {
            self.look_at_head();
        }
        self.shared.distance(self.head_seen, self.tail)
    }

    /// Returns true if the ring is empty. Exact: only this end adds items, and the position of the other end
    /// that it loads is never ahead of its own.
    pub(super) fn is_empty(&mut self) -> bool {
        self.len() == 0
    }
}

impl<T> Head<T> {
    /// Returns the number of items, or a lower bound that is at least `wanted`.
    #[inline]
    fn available(&mut self, wanted: usize) -> usize {
        let available = self.shared.distance(self.head, self.tail_seen);
        // The other end only makes this number larger, so an old position is safe: it hides items but never
        // invents one.
        if available >= wanted {
            return available;
        }
        // Acquire, partner of the release in `Tail::publish`: the items below this position are visible
        // before they are read.
        self.tail_seen = self.shared.tail.load(Acquire);
        self.shared.distance(self.head, self.tail_seen)
    }

    /// Reads the first item.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<T> {
        if self.available(1) == 0 {
            return None;
        }
        // Read first, released second: the writer may overwrite the cell as soon as it sees the position.
        let item = self.read(0);
        self.release(1);
        Some(item)
    }

    /// Reads at most `max` items.
    pub(super) fn pop_many(&mut self, max: usize) -> Vec<T> {
        let count = self.available(max).min(max);
        let items = (0..count).map(|offset| self.read(offset)).collect();
        // Released once for all, after the last read. Nothing above can panic except an allocation failure,
        // which aborts, so no item is read twice.
        self.release(count);
        items
    }

    #[inline]
    fn read(&mut self, offset: usize) -> T {
        self.shared.cell(self.shared.advance(self.head, offset)).with_mut(|cell| {
            // SAFETY: the pointer is valid and aligned, and no other access is concurrent: `available` has
            // counted the position, so it belongs to the head, and there is one `Head` for each ring,
            // borrowed by `&mut`.
            let cell = unsafe { &*cell };
            // SAFETY: the cell holds an item: the tail wrote it before it published the position, which the
            // acquire load in `available` has seen. It is not read twice, since `release` passes the cell to
            // the tail.
            unsafe { cell.assume_init_read() }
        })
    }

    #[inline]
    fn release(&mut self, count: usize) {
        self.head = self.shared.advance(self.head, count);
        // Release, partner of the acquire in `Tail::free`: the reads up to this position have finished.
        self.shared.head.store(self.head, Release);
    }

    /// Returns the number of items.
    pub(super) fn len(&mut self) -> usize {
        self.available(usize::MAX)
    }

    /// Returns how many items may be added.
    pub(super) fn room(&mut self) -> usize {
        self.limit.saturating_sub(self.len())
    }

    /// Returns true if the ring holds as many items as its limit, or more. Exact: only this end removes
    /// items.
    pub(super) fn is_full(&mut self) -> bool {
        self.len() >= self.limit
    }

    /// Sets the limit, as that of the tail.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }
}

/// The fill level of a ring, for threads that hold no end.
pub(super) struct Gauge<T>(Arc<Shared<T>>);

impl<T> Gauge<T> {
    /// Returns the number of items at some recent moment: a hint.
    pub(super) fn len(&self) -> usize {
        let shared = &*self.0;
        // Relaxed: no cell is accessed on the strength of these values. A thread that must be certain asks an
        // end under its lock.
        let head = shared.head.load(Relaxed);
        let tail = shared.tail.load(Relaxed);
        // The loads are not one snapshot, so the difference may exceed the capacity.
        shared.distance(head, tail).min(shared.capacity)
    }
}

impl<T> Tail<T> {
    pub(super) fn gauge(&self) -> Gauge<T> {
        Gauge(Arc::clone(&self.shared))
    }
}
