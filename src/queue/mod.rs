//! A bounded queue for threads: back-pressure, close, cancel, and nothing lost.

#[forbid(unsafe_code)]
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

pub use handles::{IntoIter, Receiver, Sender, bounded, rendezvous};
pub use iter::{Iter, Rest};

use crate::panics;
use crate::sync::Mutex;
use crate::wait::{NextTurn, Turns, WaitList};
pub(crate) use rendezvous::{Rendezvous, Stand};
use ring::{Gauge, Head, Tail};
pub(crate) use wait_points::{Items, Room};

/// Hands items from threads that produce to threads that consume, first in, first out, and makes producers
/// wait while `capacity` items are on their way.
///
/// Every item that was pushed is popped, drained or dropped with the queue, exactly once. An item that could
/// not be pushed comes back in the error. Closing lets consumers drain what is there and then tells them
/// [`Closed`](crate::error::Closed); nobody sleeps on a closed queue.
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
/// Three producers, two consumers, and an end that everybody sees:
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
/// `push` waits while the queue is full, `pop` while it is empty. They look out for a few microseconds and
/// then sleep; a pop wakes one producer, a push one consumer, and neither makes a system call if nobody
/// sleeps. `try_` calls, `len`, `close` and `Debug` never wait for another thread's progress.
///
/// # Cancellation
/// A call whose token was cancelled before it takes and gives nothing. An item (or room) that arrives before
/// the limit passes is success, however late the sleeper wakes up; one that arrives later is for the next in
/// line.
///
/// # Panics
/// Nothing of the caller's runs under the queue's locks: iterators are advanced and items dropped outside. A
/// queue that is dropped drops each of its items, also if one of them panics; the first panic goes on when
/// all are dropped.
///
/// # Fairness
/// Sleepers are woken first come, first served. A thread that is awake may still take what a sleeper was
/// woken for; the sleeper then queues again, behind the others. That is what keeps a busy queue off the
/// system's scheduler. A thread that has lost so 32 times takes a turn: until it has what it waits for, or
/// gives up, nobody else gets room (if it pushes) or items (if it pops), and the `try_` calls of others are
/// refused with [`WouldBlock`](crate::error::TryError::WouldBlock). Turns are served in the order in which
/// they were taken. So a call that waits loses 32 times at most, and then lets those go first who took their
/// turns before it. Once the queue is closed, turns do not count: what is left is for whoever comes.
///
/// # Ordering
/// What a thread did before it pushed an item is visible to the thread that pops it. What was done before
/// `close` is visible to whoever gets [`Closed`](crate::error::Closed).
///
/// # Proof
/// Models in `loom-tests/tests/queue.rs`. The ring in the middle is the only unsafe code; its cells are
/// loom's in the models.
///
/// # Capacity
/// At least 1; for 0 there is [`rendezvous`]. There is no form without a bound: the ring that makes pushes
/// and pops cheap is allocated at once, and a queue that takes all that comes only moves the place where the
/// program runs out of memory. A bound that is never reached costs its memory alone.
///
/// # Cost
/// Bench `queue`; the README has the ratios. Memory: `capacity` items, allocated at once.
///
/// # Instead
/// `std::sync::mpsc::sync_channel` if there is one consumer and no need to cancel.
pub struct BoundedQueue<T> {
    tail: CachePadded<Mutex<TailSide<T>>>,
    head: CachePadded<Mutex<HeadSide<T>>>,
    gauge: Gauge<T>,
    capacity: usize,
    /// Whose turn it is to push, and to pop, for those who look without the locks.
    next_push: NextTurn,
    next_pop: NextTurn,
    /// Where threads meet if the capacity is 0: then the ring is always full and always empty, so that every
    /// attempt on it ends where this is looked at, and no other queue pays for it.
    meeting: Option<Box<Rendezvous<T>>>,
}

/// What the producers' lock guards.
///
/// The lines are crossed, and the turns are not: a consumer that found the queue empty waits *here*, because
/// a producer comes by with this lock in its hand. So the side that changes something already holds the lock
/// that its waiters went to sleep under, and there is no window between them and no second lock on the fast
/// path. Only [`close`](BoundedQueue::close) holds both locks.
struct TailSide<T> {
    ring: Tail<T>,
    poppers: WaitList,
    /// Producers that have lost too often: while there are any, nobody else may push.
    turns: Turns,
    closed: bool,
    /// Closed, or somebody has a turn: one look for both, where all who push come by.
    restricted: bool,
}

/// What the consumers' lock guards. Its `closed` is set under the other lock too, so it also says that the
/// ring holds all that it will ever hold.
struct HeadSide<T> {
    ring: Head<T>,
    pushers: WaitList,
    /// Consumers that have lost too often: while there are any, nobody else may pop, unless the queue is
    /// closed.
    turns: Turns,
    closed: bool,
    /// Somebody has a turn, and the queue is not closed.
    restricted: bool,
}

impl<T> BoundedQueue<T> {
    /// Makes a queue for at most `capacity` items.
    ///
    /// # Panics
    /// If `capacity` is 0, because a push could never succeed, or more than a quarter of `usize::MAX`, or if
    /// so many items do not fit into memory.
    #[track_caller]
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "a queue of capacity 0 could never take an item; the least is 1");
        assert!(capacity <= usize::MAX / 4, "capacity {capacity} is more than {}", usize::MAX / 4);
        BoundedQueue::with_ring(capacity)
    }

    /// One of capacity 0.
    fn rendezvous() -> Self {
        let mut queue = BoundedQueue::with_ring(0);
        queue.meeting = Some(Box::new(Rendezvous::new()));
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
            meeting: None,
            capacity,
        }
    }

    /// Pops until the queue is closed and empty.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter::new(self)
    }

    /// Closes the queue: pushes fail from here on, pops take what is left and then fail. Everybody who
    /// sleeps on the queue is woken. True if this call closed it; closing twice does nothing.
    pub fn close(&self) -> bool {
        let mut tail = self.tail.lock();
        if tail.closed {
            return false;
        }
        // The one place where both locks are held, so that the two sides close at one moment: whoever has
        // seen the queue closed, from whichever side, finds it closed from the other. Nobody takes them in
        // the other order.
        let mut head = self.head.lock();
        (tail.closed, head.closed) = (true, true);
        // From here on pushes fail, and what is left is for whoever comes.
        (tail.restricted, head.restricted) = (true, false);
        let wakes = [tail.poppers.take_all(), head.pushers.take_all()];
        drop(head);
        drop(tail);
        drop(wakes);
        if let Some(meeting) = &self.meeting {
            meeting.close();
        }
        true
    }

    /// Where threads meet, if the capacity is 0.
    pub(crate) fn meeting(&self) -> Option<&Rendezvous<T>> {
        self.meeting.as_deref()
    }

    /// Closes the queue and takes out what is left, first to last, before any consumer that comes later.
    pub fn close_and_drain(&self) -> Vec<T> {
        self.close();
        self.head.lock().ring.pop_many(self.capacity)
    }

    /// True once the queue was closed; there may still be items to pop.
    pub fn is_closed(&self) -> bool {
        self.tail.lock().closed
    }

    /// Items in the queue now. By the time the caller looks, it may be another number.
    pub fn len(&self) -> usize {
        self.head.lock().ring.len()
    }

    /// True if the queue holds nothing now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most items it holds.
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}

impl<T> Drop for BoundedQueue<T> {
    /// Drops what was not popped.
    fn drop(&mut self) {
        panics::drop_each(self.close_and_drain());
    }
}

impl<T> UnwindSafe for BoundedQueue<T> {}
impl<T> RefUnwindSafe for BoundedQueue<T> {}
