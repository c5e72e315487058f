//! The end of a pool: what was accepted is run or handed back, and everybody who waits for it returns.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::common::pools::{abort, busy, occupy, pool, submit_panic};
use crate::common::{HOUR, eventually, until_figure, within_a_minute};
use selvedge::error::JoinError;
use selvedge::error::{Closed, WaitError};
use selvedge::{CancelToken, Clock, Pool, Task};

#[test]
fn shutdown_wakes_a_sleeping_submit_and_gives_the_closure_back() {
    within_a_minute(|| {
        let (pool, gate) = busy(1);
        pool.execute(|| ()).unwrap();
        let submitter = thread::spawn({
            let pool = Arc::clone(&pool);
            move || pool.submit(|| 6).map_err(|it| (it.error, (it.value)())).err()
        });
        until_figure(&pool, "waiting_to_submit", 1);
        assert_eq!(pool.shutdown_until(Duration::ZERO).unwrap_err().error, WaitError::TimedOut);
        assert_eq!(submitter.join().unwrap(), Some((Closed, 6)));
        gate.count_down();
        assert_eq!(pool.shutdown().completed, 2);
    });
}

#[test]
fn shutdown_twice_and_from_many_threads_returns_to_each_when_the_workers_have_gone() {
    within_a_minute(|| {
        let (pool, gate) = busy(10);
        for _ in 0..10 {
            pool.execute(|| ()).unwrap();
        }
        let callers = [(); 4].map(|()| {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.shutdown())
        });
        eventually("the pool is closed", || pool.is_closed());
        gate.count_down();
        for caller in callers {
            let report = caller.join().unwrap();
            assert_eq!((report.completed, report.running.len()), (11, 0));
        }
        assert_eq!(pool.shutdown().completed, 11);
        assert_eq!(pool.stats().workers, 0);
    });
}

#[test]
fn shutdown_that_times_out_names_the_running_tasks() {
    within_a_minute(|| {
        let (pool, gate) = busy(4);
        let token = CancelToken::new();
        token.cancel();
        for error in [WaitError::TimedOut, WaitError::Cancelled] {
            let ended = match error {
                WaitError::TimedOut => pool.shutdown_until(Duration::from_millis(1)),
                _ => pool.shutdown_until(&token),
            };
            let rejected = ended.unwrap_err();
            assert_eq!(rejected.error, error);
            assert_eq!(rejected.value.running, ["test-0"]);
        }
        assert!(pool.is_closed());
        gate.count_down();
        assert_eq!(pool.shutdown_until(HOUR).unwrap().completed, 1);
    });
}

#[test]
fn dropping_the_pool_runs_what_was_accepted_and_joins() {
    within_a_minute(|| {
        let done = Arc::new(AtomicUsize::new(0));
        let pool = pool(2, 100);
        for _ in 0..100 {
            let done = Arc::clone(&done);
            pool.execute(move || _ = done.fetch_add(1, SeqCst)).unwrap();
        }
        drop(pool);
        assert_eq!(done.load(SeqCst), 100);
        // The workers have dropped their closures as well.
        assert_eq!(Arc::strong_count(&done), 1);
    });
}

#[test]
fn abort_gives_the_unstarted_tasks_back_in_order_and_they_can_be_run() {
    within_a_minute(|| {
        let (pool, gate) = busy(10);
        let order = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = (0..4)
            .map(|id| {
                let order = Arc::clone(&order);
                pool.submit(move || {
                    order.lock().unwrap().push(id);
                    id
                })
                .unwrap()
            })
            .collect();
        let report = abort(&pool, &gate);
        assert_eq!((report.completed, report.unstarted.len(), report.cancelled), (1, 4, 0));
        assert!(order.lock().unwrap().is_empty());
        report.unstarted.into_iter().for_each(|unstarted| unstarted.run());
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3]);
        for (id, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.join().unwrap(), id);
        }
        assert_eq!(pool.shutdown().completed, 5);
    });
}

#[test]
fn dropped_unstarted_task_tells_its_handle_that_it_was_cancelled() {
    within_a_minute(|| {
        let (pool, gate) = busy(10);
        let task = pool.submit(|| 1).unwrap();
        let panics = submit_panic(&pool, "here");
        let mut unstarted = abort(&pool, &gate).unstarted.into_iter();
        let joiner = thread::spawn(move || matches!(task.join(), Err(JoinError::Cancelled)));
        drop(unstarted.next());
        assert!(joiner.join().unwrap());
        // A panic of one that is run goes to its handle, not here.
        unstarted.next().unwrap().run();
        assert!(matches!(panics.join(), Err(JoinError::Panicked(_))));
        assert_eq!((pool.stats().cancelled, pool.stats().panicked), (1, 1));
    });
}

#[test]
fn dropped_unstarted_task_is_counted_as_cancelled_whatever_its_size() {
    within_a_minute(|| {
        let (pool, gate) = busy(10);
        let (small, large) = ([0_u8; 1], [0_u8; 1_000]);
        pool.execute(move || _ = std::hint::black_box(small)).unwrap();
        pool.execute(move || _ = std::hint::black_box(large)).unwrap();
        drop(abort(&pool, &gate).unstarted);
        assert_eq!(pool.stats().cancelled, 2);
    });
}

#[test]
fn abort_leaves_out_what_was_cancelled() {
    within_a_minute(|| {
        let (pool, gate) = busy(10);
        let (one, two) = (pool.submit(|| 1).unwrap(), pool.submit(|| 2).unwrap());
        assert!(one.cancel());
        let report = abort(&pool, &gate);
        assert_eq!((report.cancelled, report.unstarted.len()), (1, 1));
        assert!(two.cancel());
        report.unstarted.into_iter().for_each(|unstarted| unstarted.run());
        assert!(matches!(two.join(), Err(JoinError::Cancelled)));
        assert_eq!(pool.stats().cancelled, 2);
    });
}

#[test]
fn dropping_the_pool_inside_its_last_task_returns_at_once() {
    within_a_minute(|| {
        let (pool, gate) = busy(4);
        let (told, hears) = channel();
        let inner = Arc::clone(&pool);
        pool.execute(move || {
            drop(inner);
            told.send(()).unwrap();
        })
        .unwrap();
        // From here on the task holds the last handle.
        drop(pool);
        gate.count_down();
        assert_eq!(hears.recv(), Ok(()));
    });
}

#[test]
fn abort_inside_a_task_returns_at_once_with_what_was_queued() {
    within_a_minute(|| {
        let (pool, gate) = busy(4);
        let inner = Arc::clone(&pool);
        let task = pool.submit(move || inner.abort()).unwrap();
        let queued = pool.submit(|| 1).unwrap();
        gate.count_down();
        let report = task.join().unwrap();
        assert_eq!((report.unstarted.len(), &report.running[..]), (1, &["test-0".to_owned()][..]));
        drop(report);
        assert!(matches!(queued.join(), Err(JoinError::Cancelled)));
        pool.shutdown();
    });
}

#[test]
fn shutdown_returns_after_the_exit_hooks() {
    within_a_minute(|| {
        let left = Arc::new(AtomicUsize::new(0));
        let leaves = Arc::clone(&left);
        let builder = Pool::builder().workers(3).on_exit(move || _ = leaves.fetch_add(1, SeqCst));
        let pool = builder.build().unwrap();
        pool.shutdown();
        assert_eq!(left.load(SeqCst), 3);
    });
}

#[test]
fn second_abort_and_a_shutdown_after_it_have_nothing_left_to_give() {
    within_a_minute(|| {
        let (pool, gate) = busy(4);
        pool.execute(|| ()).unwrap();
        assert_eq!(abort(&pool, &gate).unstarted.len(), 1);
        assert_eq!(pool.abort().unstarted.len(), 0);
        let report = pool.shutdown();
        // The one that was taken back was dropped, which cancelled it.
        assert_eq!((report.completed, report.cancelled, report.unstarted.len()), (1, 1, 0));
    });
}

#[test]
fn abort_wakes_a_sleeping_submit_and_gives_the_closure_back() {
    within_a_minute(|| {
        let (pool, gate) = busy(1);
        pool.execute(|| ()).unwrap();
        let submitter = thread::spawn({
            let pool = Arc::clone(&pool);
            move || pool.execute(|| ()).map_err(|it| it.error)
        });
        until_figure(&pool, "waiting_to_submit", 1);
        assert_eq!(abort(&pool, &gate).unstarted.len(), 1);
        assert_eq!(submitter.join().unwrap(), Err(Closed));
    });
}

#[test]
fn shutdown_limit_is_kept_on_a_manual_clock() {
    within_a_minute(|| {
        let (pool, gate) = busy(1);
        let clock = Clock::manual();
        let closer = thread::spawn({
            let (pool, clock) = (Arc::clone(&pool), clock.clock().clone());
            move || pool.shutdown_until((&clock, HOUR)).unwrap_err().error
        });
        clock.wait_for_sleepers(1);
        clock.advance(HOUR);
        assert_eq!(closer.join().unwrap(), WaitError::TimedOut);
        gate.count_down();
        assert_eq!(pool.shutdown().completed, 1);
    });
}

#[test]
fn detached_pool_runs_what_it_accepted_and_lets_its_owner_go() {
    within_a_minute(|| {
        let (told, hears) = channel();
        let pool = Pool::builder().workers(1).build().unwrap();
        let gate = occupy(&pool);
        pool.execute(move || told.send(1).unwrap()).unwrap();
        pool.detach(); // while its worker is busy
        gate.count_down();
        assert_eq!(hears.recv(), Ok(1));
    });
}

#[test]
fn worker_may_shut_its_pool_down_in_every_way_and_others_wait_for_it() {
    within_a_minute(|| {
        for way in 0..4 {
            let pool = pool(2, 4);
            let gate = occupy(&pool);
            let inner = Arc::clone(&pool);
            let task = pool
                .submit(move || match way {
                    0 => inner.shutdown().running.len(),
                    1 => inner.shutdown_until(HOUR).unwrap().running.len(),
                    2 => inner.shutdown_until(Duration::ZERO).unwrap().running.len(),
                    _ => inner.abort().running.len(),
                })
                .unwrap();
            assert_eq!(task.join().unwrap(), 2);
            assert!(pool.is_closed());
            gate.count_down();
            let report = pool.shutdown();
            assert_eq!((report.completed, report.running.len(), pool.stats().workers), (2, 0, 0));
        }
    });
}

#[test]
fn unstarted_task_that_joins_another_runs_it() {
    within_a_minute(|| {
        let (pool, gate) = busy(4);
        let (gives, takes) = channel::<Task<u8>>();
        let first = pool.submit(move || takes.recv().unwrap().join().unwrap()).unwrap();
        gives.send(pool.submit(|| 3).unwrap()).unwrap();
        let mut unstarted = abort(&pool, &gate).unstarted.into_iter();
        // The second is in this list, and nobody else would run it.
        unstarted.next().unwrap().run();
        assert_eq!(first.join().unwrap(), 3);
        drop(unstarted);
        assert_eq!((pool.stats().completed, pool.stats().cancelled), (3, 0));
    });
}

#[test]
fn pool_that_is_shut_down_stays_as_it_is_when_it_is_resized() {
    within_a_minute(|| {
        let pool = pool(2, 4);
        pool.shutdown();
        pool.resize(8).unwrap();
        assert_eq!((pool.stats().workers, pool.stats().peak_workers), (0, 2));
    });
}
