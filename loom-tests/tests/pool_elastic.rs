//! Models of a pool that grows and shrinks, each with the edits that break it.
//!
//! The clock is the system's, so a worker's keep-alive may expire at any point.

use selvedge_loom as selvedge;

use std::time::Duration;

use selvedge::pool::Workers;
use selvedge::sync::{Arc, model, thread};
use selvedge::{Latch, Pool};

fn pool(workers: impl Into<Workers>, spares: usize) -> Pool {
    let builder = Pool::builder().workers(workers).spares(spares).queue(4);
    builder.keep_alive(Duration::from_secs(1)).build().unwrap()
}

/// Two submitters at once start no more threads than the maximum.
///
/// Fails if a worker is started although the maximum is reached (edit `workers-above-the-maximum`).
#[test]
fn two_submitters_never_start_more_than_the_maximum() {
    model::check(|| {
        let pool = Arc::new(pool(0..=1, 0));
        let other = thread::spawn({
            let pool = Arc::clone(&pool);
            move || pool.execute(|| ()).unwrap()
        });
        pool.execute(|| ()).unwrap();
        other.join().unwrap();
        assert_eq!(pool.shutdown().completed, 2);
        assert_eq!(pool.stats().peak_workers, 1);
    });
}

/// A running task waits for a queued one: the pool is below its maximum, so it starts another worker.
///
/// Fails if the pool does not grow beyond its minimum (edit `workers-grow-late`), or if a worker that wakes
/// for one of two tasks does not notify the next (edit `workers-nobody-calls-the-next`).
#[test]
fn a_queued_task_that_a_running_one_waits_for_gets_a_thread() {
    model::check(|| {
        let pool = pool(1..=2, 0);
        let gate = Arc::new(Latch::new(1));
        let waits = Arc::clone(&gate);
        pool.execute(move || waits.wait()).unwrap();
        pool.execute(move || gate.count_down()).unwrap();
        assert_eq!(pool.shutdown().completed, 2);
    });
}

/// The keep-alives of two workers expire at the same moment: one leaves, and one stays for the next task.
///
/// Fails if the later one does not check how many are left (edit `workers-below-the-minimum`). The
/// reference's way is a negative control in `reference.rs`.
#[test]
fn two_workers_whose_time_is_up_together_leave_one() {
    model::check(|| {
        let pool = pool(1..=2, 0);
        let gate = Arc::new(Latch::new(1));
        let waits = Arc::clone(&gate);
        let first = pool.submit(move || waits.wait()).unwrap();
        pool.execute(move || gate.count_down()).unwrap();
        first.join().unwrap();
        assert!(pool.stats().workers >= 1);
        thread::yield_now();
        assert!(pool.stats().workers >= 1);
        assert_eq!(pool.shutdown().completed, 2);
    });
}

/// A worker's keep-alive expires as a task is submitted: the task runs, and so does the next.
///
/// Fails if a late worker that was notified meanwhile does not count as the waking one (edit
/// `workers-late-worker-is-not-the-one-that-was-called`), or if a worker that is awake still counts as waking
/// (edit `workers-never-arrive`).
#[test]
fn a_submit_that_races_the_end_of_a_workers_time_is_run() {
    model::check(|| {
        let pool = pool(0..=1, 0);
        pool.execute(|| ()).unwrap();
        for n in 0..2 {
            assert_eq!(pool.submit(move || n).unwrap().join().unwrap(), n);
        }
        assert_eq!(pool.shutdown().completed, 3);
    });
}

/// One worker, one spare, and a task that sleeps until a queued one wakes it.
///
/// Fails if a sleeping worker still counts (edit `workers-sleepers-are-not-replaced`), or if the pool does
/// not learn that it sleeps (edit `workers-sleep-is-not-told`).
#[test]
fn a_spare_runs_what_a_sleeping_task_waits_for() {
    model::check(|| {
        let pool = pool(1, 1);
        let gate = Arc::new(Latch::new(1));
        let waits = Arc::clone(&gate);
        pool.execute(move || waits.wait()).unwrap();
        pool.execute(move || gate.count_down()).unwrap();
        assert_eq!(pool.shutdown().completed, 2);
    });
}

/// Two tasks sleep and there is one spare: a third task waits.
///
/// Fails if every sleeper is replaced (edit `workers-more-spares-than-there-are`).
#[test]
fn no_more_sleepers_are_replaced_than_there_are_spares() {
    model::check(|| {
        let pool = pool(1, 1);
        let gate = Arc::new(Latch::new(1));
        for _ in 0..2 {
            let waits = Arc::clone(&gate);
            pool.execute(move || waits.wait()).unwrap();
        }
        pool.execute(|| ()).unwrap();
        gate.count_down();
        assert_eq!(pool.shutdown().completed, 3);
        assert!(pool.stats().peak_workers <= 2);
    });
}

/// A pool that is resized down while its workers are idle, or about to be, loses one at once.
///
/// Fails if the idle ones are not woken (edit `workers-resize-wakes-nobody`).
#[test]
fn an_idle_worker_leaves_when_the_pool_is_made_smaller() {
    model::check(|| {
        let left = Arc::new(Latch::new(2));
        let leaves = Arc::clone(&left);
        let builder = Pool::builder().workers(2).on_exit(move || leaves.count_down());
        let pool = builder.build().unwrap();
        pool.resize(1).unwrap();
        while left.count() == 2 {
            thread::yield_now();
        }
        assert_eq!(left.count(), 1);
        pool.shutdown();
        assert!(left.is_open());
    });
}

/// A shutdown while the workers are idle, or about to be, ends.
///
/// Fails if the idle ones are not woken (edit `workers-close-wakes-nobody`).
#[test]
fn an_idle_worker_leaves_when_the_pool_is_shut_down() {
    model::check(|| {
        let pool = pool(2, 0);
        pool.execute(|| ()).unwrap();
        assert_eq!(pool.shutdown().completed, 1);
    });
}

/// The system refuses the second thread as the first goes idle and a task arrives.
///
/// Fails if the thread that was refused leaves without notifying the idle worker (edit
/// `workers-refused-calls-nobody`).
#[test]
fn a_refused_thread_leaves_no_task_behind() {
    model::check(|| {
        model::refuse_threads_after(1);
        // Without a keep-alive, whose end would wake the idle worker too.
        let pool = Arc::new(Pool::builder().workers(1..=2).keep_alive(Duration::MAX).build().unwrap());
        let (started, gate) = (Arc::new(Latch::new(1)), Arc::new(Latch::new(1)));
        let first = pool.submit({
            let (started, gate) = (Arc::clone(&started), Arc::clone(&gate));
            move || {
                started.count_down();
                gate.wait();
            }
        });
        started.wait();
        let other = thread::spawn({
            let pool = Arc::clone(&pool);
            move || {
                gate.count_down();
                first.unwrap().join().unwrap();
                pool.submit(|| ()).unwrap().join().unwrap();
            }
        });
        // The second thread, while the first is busy.
        pool.execute(|| ()).unwrap();
        other.join().unwrap();
        assert_eq!(pool.shutdown().completed, 3);
    });
}

/// The system refuses every thread: two submitters run the tasks inline, each once, and such a task that
/// submits and joins another does not wait for itself.
///
/// Fails if an inline run does not count as inside the pool (edit `workers-inline-run-is-outside`).
#[test]
fn without_any_thread_the_submitters_run_the_tasks() {
    model::check(|| {
        model::refuse_threads_after(0);
        let pool = Arc::new(pool(0..=1, 0));
        let other = thread::spawn({
            let pool = Arc::clone(&pool);
            move || pool.execute(|| ()).unwrap()
        });
        let inner = Arc::clone(&pool);
        pool.execute(move || inner.submit(|| ()).unwrap().join().unwrap()).unwrap();
        other.join().unwrap();
        assert_eq!(pool.shutdown().completed, 3);
    });
}
