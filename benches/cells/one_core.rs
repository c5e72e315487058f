//! All threads on one processor, as in a container that has one. Measured in a process that is kept there.

use crate::Cell;
use crate::cells::{group, pool, queue, semaphore};

pub(crate) fn all() -> Vec<Cell> {
    let mut cells = Vec::new();
    for threads in [1, 2, 8] {
        cells.extend([1, 16, 1024].map(|capacity| queue::one_at_a_time((threads, threads, capacity))));
    }
    cells.extend(semaphore::all());
    cells.extend([pool::bursts((1, 1)), pool::bursts((2, 1)), pool::bursts((8, 2)), pool::results()]);
    cells.extend(group::spawned());
    cells.iter_mut().for_each(|cell| cell.family = format!("one core: {}", cell.family));
    cells
}
