//! Models of delayed and periodic tasks, with the edits that break each.
//!
//! The thread that advances the clock stands for the alarm thread: it does so at every point of the schedule.

use selvedge_loom as selvedge;

use std::time::Duration;

use selvedge::error::JoinError;
use selvedge::sync::atomic::{AtomicUsize, Ordering};
use selvedge::sync::{Arc, model, thread};
use selvedge::{CancelToken, Clock, ManualClock, Pool};

const SECOND: Duration = Duration::from_secs(1);

fn pool(clock: &ManualClock) -> Pool {
    Pool::builder().workers(1).queue(1).clock(clock).build().unwrap()
}

/// Advances the clock on a thread of its own.
fn advance(clock: &ManualClock) -> thread::JoinHandle<()> {
    let clock = clock.clone();
    thread::spawn(move || clock.advance(SECOND))
}

/// The time of a delayed task comes while the pool is shut down: the task runs before the shutdown returns,
/// or it is handed back, and not both.
///
/// Fails if a task that has left its place is queued after unlocking (edit `delayed-queues-after-unlocking`),
/// or if the close leaves what is not due where it is (edit `delayed-close-hands-nothing-back`).
#[test]
fn a_delayed_task_that_meets_a_shutdown_runs_or_comes_back() {
    model::check(|| {
        let clock = Clock::manual();
        let pool = pool(&clock);
        let task = pool.submit_after(SECOND, || 7).unwrap();
        let advances = advance(&clock);
        let report = pool.shutdown();
        assert_eq!(report.completed + report.unstarted.len(), 1);
        let ran = report.completed == 1;
        drop(report);
        assert_eq!(task.join().is_ok(), ran);
        advances.join().unwrap();
    });
}

/// A cancel meets the time of a delayed task: it runs once and has a result, or never and is cancelled; its
/// place is free either way.
///
/// Fails if a place keeps its task after the closure is gone (edit `delayed-place-is-never-left`).
#[test]
fn a_cancel_that_meets_the_time_decides_once() {
    model::check(|| {
        let clock = Clock::manual();
        let pool = pool(&clock);
        let runs = Arc::new(AtomicUsize::new(0));
        let task = pool
            .submit_after(SECOND, {
                let runs = Arc::clone(&runs);
                move || {
                    runs.fetch_add(1, Ordering::Relaxed);
                }
            })
            .unwrap();
        let advances = advance(&clock);
        let revoked = task.cancel();
        let ran = match task.join() {
            Ok(()) => 1,
            Err(JoinError::Cancelled) => 0,
            Err(other) => panic!("{other}"),
        };
        assert_eq!((runs.load(Ordering::Relaxed), !revoked), (ran, ran == 1));
        advances.join().unwrap();
        // The pool has one place.
        assert!(pool.submit_after(Duration::MAX, || ()).is_ok());
    });
}

/// The only worker of a pool joins a delayed task: it runs the task when the time has come, whenever that is,
/// and not before.
///
/// Fails if the time wakes no joiner (edit `delayed-due-wakes-no-joiner`), if a joiner that has just joined
/// the list does not look whether the task is due (edit `delayed-joiner-looks-once`), if a joiner runs what
/// is not due (edit `delayed-joiner-is-early`), or if the wait-for graph takes the woken joiner for a worker
/// that waits for itself (edit `delayed-joiner-counts-as-taker`).
#[test]
fn a_worker_that_joins_a_delayed_task_runs_it_when_it_is_due() {
    model::check(|| {
        let clock = Clock::manual();
        let pool = Arc::new(pool(&clock));
        let start = clock.now();
        let reads = clock.clone();
        let delayed = pool.submit_after(SECOND, move || reads.now() - start).unwrap();
        let outer = pool.submit(move || delayed.join().unwrap()).unwrap();
        let advances = advance(&clock);
        assert_eq!(outer.join().unwrap(), SECOND);
        advances.join().unwrap();
    });
}

/// The only worker of a pool joins a delayed task while the pool is shut down: the join fails, and the
/// shutdown does not wait for it.
///
/// Fails if the close wakes no joiner of what it hands back (edit `delayed-close-wakes-no-joiner`).
#[test]
fn a_shutdown_does_not_wait_for_what_it_hands_back() {
    model::check(|| {
        let clock = Clock::manual();
        let pool = Arc::new(pool(&clock));
        let delayed = pool.submit_after(SECOND, || ()).unwrap();
        let outer = pool.submit(move || delayed.join()).unwrap();
        let report = pool.shutdown();
        assert_eq!(report.completed, 1);
        assert!(matches!(outer.join().unwrap(), Err(JoinError::Cancelled)));
    });
}

/// A cancel comes at any moment of a round: after it there is no further round, and the joiner is told.
///
/// Fails if the end of a round does not look at the token (edit `delayed-round-ignores-the-cancel`).
#[test]
fn a_cancel_during_a_round_ends_the_rounds() {
    model::check(|| {
        let clock = Clock::manual();
        let pool = pool(&clock);
        let task = pool.submit_every(SECOND, |_| ()).unwrap();
        clock.advance(SECOND);
        // Beside the round.
        task.cancel();
        assert!(matches!(task.join(), Err(JoinError::Cancelled)));
        assert_eq!(pool.stats().delayed, 0);
    });
}

/// A periodic task meets a shutdown between two rounds, in a round, or while one is queued: it ends, and its
/// joiner is told.
///
/// Fails if a round that the closed pool refuses to arm again leaves the task where it is (edit
/// `delayed-refused-round-is-left`), or if the close passes over periodic tasks (edit
/// `delayed-close-forgets-rounds`).
#[test]
fn a_periodic_task_that_meets_a_shutdown_ends() {
    model::check(|| {
        let clock = Clock::manual();
        let pool = pool(&clock);
        let task = pool.submit_every(SECOND, |_| ()).unwrap();
        let advances = advance(&clock);
        let report = pool.shutdown();
        assert!(report.completed <= 1 && report.unstarted.is_empty());
        assert!(matches!(task.join(), Err(JoinError::Cancelled)));
        advances.join().unwrap();
    });
}

/// A joiner inside the pool may run a round whose entry is still in the queue: the worker that takes the
/// entry later passes over it, whether the round has ended or was cancelled.
///
/// Fails if a round that was claimed stays due (edit `delayed-claimed-round-stays-due`).
#[test]
fn a_round_that_a_joiner_ran_is_not_run_again() {
    model::check(|| {
        let clock = Clock::manual();
        let (pool, stop) = (pool(&clock), CancelToken::new());
        let rounds = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&rounds);
        let task = pool.submit_every(SECOND, move |_| _ = counts.fetch_add(1, Ordering::Relaxed)).unwrap();
        let stops = stop.clone();
        let joins = pool.submit(move || task.join_until(&stops).is_err()).unwrap();
        clock.advance(SECOND);
        stop.cancel();
        assert!(joins.join().unwrap());
        pool.shutdown();
        assert_eq!(rounds.load(Ordering::Relaxed), 1);
    });
}
