//! Watches and broadcasts from outside.

#[path = "common/mod.rs"]
mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use common::pools::Tells;
use common::{Dice, HOUR, within_a_minute};
use selvedge::error::{Closed, TryError, WaitError};
use selvedge::watch::{Broadcast, Watch};
use selvedge::{BoundedQueue, CancelToken, Clock, Latch, select};

#[test]
fn late_subscriber_sees_the_current_value_and_then_each_change() {
    within_a_minute(|| {
        let watch = Watch::new(1);
        watch.set(2);
        let mut watcher = watch.subscribe();
        assert!(watcher.has_changed());
        assert_eq!(*watcher.changed().unwrap(), 2);
        assert_eq!(watcher.try_changed().unwrap_err(), TryError::WouldBlock);
        watch.set(3);
        watch.set(4);
        assert_eq!(*watcher.try_changed().unwrap(), 4, "the 3 was replaced");
    });
}

#[test]
fn value_that_is_set_again_is_a_change() {
    let watch = Watch::new(1);
    let mut watcher = watch.subscribe();
    assert_eq!((*watcher.latest(), watcher.has_changed()), (1, false));
    watch.set(1);
    assert!(watcher.has_changed() && watcher.changed().is_ok());
}

#[test]
fn peek_leaves_a_value_unseen_and_latest_does_not() {
    let watch = Watch::new(1);
    let mut watcher = watch.subscribe();
    assert_eq!((*watcher.peek(), watcher.has_changed()), (1, true));
    assert_eq!((*watcher.latest(), watcher.has_changed()), (1, false));
}

#[test]
fn change_wakes_every_watcher() {
    within_a_minute(|| {
        let clock = Clock::manual();
        let watch = Watch::new(0);
        thread::scope(|s| {
            let watchers: Vec<_> = (0..4)
                .map(|_| {
                    let (mut watcher, clock) = (watch.subscribe(), clock.clock().clone());
                    watcher.latest();
                    s.spawn(move || *watcher.changed_until((&clock, HOUR)).unwrap())
                })
                .collect();
            clock.wait_for_sleepers(4);
            watch.set(7);
            assert!(watchers.into_iter().all(|watcher| watcher.join().unwrap() == 7));
        });
    });
}

#[test]
fn last_sender_that_is_dropped_closes_the_watch_after_its_last_value() {
    within_a_minute(|| {
        let watch = Watch::new(1);
        let other = watch.clone();
        let mut watcher = watch.subscribe();
        watcher.latest();
        drop(watch);
        assert_eq!(watcher.try_changed().unwrap_err(), TryError::WouldBlock);
        other.set(2);
        drop(other);
        assert_eq!(*watcher.changed().unwrap(), 2);
        assert_eq!((watcher.changed().unwrap_err(), *watcher.latest()), (Closed, 2));
        assert_eq!(watcher.try_changed().unwrap_err(), TryError::Closed);
        assert_eq!(watcher.wait_for(|value| *value == 3).unwrap_err(), Closed);
        assert_eq!(watcher.next(), None);
    });
}

#[test]
fn closing_a_watch_twice_has_no_effect_and_values_can_still_be_looked_at() {
    let watch = Watch::new(1);
    let mut watcher = watch.subscribe();
    assert!(watch.close() && !watch.close() && watch.is_closed());
    watch.set(2);
    assert_eq!((*watcher.changed().unwrap(), *watch.get()), (2, 2));
    assert_eq!(watcher.changed().unwrap_err(), Closed);
    assert_eq!(*watch.subscribe().changed().unwrap(), 2, "also for a subscriber that comes after the close");
}

#[test]
fn wait_for_a_change_ends_by_its_limit_and_has_seen_nothing() {
    within_a_minute(|| {
        let (clock, watch) = (Clock::manual(), Watch::new(1));
        let stop = CancelToken::with_clock(&clock);
        let mut watcher = watch.subscribe();
        watcher.latest();
        let late = Duration::from_millis(1);
        assert_eq!(watcher.changed_until(Duration::ZERO).unwrap_err(), WaitError::TimedOut);
        assert_eq!(watcher.changed_until(late).unwrap_err(), WaitError::TimedOut);
        assert_eq!(watcher.wait_for_until(|value| *value == 2, late).unwrap_err(), WaitError::TimedOut);
        stop.cancel();
        watch.set(2);
        // A token that was cancelled before wins, and the change is there for the next call.
        assert_eq!(watcher.changed_until(&stop).unwrap_err(), WaitError::Cancelled);
        assert_eq!(watcher.wait_for_until(|_| true, &stop).unwrap_err(), WaitError::Cancelled);
        assert_eq!(*watcher.changed().unwrap(), 2);
    });
}

#[test]
fn limit_of_a_wait_for_a_value_does_not_begin_again_with_each_change() {
    within_a_minute(|| {
        let (clock, watch) = (Clock::manual(), Watch::new(0));
        let mut watcher = watch.subscribe();
        thread::scope(|s| {
            let (time, second) = (clock.clock().clone(), Duration::from_secs(1));
            let waits = s
                .spawn(move || watcher.wait_for_until(|value| *value == 9, (&time, second * 2)).unwrap_err());
            for value in 1..=2 {
                clock.wait_for_sleepers(1);
                watch.set(value);
                clock.wait_for_sleepers(1);
                clock.advance(second);
            }
            assert_eq!(waits.join().unwrap(), WaitError::TimedOut);
        });
    });
}

#[test]
fn updates_of_many_threads_all_count() {
    within_a_minute(|| {
        let watch = Watch::new(0);
        let mut watcher = watch.subscribe();
        thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| (0..500).for_each(|_| drop(watch.update(|count| count + 1))));
            }
            let all = watcher.wait_for(|count| *count == 2000).unwrap();
            assert_eq!(*all, 2000);
        });
        assert_eq!(*watch.get(), 2000);
    });
}

#[test]
fn panic_of_an_update_leaves_the_value() {
    let watch = Watch::new(1);
    let told = catch_unwind(AssertUnwindSafe(|| watch.update(|_| panic!("in the closure"))));
    assert!(told.is_err());
    watch.update(|value| value + 1);
    assert_eq!(*watch.get(), 2);
}

#[test]
fn update_may_use_the_watch_that_it_updates() {
    within_a_minute(|| {
        let watch = Watch::new(1);
        watch.update(|value| *value + *watch.get());
        assert_eq!(*watch.get(), 2);
    });
}

#[test]
fn replaced_value_is_dropped_at_once_unless_a_watcher_holds_it() {
    let (tells, told) = channel();
    let watch = Watch::new(Tells(1, tells.clone()));
    watch.set(Tells(2, tells.clone()));
    assert_eq!(told.try_recv(), Ok(1));
    let held = watch.get();
    watch.set(Tells(3, tells));
    assert!(told.try_recv().is_err());
    drop(held);
    assert_eq!(told.try_recv(), Ok(2));
    drop(watch);
    assert_eq!(told.try_recv(), Ok(3));
}

#[test]
fn change_is_an_arm_of_a_selection() {
    within_a_minute(|| {
        let (watch, jobs) = (Watch::new(1), BoundedQueue::<u32>::new(1));
        let mut watcher = watch.subscribe();
        watcher.latest();
        jobs.push(5).unwrap();
        let took = select! {
            changed(&mut watcher) -> _value => unreachable!("nothing has changed"),
            pop(&jobs) -> job => job.unwrap(),
        };
        assert_eq!(took, 5);
        thread::scope(|s| {
            let waits = s.spawn(|| {
                select! {
                    changed(&mut watcher) -> value => *value.unwrap(),
                    pop(&jobs) -> _job => unreachable!("nobody pushes"),
                }
            });
            watch.set(2);
            assert_eq!(waits.join().unwrap(), 2);
        });
        drop(watch);
        let closed = select! {
            changed(&mut watcher) -> value => value.is_err(),
            pop(&jobs) -> _job => unreachable!("nobody pushes"),
        };
        assert!(closed);
    });
}

#[test]
fn debug_of_a_watch_shows_the_value() {
    let watch = Watch::new("value");
    let shown = format!("{watch:?} {:?}", watch.subscribe());
    assert!(shown.contains("\"value\"") && shown.contains("version: 1"), "{shown}");
}

#[test]
fn every_listener_hears_every_value_in_order() {
    within_a_minute(|| {
        let broadcast = Broadcast::new(1000);
        let listeners: Vec<_> = (0..3).map(|_| broadcast.subscribe()).collect();
        thread::scope(|s| {
            let hearing: Vec<_> = listeners
                .into_iter()
                .map(|listener| {
                    s.spawn(move || listener.map(|heard| (*heard.value, heard.missed)).collect::<Vec<_>>())
                })
                .collect();
            (0..1000).for_each(|value| broadcast.send(value).unwrap());
            drop(broadcast);
            let all: Vec<_> = (0..1000).map(|value| (value, 0)).collect();
            assert!(hearing.into_iter().all(|heard| heard.join().unwrap() == all));
        });
    });
}

#[test]
fn listener_that_is_overtaken_hears_the_rest_and_how_many_it_missed() {
    let broadcast = Broadcast::new(2);
    let mut listener = broadcast.subscribe();
    (0..7).for_each(|value| broadcast.send(value).unwrap());
    assert_eq!(listener.behind(), 7);
    let heard = listener.try_hear().unwrap();
    assert_eq!((*heard.value, heard.missed, listener.behind()), (5, 5, 1));
    let heard = listener.try_hear().unwrap();
    assert_eq!((*heard.value, heard.missed), (6, 0));
    assert_eq!(listener.try_hear().unwrap_err(), TryError::WouldBlock);
}

#[test]
fn subscriber_hears_nothing_from_before_and_its_clone_what_it_would_hear() {
    let broadcast = Broadcast::new(4);
    broadcast.send(1).unwrap();
    let mut listener = broadcast.subscribe();
    assert_eq!(listener.try_hear().unwrap_err(), TryError::WouldBlock);
    broadcast.send(2).unwrap();
    let mut other = listener.clone();
    assert_eq!((*listener.hear().unwrap().value, *other.hear().unwrap().value), (2, 2));
}

#[test]
fn closed_broadcast_takes_no_value_and_lets_what_was_sent_be_heard() {
    within_a_minute(|| {
        let broadcast = Broadcast::new(2);
        let mut listener = broadcast.subscribe();
        broadcast.send(1).unwrap();
        assert!(broadcast.close() && !broadcast.close() && broadcast.is_closed());
        let back = broadcast.send(2).unwrap_err();
        assert_eq!((back.value, back.error), (2, Closed));
        assert_eq!(*listener.hear().unwrap().value, 1);
        assert_eq!(listener.hear().unwrap_err(), Closed);
        assert_eq!(listener.try_hear().unwrap_err(), TryError::Closed);
        assert_eq!(listener.hear_until(HOUR).unwrap_err(), WaitError::Closed);
    });
}

#[test]
fn broadcast_is_an_arm_of_a_selection() {
    within_a_minute(|| {
        let (events, jobs) = (Broadcast::new(4), BoundedQueue::<u32>::new(1));
        let mut listener = events.subscribe();
        events.send(7).unwrap();
        let heard = select! {
            hear(&mut listener) -> heard => *heard.unwrap().value,
            pop(&jobs) -> _job => unreachable!("nobody pushes"),
        };
        assert_eq!((heard, listener.behind()), (7, 0));
    });
}

#[test]
fn no_value_of_a_busy_broadcast_is_unaccounted_for() {
    within_a_minute(|| {
        let (broadcast, started) = (Broadcast::new(8), Arc::new(Latch::new(3)));
        let hearing: Vec<_> = (0..3)
            .map(|seed| {
                let (listener, starts) = (broadcast.subscribe(), Arc::clone(&started));
                thread::spawn(move || {
                    starts.count_down();
                    let (mut dice, mut next) = (Dice::new(seed), 0);
                    for heard in listener {
                        assert_eq!(*heard.value, next + heard.missed, "in order, and the gap is told");
                        next = *heard.value + 1;
                        if dice.once_in(50) {
                            thread::yield_now();
                        }
                    }
                    next
                })
            })
            .collect();
        started.wait();
        (0..20_000_u64).for_each(|value| broadcast.send(value).unwrap());
        drop(broadcast);
        // The last values are kept, so everybody hears them.
        assert!(hearing.into_iter().all(|thread| thread.join().unwrap() == 20_000));
    });
}
