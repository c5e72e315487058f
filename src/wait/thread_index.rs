//! A small number for each thread, unique among living threads.
//!
//! For data that each thread has to itself: the cells of a [counter](crate::StripedCounter), and the slots of
//! a [map's](crate::ShardedMap) readers. A thread that needs one gets the lowest index that no living thread
//! has, and returns it when it exits. So indices stay below the largest number of threads that ever had one
//! at the same time.
//!
//! # Ordering
//! One mutex orders everything: what a thread did before it returned its index is visible to the next thread
//! that gets the index. That is why a cell can be written without read-modify-write operations.

use std::cell::Cell;
use std::collections::BTreeSet;

use crate::sync::{Arc, Mutex, lazy_static, thread_local};

/// The free indices, and the first one that was never used.
#[derive(Default)]
struct Free {
    returned: BTreeSet<usize>,
    next: usize,
}

lazy_static! {
    static ref FREE: Arc<Mutex<Free>> = Arc::default();
}

/// An index that is returned when its thread exits.
struct Index {
    index: usize,
    free: Arc<Mutex<Free>>,
}

/// No index yet.
const NONE: usize = usize::MAX;

thread_local! {
    /// The index, in a thread-local without a destructor, whose access needs no check.
    static CURRENT: Cell<usize> = const { Cell::new(NONE) };
}

thread_local! {
    static INDEX: Index = Index::assign();
}

/// Returns this thread's index, if it has one already.
#[inline]
pub(crate) fn current() -> Option<usize> {
    // `Err` in a model only, whose thread-locals end with their thread.
    let index = CURRENT.try_with(Cell::get).unwrap_or(NONE);
    (index != NONE).then_some(index)
}

/// Returns this thread's index, a new one if it has none. `None` on an exiting thread that has returned its
/// index.
#[cold]
pub(crate) fn assign() -> Option<usize> {
    INDEX
        .try_with(|guard| {
            // Set after the guard exists, so that an index in `CURRENT` is always returned when the thread
            // exits.
            CURRENT.with(|index| index.set(guard.index));
            guard.index
        })
        .ok()
}

/// Returns a number above all indices that are in use. A thread that gets a higher one later sees all that
/// this thread did before the call.
pub(crate) fn used() -> usize {
    FREE.lock().next
}

impl Index {
    fn assign() -> Self {
        let free = Arc::clone(&FREE);
        let mut state = free.lock();
        // The lowest free index, so that segments of counters stay few.
        let index = state.returned.pop_first().unwrap_or(state.next);
        state.next = state.next.max(index + 1);
        drop(state);
        Index { index, free }
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        // Cleared first: after the insertion below, another thread may be writing to the cell.
        let _ = CURRENT.try_with(|index| index.set(NONE));
        // The lock publishes this thread's additions to the next owner of the index.
        self.free.lock().returned.insert(self.index);
    }
}
