//! Items that are stuck, and sources that fall silent, delay nothing else.

use std::sync::mpsc::channel;

use crate::common::within_a_minute;
use selvedge::{CancelToken, Latch, Pipeline};

#[test]
fn item_read_before_the_source_falls_silent_comes_out() {
    // The request is answered although the next one has not arrived, even if many arrived quickly before.
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
fn item_behind_a_stuck_one_is_computed_while_the_source_is_silent() {
    // The cheap items before make the reader read many at once, so both are in one chunk. The source says
    // nothing more until the second was computed, and the first waits for it.
    for ordered in [true, false] {
        within_a_minute(move || {
            for before in [0, 1, 100, 1_000] {
                let (second, stuck) = (before + 1, Latch::new(1));
                let source = (0..before + 3).inspect(|n| {
                    if *n == second + 1 {
                        stuck.wait();
                    }
                });
                let meet = |n| {
                    match n {
                        n if n == before && !ordered => stuck.wait(),
                        n if n == second => stuck.count_down(),
                        _ => {}
                    }
                    n
                };
                let stop = CancelToken::new();
                let outputs = Pipeline::source(source).cancelled_by(&stop).par_map(2, meet).ordered(ordered);
                assert_eq!(outputs.count(), Ok(before + 3));
            }
        });
    }
}

#[test]
fn few_outputs_of_cheap_items_come_out_before_a_stuck_one() {
    // Fewer than are worth taking at once, of which the consumer gets all although no more follow.
    within_a_minute(|| {
        for few in 0..20 {
            let stuck = Latch::new(1);
            let taken = Pipeline::source(0..2_000 + few)
                .par_map(1, |n| {
                    if n == 1_000 + few {
                        stuck.wait();
                    }
                    n
                })
                .pull(|outputs| {
                    let before = outputs.take(1_000 + few).count();
                    stuck.count_down();
                    (before, outputs.count())
                });
            assert_eq!(taken, (1_000 + few, 1_000));
        }
    });
}

#[test]
fn stuck_item_delays_no_output_before_it() {
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
