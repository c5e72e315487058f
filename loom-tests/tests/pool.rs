//! Models of `Pool` and `Task`, with the edit that breaks each.

use selvedge_loom as selvedge;

use selvedge::pool::TaskError;
use selvedge::sync::atomic::{AtomicUsize, Ordering};
use selvedge::sync::{Arc, model, thread};
use selvedge::{CancelToken, Pool};

fn pool(workers: usize, queue: usize) -> Pool {
    Pool::builder().workers(workers).queue(queue).build().unwrap()
}

/// A submit races a shutdown: either the task is refused and its closure comes back, or it runs before the
/// shutdown returns.
///
/// Fails if workers stop at the close although tasks are left (edit `pool-worker-leaves-early`).
#[test]
fn a_submit_that_races_a_shutdown_is_run_or_refused() {
    model::check(|| {
        let pool = Arc::new(pool(1, 1));
        let runs = Arc::new(AtomicUsize::new(0));
        let submitter = thread::spawn({
            let (pool, runs) = (Arc::clone(&pool), Arc::clone(&runs));
            move || {
                let task = move || {
                    runs.fetch_add(1, Ordering::Relaxed);
                };
                pool.execute(task).is_ok()
            }
        });
        let report = pool.shutdown();
        let seen = runs.load(Ordering::Relaxed);
        let accepted = submitter.join().unwrap();
        // Accepted before the close: done when `shutdown` returns. The count may lag only if the submit
        // came after, and then it was refused.
        assert_eq!(seen, usize::from(accepted));
        assert_eq!(report.completed, seen);
    });
}

/// The last task races the last worker's going: who joins is woken.
///
/// Fails if the end of a task wakes nobody (edit `pool-end-wakes-nobody`).
#[test]
fn the_end_of_a_task_wakes_its_joiner() {
    model::check(|| {
        let pool = pool(1, 1);
        let task = pool.submit(|| 7).unwrap();
        let closer = thread::spawn(move || pool.shutdown().completed);
        assert_eq!(task.join().unwrap(), 7);
        assert_eq!(closer.join().unwrap(), 1);
    });
}

/// Two threads shut the pool down together: both return, and the workers are joined once.
///
/// Fails if a worker does not leave the wait group (edit `pool-worker-never-leaves`).
#[test]
fn two_shutdowns_at_once_both_return() {
    model::check(|| {
        let pool = Arc::new(pool(1, 1));
        let task = pool.submit(|| ()).unwrap();
        let other = thread::spawn({
            let pool = Arc::clone(&pool);
            move || pool.shutdown().completed
        });
        assert_eq!(pool.shutdown().completed, 1);
        assert_eq!(other.join().unwrap(), 1);
        task.join().unwrap();
    });
}

/// A cancel races the worker for a task: it runs once and has a result, or never and is cancelled.
///
/// Fails if a cancel says that it came in time whatever happened (edit `pool-cancel-claims-too-much`).
#[test]
fn a_cancel_that_races_the_start_decides_once() {
    model::check(|| {
        let pool = pool(1, 1);
        let runs = Arc::new(AtomicUsize::new(0));
        let task = pool
            .submit({
                let runs = Arc::clone(&runs);
                move || {
                    runs.fetch_add(1, Ordering::Relaxed);
                }
            })
            .unwrap();
        let revoked = task.cancel();
        match task.join() {
            Ok(()) => assert!(!revoked && runs.load(Ordering::Relaxed) == 1),
            Err(TaskError::Cancelled) => assert!(revoked && runs.load(Ordering::Relaxed) == 0),
            Err(other) => panic!("{other}"),
        }
    });
}

/// An abort races the worker: what is handed back was not run, what was run is not handed back.
///
/// Fails if dropping a task that was handed back leaves its handle waiting (edit
/// `pool-unstarted-keeps-its-handle-waiting`).
#[test]
fn an_abort_hands_back_what_nobody_started() {
    model::check(|| {
        let pool = pool(1, 2);
        let tasks = [1, 2].map(|id| pool.submit(move || id).unwrap());
        let report = pool.abort();
        assert_eq!(report.completed + report.unstarted.len(), 2);
        drop(report);
        let results = tasks.map(|task| task.join());
        // First in, first out: the second never ran without the first.
        assert!(results[0].is_ok() || results[1].is_err());
    });
}

/// At one worker and a queue of one: a task that submits two more to its own pool and joins them does not
/// wait for itself.
///
/// Fails if a worker waits for room in its own queue (edit `pool-worker-waits-for-room`), or for a task that
/// nobody has started (edit `pool-worker-waits-for-a-task`).
#[test]
fn a_task_that_submits_and_joins_on_its_own_pool_ends() {
    model::check(|| {
        let pool = Arc::new(pool(1, 1));
        let outer = pool
            .submit({
                let pool = Arc::downgrade(&pool);
                move || {
                    let pool = pool.upgrade().unwrap();
                    let first = pool.submit(|| 1).unwrap();
                    let second = pool.submit(|| 2).unwrap();
                    second.join().unwrap() + first.join().unwrap()
                }
            })
            .unwrap();
        assert_eq!(outer.join().unwrap(), 3);
        pool.shutdown();
    });
}

/// A task that panics does so to its handle; the worker runs the next one.
///
/// Fails if it is not caught around the closure (edit `pool-panic-is-not-caught`).
#[test]
fn a_panic_goes_to_the_handle_and_the_worker_lives_on() {
    model::check(|| {
        let pool = pool(1, 2);
        let bad = pool.submit(|| std::panic::resume_unwind(Box::new("on purpose"))).unwrap();
        let good = pool.submit(|| 7).unwrap();
        match bad.join() {
            Err(TaskError::Panicked(panic)) => assert_eq!(panic.message(), "on purpose"),
            other => panic!("{other:?}"),
        }
        assert_eq!(good.join().unwrap(), 7);
        assert_eq!(pool.shutdown().panicked, 1);
    });
}

/// Two workers share what is in the queue; shutting down from inside a task hangs nobody.
///
/// Fails if a worker that shuts its own pool down waits for itself (edit `pool-worker-joins-itself`).
#[test]
fn shutting_down_from_inside_a_task_returns() {
    model::check(|| {
        let pool = Arc::new(pool(1, 1));
        let inner = pool
            .submit({
                let pool = Arc::downgrade(&pool);
                move || pool.upgrade().unwrap().shutdown().running.len()
            })
            .unwrap();
        assert_eq!(inner.join().unwrap(), 1);
        assert!(pool.shutdown().running.is_empty());
    });
}

/// A join that is cancelled gives the handle back, and the task goes on to its result.
///
/// Fails if a sleep does not tell its token (edit `sleep-forgets-the-token`).
#[test]
fn a_cancelled_join_gives_the_handle_back() {
    model::check(|| {
        let pool = pool(1, 1);
        let stop = CancelToken::new();
        let gate = CancelToken::new();
        let task = pool
            .submit({
                let gate = gate.clone();
                move || gate.wait()
            })
            .unwrap();
        let canceller = thread::spawn({
            let stop = stop.clone();
            move || stop.cancel()
        });
        let task = task.join_until(&stop).unwrap_err().into_value();
        gate.cancel();
        task.join().unwrap();
        canceller.join().unwrap();
    });
}
