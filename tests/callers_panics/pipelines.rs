//! `Pipeline`: sources, the function of each stage, items that nobody takes, branches, and sinks.

use selvedge::error::Cancelled;
use selvedge::queue::bounded;
use selvedge::{BoundedQueue, CancelToken, Pipeline, Pool};

use super::*;

/// A source whose drop panics.
struct Source<I>(I, #[allow(dead_code, reason = "it is dropped")] Touchy);

impl<I: Iterator> Iterator for Source<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }
}

fn touchy_at(n: u32) -> u32 {
    if n == 50 { blow("the function") } else { n }
}

#[test]
fn panic_of_a_function_before_a_source_whose_drop_panics_reaches_the_sink() {
    row(|| {
        for round in 0..40 {
            let (token, touchies) = (CancelToken::new(), Touchies::default());
            let source = Source(0..100_u32, touchies.make());
            let pipeline = Pipeline::source(source).par_map(1 + round % 2, touchy_at).bound(1 + round);
            let told = match round % 4 {
                0 => panic_of(|| pipeline.count()),
                1 => panic_of(|| pipeline.cancelled_by(&token).count()),
                2 => panic_of(|| pipeline.ordered(false).count()),
                _ => panic_of(|| pipeline.into_iter().count()),
            };
            assert_eq!((told.as_str(), touchies.dropped()), ("the function", 1));
        }
    });
}

#[test]
fn panic_of_a_stage_without_threads_before_a_source_whose_drop_panics_reaches_the_sink() {
    row(|| {
        for way in 0..8 {
            let (token, touchies) = (CancelToken::new(), Touchies::default());
            let plain = Pipeline::source(Source(0..100_u32, touchies.make()));
            let told = match way {
                0 => panic_of(|| plain.map(touchy_at).count()),
                1 => panic_of(|| plain.cancelled_by(&token).map(touchy_at).collect::<Vec<_>>()),
                2 => panic_of(|| plain.for_each(|n| _ = touchy_at(n))),
                3 => panic_of(|| plain.fold(0, |sum, n| sum + touchy_at(n))),
                4 => panic_of(|| plain.try_for_each(|n| Ok::<_, ()>(_ = touchy_at(n)))),
                5 => panic_of(|| plain.pull(|items| items.map(touchy_at).count())),
                6 => panic_of(|| plain.map(touchy_at).into_iter().count()),
                _ => panic_of(|| plain.map(touchy_at).chunks(3).map(|chunk| chunk.len()).count()),
            };
            assert_eq!((told.as_str(), touchies.dropped()), ("the function", 1));
        }
    });
}

#[test]
fn source_whose_drop_panics_behind_a_result_drops_the_result_once() {
    row(|| {
        let (sources, results) = (Touchies::default(), Touchies::default());
        let source = Source(0..1_u32, sources.make());
        let told = panic_of(|| Pipeline::source(source).map(|_| results.make()).collect::<Vec<_>>());
        assert_eq!((told.as_str(), sources.dropped(), results.dropped()), ("a value's drop", 1, 1));
    });
}

#[test]
fn error_before_a_source_whose_drop_panics_ends_the_pipeline() {
    row(|| {
        for round in 0..40 {
            let (token, touchies) = (CancelToken::new(), Touchies::default());
            let source = Source(0..100_u32, touchies.make());
            let pipeline = Pipeline::source(source)
                .try_par_map(1 + round % 2, |n| if n == 50 { Err("no") } else { Ok(n) })
                .bound(1 + round);
            // Whether the source is dropped where the error came, or where it was pulled, is decided by who
            // reads.
            let ended = std::panic::catch_unwind(AssertUnwindSafe(|| match round % 2 {
                0 => pipeline.collect::<Result<Vec<_>, _>>(),
                _ => pipeline.cancelled_by(&token).collect::<Result<Vec<_>, _>>().unwrap(),
            }));
            match ended {
                Ok(result) => assert_eq!(result, Err("no")),
                Err(payload) => assert_eq!(received(payload), "a value's drop"),
            }
            assert_eq!(touchies.dropped(), 1);
        }
    });
}

#[test]
fn source_whose_drop_panics_at_its_end_panics_to_the_sink() {
    row(|| {
        for _ in 0..20 {
            let touchies = Touchies::default();
            let source = Source(0..100_u32, touchies.make());
            assert_eq!(panic_of(|| Pipeline::source(source).par_map(2, |n| n).count()), "a value's drop");
            let sources = [touchies.make(), touchies.make()].map(|touchy| Source(0..10_u32, touchy));
            let merged = Pipeline::merge(sources.map(Pipeline::source));
            assert_eq!(panic_of(|| merged.count()), "a value's drop");
            assert_eq!(touchies.dropped(), 3);
        }
    });
}

#[test]
fn items_that_nobody_takes_are_each_dropped_once() {
    row(|| {
        for round in 0..20 {
            let (touchies, token) = (Touchies::default(), CancelToken::new());
            let made = Calls::default();
            let (values, makes) = (touchies.clone(), made.clone());
            let mut output = Pipeline::source(0..100)
                .map(move |_| {
                    makes.hear();
                    values.make()
                })
                .cancelled_by(&token)
                .par_map(2, |touchy| touchy)
                .bound(4 + round)
                .into_iter();
            let first = output.next().unwrap();
            assert_eq!(panic_of(|| drop(first)), "a value's drop");
            if round % 2 == 0 {
                token.cancel();
            }
            let ended = std::panic::catch_unwind(AssertUnwindSafe(|| drop(output)));
            if let Err(payload) = ended {
                assert_eq!(received(payload), "a value's drop");
            }
            assert_eq!(touchies.dropped(), made.count());
        }
    });
}

#[test]
fn function_whose_captures_panic_in_their_drop_panics_once() {
    row(|| {
        let touchies = Touchies::default();
        for panics in [false, true] {
            let held = touchies.make();
            let function = move |n: u32| {
                let _ = &held;
                if panics { touchy_at(n) } else { n }
            };
            let ended = std::panic::catch_unwind(AssertUnwindSafe(|| {
                Pipeline::source(0..100).par_map(2, function).count()
            }));
            match ended {
                Ok(count) => assert_eq!((count, panics), (100, false)),
                Err(payload) => {
                    let name = if panics { "the function" } else { "a value's drop" };
                    assert_eq!(received(payload), name);
                }
            }
        }
        assert_eq!(touchies.dropped(), 2);
    });
}

#[test]
fn merge_that_panicked_says_that_it_is_over_when_asked_again() {
    row(|| {
        // The second input would go on for ever, and the first sends more payloads than one.
        let inputs = [0, 1, 2].map(|input| {
            Pipeline::source(0_u32..).map(move |n| if input < 2 && n == 5 { blow("an input") } else { n })
        });
        Pipeline::merge(inputs).pull(|items| {
            let told = panic_of(|| {
                loop {
                    items.next();
                }
            });
            assert_eq!(told, "an input");
            assert_eq!((items.next(), items.next()), (None, None));
        });
    });
}

#[test]
fn parallel_map_that_panicked_says_that_it_is_over_when_asked_again() {
    row(|| {
        Pipeline::source(0..).par_map(2, touchy_at).pull(|items| {
            let told = panic_of(|| {
                loop {
                    items.next();
                }
            });
            assert_eq!((told.as_str(), items.next(), items.next()), ("the function", None, None));
        });
    });
}

#[test]
fn shared_input_whose_drop_panics_ends_every_output() {
    row(|| {
        for kind in 0..3 {
            let touchies = Touchies::default();
            let source = Pipeline::source(Source(0..100_u32, touchies.make()));
            let ended: Vec<_> = match kind {
                0 => ends_of(source.fan_out(3)),
                1 => ends_of(source.fan_out_by(3, 4, |n| *n)),
                _ => ends_of(source.broadcast(3, 4)),
            };
            let told: Vec<_> = ended.iter().flatten().collect();
            assert_eq!((told.len(), touchies.dropped()), (1, 1), "{kind}: {ended:?}");
            assert_eq!(told[0], "a value's drop");
        }
    });
}

#[test]
fn shared_input_that_panics_ends_every_output() {
    row(|| {
        for kind in 0..8 {
            let touchies = Touchies::default();
            let source = Pipeline::source(Source(0..100_u32, touchies.make()));
            let source = source.map(move |n| if kind % 4 < 3 { touchy_at(n) } else { n });
            // With a buffer the input panics on a thread of its own, without it where it is shared.
            let ended: Vec<_> = match kind {
                0 => ends_of(source.buffered(4).fan_out(3)),
                1 => ends_of(source.buffered(4).fan_out_by(3, 4, |n| *n)),
                2 => ends_of(source.buffered(4).broadcast(3, 4)),
                3 => ends_of(
                    source.buffered(4).fan_out_by(3, 4, |n| if *n == 50 { blow("the function") } else { *n }),
                ),
                4 => ends_of(source.fan_out(3)),
                5 => ends_of(source.fan_out_by(3, 4, |n| *n)),
                6 => ends_of(source.broadcast(3, 4)),
                _ => ends_of(source.fan_out_by(3, 4, |n| if *n == 50 { blow("the function") } else { *n })),
            };
            let told: Vec<_> = ended.iter().flatten().collect();
            assert_eq!(told, ["the function"], "{kind}");
            assert_eq!(touchies.dropped(), 1);
        }
    });
}

/// Reads every output to its end on a thread of its own, and says what those panicked with that did.
fn ends_of<O>(outputs: Vec<O>) -> Vec<Option<String>>
where
    O: IntoIterator<IntoIter: Send>,
    O: Send,
{
    std::thread::scope(|s| {
        let read = |output: O| s.spawn(move || output.into_iter().for_each(drop));
        let threads: Vec<_> = outputs.into_iter().map(read).collect();
        threads.into_iter().map(|thread| thread.join().err().map(received)).collect()
    })
}

#[test]
fn items_for_an_output_that_is_gone_panic_to_no_other() {
    row(|| {
        let touchies = Touchies::default();
        let values = touchies.clone();
        let source = Pipeline::source(0..100_u32).map(move |n| (n, values.make()));
        let mut outputs = source.fan_out_by(2, 100, |(n, _)| *n);
        let (second, mut first) = (outputs.pop().unwrap(), outputs.pop().unwrap().into_iter());
        let (_, touchy) = first.next().unwrap();
        assert_eq!(panic_of(|| drop(touchy)), "a value's drop");
        let _ = std::panic::catch_unwind(AssertUnwindSafe(|| drop(second))).map_err(received);
        let mut read = 1;
        for (_, touchy) in first {
            panic_of(|| drop(touchy));
            read += 1;
        }
        assert!(read < 100, "both outputs have some");
        assert_eq!(touchies.dropped(), 100);
    });
}

#[test]
fn channel_of_a_pipeline_is_disconnected_by_each_panic_and_its_handle_has_the_payload() {
    row(|| {
        let touchies = Touchies::default();
        let source = Source(0..100_u32, touchies.make());
        let (items, pump) = Pipeline::source(source).par_map(2, touchy_at).into_channel(1).unwrap();
        assert_eq!(items.iter().count(), 50);
        assert_eq!(panic_of(|| pump.join()), "the function");
        let (items, pump) = Pipeline::source(0..100_u32).par_map(2, touchy_at).into_channel(1).unwrap();
        assert_eq!(items.iter().count(), 50);
        drop(pump);
        assert_eq!(touchies.dropped(), 1);
    });
}

#[test]
fn panics_on_a_pool_cost_no_worker() {
    row(|| {
        let (pool, touchies) = (Pool::builder().workers(2).build().unwrap(), Touchies::default());
        for _ in 0..10 {
            let source = Source(0..100_u32, touchies.make());
            let pipeline = Pipeline::source(source).par_map(2, touchy_at).on(&pool);
            assert_eq!(panic_of(|| pipeline.count()), "the function");
        }
        assert_eq!((pool.submit(|| 1).unwrap().join().unwrap(), touchies.dropped()), (1, 10));
    });
}

#[test]
fn sink_that_panics_stops_all_and_what_is_left_panics_to_nobody() {
    row(|| {
        for _ in 0..20 {
            let (touchies, made) = (Touchies::default(), Calls::default());
            let (values, makes) = (touchies.clone(), made.clone());
            let source = Source(0..100_u32, touchies.make());
            made.hear();
            let pipeline = Pipeline::source(source).par_map(2, move |n| {
                makes.hear();
                (n, values.make())
            });
            let told = panic_of(|| {
                pipeline.for_each(|(n, touchy)| {
                    assert_eq!(panic_of(|| drop(touchy)), "a value's drop");
                    if n == 20 {
                        blow("the sink")
                    }
                })
            });
            assert_eq!((told.as_str(), touchies.dropped()), ("the sink", made.count()));
        }
    });
}

#[test]
fn queue_behind_a_pipeline_is_left_as_it_was() {
    row(|| {
        let (sender, receiver) = bounded(100);
        sender.push_all(0..100_u32).unwrap();
        let told = panic_of(|| Pipeline::queue(receiver).par_map(2, touchy_at).count());
        assert_eq!(told, "the function");
        assert!(sender.is_closed() && sender.push(1).is_err());
        let kept = BoundedQueue::new(1);
        assert!(kept.try_push(1).is_ok());
    });
}

#[test]
fn cancelled_pipeline_drops_what_it_has_and_says_so() {
    row(|| {
        for _ in 0..20 {
            let (token, touchies) = (CancelToken::new(), Touchies::default());
            let source = Source(0..100_u32, touchies.make());
            let cancel = token.clone();
            let ended = std::panic::catch_unwind(AssertUnwindSafe(|| {
                let pipeline = Pipeline::source(source).cancelled_by(&token);
                pipeline
                    .par_map(2, move |n| {
                        if n == 20 {
                            cancel.cancel();
                        }
                        n
                    })
                    .count()
            }));
            match ended {
                Ok(result) => assert_eq!(result, Err(Cancelled)),
                Err(payload) => assert_eq!(received(payload), "a value's drop"),
            }
            assert_eq!(touchies.dropped(), 1);
        }
    });
}

#[test]
fn panic_of_an_item_that_an_output_has_not_read_reaches_the_thread_that_drops_it() {
    row(|| {
        let touchies = Touchies::default();
        let source = Pipeline::source((0..32_u32).map(|n| (n, touchies.make())));
        let mut outputs = source.fan_out_by(2, 32, |(n, _)| *n).into_iter().map(IntoIterator::into_iter);
        let (read, unread) = (outputs.next().unwrap(), outputs.next().unwrap());
        for item in read {
            assert_eq!(panic_of(|| drop(item)), "a value's drop");
        }
        assert!(touchies.dropped() < 32, "the hasher sent everything one way");
        assert_eq!((panic_of(|| drop(unread)).as_str(), touchies.dropped()), ("a value's drop", 32));
    });
}
