//! Delayed and periodic tasks, on a manual clock.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::common::pools::{Tells, occupy};
use crate::common::{HOUR, eventually, within_a_minute};
use selvedge::error::{JoinError, TryError, WaitError};
use selvedge::{BoundedQueue, Clock, Latch, ManualClock, Pool, select};

const SECOND: Duration = Duration::from_secs(1);

fn pool(clock: &ManualClock, queue: usize) -> Arc<Pool> {
    Arc::new(Pool::builder().workers(1).queue(queue).clock(clock).build().unwrap())
}

/// Waits until the pool has run so many tasks.
#[track_caller]
fn until_completed(pool: &Pool, count: usize) {
    eventually("the tasks have run", || pool.stats().completed == count);
}

#[test]
fn delayed_task_runs_when_its_time_has_come_and_not_before() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let pool = pool(&clock, 4);
        let task = pool.submit_after(HOUR, || 7).unwrap();
        assert_eq!(pool.stats().delayed, 1);
        clock.advance(HOUR - Duration::from_nanos(1));
        pool.submit(|| ()).unwrap().join().unwrap();
        let task = task.try_join().unwrap_err();
        clock.advance(Duration::from_nanos(1));
        assert_eq!(task.join().unwrap(), 7);
        assert_eq!((pool.stats().delayed, pool.stats().completed), (0, 2));
    });
}

#[test]
fn delayed_tasks_start_in_the_order_of_their_times() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let pool = pool(&clock, 8);
        let order = Arc::new(Mutex::new(Vec::new()));
        let tasks = [3, 1, 2, 1].map(|seconds| {
            let order = Arc::clone(&order);
            pool.submit_after(SECOND * seconds, move || order.lock().unwrap().push(seconds)).unwrap()
        });
        clock.advance(HOUR);
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(*order.lock().unwrap(), [1, 1, 2, 3]);
    });
}

#[test]
fn delay_of_zero_is_queued_at_once() {
    within_a_minute(|| {
        let pool = pool(&Clock::manual(), 1);
        assert_eq!(pool.submit_after(Duration::ZERO, || 7).unwrap().join().unwrap(), 7);
    });
}

#[test]
fn delay_of_forever_ends_by_a_cancel_or_a_shutdown() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let pool = pool(&clock, 2);
        let cancelled = pool.submit_after(Duration::MAX, || ()).unwrap();
        let left = pool.submit_after(Duration::MAX, || ()).unwrap();
        clock.advance(HOUR * 24 * 365);
        assert_eq!(pool.stats().delayed, 2);
        assert!(cancelled.cancel());
        let report = pool.shutdown();
        assert_eq!((report.cancelled, report.unstarted.len()), (1, 1));
        drop(report);
        assert!(matches!(left.join(), Err(JoinError::Cancelled)));
    });
}

#[test]
fn delay_of_forever_on_the_systems_clock_neither_runs_nor_overflows() {
    within_a_minute(|| {
        let pool = Pool::builder().workers(1).build().unwrap();
        let never = pool.submit_after(Duration::MAX, || ()).unwrap();
        let soon = pool.submit_after(Duration::from_millis(1), || 7).unwrap();
        assert_eq!(soon.join().unwrap(), 7);
        assert!(!never.is_finished() && never.cancel());
    });
}

#[test]
fn cancelled_delayed_task_drops_its_closure_and_frees_its_place_at_once() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let pool = pool(&clock, 1);
        let (tells, told) = channel();
        let captured = Tells(1, tells);
        let task = pool.submit_after(HOUR, move || drop(captured)).unwrap();
        assert!(task.cancel() && !task.cancel());
        assert_eq!((told.try_recv(), pool.stats().delayed), (Ok(1), 0));
        assert!(matches!(task.join(), Err(JoinError::Cancelled)));
        // The pool has one place.
        let next = pool.submit_after(HOUR, || 8).unwrap();
        clock.advance(HOUR);
        assert_eq!(next.join().unwrap(), 8);
    });
}

#[test]
fn more_delayed_tasks_than_the_queue_holds_are_refused_until_one_has_run() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let pool = pool(&clock, 2);
        let tasks = [1, 2].map(|seconds| pool.submit_after(SECOND * seconds, || ()).unwrap());
        let refused = pool.submit_after(SECOND, || 7).unwrap_err();
        assert_eq!((refused.error, (refused.value)()), (TryError::WouldBlock, 7));
        // A task that is due and has not started keeps its place.
        let gate = occupy(&pool);
        clock.advance(HOUR);
        assert_eq!(pool.submit_after(SECOND, || 7).unwrap_err().error, TryError::WouldBlock);
        gate.count_down();
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert!(pool.submit_after(SECOND, || 7).is_ok());
    });
}

#[test]
fn due_tasks_do_not_wait_for_room_in_a_full_queue() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let pool = pool(&clock, 1);
        let delayed = pool.submit_after(SECOND, || 1).unwrap();
        let gate = occupy(&pool);
        let queued = pool.submit(|| 2).unwrap();
        clock.advance(SECOND); // returns, although the queue is full
        assert_eq!(pool.stats().queued, 2);
        gate.count_down();
        assert_eq!((delayed.join().unwrap(), queued.join().unwrap()), (1, 2));
    });
}

#[test]
fn closed_pool_refuses_delayed_and_periodic_tasks() {
    within_a_minute(|| {
        let pool = pool(&Clock::manual(), 1);
        pool.shutdown();
        assert_eq!(pool.submit_after(SECOND, || ()).unwrap_err().error, TryError::Closed);
        assert_eq!(pool.submit_after(Duration::ZERO, || ()).unwrap_err().error, TryError::Closed);
        assert_eq!(pool.submit_every(SECOND, |_| ()).unwrap_err().error, TryError::Closed);
    });
}

#[test]
fn shutdown_hands_back_what_is_not_due_and_runs_what_is() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let pool = pool(&clock, 8);
        let tasks = [3, 1, 2].map(|seconds| pool.submit_after(SECOND * seconds, move || seconds).unwrap());
        clock.advance(SECOND);
        let report = pool.shutdown();
        assert_eq!((report.completed, report.unstarted.len()), (1, 2));
        assert!(pool.shutdown().unstarted.is_empty(), "each comes back once");
        // The earliest first: the task of two seconds is run here, the one of three is dropped.
        let mut unstarted = report.unstarted.into_iter();
        unstarted.next().unwrap().run();
        drop(unstarted);
        let results = tasks.map(|task| task.join());
        assert!(matches!(results, [Err(JoinError::Cancelled), Ok(1), Ok(2)]), "{results:?}");
        clock.advance(HOUR); // no alarm is left
    });
}

#[test]
fn abort_hands_back_the_queued_before_the_delayed() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let pool = pool(&clock, 8);
        let gate = occupy(&pool);
        let order = Arc::new(Mutex::new(Vec::new()));
        let tells = |number: u32| {
            let order = Arc::clone(&order);
            move || order.lock().unwrap().push(number)
        };
        let delayed = pool.submit_after(SECOND * 9, tells(4)).unwrap();
        let earlier = pool.submit_after(SECOND * 5, tells(3)).unwrap();
        let due = pool.submit_after(SECOND, tells(2)).unwrap();
        let queued = pool.submit(tells(1)).unwrap();
        clock.advance(SECOND);
        let report = crate::common::pools::abort(&pool, &gate);
        assert_eq!(report.unstarted.len(), 4);
        report.unstarted.into_iter().for_each(selvedge::pool::Unstarted::run);
        for task in [delayed, earlier, due, queued] {
            task.join().unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [1, 2, 3, 4]);
    });
}

#[test]
fn dropped_pool_cancels_what_is_not_due() {
    within_a_minute(|| {
        let clock = Clock::manual();
        for detaches in [false, true] {
            let pool = Pool::builder().workers(1).clock(&clock).build().unwrap();
            let (once, rounds) =
                (pool.submit_after(SECOND, || ()).unwrap(), pool.submit_every(SECOND, |_| ()).unwrap());
            if detaches {
                pool.detach();
            } else {
                drop(pool);
            }
            assert!(matches!(once.join(), Err(JoinError::Cancelled)));
            assert!(matches!(rounds.join(), Err(JoinError::Cancelled)));
        }
    });
}

#[test]
fn worker_that_joins_a_delayed_task_runs_it_when_it_is_due() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let pool = pool(&clock, 4);
        let inner = Arc::clone(&pool);
        let (inside, waits) = (Arc::new(Latch::new(1)), Arc::new(AtomicUsize::new(0)));
        let (enters, counts) = (Arc::clone(&inside), Arc::clone(&waits));
        // The only worker waits for a task that no other could run.
        let outer = pool
            .submit(move || {
                let task = inner.submit_after(HOUR, move || counts.fetch_add(1, SeqCst)).unwrap();
                enters.count_down();
                task.join().unwrap()
            })
            .unwrap();
        inside.wait();
        eventually("the worker waits", || pool.stats().blocked == 1);
        assert_eq!(waits.load(SeqCst), 0, "a join does not run it early");
        clock.advance(HOUR);
        assert_eq!(outer.join().unwrap(), 0);
    });
}

#[test]
fn worker_that_selects_a_delayed_task_runs_it_when_it_is_due() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let pool = pool(&clock, 4);
        let (inner, never) = (Arc::clone(&pool), BoundedQueue::<u32>::new(1));
        let outer = pool
            .submit(move || {
                let mut task = Some(inner.submit_after(HOUR, || 7).unwrap());
                select! {
                    join(&mut task) -> result => result.unwrap(),
                    pop(&never) -> _item => unreachable!("nobody pushes"),
                }
            })
            .unwrap();
        eventually("the worker waits", || pool.stats().blocked == 1);
        clock.advance(HOUR);
        assert_eq!(outer.join().unwrap(), 7);
    });
}

#[test]
fn shutdown_cancels_the_delayed_task_that_a_worker_waits_for() {
    within_a_minute(|| {
        let pool = pool(&Clock::manual(), 4);
        let inner = Arc::clone(&pool);
        let outer = pool.submit(move || inner.submit_after(HOUR, || ()).unwrap().join()).unwrap();
        eventually("the worker waits", || pool.stats().blocked == 1);
        let report = pool.shutdown(); // would wait for the worker, and the worker for what it hands back
        assert_eq!((report.completed, report.cancelled), (1, 1));
        assert!(matches!(outer.join().unwrap(), Err(JoinError::Cancelled)));
        report.unstarted.into_iter().for_each(selvedge::pool::Unstarted::run);
        assert_eq!(pool.stats().completed, 1, "a cancelled task does not run");
    });
}

#[test]
fn panic_of_a_delayed_task_goes_to_its_handle_or_to_the_hook() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let (tells, told) = channel();
        let tells = Mutex::new(tells);
        let hook = move |panic: selvedge::error::Panic| {
            tells.lock().unwrap().send(panic.message().to_owned()).unwrap()
        };
        let pool = Pool::builder().workers(1).clock(&clock).on_panic(hook).build().unwrap();
        let task =
            pool.submit_after::<_, ()>(SECOND, || std::panic::resume_unwind(Box::new("joined"))).unwrap();
        drop(pool.submit_after::<_, ()>(SECOND, || std::panic::resume_unwind(Box::new("dropped"))).unwrap());
        clock.advance(SECOND);
        let Err(JoinError::Panicked(panic)) = task.join() else { panic!() };
        assert_eq!(panic.message(), "joined");
        assert_eq!(told.recv().unwrap(), "dropped");
        assert_eq!(pool.submit(|| 5).unwrap().join().unwrap(), 5);
        assert_eq!(pool.stats().panicked, 2);
    });
}

#[test]
fn limit_of_a_join_ends_before_the_task_is_due() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let pool = pool(&clock, 4);
        let task = pool.submit_after(HOUR, || 7).unwrap();
        let late = task.join_until(Duration::from_millis(1)).unwrap_err();
        assert_eq!(late.error, WaitError::TimedOut);
        clock.advance(HOUR);
        assert_eq!(late.value.join().unwrap(), 7);
    });
}

#[test]
fn periodic_task_runs_in_each_period_until_it_is_cancelled() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let pool = pool(&clock, 4);
        let rounds = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&rounds);
        let task = pool.submit_every(SECOND, move |_| _ = counts.fetch_add(1, SeqCst)).unwrap();
        assert_eq!(rounds.load(SeqCst), 0, "the first round is one period away");
        for round in 1..=5 {
            eventually("the next round is armed", || pool.stats().delayed == 1);
            clock.advance(SECOND);
            until_completed(&pool, round);
        }
        eventually("the next round is armed", || pool.stats().delayed == 1);
        assert!(task.cancel());
        clock.advance(HOUR);
        assert_eq!((rounds.load(SeqCst), pool.stats().delayed), (5, 0));
        assert!(matches!(task.join(), Err(JoinError::Cancelled)));
    });
}

#[test]
fn round_that_breaks_ends_the_task_with_its_value() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let pool = pool(&clock, 1);
        let mut left = 3;
        let task = pool
            .submit_every(SECOND, move |_| {
                left -= 1;
                if left == 0 { ControlFlow::Break("done") } else { ControlFlow::Continue(()) }
            })
            .unwrap();
        while !task.is_finished() {
            clock.advance(SECOND);
            thread::yield_now();
        }
        assert_eq!((task.join().unwrap(), pool.stats().completed), ("done", 3));
        assert!(pool.submit_after(SECOND, || ()).is_ok(), "its place is free");
    });
}

#[test]
fn round_that_outlasts_the_period_is_followed_at_once_and_the_missed_ones_are_skipped() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let pool = pool(&clock, 4);
        let (start, starts) = (clock.now(), Arc::new(Mutex::new(Vec::new())));
        let (reads, tells) = (clock.clone(), Arc::clone(&starts));
        let task = pool
            .submit_every(SECOND, move |_| {
                let mut starts = tells.lock().unwrap();
                starts.push((reads.now() - start).as_secs_f64());
                if starts.len() == 1 {
                    // The first round takes two and a half periods.
                    reads.advance(SECOND * 5 / 2);
                }
            })
            .unwrap();
        clock.advance(SECOND);
        until_completed(&pool, 2);
        eventually("the next round is armed", || pool.stats().delayed == 1);
        clock.advance(SECOND / 2); // to 4
        until_completed(&pool, 3);
        task.cancel();
        // At 1; at 3.5 for the tick at 3, without the one at 2; at 4, which has not moved.
        assert_eq!(*starts.lock().unwrap(), [1.0, 3.5, 4.0]);
    });
}

#[test]
fn period_shorter_than_its_task_leaves_the_worker_to_others_in_between() {
    within_a_minute(|| {
        let pool = Pool::builder().workers(1).build().unwrap();
        let busy =
            pool.submit_every(Duration::from_nanos(1), |_| thread::sleep(Duration::from_millis(1))).unwrap();
        for number in 0..20 {
            assert_eq!(pool.submit(move || number).unwrap().join().unwrap(), number);
        }
        busy.cancel();
        assert!(matches!(busy.join(), Err(JoinError::Cancelled)));
    });
}

#[test]
fn cancel_during_a_round_reaches_its_token_and_makes_it_the_last() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let pool = pool(&clock, 4);
        let (started, answered) = (Arc::new(Latch::new(1)), Arc::new(Latch::new(1)));
        let (starts, waits) = (Arc::clone(&started), Arc::clone(&answered));
        let task = pool
            .submit_every(SECOND, move |stop| {
                starts.count_down();
                stop.wait();
                // The round lasts until the cancel has returned: it could end before the call looks for it.
                waits.wait();
            })
            .unwrap();
        clock.advance(SECOND);
        started.wait();
        assert!(!task.cancel(), "a round runs");
        answered.count_down();
        assert!(matches!(task.join(), Err(JoinError::Cancelled)));
        clock.advance(HOUR);
        let report = pool.shutdown();
        assert_eq!((report.completed, report.cancelled), (1, 1));
    });
}

#[test]
fn panic_in_a_round_ends_the_task() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let pool = pool(&clock, 4);
        let task =
            pool.submit_every(SECOND, |_| -> () { std::panic::resume_unwind(Box::new("broken")) }).unwrap();
        clock.advance(SECOND);
        let Err(JoinError::Panicked(panic)) = task.join() else { panic!() };
        assert_eq!(panic.message(), "broken");
        clock.advance(HOUR);
        assert_eq!((pool.stats().panicked, pool.stats().delayed), (1, 0));
    });
}

#[test]
fn period_beyond_the_end_of_time_never_comes() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let pool = pool(&clock, 4);
        let task = pool.submit_every(Duration::MAX, |_| ()).unwrap();
        clock.advance(HOUR);
        assert_eq!(pool.stats().delayed, 1);
        assert!(task.cancel());
    });
}

#[test]
fn shutdown_ends_a_periodic_task_after_the_round_that_is_due() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let pool = pool(&clock, 4);
        let gate = occupy(&pool);
        let (due, waiting) =
            (pool.submit_every(SECOND, |_| ()).unwrap(), pool.submit_every(HOUR, |_| ()).unwrap());
        clock.advance(SECOND);
        let closer = thread::spawn({
            let pool = Arc::clone(&pool);
            move || pool.shutdown()
        });
        eventually("the pool is closed", || pool.is_closed());
        gate.count_down();
        let report = closer.join().unwrap();
        assert_eq!((report.completed, report.cancelled, report.unstarted.len()), (2, 2, 0));
        assert!(matches!(due.join(), Err(JoinError::Cancelled)));
        assert!(matches!(waiting.join(), Err(JoinError::Cancelled)));
    });
}

#[test]
fn abort_ends_a_periodic_task_whose_round_is_queued() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let pool = pool(&clock, 4);
        let gate = occupy(&pool);
        let task = pool.submit_every(SECOND, |_| ()).unwrap();
        clock.advance(SECOND);
        let report = crate::common::pools::abort(&pool, &gate);
        assert_eq!((report.completed, report.unstarted.len()), (1, 0));
        assert!(matches!(task.join(), Err(JoinError::Cancelled)));
    });
}

#[test]
fn worker_that_joins_a_periodic_task_runs_its_rounds() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let pool = pool(&clock, 4);
        let inner = Arc::clone(&pool);
        let outer = pool
            .submit(move || {
                let mut left = 3;
                let round = move |_: &selvedge::CancelToken| {
                    left -= 1;
                    if left == 0 { ControlFlow::Break(7) } else { ControlFlow::Continue(()) }
                };
                inner.submit_every(SECOND, round).unwrap().join().unwrap()
            })
            .unwrap();
        while !outer.is_finished() {
            clock.advance(SECOND);
            thread::yield_now();
        }
        assert_eq!(outer.join().unwrap(), 7);
    });
}

#[test]
fn round_that_joins_its_own_task_is_told() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let pool = pool(&clock, 4);
        let own = Arc::new(Mutex::new(None::<selvedge::Task<bool>>));
        let takes = Arc::clone(&own);
        let (tells, told) = channel();
        let task = pool
            .submit_every(SECOND, move |_| {
                let task = takes.lock().unwrap().take().unwrap();
                tells.send(matches!(task.join(), Err(JoinError::WouldDeadlock))).unwrap();
                ControlFlow::Break(true)
            })
            .unwrap();
        *own.lock().unwrap() = Some(task);
        clock.advance(SECOND);
        assert!(told.recv().unwrap());
    });
}

#[test]
fn delayed_tasks_of_many_threads_each_run_once() {
    within_a_minute(|| {
        let pool = Arc::new(Pool::builder().workers(1..=3).queue(1 << 12).build().unwrap());
        let runs = Arc::new(AtomicUsize::new(0));
        let cancelled: usize = thread::scope(|s| {
            let submitters: Vec<_> = (0..3)
                .map(|_| {
                    s.spawn(|| {
                        let tasks: Vec<_> = (0..300_u64)
                            .map(|number| {
                                let runs = Arc::clone(&runs);
                                let delay = Duration::from_micros(number * 37 % 500);
                                pool.submit_after(delay, move || _ = runs.fetch_add(1, SeqCst)).unwrap()
                            })
                            .collect();
                        let cancelled = tasks.iter().step_by(5).filter(|task| task.cancel()).count();
                        let joined = tasks.into_iter().map(|task| task.join());
                        assert_eq!(joined.filter(Result::is_err).count(), cancelled);
                        cancelled
                    })
                })
                .collect();
            submitters.into_iter().map(|submitter| submitter.join().unwrap()).sum()
        });
        assert_eq!(runs.load(SeqCst), 900 - cancelled);
        assert_eq!(pool.stats().delayed, 0);
    });
}
