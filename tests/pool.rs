//! The pool from outside: every accepted task is accounted for, and no call from inside one deadlocks.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use common::{HOUR, eventually, until_figure, within_a_minute};
use selvedge::error::{Closed, TryError, WaitError};
use selvedge::pool::{BuildError, TaskError};
use selvedge::{CancelToken, Latch, Pool, Task};

fn pool(workers: usize, queue: usize) -> Arc<Pool> {
    Arc::new(Pool::builder().name("test").workers(workers).queue(queue).build().unwrap())
}

/// A pool of one worker, which stays busy until the latch opens.
fn busy(queue: usize) -> (Arc<Pool>, Arc<Latch>) {
    let (pool, gate) = (pool(1, queue), Arc::new(Latch::new(1)));
    let (waits, started) = (Arc::clone(&gate), Arc::new(Latch::new(1)));
    let starts = Arc::clone(&started);
    pool.execute(move || {
        starts.count_down();
        waits.wait();
    })
    .unwrap();
    started.wait();
    (pool, gate)
}

/// Aborts a busy pool: opens the gate when the queue has been emptied.
fn abort(pool: &Arc<Pool>, gate: &Latch) -> selvedge::pool::Report {
    let aborter = thread::spawn({
        let pool = Arc::clone(pool);
        move || pool.abort()
    });
    eventually("the queue is drained", || pool.is_closed() && pool.stats().queued == 0);
    gate.count_down();
    aborter.join().unwrap()
}

/// Submits a task that panics with a payload.
fn submit_panic(pool: &Pool, payload: impl Send + 'static) -> Task<()> {
    pool.submit(move || std::panic::resume_unwind(Box::new(payload))).unwrap()
}

/// Sends its number when dropped.
struct Tells(usize, std::sync::mpsc::Sender<usize>);

impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.1.send(self.0);
    }
}

#[test]
fn results_come_by_handle_in_whatever_order_they_are_joined() {
    within_a_minute(|| {
        let pool = pool(3, 4);
        let tasks: Vec<_> = (0..50).map(|id| pool.submit(move || id * 2).unwrap()).collect();
        for (id, task) in tasks.into_iter().enumerate().rev() {
            assert_eq!(task.join().unwrap(), id * 2);
        }
        let report = pool.shutdown();
        assert_eq!((report.completed, report.panicked, report.cancelled), (50, 0, 0));
    });
}

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
fn builder_refuses_no_workers_and_no_queue() {
    assert!(matches!(Pool::builder().workers(0).build(), Err(BuildError::NoWorkers)));
    assert!(matches!(Pool::builder().queue(0).build(), Err(BuildError::NoQueue)));
    let said = Pool::builder().workers(0).build().unwrap_err().to_string();
    assert!(said.contains("0 workers") && said.contains("at least 1"), "{said}");
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
fn panic_goes_to_the_handle_and_the_worker_lives_on() {
    within_a_minute(|| {
        let pool = pool(1, 4);
        for payload in ["one", "two"] {
            let task = submit_panic(&pool, payload);
            let Err(TaskError::Panicked(panic)) = task.join() else { panic!() };
            assert_eq!(panic.message(), payload);
            assert_eq!(*panic.into_payload().downcast::<&str>().unwrap(), payload);
        }
        assert_eq!(pool.submit(|| 5).unwrap().join().unwrap(), 5);
        let report = pool.shutdown();
        assert_eq!((report.completed, report.panicked), (1, 2));
    });
}

#[test]
fn resumed_panic_has_its_payload() {
    within_a_minute(|| {
        let pool = pool(1, 1);
        let task = submit_panic(&pool, 77u8);
        let Err(TaskError::Panicked(panic)) = task.join() else { panic!() };
        assert!(!panic.message().is_empty());
        let resumed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| panic.resume()));
        assert_eq!(resumed.unwrap_err().downcast_ref(), Some(&77u8));
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
fn shutdown_that_times_out_names_who_still_runs() {
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
        let joiner = thread::spawn(move || matches!(task.join(), Err(TaskError::Cancelled)));
        drop(unstarted.next());
        assert!(joiner.join().unwrap());
        // A panic of one that is run goes to its handle, not here.
        unstarted.next().unwrap().run();
        assert!(matches!(panics.join(), Err(TaskError::Panicked(_))));
        assert_eq!((pool.stats().cancelled, pool.stats().panicked), (1, 1));
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
        assert!(matches!(two.join(), Err(TaskError::Cancelled)));
        assert_eq!(pool.stats().cancelled, 2);
    });
}

#[test]
fn cancelled_task_never_runs_and_drops_its_closure_at_once() {
    within_a_minute(|| {
        let (pool, gate) = busy(10);
        let (tells, told) = channel();
        let captured = Tells(1, tells);
        let task = pool.submit(move || drop(captured)).unwrap();
        assert!(!task.is_finished());
        assert!(task.cancel());
        assert_eq!(told.try_recv(), Ok(1));
        assert!(!task.cancel() && task.is_finished());
        assert!(matches!(task.join(), Err(TaskError::Cancelled)));
        gate.count_down();
        let report = pool.shutdown();
        assert_eq!((report.completed, report.cancelled), (1, 1));
    });
}

#[test]
fn task_that_runs_or_has_ended_cannot_be_cancelled() {
    within_a_minute(|| {
        let (pool, gate, started) = (pool(1, 4), Arc::new(Latch::new(1)), Arc::new(Latch::new(1)));
        let (waits, starts) = (Arc::clone(&gate), Arc::clone(&started));
        let task = pool
            .submit(move || {
                starts.count_down();
                waits.wait();
                4
            })
            .unwrap();
        started.wait();
        assert!(!task.cancel());
        gate.count_down();
        eventually("the task has ended", || task.is_finished());
        assert!(!task.cancel());
        assert_eq!(task.join().unwrap(), 4);
    });
}

#[test]
fn dropped_handle_lets_its_task_run_on() {
    within_a_minute(|| {
        let (pool, gate) = busy(4);
        let (told, hears) = channel();
        drop(pool.submit(move || told.send(3)).unwrap());
        gate.count_down();
        assert_eq!(hears.recv(), Ok(3));
    });
}

#[test]
fn joining_without_waiting_gives_the_handle_back_until_the_task_has_ended() {
    within_a_minute(|| {
        let (pool, gate) = busy(4);
        let task = pool.submit(|| 3).unwrap();
        let mut task = task.try_join().unwrap_err();
        gate.count_down();
        let result = loop {
            match task.try_join() {
                Ok(result) => break result,
                Err(again) => task = again,
            }
            thread::yield_now();
        };
        assert_eq!(result.unwrap(), 3);
    });
}

#[test]
fn join_that_gives_up_gives_the_handle_back() {
    within_a_minute(|| {
        let (pool, gate) = busy(4);
        let token = CancelToken::new();
        let task = pool.submit(|| 3).unwrap();
        let rejected = task.join_until(Duration::from_millis(1)).unwrap_err();
        assert_eq!(rejected.error, WaitError::TimedOut);
        let task = rejected.value;
        let joiner = thread::spawn({
            let token = token.clone();
            move || task.join_until((&token, HOUR)).unwrap_err()
        });
        until_figure(&token, "watchers", 1);
        token.cancel();
        let rejected = joiner.join().unwrap();
        assert_eq!(rejected.error, WaitError::Cancelled);
        gate.count_down();
        assert_eq!(rejected.value.join_until(HOUR).unwrap().unwrap(), 3);
    });
}

#[test]
fn token_cancelled_before_takes_no_result_although_it_is_there() {
    within_a_minute(|| {
        let (pool, token) = (pool(1, 4), CancelToken::new());
        token.cancel();
        let task = pool.submit(|| 3).unwrap();
        eventually("the task has ended", || task.is_finished());
        let rejected = task.join_until(&token).unwrap_err();
        assert_eq!(rejected.error, WaitError::Cancelled);
        assert_eq!(rejected.value.join_until(Duration::ZERO).unwrap().unwrap(), 3);
    });
}

#[test]
fn result_whose_drop_panics_does_not_shrink_the_pool() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("in drop"));
        }
    }
    within_a_minute(|| {
        let (pool, gate) = busy(10);
        for _ in 0..3 {
            // Nobody takes the result, so the worker drops it; and one panics with such a payload.
            drop(pool.submit(|| Bad).unwrap());
            drop(submit_panic(&pool, Bad));
        }
        gate.count_down();
        assert_eq!(pool.submit(|| 1).unwrap().join().unwrap(), 1);
        assert_eq!(pool.stats().workers, 1);
        let report = pool.shutdown();
        assert_eq!((report.completed, report.panicked), (5, 3));
        assert_eq!(pool.stats().busy, 0);
    });
}

#[test]
fn task_joins_one_that_nobody_has_started_on_one_worker() {
    within_a_minute(|| {
        let pool = pool(1, 4);
        let inner = Arc::clone(&pool);
        let task = pool.submit(move || {
            let here = thread::current().id();
            let below = inner.submit(move || thread::current().id() == here).unwrap();
            below.join().unwrap()
        });
        assert!(task.unwrap().join().unwrap());
        assert_eq!(pool.shutdown().completed, 2);
    });
}

#[test]
fn waiter_never_runs_a_strangers_task() {
    within_a_minute(|| {
        let (pool, gate) = busy(4);
        let inner = Arc::clone(&pool);
        let order = Arc::new(Mutex::new(Vec::new()));
        let push = |id: u8| {
            let order = Arc::clone(&order);
            move || order.lock().unwrap().push(id)
        };
        let (first, stranger, wanted, last) = (push(1), push(2), push(3), push(4));
        let outer = pool
            .submit(move || {
                first();
                inner.execute(stranger).unwrap();
                inner.submit(wanted).unwrap().join().unwrap();
                last();
            })
            .unwrap();
        gate.count_down();
        outer.join().unwrap();
        pool.shutdown();
        assert_eq!(*order.lock().unwrap(), [1, 3, 4, 2]);
    });
}

#[test]
fn task_that_joins_itself_is_told() {
    within_a_minute(|| {
        let pool = pool(1, 4);
        let (gives, takes) = channel::<Task<bool>>();
        let (told, hears) = channel();
        let task = pool
            .submit(move || {
                let own = takes.recv().unwrap();
                told.send(matches!(own.join(), Err(TaskError::WouldDeadlock))).unwrap();
                true
            })
            .unwrap();
        gives.send(task).unwrap();
        assert!(hears.recv().unwrap());
    });
}

#[test]
fn task_joined_from_a_task_below_it_on_the_same_stack_is_told() {
    within_a_minute(|| {
        let pool = pool(1, 4);
        let inner = Arc::clone(&pool);
        let (gives, takes) = channel::<Task<bool>>();
        let (told, hears) = channel();
        let outer = pool
            .submit(move || {
                let outer = takes.recv().unwrap();
                let below = inner.submit(move || matches!(outer.join(), Err(TaskError::WouldDeadlock)));
                told.send(below.unwrap().join().unwrap()).unwrap();
                true
            })
            .unwrap();
        gives.send(outer).unwrap();
        assert!(hears.recv().unwrap());
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
        assert!(matches!(queued.join(), Err(TaskError::Cancelled)));
        pool.shutdown();
    });
}

#[test]
fn stats_show_who_is_busy_and_what_is_queued() {
    within_a_minute(|| {
        let (pool, gate) = busy(4);
        pool.execute(|| ()).unwrap();
        let stats = pool.stats();
        assert_eq!((stats.workers, stats.busy, stats.queued, stats.completed), (1, 1, 1, 0));
        gate.count_down();
        pool.shutdown();
        let stats = pool.stats();
        assert_eq!((stats.workers, stats.busy, stats.queued, stats.completed), (0, 0, 0, 2));
    });
}

#[test]
fn task_error_reads_as_a_sentence_and_crosses_threads_as_an_error() {
    within_a_minute(|| {
        let pool = pool(1, 4);
        let task = submit_panic(&pool, String::from("no disk"));
        let error: Box<dyn std::error::Error + Send + Sync> = task.join().unwrap_err().into();
        assert_eq!(error.to_string(), "the task panicked: no disk");
        assert!(TaskError::Cancelled.to_string().contains("cancelled"));
        assert!(TaskError::WouldDeadlock.to_string().contains("never end"));
    });
}
