//! Pipelines from outside: order, bound, end, errors, panics, cancel, and what is left behind: nothing.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use common::{eventually, message, within_a_minute};
use selvedge::error::Cancelled;
use selvedge::pipeline::Flow;
use selvedge::queue::bounded;
use selvedge::{BoundedQueue, CancelToken, Latch, Pipeline, Pool};

/// How many values there are now, and the most that there ever were.
#[derive(Default)]
struct Census {
    now: AtomicUsize,
    peak: AtomicUsize,
}

/// A value that is counted while it lives.
struct Counted(u64, Arc<Census>);

impl Census {
    fn count(self: &Arc<Self>, value: u64) -> Counted {
        let now = self.now.fetch_add(1, SeqCst) + 1;
        self.peak.fetch_max(now, SeqCst);
        Counted(value, Arc::clone(self))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.now.fetch_sub(1, SeqCst);
    }
}

mod stages {
    use super::*;

    #[test]
    fn chain_of_stages_gives_what_std_gives() {
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
    fn channel_and_queue_are_sources_and_an_early_end_tells_their_producers() {
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
            // Workers read two at a time at most here, and wait for room for both.
            eventually("the window is full", || read.load(SeqCst) >= 8);
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
    fn item_read_before_the_source_falls_silent_comes_out() {
        // The request is answered although the next one has not come, also when many came quickly before.
        within_a_minute(|| {
            let (requests, source) = channel::<u32>();
            let mut answers = Pipeline::source(source).par_map(2, |n| n + 1).into_iter();
            for round in 0..200 {
                let burst = round % 17;
                (0..=burst).for_each(|n| requests.send(n).unwrap());
                for n in 0..=burst {
                    assert_eq!(answers.next(), Some(n + 1));
                }
            }
            drop(requests);
            assert_eq!(answers.next(), None);
        });
    }

    #[test]
    fn item_that_is_stuck_holds_up_nothing_that_is_done_before_it() {
        within_a_minute(|| {
            let stuck = Latch::new(1);
            let taken = Pipeline::source(0..5_000_u32)
                .par_map(2, |n| {
                    if n == 4_000 {
                        stuck.wait();
                    }
                    n
                })
                .pull(|outputs| {
                    let before = outputs.take(4_000).count();
                    stuck.count_down();
                    (before, outputs.count())
                });
            assert_eq!(taken, (4_000, 1_000));
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
            // And from outside, on the workers' own threads.
            let names = Pipeline::source(0..50)
                .on(&pool)
                .par_map(1, |_| thread::current().name().map(str::to_owned))
                .collect::<std::collections::HashSet<_>>();
            assert!(!names.iter().flatten().any(|name| name.starts_with("selvedge-helper")), "{names:?}");
        });
    }
}

mod branches {
    use super::*;

    #[test]
    fn shared_items_go_to_whoever_asks_and_none_is_stranded() {
        within_a_minute(|| {
            // Nobody ever reads the second output.
            let mut outputs = Pipeline::source(0..10).fan_out(2).into_iter();
            let (read, _unread) = (outputs.next().unwrap(), outputs.next().unwrap());
            assert_eq!(read.collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
        });
    }

    #[test]
    fn shared_items_come_out_once_over_many_threads() {
        within_a_minute(|| {
            let outputs = Pipeline::source(0..5_000_u64).par_map(2, |n| n).fan_out(4);
            let parts: Vec<Vec<u64>> = thread::scope(|s| {
                let threads: Vec<_> =
                    outputs.into_iter().map(|output| s.spawn(|| output.collect())).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(parts.iter().all(|part: &Vec<u64>| part.is_sorted()));
            let mut all = parts.concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..5_000));
        });
    }

    #[test]
    fn items_of_one_key_come_out_of_one_output_in_their_order() {
        within_a_minute(|| {
            let outputs = Pipeline::source(0..2_000_u32).fan_out_by(3, 2, |n| n % 10);
            let parts: Vec<Vec<u32>> = thread::scope(|s| {
                let threads: Vec<_> =
                    outputs.into_iter().map(|output| s.spawn(|| output.collect())).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            for key in 0..10 {
                let with_key =
                    |part: &Vec<u32>| part.iter().copied().filter(|n| n % 10 == key).collect::<Vec<_>>();
                let homes: Vec<_> = parts.iter().map(with_key).filter(|items| !items.is_empty()).collect();
                assert_eq!(homes.len(), 1);
                assert!(homes[0].is_sorted());
            }
            assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), 2_000);
        });
    }

    #[test]
    fn unread_output_holds_the_others_up_until_it_is_dropped() {
        within_a_minute(|| {
            let mut outputs = Pipeline::source(0..100).broadcast(2, 4).into_iter();
            let (read, unread) = (outputs.next().unwrap(), outputs.next().unwrap());
            let taken = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&taken);
            let reader = thread::spawn(move || read.inspect(|_| _ = count.fetch_add(1, SeqCst)).count());
            eventually("four are in the other's buffer", || taken.load(SeqCst) >= 4);
            assert!(taken.load(SeqCst) <= 5);
            drop(unread);
            assert_eq!(reader.join().unwrap(), 100);
        });
    }

    #[test]
    fn broadcast_gives_everybody_everything_in_order() {
        within_a_minute(|| {
            let outputs = Pipeline::source(0..1_000).broadcast(3, 5);
            let all: Vec<Vec<i32>> = thread::scope(|s| {
                let threads: Vec<_> =
                    outputs.into_iter().map(|output| s.spawn(|| output.collect())).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(all.iter().all(|items: &Vec<i32>| items.iter().copied().eq(0..1_000)));
        });
    }

    #[test]
    fn cancel_reaches_every_output_and_every_input() {
        within_a_minute(|| {
            let stop = CancelToken::new();
            let (_sender, silent) = bounded::<u32>(1);
            let outputs = Pipeline::queue(silent.clone()).cancelled_by(&stop).fan_out(3);
            let split = Pipeline::queue(silent.clone()).cancelled_by(&stop).broadcast(2, 1);
            let inputs = [silent.clone(), silent].map(|queue| Pipeline::queue(queue).cancelled_by(&stop));
            thread::scope(|s| {
                let mut threads: Vec<_> =
                    outputs.into_iter().map(|output| s.spawn(|| output.count())).collect();
                threads.extend(split.into_iter().map(|output| s.spawn(|| output.count())));
                threads.push(s.spawn(|| Pipeline::merge(inputs).count()));
                stop.cancel();
                for thread in threads {
                    assert_eq!(thread.join().unwrap(), Err(Cancelled));
                }
            });
        });
    }

    #[test]
    fn merge_lets_no_silent_input_hold_up_another() {
        within_a_minute(|| {
            let (sender, silent) = bounded::<u32>(1);
            let (talker, loud) = bounded::<u32>(1);
            let mut merged = Pipeline::merge([silent, loud].map(Pipeline::queue)).into_iter();
            for n in 0..100 {
                talker.push(n).unwrap();
                assert_eq!(merged.next(), Some(n));
            }
            drop((sender, talker));
            assert_eq!(merged.next(), None);
        });
    }

    #[test]
    fn merged_items_are_all_there_and_in_order_by_input() {
        within_a_minute(|| {
            let inputs = (0..5_u64).map(|input| Pipeline::source((0..500_u64).map(move |n| (input, n))));
            let merged: Vec<(u64, u64)> = Pipeline::merge(inputs).capacity(3).collect();
            for input in 0..5 {
                assert!(merged.iter().filter(|item| item.0 == input).map(|item| item.1).eq(0..500));
            }
        });
    }

    #[test]
    fn panic_of_an_input_reaches_the_consumer_of_the_merge() {
        within_a_minute(|| {
            let inputs = [5, 50].map(|at| {
                Pipeline::source(0_u32..).map(move |n| if n == at { panic_any("input") } else { n })
            });
            let result = catch_unwind(AssertUnwindSafe(|| Pipeline::merge(inputs).count()));
            assert_eq!(message(&*result.unwrap_err()), "input");
        });
    }

    #[test]
    fn chained_and_sorted_inputs_keep_their_order() {
        within_a_minute(|| {
            let inputs =
                || [vec![1, 4, 7], vec![], vec![2, 4, 9]].map(|items| Pipeline::source(items).buffered(2));
            assert_eq!(Pipeline::chain(inputs()).collect::<Vec<_>>(), [1, 4, 7, 2, 4, 9]);
            assert_eq!(Pipeline::merge_sorted_by(inputs(), i32::cmp).collect::<Vec<_>>(), [1, 2, 4, 4, 7, 9]);
            let none: [Pipeline<selvedge::pipeline::Items<std::vec::IntoIter<i32>>>; 0] = [];
            assert_eq!(Pipeline::merge(none).count(), 0);
        });
    }

    #[test]
    fn by_key_and_back_together_keeps_each_key_in_order() {
        within_a_minute(|| {
            let outputs = Pipeline::source(0..900_u32).fan_out_by(3, 8, |n| n % 7);
            let back: Vec<u32> =
                Pipeline::merge(outputs.into_iter().map(|output| output.map(|n| n + 7))).collect();
            assert_eq!(back.len(), 900);
            for key in 0..7 {
                assert!(back.iter().copied().filter(|n| n % 7 == key).is_sorted());
            }
        });
    }
}

mod times_and_channels {
    use std::time::Duration;

    use super::*;
    use selvedge::Clock;
    use selvedge::pipeline::Figures;

    #[test]
    fn chunk_goes_on_when_its_oldest_item_is_old_enough() {
        within_a_minute(|| {
            let clock = Clock::manual();
            let stop = CancelToken::with_clock(&clock);
            let (sender, items) = bounded(8);
            let age = Duration::from_secs(10);
            let mut chunks = Pipeline::queue(items).cancelled_by(&stop).chunks_within(3, age).into_iter();
            sender.push_all(1..=4).unwrap();
            assert_eq!(chunks.next(), Some(vec![1, 2, 3]));
            thread::scope(|s| {
                let next = s.spawn(|| chunks.next());
                clock.wait_for_sleepers(1);
                clock.advance(age);
                assert_eq!(next.join().unwrap(), Some(vec![4]));
            });
            sender.push(5).unwrap();
            drop(sender);
            assert_eq!((chunks.next(), chunks.next()), (Some(vec![5]), None));
        });
    }

    #[test]
    fn channel_carries_the_items_and_the_pump_tells_the_end() {
        within_a_minute(|| {
            let (numbers, pump) = Pipeline::source(0..100).par_map(2, |n| n).into_channel(3);
            assert!(numbers.iter().eq(0..100));
            pump.join();

            let stop = CancelToken::new();
            let (numbers, pump) = Pipeline::source(0..).cancelled_by(&stop).into_channel(1);
            assert_eq!(numbers.recv(), Ok(0));
            stop.cancel();
            while numbers.recv().is_ok() {}
            assert_eq!(pump.join(), Err(Cancelled));

            let (numbers, pump) = Pipeline::source(0..)
                .map(|n| {
                    if n == 3 {
                        panic_any("pumped")
                    }
                })
                .into_channel(1);
            assert_eq!(numbers.iter().count(), 3);
            let told = catch_unwind(AssertUnwindSafe(|| pump.join()));
            assert_eq!(message(&*told.unwrap_err()), "pumped");
        });
    }

    #[test]
    fn dropped_pump_or_receiver_stops_the_pipeline() {
        within_a_minute(|| {
            let marker = Arc::new(());
            let held = Arc::clone(&marker);
            let endless = Pipeline::source(0..).map(move |_| Arc::strong_count(&held)).buffered(2);
            let (numbers, pump) = endless.into_channel(1);
            assert!(numbers.recv().is_ok());
            drop(pump);
            assert_eq!(Arc::strong_count(&marker), 1);
            let (numbers, pump) = Pipeline::source(0..).buffered(2).into_channel(1);
            drop(numbers);
            pump.join();
        });
    }

    #[test]
    fn figures_name_the_stages_and_count_what_passed() {
        within_a_minute(|| {
            let figures = Figures::new();
            let count = Pipeline::source(0..500)
                .buffered(4)
                .named("read <all>")
                .par_map(2, |n| n)
                .watched_by(&figures)
                .filter(|n| n % 2 == 0)
                .count();
            let stages = figures.stages();
            let names: Vec<&str> = stages.iter().map(|stage| stage.name.as_str()).collect();
            assert_eq!((count, names), (250, vec!["read <all>", "on 2 threads"]));
            for stage in &stages {
                assert_eq!((stage.taken_in, stage.given_out, stage.depth()), (500, 500, 0));
            }
            let picture = figures.to_svg();
            assert!(picture.contains("read &lt;all>") && picture.ends_with("</svg>\n"), "{picture}");
        });
    }
}

/// Any chain gives what std's gives, with and without threads between.
mod properties {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Stage {
        Map(u32),
        Filter(u32),
        FlatMap(u32),
        Take(usize),
        Skip(usize),
        Chunks(usize),
        Dedup,
        Parallel(usize, usize),
        Buffered(usize),
    }

    fn stage() -> impl Strategy<Value = Stage> {
        prop_oneof![
            (0..9_u32).prop_map(Stage::Map),
            (2..5_u32).prop_map(Stage::Filter),
            (0..4_u32).prop_map(Stage::FlatMap),
            (0..60_usize).prop_map(Stage::Take),
            (0..20_usize).prop_map(Stage::Skip),
            (1..7_usize).prop_map(Stage::Chunks),
            Just(Stage::Dedup),
            (1..5_usize, 1..40_usize).prop_map(|(workers, bound)| Stage::Parallel(workers, bound)),
            (1..9_usize).prop_map(Stage::Buffered),
        ]
    }

    type Items = Box<dyn Iterator<Item = u32> + Send>;

    fn ours(items: Items, stage: Stage) -> Items {
        let pipeline = Pipeline::source(items);
        match stage {
            Stage::Map(k) => Box::new(pipeline.map(move |n| n.wrapping_mul(3) + k).into_iter()),
            Stage::Filter(k) => Box::new(pipeline.filter(move |n| n % k != 0).into_iter()),
            Stage::FlatMap(k) => Box::new(pipeline.flat_map(move |n| (0..k).map(move |i| n ^ i)).into_iter()),
            Stage::Take(k) => Box::new(pipeline.take(k).into_iter()),
            Stage::Skip(k) => Box::new(pipeline.skip(k).into_iter()),
            Stage::Chunks(k) => Box::new(pipeline.chunks(k).map(|chunk| chunk.len() as u32).into_iter()),
            Stage::Dedup => Box::new(pipeline.dedup().into_iter()),
            Stage::Parallel(workers, bound) => {
                Box::new(pipeline.par_map(workers, |n| n ^ 0x55).bound(bound).into_iter())
            }
            Stage::Buffered(bound) => Box::new(pipeline.buffered(bound).into_iter()),
        }
    }

    fn theirs(items: Vec<u32>, stage: Stage) -> Vec<u32> {
        match stage {
            Stage::Map(k) => items.into_iter().map(|n| n.wrapping_mul(3) + k).collect(),
            Stage::Filter(k) => items.into_iter().filter(|n| n % k != 0).collect(),
            Stage::FlatMap(k) => items.into_iter().flat_map(|n| (0..k).map(move |i| n ^ i)).collect(),
            Stage::Take(k) => items.into_iter().take(k).collect(),
            Stage::Skip(k) => items.into_iter().skip(k).collect(),
            Stage::Chunks(k) => items.chunks(k).map(|chunk| chunk.len() as u32).collect(),
            Stage::Dedup => {
                let mut items = items;
                items.dedup();
                items
            }
            Stage::Parallel(..) => items.into_iter().map(|n| n ^ 0x55).collect(),
            Stage::Buffered(_) => items,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_chain_gives_what_std_gives(
            items in prop::collection::vec(0..50_u32, 0..200),
            stages in prop::collection::vec(stage(), 0..6),
        ) {
            let expected = stages.iter().cloned().fold(items.clone(), theirs);
            let found = within_a_minute(move || {
                let start: Items = Box::new(items.into_iter());
                stages.into_iter().fold(start, ours).collect::<Vec<_>>()
            });
            prop_assert_eq!(found, expected);
        }
    }
}

/// Sizes that the models cannot reach, with dice that fall the same each time.
mod stress {
    use super::*;
    use common::Dice;

    /// Some work: none, a little, or a turn for somebody else.
    fn work(dice: &mut Dice, n: u64) -> u64 {
        match dice.roll(8) {
            0 => thread::yield_now(),
            kind => (0..kind * 40).for_each(|_| std::hint::spin_loop()),
        }
        n + 1
    }

    fn run(seed: u64) {
        let mut dice = Dice::new(seed);
        let (items, taken) = (dice.roll(300) as u64, dice.roll(400));
        let (ordered, cancels) = (dice.once_in(2), dice.once_in(4));
        let stop = CancelToken::new();
        let census = Arc::new(Census::default());
        let (first, second) = (Arc::clone(&census), Arc::new(()));
        let held = Arc::clone(&second);
        let mut output = Pipeline::source(0..items)
            .cancelled_by(&stop)
            .map(move |n| first.count(n))
            .par_map(1 + dice.roll(4), move |mut item| {
                item.0 = work(&mut Dice::new(item.0 ^ seed), item.0);
                (item, Arc::strong_count(&held)).0
            })
            .bound(1 + dice.roll(40))
            .buffered(1 + dice.roll(5))
            .par_map(1 + dice.roll(3), |item| item)
            .ordered(ordered)
            .into_iter();
        let canceller = cancels.then(|| {
            let stop = stop.clone();
            thread::spawn(move || {
                (0..seed % 50).for_each(|_| thread::yield_now());
                stop.cancel();
            })
        });
        let mut found: Vec<u64> = output.by_ref().take(taken).map(|item| item.0).collect();
        let complete = output.outcome().is_ok();
        drop(output);
        assert_eq!(
            (census.now.load(SeqCst), Arc::strong_count(&second)),
            (0, 1),
            "seed {seed}: something stayed"
        );
        if !ordered {
            found.sort_unstable();
        }
        assert!(found.is_sorted(), "seed {seed}: {found:?}");
        if complete && taken as u64 >= items {
            assert!(found.into_iter().eq(1..=items), "seed {seed}");
        }
        assert!(complete || cancels, "seed {seed}");
        canceller.into_iter().for_each(|thread| thread.join().unwrap());
    }

    #[test]
    fn random_runs_end_and_leave_nothing_behind() {
        within_a_minute(|| (0..120).for_each(run));
    }
}

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
                // The stages' own closures are gone, so every thread has left.
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
                    // What a pull is lent cannot be taken out; the nearest is to leave early.
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
    fn end_that_was_reached_is_success_although_it_was_cancelled() {
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
                let late = AtomicUsize::new(0);
                let check = |n: u32| {
                    late.fetch_add(usize::from(stop.is_cancelled()), SeqCst);
                    n
                };
                // The stage itself cancels, so "after" is exact for the stages behind it.
                let result = Pipeline::source(0..1_000)
                    .cancelled_by(&stop)
                    .map(|n| {
                        if n == 100 {
                            stop.cancel();
                        }
                        n
                    })
                    .map(check)
                    .filter(|n| check(*n) < 5_000)
                    .par_map(parallel, check)
                    .inspect(|n| _ = check(*n))
                    .for_each(|n| _ = check(n));
                assert_eq!(result, Err(Cancelled));
                // A function that had asked just before may have begun just after: those of other threads.
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
            let (_sender, silent) = bounded::<u32>(1);
            let (_other, quiet) = crossbeam_channel::bounded::<u32>(1);
            thread::scope(|s| {
                let runs = [
                    s.spawn({
                        let silent = silent.clone();
                        || Pipeline::queue(silent).cancelled_by(&stop).map(|n| n).count()
                    }),
                    s.spawn({
                        let quiet = quiet.clone();
                        || Pipeline::receiver(quiet).cancelled_by(&stop).filter(|_| true).count()
                    }),
                    s.spawn({
                        let silent = silent.clone();
                        || Pipeline::queue(silent).par_map(2, |n| n).buffered(1).cancelled_by(&stop).count()
                    }),
                ];
                stop.cancel();
                for run in runs {
                    assert_eq!(run.join().unwrap(), Err(Cancelled));
                }
            });
        });
    }

    #[test]
    fn consumer_hears_of_a_cancel_while_a_foreign_iterator_is_silent() {
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
            // The thread that sits in the foreign iterator can only leave when that returns.
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
