//! What becomes of a task: joined, cancelled, let go, or panicked.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::common::pools::{Tells, busy, occupy, pool, submit_panic};
use crate::common::{HOUR, eventually, until_figure, within_a_minute};
use selvedge::error::WaitError;
use selvedge::error::{JoinError, Panic};
use selvedge::{CancelToken, Clock, Latch, Pool};

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
fn panic_goes_to_the_handle_and_the_worker_lives_on() {
    within_a_minute(|| {
        let pool = pool(1, 4);
        for payload in ["one", "two"] {
            let task = submit_panic(&pool, payload);
            let Err(JoinError::Panicked(panic)) = task.join() else { panic!() };
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
        let Err(JoinError::Panicked(panic)) = task.join() else { panic!() };
        assert!(!panic.message().is_empty());
        let resumed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| panic.resume()));
        assert_eq!(resumed.unwrap_err().downcast_ref(), Some(&77u8));
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
        assert!(matches!(task.join(), Err(JoinError::Cancelled)));
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
fn task_error_reads_as_a_sentence_and_crosses_threads_as_an_error() {
    within_a_minute(|| {
        let pool = pool(1, 4);
        let task = submit_panic(&pool, String::from("no disk"));
        let error: Box<dyn std::error::Error + Send + Sync> = task.join().unwrap_err().into();
        assert_eq!(error.to_string(), "the work panicked: no disk");
        assert!(JoinError::Cancelled.to_string().contains("cancelled"));
        assert!(JoinError::WouldDeadlock.to_string().contains("wait for itself"));
    });
}

#[test]
fn panic_that_nobody_joins_goes_to_the_hook_and_one_that_is_joined_does_not() {
    within_a_minute(|| {
        let (told, hears) = channel();
        let told = Mutex::new(told);
        let builder = Pool::builder().workers(1).queue(16);
        let hook = move |panic: Panic| told.lock().unwrap().send(panic.message().to_owned()).unwrap();
        let pool = builder.on_panic(hook).build().unwrap();
        pool.execute(|| std::panic::resume_unwind(Box::new("executed"))).unwrap();
        let gate = occupy(&pool);
        drop(submit_panic(&pool, "handle dropped before"));
        let joined = submit_panic(&pool, "joined");
        let tried = submit_panic(&pool, "tried");
        let late = submit_panic(&pool, "handle dropped after");
        gate.count_down();
        assert!(joined.join().is_err());
        eventually("it has ended", || tried.is_finished());
        assert!(tried.try_join().unwrap().is_err());
        eventually("it has ended", || late.is_finished());
        let here = thread::spawn(move || drop(late));
        here.join().unwrap();
        assert_eq!(pool.shutdown().panicked, 5);
        drop(pool);
        let seen: Vec<_> = hears.iter().collect();
        assert_eq!(seen, ["executed", "handle dropped before", "handle dropped after"]);
    });
}

#[test]
fn running_task_sees_the_cancel_of_its_handle() {
    within_a_minute(|| {
        let (pool, started) = (pool(1, 4), Arc::new(Latch::new(1)));
        let starts = Arc::clone(&started);
        let task = pool
            .submit_with(move |stop| {
                starts.count_down();
                stop.wait();
                7
            })
            .unwrap();
        started.wait();
        // It had started: it is not taken back, but told.
        assert!(!task.cancel());
        assert_eq!(task.join().unwrap(), 7);
    });
}

#[test]
fn tasks_token_is_on_the_pools_clock() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let pool = Pool::builder().workers(1).clock(&clock).build().unwrap();
        let task = pool.submit_with(|stop| stop.sleep(HOUR)).unwrap();
        clock.wait_for_sleepers(1);
        clock.advance(HOUR);
        assert_eq!(task.join().unwrap(), Ok(()));
    });
}

#[test]
fn cancelled_handle_says_that_it_is_finished_and_the_queue_passes_it_over() {
    within_a_minute(|| {
        let (pool, gate) = busy(4);
        let tasks = [1, 2, 3].map(|id| pool.submit(move || id).unwrap());
        assert!(tasks[1].cancel() && tasks[1].is_finished() && !tasks[0].is_finished());
        gate.count_down();
        let ended = tasks.map(|task| task.join().ok());
        assert_eq!(ended, [Some(1), None, Some(3)]);
        let report = pool.shutdown();
        assert_eq!((report.completed, report.cancelled), (3, 1));
    });
}

#[test]
fn panic_reads_like_what_was_said() {
    within_a_minute(|| {
        let pool = Pool::builder().workers(1).build().unwrap();
        let said = |task: fn()| match pool.submit(task).unwrap().join() {
            Err(JoinError::Panicked(panic)) => panic.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(said(|| panic!("the disk is {}", "full")), "the disk is full");
        assert_eq!(said(|| std::panic::panic_any(7_u8)), "a payload that is not text");
    });
}
