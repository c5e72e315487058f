//! A bounded queue for threads: back-pressure, close, cancel, and nothing lost.

#[forbid(unsafe_code)]
mod handles;
#[forbid(unsafe_code)]
mod iter;
#[forbid(unsafe_code)]
mod places;
#[allow(unsafe_code)]
mod ring;

use std::collections::VecDeque;

use crossbeam_utils::CachePadded;

pub use handles::{Receiver, Sender, bounded};
pub use iter::{Iter, Rest};

use crate::error::{Closed, Rejected, TryError, WaitError};
use crate::panics;
use crate::sync::{Mutex, sized};
use crate::until::Until;
use crate::wait::Line;
use places::{Items, Room};
use ring::{Gauge, Head, Tail};

/// Items that `push_all` collects before it takes the lock once for all of them: 32 at a time cost a tenth
/// of one at a time (bench `queue`), and more bring nothing further.
const BATCH: usize = sized(32, 2);

/// Hands items from threads that produce to threads that consume, first in, first out, and makes producers
/// wait while `capacity` items are on their way.
///
/// Every item that was pushed is popped, drained or dropped with the queue, exactly once. An item that could
/// not be pushed comes back in the error. Closing lets consumers drain what is there and then tells them
/// [`Closed`]; nobody sleeps on a closed queue.
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
/// A call whose token was cancelled before it takes and gives nothing. An item (or room) that arrives before the
/// limit passes is success, however late the sleeper wakes up; one that arrives later is for the next in line.
///
/// # Panics
/// Nothing of the caller's runs under the queue's locks: iterators are advanced and items dropped outside. A queue
/// that is dropped drops each of its items, also if one of them panics; the first panic goes on when all are dropped.
///
/// # Fairness
/// Sleepers are woken first come, first served. A thread that is awake may still take what a sleeper was
/// woken for; the sleeper then queues again, behind the others. That is what keeps a busy queue off the
/// system's scheduler. How often one may lose so is not bounded: where others push or pop in a loop without a
/// pause, a thread that waits may do so long. If each must be served after a bounded number of others, let
/// producers hold a permit of a [`Semaphore`](crate::Semaphore), which is handed over in order, while they push.
///
/// # Ordering
/// What a thread did before it pushed an item is visible to the thread that pops it. What was done before
/// `close` is visible to whoever gets [`Closed`].
///
/// # Proof
/// Models in `loom-tests/tests/queue.rs`. The ring in the middle is the only unsafe code; its cells are
/// loom's in the models.
///
/// # Cost
/// Bench `queue`; the README has the ratios. Memory: `capacity` items, allocated at once.
///
/// # Instead
/// `std::sync::mpsc::sync_channel` if there is one consumer and no need to cancel; `crossbeam_channel` if you
/// must `select!` over several channels.
pub struct BoundedQueue<T> {
    tail: CachePadded<Mutex<TailSide<T>>>,
    head: CachePadded<Mutex<HeadSide<T>>>,
    gauge: Gauge<T>,
    capacity: usize,
}

/// What the producers' lock guards.
///
/// The lines are crossed: a consumer that found the queue empty waits *here*, because a producer comes by
/// with this lock in its hand. So the side that changes something already holds the lock that its waiters
/// went to sleep under, and there is no window between them and no second lock on the fast path. Only
/// [`close`](BoundedQueue::close) holds both locks.
struct TailSide<T> {
    ring: Tail<T>,
    poppers: Line,
    closed: bool,
}

/// What the consumers' lock guards. Its `closed` is set under the other lock too, so it also says that the ring
/// holds all that it will ever hold.
struct HeadSide<T> {
    ring: Head<T>,
    pushers: Line,
    closed: bool,
}

impl<T> BoundedQueue<T> {
    /// Makes a queue for at most `capacity` items.
    ///
    /// # Panics
    /// If `capacity` is 0, because a push could never succeed, or more than a quarter of `usize::MAX`, or if so many
    /// items do not fit into memory.
    #[track_caller]
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "a queue of capacity 0 could never take an item; the least is 1");
        assert!(capacity <= usize::MAX / 4, "capacity {capacity} is more than {}", usize::MAX / 4);
        let (tail, head) = ring::ring(capacity);
        BoundedQueue {
            gauge: tail.gauge(),
            tail: CachePadded::new(Mutex::new(TailSide { ring: tail, poppers: Line::new(), closed: false })),
            head: CachePadded::new(Mutex::new(HeadSide { ring: head, pushers: Line::new(), closed: false })),
            capacity,
        }
    }

    /// Puts an item in, and waits for room as long as it takes.
    ///
    /// # Errors
    /// [`Closed`], with the item, if the queue is or becomes closed.
    pub fn push(&self, item: T) -> Result<(), Rejected<T, Closed>> {
        self.push_until(item, Until::forever()).map_err(only_closed)
    }

    /// Puts an item in if there is room now.
    ///
    /// # Errors
    /// With the item: [`TryError::WouldBlock`] if the queue is full, [`TryError::Closed`] if it is closed.
    #[inline]
    pub fn try_push(&self, item: T) -> Result<(), Rejected<T, TryError>> {
        let mut tail = self.tail.lock();
        if tail.closed {
            return Err(Rejected::new(item, TryError::Closed));
        }
        match tail.ring.push(item) {
            Ok(()) => {
                let wake = tail.poppers.next();
                drop(tail);
                drop(wake);
                Ok(())
            }
            Err(item) => Err(Rejected::new(item, TryError::WouldBlock)),
        }
    }

    /// Puts an item in, and waits for room at most until `limit`.
    ///
    /// # Errors
    /// With the item: [`WaitError::TimedOut`], [`WaitError::Cancelled`], or [`WaitError::Closed`].
    #[inline]
    pub fn push_until<'a>(&self, item: T, limit: impl Into<Until<'a>>) -> Result<(), Rejected<T, WaitError>> {
        let mut waiting = Some(item);
        let attempt = || {
            let item = waiting.take().expect("an attempt that fails puts the item back");
            self.try_push(item).map_err(|rejected| {
                waiting = Some(rejected.value);
                rejected.error
            })
        };
        limit.into().retry(&Room(self), attempt).map_err(|error| {
            let item = waiting.take().expect("an attempt that fails puts the item back");
            Rejected::new(item, error)
        })
    }

    /// Puts all of `items` in, in order and many under one lock, and waits for room as long as it takes.
    /// Items of other producers may come in between.
    ///
    /// `items` is advanced up to 33 items ahead of what has been put in, and outside the queue's locks.
    ///
    /// # Errors
    /// [`Closed`], with an iterator over the items that were not put in.
    ///
    /// # Panics
    /// If `items` does, when the items that it gave before have been put in.
    pub fn push_all<I: IntoIterator<Item = T>>(
        &self,
        items: I,
    ) -> Result<(), Rejected<Rest<I::IntoIter>, Closed>> {
        self.push_all_until(items, Until::forever()).map_err(only_closed)
    }

    /// Like [`push_all`](BoundedQueue::push_all), and waits for room at most until `limit`, counted anew
    /// each time that it must wait.
    ///
    /// # Errors
    /// With an iterator over the items that were not put in: [`WaitError::TimedOut`],
    /// [`WaitError::Cancelled`], or [`WaitError::Closed`].
    ///
    /// # Panics
    /// If `items` does, when the items that it gave before have been put in; those that do not get in, because the
    /// limit has passed or the queue is closed, are dropped.
    pub fn push_all_until<'a, I: IntoIterator<Item = T>>(
        &self,
        items: I,
        limit: impl Into<Until<'a>>,
    ) -> Result<(), Rejected<Rest<I::IntoIter>, WaitError>> {
        let limit = limit.into();
        let mut items = items.into_iter().fuse();
        let mut batch = VecDeque::new();
        if let Err(error) = limit.check_token() {
            return Err(Rejected::new(Rest::new(batch, items), error));
        }
        loop {
            // The caller's iterator runs here, outside the locks.
            let advanced = panics::catch(|| batch.extend(items.by_ref().take(BATCH.min(self.capacity))));
            let pushed = self.push_batch(&mut batch, limit);
            let next = match advanced {
                Ok(()) if pushed.is_ok() => panics::catch(|| items.next()),
                other => other.map(|()| None),
            };
            match (next, pushed) {
                (Err(payload), _) => {
                    panics::discard_each(batch);
                    panics::discard(items);
                    panics::resume(payload)
                }
                (Ok(_), Err(error)) => return Err(Rejected::new(Rest::new(batch, items), error)),
                (Ok(None), Ok(())) => return Ok(()),
                (Ok(next), Ok(())) => batch.extend(next),
            }
        }
    }

    /// Puts a batch in, and waits for room; leaves what it could not put in.
    fn push_batch(&self, batch: &mut VecDeque<T>, limit: Until<'_>) -> Result<(), WaitError> {
        while !batch.is_empty() {
            limit.retry(&Room(self), || self.push_some(batch))?;
        }
        Ok(())
    }

    /// Puts in what fits of a batch that is not empty.
    fn push_some(&self, batch: &mut VecDeque<T>) -> Result<(), TryError> {
        let mut tail = self.tail.lock();
        if tail.closed {
            return Err(TryError::Closed);
        }
        let count = tail.ring.push_many(batch);
        let wakes = tail.poppers.take(count);
        drop(tail);
        drop(wakes);
        if count == 0 { Err(TryError::WouldBlock) } else { Ok(()) }
    }

    /// Takes the first item, and waits for one as long as it takes.
    ///
    /// # Errors
    /// [`Closed`] once the queue is closed and empty.
    pub fn pop(&self) -> Result<T, Closed> {
        self.pop_until(Until::forever()).map_err(|_| Closed)
    }

    /// Takes the first item if there is one now.
    ///
    /// # Errors
    /// [`TryError::WouldBlock`] if the queue is empty, [`TryError::Closed`] if it is closed as well.
    #[inline]
    pub fn try_pop(&self) -> Result<T, TryError> {
        let mut head = self.head.lock();
        match head.ring.pop() {
            Some(item) => {
                let wake = head.pushers.next();
                drop(head);
                drop(wake);
                Ok(item)
            }
            None if head.closed => Err(TryError::Closed),
            None => Err(TryError::WouldBlock),
        }
    }

    /// Takes the first item, and waits for one at most until `limit`.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`], [`WaitError::Cancelled`], or [`WaitError::Closed`] once the queue is closed
    /// and empty.
    #[inline]
    pub fn pop_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<T, WaitError> {
        limit.into().retry(&Items(self), || self.try_pop())
    }

    /// Takes what is there, first to last and at most `max` items, under one lock; waits for the first one
    /// as long as it takes. With `max` 0 it takes nothing and returns at once.
    ///
    /// # Errors
    /// [`Closed`] once the queue is closed and empty.
    pub fn pop_many(&self, max: usize) -> Result<Vec<T>, Closed> {
        self.pop_many_until(max, Until::forever()).map_err(|_| Closed)
    }

    /// Like [`pop_many`](BoundedQueue::pop_many), without waiting.
    ///
    /// # Errors
    /// [`TryError::WouldBlock`] if the queue is empty, [`TryError::Closed`] if it is closed as well.
    pub fn try_pop_many(&self, max: usize) -> Result<Vec<T>, TryError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        let mut head = self.head.lock();
        let items = head.ring.pop_many(max);
        let wakes = head.pushers.take(items.len());
        let closed = head.closed;
        drop(head);
        drop(wakes);
        match items.is_empty() {
            false => Ok(items),
            true if closed => Err(TryError::Closed),
            true => Err(TryError::WouldBlock),
        }
    }

    /// Like [`pop_many`](BoundedQueue::pop_many), and waits for the first item at most until `limit`.
    ///
    /// # Errors
    /// As [`pop_until`](BoundedQueue::pop_until).
    pub fn pop_many_until<'a>(&self, max: usize, limit: impl Into<Until<'a>>) -> Result<Vec<T>, WaitError> {
        limit.into().retry(&Items(self), || self.try_pop_many(max))
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
        // The one place where both locks are held, so that the two sides close at one moment: whoever has seen the
        // queue closed, from whichever side, finds it closed from the other. Nobody takes them in the other order.
        let mut head = self.head.lock();
        (tail.closed, head.closed) = (true, true);
        let wakes = [tail.poppers.take_all(), head.pushers.take_all()];
        drop(head);
        drop(tail);
        drop(wakes);
        true
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

/// An unlimited wait ends only in one way.
fn only_closed<V>(rejected: Rejected<V, WaitError>) -> Rejected<V, Closed> {
    Rejected::new(rejected.value, Closed)
}
