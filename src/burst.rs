//! What a burst of work took is given back. A module of its own, because it is of no use to any one queue
//! more than to another.

use std::collections::VecDeque;

/// Room for so many is kept: below that, a queue that fills and empties again and again allocates nothing.
const KEPT: usize = 1024;

/// Gives memory back if a queue uses less than a quarter of what it has; called after something was taken
/// out.
///
/// It keeps room for twice what is in it, so that half of that must be taken out before the next time: what
/// is moved is paid for by what was taken.
#[inline]
pub(crate) fn give_back<T>(queue: &mut VecDeque<T>) {
    if queue.capacity() > KEPT && queue.len() < queue.capacity() / 4 {
        shrink(queue);
    }
}

#[cold]
fn shrink<T>(queue: &mut VecDeque<T>) {
    queue.shrink_to((2 * queue.len()).max(KEPT));
}
