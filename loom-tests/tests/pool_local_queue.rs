//! Models of the workers' local queues, each with the edit that breaks it.
//!
//! In a model a local queue borrows two of the injector's eight places, and a worker looks at the others'
//! queues after every fourth task.

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

/// A task waits for one that it has submitted to its own worker's local queue: the other worker takes it.
///
/// Fails if local queues are not considered when a worker could be notified (edit
/// `local-queue-is-not-looked-at`), or if the notified worker does not search them (edit
/// `local-queue-is-passed-by`).
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

/// The same for the second of two tasks, while the other worker runs the first, finds nothing and goes to
/// sleep. The waiting task polls instead of sleeping, so the pool does not learn that it waits.
///
/// Fails if a worker that goes to sleep is not notified of a local queue's tasks (edit
/// `local-queue-tells-nobody`).
#[test]
fn a_task_that_is_kept_while_the_other_worker_goes_to_sleep_is_run() {
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

/// A worker that leaves because the pool was resized has a task in its local queue: the task is run.
///
/// Fails if it is dropped with the local queue (edit `local-queue-drops-what-it-clears`).
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

/// A task submits while the pool is shut down: an accepted task has run when the shutdown returns.
///
/// Fails if a local queue takes tasks after the close (edit `local-queue-stays-open`).
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
            // A thread that has seen the pool closed finds it closed.
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

/// A worker steals two tasks, and the first waits for the second, which the thief's local queue keeps: the
/// other worker runs it. The workers give back the capacity that was lent, and no more.
///
/// Fails if a thief loses what it does not run at once (edit `stolen-tasks-are-dropped`), or if the capacity
/// that the tasks occupy stays behind (edit `stolen-tasks-leave-their-capacity`).
#[test]
fn tasks_that_are_stolen_together_are_all_run() {
    model::check(|| {
        let pool = pool(1..=2);
        let inner = Arc::clone(&pool);
        let task = move || {
            let gate = Arc::new(Latch::new(1));
            let opens = Arc::clone(&gate);
            inner.execute(move || gate.wait()).unwrap();
            inner.execute(move || opens.count_down()).unwrap();
            // Now the pool may be shut down.
            drop(inner);
        };
        pool.execute(task).unwrap();
    });
}
