//! A manual clock in the place of the system's, for code that is given no token and no clock.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::common::{HOUR, eventually, within_a_minute};
use selvedge::error::WaitError;
use selvedge::pool::Unstarted;
use selvedge::{
    Batcher, BoundedQueue, CancelToken, Clock, Group, Latch, ManualClock, Monitor, Pipeline, Pool,
    RateLimiter, Semaphore, group, timeout,
};

/// What code under test does: waits an hour of its own, for something that does not come.
fn wait_in_vain() -> Result<(), WaitError> {
    BoundedQueue::<u8>::new(1).pop_until(HOUR).map(drop)
}

/// Lets an hour pass when so many threads sleep on the clock.
fn pass(clock: &ManualClock, sleepers: usize) {
    clock.wait_for_sleepers(sleepers);
    clock.advance(HOUR);
}

/// Runs `f` in a scope of a manual clock on a thread of its own, lets an hour pass when so many threads sleep
/// on the clock, and gives back what `f` gives.
fn after_an_hour<R: Send + 'static>(sleepers: usize, f: impl FnOnce() -> R + Send + 'static) -> R {
    within_a_minute(move || {
        let clock = Clock::manual();
        let runner = thread::spawn({
            let clock = clock.clone();
            move || clock.scope(f)
        });
        pass(&clock, sleepers);
        runner.join().unwrap()
    })
}

#[test]
fn bare_duration_in_a_scope_passes_with_the_manual_clock() {
    assert_eq!(after_an_hour(1, wait_in_vain), Err(WaitError::TimedOut));
    let late = after_an_hour(1, || Latch::new(1).wait_until(HOUR));
    assert_eq!(late, Err(WaitError::TimedOut));
    let late = after_an_hour(1, || {
        let semaphore = Semaphore::new(1);
        let _held = semaphore.acquire();
        semaphore.acquire_until(HOUR).map(drop)
    });
    assert_eq!(late, Err(WaitError::TimedOut));
    let late = after_an_hour(1, || Monitor::new(()).wait_until(HOUR, |()| None::<()>));
    assert_eq!(late, Err(WaitError::TimedOut));
}

#[test]
fn bare_instant_in_a_scope_is_one_of_the_manual_clock() {
    let late = after_an_hour(1, || BoundedQueue::<u8>::new(1).pop_until(Clock::current().now() + HOUR));
    assert_eq!(late, Err(WaitError::TimedOut));
}

#[test]
fn what_is_made_in_a_scope_is_on_the_manual_clock() {
    after_an_hour(1, || CancelToken::new().sleep(HOUR)).unwrap();
    assert!(after_an_hour(1, || CancelToken::new().child_until(HOUR).wait_until(2 * HOUR)).is_ok());
    after_an_hour(1, || {
        let limiter = RateLimiter::new(1, HOUR);
        (0..2).for_each(|_| limiter.acquire(1).unwrap());
    });
}

#[test]
fn tasks_of_a_scope_and_of_a_group_read_the_callers_clock() {
    let ends = after_an_hour(3, || {
        let stop = CancelToken::new();
        let mut ends = [None; 3];
        group::scope(&stop, |g| {
            for end in &mut ends {
                g.spawn(move |_| *end = Some(wait_in_vain()));
            }
        })
        .unwrap();
        ends
    });
    assert_eq!(ends, [Some(Err(WaitError::TimedOut)); 3]);
}

#[test]
fn group_that_is_made_in_a_scope_keeps_its_clock_on_every_spawning_thread() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let group = clock.scope(|| Group::<WaitError>::new(&CancelToken::new()));
        let spawner = group.spawner();
        group
            .spawn(|_| {
                assert_eq!(wait_in_vain(), Err(WaitError::TimedOut));
                Ok(())
            })
            .unwrap();
        let joined = thread::spawn(move || spawner.submit(|stop| Ok(stop.sleep(HOUR))).unwrap());
        let joined = joined.join().unwrap();
        pass(&clock, 2);
        assert_eq!(joined.join(), Ok(Ok(())));
        assert_eq!(group.wait(), Ok(()));
        // Without a limit a task may run on the thread that waits for the group: on that clock too.
        group.spawn(|_| wait_in_vain()).unwrap();
        let waits = thread::spawn(move || group.wait());
        pass(&clock, 1);
        assert_eq!(waits.join().unwrap(), Err(group::Error::Failed(Arc::new(WaitError::TimedOut))));
    });
}

#[test]
fn function_with_a_time_out_reads_the_callers_clock() {
    let ended = after_an_hour(2, || timeout::run(HOUR + HOUR, |_| wait_in_vain()).unwrap());
    assert_eq!(ended, Err(WaitError::TimedOut));
    assert!(after_an_hour(1, || timeout::run(HOUR, |stop| stop.wait())).is_err());
}

#[test]
fn threads_of_a_pipeline_read_the_clock_of_the_thread_that_runs_it() {
    let late = after_an_hour(2, || {
        Pipeline::source(0..2).par_map(2, |_| wait_in_vain().is_err()).collect::<Vec<_>>()
    });
    assert_eq!(late, [true, true]);
}

#[test]
fn tasks_of_a_pool_that_was_built_in_a_scope_read_its_clock_on_every_submitting_thread() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let pool = clock.scope(|| Pool::builder().workers(1).build().unwrap());
        let task = pool.submit(wait_in_vain).unwrap();
        pass(&clock, 1);
        assert_eq!(task.join().unwrap(), Err(WaitError::TimedOut));
    });
}

#[test]
fn batch_of_a_batcher_that_was_built_in_a_scope_ages_by_its_clock() {
    within_a_minute(|| {
        let (clock, seen) = (Clock::manual(), Arc::new(Latch::new(1)));
        let handler = {
            let seen = Arc::clone(&seen);
            move |batch: &mut selvedge::batch::Batch<u8>| {
                assert_eq!(wait_in_vain(), Err(WaitError::TimedOut));
                assert_eq!(batch.len(), 1);
                seen.count_down();
            }
        };
        let batcher = clock.scope(|| Batcher::builder().max_age(HOUR).build(handler).unwrap());
        batcher.add(1).unwrap();
        (0..2).for_each(|_| pass(&clock, 1));
        seen.wait();
    });
}

#[test]
fn innermost_scope_holds_and_the_former_clock_comes_back_also_after_a_panic() {
    let (outer, inner) = (Clock::manual(), Clock::manual());
    let start = outer.now();
    outer.advance(HOUR);
    outer.scope(|| {
        assert_eq!(Clock::current().now(), start + HOUR);
        let panicked =
            catch_unwind(AssertUnwindSafe(|| inner.scope(|| assert_eq!(Clock::current().now(), start))));
        assert!(panicked.is_err(), "two clocks of one moment");
        inner.scope(|| assert_eq!(Clock::current().now(), inner.now()));
        assert_eq!(Clock::current().now(), outer.now());
    });
    assert_eq!(format!("{:?}", Clock::current()), "Clock::system");
}

#[test]
fn what_names_its_clock_and_threads_that_are_not_the_crates_are_outside_a_scope() {
    within_a_minute(|| {
        let soon = Duration::from_millis(1);
        Clock::manual().scope(|| {
            let queue = BoundedQueue::<u8>::new(1);
            assert_eq!(queue.pop_until((&Clock::system(), soon)), Err(WaitError::TimedOut));
            let token = CancelToken::with_clock(Clock::system());
            assert_eq!(queue.pop_until((&token, soon)), Err(WaitError::TimedOut));
            let late = thread::scope(|s| s.spawn(|| queue.pop_until(soon)).join().unwrap());
            assert_eq!(late, Err(WaitError::TimedOut));
        });
    });
}

#[test]
fn wait_for_sleepers_in_a_scope_of_its_own_clock_is_limited_by_the_systems() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let late = clock.scope(|| clock.wait_for_sleepers_until(1, Duration::from_millis(1)));
        assert_eq!(late, Err(WaitError::TimedOut));
    });
}

#[test]
fn task_that_an_abort_gives_back_reads_the_clock_of_its_pool() {
    within_a_minute(|| {
        let clock = Clock::manual();
        clock.advance(HOUR);
        let pool = clock.scope(|| Pool::builder().workers(1).build().unwrap());
        let (begun, gate) = (Arc::new(Latch::new(1)), Arc::new(Latch::new(1)));
        let (begins, waits) = (Arc::clone(&begun), Arc::clone(&gate));
        pool.execute(move || (begins.count_down(), waits.wait()).1).unwrap();
        begun.wait();
        let read = pool.submit(|| Clock::current().now()).unwrap();
        let unstarted = thread::scope(|s| {
            s.spawn(|| {
                // The abort waits for the worker. If the worker is faster than its drain, it runs the task.
                eventually("the pool is closed", || pool.is_closed());
                gate.count_down();
            });
            pool.abort().unstarted
        });
        unstarted.into_iter().for_each(Unstarted::run);
        assert_eq!(read.join(), Ok(clock.now()));
    });
}
