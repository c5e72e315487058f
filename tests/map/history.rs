//! The map against std's, and against what any order of its calls could have done.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Barrier, RwLock};
use std::thread;

use crate::common::{Dice, within_a_minute};
use proptest::prelude::*;
use selvedge::ShardedMap;
use selvedge::map::Entry;

/// A call in a random sequence. Keys are few, so that calls meet.
#[derive(Clone, Debug)]
enum Op {
    Insert(u8, u16),
    Get(u8),
    Remove(u8),
    RemoveIfOdd(u8),
    Update(u8, u16),
    GetOrInsert(u8, u16),
    TryInsert(u8, Result<u16, ()>),
    Toggle(u8, u16),
    RetainBelow(u16),
    Extend(Vec<(u8, u16)>),
    AddToAll(u16),
    Drain(usize),
    Clear,
    Shrink,
    Reserve(u8),
    Copy,
}

fn op() -> impl Strategy<Value = Op> {
    let key = || 0..40_u8;
    let entries = proptest::collection::vec((key(), any::<u16>()), 0..60);
    prop_oneof![
        8 => (key(), any::<u16>()).prop_map(|(key, value)| Op::Insert(key, value)),
        4 => key().prop_map(Op::Get),
        6 => key().prop_map(Op::Remove),
        2 => key().prop_map(Op::RemoveIfOdd),
        3 => (key(), any::<u16>()).prop_map(|(key, value)| Op::Update(key, value)),
        3 => (key(), any::<u16>()).prop_map(|(key, value)| Op::GetOrInsert(key, value)),
        2 => (key(), prop_oneof![any::<u16>().prop_map(Ok), Just(Err(()))])
            .prop_map(|(key, value)| Op::TryInsert(key, value)),
        3 => (key(), any::<u16>()).prop_map(|(key, value)| Op::Toggle(key, value)),
        1 => any::<u16>().prop_map(Op::RetainBelow),
        1 => entries.prop_map(Op::Extend),
        1 => any::<u16>().prop_map(Op::AddToAll),
        1 => (0..50_usize).prop_map(Op::Drain),
        1 => Just(Op::Clear),
        1 => Just(Op::Shrink),
        1 => any::<u8>().prop_map(Op::Reserve),
        1 => Just(Op::Copy),
    ]
}

/// Does the same to both, and compares what they return.
fn apply(op: Op, map: &mut ShardedMap<u8, u16>, model: &mut HashMap<u8, u16>) {
    match op {
        Op::Insert(key, value) => assert_eq!(map.insert(key, value), model.insert(key, value)),
        Op::Get(key) => assert_eq!(map.get(&key), model.get(&key).copied()),
        Op::Remove(key) => assert_eq!(map.remove_entry(&key), model.remove_entry(&key)),
        Op::RemoveIfOdd(key) => {
            let odd = model.get(&key).is_some_and(|value| value % 2 == 1);
            let expected = if odd { model.remove(&key) } else { None };
            assert_eq!(map.remove_if(&key, |value| value % 2 == 1), expected);
        }
        Op::Update(key, value) => {
            let update = |old: &mut u16| std::mem::replace(old, value);
            assert_eq!(map.update(&key, update), model.get_mut(&key).map(update));
        }
        Op::GetOrInsert(key, value) => {
            assert_eq!(map.get_or_insert_with(key, || value), Ok(*model.entry(key).or_insert(value)));
        }
        Op::TryInsert(key, value) => {
            let expected = match (model.get(&key), value) {
                (Some(there), _) => Ok(*there),
                (None, Err(())) => Err(()),
                (None, Ok(value)) => Ok(*model.entry(key).or_insert(value)),
            };
            assert_eq!(map.get_or_try_insert_with(key, || value), Ok(expected));
        }
        Op::Toggle(key, value) => {
            let removed = map.entry(key, |entry| match entry {
                Entry::Occupied(place) => Some(place.remove()),
                Entry::Vacant(place) => {
                    place.insert(value);
                    None
                }
            });
            let expected = model.remove(&key);
            if expected.is_none() {
                model.insert(key, value);
            }
            assert_eq!(removed, expected);
        }
        Op::RetainBelow(limit) => {
            map.retain(|_, value| *value < limit);
            model.retain(|_, value| *value < limit);
        }
        Op::Extend(entries) => {
            map.extend(entries.clone());
            model.extend(entries);
        }
        Op::AddToAll(n) => {
            map.for_each_mut(|_, value| *value = value.wrapping_add(n));
            model.values_mut().for_each(|value| *value = value.wrapping_add(n));
        }
        Op::Drain(count) => {
            let taken: Vec<_> = map.drain().take(count).collect();
            assert!(taken.iter().all(|(key, value)| model.get(key) == Some(value)));
            assert_eq!(taken.len(), count.min(model.len()));
            model.clear();
        }
        Op::Clear => {
            map.clear();
            model.clear();
        }
        Op::Shrink => map.shrink_to_fit(),
        Op::Reserve(count) => map.reserve(count.into()),
        Op::Copy => *map = map.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn any_sequence_of_calls_does_what_it_does_to_stds_map(
        shards in 1..9_usize,
        ops in proptest::collection::vec(op(), 0..200),
    ) {
        let (mut map, mut model) = (ShardedMap::with_shards(shards), HashMap::new());
        for op in ops {
            apply(op, &mut map, &mut model);
            assert_eq!(map.len(), model.len());
            assert_eq!(map.is_empty(), model.is_empty());
        }
        assert_eq!(map.iter().collect::<HashMap<_, _>>(), model);
        assert_eq!(map.into_iter().collect::<HashMap<_, _>>(), model);
    }
}

/// A call on the one key of a history.
#[derive(Clone, Copy, Debug)]
enum Call {
    Get,
    Insert(u32),
    Remove,
    RemoveIf(u32),
    Add(u32),
    GetOrInsert(u32),
    /// Puts it in if the key is not there, takes it out if it is.
    Toggle(u32),
}

/// What a call returned: the value that it found, as far as it says.
type Answer = Option<u32>;

impl Call {
    /// What it does to a key whose value is `state`, and what it then returns.
    fn step(self, state: Option<u32>) -> (Option<u32>, Answer) {
        match self {
            Call::Get => (state, state),
            Call::Insert(value) => (Some(value), state),
            Call::Remove => (None, state),
            Call::RemoveIf(value) if state == Some(value) => (None, state),
            Call::RemoveIf(_) => (state, None),
            Call::Add(n) => (state.map(|value| value + n), state.map(|value| value + n)),
            Call::GetOrInsert(value) => (state.or(Some(value)), state.or(Some(value))),
            Call::Toggle(value) => (if state.is_some() { None } else { Some(value) }, state),
        }
    }
}

/// A call as it was seen: nothing is known but that it took effect between its beginning and its end.
#[derive(Clone, Copy, Debug)]
struct Seen {
    call: Call,
    answer: Answer,
    begun: u64,
    ended: u64,
}

/// Whether some order of the calls, in which each that ended before another began comes before it, explains
/// all answers. Calls on different keys need not be looked at together: a history is linearizable if each
/// key's is.
///
/// Depth first over sets of calls that have taken effect (Wing and Gong), and no set with one state twice
/// (Lowe).
fn is_linearizable(history: &[Seen]) -> bool {
    fn goes_on(
        history: &[Seen],
        done: u64,
        state: Option<u32>,
        known: &mut HashSet<(u64, Option<u32>)>,
    ) -> bool {
        if done.count_ones() as usize == history.len() {
            return true;
        }
        if !known.insert((done, state)) {
            return false;
        }
        let left = || history.iter().enumerate().filter(|(index, _)| done & 1 << index == 0);
        let first_end = left().map(|(_, seen)| seen.ended).min().expect("some are left");
        left().filter(|(_, seen)| seen.begun <= first_end).any(|(index, seen)| {
            let (next, answer) = seen.call.step(state);
            answer == seen.answer && goes_on(history, done | 1 << index, next, known)
        })
    }
    assert!(history.len() <= 64, "a set of calls is a word");
    goes_on(history, 0, None, &mut HashSet::new())
}

/// A map with the calls of a history.
trait Subject: Sync {
    fn call(&self, key: u8, call: Call) -> Answer;
}

impl Subject for ShardedMap<u8, u32> {
    fn call(&self, key: u8, call: Call) -> Answer {
        match call {
            Call::Get => self.get(&key),
            Call::Insert(value) => self.insert(key, value),
            Call::Remove => self.remove(&key),
            Call::RemoveIf(value) => self.remove_if(&key, |now| *now == value),
            Call::Add(n) => self.update(&key, |value| {
                *value += n;
                *value
            }),
            Call::GetOrInsert(value) => self.get_or_insert_with(key, || value).ok(),
            Call::Toggle(value) => self.entry(key, |entry| match entry {
                Entry::Occupied(place) => Some(place.remove()),
                Entry::Vacant(place) => {
                    place.insert(value);
                    None
                }
            }),
        }
    }
}

/// The reference's map: each of its methods locks, and who wants more calls two of them.
#[derive(Default)]
struct GetThenSet {
    inner: RwLock<HashMap<u8, u32>>,
}

impl GetThenSet {
    fn get(&self, key: u8) -> Option<u32> {
        self.inner.read().unwrap().get(&key).copied()
    }

    fn set(&self, key: u8, value: u32) -> Option<u32> {
        // So that a history of few calls shows it.
        thread::yield_now();
        self.inner.write().unwrap().insert(key, value)
    }

    fn delete(&self, key: u8) -> Option<u32> {
        self.inner.write().unwrap().remove(&key)
    }
}

impl Subject for GetThenSet {
    fn call(&self, key: u8, call: Call) -> Answer {
        match call {
            Call::Get => self.get(key),
            Call::Insert(value) => self.set(key, value),
            Call::Remove => self.delete(key),
            Call::RemoveIf(value) if self.get(key) == Some(value) => self.delete(key),
            Call::RemoveIf(_) => None,
            Call::Add(n) => self.get(key).map(|value| {
                self.set(key, value + n);
                value + n
            }),
            Call::GetOrInsert(value) => self.get(key).or_else(|| {
                self.set(key, value);
                Some(value)
            }),
            Call::Toggle(value) if self.get(key).is_none() => {
                self.set(key, value);
                None
            }
            Call::Toggle(_) => self.delete(key),
        }
    }
}

const KEYS: u8 = 2;

/// Lets three threads make eight calls each, and returns what was seen of each key.
fn history(subject: &impl Subject, seed: u64) -> Vec<Vec<Seen>> {
    let (clock, start) = (AtomicU64::new(0), Barrier::new(3));
    let seen: Vec<(u8, Seen)> = thread::scope(|s| {
        let threads: Vec<_> = (0..3)
            .map(|thread| {
                let (clock, start) = (&clock, &start);
                s.spawn(move || {
                    let mut dice = Dice::new(seed * 3 + thread);
                    start.wait();
                    let mut calls = Vec::new();
                    for _ in 0..8 {
                        let key = dice.roll(KEYS.into()) as u8;
                        let call = random_call(&mut dice);
                        let begun = clock.fetch_add(1, SeqCst);
                        let answer = subject.call(key, call);
                        let ended = clock.fetch_add(1, SeqCst);
                        calls.push((key, Seen { call, answer, begun, ended }));
                    }
                    calls
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let of_key = |key| seen.iter().filter(|(other, _)| *other == key).map(|(_, seen)| *seen).collect();
    (0..KEYS).map(of_key).collect()
}

fn random_call(dice: &mut Dice) -> Call {
    let value = dice.roll(3) as u32;
    match dice.roll(7) {
        0 => Call::Get,
        1 => Call::Insert(value),
        2 => Call::Remove,
        3 => Call::RemoveIf(value),
        4 => Call::Add(value + 1),
        5 => Call::GetOrInsert(value),
        _ => Call::Toggle(value),
    }
}

/// Histories until one cannot be explained, and at most so many.
fn unexplained<S: Subject>(make: impl Fn() -> S, most: u64) -> Option<Vec<Seen>> {
    (0..most).find_map(|seed| history(&make(), seed).into_iter().find(|seen| !is_linearizable(seen)))
}

#[test]
fn calls_of_several_threads_on_one_key_take_effect_one_after_another() {
    within_a_minute(|| {
        for shards in [1, 8] {
            let make = || ShardedMap::<u8, u32>::with_shards(shards);
            assert!(unexplained(make, 1_000).is_none(), "{:#?}", unexplained(make, 1_000));
        }
    });
}

#[test]
fn map_whose_calls_come_apart_is_found_out() {
    within_a_minute(|| {
        let found = unexplained(GetThenSet::default, 20_000);
        assert!(found.is_some(), "the checker is blind: it explains lost updates");
    });
}

#[test]
fn checker_knows_the_smallest_histories_that_no_order_explains() {
    let seen = |call, answer, begun, ended| Seen { call, answer, begun, ended };
    // Two updates of 1 that both find 1 and leave 2.
    let lost_update = [
        seen(Call::Insert(1), None, 0, 1),
        seen(Call::Add(1), Some(2), 2, 5),
        seen(Call::Add(1), Some(2), 3, 4),
    ];
    assert!(!is_linearizable(&lost_update));
    // Two that were both the first.
    let twice_first = [seen(Call::Insert(1), None, 0, 3), seen(Call::Insert(2), None, 1, 2)];
    assert!(!is_linearizable(&twice_first));
    // A read of what was removed before it began; it could be so if they overlapped.
    let stale = |begun| {
        [
            seen(Call::Insert(1), None, 0, 1),
            seen(Call::Remove, Some(1), 2, 4),
            seen(Call::Get, Some(1), begun, 6),
        ]
    };
    assert!(!is_linearizable(&stale(5)));
    assert!(is_linearizable(&stale(3)));
    assert!(is_linearizable(&[]));
}

#[test]
fn sums_of_many_threads_agree_with_what_their_calls_returned() {
    fn check(threads: u64, seed: u64) {
        let map = ShardedMap::<u8, i64>::with_shards(4);
        let returned: i64 = thread::scope(|s| {
            let threads: Vec<_> = (0..threads)
                .map(|thread| {
                    let map = &map;
                    s.spawn(move || {
                        let mut dice = Dice::new(seed + thread);
                        let mut balance = 0;
                        for _ in 0..2_000 {
                            let (key, value) = (dice.roll(16) as u8, dice.roll(100) as i64);
                            match dice.roll(4) {
                                0 => balance += value - map.insert(key, value).unwrap_or(0),
                                1 => balance -= map.remove(&key).unwrap_or(0),
                                2 => balance += map.update(&key, |it| *it += value).map_or(0, |()| value),
                                _ => {
                                    balance -= map.entry(key, |entry| match entry {
                                        Entry::Occupied(place) => place.remove(),
                                        Entry::Vacant(_) => 0,
                                    })
                                }
                            }
                        }
                        balance
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(map.values().sum::<i64>(), returned);
    }
    within_a_minute(|| (0..10).for_each(|seed| check(4, seed * 100)));
}
