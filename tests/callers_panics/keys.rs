//! `ShardedMap`, `SingleFlight` and `KeyedLimiter`: keys, values, closures, clones.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::thread;

use selvedge::error::JoinError;
use selvedge::limiter::KeyedLimiter;
use selvedge::{Clock, Latch, ShardedMap, SingleFlight};

use super::*;

/// A key whose copies panic in their drop, and the one that was made with `new` does not.
struct Key {
    number: u32,
    #[allow(dead_code, reason = "it is dropped")]
    touchy: Option<Touchy>,
    copies: Touchies,
}

impl Key {
    fn new(number: u32, copies: &Touchies) -> Self {
        Key { number, touchy: None, copies: copies.clone() }
    }
}

impl Clone for Key {
    fn clone(&self) -> Self {
        Key { number: self.number, touchy: Some(self.copies.make()), copies: self.copies.clone() }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

impl Borrow<u32> for Key {
    fn borrow(&self) -> &u32 {
        &self.number
    }
}

#[test]
fn clear_empties_every_shard_though_each_value_panics() {
    row(|| {
        let (map, touchies) = (ShardedMap::new(), Touchies::default());
        (0..100).for_each(|n| drop(map.insert(n, touchies.make())));
        assert_eq!(panic_of(|| map.clear()), "a value's drop");
        assert_eq!((map.len(), touchies.dropped()), (0, 100));
        (0..100).for_each(|n| drop(map.insert(n, touchies.make())));
        assert_eq!(panic_of(|| drop(map)), "a value's drop");
        assert_eq!(touchies.dropped(), 200);
    });
}

#[test]
fn drains_and_iterators_drop_what_is_left_though_each_value_panics() {
    row(|| {
        let (map, touchies) = (ShardedMap::new(), Touchies::default());
        (0..100).for_each(|n| drop(map.insert(n, touchies.make())));
        let mut drain = map.drain();
        let (_, first) = drain.next().unwrap();
        assert_eq!(panic_of(|| drop(first)), "a value's drop");
        assert_eq!(panic_of(|| drop(drain)), "a value's drop");
        assert_eq!((map.len(), touchies.dropped()), (0, 100));
        (0..100).for_each(|n| drop(map.insert(n, touchies.make())));
        let told = panic_of(|| {
            let _drain = map.drain();
            blow("beside the drain")
        });
        assert_eq!((told.as_str(), map.len(), touchies.dropped()), ("beside the drain", 0, 200));
        (0..100).for_each(|n| drop(map.insert(n, touchies.make())));
        let mut entries = map.into_iter();
        let (_, first) = entries.next().unwrap();
        assert_eq!(panic_of(|| drop(first)), "a value's drop");
        assert_eq!(panic_of(|| drop(entries)), "a value's drop");
        assert_eq!(touchies.dropped(), 300);
    });
}

#[test]
fn retain_drops_what_it_removed_while_its_closure_panics() {
    row(|| {
        let (map, touchies) = (ShardedMap::new(), Touchies::default());
        (0..100).for_each(|n| drop(map.insert(n, touchies.make())));
        let mut asked = 0;
        let told = panic_of(|| {
            map.retain(|_, _| {
                asked += 1;
                if asked == 50 { blow("the closure") } else { asked % 2 == 0 }
            })
        });
        assert!(told == "the closure" || told == "a value's drop", "{told}");
        assert_eq!(map.len() + touchies.dropped(), 100);
        assert_eq!(panic_of(|| map.retain(|_, _| false)), "a value's drop");
        while !map.is_empty() {
            assert_eq!(panic_of(|| map.retain(|_, _| false)), "a value's drop");
        }
        assert_eq!(touchies.dropped(), 100);
    });
}

#[test]
fn removal_drops_the_value_before_the_keys_panic_goes_on() {
    row(|| {
        let (map, touchies) = (ShardedMap::new(), Touchies::default());
        let key = Key::new(1, &touchies);
        drop(map.insert(key.clone(), touchies.make()));
        assert_eq!(panic_of(|| map.remove(&1).map(drop)), "a value's drop");
        assert_eq!((map.len(), touchies.dropped()), (0, 2));
        drop(map.insert(key.clone(), touchies.make()));
        // The key that is there stays, so this one is dropped.
        let old = panic_of(|| map.insert(key.clone(), touchies.make()).map(drop));
        assert_eq!((old.as_str(), map.len(), touchies.dropped()), ("a value's drop", 1, 4));
        assert_eq!(panic_of(|| map.remove_if(&1, |_| blow("the condition")).map(drop)), "the condition");
        assert_eq!(panic_of(|| map.remove_if(&1, |_| true).map(drop)), "a value's drop");
        assert_eq!((map.len(), touchies.dropped()), (0, 6));
    });
}

/// A value whose clone panics, and its drop too.
struct Unclonable(#[allow(dead_code, reason = "it is dropped")] Touchy);

impl Clone for Unclonable {
    fn clone(&self) -> Self {
        blow("a clone")
    }
}

#[test]
fn initialiser_that_panics_in_any_way_hands_the_turn_on() {
    row(|| {
        let (map, touchies) = (Arc::new(ShardedMap::<u32, Unclonable>::new()), Touchies::default());
        let entered = Arc::new(Latch::new(1));
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let (map, touchies, entered) = (Arc::clone(&map), touchies.clone(), Arc::clone(&entered));
                thread::spawn(move || {
                    entered.wait();
                    panic_of(|| drop(map.get_or_insert_with(1, || Unclonable(touchies.make()))))
                })
            })
            .collect();
        let told = panic_of(|| {
            drop(map.get_or_insert_with(1, || {
                entered.count_down();
                until_figure(&*map, "waiting", 3);
                blow("the closure")
            }))
        });
        assert_eq!(told, "the closure");
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), "a clone");
        }
        // Each closure's value was dropped, and none put in.
        assert_eq!((map.len(), touchies.dropped()), (0, 3));
    });
}

#[test]
fn value_that_comes_too_late_is_dropped_and_the_other_returned() {
    row(|| {
        let (map, touchies) = (ShardedMap::<u32, Option<Arc<Touchy>>>::new(), Touchies::default());
        let got = map.get_or_insert_with(1, || {
            map.insert(1, None);
            Some(Arc::new(touchies.make()))
        });
        assert!(got.unwrap().is_none());
        assert_eq!((map.len(), touchies.dropped()), (1, 1));
    });
}

#[test]
fn leader_and_waiters_of_a_flight_have_their_results_though_keys_and_values_panic() {
    row(|| {
        let (flight, touchies) = (Arc::new(SingleFlight::<Key, Arc<u32>>::new()), Touchies::default());
        let entered = Arc::new(Latch::new(1));
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let (flight, copies, entered) = (Arc::clone(&flight), touchies.clone(), Arc::clone(&entered));
                thread::spawn(move || {
                    entered.wait();
                    flight.call(&Key::new(1, &copies), || Arc::new(2)).map(|got| *got)
                })
            })
            .collect();
        let got = flight.call(&Key::new(1, &touchies), || {
            entered.count_down();
            eventually("three wait", || flight.waiting() == 3);
            Arc::new(7)
        });
        assert_eq!(got.map(|got| *got), Ok(7));
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), Ok(7));
        }
        // The leader's clone of the key, and those of the waiters that came before they found it.
        eventually("the copies are dropped", || touchies.dropped() > 0);
        assert_eq!(flight.in_flight(), 0);
    });
}

#[test]
fn result_that_cannot_be_cloned_leaves_nobody_waiting() {
    row(|| {
        let (flight, touchies) = (Arc::new(SingleFlight::<u32, Unclonable>::new()), Touchies::default());
        let entered = Arc::new(Latch::new(1));
        let waiter = thread::spawn({
            let (flight, entered) = (Arc::clone(&flight), Arc::clone(&entered));
            move || {
                entered.wait();
                flight.call(&1, || unreachable!("another leads")).err()
            }
        });
        let told = panic_of(|| {
            flight.call(&1, || {
                entered.count_down();
                eventually("one waits", || flight.waiting() == 1);
                Unclonable(touchies.make())
            })
        });
        assert_eq!((told.as_str(), touchies.dropped()), ("a clone", 1));
        assert!(matches!(waiter.join().unwrap(), Some(JoinError::Panicked(_))));
        let told = panic_of(|| flight.call(&1, || blow("the closure")));
        assert_eq!((told.as_str(), flight.in_flight()), ("the closure", 0));
    });
}

#[test]
fn forgotten_keys_panic_to_no_caller_of_another_key() {
    row(|| {
        let (clock, touchies) = (Clock::manual(), Touchies::default());
        let limiter = KeyedLimiter::<Key>::new(1, HOUR).with_clock(&clock);
        for n in 0..5_000 {
            assert_eq!(limiter.try_acquire(&Key::new(n, &touchies), 1), Ok(()));
            clock.advance(HOUR);
        }
        assert!(touchies.dropped() > 0, "some were swept");
        let left = limiter.len();
        assert_eq!(panic_of(|| limiter.forget_idle()), "a value's drop");
        assert_eq!((limiter.len(), touchies.dropped() >= left), (0, true));
        assert_eq!(limiter.try_acquire(&Key::new(0, &touchies), 1), Ok(()));
        std::mem::forget(limiter);
    });
}
