//! A pool that grows and shrinks: at once, never above its maximum, never below its minimum.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use crate::common::pools::{busy, occupy, pool};
use crate::common::{HOUR, eventually, until_figure, within_a_minute};
use selvedge::pool::{BuildError, Workers};
use selvedge::{CancelToken, Clock, Latch, ManualClock, Pool, Task};

/// A pool whose workers' time runs on a clock of its own.
fn timed(workers: impl Into<Workers>) -> (Pool, ManualClock) {
    let clock = Clock::manual();
    let builder = Pool::builder().name("timed").workers(workers).queue(16).clock(&clock);
    (builder.keep_alive(HOUR).build().unwrap(), clock)
}

/// Runs tasks that each wait for so many to run at once, and waits until their workers are idle.
fn run_together(pool: &Pool, count: usize) {
    let all = Arc::new(Latch::new(count));
    for _ in 0..count {
        let all = Arc::clone(&all);
        pool.execute(move || {
            all.count_down();
            all.wait();
        })
        .unwrap();
    }
    all.wait();
    eventually("all are idle", || pool.stats().idle == count);
}

#[test]
fn task_that_waits_for_a_queued_one_gets_it_a_worker() {
    within_a_minute(|| {
        // No monitor, and no backlog longer than the workers: the second worker comes for the one task.
        let pool = pool(1..=2, 4);
        let gate = occupy(&pool);
        pool.execute(move || gate.count_down()).unwrap();
        let report = pool.shutdown();
        assert_eq!((report.completed, pool.stats().peak_workers), (2, 2));
    });
}

#[test]
fn pool_of_no_workers_starts_one_for_the_first_task() {
    within_a_minute(|| {
        let pool = pool(0..=8, 4);
        assert_eq!(pool.stats().workers, 0);
        assert_eq!(pool.submit(|| 3).unwrap().join().unwrap(), 3);
        assert_eq!(pool.stats().workers, 1);
    });
}

#[test]
fn pool_grows_to_its_maximum_and_no_further() {
    within_a_minute(|| {
        let pool = pool(2..=6, 16);
        let gates: Vec<_> = (0..6).map(|_| occupy(&pool)).collect();
        (0..4).for_each(|_| pool.execute(|| ()).unwrap());
        let stats = pool.stats();
        assert_eq!((stats.workers, stats.queued, stats.peak_workers), (6, 4, 6));
        gates.iter().for_each(|gate| gate.count_down());
        assert_eq!(pool.shutdown().completed, 10);
        assert_eq!(pool.stats().peak_workers, 6);
    });
}

#[test]
fn there_are_never_more_threads_than_the_maximum() {
    within_a_minute(|| {
        let (threads, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (starts, ends, highest) = (Arc::clone(&threads), Arc::clone(&threads), Arc::clone(&most));
        let builder = Pool::builder().workers(0..=3).queue(8).keep_alive(Duration::ZERO);
        let builder =
            builder.on_start(move || _ = highest.fetch_max(starts.fetch_add(1, SeqCst) + 1, SeqCst));
        let builder = builder.on_exit(move || _ = ends.fetch_sub(1, SeqCst));
        let pool = Arc::new(builder.build().unwrap());
        let submitters = [(); 4].map(|()| {
            let pool = Arc::clone(&pool);
            thread::spawn(move || (0..200).for_each(|_| pool.execute(thread::yield_now).unwrap()))
        });
        submitters.into_iter().for_each(|it| it.join().unwrap());
        assert_eq!(pool.shutdown().completed, 800);
        // A worker leaves the count of the pool before its exit hook has run.
        assert!(pool.stats().peak_workers <= 3 && most.load(SeqCst) >= 1);
        assert_eq!(threads.load(SeqCst), 0);
    });
}

#[test]
fn idle_workers_leave_when_their_time_is_up_and_the_minimum_stays() {
    within_a_minute(|| {
        let (pool, clock) = timed(1..=4);
        run_together(&pool, 4);
        // The last of them has no limit; which one that is does not matter.
        clock.wait_for_sleepers(3);
        clock.advance(HOUR - Duration::from_secs(1));
        assert_eq!(pool.stats().workers, 4);
        clock.advance(Duration::from_secs(1));
        eventually("one is left", || {
            let workers = pool.stats().workers;
            assert!(workers >= 1, "below the minimum");
            // One that went to sleep late has its time still.
            clock.advance(HOUR);
            workers == 1
        });
        clock.advance(HOUR);
        // It may have been woken by the others' leaving: another would start beside it.
        eventually("it is idle", || pool.stats().idle == 1);
        assert_eq!(pool.submit(|| 7).unwrap().join().unwrap(), 7);
        assert_eq!((pool.stats().workers, pool.stats().peak_workers), (1, 4));
    });
}

#[test]
fn pool_shrinks_to_nothing_and_a_burst_after_quiet_starts_at_once() {
    within_a_minute(|| {
        let (pool, clock) = timed(0..=4);
        for _ in 0..3 {
            // No time passes for this: nobody waits for a tick.
            run_together(&pool, 4);
            eventually("all are gone", || {
                clock.advance(HOUR);
                pool.stats().workers == 0
            });
        }
        assert_eq!(pool.shutdown().completed, 12);
    });
}

#[test]
fn worker_that_is_called_in_time_has_a_new_term() {
    within_a_minute(|| {
        let (pool, clock) = timed(0..=1);
        for _ in 0..5 {
            assert_eq!(pool.submit(|| 1).unwrap().join().unwrap(), 1);
            clock.wait_for_sleepers(1);
            clock.advance(HOUR - Duration::from_secs(1));
        }
        assert_eq!((pool.stats().workers, pool.stats().peak_workers), (1, 1));
    });
}

#[test]
fn keep_alive_of_nothing_and_of_ever() {
    within_a_minute(|| {
        let builder = || Pool::builder().name("brief").workers(0..=1);
        let brief = builder().keep_alive(Duration::ZERO).build().unwrap();
        for _ in 0..3 {
            let name = brief.submit(|| thread::current().name().map(str::to_owned)).unwrap().join();
            // Who takes the place of one that has left has its name.
            assert_eq!(name.unwrap().as_deref(), Some("brief-0"));
            eventually("it has left", || brief.stats().workers == 0);
        }
        let clock = Clock::manual();
        let lasting = builder().keep_alive(Duration::MAX).clock(&clock).build().unwrap();
        lasting.submit(|| ()).unwrap().join().unwrap();
        eventually("it is idle", || lasting.stats().idle == 1);
        clock.advance(Duration::from_secs(u64::from(u32::MAX)));
        assert_eq!((lasting.stats().workers, lasting.shutdown().completed), (1, 1));
    });
}

#[test]
fn tuning_up_lets_submitters_in_that_wait() {
    within_a_minute(|| {
        let (pool, gate) = busy(1);
        pool.execute(|| ()).unwrap();
        let submitters = [(); 2].map(|()| {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.submit(|| 2).unwrap().join().unwrap())
        });
        until_figure(&pool, "waiting_to_submit", 2);
        pool.resize(2).unwrap();
        // The first worker is busy all the while.
        submitters.into_iter().for_each(|it| assert_eq!(it.join().unwrap(), 2));
        assert_eq!(pool.stats().workers, 2);
        gate.count_down();
        assert_eq!(pool.shutdown().completed, 4);
    });
}

#[test]
fn raising_the_maximum_alone_calls_a_worker_for_what_is_queued() {
    within_a_minute(|| {
        let (pool, gate) = busy(4);
        let task = pool.submit(|| 2).unwrap();
        pool.resize(1..=2).unwrap();
        assert_eq!(task.join().unwrap(), 2);
        gate.count_down();
    });
}

#[test]
fn tuning_down_sends_the_idle_away_at_once_and_the_busy_after_their_task() {
    within_a_minute(|| {
        let pool = pool(4, 16);
        let gates: Vec<_> = (0..2).map(|_| occupy(&pool)).collect();
        eventually("two are idle", || pool.stats().idle == 2);
        pool.resize(1).unwrap();
        eventually("the idle are gone", || pool.stats().workers == 2);
        (0..8).for_each(|_| pool.execute(|| ()).unwrap());
        gates.iter().for_each(|gate| gate.count_down());
        eventually("one is left", || pool.stats().workers == 1);
        assert_eq!(pool.shutdown().completed, 10);
    });
}

#[test]
fn resize_with_wrong_numbers_changes_nothing() {
    within_a_minute(|| {
        let (pool, (min, max)) = (pool(2, 4), (3, 1));
        assert!(matches!(pool.resize(0), Err(BuildError::NoWorkers)));
        assert!(matches!(pool.resize(min..=max), Err(BuildError::EmptyRange { min: 3, max: 1 })));
        run_together(&pool, 2);
        assert_eq!((pool.stats().workers, pool.shutdown().completed), (2, 2));
    });
}

#[test]
fn task_resizes_its_own_pool() {
    within_a_minute(|| {
        let pool = pool(1, 4);
        let inner = Arc::clone(&pool);
        let task = pool.submit(move || {
            inner.resize(3).unwrap();
            let more = inner.stats().workers;
            inner.resize(1).unwrap();
            more
        });
        assert_eq!(task.unwrap().join().unwrap(), 3);
        eventually("the others are gone", || pool.stats().workers == 1);
    });
}

#[test]
fn figures_are_never_higher_than_the_truth() {
    within_a_minute(|| {
        let pool = Arc::new(Pool::builder().workers(1..=3).queue(5).build().unwrap());
        let (offered, begun, done) =
            (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)), AtomicBool::new(false));
        thread::scope(|threads| {
            let watcher = threads.spawn(|| {
                while !done.load(SeqCst) {
                    let stats = pool.stats();
                    let (begun, offered) = (begun.load(SeqCst), offered.load(SeqCst));
                    assert!(stats.completed + stats.panicked <= begun, "{stats:?}, {begun} begun");
                    // One that was cancelled may be in the queue still.
                    let all = stats.queued + stats.completed + stats.panicked;
                    assert!(all <= offered, "{stats:?}, {offered} offered");
                    assert_eq!(stats.workers, stats.idle + stats.blocked + stats.busy);
                    assert!(
                        stats.workers <= 3 && stats.peak_workers <= 3 && stats.peak_queued <= 5,
                        "{stats:?}"
                    );
                    assert!(stats.workers <= stats.peak_workers && stats.queued <= stats.peak_queued.max(1));
                }
            });
            for id in 0..2_000 {
                let begun = Arc::clone(&begun);
                offered.fetch_add(1, SeqCst);
                let task = pool.submit(move || {
                    begun.fetch_add(1, SeqCst);
                    if id % 7 == 0 {
                        std::panic::resume_unwind(Box::new(id));
                    }
                });
                if id % 5 == 0 {
                    task.unwrap().cancel();
                }
            }
            done.store(true, SeqCst);
            watcher.join().unwrap();
        });
        let report = pool.shutdown();
        assert_eq!(report.completed + report.panicked + report.cancelled, 2_000);
    });
}

#[test]
fn peak_that_nobody_looked_at_is_remembered() {
    within_a_minute(|| {
        assert_eq!(Pool::builder().workers(1).build().unwrap().stats().peak_queued, 0);
        let (pool, gate) = busy(8);
        (0..5).for_each(|_| pool.execute(|| ()).unwrap());
        gate.count_down();
        pool.shutdown();
        assert_eq!((pool.stats().peak_queued, pool.stats().queued), (5, 0));
    });
}

#[test]
fn peaks_are_what_was_reached() {
    within_a_minute(|| {
        let (pool, gate) = busy(8);
        (0..5).for_each(|_| pool.execute(|| ()).unwrap());
        assert_eq!(pool.stats().peak_queued, 5);
        gate.count_down();
        pool.shutdown();
        assert_eq!((pool.stats().peak_queued, pool.stats().peak_workers), (5, 1));
    });
}

/// Where the operating system gives no thread; no machine has such a stack.
#[cfg(target_pointer_width = "64")]
mod refused {
    use super::*;

    fn refused(workers: impl Into<Workers>, queue: usize) -> Arc<Pool> {
        let builder = Pool::builder().workers(workers).queue(queue).stack_size(1 << 60);
        Arc::new(builder.build().unwrap())
    }

    #[test]
    fn without_any_thread_the_submitter_runs_the_task() {
        within_a_minute(|| {
            let pool = refused(0..=1, 4);
            let here = thread::current().id();
            let task = pool.submit(move || thread::current().id() == here).unwrap();
            assert!(task.join().unwrap());
            pool.execute(|| std::panic::resume_unwind(Box::new("on purpose"))).unwrap();
            let report = pool.shutdown();
            assert_eq!((report.completed, report.panicked, pool.stats().workers), (1, 1, 0));
        });
    }

    #[test]
    fn task_on_the_submitters_thread_submits_joins_and_shuts_down_as_on_a_worker() {
        within_a_minute(|| {
            let pool = refused(0..=1, 1);
            let inner = Arc::clone(&pool);
            let task = pool.submit(move || {
                let tasks: Vec<Task<usize>> = (0..4).map(|n| inner.submit(move || n).unwrap()).collect();
                let sum = tasks.into_iter().map(|task| task.join().unwrap()).sum::<usize>();
                inner.shutdown();
                sum
            });
            assert_eq!(task.unwrap().join().unwrap(), 6);
            assert!(pool.is_closed());
            assert_eq!(pool.shutdown().completed, 5);
        });
    }

    #[test]
    fn two_submitters_run_tasks_that_wait_for_each_other() {
        within_a_minute(|| {
            let pool = refused(0..=2, 4);
            let met = Arc::new(Latch::new(2));
            let meet = || {
                let met = Arc::clone(&met);
                move || {
                    met.count_down();
                    met.wait();
                }
            };
            let first = thread::spawn({
                let (pool, meet) = (Arc::clone(&pool), meet());
                move || pool.execute(meet).unwrap()
            });
            eventually("the first runs", || met.count() == 1);
            pool.execute(meet()).unwrap();
            first.join().unwrap();
            assert_eq!(pool.shutdown().completed, 2);
        });
    }

    #[test]
    fn resize_to_what_the_system_refuses_is_an_error_and_the_pool_goes_on() {
        within_a_minute(|| {
            let pool = refused(0..=1, 4);
            assert!(matches!(pool.resize(2), Err(BuildError::Spawn(_))));
            assert_eq!(pool.submit(|| 1).unwrap().join().unwrap(), 1);
            assert_eq!(pool.shutdown().completed, 1);
        });
    }

    #[test]
    fn scope_runs_on_the_callers_thread() {
        within_a_minute(|| {
            let (pool, here) = (refused(0..=1, 4), thread::current().id());
            let (tells, told) = channel();
            let result: Result<(), selvedge::group::Error<()>> = pool.scope(&CancelToken::new(), |s| {
                for _ in 0..10 {
                    let tells = tells.clone();
                    s.spawn(move |_| {
                        tells.send(thread::current().id()).unwrap();
                        Ok(())
                    });
                }
                Ok(())
            });
            drop(tells);
            result.unwrap();
            assert_eq!(told.iter().filter(|id| *id == here).count(), 10);
        });
    }
}
