//! The reference's pipelines and fan-outs, and each way in which they break, in its smallest scenario: ours
//! come through, and no thread stays at work.
//!
//! The numbers are the rows of the pattern table that the crate was designed by. A program of its own,
//! because the threads that are counted are the whole program's; for the same reason its tests take turns.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use common::{HOUR, eventually, within_a_minute};
use selvedge::error::Cancelled;
use selvedge::queue::bounded;
use selvedge::{CancelToken, Latch, Pipeline, group};

/// Threads are counted for the whole process, so the tests here take turns.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Helpers that are at something.
fn at_work() -> usize {
    let threads = group::threads();
    threads.alive - threads.idle
}

/// Fails if a thread that `run` made use of is still at work when it returns. One that has just ended its
/// task may be on its way to its rest.
#[track_caller]
fn leaves_no_thread_at_work(run: impl FnOnce()) {
    run();
    eventually("every helper is idle or gone", || at_work() == 0);
}

#[test]
fn planted_leak_is_seen() {
    let _turn = alone();
    within_a_minute(|| {
        let stuck = Arc::new(Latch::new(1));
        let held = Arc::clone(&stuck);
        let leaked = group::Group::<()>::new(&CancelToken::new());
        let spawned = leaked.spawn(move |_| {
            held.wait();
            Ok(())
        });
        assert!(spawned.is_ok());
        eventually("the helper works", || at_work() == 1);
        stuck.count_down();
        drop(leaked);
        eventually("it has left", || at_work() == 0);
    });
}

/// 2.1: the example, and: one thread leaked per stage when the consumer left; stages did not see a cancel
/// while their input was silent; a filter ran on after it, a map too; a stage could not change the type.
mod pipeline {
    use super::*;

    #[test]
    fn example_gives_what_it_should() {
        let numbers = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
        let squares: Vec<u32> = Pipeline::source(numbers).filter(|n| n % 2 == 0).map(|n| n * n).collect();
        assert_eq!(squares, [4, 16, 36, 64, 100]);
    }

    #[test]
    fn consumer_that_leaves_early_leaves_no_stage_behind() {
        let _turn = alone();
        within_a_minute(|| {
            leaves_no_thread_at_work(|| {
                let stages =
                    Pipeline::source(0..).buffered(1).map(|n| n + 1).buffered(1).filter(|n| n % 2 == 0);
                let mut output = stages.buffered(1).into_iter();
                assert_eq!(output.next(), Some(2));
            });
        });
    }

    #[test]
    fn cancel_is_seen_by_every_stage_while_the_input_is_silent() {
        let _turn = alone();
        within_a_minute(|| {
            leaves_no_thread_at_work(|| {
                let (_sender, silent) = bounded::<u32>(1);
                let stop = CancelToken::new();
                thread::scope(|s| {
                    let run = s.spawn(|| {
                        let stages = Pipeline::queue(silent).cancelled_by(&stop).buffered(1);
                        stages.map(|n| n + 1).par_map(2, |n| n).filter(|_| true).count()
                    });
                    stop.cancel();
                    assert_eq!(run.join().unwrap(), Err(Cancelled));
                });
            });
        });
    }

    #[test]
    fn filter_that_rejects_everything_does_not_run_all_items_after_a_cancel() {
        let _turn = alone();
        within_a_minute(|| {
            let (stop, seen) = (CancelToken::new(), AtomicUsize::new(0));
            let reject = |_: &u32| {
                if seen.fetch_add(1, SeqCst) == 9 {
                    stop.cancel();
                }
                false
            };
            leaves_no_thread_at_work(|| {
                let counted =
                    Pipeline::source(0..1_000).cancelled_by(&stop).filter(reject).buffered(1).count();
                assert_eq!((counted, seen.load(SeqCst)), (Err(Cancelled), 10));
            });
        });
    }

    #[test]
    fn map_neither_runs_nor_emits_after_a_cancel() {
        let _turn = alone();
        within_a_minute(|| {
            let (stop, ran) = (CancelToken::new(), AtomicUsize::new(0));
            let mut outputs = Vec::new();
            let result = Pipeline::source(0..1_000)
                .cancelled_by(&stop)
                .inspect(|n| {
                    if *n == 5 {
                        stop.cancel();
                    }
                })
                .map(|n| {
                    ran.fetch_add(1, SeqCst);
                    n
                })
                .for_each(|n| outputs.push(n));
            assert_eq!((result, ran.load(SeqCst), outputs.len()), (Err(Cancelled), 5, 5));
        });
    }

    #[test]
    fn stage_that_waits_is_told_of_the_cancel_by_its_own_token() {
        let _turn = alone();
        within_a_minute(|| {
            let (stop, asleep) = (CancelToken::new(), Latch::new(1));
            leaves_no_thread_at_work(|| {
                thread::scope(|s| {
                    let run = s.spawn(|| {
                        let sleep = |n: u32| {
                            asleep.count_down();
                            stop.sleep(HOUR).map(|()| n)
                        };
                        Pipeline::source([1]).cancelled_by(&stop).par_map(2, sleep).count()
                    });
                    asleep.wait();
                    stop.cancel();
                    _ = run.join().unwrap();
                });
            });
        });
    }
}

/// 2.2: the order was lost in 200 of 200 runs; an output that nobody read stranded items; 0 workers did
/// nothing, and the generator leaked.
mod fan_out {
    use super::*;

    #[test]
    fn order_is_kept_in_200_of_200_runs() {
        let _turn = alone();
        within_a_minute(|| {
            leaves_no_thread_at_work(|| {
                for _ in 0..200 {
                    let outputs = Pipeline::source(0..100).par_map(4, |n| n * 2);
                    assert!(outputs.collect::<Vec<_>>().into_iter().eq((0..100).map(|n| n * 2)));
                }
            });
        });
    }

    #[test]
    fn output_that_nobody_reads_strands_nothing() {
        let _turn = alone();
        within_a_minute(|| {
            leaves_no_thread_at_work(|| {
                let mut outputs = Pipeline::source(0..10).buffered(2).fan_out(5).into_iter();
                let read = outputs.next().unwrap();
                assert_eq!(read.count(), 10);
            });
        });
    }

    #[test]
    fn workers_that_are_none_are_refused() {
        for refused in [
            std::panic::catch_unwind(|| Pipeline::source(0..3).par_map(0, |n| n).count()),
            std::panic::catch_unwind(|| Pipeline::source(0..3).fan_out(0).len()),
        ] {
            assert!(common::message(&*refused.unwrap_err()).contains("the least is 1"));
        }
    }

    #[test]
    fn out_and_in_again_loses_and_doubles_nothing() {
        let _turn = alone();
        within_a_minute(|| {
            leaves_no_thread_at_work(|| {
                let outputs = Pipeline::source(1..=1_000_u64).fan_out(4);
                let squares = outputs.into_iter().map(|output| output.map(|n| n * n));
                let sum = Pipeline::merge(squares).fold(0, |sum, n| sum + n);
                assert_eq!(sum, (1..=1_000_u64).map(|n| n * n).sum::<u64>());
            });
        });
    }
}
