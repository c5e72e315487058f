//! What the tests of other pools promise, in Go (conc, pond, ants) and Java (`ThreadPoolExecutor`), asked of
//! ours.
//!
//! The reference's pools, and where they break, are in `tests/reference`; what is promised of ours beyond
//! these, in the other files named `pool`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use crate::common::pools::{abort, busy, occupy, pool, submit_panic};
use crate::common::{HOUR, eventually, until_figure, within_a_minute};
use selvedge::error::JoinError;
use selvedge::error::{Closed, TryError, WaitError};
use selvedge::{CancelToken, Latch, Pool};

/// conc: structured pools that hand panics on.
mod conc {
    use super::*;

    #[test]
    fn each_panic_keeps_its_payload_and_no_worker_is_used_up() {
        within_a_minute(|| {
            let pool = pool(1, 100);
            let tasks: Vec<_> = (0..100_usize).map(|id| submit_panic(&pool, id)).collect();
            for (id, task) in tasks.into_iter().enumerate() {
                let Err(JoinError::Panicked(panic)) = task.join() else { panic!("{id} had none") };
                let resumed = catch_unwind(AssertUnwindSafe(|| panic.resume())).unwrap_err();
                assert_eq!(resumed.downcast_ref(), Some(&id));
            }
            assert_eq!(pool.submit(|| 1).unwrap().join().unwrap(), 1);
        });
    }

    #[test]
    fn ten_workers_wait_for_a_cancel_that_only_the_eleventh_task_brings() {
        within_a_minute(|| {
            let pool = Pool::builder().workers(10).spares(1).queue(100).build().unwrap();
            let stop = CancelToken::new();
            let tasks: Vec<_> = (0..100)
                .map(|id| {
                    let stop = stop.clone();
                    let task = move || match id {
                        10 => stop.cancel(),
                        _ => stop.wait(),
                    };
                    pool.submit(task).unwrap()
                })
                .collect();
            assert!(tasks.into_iter().all(|task| task.join().is_ok()));
            assert!(pool.stats().peak_workers <= 11);
        });
    }

    #[test]
    fn workers_are_never_more_than_asked_for() {
        within_a_minute(|| {
            for most in [1, 3, 7] {
                let pool = pool(most, 64);
                let (now, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
                for _ in 0..100 {
                    let (now, peak) = (Arc::clone(&now), Arc::clone(&peak));
                    pool.execute(move || {
                        peak.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                        thread::yield_now();
                        now.fetch_sub(1, SeqCst);
                    })
                    .unwrap();
                }
                assert_eq!(pool.shutdown().completed, 100);
                assert!(peak.load(SeqCst) <= most);
            }
        });
    }
}

/// pond and ants: pools that scale, and say no when they are full or gone.
mod pond_and_ants {
    use super::*;

    #[test]
    fn stop_with_queued_tasks_runs_them_all() {
        within_a_minute(|| {
            let (pool, gate) = busy(1_000);
            let ran = Arc::new(AtomicUsize::new(0));
            for _ in 0..1_000 {
                let ran = Arc::clone(&ran);
                pool.execute(move || _ = ran.fetch_add(1, SeqCst)).unwrap();
            }
            gate.count_down();
            assert_eq!((pool.shutdown().completed, ran.load(SeqCst)), (1_001, 1_000));
        });
    }

    #[test]
    fn submit_to_a_stopped_pool_is_refused_in_every_way() {
        within_a_minute(|| {
            let pool = pool(0..=2, 4);
            pool.shutdown();
            assert_eq!(pool.execute(|| ()).unwrap_err().error, Closed);
            assert_eq!(pool.try_execute(|| ()).unwrap_err().error, TryError::Closed);
            assert_eq!(pool.execute_until(|| (), HOUR).unwrap_err().error, WaitError::Closed);
            assert_eq!(pool.stats().peak_workers, 0);
        });
    }

    #[test]
    fn full_pool_refuses_tries_and_takes_them_when_there_is_room() {
        within_a_minute(|| {
            let (pool, gate) = busy(2);
            let offers = (0..5).map(|_| pool.try_execute(|| ()).is_ok());
            assert_eq!(offers.collect::<Vec<_>>(), [true, true, false, false, false]);
            gate.count_down();
            eventually("there is room", || pool.try_execute(|| ()).is_ok());
            assert_eq!(pool.shutdown().completed, 4);
        });
    }

    #[test]
    fn pool_purges_to_its_minimum_and_grows_again() {
        within_a_minute(|| {
            let pool = Pool::builder().workers(1..=5).keep_alive(Duration::from_millis(1)).build().unwrap();
            for _ in 0..3 {
                let all = Arc::new(Latch::new(5));
                let tasks: Vec<_> = (0..5)
                    .map(|_| {
                        let all = Arc::clone(&all);
                        let meet = move || {
                            all.count_down();
                            all.wait();
                        };
                        pool.submit(meet).unwrap()
                    })
                    .collect();
                tasks.into_iter().for_each(|task| task.join().unwrap());
                eventually("one is left", || pool.stats().workers == 1);
            }
            assert_eq!((pool.stats().peak_workers, pool.shutdown().completed), (5, 15));
        });
    }

    #[test]
    fn panicking_tasks_do_not_starve_those_behind_them() {
        within_a_minute(|| {
            let (pool, gate) = busy(64);
            (0..50).for_each(|id| drop(submit_panic(&pool, id)));
            let last = pool.submit(|| "still served").unwrap();
            gate.count_down();
            assert_eq!(last.join().unwrap(), "still served");
            assert_eq!(pool.stats().panicked, 50);
        });
    }
}

/// Java's `ThreadPoolExecutor` and `ExecutorService`.
mod java {
    use super::*;

    #[test]
    fn counts_follow_what_happened() {
        within_a_minute(|| {
            let pool = pool(2..=2, 4);
            // One look: between two, a worker may go idle and be counted in both.
            let stats = pool.stats();
            assert_eq!((stats.completed, stats.busy + stats.idle), (0, 2));
            let gate = occupy(&pool);
            assert_eq!((pool.stats().completed, pool.stats().blocked <= 1), (0, true));
            gate.count_down();
            eventually("it has ended", || pool.stats().completed == 1);
            pool.shutdown();
            let stats = pool.stats();
            assert_eq!((stats.workers, stats.queued, stats.completed, stats.peak_workers), (0, 0, 1, 2));
        });
    }

    #[test]
    fn abort_returns_the_unrun_and_they_never_run_by_themselves() {
        within_a_minute(|| {
            let (pool, gate) = busy(5);
            let ran = Arc::new(AtomicUsize::new(0));
            for _ in 0..5 {
                let ran = Arc::clone(&ran);
                pool.execute(move || _ = ran.fetch_add(1, SeqCst)).unwrap();
            }
            let report = abort(&pool, &gate);
            assert_eq!((report.unstarted.len(), report.completed, ran.load(SeqCst)), (5, 1, 0));
        });
    }

    /// What to do with a task that a full pool refuses is the caller's to say: four ways.
    #[test]
    fn saturation_blocks_or_fails_or_times_out_or_runs_in_the_caller() {
        within_a_minute(|| {
            let (pool, gate) = busy(1);
            pool.execute(|| ()).unwrap();
            let here = thread::current().id();
            // Fail.
            let task = move || thread::current().id() == here;
            let refused = pool.try_submit(task).unwrap_err();
            assert_eq!(refused.error, TryError::WouldBlock);
            // Time out.
            let late = pool.submit_until(refused.value, Duration::from_millis(1)).unwrap_err();
            assert_eq!(late.error, WaitError::TimedOut);
            // Run in the caller.
            assert!((late.value)());
            // Block.
            let blocked = thread::spawn({
                let pool = Arc::clone(&pool);
                move || pool.submit(|| 5).unwrap().join().unwrap()
            });
            until_figure(&pool, "waiting_to_submit", 1);
            gate.count_down();
            assert_eq!(blocked.join().unwrap(), 5);
        });
    }

    #[test]
    fn core_threads_are_there_before_the_first_task_and_others_are_not() {
        within_a_minute(|| {
            assert_eq!(pool(3..=5, 1).stats().workers, 3);
            assert_eq!(pool(0..=5, 1).stats().workers, 0);
        });
    }

    #[test]
    fn waiting_for_the_end_times_out_and_can_be_repeated() {
        within_a_minute(|| {
            let (pool, gate) = busy(1);
            for _ in 0..3 {
                let rejected = pool.shutdown_until(Duration::ZERO).unwrap_err();
                assert_eq!((rejected.error, rejected.value.running.len()), (WaitError::TimedOut, 1));
            }
            gate.count_down();
            assert_eq!(pool.shutdown_until(HOUR).unwrap().running.len(), 0);
        });
    }

    #[test]
    fn exit_hook_sees_the_last_task_done() {
        within_a_minute(|| {
            let (tells, told) = channel();
            let says = tells.clone();
            let builder = Pool::builder().workers(1).on_exit(move || says.send("exit").unwrap());
            let pool = builder.build().unwrap();
            pool.execute(move || tells.send("task").unwrap()).unwrap();
            drop(pool);
            assert_eq!(told.iter().collect::<Vec<_>>(), ["task", "exit"]);
        });
    }
}
