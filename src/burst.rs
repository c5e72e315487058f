//! Shrinking of queues after a burst. A module of its own, because several unrelated queues use it.

use std::collections::VecDeque;

/// The capacity up to which a queue never shrinks, so that a queue that fills and empties repeatedly does not
/// allocate. A guess: small beside the items of a burst, large beside those of steady work.
const KEPT: usize = 1024;

/// Shrinks a queue that uses less than a quarter of its capacity; called after an item was taken out.
///
/// The queue keeps a capacity of twice its length, so at least half of the items must be taken out before it
/// shrinks again. That pays for the move, so the amortised cost is constant.
#[inline]
pub(crate) fn give_back<T>(queue: &mut VecDeque<T>) {
    // Two comparisons on the path of every removal; the rest is cold.
    if queue.capacity() > KEPT && queue.len() < queue.capacity() / 4 {
        shrink(queue);
    }
}

#[cold]
fn shrink<T>(queue: &mut VecDeque<T>) {
    queue.shrink_to((2 * queue.len()).max(KEPT));
}
