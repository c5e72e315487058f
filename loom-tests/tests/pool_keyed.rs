//! Models of tasks with keys, with the edits that break each.

use selvedge_loom as selvedge;

use selvedge::sync::{model, thread};
use selvedge::{Pool, pool::Keyed};

fn keyed(queue: usize) -> (Pool, Keyed<u32>) {
    let pool = Pool::builder().workers(1).queue(1).build().unwrap();
    let keyed = pool.keyed().queue(queue);
    (pool, keyed)
}

/// A task is submitted while the last one of its key ends: it is run, and the key is forgotten.
///
/// Fails if a runner that finds its key queue empty is still counted (edit `keyed-runner-never-ends`).
#[test]
fn a_task_that_meets_the_end_of_its_keys_last_is_run() {
    model::check(|| {
        let (_pool, keyed) = keyed(1);
        let first = keyed.submit(&1, || 1).unwrap();
        assert_eq!(first.join().unwrap(), 1);
        // The runner of the first may be at any point of its end.
        assert_eq!(keyed.submit(&1, || 2).unwrap().join().unwrap(), 2);
    });
}

/// A submit waits for room in a full key while the pool is shut down: it is refused or its task is run, and
/// what was accepted before is run.
///
/// Fails if the close does not reach the key queues (edit `keyed-close-tells-nobody`), or if a runner that
/// cannot enter the closed queue leaves its tasks behind (edit `keyed-runner-leaves-at-the-close`).
#[test]
fn a_submit_to_a_full_key_that_meets_a_shutdown_ends() {
    model::check(|| {
        let (pool, keyed) = keyed(1);
        keyed.execute(&1, || ()).unwrap();
        let submits = thread::spawn(move || keyed.execute(&1, || ()).is_ok());
        let report = pool.shutdown();
        let accepted = submits.join().unwrap();
        assert_eq!(report.completed, 1 + usize::from(accepted));
    });
}

/// An abort meets a key with two tasks: what was not run comes back, each task once.
///
/// Fails if an abort leaves the tasks of the keys where they are (edit `keyed-abort-forgets-the-queues`).
#[test]
fn an_abort_takes_the_tasks_of_a_key_back() {
    model::check(|| {
        let (pool, keyed) = keyed(2);
        let tasks = [1, 2].map(|number| keyed.submit(&7, move || number).unwrap());
        let report = pool.abort();
        assert_eq!(report.completed + report.unstarted.len(), 2);
        drop(report);
        let results = tasks.map(|task| task.join());
        assert!(results[0].is_ok() || results[1].is_err(), "in order");
    });
}
