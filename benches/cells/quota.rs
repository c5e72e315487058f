//! Half a processor, as a container's quota gives it: when it is used up, nobody runs until the period ends.
//! Measured in a process that is in such a group.

use crate::Cell;
use crate::cells::{group, neighbours, pool, queue, semaphore, wakeup};

pub(crate) fn all() -> Vec<Cell> {
    let mut cells = vec![
        queue::one_at_a_time((1, 1, 16)),
        queue::one_at_a_time((2, 2, 128)),
        queue::one_at_a_time((8, 8, 16)),
        semaphore::pair(),
        semaphore::busy(8, 4),
        pool::bursts((2, 1)),
        wakeup::cell("from cancel to running, 1 sleeping thread", 1),
    ];
    cells.extend(group::spawned().pop());
    cells.iter_mut().for_each(|cell| cell.family = "quota".to_owned());
    cells.extend(neighbours::lateness("quota, lateness"));
    cells
}
