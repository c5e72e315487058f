//! What people write by hand with std: the yardstick.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};

/// A bounded queue: a deque, a lock, and a condvar for each side.
struct Queue<T> {
    state: Mutex<State<T>>,
    not_empty: Condvar,
    not_full: Condvar,
    capacity: usize,
}

struct State<T> {
    items: VecDeque<T>,
    senders: usize,
}

pub(crate) struct Sender<T>(Arc<Queue<T>>);

pub(crate) struct Receiver<T>(Arc<Queue<T>>);

pub(crate) fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let queue = Arc::new(Queue {
        state: Mutex::new(State { items: VecDeque::with_capacity(capacity), senders: 1 }),
        not_empty: Condvar::new(),
        not_full: Condvar::new(),
        capacity,
    });
    (Sender(Arc::clone(&queue)), Receiver(queue))
}

impl<T> Sender<T> {
    pub(crate) fn send(&self, item: T) {
        let queue = &*self.0;
        let state = queue.state.lock().unwrap();
        let full = |state: &mut State<T>| state.items.len() == queue.capacity;
        let mut state = queue.not_full.wait_while(state, full).unwrap();
        state.items.push_back(item);
        drop(state);
        queue.not_empty.notify_one();
    }

    pub(crate) fn try_send(&self, item: T) -> bool {
        let mut state = self.0.state.lock().unwrap();
        let free = state.items.len() < self.0.capacity;
        if free {
            state.items.push_back(item);
            drop(state);
            self.0.not_empty.notify_one();
        }
        free
    }
}

impl<T> Receiver<T> {
    pub(crate) fn receive(&self) -> Option<T> {
        let queue = &*self.0;
        let state = queue.state.lock().unwrap();
        let empty = |state: &mut State<T>| state.items.is_empty() && state.senders > 0;
        let mut state = queue.not_empty.wait_while(state, empty).unwrap();
        let item = state.items.pop_front();
        drop(state);
        queue.not_full.notify_one();
        item
    }

    pub(crate) fn try_receive(&self) -> Option<T> {
        let item = self.0.state.lock().unwrap().items.pop_front();
        if item.is_some() {
            self.0.not_full.notify_one();
        }
        item
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.state.lock().unwrap().senders += 1;
        Sender(Arc::clone(&self.0))
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Receiver(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap();
        state.senders -= 1;
        let last = state.senders == 0;
        drop(state);
        if last {
            self.0.not_empty.notify_all();
        }
    }
}

/// A semaphore: a number, a lock and a condvar.
pub(crate) struct Semaphore {
    free: Mutex<usize>,
    some_free: Condvar,
}

impl Semaphore {
    pub(crate) fn new(permits: usize) -> Self {
        Semaphore { free: Mutex::new(permits), some_free: Condvar::new() }
    }

    pub(crate) fn acquire(&self) {
        let free = self.free.lock().unwrap();
        *self.some_free.wait_while(free, |free| *free == 0).unwrap() -= 1;
    }

    pub(crate) fn release(&self) {
        *self.free.lock().unwrap() += 1;
        self.some_free.notify_one();
    }
}
