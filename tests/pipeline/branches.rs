//! Fan-out, fan-in, chunks by age, channels and figures.

use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use crate::common::{eventually, message, within_a_minute};
use selvedge::error::Cancelled;
use selvedge::queue::bounded;
use selvedge::{CancelToken, Pipeline};

mod outputs {
    use super::*;

    #[test]
    fn shared_items_go_to_the_output_that_asks_and_none_is_stranded() {
        within_a_minute(|| {
            // The second output is never read.
            let mut outputs = Pipeline::source(0..10).fan_out(2).into_iter();
            let (read, _unread) = (outputs.next().unwrap(), outputs.next().unwrap());
            assert_eq!(read.collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
        });
    }

    #[test]
    fn outputs_of_an_input_that_ends_by_itself_are_not_cancelled() {
        within_a_minute(|| {
            let stop = CancelToken::new();
            let shared = Pipeline::source(0..10).cancelled_by(&stop).fan_out(2);
            let split = Pipeline::source(0..10).cancelled_by(&stop).fan_out_by(2, 10, |n| *n);
            let copies = Pipeline::source(0..10).cancelled_by(&stop).broadcast(2, 10);
            let counts = [
                shared.into_iter().map(|output| output.count()).collect::<Result<Vec<_>, _>>(),
                split.into_iter().map(|output| output.count()).collect(),
                copies.into_iter().map(|output| output.count()).collect(),
            ];
            assert_eq!(counts, [Ok(vec![10, 0]), Ok(vec![5, 5]), Ok(vec![10, 10])]);
        });
    }

    #[test]
    fn shared_input_that_panics_is_dropped_before_another_output_ends() {
        /// Waits in its drop for a while, for an output that ends too early.
        struct Held(Receiver<()>, Arc<AtomicBool>);

        impl Drop for Held {
            fn drop(&mut self) {
                let _ = self.0.recv_timeout(Duration::from_millis(50));
                self.1.store(true, SeqCst);
            }
        }

        within_a_minute(|| {
            let (ended, early) = channel();
            let dropped = Arc::new(AtomicBool::new(false));
            let held = Held(early, Arc::clone(&dropped));
            let panics = iter::from_fn(move || {
                let _ = &held;
                panic_any(7)
            });
            let outputs = Pipeline::source(panics).map(|n: u32| n).fan_out(2);
            thread::scope(|s| {
                for output in outputs {
                    let (ended, dropped) = (ended.clone(), &dropped);
                    s.spawn(move || {
                        if catch_unwind(AssertUnwindSafe(|| output.count())).is_ok() {
                            let is_dropped = dropped.load(SeqCst);
                            let _ = ended.send(());
                            assert!(is_dropped);
                        }
                    });
                }
            });
        });
    }

    #[test]
    fn merge_keeps_64_items_by_default() {
        within_a_minute(|| {
            let read = Arc::new(AtomicUsize::new(0));
            let inputs = [0, 1].map(|_| {
                let read = Arc::clone(&read);
                Pipeline::source((0..).inspect(move |_: &u64| _ = read.fetch_add(1, SeqCst)))
            });
            let mut merged = Pipeline::merge(inputs).into_iter();
            assert!(merged.next().is_some());
            // In addition to the waiting items: one that was taken, and one in progress for each input.
            eventually("there is no more room", || read.load(SeqCst) >= 64 + 1 + 2);
            (0..1_000).for_each(|_| thread::yield_now());
            assert_eq!(read.load(SeqCst), 64 + 1 + 2);
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
    fn unread_output_delays_the_others_until_it_is_dropped() {
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
    fn broadcast_gives_each_output_every_item_in_order() {
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
    fn silent_input_delays_no_other_in_a_merge() {
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
    fn chunk_is_yielded_when_its_oldest_item_is_old_enough() {
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
    fn channel_carries_the_items_and_its_driver_returns_the_outcome() {
        within_a_minute(|| {
            let (numbers, pump) = Pipeline::source(0..100).par_map(2, |n| n).into_channel(3).unwrap();
            assert!(numbers.iter().eq(0..100));
            pump.join();

            let stop = CancelToken::new();
            let (numbers, pump) = Pipeline::source(0..).cancelled_by(&stop).into_channel(1).unwrap();
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
                .into_channel(1)
                .unwrap();
            assert_eq!(numbers.iter().count(), 3);
            let told = catch_unwind(AssertUnwindSafe(|| pump.join()));
            assert_eq!(message(&*told.unwrap_err()), "pumped");
        });
    }

    #[test]
    fn dropped_driver_or_receiver_stops_the_pipeline() {
        within_a_minute(|| {
            let marker = Arc::new(());
            let held = Arc::clone(&marker);
            let endless = Pipeline::source(0..).map(move |_| Arc::strong_count(&held)).buffered(2);
            let (numbers, pump) = endless.into_channel(1).unwrap();
            assert!(numbers.recv().is_ok());
            drop(pump);
            assert_eq!(Arc::strong_count(&marker), 1);
            let (numbers, pump) = Pipeline::source(0..).buffered(2).into_channel(1).unwrap();
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

    #[test]
    fn picture_has_a_row_for_each_thread_of_a_stage() {
        within_a_minute(|| {
            let figures = Figures::new();
            let meet = std::sync::Barrier::new(3);
            let height = |picture: &str| {
                let (_, rest) = picture.split_once("height=\"").unwrap();
                rest[..rest.find('"').unwrap()].parse::<usize>().unwrap()
            };
            let before = height(&figures.to_svg());
            // Three threads, because each waits for the others.
            Pipeline::source(0..3).par_map(3, |_| meet.wait()).bound(3).watched_by(&figures).for_each(|_| ());
            let picture = figures.to_svg();
            assert!(height(&picture) >= before + 3 * 14, "{picture}");
        });
    }
}
