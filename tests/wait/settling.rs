//! What a manual clock knows of threads, and when all of it has settled.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use crate::common::{HOUR, within_a_minute};
use selvedge::error::WaitError;
use selvedge::{BoundedQueue, CancelToken, Clock, Group, Latch, Pool, group};

/// Of the system's clock: for what must time out.
const BRIEFLY: Duration = Duration::from_millis(30);

#[test]
fn clock_that_knows_nobody_has_settled() {
    let clock = Clock::manual();
    clock.settle();
    assert_eq!(clock.settle_until(Duration::ZERO), Ok(()));
    // The calling thread does not count.
    clock.scope(|| clock.settle());
    clock.settle();
}

#[test]
fn each_beat_of_a_loop_is_seen_after_its_advance() {
    within_a_minute(|| {
        let (clock, beats) = (Clock::manual(), AtomicUsize::new(0));
        let stop = CancelToken::with_clock(&clock);
        thread::scope(|s| {
            s.spawn(|| {
                while stop.sleep(HOUR).is_ok() {
                    beats.fetch_add(1, SeqCst);
                }
            });
            clock.wait_for_sleepers(1);
            for hours in 1..=1_000 {
                clock.advance(HOUR);
                clock.settle();
                assert_eq!(beats.load(SeqCst), hours);
            }
            stop.cancel();
        });
    });
}

#[test]
fn chain_of_wakes_through_queues_has_settled_at_its_end() {
    within_a_minute(|| {
        let (clock, stop) = (Clock::manual(), CancelToken::new());
        let queues: Vec<_> = (0..4).map(|_| BoundedQueue::<usize>::new(1)).collect();
        let (ends, known) = (AtomicUsize::new(0), Barrier::new(6));
        thread::scope(|s| {
            // No times here, and not even a token on the clock.
            for number in 0..3 {
                let (clock, stop, known, queues, ends) = (&clock, &stop, &known, &queues, &ends);
                let pass = move || {
                    known.wait();
                    while let Ok(item) = queues[number].pop_until(stop) {
                        ends.fetch_add(1, SeqCst);
                        let _ = queues[number + 1].push_until(item, stop);
                    }
                };
                s.spawn(move || clock.scope(pass));
            }
            let take = || {
                known.wait();
                while queues[3].pop_until(&stop).is_ok() {}
            };
            let clock = &clock;
            s.spawn(move || clock.scope(take));
            let begin = || {
                known.wait();
                while Latch::new(1).wait_until(HOUR) == Err(WaitError::TimedOut) && !stop.is_cancelled() {
                    queues[0].push(1).unwrap();
                }
            };
            s.spawn(move || clock.scope(begin));
            known.wait();
            clock.settle();
            for rounds in 1..=200 {
                clock.advance(HOUR);
                clock.settle();
                assert_eq!(ends.load(SeqCst), 3 * rounds);
            }
            stop.cancel();
            clock.advance(HOUR);
        });
    });
}

#[test]
fn thread_that_blocks_elsewhere_counts_as_running() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let token = CancelToken::with_clock(&clock);
        let (go_on, told) = channel();
        let thread = thread::spawn(move || {
            token.sleep(HOUR).unwrap();
            told.recv().unwrap();
        });
        clock.wait_for_sleepers(1);
        assert_eq!(clock.settle_until(Duration::ZERO), Ok(()));
        clock.advance(HOUR);
        assert_eq!(clock.settle_until(BRIEFLY), Err(WaitError::TimedOut));
        let stop = CancelToken::new();
        stop.cancel();
        assert_eq!(clock.settle_until(&stop), Err(WaitError::Cancelled));
        go_on.send(()).unwrap();
        // Its end settles the clock.
        clock.settle();
        thread.join().unwrap();
    });
}

#[test]
fn thread_is_known_in_the_scope_and_no_longer() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let (outer, inner) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let thread = thread::spawn({
            let (clock, outer, inner) = (clock.clone(), Arc::clone(&outer), Arc::clone(&inner));
            move || {
                clock.scope(|| {
                    // Left, and still in the outer one.
                    clock.scope(|| ());
                    let other = Clock::manual();
                    other.scope(|| clock.scope(|| ()));
                    outer.wait();
                    outer.wait();
                });
                inner.wait();
                inner.wait();
            }
        });
        outer.wait();
        assert_eq!(clock.settle_until(BRIEFLY), Err(WaitError::TimedOut));
        outer.wait();
        inner.wait();
        // It runs, and is none of the clock's any more.
        clock.settle();
        inner.wait();
        thread.join().unwrap();
    });
}

#[test]
fn work_of_a_pool_that_was_built_in_a_scope_has_settled() {
    within_a_minute(|| {
        let (clock, ran) = (Clock::manual(), Arc::new(AtomicUsize::new(0)));
        let pool = clock.scope(|| Pool::builder().workers(2).build().unwrap());
        // Each worker is known once it has run a task.
        let both = Arc::new(Barrier::new(2));
        let meet = [(); 2].map(|()| {
            let both = Arc::clone(&both);
            pool.submit(move || _ = both.wait()).unwrap()
        });
        meet.into_iter().for_each(|task| task.join().unwrap());
        for rounds in 1..=200 {
            let times = Arc::clone(&ran);
            let work = move || {
                let late = Latch::new(1).wait_until(HOUR);
                assert_eq!(late, Err(WaitError::TimedOut));
                times.fetch_add(1, SeqCst);
            };
            pool.execute(work).unwrap();
            clock.settle();
            clock.advance(HOUR);
            clock.settle();
            assert_eq!(ran.load(SeqCst), rounds);
        }
    });
}

#[test]
fn helper_that_has_done_its_task_is_forgotten() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let group: Group = clock.scope(|| Group::new(&CancelToken::new()));
        group.spawn(|_| assert!(Latch::new(1).wait_until(HOUR).is_err())).unwrap();
        clock.wait_for_sleepers(1);
        clock.advance(HOUR);
        clock.settle();
        group.wait().unwrap();
        // Its next task blocks elsewhere, and is none of the clock's.
        let (go_on, told) = channel::<()>();
        group::scope(&CancelToken::new(), |g| {
            g.spawn(move |_| _ = told.recv());
            clock.settle();
            drop(go_on);
        })
        .unwrap();
    });
}

#[test]
fn threads_that_wait_for_each_other_to_settle_do() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let both = Barrier::new(2);
        thread::scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    clock.scope(|| {
                        both.wait();
                        clock.settle();
                    });
                });
            }
        });
    });
}
