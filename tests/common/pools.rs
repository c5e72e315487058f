//! Pools as the tests need them.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;

use super::eventually;
use selvedge::pool::{Report, Workers};
use selvedge::{Latch, Pool, Task};

pub(crate) fn pool(workers: impl Into<Workers>, queue: usize) -> Arc<Pool> {
    Arc::new(Pool::builder().name("test").workers(workers).queue(queue).build().unwrap())
}

/// Occupies a worker until the latch opens; returns once it is at work.
pub(crate) fn occupy(pool: &Pool) -> Arc<Latch> {
    let (gate, started) = (Arc::new(Latch::new(1)), Arc::new(Latch::new(1)));
    let (waits, starts) = (Arc::clone(&gate), Arc::clone(&started));
    pool.execute(move || {
        starts.count_down();
        waits.wait();
    })
    .unwrap();
    started.wait();
    gate
}

/// A pool of one worker, which stays busy until the latch opens.
pub(crate) fn busy(queue: usize) -> (Arc<Pool>, Arc<Latch>) {
    let pool = pool(1, queue);
    let gate = occupy(&pool);
    (pool, gate)
}

/// Aborts a busy pool: opens the gate when the queue has been emptied.
pub(crate) fn abort(pool: &Arc<Pool>, gate: &Latch) -> Report {
    abort_and_open_when(pool, gate, || pool.stats().queued == 0)
}

/// Aborts a busy pool: opens the gate when all its queues have been emptied.
pub(crate) fn abort_and_open_when(pool: &Arc<Pool>, gate: &Latch, drained: impl Fn() -> bool) -> Report {
    let aborter = thread::spawn({
        let pool = Arc::clone(pool);
        move || pool.abort()
    });
    eventually("the queue is drained", || pool.is_closed() && drained());
    gate.count_down();
    aborter.join().unwrap()
}

/// Submits a task that panics with a payload.
pub(crate) fn submit_panic(pool: &Pool, payload: impl Send + 'static) -> Task<()> {
    pool.submit(move || std::panic::resume_unwind(Box::new(payload))).unwrap()
}

/// Sends its number when dropped.
#[derive(Debug)]
pub(crate) struct Tells(pub(crate) usize, pub(crate) Sender<usize>);

impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.1.send(self.0);
    }
}
