//! A number for each thread: small, and its own as long as it lives.
//!
//! A thread that counts gets the lowest number that no living thread has, and gives it back when it ends. So
//! numbers stay below the largest number of threads that ever counted at the same time, and no two threads
//! have the same one.
//!
//! # Ordering
//! One mutex: what a thread did before it gave its number back is visible to the next that gets it. That is
//! what lets a place be written without read-modify-write operations.

use std::cell::Cell;
use std::collections::BTreeSet;

use crate::sync::{Arc, Mutex, lazy_static, thread_local};

/// Numbers that are free, and the first that was never given out.
#[derive(Default)]
struct Free {
    returned: BTreeSet<usize>,
    next: usize,
}

lazy_static! {
    static ref FREE: Arc<Mutex<Free>> = Arc::default();
}

/// A number that is given back when its thread ends.
struct Ticket {
    place: usize,
    free: Arc<Mutex<Free>>,
}

/// No number yet.
const NONE: usize = usize::MAX;

thread_local! {
    /// The number, where reading costs nothing: no destructor, so no check whether it has run.
    static PLACE: Cell<usize> = const { Cell::new(NONE) };
}

thread_local! {
    static TICKET: Ticket = Ticket::draw();
}

/// This thread's number, if it has one by now.
#[inline]
pub(super) fn current() -> Option<usize> {
    let place = PLACE.try_with(Cell::get).unwrap_or(NONE);
    (place != NONE).then_some(place)
}

/// This thread's number, a new one if it has none. `None` on a thread that is at its end and has given its
/// number back.
#[cold]
pub(super) fn draw() -> Option<usize> {
    TICKET
        .try_with(|ticket| {
            PLACE.with(|place| place.set(ticket.place));
            ticket.place
        })
        .ok()
}

impl Ticket {
    fn draw() -> Self {
        let free = Arc::clone(&FREE);
        let mut state = free.lock();
        let place = state.returned.pop_first().unwrap_or(state.next);
        state.next = state.next.max(place + 1);
        drop(state);
        Ticket { place, free }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // From here on this thread has no number: the next one may be writing to its place.
        let _ = PLACE.try_with(|place| place.set(NONE));
        self.free.lock().returned.insert(self.place);
    }
}
