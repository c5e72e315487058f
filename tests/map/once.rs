//! Values that are made once, and the caller's code inside the map: who waits, who is told, what a panic
//! leaves.

use std::cell::Cell;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Barrier, LazyLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::common::{HOUR, message, until_figure, within_a_minute};
use selvedge::error::{Rejected, WaitError, WouldDeadlock};
use selvedge::map::Entry;
use selvedge::{CancelToken, Clock, ShardedMap};

type Map = Arc<ShardedMap<&'static str, u32>>;
type Made = Result<u32, &'static str>;

/// A thread that makes `key`'s value and ends when it is told how: it comes back when it is making.
fn maker(map: &Map, key: &'static str) -> (Sender<Made>, JoinHandle<Made>) {
    let (tell, told) = channel();
    let (begins, begun) = channel();
    let map = Arc::clone(map);
    let maker = thread::spawn(move || {
        let made = map.get_or_try_insert_with(key, || {
            begins.send(()).unwrap();
            told.recv().unwrap_or_else(|_| resume_unwind(Box::new("on purpose")))
        });
        made.unwrap()
    });
    begun.recv().unwrap();
    (tell, maker)
}

mod values {
    use super::*;

    #[test]
    fn value_that_is_there_is_returned_and_no_closure_runs() {
        let map = ShardedMap::from([("k", 1)]);
        assert_eq!(map.get_or_insert_with("k", || unreachable!()), Ok(1));
        assert_eq!(map.get_or_try_insert_with("k", || Err("unused")), Ok(Ok(1)));
        assert_eq!(map.get_or_insert_with("l", || 2), Ok(2));
        assert_eq!(map.get("l"), Some(2));
    }

    #[test]
    fn closure_runs_once_however_many_threads_want_the_value() {
        within_a_minute(|| {
            for _ in 0..50 {
                let (map, runs, start) = (ShardedMap::new(), AtomicUsize::new(0), Barrier::new(4));
                thread::scope(|s| {
                    for thread in 0..4 {
                        let (map, runs, start) = (&map, &runs, &start);
                        s.spawn(move || {
                            start.wait();
                            let value = map.get_or_insert_with("k", || {
                                runs.fetch_add(1, SeqCst);
                                thread::yield_now();
                                thread
                            });
                            assert_eq!(map.get("k"), value.ok());
                        });
                    }
                });
                assert_eq!(runs.into_inner(), 1);
            }
        });
    }

    #[test]
    fn others_wait_only_for_the_same_key() {
        within_a_minute(|| {
            // One shard, so that every key shares it with the one that is being made.
            let map: Map = Arc::new(ShardedMap::with_shards(1));
            let (tell, maker) = maker(&map, "slow");
            assert_eq!(map.get_or_insert_with("quick", || 1), Ok(1));
            assert_eq!(map.insert("other", 2), None);
            assert_eq!((map.get("slow"), map.len()), (None, 2));
            assert_eq!(map.remove("slow"), None);
            tell.send(Ok(3)).unwrap();
            assert_eq!(maker.join().unwrap(), Ok(3));
            assert_eq!(map.get("slow"), Some(3));
        });
    }

    #[test]
    fn waiters_get_the_value_that_was_made() {
        within_a_minute(|| {
            let map = Map::default();
            let (tell, maker) = maker(&map, "k");
            let waiters = [(); 3].map(|()| {
                let map = Arc::clone(&map);
                thread::spawn(move || map.get_or_insert_with("k", || unreachable!()))
            });
            until_figure(&map, "waiting", 3);
            tell.send(Ok(7)).unwrap();
            assert_eq!(maker.join().unwrap(), Ok(7));
            assert_eq!(waiters.map(|waiter| waiter.join().unwrap()), [Ok(7); 3]);
            until_figure(&map, "running", 0);
        });
    }

    #[test]
    fn closure_that_fails_lets_the_next_in_line_try_and_no_other() {
        within_a_minute(|| {
            let map = Map::default();
            let (tell, maker) = maker(&map, "k");
            let order = Arc::new(AtomicUsize::new(0));
            let waiters = [0, 1, 2].map(|place| {
                let waiter = {
                    let (map, order) = (Arc::clone(&map), Arc::clone(&order));
                    thread::spawn(move || {
                        let made = map.get_or_try_insert_with("k", || {
                            assert_eq!(order.fetch_add(1, SeqCst), place, "out of turn");
                            if place < 1 { Err("failed too") } else { Ok(10) }
                        });
                        made.unwrap()
                    })
                };
                until_figure(&map, "waiting", place + 1);
                waiter
            });
            tell.send(Err("failed")).unwrap();
            assert_eq!(maker.join().unwrap(), Err("failed"));
            let results = waiters.map(|waiter| waiter.join().unwrap());
            assert_eq!(results, [Err("failed too"), Ok(10), Ok(10)]);
            assert_eq!(order.load(SeqCst), 2);
        });
    }

    #[test]
    fn closure_that_panics_lets_the_next_in_line_try() {
        within_a_minute(|| {
            let map = Map::default();
            let (tell, maker) = maker(&map, "k");
            let waiter = thread::spawn({
                let map = Arc::clone(&map);
                move || map.get_or_insert_with("k", || 2)
            });
            until_figure(&map, "waiting", 1);
            drop(tell); // the maker panics
            assert!(maker.join().is_err());
            assert_eq!(waiter.join().unwrap(), Ok(2));
        });
    }

    #[test]
    fn closure_that_fails_with_nobody_waiting_leaves_nothing_behind() {
        let map = ShardedMap::<&str, u32>::new();
        assert_eq!(map.get_or_try_insert_with("k", || Err("no")), Ok(Err("no")));
        let payload = catch_unwind(|| map.get_or_insert_with("k", || resume_unwind(Box::new("on purpose"))));
        assert!(payload.is_err());
        until_figure(&map, "running", 0);
        assert_eq!((map.len(), map.get_or_insert_with("k", || 1)), (0, Ok(1)));
    }

    #[test]
    fn value_that_somebody_inserts_meanwhile_stays() {
        within_a_minute(|| {
            let map = Map::default();
            let (tell, maker) = maker(&map, "k");
            assert_eq!(map.insert("k", 1), None);
            assert_eq!(map.get_or_insert_with("k", || unreachable!()), Ok(1));
            tell.send(Ok(2)).unwrap();
            assert_eq!(maker.join().unwrap(), Ok(1));
            assert_eq!(map.get("k"), Some(1));
        });
    }

    #[test]
    fn closure_may_use_its_map_for_other_keys() {
        let map = ShardedMap::<u32, u64>::with_shards(1);
        fn fibonacci(map: &ShardedMap<u32, u64>, n: u32) -> Result<u64, WouldDeadlock> {
            map.get_or_try_insert_with(n, || match n {
                0 | 1 => Ok(n.into()),
                _ => Ok(fibonacci(map, n - 1)? + fibonacci(map, n - 2)?),
            })?
        }
        assert_eq!(fibonacci(&map, 60), Ok(1_548_008_755_920));
        assert_eq!(map.len(), 61);
    }
}

mod circles {
    use super::*;

    type Asked = Result<u32, WaitError>;

    /// Two threads, each in the closure of its own key, ask for the other's; returns what each got or was
    /// told.
    fn crossed(a: &Map, b: &Map, ask: impl Fn(&Map, &'static str) -> Asked + Sync) -> [Asked; 2] {
        let both_are_inside = Barrier::new(2);
        let cross = |mine: (&Map, &'static str), other: (&Map, &'static str)| {
            let made = mine.0.get_or_try_insert_with(mine.1, || {
                both_are_inside.wait();
                Ok(ask(other.0, other.1)? + 1)
            });
            made?
        };
        thread::scope(|s| {
            let there = s.spawn(|| cross((a, "a"), (b, "b")));
            [cross((b, "b"), (a, "a")), there.join().unwrap()]
        })
    }

    fn one_is_told([here, there]: [Asked; 2]) {
        let (made, told) = match (here, there) {
            (Ok(made), Err(told)) | (Err(told), Ok(made)) => (made, told),
            both => panic!("{both:?}"),
        };
        // Who was not told ran its own closure for the other's key.
        assert_eq!((made, told), (101, WaitError::WouldDeadlock));
    }

    #[test]
    fn two_closures_that_want_each_others_value_do_not_hang() {
        within_a_minute(|| {
            for _ in 0..20 {
                let map = Map::default();
                one_is_told(crossed(&map, &map, |map, key| Ok(map.get_or_insert_with(key, || 100)?)));
                until_figure(&map, "running", 0);
            }
        });
    }

    #[test]
    fn cycle_through_two_maps_is_found_too() {
        within_a_minute(|| {
            let (a, b) = (Map::default(), Map::default());
            one_is_told(crossed(&a, &b, |map, key| Ok(map.get_or_insert_with(key, || 100)?)));
        });
    }

    #[test]
    fn cycle_with_a_limit_in_it_ends_by_itself() {
        within_a_minute(|| {
            let map = Map::default();
            let ask = |map: &Map, key| {
                let limit = Duration::from_millis(20);
                Ok(map.get_or_insert_with_until(key, limit, || 100).unwrap_or(0))
            };
            let results = crossed(&map, &map, ask);
            assert!(results.iter().all(|result| result.is_ok()), "{results:?}");
        });
    }
}

mod limits {
    use super::*;

    #[test]
    fn waiter_that_gives_up_gets_key_and_closure_back() {
        within_a_minute(|| {
            let (map, clock) = (Map::default(), Clock::manual());
            let (tell, maker) = maker(&map, "k");
            let waiter = thread::spawn({
                let (map, clock) = (Arc::clone(&map), clock.clone());
                move || {
                    let Rejected { value: (key, init), error } =
                        map.get_or_insert_with_until("k", (clock.clock(), HOUR), || 5).unwrap_err();
                    (key, init(), error)
                }
            });
            clock.wait_for_sleepers(1);
            clock.advance(HOUR);
            assert_eq!(waiter.join().unwrap(), ("k", 5, WaitError::TimedOut));
            until_figure(&map, "waiting", 0);
            tell.send(Ok(1)).unwrap();
            assert_eq!(maker.join().unwrap(), Ok(1));
        });
    }

    #[test]
    fn front_waiter_that_is_cancelled_leaves_its_turn_to_the_next() {
        within_a_minute(|| {
            let (map, token) = (Map::default(), CancelToken::new());
            let (tell, maker) = maker(&map, "k");
            let front = thread::spawn({
                let (map, token) = (Arc::clone(&map), token.clone());
                move || {
                    let result = map.get_or_try_insert_with_until("k", &token, || Ok::<_, ()>(1));
                    result.map_err(|rejected| rejected.error)
                }
            });
            until_figure(&map, "waiting", 1);
            let behind = thread::spawn({
                let map = Arc::clone(&map);
                move || map.get_or_insert_with("k", || 2)
            });
            until_figure(&map, "waiting", 2);
            token.cancel();
            assert_eq!(front.join().unwrap(), Err(WaitError::Cancelled));
            tell.send(Err("failed")).unwrap();
            assert_eq!(maker.join().unwrap(), Err("failed"));
            assert_eq!(behind.join().unwrap(), Ok(2));
        });
    }

    #[test]
    fn limit_that_has_passed_makes_or_gets_but_does_not_wait() {
        within_a_minute(|| {
            let map = Map::default();
            assert_eq!(map.get_or_insert_with_until("free", Duration::ZERO, || 1).unwrap(), 1);
            assert_eq!(map.get_or_insert_with_until("free", Duration::ZERO, || unreachable!()).unwrap(), 1);
            let (tell, maker) = maker(&map, "k");
            let refused = map.get_or_insert_with_until("k", Duration::ZERO, || unreachable!()).unwrap_err();
            assert_eq!(refused.error, WaitError::TimedOut);
            until_figure(&map, "waiting", 0);
            tell.send(Ok(1)).unwrap();
            maker.join().unwrap().unwrap();
        });
    }

    #[test]
    fn cancelled_token_gets_nothing_although_the_value_is_there() {
        let (map, token) = (ShardedMap::from([("k", 1)]), CancelToken::new());
        token.cancel();
        let refused = map.get_or_insert_with_until("k", &token, || unreachable!()).unwrap_err();
        assert_eq!(refused.error, WaitError::Cancelled);
        let refused = map.get_or_insert_with_until("l", (&token, HOUR), || unreachable!()).unwrap_err();
        assert_eq!((refused.error, refused.value.0), (WaitError::Cancelled, "l"));
    }

    #[test]
    fn longest_duration_waits_forever_and_does_not_overflow() {
        within_a_minute(|| {
            let map = Map::default();
            let (tell, maker) = maker(&map, "k");
            let waiter = thread::spawn({
                let map = Arc::clone(&map);
                move || map.get_or_insert_with_until("k", Duration::MAX, || unreachable!()).unwrap()
            });
            until_figure(&map, "waiting", 1);
            tell.send(Ok(3)).unwrap();
            assert_eq!((maker.join().unwrap(), waiter.join().unwrap()), (Ok(3), 3));
        });
    }
}

mod reentry {
    use super::*;

    type Bytes = ShardedMap<u8, u8>;

    /// Calls `inner` from a closure of the map, and returns what the panic said.
    fn told(map: &Bytes, inner: impl Fn(&Bytes)) -> String {
        let payload = catch_unwind(AssertUnwindSafe(|| map.update(&1, |_| inner(map)))).unwrap_err();
        message(&*payload)
    }

    #[test]
    fn every_call_from_a_closure_into_its_own_map_is_refused_for_every_key() {
        within_a_minute(|| {
            let map = ShardedMap::from([(1, 1), (2, 2)]);
            let calls: [&dyn Fn(&Bytes); 17] = [
                &|map| _ = map.get(&2),
                &|map| _ = map.with(&200, |_| ()),
                &|map| _ = map.contains_key(&1),
                &|map| _ = map.insert(9, 9),
                &|map| _ = map.remove(&9),
                &|map| _ = map.remove_if(&9, |_| true),
                &|map| _ = map.update(&9, |_| ()),
                &|map| map.entry(9, |_| ()),
                &|map| _ = map.len(),
                &|map| _ = map.is_empty(),
                &|map| _ = map.capacity(),
                &|map| map.for_each(|_, _| ()),
                &|map| map.retain(|_, _| true),
                &|map| map.clear(),
                &|map| _ = map.iter().next(),
                &|map| _ = map.clone(),
                &|map| map.shrink_to_fit(),
            ];
            for (index, call) in calls.into_iter().enumerate() {
                let message = told(&map, call);
                assert!(message.contains("call the map afterwards"), "call {index}: {message}");
            }
            // Those that can say so do.
            let closure = || -> u8 { unreachable!("the map is locked") };
            let told = map.with(&1, |_| map.get_or_insert_with(9, closure));
            assert_eq!(told, Some(Err(WouldDeadlock)));
            let told = map.with(&1, |_| map.get_or_insert_with_until(9, HOUR, closure).map_err(|r| r.error));
            assert_eq!(told, Some(Err(WaitError::WouldDeadlock)));
            // Nothing happened, and nothing is locked.
            assert_eq!((map.len(), map.get(&1), map.get(&2)), (2, Some(1), Some(2)));
        });
    }

    #[test]
    fn every_closure_under_a_lock_is_watched() {
        within_a_minute(|| {
            let map = ShardedMap::from([(1, 1)]);
            let closures: [&dyn Fn(); 9] = [
                &|| _ = map.with(&1, |_| map.get(&2)),
                &|| _ = map.update(&1, |_| map.get(&2)),
                &|| _ = map.remove_if(&1, |_| map.contains_key(&2)),
                &|| _ = map.entry(1, |_| map.get(&2)),
                &|| _ = map.entry(5, |entry| *entry.or_insert_with(|| map.get(&2).unwrap_or(0))),
                &|| map.for_each(|_, _| _ = map.get(&2)),
                &|| _ = map.try_for_each(|_, _| std::ops::ControlFlow::Break(map.get(&2))),
                &|| map.for_each_mut(|_, _| _ = map.get(&2)),
                &|| map.retain(|_, _| map.is_empty()),
            ];
            for closure in closures {
                let payload = catch_unwind(AssertUnwindSafe(closure)).unwrap_err();
                assert!(message(&*payload).contains("same map"));
            }
            assert_eq!((map.len(), map.get(&1)), (1, Some(1)));
        });
    }

    #[test]
    fn one_map_may_be_called_from_inside_another() {
        within_a_minute(|| {
            let (a, b) = (ShardedMap::from([(1, 1)]), ShardedMap::from([(1, 10)]));
            let sum = a.with(&1, |mine| b.with(&1, |theirs| mine + theirs).unwrap());
            assert_eq!(sum, Some(11));
            // Left again, both of them.
            assert_eq!((a.len(), b.len()), (1, 1));
        });
    }

    #[test]
    fn call_back_through_another_map_is_refused_too() {
        within_a_minute(|| {
            let [a, b, c] = [1, 2, 3].map(|n| ShardedMap::from([(1, n)]));
            let payload = catch_unwind(AssertUnwindSafe(|| {
                a.update(&1, |_| b.update(&1, |_| c.update(&1, |_| a.get(&1))))
            }));
            assert!(message(&*payload.unwrap_err()).contains("same map"));
            assert_eq!([&a, &b, &c].map(|map| map.get(&1)), [Some(1), Some(2), Some(3)]);
        });
    }

    #[test]
    fn closure_that_asks_for_the_value_it_is_making_is_refused() {
        within_a_minute(|| {
            let map = ShardedMap::<u8, u8>::new();
            let told = map.get_or_try_insert_with(1, || map.get_or_insert_with(1, || 1));
            assert_eq!(told, Ok(Err(WouldDeadlock)));
            let limited = map.get_or_insert_with(1, || {
                let refused = map.get_or_insert_with_until(1, HOUR, || 1).unwrap_err();
                assert_eq!((refused.value.0, refused.error), (1, WaitError::WouldDeadlock));
                2
            });
            assert_eq!((limited, map.get(&1)), (Ok(2), Some(2)));
        });
    }

    #[test]
    fn code_of_keys_and_values_is_watched_where_it_runs_under_a_lock() {
        static MAP: LazyLock<Map> = LazyLock::new(|| Map::with_shards_and_hasher(1, Default::default()));
        thread_local! {
            static LOOKS: Cell<bool> = const { Cell::new(false) };
        }
        type Map = ShardedMap<Nosy, Nosy, BuildHasherDefault<AllDifferent>>;
        /// Different in the bits by which a table tells keys apart before it asks for equality.
        #[derive(Default)]
        struct AllDifferent(u64);
        impl Hasher for AllDifferent {
            fn finish(&self) -> u64 {
                self.0 << 57 | self.0
            }
            fn write(&mut self, bytes: &[u8]) {
                self.0 = bytes[0].into();
            }
        }
        /// Looks into the map whenever it is cloned or compared.
        #[derive(Debug, Eq)]
        struct Nosy(u8);
        fn look() {
            if LOOKS.get() && !thread::panicking() {
                MAP.len();
            }
        }
        impl Clone for Nosy {
            fn clone(&self) -> Self {
                look();
                Nosy(self.0)
            }
        }
        impl PartialEq for Nosy {
            fn eq(&self, other: &Self) -> bool {
                look();
                self.0 == other.0
            }
        }
        impl Hash for Nosy {
            fn hash<H: Hasher>(&self, state: &mut H) {
                look(); // under no lock
                self.0.hash(state);
            }
        }
        impl Drop for Nosy {
            fn drop(&mut self) {
                look(); // under no lock
            }
        }
        within_a_minute(|| {
            let map = &*MAP;
            map.reserve(100);
            map.insert(Nosy(1), Nosy(10));
            LOOKS.set(true);
            assert!(catch_unwind(|| map.contains_key(&Nosy(1))).is_err());
            assert!(catch_unwind(|| map.values().next()).is_err());
            assert_eq!(map.len(), 1);
            // `Hash` comes before the lock, and what is removed or refused is dropped after it.
            (2..100).for_each(|n| _ = map.insert(Nosy(n), Nosy(n)));
            map.retain(|key, _| key.0 > 40);
            map.entry(Nosy(0), |_| ());
            // Except where a shard grows or shrinks, when all its keys are hashed.
            assert!(catch_unwind(|| map.reserve(10_000)).is_err());
            assert_eq!(map.len(), 59);
            map.clear();
            LOOKS.set(false);
        });
    }
}

mod panics {
    use super::*;

    fn panicking<R>(call: impl FnOnce() -> R) {
        let payload = catch_unwind(AssertUnwindSafe(|| drop(call()))).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"on purpose"));
    }

    fn fail<R>() -> R {
        resume_unwind(Box::new("on purpose"))
    }

    #[test]
    fn panic_of_a_closure_leaves_the_map_usable_and_the_entry_as_the_closure_left_it() {
        within_a_minute(|| {
            let map = ShardedMap::from([(1, 1), (2, 2)]);
            panicking(|| map.with(&1, |_| fail::<()>()));
            panicking(|| {
                map.update(&1, |value| {
                    *value = 10;
                    fail::<()>();
                })
            });
            panicking(|| map.remove_if(&1, |_| fail()));
            panicking(|| map.entry(3, |entry| *entry.or_insert_with(fail)));
            panicking(|| {
                map.entry(4, |entry| {
                    entry.or_insert(4);
                    fail::<()>();
                })
            });
            panicking(|| {
                map.entry(2, |entry| {
                    if let Entry::Occupied(place) = entry {
                        place.remove();
                    }
                    fail::<()>();
                })
            });
            panicking(|| map.for_each(|_, _| fail()));
            assert_eq!([1, 2, 3, 4].map(|key| map.get(&key)), [Some(10), None, None, Some(4)]);
            assert_eq!(map.len(), 2);
        });
    }

    #[test]
    fn retain_that_panics_has_removed_what_it_said_no_to() {
        let map = ShardedMap::<u8, u8>::with_shards(1);
        (0..100).for_each(|n| _ = map.insert(n, n));
        let mut gone = Vec::new();
        panicking(|| {
            map.retain(|key, _| {
                if gone.len() == 10 {
                    fail::<()>();
                }
                gone.push(*key);
                false
            });
        });
        assert_eq!(map.len(), 90);
        assert!(gone.iter().all(|key| !map.contains_key(key)));
    }

    /// A key or a value whose `Eq`, `Clone` and `Drop` panic when they are told to.
    #[derive(Debug)]
    struct Touchy(u8);

    thread_local! {
        /// Calls that still go well.
        static PATIENCE: Cell<Option<usize>> = const { Cell::new(None) };
    }

    fn touch() {
        match PATIENCE.get() {
            Some(0) => {
                PATIENCE.set(None);
                fail()
            }
            patience => PATIENCE.set(patience.map(|left| left - 1)),
        }
    }

    impl PartialEq for Touchy {
        fn eq(&self, other: &Self) -> bool {
            touch();
            self.0 == other.0
        }
    }

    impl Eq for Touchy {}

    impl Hash for Touchy {
        fn hash<H: Hasher>(&self, state: &mut H) {
            touch();
            (self.0 % 4).hash(state); // so that equality is asked often
        }
    }

    impl Clone for Touchy {
        fn clone(&self) -> Self {
            touch();
            Touchy(self.0)
        }
    }

    impl Drop for Touchy {
        fn drop(&mut self) {
            if !thread::panicking() {
                touch();
            }
        }
    }

    #[test]
    fn panic_of_the_keys_own_code_at_any_point_leaves_each_entry_whole() {
        type Touched = ShardedMap<Touchy, Touchy>;
        let calls: [&dyn Fn(&Touched); 11] = [
            &|map| drop(map.get(&Touchy(5))),
            &|map| drop(map.insert(Touchy(5), Touchy(50))),
            &|map| drop(map.insert(Touchy(99), Touchy(99))),
            &|map| drop(map.remove(&Touchy(5))),
            &|map| drop(map.remove_if(&Touchy(6), |value| value.0 == 6)),
            &|map| map.entry(Touchy(98), |entry| _ = entry.or_insert_with(|| Touchy(98))),
            &|map| drop(map.get_or_insert_with(Touchy(97), || Touchy(97))),
            &|map| map.retain(|key, _| key.0 != 7),
            &|map| _ = map.iter().count(),
            &|map| drop(map.clone()),
            &|map| _ = map.drain().count(),
        ];
        for call in calls {
            for patience in 0.. {
                let map = Touched::with_shards(1);
                (0..20).for_each(|n| _ = map.insert(Touchy(n), Touchy(n)));
                PATIENCE.set(Some(patience));
                let result = catch_unwind(AssertUnwindSafe(|| call(&map)));
                PATIENCE.set(None);
                let (mut found, len) = (0, map.len());
                map.for_each(|_, _| found += 1);
                assert_eq!(found, len);
                let keys: Vec<u8> = map.keys().map(|key| key.0).collect();
                assert!(keys.iter().all(|key| map.contains_key(&Touchy(*key))), "an entry is lost");
                assert!(format!("{map:?}").contains("running: 0"));
                (0..20).for_each(|n| _ = map.insert(Touchy(n), Touchy(n)));
                assert!(map.len() >= 20);
                if result.is_ok() {
                    assert!(patience > 0, "the call has none of the key's code in it");
                    break;
                }
            }
        }
    }
}
