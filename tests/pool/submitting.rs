//! The pool from outside: every submitted task runs once, or its closure comes back.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::pools::{busy, pool};
use crate::common::{HOUR, until_figure, within_a_minute};
use selvedge::error::{Closed, TryError, WaitError};
use selvedge::pool::BuildError;
use selvedge::{CancelToken, Pool};

#[test]
fn one_worker_starts_tasks_in_the_order_of_their_submission() {
    within_a_minute(|| {
        let (pool, gate) = busy(10);
        let order = Arc::new(Mutex::new(Vec::new()));
        for id in 0..10 {
            let order = Arc::clone(&order);
            pool.execute(move || order.lock().unwrap().push(id)).unwrap();
        }
        gate.count_down();
        pool.shutdown();
        assert_eq!(*order.lock().unwrap(), (0..10).collect::<Vec<_>>());
    });
}

#[test]
#[cfg(target_pointer_width = "64")]
fn thread_that_the_system_refuses_is_an_error_with_its_source() {
    within_a_minute(|| {
        // No machine has so much.
        let error = Pool::builder().workers(2).stack_size(1 << 60).build().unwrap_err();
        assert!(matches!(error, BuildError::Spawn(_)), "{error:?}");
        assert!(std::error::Error::source(&error).is_some());
    });
}

#[test]
fn workers_carry_the_pools_name_and_a_number() {
    within_a_minute(|| {
        let pool = Pool::builder().name("loom").workers(1).stack_size(256 * 1024).build().unwrap();
        let name = pool.submit(|| thread::current().name().map(str::to_owned)).unwrap().join().unwrap();
        assert_eq!(name.as_deref(), Some("loom-0"));
    });
}

#[test]
fn full_queue_gives_the_closure_back() {
    within_a_minute(|| {
        let (pool, gate) = busy(1);
        pool.execute(|| ()).unwrap();
        let rejected = pool.try_submit(|| 3).unwrap_err();
        assert_eq!((rejected.error, (rejected.value)()), (TryError::WouldBlock, 3));
        assert_eq!(pool.try_execute(|| ()).unwrap_err().error, TryError::WouldBlock);
        let rejected = pool.submit_until(|| 4, Duration::ZERO).unwrap_err();
        assert_eq!((rejected.error, (rejected.value)()), (WaitError::TimedOut, 4));
        assert_eq!(pool.execute_until(|| (), Instant::now()).unwrap_err().error, WaitError::TimedOut);
        gate.count_down();
        assert_eq!(pool.shutdown().completed, 2);
    });
}

#[test]
fn submit_to_a_full_pool_waits_for_room() {
    within_a_minute(|| {
        let (pool, gate) = busy(1);
        pool.execute(|| ()).unwrap();
        let submitter = thread::spawn({
            let pool = Arc::clone(&pool);
            move || pool.submit(|| 9).unwrap().join().unwrap()
        });
        until_figure(&pool, "waiting_to_submit", 1);
        gate.count_down();
        assert_eq!(submitter.join().unwrap(), 9);
    });
}

#[test]
fn cancel_wakes_a_sleeping_submit_and_gives_the_closure_back() {
    within_a_minute(|| {
        let ((pool, gate), token) = (busy(1), CancelToken::new());
        pool.execute(|| ()).unwrap();
        let submitter = thread::spawn({
            let (pool, token) = (Arc::clone(&pool), token.clone());
            move || pool.submit_until(|| 6, &token).map_err(|it| (it.error, (it.value)())).err()
        });
        until_figure(&pool, "waiting_to_submit", 1);
        token.cancel();
        assert_eq!(submitter.join().unwrap(), Some((WaitError::Cancelled, 6)));
        gate.count_down();
        assert_eq!(pool.shutdown().completed, 2);
    });
}

#[test]
fn token_cancelled_before_submits_nothing_although_there_is_room() {
    within_a_minute(|| {
        let (pool, token) = (pool(1, 4), CancelToken::new());
        token.cancel();
        let rejected = pool.submit_until(|| 8, &token).unwrap_err();
        assert_eq!((rejected.error, (rejected.value)()), (WaitError::Cancelled, 8));
        assert!(pool.execute_until(|| (), (&token, HOUR)).is_err());
        let inner = Arc::clone(&pool);
        let task = pool.submit(move || inner.execute_until(|| (), &token).unwrap_err().error).unwrap();
        assert_eq!(task.join().unwrap(), WaitError::Cancelled);
        assert_eq!(pool.shutdown().completed, 1);
    });
}

#[test]
fn closed_pool_gives_every_closure_back() {
    within_a_minute(|| {
        let pool = pool(1, 4);
        pool.shutdown();
        assert!(pool.is_closed());
        let rejected = pool.submit(|| 1).unwrap_err();
        assert_eq!((rejected.error, (rejected.value)()), (Closed, 1));
        assert_eq!(pool.execute(|| ()).unwrap_err().error, Closed);
        assert_eq!(pool.try_submit(|| 2).unwrap_err().error, TryError::Closed);
        assert_eq!(pool.submit_until(|| 3, HOUR).unwrap_err().error, WaitError::Closed);
    });
}

#[test]
fn stats_show_busy_workers_and_queued_tasks() {
    within_a_minute(|| {
        let (pool, gate) = busy(4);
        pool.execute(|| ()).unwrap();
        let stats = pool.stats();
        // It waits for the gate: asleep, or about to be.
        assert_eq!((stats.workers, stats.busy + stats.blocked), (1, 1));
        assert_eq!((stats.queued, stats.completed), (1, 0));
        gate.count_down();
        pool.shutdown();
        let stats = pool.stats();
        assert_eq!((stats.workers, stats.busy, stats.queued, stats.completed), (0, 0, 0, 2));
    });
}

#[test]
fn builder_says_what_is_wrong_with_the_numbers() {
    let said = |error: BuildError| error.to_string();
    let (min, max) = (5, 2);
    let upside_down = Pool::builder().workers(min..=max).build().unwrap_err();
    assert!(matches!(upside_down, BuildError::EmptyRange { min: 5, max: 2 }));
    let said_of_range = said(upside_down);
    assert!(said_of_range.contains("least 5") && said_of_range.contains("most 2"), "{said_of_range}");
    assert!(matches!(Pool::builder().workers(0..=0).build(), Err(BuildError::NoWorkers)));
    let error = Pool::builder().queue(0).build().unwrap_err();
    assert!(matches!(error, BuildError::NoQueue));
    assert!(said(error).contains("at least 1"));
    let error = Pool::builder().name("two\0words").build().unwrap_err();
    assert!(matches!(error, BuildError::BadName));
    assert!(said(error).contains("NUL"));
}

#[test]
fn workers_are_a_number_or_a_range_or_a_maximum() {
    within_a_minute(|| {
        assert_eq!(pool(4, 1).stats().workers, 4);
        assert_eq!(pool(2..=16, 1).stats().workers, 2);
        assert_eq!(pool(0..=8, 1).stats().workers, 0);
        assert_eq!(pool(..=8, 1).stats().workers, 0);
        // As many as there are processors.
        let processors = thread::available_parallelism().map_or(1, usize::from);
        assert_eq!(Pool::builder().build().unwrap().stats().workers, processors);
    });
}

#[test]
fn hooks_run_once_on_each_worker_before_the_first_and_after_the_last_task() {
    within_a_minute(|| {
        let (told, hears) = channel();
        let tells = move |what: &'static str| {
            let told = told.clone();
            move || told.send((what, thread::current().name().unwrap().to_owned())).unwrap()
        };
        let builder = Pool::builder().name("hook").workers(1).on_start(tells("starts"));
        let pool = builder.on_exit(tells("ends")).build().unwrap();
        pool.execute(tells("runs")).unwrap();
        pool.execute(tells("runs")).unwrap();
        drop(pool);
        drop(tells);
        let seen: Vec<_> = hears.iter().collect();
        assert_eq!(seen.iter().map(|it| it.0).collect::<Vec<_>>(), ["starts", "runs", "runs", "ends"]);
        assert!(seen.iter().all(|(_, name)| name == "hook-0"), "{seen:?}");
    });
}

#[test]
fn hook_that_panics_takes_no_worker_with_it() {
    fn bad() {
        std::panic::resume_unwind(Box::new("hook"));
    }
    within_a_minute(|| {
        let builder = Pool::builder().workers(1).on_start(bad).on_exit(bad).on_panic(|_| bad());
        let pool = builder.build().unwrap();
        for _ in 0..3 {
            pool.execute(|| std::panic::resume_unwind(Box::new("task"))).unwrap();
        }
        assert_eq!(pool.submit(|| 4).unwrap().join().unwrap(), 4);
        assert_eq!(pool.stats().workers, 1);
        let report = pool.shutdown();
        assert_eq!((report.completed, report.panicked), (1, 3));
    });
}

#[test]
fn every_spelling_runs_its_closure_once() {
    within_a_minute(|| {
        let (pool, ran) = (pool(1, 64), Arc::new(AtomicUsize::new(0)));
        let task = || {
            let ran = Arc::clone(&ran);
            move || ran.fetch_add(1, SeqCst)
        };
        let plain = || {
            let task = task();
            move || _ = task()
        };
        pool.execute(plain()).unwrap();
        pool.try_execute(plain()).unwrap();
        pool.execute_until(plain(), HOUR).unwrap();
        let with = |task: Box<dyn FnOnce() -> usize + Send>| move |_: &CancelToken| task();
        let handles = [
            pool.submit(task()).unwrap(),
            pool.try_submit(task()).unwrap(),
            pool.submit_until(task(), HOUR).unwrap(),
            pool.submit_with(with(Box::new(task()))).unwrap(),
            pool.try_submit_with(with(Box::new(task()))).unwrap(),
            pool.submit_with_until(with(Box::new(task())), HOUR).unwrap(),
        ];
        // One worker: in the order in which they came.
        assert_eq!(handles.map(|handle| handle.join().unwrap()), [3, 4, 5, 6, 7, 8]);
        assert_eq!((ran.load(SeqCst), pool.shutdown().completed), (9, 9));
    });
}

#[test]
fn every_spelling_gives_its_closure_back_when_it_is_refused() {
    within_a_minute(|| {
        let (pool, gate) = busy(1);
        pool.execute(|| ()).unwrap();
        let (late, cancelled) = (Duration::ZERO, CancelToken::new());
        cancelled.cancel();
        let unit = String::from("mine");
        let gives = || {
            let unit = unit.clone();
            move || drop(unit)
        };
        let gives_with = || {
            let unit = unit.clone();
            move |_: &CancelToken| unit
        };
        for closed in [false, true] {
            let blocked = if closed { TryError::Closed } else { TryError::WouldBlock };
            let too_late = if closed { WaitError::Closed } else { WaitError::TimedOut };
            assert_eq!(pool.try_execute(gives()).map_err(|it| ((it.value)(), it.error).1), Err(blocked));
            assert_eq!(
                pool.try_submit(gives()).map_err(|it| ((it.value)(), it.error).1).err(),
                Some(blocked)
            );
            assert_eq!(pool.try_submit_with(gives_with()).unwrap_err().error, blocked);
            assert_eq!(pool.execute_until(gives(), late).unwrap_err().error, too_late);
            assert_eq!(pool.submit_until(gives(), late).unwrap_err().error, too_late);
            let rejected = pool.submit_with_until(gives_with(), late).unwrap_err();
            assert_eq!((rejected.error, (rejected.value)(&cancelled)), (too_late, unit.clone()));
            // A token that was cancelled before says so, whether the pool is open or not.
            assert_eq!(pool.submit_until(gives(), &cancelled).unwrap_err().error, WaitError::Cancelled);
            if !closed {
                assert!(pool.shutdown_until(late).is_err());
            }
        }
        assert_eq!(pool.submit_with(gives_with()).unwrap_err().error, Closed);
        gate.count_down();
        assert_eq!(pool.shutdown().completed, 2);
    });
}

#[test]
fn hundred_panicking_tasks_neither_shrink_nor_starve_the_pool() {
    within_a_minute(|| {
        let pool = pool(2, 300);
        let mut wanted = Vec::new();
        for id in 0..100 {
            pool.execute(|| std::panic::resume_unwind(Box::new("on purpose"))).unwrap();
            wanted.push((id, pool.submit(move || id).unwrap()));
        }
        for (id, task) in wanted {
            assert_eq!(task.join().unwrap(), id);
        }
        assert_eq!(pool.stats().workers, 2);
        let report = pool.shutdown();
        assert_eq!((report.completed, report.panicked), (100, 100));
    });
}
