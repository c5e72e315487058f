//! The reference's three pool examples, and each way in which they break, in its smallest scenario: ours come
//! through. The rest of the reference is in `primitives.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use crate::common::pools::pool;
use crate::common::within_a_minute;
use selvedge::error::Closed;
use selvedge::error::JoinError;
use selvedge::{CancelToken, Latch, Pool, group};

/// Its examples, drained to the end.
mod examples {
    use super::*;

    #[test]
    fn five_workers_run_ten_tasks_and_every_error_is_read_after_the_stop() {
        within_a_minute(|| {
            let pool = pool(5, 10);
            let results = pool.results();
            for id in 0..10 {
                let task = move || if id % 4 == 0 { Err(format!("task {id} failed")) } else { Ok(id) };
                assert_eq!(results.submit(task).unwrap(), id);
            }
            assert_eq!(pool.shutdown().completed, 10);
            let mut failed: Vec<_> = results
                .into_iter()
                .filter_map(|(id, ended)| ended.unwrap().err().map(|it| (id, it)))
                .collect();
            failed.sort();
            let expected = [0, 4, 8].map(|id| (id, format!("task {id} failed")));
            assert_eq!(failed, expected);
        });
    }

    #[test]
    fn dynamic_pool_follows_its_load_up_and_down() {
        within_a_minute(|| {
            let pool = Pool::builder().workers(2..=10).keep_alive(Duration::from_millis(1)).build().unwrap();
            assert_eq!(pool.stats().workers, 2);
            let all = Arc::new(Latch::new(10));
            for _ in 0..10 {
                let all = Arc::clone(&all);
                pool.execute(move || {
                    all.count_down();
                    all.wait();
                })
                .unwrap();
            }
            all.wait();
            assert_eq!(pool.stats().peak_workers, 10);
            crate::common::eventually("it has shrunk", || pool.stats().workers == 2);
            assert_eq!(pool.shutdown().completed, 10);
        });
    }

    #[test]
    fn its_benchmark_of_ten_workers_ends_though_nobody_reads_a_result() {
        within_a_minute(|| {
            let pool = pool(10, 50);
            let results = pool.results();
            for _ in 0..20_000 {
                results.submit(|| Ok::<(), String>(())).unwrap();
            }
            assert_eq!(pool.shutdown().completed, 20_000);
            assert_eq!(results.len(), 20_000);
        });
    }
}

/// 1.2: stop dropped accepted tasks, a submit after it panicked or was lost, idle workers left together, and
/// the pool grew late or not at all.
mod dynamic_pool {
    use super::*;

    #[test]
    fn shutdown_runs_every_task_that_was_accepted() {
        within_a_minute(|| {
            let builder = Pool::builder().workers(1..=4).queue(2_000).keep_alive(Duration::ZERO);
            let (pool, ran) = (builder.build().unwrap(), Arc::new(AtomicUsize::new(0)));
            for _ in 0..1_400 {
                let ran = Arc::clone(&ran);
                pool.execute(move || _ = ran.fetch_add(1, SeqCst)).unwrap();
            }
            assert_eq!((pool.shutdown().completed, ran.load(SeqCst)), (1_400, 1_400));
        });
    }

    #[test]
    fn submit_after_the_stop_neither_panics_nor_is_lost() {
        within_a_minute(|| {
            let pool = pool(1..=4, 8);
            pool.shutdown();
            for id in 0..100 {
                let rejected = pool.submit(move || id).unwrap_err();
                assert_eq!((rejected.error, (rejected.value)()), (Closed, id));
            }
            assert_eq!(pool.shutdown().completed, 0);
        });
    }

    #[test]
    fn workers_whose_time_is_up_together_do_not_all_leave() {
        within_a_minute(|| {
            let clock = selvedge::Clock::manual();
            let builder = Pool::builder().workers(1..=2).clock(&clock).keep_alive(Duration::from_secs(1));
            let pool = builder.build().unwrap();
            for _ in 0..50 {
                let both = Arc::new(Latch::new(2));
                for _ in 0..2 {
                    let both = Arc::clone(&both);
                    pool.execute(move || {
                        both.count_down();
                        both.wait();
                    })
                    .unwrap();
                }
                both.wait();
                crate::common::eventually("one is left", || {
                    clock.advance(Duration::from_secs(1));
                    let workers = pool.stats().workers;
                    assert!(workers >= 1);
                    workers == 1
                });
            }
            assert_eq!(pool.shutdown().completed, 100);
        });
    }

    #[test]
    fn task_that_waits_for_the_one_behind_it_is_not_left_alone() {
        within_a_minute(|| {
            let (pool, gate) = (pool(1..=2, 4), Arc::new(Latch::new(1)));
            let waits = Arc::clone(&gate);
            let first = pool.submit(move || waits.wait()).unwrap();
            pool.execute(move || gate.count_down()).unwrap();
            first.join().unwrap();
        });
    }

    #[test]
    fn burst_on_a_pool_of_no_workers_has_them_all_without_a_tick() {
        within_a_minute(|| {
            // No time passes on this clock, so nothing can wait for it.
            let clock = selvedge::Clock::manual();
            let pool = Pool::builder().workers(0..=16).clock(&clock).build().unwrap();
            let all = Arc::new(Latch::new(16));
            for _ in 0..16 {
                let all = Arc::clone(&all);
                pool.execute(move || {
                    all.count_down();
                    all.wait();
                })
                .unwrap();
            }
            all.wait();
            assert_eq!(pool.stats().workers, 16);
        });
    }

    #[test]
    fn error_of_a_task_reaches_its_joiner() {
        within_a_minute(|| {
            let pool = pool(1..=2, 4);
            let task = pool.submit(|| "x".parse::<u8>()).unwrap();
            assert!(task.join().unwrap().is_err());
        });
    }
}

/// 1.1: stop hung when results were not read and tasks outnumbered twice the workers.
mod worker_pool {
    use super::*;

    #[test]
    fn shutdown_ends_although_nobody_reads_the_results() {
        within_a_minute(|| {
            let pool = pool(1, 8);
            let tasks = [1, 2, 3].map(|id| pool.submit(move || id).unwrap());
            assert_eq!(pool.shutdown().completed, 3);
            // And they can still be read.
            assert_eq!(tasks.map(|task| task.join().unwrap()), [1, 2, 3]);
        });
    }

    #[test]
    fn submitting_many_more_tasks_than_workers_goes_through() {
        within_a_minute(|| {
            let pool = pool(2, 2);
            let handles: Vec<_> = (0..500).map(|id| pool.submit(move || id).unwrap()).collect();
            drop(handles);
            assert_eq!(pool.shutdown().completed, 500);
        });
    }

    #[test]
    fn submit_after_shutdown_gives_the_closure_back() {
        within_a_minute(|| {
            let pool = pool(1, 1);
            pool.shutdown();
            let rejected = pool.submit(|| "still mine").unwrap_err();
            assert_eq!((rejected.error, (rejected.into_value())()), (Closed, "still mine"));
        });
    }

    #[test]
    fn submits_that_race_a_shutdown_run_or_come_back() {
        within_a_minute(|| {
            for round in 0..50 {
                let (pool, ran) = (pool(2, 4), Arc::new(AtomicUsize::new(0)));
                let submitters = [(); 2].map(|()| {
                    let (pool, ran) = (Arc::clone(&pool), Arc::clone(&ran));
                    thread::spawn(move || {
                        let submit = |_: &usize| {
                            let ran = Arc::clone(&ran);
                            pool.execute(move || _ = ran.fetch_add(1, SeqCst)).is_ok()
                        };
                        (0..200).filter(submit).count()
                    })
                });
                (0..round).for_each(|_| thread::yield_now());
                let report = pool.shutdown();
                let accepted: usize = submitters.map(|it| it.join().unwrap()).iter().sum();
                assert_eq!((report.completed, ran.load(SeqCst)), (accepted, accepted));
            }
        });
    }

    #[test]
    fn second_shutdown_says_the_same_as_the_first() {
        within_a_minute(|| {
            let pool = pool(1, 4);
            pool.execute(|| ()).unwrap();
            assert_eq!((pool.shutdown().completed, pool.shutdown().completed), (1, 1));
        });
    }

    #[test]
    fn panicking_task_takes_neither_the_process_nor_the_worker_with_it() {
        within_a_minute(|| {
            let pool = pool(1, 4);
            let bad = pool.submit(|| -> u8 { std::panic::resume_unwind(Box::new("bad")) }).unwrap();
            let good = pool.submit(|| 7).unwrap();
            assert_eq!(good.join().unwrap(), 7);
            let Err(JoinError::Panicked(panic)) = bad.join() else { panic!("it should have panicked") };
            assert_eq!(panic.message(), "bad");
            assert_eq!((pool.stats().workers, pool.shutdown().panicked), (1, 1));
        });
    }

    #[test]
    fn task_that_submits_three_to_its_own_full_pool_goes_on() {
        within_a_minute(|| {
            let pool = pool(1, 1);
            let inner = Arc::clone(&pool);
            let task = pool.submit(move || {
                let tasks = [1, 2, 3].map(|id| inner.submit(move || id).unwrap());
                tasks.map(|task| task.join().unwrap())
            });
            assert_eq!(task.unwrap().join().unwrap(), [1, 2, 3]);
            assert_eq!(pool.shutdown().completed, 4);
        });
    }

    #[test]
    fn shutdown_from_inside_a_task_closes_and_returns() {
        within_a_minute(|| {
            let pool = pool(1, 4);
            let inner = Arc::clone(&pool);
            let task = pool.submit(move || {
                let report = inner.shutdown();
                (report.running, inner.is_closed(), inner.submit(|| ()).is_err())
            });
            let (running, closed, refused) = task.unwrap().join().unwrap();
            assert_eq!((&running[..], closed, refused), (&["test-0".to_owned()][..], true, true));
            assert_eq!(pool.shutdown().completed, 1);
        });
    }

    #[test]
    fn results_know_whose_they_are() {
        within_a_minute(|| {
            let pool = pool(3, 2);
            let tasks: Vec<_> = (0..100).map(|id| (id, pool.submit(move || id).unwrap())).collect();
            assert!(tasks.into_iter().rev().all(|(id, task)| task.join().unwrap() == id));
        });
    }

    #[test]
    fn scope_inside_a_task_of_a_full_pool_of_one_ends() {
        within_a_minute(|| {
            let pool = pool(1, 1);
            let task = pool.submit(|| {
                let sum = AtomicUsize::new(0);
                let result = group::scope(&CancelToken::new(), |g| {
                    for value in 1..=3 {
                        let sum = &sum;
                        g.spawn(move |_| {
                            sum.fetch_add(value, SeqCst);
                            Ok::<_, ()>(())
                        });
                    }
                    Ok(())
                });
                (result, sum.into_inner())
            });
            pool.execute(|| ()).unwrap();
            assert_eq!(task.unwrap().join().unwrap(), (Ok(()), 6));
        });
    }
}
