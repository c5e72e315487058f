//! More threads than processors: 16 and 64.

use crate::Cell;
use crate::cells::{monitor, pool, queue, semaphore, wakeup};

pub(crate) fn all() -> Vec<Cell> {
    let mut cells = vec![
        queue::one_at_a_time((8, 8, 1)),
        queue::one_at_a_time((8, 8, 1024)),
        queue::one_at_a_time((32, 32, 1)),
        queue::one_at_a_time((32, 32, 16)),
        queue::one_at_a_time((32, 32, 1024)),
        queue::one_at_a_time((63, 1, 128)),
        queue::one_at_a_time((1, 63, 128)),
        semaphore::busy(16, 1),
        semaphore::busy(16, 4),
        semaphore::busy(64, 1),
        semaphore::busy(64, 16),
        monitor::turns(16),
        monitor::turns(64),
        pool::bursts((16, 1)),
        pool::bursts((64, 1)),
        pool::bursts((64, 8)),
        // The team has 64 threads, and one of them wakes the others.
        wakeup::cell("from cancel to running, 16 sleeping threads", 16),
        wakeup::cell("from cancel to running, 63 sleeping threads", 63),
    ];
    cells.iter_mut().for_each(|cell| cell.family = format!("crowded: {}", cell.family));
    cells
}
