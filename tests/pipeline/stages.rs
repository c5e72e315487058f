//! Stages, order, and the bound.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;

use crate::common::census::Census;
use crate::common::{eventually, within_a_minute};
use selvedge::pipeline::Flow;
use selvedge::queue::bounded;
use selvedge::{CancelToken, Latch, Pipeline, Pool};

mod fused {
    use super::*;

    #[test]
    fn chain_of_stages_yields_what_std_yields() {
        let ours: Vec<String> = Pipeline::source(0..100)
            .filter(|n| n % 3 != 0)
            .map(|n| n * 2)
            .flat_map(|n| [n, n, n + 1])
            .dedup()
            .skip(5)
            .take(40)
            .scan(0, |sum, n| {
                *sum += n;
                Some(*sum)
            })
            .filter_map(|n| n.to_string().strip_suffix('0').map(str::to_owned))
            .collect();
        let mut theirs: Vec<i32> =
            (0..100).filter(|n| n % 3 != 0).flat_map(|n| [2 * n, 2 * n, 2 * n + 1]).collect();
        theirs.dedup();
        let theirs: Vec<String> = theirs
            .into_iter()
            .skip(5)
            .take(40)
            .scan(0, |sum, n| {
                *sum += n;
                Some(*sum)
            })
            .filter_map(|n| n.to_string().strip_suffix('0').map(str::to_owned))
            .collect();
        assert_eq!(ours, theirs);
    }

    #[test]
    fn chunks_keep_the_order_and_the_rest() {
        let chunks: Vec<Vec<u32>> = Pipeline::source(0..7).chunks(3).collect();
        assert_eq!(chunks, [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
        assert_eq!(Pipeline::source(0..6).chunks(3).count(), 2);
        assert_eq!(Pipeline::source(0..0).chunks(3).count(), 0);
    }

    #[test]
    fn take_of_none_pulls_nothing() {
        let pulled = AtomicUsize::new(0);
        let source = || {
            pulled.fetch_add(1, SeqCst);
            Some(())
        };
        assert_eq!(Pipeline::generate(source).take(0).count(), 0);
        assert_eq!(pulled.load(SeqCst), 0);
        assert_eq!(Pipeline::generate(source).take(3).count(), 3);
        assert_eq!(pulled.load(SeqCst), 3);
    }

    #[test]
    fn first_error_is_the_last_item() {
        let parsed: Vec<Result<u32, _>> =
            Pipeline::source(["1", "x", "3"]).try_map(|text| text.parse::<u32>().map_err(drop)).collect();
        assert_eq!(parsed, [Ok(1), Err(())]);
        let halved: Result<Vec<u32>, &str> = Pipeline::source([Ok(4), Err("came in"), Ok(5)])
            .and_then(|n: u32| if n.is_multiple_of(2) { Ok(n / 2) } else { Err("odd") })
            .collect();
        assert_eq!(halved, Err("came in"));
    }

    #[test]
    fn own_step_skips_and_ends() {
        let step = |n: i32| {
            if n == 5 {
                Flow::Last(n)
            } else if n % 2 == 0 {
                Flow::Skip
            } else {
                Flow::Emit(n)
            }
        };
        assert_eq!(Pipeline::source(0..).step(step).collect::<Vec<_>>(), [1, 3, 5]);
    }

    #[test]
    fn iterator_of_a_chain_that_borrows_can_be_held() {
        let words = vec![String::from("a"), String::from("bc")];
        let mut lengths = Pipeline::source(&words).map(|word| word.len()).into_iter();
        assert_eq!((lengths.next(), lengths.next(), lengths.next()), (Some(1), Some(2), None));
    }

    #[test]
    fn channel_and_queue_are_sources_and_an_early_end_closes_them() {
        within_a_minute(|| {
            let (sender, receiver) = crossbeam_channel::bounded(1);
            let producer = thread::spawn(move || (0..).take_while(|n| sender.send(*n).is_ok()).count());
            let got: Vec<i32> = Pipeline::receiver(receiver).take(5).collect();
            assert_eq!(got, [0, 1, 2, 3, 4]);
            assert!(producer.join().unwrap() >= 5);

            let (sender, receiver) = bounded(1);
            let producer = thread::spawn(move || sender.push_all(0..).is_err());
            assert_eq!(
                Pipeline::queue(receiver).par_map(2, |n| n + 1).take(3).collect::<Vec<_>>(),
                [1, 2, 3]
            );
            assert!(producer.join().unwrap());
        });
    }
}

mod parallel {
    use super::*;

    #[test]
    fn outputs_come_in_the_order_of_the_inputs() {
        within_a_minute(|| {
            for (workers, bound) in [(1, 1), (1, 7), (2, 1), (2, 2), (3, 5), (8, 64), (4, 1000)] {
                let outputs: Vec<u64> = Pipeline::source(0..2_000_u64)
                    .par_map(workers, |n| {
                        if n % 7 == 0 {
                            thread::yield_now();
                        }
                        n * 3
                    })
                    .bound(bound)
                    .collect();
                assert!(
                    outputs.iter().copied().eq((0..2_000).map(|n| n * 3)),
                    "{workers} workers, bound {bound}"
                );
            }
        });
    }

    #[test]
    fn room_that_the_consumer_makes_is_filled_before_it_runs_dry() {
        within_a_minute(|| {
            let (read, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let (reads, dones) = (Arc::clone(&read), Arc::clone(&done));
            let gate = Arc::new(Latch::new(1));
            let opens = Arc::clone(&gate);
            // A reader reads at most a quarter of the bound at once, and waits until there is room for that.
            // With this bound it reads one item at a time, so the window fills completely.
            let bound = 7;
            let pool = Pool::builder().workers(1).queue(1).build().unwrap();
            let mut outputs = Pipeline::source(0..1_000)
                .inspect(move |_| _ = reads.fetch_add(1, SeqCst))
                .par_map(1, move |n| {
                    // The consumer takes the first output alone, and all others at once.
                    if n == 1 {
                        opens.wait();
                    }
                    dones.fetch_add(1, SeqCst);
                    n
                })
                .bound(bound)
                .on(&pool)
                .into_iter();
            assert_eq!(outputs.next(), Some(0));
            gate.count_down();
            eventually("the window is full", || done.load(SeqCst) == 1 + bound);
            // A worker that still spins would see the room by itself.
            eventually("the reader sleeps", || pool.stats().blocked == 1);
            assert_eq!(outputs.by_ref().take(5).count(), 5);
            // The next output is not pulled, and at least one is left.
            eventually("the reader goes on", || read.load(SeqCst) == 6 + bound);
        });
    }

    #[test]
    fn unordered_outputs_are_the_same_ones() {
        within_a_minute(|| {
            for (workers, bound) in [(1, 1), (2, 3), (8, 64)] {
                let mut outputs: Vec<u64> = Pipeline::source(0..2_000_u64)
                    .par_map(workers, |n| n * 3)
                    .bound(bound)
                    .ordered(false)
                    .collect();
                outputs.sort_unstable();
                assert!(
                    outputs.into_iter().eq((0..2_000).map(|n| n * 3)),
                    "{workers} workers, bound {bound}"
                );
            }
        });
    }

    #[test]
    fn unordered_output_does_not_wait_for_a_slow_item_before_it() {
        within_a_minute(|| {
            let latch = Latch::new(1);
            let wait_for_first = |n: u32| {
                if n == 0 {
                    latch.wait();
                }
                n
            };
            let first_of_many =
                Pipeline::source(0..10).par_map(2, wait_for_first).ordered(false).pull(|items| {
                    let nine: Vec<u32> = items.take(9).collect();
                    latch.count_down();
                    (nine, items.next(), items.next())
                });
            assert_eq!(first_of_many, ((1..10).collect(), Some(0), None));
        });
    }

    #[test]
    fn as_many_items_as_workers_are_computed_at_once_and_never_more() {
        within_a_minute(|| {
            for workers in [2, 3, 5] {
                let (barrier, inside, peak) =
                    (Barrier::new(workers), AtomicUsize::new(0), AtomicUsize::new(0));
                let items = workers * 6;
                let count = Pipeline::source(0..items)
                    .par_map(workers, |_| {
                        peak.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                        barrier.wait(); // until as many are here
                        inside.fetch_sub(1, SeqCst);
                    })
                    .count();
                assert_eq!((count, peak.load(SeqCst)), (items, workers));
            }
        });
    }

    #[test]
    fn input_k_plus_bound_is_not_read_before_output_k_was_taken() {
        within_a_minute(|| {
            for ordered in [true, false] {
                for (workers, bound) in [(1, 1), (2, 1), (2, 3), (4, 16), (2, 100)] {
                    let read = Arc::new(AtomicUsize::new(0));
                    let source = {
                        let read = Arc::clone(&read);
                        (0..500_usize).inspect(move |_| _ = read.fetch_add(1, SeqCst))
                    };
                    let outputs = Pipeline::source(source)
                        .par_map(workers, |n| n)
                        .bound(bound)
                        .ordered(ordered)
                        .into_iter();
                    for (k, _) in outputs.enumerate() {
                        let ahead = read.load(SeqCst) - (k + 1);
                        assert!(ahead <= bound, "{ahead} under way, bound {bound}, {workers} workers");
                    }
                }
            }
        });
    }

    #[test]
    fn window_is_filled_while_nobody_pulls() {
        within_a_minute(|| {
            let read = Arc::new(AtomicUsize::new(0));
            let source = {
                let read = Arc::clone(&read);
                (0..100_usize).inspect(move |_| _ = read.fetch_add(1, SeqCst))
            };
            let mut outputs = Pipeline::source(source).par_map(2, |n| n).bound(8).into_iter();
            assert_eq!(outputs.next(), Some(0));
            // Workers read at most two items at a time here, and wait for room for both.
            eventually("the window is full", || read.load(SeqCst) >= 8);
        });
    }

    #[test]
    fn window_of_64_items_a_worker_is_there_unless_another_is_set() {
        within_a_minute(|| {
            let read = Arc::new(AtomicUsize::new(0));
            let source = {
                let read = Arc::clone(&read);
                (0..).inspect(move |_| _ = read.fetch_add(1, SeqCst))
            };
            let mut outputs = Pipeline::source(source).par_map(2, |n: usize| n).into_iter();
            assert_eq!(outputs.next(), Some(0));
            eventually("the window is nearly full", || read.load(SeqCst) > 64);
            (0..1_000).for_each(|_| std::thread::yield_now());
            // One was taken; workers read several at a time, once there is room for all of them.
            assert!(read.load(SeqCst) <= 2 * 64 + 1);
        });
    }

    #[test]
    fn live_items_are_at_most_the_sum_of_the_bounds() {
        within_a_minute(|| {
            let census = Arc::new(Census::default());
            let count = Pipeline::source(0..1_000)
                .map(|n| census.count(n))
                .buffered(3)
                .par_map(2, |item| item)
                .bound(5)
                .par_map(2, |item| item)
                .bound(4)
                .ordered(false)
                .map(|item| item.0)
                .count();
            assert_eq!((count, census.now.load(SeqCst)), (1_000, 0));
            let peak = census.peak.load(SeqCst);
            assert!(peak <= 3 + 5 + 4 + 1, "{peak} alive"); // and the one in the consumer's hand
        });
    }

    #[test]
    fn stages_borrow_from_the_stack() {
        within_a_minute(|| {
            let words = [String::from("warp"), String::from("weft")];
            let total = AtomicUsize::new(0);
            let count = Pipeline::source(&words)
                .par_map(2, |word| total.fetch_add(word.len(), SeqCst))
                .filter(|_| true)
                .par_map(2, |_| ())
                .count();
            assert_eq!((count, total.load(SeqCst)), (2, 8));
        });
    }

    #[test]
    fn empty_and_single_sources_end() {
        within_a_minute(|| {
            assert_eq!(Pipeline::source(0..0).par_map(3, |n| n).count(), 0);
            assert_eq!(Pipeline::source(0..1).par_map(3, |n| n).collect::<Vec<_>>(), [0]);
            assert_eq!(Pipeline::source(0..3).buffered(1).collect::<Vec<_>>(), [0, 1, 2]);
        });
    }

    #[test]
    fn pipeline_that_ends_early_reads_no_further_and_hints_no_more() {
        let read = AtomicUsize::new(0);
        let source = (0..100).inspect(|_| _ = read.fetch_add(1, SeqCst));
        let mut items = Pipeline::source(source).take_while(|n| *n < 3).into_iter();
        assert_eq!(items.size_hint(), (0, Some(100)));
        assert_eq!(items.by_ref().collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!((items.size_hint(), items.next(), read.load(SeqCst)), ((0, Some(0)), None, 4));
    }

    #[test]
    fn pool_of_one_worker_runs_a_pipeline_from_inside_its_own_task() {
        within_a_minute(|| {
            let pool = Arc::new(Pool::builder().workers(1).queue(1).build().unwrap());
            let inner = Arc::clone(&pool);
            let stop = CancelToken::new();
            let task = pool
                .submit(move || {
                    Pipeline::source(0..1_000_u64)
                        .cancelled_by(&stop)
                        .on(&inner)
                        .par_map(4, |n| n + 1)
                        .par_map(2, |n| n * 2)
                        .fold(0, |sum, n| sum + n)
                })
                .unwrap();
            assert_eq!(task.join().unwrap(), Ok(1_001_000));
            // And from outside, on the pool's own workers.
            let names = Pipeline::source(0..50)
                .on(&pool)
                .par_map(1, |_| thread::current().name().map(str::to_owned))
                .collect::<std::collections::HashSet<_>>();
            assert!(!names.iter().flatten().any(|name| name.starts_with("selvedge-helper")), "{names:?}");
        });
    }
}
