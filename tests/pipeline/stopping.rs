//! How pipelines stop: errors, panics, cancellation, a dropped output. Nothing is left behind.

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::common::census::Census;
use crate::common::{eventually, message, within_a_minute};
use selvedge::error::Cancelled;
use selvedge::queue::bounded;
use selvedge::{BoundedQueue, CancelToken, Latch, Pipeline};

mod misfortunes {
    use super::*;

    #[test]
    fn dropped_output_stops_and_leaves_nothing_behind() {
        within_a_minute(|| {
            for rounds in 0..50 {
                let (census, computed) = (Arc::new(Census::default()), Arc::new(AtomicUsize::new(0)));
                let (items, runs) = (Arc::clone(&census), Arc::clone(&computed));
                let mut output = Pipeline::source(0..)
                    .map(move |n| items.count(n))
                    .buffered(4)
                    .par_map(3, move |item| {
                        runs.fetch_add(1, SeqCst);
                        item
                    })
                    .bound(6)
                    .into_iter();
                for n in 0..rounds {
                    assert_eq!(output.next().unwrap().0, n);
                }
                drop(output);
                let runs = computed.load(SeqCst);
                assert!(runs as u64 <= rounds + 6, "{runs} computed, {rounds} taken, 6 under way");
                assert_eq!(census.now.load(SeqCst), 0);
                // The closures of the stages were dropped, so every thread has left.
                assert_eq!((Arc::strong_count(&census), Arc::strong_count(&computed)), (1, 1));
            }
        });
    }

    #[test]
    fn output_that_is_dropped_before_its_first_item_leaves_nothing_behind() {
        within_a_minute(|| {
            let marker = Arc::new(());
            let held = Arc::clone(&marker);
            drop(Pipeline::source(0..).par_map(2, move |n| (n, Arc::strong_count(&held))).into_iter());
            assert_eq!(Arc::strong_count(&marker), 1);
        });
    }

    #[test]
    fn pull_that_ends_early_stops_an_endless_source() {
        within_a_minute(|| {
            let words = [1, 2, 3];
            let first =
                Pipeline::source(words.iter().cycle()).par_map(2, |n| n + 1).buffered(2).pull(|items| {
                    let first = items.next();
                    // The items of a pull cannot outlive it; the closest is to return early.
                    first
                });
            assert_eq!(first, Some(2));
        });
    }

    #[test]
    fn first_error_stops_the_rest() {
        within_a_minute(|| {
            for ordered in [true, false] {
                let begun = AtomicUsize::new(0);
                let result = Pipeline::source(0..1_000_000_u32)
                    .try_par_map(2, |n| {
                        begun.fetch_add(1, SeqCst);
                        if n == 1_000 { Err(n) } else { Ok(n) }
                    })
                    .ordered(ordered)
                    .collect::<Result<Vec<u32>, u32>>();
                assert_eq!(result, Err(1_000));
                assert!(begun.load(SeqCst) <= 1_001 + 128, "{begun:?} begun");
            }
        });
    }

    #[test]
    fn everything_before_the_first_error_comes_out_before_it() {
        within_a_minute(|| {
            for at in [0, 1, 63, 500] {
                let outputs: Vec<Result<u32, u32>> = Pipeline::source(0..2_000)
                    .try_par_map(4, |n| if n >= at { Err(n) } else { Ok(n) })
                    .collect();
                let expected: Vec<_> = (0..at).map(Ok).chain([Err(at)]).collect();
                assert_eq!(outputs, expected);
            }
        });
    }

    #[test]
    fn panic_reaches_the_consumer_in_its_place_with_its_payload() {
        within_a_minute(|| {
            let mut seen = Vec::new();
            let result = catch_unwind(AssertUnwindSafe(|| {
                Pipeline::source(0..1_000_u32)
                    .par_map(3, |n| if n == 70 { panic_any(n) } else { n })
                    .for_each(|n| seen.push(n));
            }));
            assert_eq!(result.unwrap_err().downcast_ref(), Some(&70_u32));
            assert!(seen.into_iter().eq(0..70));
        });
    }

    #[test]
    fn panic_of_the_source_and_of_each_stage_reaches_the_consumer() {
        within_a_minute(|| {
            let caught = |run: &dyn Fn() -> usize| {
                message(&*catch_unwind(AssertUnwindSafe(run)).expect_err("it should have panicked"))
            };
            let bad = |at: usize, text: &'static str| {
                move |n: usize| {
                    assert!(n != at, "{text}");
                    n
                }
            };
            let all = || 0..1_000_usize;
            assert_eq!(
                caught(&|| Pipeline::source(all().map(bad(9, "source"))).par_map(2, |n| n).count()),
                "source"
            );
            assert_eq!(caught(&|| Pipeline::source(all()).map(bad(9, "map")).buffered(2).count()), "map");
            assert_eq!(
                caught(&|| Pipeline::source(all()).par_map(2, bad(9, "first")).par_map(2, |n| n).count()),
                "first"
            );
            assert_eq!(caught(&|| Pipeline::source(all()).buffered(3).map(bad(9, "after")).count()), "after");
            let unordered = || Pipeline::source(all()).par_map(2, bad(9, "unordered")).ordered(false).count();
            assert_eq!(caught(&unordered), "unordered");
        });
    }

    #[test]
    fn panic_of_the_consumer_stops_every_thread() {
        within_a_minute(|| {
            let census = Arc::new(Census::default());
            let result = catch_unwind(AssertUnwindSafe(|| {
                Pipeline::source(0..)
                    .par_map(2, |n| census.count(n))
                    .for_each(|item| assert!(item.0 < 20, "enough"));
            }));
            assert!(message(&*result.unwrap_err()).contains("enough"));
            assert_eq!(census.now.load(SeqCst), 0);
        });
    }
}

mod cancel {
    use super::*;

    #[test]
    fn cancelled_before_it_began_runs_nothing() {
        within_a_minute(|| {
            let stop = CancelToken::new();
            stop.cancel();
            let ran = AtomicBool::new(false);
            let run = |n: u32| {
                ran.store(true, SeqCst);
                n
            };
            let source = || (0..3).inspect(|_| ran.store(true, SeqCst));
            assert_eq!(Pipeline::source(source()).cancelled_by(&stop).map(run).count(), Err(Cancelled));
            assert_eq!(
                Pipeline::source(source()).par_map(2, run).cancelled_by(&stop).count(),
                Err(Cancelled)
            );
            assert!(!ran.load(SeqCst));
        });
    }

    #[test]
    fn flattened_items_are_complete_unless_cancelled_among_them() {
        within_a_minute(|| {
            let stop = CancelToken::new();
            let pairs = |n: u32| [n, n + 10];
            let all: Result<Vec<_>, _> = Pipeline::source(0..2).cancelled_by(&stop).flat_map(pairs).collect();
            assert_eq!(all, Ok(vec![0, 10, 1, 11]));
            // Among the items of one input.
            let mut taken = Vec::new();
            let ended = Pipeline::source(0..2).cancelled_by(&stop).flat_map(pairs).for_each(|n| {
                taken.push(n);
                stop.cancel();
            });
            assert_eq!((ended, taken), (Err(Cancelled), vec![0]));
        });
    }

    #[test]
    fn end_that_was_reached_is_success_despite_a_cancel() {
        within_a_minute(|| {
            let stop = CancelToken::new();
            let mut output = Pipeline::source(0..3).cancelled_by(&stop).par_map(2, |n| n).into_iter();
            assert_eq!(output.by_ref().count(), 3);
            stop.cancel();
            assert_eq!(output.next(), None);
            assert_eq!(output.outcome(), Ok(()));
        });
    }

    #[test]
    fn filter_that_rejects_everything_stops_at_a_cancel() {
        within_a_minute(|| {
            let stop = CancelToken::new();
            let run = |parallel: bool| {
                let seen = AtomicUsize::new(0);
                let pipeline = Pipeline::source(0..).cancelled_by(&stop).filter(|n| {
                    seen.fetch_add(1, SeqCst);
                    if *n == 1_000 {
                        stop.cancel();
                    }
                    false
                });
                let count = if parallel { pipeline.par_map(2, |n| n).count() } else { pipeline.count() };
                assert_eq!((count, seen.load(SeqCst)), (Err(Cancelled), 1_001));
            };
            run(false);
        });
    }

    #[test]
    fn filter_in_a_worker_stops_when_the_output_is_dropped() {
        within_a_minute(|| {
            let seen = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&seen);
            let reject_later = move |n: &usize| {
                count.fetch_add(1, SeqCst);
                *n == 0
            };
            let mut output = Pipeline::source(0..).filter(reject_later).buffered(2).into_iter();
            assert_eq!(output.next(), Some(0));
            eventually("the worker is busy rejecting", || seen.load(SeqCst) > 100);
            drop(output);
            assert_eq!(Arc::strong_count(&seen), 1);
        });
    }

    #[test]
    fn no_function_runs_after_a_cancel() {
        within_a_minute(|| {
            for parallel in [1, 3] {
                let stop = CancelToken::new();
                // The pipeline's token may be the last of the tree to be cancelled.
                let (cancelled, late) = (AtomicBool::new(false), AtomicUsize::new(0));
                let check = |n: u32| {
                    late.fetch_add(usize::from(cancelled.load(SeqCst)), SeqCst);
                    n
                };
                // The stage itself cancels, so "after" is exact for the stages after it.
                let result = Pipeline::source(0..1_000)
                    .cancelled_by(&stop)
                    .map(|n| {
                        if n == 100 {
                            stop.cancel();
                            cancelled.store(true, SeqCst);
                        }
                        n
                    })
                    .map(check)
                    .filter(|n| check(*n) < 5_000)
                    .par_map(parallel, check)
                    .inspect(|n| _ = check(*n))
                    .for_each(|n| _ = check(n));
                assert_eq!(result, Err(Cancelled));
                // A function whose thread had checked the token just before may begin just after.
                assert!(late.load(SeqCst) <= 2 * (parallel + 1), "{late:?} ran late");
            }
            let stop = CancelToken::new();
            let late = AtomicUsize::new(0);
            let result = Pipeline::source(0..1_000)
                .cancelled_by(&stop)
                .inspect(|n| {
                    if *n == 100 {
                        stop.cancel()
                    }
                })
                .map(|_| late.fetch_add(usize::from(stop.is_cancelled()), SeqCst))
                .fold(0, |_, _| late.fetch_add(usize::from(stop.is_cancelled()), SeqCst));
            assert_eq!((result, late.load(SeqCst)), (Err(Cancelled), 0));
        });
    }

    #[test]
    fn silent_queue_and_channel_do_not_hide_a_cancel() {
        within_a_minute(|| {
            let stop = CancelToken::new();
            let [(_one, first), (_two, second)] = [(); 2].map(|()| {
                let (sender, queue) = bounded(1);
                sender.push(0).unwrap();
                (sender, queue)
            });
            let (other, quiet) = crossbeam_channel::bounded(1);
            other.send(0).unwrap();
            // Each has had an item, so it only waits for the next one.
            let had = AtomicUsize::new(0);
            let hear = |_: &u32| _ = had.fetch_add(1, SeqCst);
            thread::scope(|s| {
                let runs = [
                    s.spawn(|| Pipeline::queue(first).cancelled_by(&stop).inspect(hear).map(|n| n).count()),
                    s.spawn(|| {
                        Pipeline::receiver(quiet).cancelled_by(&stop).filter(|_| true).inspect(hear).count()
                    }),
                    s.spawn(|| {
                        let items = Pipeline::queue(second).inspect(hear);
                        items.par_map(2, |n| n).buffered(1).cancelled_by(&stop).count()
                    }),
                ];
                eventually("each has had its item", || had.load(SeqCst) == 3);
                stop.cancel();
                for run in runs {
                    assert_eq!(run.join().unwrap(), Err(Cancelled));
                }
            });
        });
    }

    #[test]
    fn cancel_wakes_the_consumer_while_a_foreign_iterator_is_silent() {
        within_a_minute(|| {
            let stop = CancelToken::new();
            let (sender, foreign) = channel::<u32>();
            let mut output = Pipeline::source(foreign).cancelled_by(&stop).buffered(1).into_iter();
            sender.send(1).unwrap();
            assert_eq!(output.next(), Some(1));
            thread::scope(|s| {
                s.spawn(|| stop.cancel());
                assert_eq!(output.next(), None);
            });
            assert_eq!(output.outcome(), Err(Cancelled));
            // The thread that is blocked in the foreign iterator leaves when that returns.
            drop(sender);
            drop(output);
        });
    }

    #[test]
    fn cancel_wakes_functions_that_sleep_on_the_same_token() {
        within_a_minute(|| {
            let stop = CancelToken::new();
            let (asleep, never) = (Latch::new(2), BoundedQueue::<()>::new(1));
            thread::scope(|s| {
                let run = s.spawn(|| {
                    Pipeline::source(0..100)
                        .cancelled_by(&stop)
                        .par_map(2, |n| {
                            asleep.count_down();
                            _ = never.pop_until(&stop);
                            n
                        })
                        .count()
                });
                asleep.wait();
                stop.cancel();
                assert_eq!(run.join().unwrap(), Err(Cancelled));
            });
        });
    }

    #[test]
    fn sums_are_right_over_many_small_runs() {
        within_a_minute(|| {
            let total = Mutex::new(0);
            for items in 0..200_u64 {
                let sum = Pipeline::source(0..items).par_map(3, |n| n).bound(3).fold(0, |a, n| a + n);
                assert_eq!(sum, (0..items).sum::<u64>());
                *total.lock().unwrap() += sum;
            }
            assert_eq!(*total.lock().unwrap(), (0..200).map(|n: u64| (0..n).sum::<u64>()).sum::<u64>());
        });
    }
}
