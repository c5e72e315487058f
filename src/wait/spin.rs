//! A short look-out before sleeping.

use crate::sync::{hint, sized, thread};

/// Doublings of the pause: 1, 2, 4, 8 spin hints.
const PAUSES: usize = sized(4, 0);
/// Times that the processor is offered to another thread. With 4 doublings and 16 yields a queue of capacity
/// 1 hands an item over in 130 to 320 ns instead of 35,000; spinning longer costs others more than it
/// brings, because a spinner keeps the core that the thread it waits for would wake on.
const YIELDS: usize = sized(16, 0);

/// Waits a few microseconds at most for `ready`, without sleeping; says whether it came true.
///
/// In a model it does not wait at all, and does not call `ready`.
#[allow(clippy::reversed_empty_ranges, reason = "in a model both counts are 0")]
pub(crate) fn spin_until(mut ready: impl FnMut() -> bool) -> bool {
    for doubling in 0..PAUSES {
        if ready() {
            return true;
        }
        for _ in 0..1 << doubling {
            hint::spin_loop();
        }
    }
    for _ in 0..YIELDS {
        if ready() {
            return true;
        }
        thread::yield_now();
    }
    false
}
