//! Random pipelines: compared with std, and under a watchdog.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

use crate::common::census::Census;
use crate::common::within_a_minute;
use selvedge::{CancelToken, Pipeline};

/// Each chain yields what std's yields, with and without threads in between.
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
        fn any_chain_yields_what_std_yields(
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

/// Sizes that the models cannot reach, with a fixed seed.
mod stress {
    use super::*;
    use crate::common::Dice;

    /// Some work: none, a little, or a yield.
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
