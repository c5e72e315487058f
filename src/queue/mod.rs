//! A bounded queue for threads, with back-pressure, close and cancellation.
//!
//! Each side has a lock of its own, so a producer and a consumer do not contend. On the fast path they share
//! one cache line for each item: that of its cell in the ring.
//!
//! A waiter is registered under the *other* side's lock: a consumer that found the queue empty joins a list
//! under the producers' lock. The thread that makes an item available already holds that lock, so the wake-up
//! cannot be missed, and it costs no second lock.
//!
//! # Lock order
//! Producers' lock, then consumers' lock. Only `close`, `resize` and a `force_push` into a full queue hold
//! both.
//!
//! # Why not
//! *One lock and two condition variables.* Each push would contend with each pop.
//!
//! *A lock-free ring, such as crossbeam's `ArrayQueue`.* Blocking needs a list of waiters, which needs a
//! lock. Here the lock of a side protects both its list and its end of the ring.

#[forbid(unsafe_code)]
mod adaptive_spin;
#[forbid(unsafe_code)]
mod capacity;
mod handles;
#[forbid(unsafe_code)]
mod iter;
#[forbid(unsafe_code)]
mod pop;
#[forbid(unsafe_code)]
mod push;
#[forbid(unsafe_code)]
mod rendezvous;
#[allow(unsafe_code)]
mod ring;
#[forbid(unsafe_code)]
mod wait_points;

use std::panic::{RefUnwindSafe, UnwindSafe};

use crossbeam_utils::CachePadded;

use adaptive_spin::AdaptiveSpin;
pub use handles::{IntoIter, Receiver, Sender, bounded, rendezvous, resizable};
pub use iter::{Iter, Rest};

use crate::panics;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use crate::wait::{NextTurn, Turns, WaitList};
pub(crate) use rendezvous::{Rendezvous, Stand};
use ring::{Gauge, Head, Tail};
pub(crate) use wait_points::{Items, Room};

/// Passes items from producing threads to consuming threads, first in, first out, and makes producers wait
/// while the queue holds `capacity` items.
///
/// Every item that was pushed is popped, drained or dropped with the queue, exactly once. An item that could
/// not be pushed comes back in the error. After close, consumers drain the items that are left and then get
/// [`Closed`](crate::error::Closed); no thread waits on a closed queue.
///
/// # Examples
/// ```
/// use selvedge::queue::BoundedQueue;
///
/// let queue = BoundedQueue::new(2);
/// queue.push('a')?;
/// queue.push('b')?;
/// assert_eq!(queue.try_push('c').unwrap_err().into_value(), 'c');
/// queue.close();
/// assert_eq!(queue.iter().collect::<String>(), "ab");
/// # Ok::<(), selvedge::error::Rejected<char, selvedge::error::Closed>>(())
/// ```
///
/// Three producers and two consumers, all of which see the end:
/// ```
/// use selvedge::queue::bounded;
///
/// let (sender, receiver) = bounded(4);
/// let total: u64 = std::thread::scope(|s| {
///     for producer in 0..3 {
///         let sender = sender.clone();
///         s.spawn(move || sender.push_all(producer * 100..producer * 100 + 100).unwrap());
///     }
///     drop(sender); // the last sender to go closes the queue
///     let consumers: Vec<_> = (0..2)
///         .map(|_| s.spawn(|| receiver.iter().sum::<u64>()))
///         .collect();
///     consumers.into_iter().map(|consumer| consumer.join().unwrap()).sum()
/// });
/// assert_eq!(total, (0..300).sum::<u64>());
/// ```
///
/// # Blocking
/// `push` waits while the queue is full, `pop` while it is empty. A waiter spins for a few microseconds and
/// then parks. A pop wakes one producer and a push wakes one consumer; neither makes a system call if no
/// thread waits. The `try_` calls, `len`, `close` and `Debug` never wait for another thread's progress.
///
/// # Cancellation
/// A call whose token was cancelled beforehand fails and has no effect. If an item (or room) arrives before
/// the limit passes, the call succeeds, however late the thread wakes up. An item that arrives later goes to
/// the next waiter.
///
/// # Panics
/// None of the caller's code runs under the queue's locks: iterators are advanced and items are dropped after
/// unlocking. Dropping the queue drops every item even if one of them panics; the first panic is resumed
/// after all are dropped.
///
/// # Fairness
/// Waiters are woken in the order of their arrival. A running thread may still take the item (or room) that a
/// waiter was woken for; the waiter then joins the list again, at the end. This saves a context switch for
/// each item of a busy queue.
///
/// A waiter that has lost 32 times takes a turn. Until it succeeds or gives up, no other thread gets room (if
/// the waiter pushes) or items (if it pops), and the `try_` calls of other threads fail with
/// [`WouldBlock`](crate::error::TryError::WouldBlock). Turns are served in the order in which they were
/// taken. A waiter thus loses at most 32 times, and is then overtaken only by waiters that took their turns
/// earlier. Turns end when the queue is closed: any thread may pop the items that are left.
///
/// # Ordering
/// A thread's actions before it pushes an item are visible to the thread that pops it. A thread's actions
/// before `close` are visible to every thread that gets [`Closed`](crate::error::Closed).
///
/// # Proof
/// Models in `loom-tests/tests/queue.rs`, among them `closing_loses_no_item_that_was_pushed`,
/// `a_cancelled_consumer_hands_its_wake_up_on`, `an_item_that_meets_a_deadline_is_popped_once` and
/// `nobody_pushes_before_a_producer_that_has_lost_too_often`. The ring is the only unsafe code; the models
/// run it on loom's cells and atomics. In the models, a waiter takes a turn after one loss, and a batch has
/// two items.
///
/// # Capacity
/// At least 1; for 0 see [`rendezvous`]. It can be [changed](BoundedQueue::resize) while the queue is in use,
/// up to a maximum given at the start.
///
/// There is no unbounded form. A producer and a consumer share nothing but the cells of a ring, which is
/// allocated up front; a queue that grows would need a list of blocks, and each push and pop a look at the
/// end of its block. And a queue without a bound only moves the place where the program runs out of memory. A
/// bound that is never reached costs only its memory: 16 MB for a million items of 8 bytes.
///
/// # Cost
/// Bench `queue`; the README has the ratios. An uncontended push or pop takes one lock. Memory: `capacity`
/// items and a flag for each, allocated when the queue is made; items without a size take none.
///
/// # Instead
/// `std::sync::mpsc::sync_channel` if there is one consumer and no call needs to be cancelled.
pub struct BoundedQueue<T> {
    tail: CachePadded<Mutex<TailSide<T>>>,
    head: CachePadded<Mutex<HeadSide<T>>>,
    gauge: Gauge<T>,
    /// A copy of the limit of the ring's ends, for threads that hold neither.
    ///
    /// Relaxed: a thread that reads an old value makes an attempt in vain, or looks again under a lock. It is
    /// written under both locks.
    capacity: AtomicUsize,
    /// The number of cells.
    max_capacity: usize,
    /// The gauge does not tell whether an attempt may succeed, since the queue is closed or has no ring.
    ///
    /// Relaxed, as `capacity`: a thread that must be certain asks under a lock.
    gauge_is_blind: AtomicBool,
    /// Copies of the next turns to push and to pop, for threads that hold the other lock or none.
    next_push: NextTurn,
    next_pop: NextTurn,
    /// How producers and consumers spin. Padded, since waiting threads write to them.
    push_spin: CachePadded<AdaptiveSpin>,
    pop_spin: CachePadded<AdaptiveSpin>,
    /// The meeting point if the capacity is 0. The ring is then always full and always empty, so every
    /// attempt on it fails, and only a failed attempt looks here. Other queues pay nothing for it.
    meeting: Option<Box<Rendezvous<T>>>,
}

/// The state under the producers' lock.
///
/// The wait lists are crossed and the turns are not: a consumer that found the queue empty waits in
/// `poppers`, *here*. A producer changes the state that this consumer waits for while it holds this lock, so
/// there is no window between the change and the wake-up, and no second lock on the fast path.
struct TailSide<T> {
    ring: Tail<T>,
    poppers: WaitList,
    /// Producers that have lost too often. While there are any, no other producer may push.
    turns: Turns,
    closed: bool,
    /// True if `closed` or if a producer has a turn: one check for both on every push.
    restricted: bool,
}

/// The state under the consumers' lock. Since `closed` is set under both locks, it also means that no further
/// item will enter the ring.
struct HeadSide<T> {
    ring: Head<T>,
    pushers: WaitList,
    /// Consumers that have lost too often. While there are any and the queue is open, no other consumer may
    /// pop.
    turns: Turns,
    closed: bool,
    /// True if a consumer has a turn and the queue is open.
    restricted: bool,
}

impl<T> BoundedQueue<T> {
    /// Makes a queue of at most `capacity` items.
    ///
    /// # Panics
    /// If `capacity` is 0, since no push could ever succeed; if it is more than a quarter of `usize::MAX`; or
    /// if the ring does not fit into memory.
    #[track_caller]
    pub fn new(capacity: usize) -> Self {
        BoundedQueue::resizable(capacity, capacity)
    }

    /// Makes a queue of capacity 0.
    fn rendezvous() -> Self {
        let mut queue = BoundedQueue::with_ring(0);
        queue.meeting = Some(Box::new(Rendezvous::new()));
        queue.gauge_is_blind = AtomicBool::new(true);
        queue
    }

    #[track_caller]
    fn with_ring(capacity: usize) -> Self {
        let (tail, head) = ring::ring(capacity);
        BoundedQueue {
            gauge: tail.gauge(),
            tail: CachePadded::new(Mutex::new(TailSide {
                ring: tail,
                poppers: WaitList::new(),
                turns: Turns::new(),
                closed: false,
                restricted: false,
            })),
            head: CachePadded::new(Mutex::new(HeadSide {
                ring: head,
                pushers: WaitList::new(),
                turns: Turns::new(),
                closed: false,
                restricted: false,
            })),
            next_push: NextTurn::new(),
            next_pop: NextTurn::new(),
            push_spin: CachePadded::new(AdaptiveSpin::new(capacity)),
            pop_spin: CachePadded::new(AdaptiveSpin::new(capacity)),
            meeting: None,
            capacity: AtomicUsize::new(capacity),
            max_capacity: capacity,
            gauge_is_blind: AtomicBool::new(false),
        }
    }

    /// Returns an iterator that pops items until the queue is closed and empty.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter::new(self)
    }

    /// Closes the queue. Every push fails from now on, pops get the items that are left and then fail, and
    /// all waiters are woken. Returns true if this call closed the queue; closing it again has no effect.
    pub fn close(&self) -> bool {
        // The producers' lock decides between two callers that close at the same time: one of them returns
        // true.
        let mut tail = self.tail.lock();
        if tail.closed {
            return false;
        }
        // Both locks, so that the two sides close in one step: a thread that has seen the queue closed from
        // either side finds it closed from the other. `force_push` and `resize` take them in the same order,
        // and no other call takes both.
        let mut head = self.head.lock();
        (tail.closed, head.closed) = (true, true);
        // From here on pushes fail and turns do not count: any consumer may pop.
        (tail.restricted, head.restricted) = (true, false);
        // Before the locks are released: a thread that finds the queue closed under one of them sees it.
        self.gauge_is_blind.store(true, Relaxed);
        // All: no waiter of either side would be woken by anything else. A thread that joins later sees
        // `closed` under the same lock and does not wait.
        let wakes = [tail.poppers.take_all(), head.pushers.take_all()];
        drop(head);
        drop(tail);
        // Woken after unlocking, so that no waiter runs into a held lock.
        drop(wakes);
        if let Some(meeting) = &self.meeting {
            // After the ring's side. A call comes to the meeting point only after an attempt on the open
            // ring, so it may still come after this. It then finds `closed` under the meeting point's own
            // lock.
            meeting.close();
        }
        true
    }

    /// The meeting point, if the capacity is 0.
    pub(crate) fn meeting(&self) -> Option<&Rendezvous<T>> {
        self.meeting.as_deref()
    }

    /// Closes the queue and returns the items that are left, in order. A consumer that pops later gets none
    /// of them.
    pub fn close_and_drain(&self) -> Vec<T> {
        self.close();
        // One critical section, so the items are contiguous. No producer adds one in between, since the queue
        // is closed. No producer is woken either: `close` has woken all of them.
        self.head.lock().ring.pop_many(self.max_capacity)
    }

    /// Returns true once the queue is closed. There may still be items to pop.
    pub fn is_closed(&self) -> bool {
        self.tail.lock().closed
    }

    /// Returns the number of items in the queue. It may have changed by the time the caller uses it.
    pub fn len(&self) -> usize {
        // Exact under this lock for removals; a push may follow at once.
        self.head.lock().ring.len()
    }

    /// Returns true if the queue is empty now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns false if a pop would find the queue empty, as far as this can be seen without a lock. Pushes
    /// that happened before this call are seen.
    #[inline]
    pub(crate) fn may_pop(&self) -> bool {
        self.gauge.len() > 0 || self.gauge_is_blind.load(Relaxed)
    }

    /// Returns false if a push would find the queue full, as far as this can be seen without a lock. Pops
    /// that happened before this call are seen.
    #[inline]
    pub(crate) fn may_push(&self) -> bool {
        self.gauge.len() < self.capacity() || self.gauge_is_blind.load(Relaxed)
    }
}

impl<T> Drop for BoundedQueue<T> {
    /// Drops the items that were not popped.
    fn drop(&mut self) {
        // Through the locks, because they order the last accesses of both ends of the ring before this one.
        // No lock is held while an item's own `Drop` runs.
        panics::drop_each(self.close_and_drain());
    }
}

// None of the caller's code runs under a lock, so no panic of an item leaves the state half changed.
impl<T> UnwindSafe for BoundedQueue<T> {}
impl<T> RefUnwindSafe for BoundedQueue<T> {}
