use std::collections::BinaryHeap;

use selvedge::error::{Closed, Rejected, WaitError};
use selvedge::{Monitor, Until};

/// A bounded queue that hands out the greatest item first.
pub struct PriorityQueue<T>(Monitor<State<T>>);

struct State<T> {
    heap: BinaryHeap<T>,
    capacity: usize,
    closed: bool,
}

impl<T: Ord + Send> PriorityQueue<T> {
    pub fn new(capacity: usize) -> Self {
        PriorityQueue(Monitor::new(State { heap: BinaryHeap::new(), capacity, closed: false }))
    }

    /// Waits while the queue is full.
    pub fn push(&self, item: T) -> Result<(), Rejected<T, WaitError>> {
        self.push_until(item, Until::forever())
    }

    pub fn push_until<'a>(&self, item: T, limit: impl Into<Until<'a>>) -> Result<(), Rejected<T, WaitError>> {
        let mut item = Some(item);
        let pushed = self.0.wait_until(limit, |state| {
            if state.closed {
                return Some(Err(Closed));
            }
            if state.heap.len() == state.capacity {
                return None;
            }
            state.heap.extend(item.take());
            Some(Ok(()))
        });
        let ended = pushed.and_then(|pushed| pushed.map_err(WaitError::from));
        // Whatever ended the wait, an item that was not pushed is still here.
        ended.map_err(|error| Rejected { value: item.expect("it was not pushed"), error })
    }

    /// Waits while the queue is empty; drains it after it was closed.
    pub fn pop(&self) -> Result<T, WaitError> {
        self.pop_until(Until::forever())
    }

    pub fn pop_until<'a>(&self, limit: impl Into<Until<'a>>) -> Result<T, WaitError> {
        self.0.wait_until(limit, |state| {
            let closed = state.closed.then_some(Err(WaitError::Closed));
            state.heap.pop().map(Ok).or(closed)
        })?
    }

    /// Lets everybody go on: pushers with their items, poppers with what is left.
    pub fn close(&self) {
        self.0.lock().closed = true;
    }
}
