//! The map from outside: calls on one key are atomic, values are made once, nothing under a lock surprises.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::ops::ControlFlow::{Break, Continue};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

use crate::common::{figure, within_a_minute};
use selvedge::ShardedMap;
use selvedge::map::Entry;

/// Hands numbers on as they are: the worst that a hasher does to shards and tables.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.0 = self.0 << 8 | u64::from(byte));
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}

type Plain = BuildHasherDefault<AsItIs>;

/// Everything has one hash.
#[derive(Default)]
struct AllTheSame;

impl Hasher for AllTheSame {
    fn finish(&self) -> u64 {
        7
    }

    fn write(&mut self, _: &[u8]) {}
}

mod one_key {
    use super::*;

    #[test]
    fn inserted_value_is_got_replaced_and_removed() {
        let map = ShardedMap::new();
        assert_eq!(map.insert("a", 1), None);
        assert_eq!(map.get("a"), Some(1));
        assert_eq!(map.insert("a", 2), Some(1));
        assert!(map.contains_key("a"));
        assert_eq!(map.with("a", |value| value + 40), Some(42));
        assert_eq!(map.remove("a"), Some(2));
        assert_eq!((map.get("a"), map.remove("a"), map.with("a", |_| ())), (None, None, None));
        assert!(map.is_empty());
    }

    #[test]
    fn keys_are_looked_up_by_what_they_borrow_as() {
        let map = ShardedMap::new();
        map.insert(String::from("key"), vec![1]);
        assert_eq!(map.get("key"), Some(vec![1]));
        assert_eq!(map.update("key", |value| value.push(2)), Some(()));
        assert_eq!(map.remove_if("key", |value| value.len() == 1), None);
        assert_eq!(map.remove_entry("key"), Some((String::from("key"), vec![1, 2])));
        let map = ShardedMap::from([(vec![1_u8, 2], 'x')]);
        assert!(map.contains_key(&[1, 2][..]));
    }

    #[test]
    fn key_that_was_there_stays_when_its_value_is_replaced() {
        /// Equal if the first parts are.
        #[derive(Debug, Eq)]
        struct Key(u8, &'static str);
        impl PartialEq for Key {
            fn eq(&self, other: &Key) -> bool {
                self.0 == other.0
            }
        }
        impl Hash for Key {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.0.hash(state);
            }
        }
        let map = ShardedMap::new();
        map.insert(Key(1, "first"), 'a');
        map.insert(Key(1, "second"), 'b');
        let (key, value) = map.remove_entry(&Key(1, "third")).unwrap();
        assert_eq!((key.1, value), ("first", 'b'));
    }

    #[test]
    fn update_of_a_key_that_is_not_there_calls_nothing() {
        let map = ShardedMap::<u8, u8>::new();
        assert_eq!(map.update(&1, |_| unreachable!()), None::<()>);
        assert_eq!(map.with(&1, |_| unreachable!()), None::<()>);
        assert_eq!(map.remove_if(&1, |_| unreachable!()), None);
        assert!(map.is_empty());
    }

    #[test]
    fn entry_can_be_filled_changed_refilled_and_emptied() {
        let map = ShardedMap::new();
        assert_eq!(map.entry("k", |entry| *entry.or_insert(1)), 1);
        assert_eq!(map.entry("k", |entry| *entry.or_insert_with(|| unreachable!())), 1);
        map.entry("k", |entry| _ = entry.and_modify(|value| *value += 1).or_default());
        assert_eq!(map.get("k"), Some(2));
        let replaced = map.entry("k", |entry| match entry {
            Entry::Occupied(mut place) => {
                assert_eq!((place.key(), place.get()), (&"k", &2));
                place.insert(10)
            }
            Entry::Vacant(_) => unreachable!(),
        });
        assert_eq!((replaced, map.get("k")), (2, Some(10)));
        let removed = map.entry("k", |entry| match entry {
            Entry::Occupied(place) => place.remove(),
            Entry::Vacant(_) => unreachable!(),
        });
        assert_eq!((removed, map.len()), (10, 0));
    }

    #[test]
    fn vacant_entry_that_is_dropped_leaves_its_place_empty() {
        let map = ShardedMap::<String, u8>::new();
        let key = map.entry("k".into(), |entry| match entry {
            Entry::Vacant(place) => {
                assert_eq!(place.key(), "k");
                place.into_key()
            }
            Entry::Occupied(_) => unreachable!(),
        });
        map.entry(key, |_| ());
        assert!(map.is_empty());
    }

    #[test]
    fn only_one_of_many_threads_is_told_that_it_was_the_first() {
        within_a_minute(|| {
            for _ in 0..100 {
                let map = ShardedMap::new();
                let firsts = AtomicUsize::new(0);
                thread::scope(|s| {
                    for thread in 0..3 {
                        let (map, firsts) = (&map, &firsts);
                        s.spawn(move || {
                            let first = map.insert("url", thread).is_none();
                            firsts.fetch_add(usize::from(first), SeqCst);
                        });
                    }
                });
                assert_eq!(firsts.into_inner(), 1);
            }
        });
    }

    #[test]
    fn updates_of_one_key_from_many_threads_are_all_kept() {
        within_a_minute(|| {
            let map = ShardedMap::from([("hits", 0)]);
            thread::scope(|s| {
                for _ in 0..4 {
                    s.spawn(|| (0..10_000).for_each(|_| _ = map.update("hits", |hits| *hits += 1)));
                }
            });
            assert_eq!(map.get("hits"), Some(40_000));
        });
    }
}

mod sizes {
    use super::*;

    #[test]
    fn shards_are_rounded_up_to_a_power_of_two() {
        for (asked, got) in [(1, 1), (2, 2), (3, 4), (64, 64), (65, 128)] {
            let map = ShardedMap::<u8, u8>::with_shards(asked);
            assert_eq!(map.shards(), got);
            (0..=255).for_each(|n| _ = map.insert(n, n));
            assert_eq!(map.len(), 256);
        }
    }

    #[test]
    fn map_of_the_maximum_of_shards_can_be_made_and_used() {
        let map = ShardedMap::<u64, u8>::with_shards(ShardedMap::<u64, u8>::MAX_SHARDS);
        (0..1_000).for_each(|n| _ = map.insert(n, 1));
        assert_eq!((map.len(), map.values().count()), (1_000, 1_000));
    }

    #[test]
    fn hasher_that_does_nothing_fills_all_shards_and_loses_no_key() {
        let map = ShardedMap::<u64, u64, Plain>::with_shards_and_hasher(8, Plain::default());
        (0..8_000).for_each(|n| _ = map.insert(n, n));
        assert!((0..8_000).all(|n| map.get(&n) == Some(n)));
        // Copied a shard at a time: the first batch is one shard's share.
        let mut iter = map.iter();
        iter.next();
        let share = figure(&iter, "copied").unwrap() + 1;
        assert!((500..2_000).contains(&share), "{share} of 8,000 keys are in the first of 8 shards");
    }

    #[test]
    fn hasher_that_makes_everything_collide_is_slow_and_right() {
        let map = ShardedMap::<u16, u16, BuildHasherDefault<AllTheSame>>::default();
        (0..500).for_each(|n| _ = map.insert(n, n));
        (0..500).step_by(2).for_each(|n| _ = map.remove(&n));
        assert!((0..500).all(|n| map.get(&n) == (n % 2 == 1).then_some(n)));
    }

    #[test]
    fn capacity_that_was_asked_for_is_there() {
        let map = ShardedMap::<u64, u64>::with_capacity(10_000);
        assert!(map.capacity() >= 10_000);
        let map = ShardedMap::<u64, u64>::new();
        assert_eq!(map.capacity(), 0);
        map.reserve(5_000);
        assert!(map.capacity() >= 5_000);
        map.shrink_to_fit();
        assert_eq!(map.capacity(), 0);
        assert_eq!(ShardedMap::<u8, u8>::with_capacity(0).capacity(), 0);
    }

    #[test]
    fn memory_is_given_back_after_removals() {
        let map = ShardedMap::<u64, u64, Plain>::with_shards_and_hasher(4, Plain::default());
        (0..100_000).for_each(|n| _ = map.insert(n, n));
        assert!(map.capacity() >= 100_000);
        (100..100_000).for_each(|n| _ = map.remove(&n));
        assert_eq!(map.len(), 100);
        // The rule: no shard keeps room for more than 64 that is less than an eighth full.
        assert!(map.capacity() <= 4 * 64 + 8 * 100 + 4 * 64, "{} places for 100", map.capacity());
        assert!((0..100).all(|n| map.get(&n) == Some(n)));
    }

    #[test]
    fn memory_is_given_back_by_retain_drain_and_clear() {
        let full = || {
            let map = ShardedMap::<u64, u64>::with_shards(2);
            (0..10_000).for_each(|n| _ = map.insert(n, n));
            map
        };
        let map = full();
        map.retain(|key, _| *key < 10);
        assert!(map.capacity() < 500, "{} places for 10", map.capacity());
        assert_eq!(map.len(), 10);
        let map = full();
        assert_eq!(map.drain().count(), 10_000);
        assert_eq!((map.len(), map.capacity()), (0, 0));
        let map = full();
        map.clear();
        assert_eq!((map.len(), map.capacity()), (0, 0));
        let map = full();
        (0..10_000).for_each(|key| {
            map.entry(key, |entry| match entry {
                Entry::Occupied(place) => _ = place.remove(),
                Entry::Vacant(_) => unreachable!(),
            })
        });
        assert!(map.capacity() <= 128, "{} places for none", map.capacity());
    }

    #[test]
    fn taking_turns_at_the_edge_of_a_shrink_does_not_rebuild_each_time() {
        // One shard; whatever its size, inserting and removing one must not move it between two sizes.
        let map = ShardedMap::<u64, u64>::with_shards(1);
        (0..1_000).for_each(|n| _ = map.insert(n, n));
        for len in (1..1_000).rev() {
            map.remove(&len);
            let before = map.capacity();
            map.insert(len, 0);
            map.remove(&len);
            assert_eq!(map.capacity(), before, "at {len}");
        }
    }
}

mod whole {
    use super::*;

    #[test]
    fn every_entry_is_seen_once_in_each_kind_of_pass() {
        let map: ShardedMap<u32, u32> = (0..1_000).map(|n| (n, n * 2)).collect();
        let expected: HashMap<u32, u32> = (0..1_000).map(|n| (n, n * 2)).collect();
        let sorted = |mut found: Vec<u32>| {
            found.sort();
            found
        };
        assert_eq!(map.iter().collect::<HashMap<_, _>>(), expected);
        assert_eq!(map.iter().count(), 1_000);
        assert_eq!(sorted(map.keys().collect()), (0..1_000).collect::<Vec<_>>());
        assert_eq!(sorted(map.values().collect()), (0..1_000).map(|n| n * 2).collect::<Vec<_>>());
        let mut seen = Vec::new();
        map.for_each(|key, value| {
            assert_eq!(key * 2, *value);
            seen.push(*key);
        });
        assert_eq!(sorted(seen), (0..1_000).collect::<Vec<_>>());
        map.for_each_mut(|key, value| *value += key);
        assert_eq!(map.clone().into_iter().map(|(key, value)| value - 3 * key).sum::<u32>(), 0);
        assert_eq!((&map).into_iter().count(), 1_000);
        assert_eq!(map.into_iter().count(), 1_000);
    }

    #[test]
    fn sizes_that_iterators_promise_are_right() {
        let map: ShardedMap<u32, u32> = (0..100).map(|n| (n, n)).collect();
        let mut iter = map.clone().into_iter();
        for left in (0..100).rev() {
            iter.next();
            assert_eq!((iter.len(), iter.size_hint()), (left, (left, Some(left))));
        }
        assert!(iter.next().is_none() && iter.next().is_none());
        let mut iter = map.iter();
        while iter.next().is_some() {
            let (least, most) = iter.size_hint();
            assert!(least <= 100 && most.is_none_or(|most| most == least));
        }
        assert_eq!(iter.size_hint(), (0, Some(0)));
        assert!(iter.next().is_none());
    }

    #[test]
    fn pass_that_breaks_off_looks_no_further() {
        let map: ShardedMap<u32, u32> = (0..100).map(|n| (n, n)).collect();
        let mut seen = 0;
        let found = map.try_for_each(|_, value| {
            seen += 1;
            if seen == 5 { Break(*value) } else { Continue(()) }
        });
        assert!(found.is_break());
        assert_eq!(seen, 5);
        assert_eq!(map.try_for_each(|_, _| Continue::<()>(())), Continue(()));
    }

    #[test]
    fn retain_keeps_what_it_is_told_to_and_may_change_it() {
        let map: ShardedMap<u32, u32> = (0..100).map(|n| (n, n)).collect();
        map.retain(|key, value| {
            *value += 1;
            key % 3 == 0
        });
        assert_eq!(map.len(), 34);
        assert!(map.iter().all(|(key, value)| key % 3 == 0 && value == key + 1));
    }

    #[test]
    fn iterating_holds_no_lock_between_two_items() {
        within_a_minute(|| {
            let map: ShardedMap<u32, u32> = (0..100).map(|n| (n, n)).collect();
            for (key, value) in &map {
                assert_eq!(map.remove(&key), Some(value));
                map.insert(key + 1_000, value);
            }
            assert!(map.len() >= 100 && !map.contains_key(&0));
        });
    }

    #[test]
    fn pass_shows_nothing_that_was_removed_before_it_came_there() {
        within_a_minute(|| {
            let map: ShardedMap<u32, u32> = (0..1_000).map(|n| (n, n)).collect();
            // Lent: nobody can remove it while it is looked at.
            let (mut seen, shards) = (0, map.shards());
            thread::scope(|s| {
                s.spawn(|| (0..1_000).for_each(|n| _ = map.remove(&n)));
                map.for_each(|key, value| {
                    assert_eq!(key, value);
                    seen += 1;
                });
            });
            assert!(seen <= 1_000 && map.is_empty());
            // Copied: what is left of one shard's copy, and no more.
            (0..1_000).for_each(|n| _ = map.insert(n, n));
            let mut iter = map.iter();
            iter.next();
            map.clear();
            let stale = iter.count();
            assert!(stale < 1_000 * 4 / shards, "{stale} removed entries are shown, of {shards} shards");
        });
    }

    #[test]
    fn drain_that_is_dropped_early_removes_the_rest() {
        let map: ShardedMap<u32, Arc<()>> = (0..100).map(|n| (n, Arc::new(()))).collect();
        let value = map.get(&7).unwrap();
        let mut drain = map.drain();
        assert!(drain.next().is_some());
        drop(drain);
        assert!(map.is_empty());
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn drain_that_a_panic_drops_removes_the_rest() {
        let map: ShardedMap<u32, u32> = (0..100).map(|n| (n, n)).collect();
        let ended = catch_unwind(AssertUnwindSafe(|| {
            let _drain = map.drain();
            resume_unwind(Box::new("on purpose"));
        }));
        assert!(ended.is_err() && map.is_empty());
    }

    #[test]
    fn drain_that_is_dropped_under_a_lock_of_its_map_is_refused() {
        let map: ShardedMap<u32, u32> = (0..100).map(|n| (n, n)).collect();
        let mut drain = Some(map.drain());
        let ended = catch_unwind(AssertUnwindSafe(|| map.update(&7, |_| drop(drain.take()))));
        assert!(ended.is_err());
        // Not a part of it, either.
        assert_eq!(map.len(), 100);
    }

    #[test]
    fn inserts_that_race_a_drain_are_in_the_one_or_the_other() {
        within_a_minute(|| {
            for _ in 0..50 {
                let map = ShardedMap::<u32, u32>::new();
                let drained: usize = thread::scope(|s| {
                    let writer = s.spawn(|| (0..500).for_each(|n| _ = map.insert(n, n)));
                    let drained = (0..20).map(|_| map.drain().count()).sum();
                    writer.join().unwrap();
                    drained
                });
                assert_eq!(drained + map.len(), 500);
            }
        });
    }

    #[test]
    fn entry_that_stays_is_seen_exactly_once_whatever_else_changes() {
        within_a_minute(|| {
            let map: ShardedMap<u32, u32> = (0..200).map(|n| (n, n)).collect();
            let ends = AtomicBool::new(false);
            thread::scope(|s| {
                s.spawn(|| {
                    // Grows and shrinks the tables all the time.
                    while !ends.load(SeqCst) {
                        (1_000..4_000).for_each(|n| _ = map.insert(n, n));
                        (1_000..4_000).for_each(|n| _ = map.remove(&n));
                    }
                });
                for _ in 0..50 {
                    let mut seen: Vec<u32> = map.keys().filter(|key| *key < 200).collect();
                    seen.sort();
                    assert_eq!(seen, (0..200).collect::<Vec<_>>());
                    assert!(map.len() >= 200);
                }
                ends.store(true, SeqCst);
            });
        });
    }

    #[test]
    fn clone_is_a_map_of_its_own() {
        let map = ShardedMap::from([("a", 1), ("b", 2)]);
        let copy = map.clone();
        map.clear();
        copy.insert("c", 3);
        assert_eq!((map.len(), copy.len(), copy.get("a")), (0, 3, Some(1)));
    }

    #[test]
    fn shared_map_is_extended_through_a_reference() {
        let map = ShardedMap::<u8, u8>::default();
        let mut shared = &map;
        shared.extend([(1, 1), (2, 2)]);
        shared.extend([(2, 3)]);
        assert_eq!((map.len(), map.get(&2)), (2, Some(3)));
    }

    #[test]
    fn debug_shows_figures_and_never_waits() {
        within_a_minute(|| {
            let map = ShardedMap::<u8, u8>::with_shards(2);
            map.insert(1, 1);
            assert_eq!(figure(&map, "len"), Some(1));
            assert_eq!(figure(&map, "shards"), Some(2));
            map.update(&1, |_| assert_eq!(figure(&map, "len"), None));
            map.with(&1, |_| assert!(format!("{map:?}").contains("ShardedMap")));
            assert!(format!("{:?}{:?}", map.iter(), map.drain()).contains("next_shard: 0"));
        });
    }
}
