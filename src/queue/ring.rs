//! A ring buffer with one end for each of two threads: the only unsafe code of the queue.
//!
//! A [`Tail`] writes, a [`Head`] reads, each through `&mut`, so there is one writer and one reader at a
//! time; [`BoundedQueue`](super::BoundedQueue) puts each end behind a lock of its own. It is Lamport's queue
//! (L. Lamport, "Specifying Concurrent Program Modules", 1983) with each end's last known position of the
//! other kept beside its own, so that an end touches the other's cache line only when the ring looks full
//! or empty.
//!
//! # State
//! A position runs from 0 to twice the capacity and starts again, so that full and empty differ and no
//! position ever overflows. Cell `p mod capacity` belongs
//!
//! | position | to | holds |
//! |---|---|---|
//! | head ≤ p < tail | `Head` | an item |
//! | tail ≤ p < head + capacity | `Tail` | nothing |
//!
//! # Orderings
//! `tail` is stored with release after the item was written and loaded with acquire before it is read, so
//! the item is visible. `head` is stored with release after the item was read out and loaded with acquire
//! before the cell is written again, so the reader is done with it. Each end reads its own position from its
//! private copy.
//!
//! # Dropping
//! Items in a ring that is dropped are leaked: the owner of both ends takes them out first. It has the locks
//! that order the ends' last accesses before its own; a `Drop` in here would have only the reference count.

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
    // Where a plain allocation would end the process.
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
    let tail = Tail { shared: Arc::clone(&shared), tail: 0, head_seen: 0 };
    (tail, Head { shared, head: 0, tail_seen: 0 })
}

struct Shared<T> {
    cells: Box<[UnsafeCell<MaybeUninit<T>>]>,
    capacity: usize,
    tail: CachePadded<AtomicUsize>,
    head: CachePadded<AtomicUsize>,
}

// SAFETY: the ends move items from one thread to another, which `T: Send` allows; no reference to an item in
// a cell is ever handed out, so `T: Sync` is not needed. Each cell is accessed by the one end that the
// table above gives it to, and ownership passes by release and acquire.
unsafe impl<T: Send> Sync for Shared<T> {}
// SAFETY: as above; the items inside are owned.
unsafe impl<T: Send> Send for Shared<T> {}

impl<T> Shared<T> {
    /// Items without a size share one cell, so that their number costs neither memory nor the time to make
    /// cells: no access to it touches a byte, so none meets another.
    const ONE_CELL: bool = size_of::<UnsafeCell<MaybeUninit<T>>>() == 0;

    fn advance(&self, position: usize, by: usize) -> usize {
        // Below three times the capacity, of which `BoundedQueue::new` allows a quarter of `usize::MAX`.
        let next = position + by;
        if next >= 2 * self.capacity { next - 2 * self.capacity } else { next }
    }

    /// Items between two positions, of which `tail` is not behind `head`.
    fn distance(&self, head: usize, tail: usize) -> usize {
        if tail >= head { tail - head } else { tail + 2 * self.capacity - head }
    }

    fn cell(&self, position: usize) -> &UnsafeCell<MaybeUninit<T>> {
        let capacity = self.capacity;
        let index = if position >= capacity { position - capacity } else { position };
        &self.cells[if Self::ONE_CELL { 0 } else { index }]
    }
}

/// The end that items go in at.
pub(super) struct Tail<T> {
    shared: Arc<Shared<T>>,
    tail: usize,
    /// A position that the head had; it may have moved on.
    head_seen: usize,
}

/// The end that items come out at.
pub(super) struct Head<T> {
    shared: Arc<Shared<T>>,
    head: usize,
    /// A position that the tail had; it may have moved on.
    tail_seen: usize,
}

impl<T> Tail<T> {
    /// Free cells, exactly or fewer than there are.
    #[inline]
    fn free(&mut self, wanted: usize) -> usize {
        let capacity = self.shared.capacity;
        let free = capacity - self.shared.distance(self.head_seen, self.tail);
        if free >= wanted {
            return free;
        }
        self.head_seen = self.shared.head.load(Acquire);
        capacity - self.shared.distance(self.head_seen, self.tail)
    }

    /// Puts an item in, or gives it back if the ring is full.
    #[inline]
    pub(super) fn push(&mut self, item: T) -> Result<(), T> {
        if self.free(1) == 0 {
            return Err(item);
        }
        self.write(0, item);
        self.publish(1);
        Ok(())
    }

    /// Puts in as many of `items` as fit, first to last, and says how many.
    pub(super) fn push_many(&mut self, items: &mut VecDeque<T>) -> usize {
        let count = self.free(items.len()).min(items.len());
        for (offset, item) in items.drain(..count).enumerate() {
            self.write(offset, item);
        }
        self.publish(count);
        count
    }

    #[inline]
    fn write(&mut self, offset: usize, item: T) {
        self.shared.cell(self.shared.advance(self.tail, offset)).with_mut(|cell| {
            // SAFETY: valid and aligned: it comes from a cell of the box. Not accessed by anybody else: the
            // position is one of the tail's own, because `free` has counted it, and there is one `Tail` per
            // ring, held by `&mut`.
            let cell = unsafe { &mut *cell };
            // The cell holds no item that would be leaked.
            cell.write(item);
        });
    }

    #[inline]
    fn publish(&mut self, count: usize) {
        self.tail = self.shared.advance(self.tail, count);
        self.shared.tail.store(self.tail, Release);
    }

    /// Items that are in it now, or more.
    pub(super) fn len(&mut self) -> usize {
        self.shared.capacity - self.free(self.shared.capacity)
    }

    /// True if there is nothing in it; exact, because only this end fills it and the other end's position is
    /// never ahead of this one's.
    pub(super) fn is_empty(&mut self) -> bool {
        self.len() == 0
    }
}

impl<T> Head<T> {
    /// Items that are there, exactly or fewer than there are.
    #[inline]
    fn available(&mut self, wanted: usize) -> usize {
        let available = self.shared.distance(self.head, self.tail_seen);
        if available >= wanted {
            return available;
        }
        self.tail_seen = self.shared.tail.load(Acquire);
        self.shared.distance(self.head, self.tail_seen)
    }

    /// Takes the first item out.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<T> {
        if self.available(1) == 0 {
            return None;
        }
        let item = self.read(0);
        self.release(1);
        Some(item)
    }

    /// Takes at most `max` items out.
    pub(super) fn pop_many(&mut self, max: usize) -> Vec<T> {
        let count = self.available(max).min(max);
        let items = (0..count).map(|offset| self.read(offset)).collect();
        self.release(count);
        items
    }

    #[inline]
    fn read(&mut self, offset: usize) -> T {
        self.shared.cell(self.shared.advance(self.head, offset)).with_mut(|cell| {
            // SAFETY: valid and aligned, and not accessed by anybody else: the position is one of the head's
            // own, because `available` has counted it, and there is one `Head` per ring, held by `&mut`.
            let cell = unsafe { &*cell };
            // SAFETY: the cell holds an item: the tail wrote it before it published the position, which the
            // acquire load in `available` saw. It is not read twice: `release` passes the cell on.
            unsafe { cell.assume_init_read() }
        })
    }

    #[inline]
    fn release(&mut self, count: usize) {
        self.head = self.shared.advance(self.head, count);
        self.shared.head.store(self.head, Release);
    }

    /// Items that are there now.
    pub(super) fn len(&mut self) -> usize {
        self.available(usize::MAX)
    }

    /// True if no item fits; exact, because only this end empties it.
    pub(super) fn is_full(&mut self) -> bool {
        self.len() == self.shared.capacity
    }
}

/// How full a ring is, for those who only look.
pub(super) struct Gauge<T>(Arc<Shared<T>>);

impl<T> Gauge<T> {
    /// Items in the ring at some moment not long ago: a hint.
    pub(super) fn len(&self) -> usize {
        let shared = &*self.0;
        let head = shared.head.load(Relaxed);
        let tail = shared.tail.load(Relaxed);
        // The two loads are of different moments, so the difference may be more than can be.
        shared.distance(head, tail).min(shared.capacity)
    }
}

impl<T> Tail<T> {
    pub(super) fn gauge(&self) -> Gauge<T> {
        Gauge(Arc::clone(&self.shared))
    }
}
