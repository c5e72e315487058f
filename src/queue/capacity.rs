//! The capacity of a queue, and how it changes while the queue is in use.
//!
//! Each end of the ring has the capacity as its limit, under its own lock, so a push or a pop reads it
//! without a shared cache line of its own. A change takes both locks.

use super::BoundedQueue;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};

impl<T> BoundedQueue<T> {
    /// Makes a queue of at most `capacity` items, which can be [changed](BoundedQueue::resize) while it is in
    /// use, up to `max_capacity`. The memory for `max_capacity` items is allocated now.
    ///
    /// # Panics
    /// As [`new`](BoundedQueue::new), for either number; and if `capacity` is more than `max_capacity`.
    #[track_caller]
    pub fn resizable(capacity: usize, max_capacity: usize) -> Self {
        assert!(capacity > 0, "a queue of capacity 0 could never take an item; the least is 1");
        let largest = usize::MAX / 4;
        assert!(max_capacity <= largest, "capacity {max_capacity} is more than {largest}");
        let mut queue = BoundedQueue::with_ring(max_capacity);
        if capacity != max_capacity {
            queue.check_capacity(capacity);
            queue.capacity = AtomicUsize::new(capacity);
            queue.tail.get_mut().ring.set_limit(capacity);
            queue.head.get_mut().ring.set_limit(capacity);
        }
        queue
    }

    /// Changes the capacity, while the queue is in use.
    ///
    /// If it is raised, producers that wait for room go on. If it is lowered below the number of items, they
    /// stay, and pushes wait until consumers have drained the queue below the new capacity.
    ///
    /// # Panics
    /// If `capacity` is 0 or more than [`max_capacity`](BoundedQueue::max_capacity); nothing has changed
    /// then. A queue that was not made as [resizable](BoundedQueue::resizable) can be lowered and raised
    /// again up to its first capacity. That of a [`rendezvous`](super::rendezvous()) cannot be changed.
    ///
    /// # Examples
    /// ```
    /// use selvedge::BoundedQueue;
    ///
    /// let queue = BoundedQueue::resizable(1, 100);
    /// queue.push("first").unwrap();
    /// assert!(queue.try_push("second").is_err());
    /// queue.resize(2);
    /// assert!(queue.try_push("second").is_ok());
    /// queue.resize(1); // both items stay
    /// queue.pop().unwrap();
    /// assert!(queue.try_push("third").is_err()); // one is left, and that is as many as may be
    /// ```
    #[track_caller]
    pub fn resize(&self, capacity: usize) {
        self.check_capacity(capacity);
        // Both locks, in the order of `close`: both ends have the same limit whenever a lock is free, so a
        // producer that finds the queue full under one lock does not find room under the other, or the
        // reverse, without a change in between.
        let mut tail = self.tail.lock();
        let mut head = self.head.lock();
        tail.ring.set_limit(capacity);
        head.ring.set_limit(capacity);
        self.capacity.store(capacity, Relaxed);
        drop(tail);
        // As many producers as there is room for now; none if the capacity was lowered. A producer that joins
        // the list later finds the room under this lock.
        let wakes = self.take_pushers(&mut head);
        drop(head);
        drop(wakes);
    }

    #[track_caller]
    fn check_capacity(&self, capacity: usize) {
        let max = self.max_capacity;
        assert!(capacity > 0, "a queue of capacity 0 could never take an item; the least is 1");
        assert!(
            capacity <= max,
            "capacity {capacity} is more than the maximum that the queue was made with, {max}"
        );
    }

    /// Returns the maximum number of items.
    pub fn capacity(&self) -> usize {
        self.capacity.load(Relaxed)
    }

    /// Returns the number that the capacity can be [raised](BoundedQueue::resize) to.
    pub fn max_capacity(&self) -> usize {
        self.max_capacity
    }
}
