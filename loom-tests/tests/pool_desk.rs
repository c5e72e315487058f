//! Models of what a pool's workers keep for themselves, with the edit that breaks each.
//!
//! In a model a local queue is lent two places of a queue of eight, and a worker looks round at every fourth
//! task.

use selvedge_loom as selvedge;

use std::time::Duration;

use selvedge::pool::Workers;
use selvedge::sync::atomic::{AtomicUsize, Ordering};
use selvedge::sync::{Arc, model, thread};
use selvedge::{Latch, Pool};

fn pool(workers: impl Into<Workers>) -> Arc<Pool> {
    let builder = Pool::builder().workers(workers).queue(8).keep_alive(Duration::MAX);
    Arc::new(builder.build().unwrap())
}

/// A task waits for one that it has submitted, and which lies on its own worker's desk: the other worker
/// takes it.
///
/// Fails if nobody looks at the local queues when somebody could be called (edit `desk-is-not-looked-at`), or
/// if who is called does not (edit `desk-is-passed-by`).
#[test]
fn a_task_that_waits_for_what_its_worker_keeps_goes_on() {
    model::check(|| {
        let pool = pool(1..=2);
        let inner = Arc::clone(&pool);
        let task = move || {
            let gate = Arc::new(Latch::new(1));
            let opens = Arc::clone(&gate);
            inner.execute(move || opens.count_down()).unwrap();
            drop(inner);
            gate.wait();
        };
        pool.execute(task).unwrap();
        pool.shutdown();
    });
}

/// The same for the second of two, while the other worker runs the first, finds nothing and goes to bed; and
/// the task looks all the time instead of sleeping, so the pool does not hear that it waits.
///
/// Fails if a worker that goes to bed does not ask to be told (edit `desk-tells-nobody`).
#[test]
fn a_task_that_is_kept_while_the_other_worker_goes_to_bed_is_run() {
    model::check(|| {
        let pool = pool(1..=2);
        let inner = Arc::clone(&pool);
        let task = move || {
            let open = Arc::new(AtomicUsize::new(0));
            let opens = Arc::clone(&open);
            inner.execute(|| ()).unwrap();
            inner.execute(move || opens.store(1, Ordering::Release)).unwrap();
            while open.load(Ordering::Acquire) == 0 {
                thread::yield_now();
            }
            // Now the pool may be shut down, which wakes the other worker.
            drop(inner);
        };
        pool.execute(task).unwrap();
    });
}

/// A worker that is one too many has something on its desk: it is run all the same.
///
/// Fails if it is dropped with the local queue (edit `desk-is-cleared-onto-the-floor`).
#[test]
fn what_a_dismissed_worker_kept_is_run() {
    model::check(|| {
        let pool = pool(1..=2);
        let runs = Arc::new(AtomicUsize::new(0));
        let (inner, counted) = (Arc::clone(&pool), Arc::clone(&runs));
        let task = pool.submit(move || {
            let counted = Arc::clone(&counted);
            let count = move || {
                counted.fetch_add(1, Ordering::Relaxed);
            };
            inner.execute(count).unwrap();
        });
        pool.resize(1).unwrap();
        task.unwrap().join().unwrap();
        assert_eq!(pool.shutdown().completed, 2);
        assert_eq!(runs.load(Ordering::Relaxed), 1);
    });
}

/// A task submits while the pool is shut down: what is accepted is run before the shutdown returns.
///
/// Fails if a local queue takes tasks after the close (edit `desk-stays-open`).
#[test]
fn a_task_that_submits_during_a_shutdown_is_told_or_served() {
    model::check(|| {
        let pool = pool(1);
        let accepted = Arc::new(AtomicUsize::new(0));
        let (inner, counted) = (Arc::downgrade(&pool), Arc::clone(&accepted));
        pool.execute(move || {
            let Some(inner) = inner.upgrade() else { return };
            let taken = inner.execute(|| ()).is_ok();
            counted.store(usize::from(taken), Ordering::Relaxed);
            // Whoever has seen the pool closed finds it closed.
            if inner.is_closed() {
                assert!(inner.execute(|| ()).is_err());
            }
        })
        .unwrap();
        let report = pool.shutdown();
        assert_eq!(report.panicked, 0);
        assert_eq!(report.completed, 1 + accepted.load(Ordering::Relaxed));
    });
}
