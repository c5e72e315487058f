//! `Pool` with its hooks, tasks, streams, and what an abort gives back.

use std::sync::Mutex;

use selvedge::error::JoinError;
use selvedge::{Latch, Pool};

use super::*;

fn pool(workers: usize) -> Pool {
    Pool::builder().workers(workers).queue(100).build().unwrap()
}

/// A pool of one worker, which is busy until the latch opens.
fn busy() -> (Pool, Arc<Latch>) {
    let (pool, gate, begun) = (pool(1), Arc::new(Latch::new(1)), Arc::new(Latch::new(1)));
    let (opens, begins) = (Arc::clone(&gate), Arc::clone(&begun));
    pool.execute(move || {
        begins.count_down();
        opens.wait();
    })
    .unwrap();
    begun.wait();
    (pool, gate)
}

#[test]
fn tasks_that_panic_are_counted_and_no_worker_is_lost() {
    row(|| {
        let pool = pool(2);
        for _ in 0..20 {
            pool.execute(|| blow("nobody joins")).unwrap();
            drop(pool.submit(|| blow("nobody joins")).unwrap());
        }
        let joined = pool.submit(|| blow("joined")).unwrap().join();
        let Err(JoinError::Panicked(panic)) = joined else { panic!("{:?}", joined.err()) };
        assert_eq!(panic_of(|| panic.resume()), "joined");
        assert_eq!(pool.submit(|| 7).unwrap().join().unwrap(), 7);
        let report = pool.shutdown();
        assert_eq!((report.panicked, report.completed, report.running.len()), (41, 1, 0));
    });
}

#[test]
fn results_that_nobody_joins_are_dropped_once_and_no_worker_is_lost() {
    row(|| {
        let (pool, touchies) = (pool(2), Touchies::default());
        for _ in 0..20 {
            let values = touchies.clone();
            drop(pool.submit(move || values.make()).unwrap());
            let values = touchies.clone();
            let task = pool.submit(move || values.make()).unwrap();
            eventually("the task has ended", || task.is_finished());
            // Here as on a worker.
            drop(task);
        }
        eventually("all are dropped", || touchies.dropped() == 40);
        let report = pool.shutdown();
        assert_eq!((report.completed, report.panicked), (40, 0));
    });
}

#[test]
fn cancelled_closures_whose_drop_panics_are_cancelled_all_the_same() {
    row(|| {
        let (pool, gate) = busy();
        let touchies = Touchies::default();
        for _ in 0..3 {
            let touchy = touchies.make();
            let task = pool.submit(move || drop(touchy)).unwrap();
            assert!(task.cancel());
            assert!(matches!(task.join(), Err(JoinError::Cancelled)));
        }
        gate.count_down();
        let report = pool.shutdown();
        assert_eq!((report.cancelled, report.completed, touchies.dropped()), (3, 1, 3));
    });
}

#[test]
fn aborted_closures_whose_drop_panics_are_each_cancelled() {
    row(|| {
        let (pool, gate) = busy();
        let touchies = Touchies::default();
        let results = pool.results();
        let mut tasks = Vec::new();
        for _ in 0..3 {
            let [a, b, c] = [(); 3].map(|()| touchies.make());
            tasks.push(pool.submit(move || drop(a)).unwrap());
            pool.execute(move || drop(b)).unwrap();
            results.submit(move || drop(c)).unwrap();
        }
        let report = std::thread::scope(|s| {
            let report = s.spawn(|| pool.abort());
            eventually("the pool is closed", || pool.is_closed());
            gate.count_down();
            report.join().unwrap()
        });
        assert_eq!(report.unstarted.len(), 9);
        drop(report);
        assert_eq!(touchies.dropped(), 9);
        assert!(tasks.into_iter().all(|task| matches!(task.join(), Err(JoinError::Cancelled))));
        let told: Vec<_> = (&results).into_iter().map(|(number, result)| (number, result.is_err())).collect();
        assert_eq!(told, [(0, true), (1, true), (2, true)]);
        drop(results);
        assert_eq!(pool.stats().cancelled, 9);
    });
}

#[test]
fn unstarted_task_that_is_run_panics_to_its_handle_or_the_hook() {
    row(|| {
        let told = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&told);
        let hook =
            move |panic: selvedge::error::Panic| hears.lock().unwrap().push(received(panic.into_payload()));
        let (gate, begun) = (Arc::new(Latch::new(1)), Arc::new(Latch::new(1)));
        let pool = Pool::builder().workers(1).queue(10).on_panic(hook).build().unwrap();
        let (opens, begins) = (Arc::clone(&gate), Arc::clone(&begun));
        pool.execute(move || {
            begins.count_down();
            opens.wait();
        })
        .unwrap();
        begun.wait();
        let task = pool.submit(|| blow("a task")).unwrap();
        pool.execute(|| blow("an errand")).unwrap();
        let touchies = Touchies::default();
        let values = touchies.clone();
        drop(pool.submit(move || values.make()).unwrap());
        let report = std::thread::scope(|s| {
            let report = s.spawn(|| pool.abort());
            eventually("the pool is closed", || pool.is_closed());
            gate.count_down();
            report.join().unwrap()
        });
        report.unstarted.into_iter().for_each(|task| task.run());
        let Err(JoinError::Panicked(panic)) = task.join() else { panic!("it panicked") };
        assert_eq!(received(panic.into_payload()), "a task");
        assert_eq!((&*told.lock().unwrap(), touchies.dropped()), (&vec!["an errand".to_owned()], 1));
    });
}

#[test]
fn stream_that_is_dropped_tells_the_hook_of_each_panic_among_results_that_panic() {
    row(|| {
        let (told, touchies) = (Calls::default(), Touchies::default());
        let hears = told.clone();
        let hook = move |panic| {
            hears.hear();
            drop::<selvedge::error::Panic>(panic); // its payload panics here, in the hook
        };
        let pool = Pool::builder().workers(1).on_panic(hook).build().unwrap();
        let results = pool.results();
        for n in 0..10 {
            let values = touchies.clone();
            results.submit(move || if n % 2 == 0 { values.make() } else { blow("a task") }).unwrap();
        }
        eventually("all have ended", || results.under_way() == 0);
        drop(results);
        assert_eq!((told.count(), touchies.dropped()), (5, 5));
        assert_eq!(pool.submit(|| 1).unwrap().join().unwrap(), 1);
    });
}

#[test]
fn hooks_of_workers_that_panic_take_no_worker_with_them() {
    row(|| {
        let builder =
            Pool::builder().workers(2).on_start(|| blow("at the start")).on_exit(|| blow("at the end"));
        let hook = |panic: selvedge::error::Panic| {
            // Taken out first: a payload that panics while this hook's own panic unwinds would end the
            // process.
            received(panic.into_payload());
            blow("in the hook")
        };
        let pool = builder.on_panic(hook).build().unwrap();
        for _ in 0..10 {
            pool.execute(|| blow("a task")).unwrap();
        }
        let report = pool.shutdown();
        assert_eq!((report.panicked, report.running.len()), (10, 0));
    });
}

#[test]
fn closure_that_a_full_pool_refuses_is_the_callers() {
    row(|| {
        let (pool, gate) = busy();
        let touchies = Touchies::default();
        (0..100).for_each(|_| pool.execute(|| ()).unwrap());
        let touchy = touchies.make();
        let refused = pool.try_submit(move || drop(touchy)).err().unwrap();
        assert_eq!(panic_of(|| drop(refused)), "a value's drop");
        gate.count_down();
        assert_eq!((pool.shutdown().completed, touchies.dropped()), (101, 1));
    });
}
