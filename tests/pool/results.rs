//! Results as a stream, and scopes on a pool's workers.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::common::pools::{abort, busy, occupy, pool};
use crate::common::{HOUR, message, until_figure, within_a_minute};
use selvedge::error::JoinError;
use selvedge::error::{Closed, TryError, WaitError};
use selvedge::{CancelToken, Latch, Pool, group};

#[test]
fn results_come_in_the_order_in_which_tasks_end() {
    within_a_minute(|| {
        let (pool, gates) = (pool(3, 8), [(); 3].map(|()| Arc::new(Latch::new(1))));
        let results = pool.results();
        for (id, gate) in gates.iter().enumerate() {
            let gate = Arc::clone(gate);
            let task = move || {
                gate.wait();
                id * 10
            };
            assert_eq!(results.submit(task).unwrap(), id);
        }
        assert_eq!((results.len(), results.under_way()), (0, 3));
        for id in [2, 0, 1] {
            gates[id].count_down();
            let (number, result) = results.next().unwrap();
            assert_eq!((number, result.unwrap()), (id, id * 10));
        }
        assert!(results.next().is_none() && results.is_empty());
    });
}

#[test]
fn results_that_nobody_reads_hold_nobody_up() {
    within_a_minute(|| {
        // The reference: one worker, three tasks, nobody reads, and the stop hangs.
        let pool = pool(1, 4);
        let results = pool.results();
        (0..100).for_each(|n| _ = results.submit(move || n).unwrap());
        assert_eq!(pool.shutdown().completed, 100);
        assert_eq!(results.len(), 100);
        let read: Vec<_> = results.into_iter().map(|(id, result)| (id, result.unwrap())).collect();
        assert_eq!(read, (0..100).map(|n| (n, n)).collect::<Vec<_>>());
    });
}

#[test]
fn stream_that_is_dropped_lets_its_tasks_run_on_and_tells_the_hook_of_panics() {
    within_a_minute(|| {
        let (told, hears) = channel();
        let told = Mutex::new(told);
        let builder = Pool::builder().workers(1);
        let builder = builder.on_panic(move |it| told.lock().unwrap().send(it.message().to_owned()).unwrap());
        let pool = builder.build().unwrap();
        let results = pool.results();
        results.submit(|| std::panic::resume_unwind(Box::new("before"))).unwrap();
        results.submit(|| ()).unwrap();
        until_figure(&results, "ended", 2);
        let gate = occupy(&pool);
        results.submit(|| std::panic::resume_unwind(Box::new("after"))).unwrap();
        drop(results);
        gate.count_down();
        let report = pool.shutdown();
        assert_eq!((report.completed, report.panicked), (2, 2));
        drop(pool);
        assert_eq!(hears.iter().collect::<Vec<_>>(), ["before", "after"]);
    });
}

#[test]
fn panic_and_cancel_are_results_and_carry_their_number() {
    within_a_minute(|| {
        let (pool, gate) = busy(8);
        let results = pool.results::<u8>();
        results.submit(|| 1).unwrap();
        results.submit(|| std::panic::resume_unwind(Box::new("two"))).unwrap();
        let report = abort(&pool, &gate);
        let mut unstarted = report.unstarted.into_iter();
        unstarted.next_back().unwrap().run();
        drop(unstarted);
        match results.next() {
            Some((1, Err(JoinError::Panicked(panic)))) => assert_eq!(panic.message(), "two"),
            other => panic!("{other:?}"),
        }
        assert!(matches!(results.next(), Some((0, Err(JoinError::Cancelled)))));
        assert!(results.next().is_none());
    });
}

#[test]
fn refused_closure_comes_back_and_takes_no_number() {
    within_a_minute(|| {
        let ((pool, gate), token) = (busy(1), CancelToken::new());
        token.cancel();
        let results = pool.results();
        assert_eq!(results.submit(|| 0).unwrap(), 0);
        let rejected = results.try_submit(|| 1).unwrap_err();
        assert_eq!((rejected.error, (rejected.value)()), (TryError::WouldBlock, 1));
        assert_eq!(results.submit_until(|| 1, Duration::ZERO).unwrap_err().error, WaitError::TimedOut);
        assert_eq!(results.submit_until(|| 1, &token).unwrap_err().error, WaitError::Cancelled);
        assert_eq!(results.under_way(), 1);
        gate.count_down();
        assert_eq!(results.submit_until(|| 1, HOUR).unwrap(), 1);
        pool.shutdown();
        assert_eq!(results.submit(|| 2).unwrap_err().error, Closed);
        assert_eq!(results.into_iter().count(), 2);
    });
}

#[test]
fn reading_waits_no_longer_than_its_limit_and_not_at_all_for_nothing() {
    within_a_minute(|| {
        let ((pool, gate), token) = (busy(4), CancelToken::new());
        let results = pool.results();
        assert!(results.next().is_none() && results.try_next().unwrap().is_none());
        results.submit(|| 3).unwrap();
        assert_eq!(results.try_next().unwrap_err(), TryError::WouldBlock);
        assert_eq!(results.next_until(Duration::from_millis(1)).unwrap_err(), WaitError::TimedOut);
        thread::scope(|threads| {
            let reader = threads.spawn(|| results.next_until((&token, HOUR)).unwrap_err());
            until_figure(&results, "waiting", 1);
            token.cancel();
            assert_eq!(reader.join().unwrap(), WaitError::Cancelled);
        });
        gate.count_down();
        assert!(matches!(results.next_until(HOUR), Ok(Some((0, Ok(3))))));
    });
}

#[test]
fn streams_from_many_threads_number_each_task_once() {
    within_a_minute(|| {
        let pool = pool(2, 4);
        let results = pool.results();
        let numbers: BTreeSet<usize> = thread::scope(|threads| {
            let submitters = [0, 1, 2].map(|who| {
                let results = &results;
                threads.spawn(move || {
                    (0..50).map(|n| (results.submit(move || who * 50 + n)).unwrap()).collect::<Vec<_>>()
                })
            });
            submitters.into_iter().flat_map(|it| it.join().unwrap()).collect()
        });
        assert_eq!(numbers, (0..150).collect());
        let (ids, values): (BTreeSet<_>, BTreeSet<_>) =
            results.into_iter().map(|(id, value)| (id, value.unwrap())).unzip();
        assert_eq!((ids, values), (numbers.clone(), numbers));
    });
}

#[test]
fn two_streams_of_one_pool_do_not_mix() {
    within_a_minute(|| {
        let pool = pool(1, 8);
        let (words, numbers) = (pool.results(), pool.results());
        words.submit(|| "warp").unwrap();
        numbers.submit(|| 1).unwrap();
        words.submit(|| "weft").unwrap();
        assert_eq!(words.into_iter().map(|it| it.1.unwrap()).collect::<Vec<_>>(), ["warp", "weft"]);
        assert_eq!(numbers.into_iter().map(|it| it.1.unwrap()).collect::<Vec<_>>(), [1]);
    });
}

#[test]
fn reader_inside_a_task_is_served_by_a_spare() {
    within_a_minute(|| {
        let pool = Arc::new(Pool::builder().workers(1).spares(1).build().unwrap());
        let inner = Arc::clone(&pool);
        let task = pool.submit(move || {
            let results = inner.results();
            (0..5_u32).for_each(|n| _ = results.submit(move || n).unwrap());
            results.into_iter().map(|(_, n)| n.unwrap()).sum::<u32>()
        });
        assert_eq!(task.unwrap().join().unwrap(), 10);
    });
}

#[test]
fn scope_lends_the_stack_to_the_pools_workers() {
    within_a_minute(|| {
        let pool = pool(2, 1);
        let mut words = vec![String::from("warp"), String::from("weft"), String::from("selvedge")];
        // Two that wait for each other, so that a worker must have come.
        let (both, names) = (Latch::new(2), Mutex::new(BTreeSet::new()));
        let caller = thread::current().name().unwrap_or_default().to_owned();
        let result: Result<usize, group::Error<()>> = pool.scope(&CancelToken::new(), |s| {
            for word in &mut words {
                s.spawn(move |_| {
                    word.push('!');
                    Ok(())
                });
            }
            for _ in 0..2 {
                s.spawn(|_| {
                    both.count_down();
                    both.wait();
                    names.lock().unwrap().insert(thread::current().name().unwrap().to_owned());
                    Ok(())
                });
            }
            Ok(7)
        });
        assert_eq!(result, Ok(7));
        assert_eq!(words, ["warp!", "weft!", "selvedge!"]);
        let names = names.into_inner().unwrap();
        assert_eq!(names.len(), 2);
        assert!(names.iter().all(|name| name.starts_with("test-") || *name == caller), "{names:?}");
    });
}

#[test]
fn scopes_first_error_cancels_the_rest_and_its_panic_goes_to_the_owner() {
    within_a_minute(|| {
        let pool = pool(2, 4);
        let result: Result<(), group::Error<&str>> = pool.scope(&CancelToken::new(), |s| {
            s.spawn(|stop| stop.sleep(HOUR).map_or_else(|_| Ok(()), |()| Err("slept")));
            s.spawn(|_| Err("first"));
            Ok(())
        });
        assert_eq!(result, Err(group::Error::Failed("first")));
        let panics = || -> Result<(), group::Error<()>> {
            pool.scope(&CancelToken::new(), |s| {
                s.spawn(|_| std::panic::resume_unwind(Box::new("mine")));
                Ok(())
            })
        };
        let payload = catch_unwind(AssertUnwindSafe(panics)).unwrap_err();
        assert_eq!(message(&*payload), "mine");
        assert_eq!(pool.submit(|| 1).unwrap().join().unwrap(), 1);
    });
}

#[test]
fn scope_on_a_closed_pool_runs_on_the_callers_thread() {
    within_a_minute(|| {
        let (pool, here) = (pool(2, 4), thread::current().id());
        pool.shutdown();
        let ran = Mutex::new(Vec::new());
        let result: Result<(), group::Error<()>> = pool.scope(&CancelToken::new(), |s| {
            for _ in 0..3 {
                s.spawn(|_| {
                    ran.lock().unwrap().push(thread::current().id() == here);
                    Ok(())
                });
            }
            Ok(())
        });
        assert_eq!((result, ran.into_inner().unwrap()), (Ok(()), vec![true; 3]));
    });
}

#[test]
fn ten_thousand_tasks_of_a_scope_are_no_tasks_of_the_pools_figures() {
    within_a_minute(|| {
        let pool = pool(2, 1);
        let mut ran = vec![false; 10_000];
        let result: Result<(), group::Error<()>> = pool.scope(&CancelToken::new(), |s| {
            for each in &mut ran {
                s.spawn(move |_| {
                    *each = true;
                    Ok(())
                });
            }
            Ok(())
        });
        assert_eq!((result, ran.into_iter().all(|ran| ran)), (Ok(()), true));
        assert_eq!(pool.shutdown().completed, 0);
    });
}
