//! The map's parallel iterators: every entry once, whoever writes meanwhile, and no lock while the caller's
//! code runs.

use std::collections::HashMap;

use crate::common::within_a_minute;
use rayon::prelude::*;
use selvedge::ShardedMap;

fn squares() -> ShardedMap<u32, u32> {
    (0..10_000).into_par_iter().map(|n| (n, n * n)).collect()
}

#[test]
fn every_entry_is_handled_once_in_parallel() {
    within_a_minute(|| {
        let map = squares();
        let expected: HashMap<u32, u32> = (0..10_000).map(|n| (n, n * n)).collect();
        assert_eq!(map.par_iter().count(), 10_000);
        assert_eq!(map.par_iter().collect::<HashMap<_, _>>(), expected);
        assert_eq!(map.into_par_iter().collect::<HashMap<_, _>>(), expected);
    });
}

#[test]
fn caller_code_may_use_the_map_and_rayon_again() {
    within_a_minute(|| {
        let map = squares();
        map.par_iter().for_each(|(key, value)| {
            if key % 1_000 == 0 {
                // A worker that waits here may take up another part of the outer pass.
                assert!(map.par_iter().any(|(other, _)| other == 1));
            }
            map.update(&key, |now| *now = value + 1).unwrap();
        });
        assert!(map.par_iter().all(|(key, value)| value == key * key + 1));
    });
}

#[test]
fn shared_map_is_extended_in_parallel() {
    within_a_minute(|| {
        let map = ShardedMap::<u32, u32>::new();
        let mut shared = &map;
        shared.par_extend((0..5_000).into_par_iter().map(|n| (n % 100, n)));
        assert_eq!(map.len(), 100);
        assert!(map.par_iter().all(|(key, value)| value % 100 == key));
        let mut owned = map;
        owned.par_extend(vec![(1_000, 1)]);
        assert_eq!(owned.len(), 101);
    });
}
