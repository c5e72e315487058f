//! Models of `Watch` and `Broadcast`, with the edits that break each.

use selvedge_loom as selvedge;

use selvedge::error::Closed;
use selvedge::sync::{model, thread};
use selvedge::watch::{Broadcast, Watch};
use selvedge::{CancelToken, select};

/// A change between a watcher's look and its sleep is not missed, and neither is a second one.
///
/// Fails if a new value has the version of the one before (edit `watch-value-keeps-its-version`).
#[test]
fn a_change_reaches_a_watcher_that_is_about_to_wait() {
    model::check(|| {
        let watch = Watch::new(0);
        let mut watcher = watch.subscribe();
        watcher.latest();
        let watches = thread::spawn(move || *watcher.wait_for(|value| *value == 2).unwrap());
        watch.set(1);
        watch.set(2);
        assert_eq!(watches.join().unwrap(), 2);
    });
}

/// The last sender sets a value and is dropped: a watcher gets the value, and then the end, whenever it
/// looks.
///
/// Fails if the end comes before a value that was not seen (edit `watch-end-comes-first`), or if the drop of
/// the last sender tells nobody (edit `watch-drop-does-not-close`).
#[test]
fn the_last_value_comes_before_the_end() {
    model::check(|| {
        let watch = Watch::new(0);
        let mut watcher = watch.subscribe();
        watcher.latest();
        let sets = thread::spawn(move || watch.set(1));
        assert_eq!(watcher.changed().map(|value| *value), Ok(1));
        assert_eq!(watcher.changed().map(|value| *value), Err(Closed));
        sets.join().unwrap();
    });
}

/// Two updates that meet are made one after the other.
///
/// Fails if an update overwrites a value that it was not made from (edit `watch-update-overwrites`).
#[test]
fn two_updates_at_once_both_count() {
    model::check(|| {
        let watch = Watch::new(0);
        let other = thread::spawn({
            let watch = watch.clone();
            move || drop(watch.update(|count| count + 1))
        });
        watch.update(|count| count + 1);
        other.join().unwrap();
        assert_eq!(*watch.get(), 2);
    });
}

/// A change meets a cancel of the selection that waits for it: either the selection has it, or the watcher
/// has not seen it.
///
/// Fails if a look that finds nothing new counts as one (edit `watch-look-marks-too-much`).
#[test]
fn a_change_that_meets_a_cancel_is_seen_once() {
    model::check(|| {
        let (watch, stop) = (Watch::new(0), CancelToken::new());
        let mut watcher = watch.subscribe();
        watcher.latest();
        let stops = stop.clone();
        let sets = thread::spawn(move || {
            stops.cancel();
            watch.set(1);
            watch
        });
        let seen = select! {
            changed(&mut watcher) -> value => { assert_eq!(*value.unwrap(), 1); true }
            until(&stop) -> _why => false,
        };
        let _watch = sets.join().unwrap();
        assert_eq!(watcher.has_changed(), !seen);
    });
}

/// Each of two listeners gets a value, whichever of them waits, and then the end.
///
/// Fails if a value is for the listeners before it only (edit `broadcast-listener-stays-behind`), or if the
/// drop of the last sender tells nobody (edit `broadcast-drop-does-not-close`).
#[test]
fn a_value_reaches_every_listener() {
    model::check(|| {
        let broadcast = Broadcast::new(1);
        let (mut one, mut other) = (broadcast.subscribe(), broadcast.subscribe());
        let hears = thread::spawn(move || {
            let heard = one.hear().unwrap();
            (*heard.value, heard.missed, one.hear().map(|heard| *heard.value))
        });
        broadcast.send(7).unwrap();
        drop(broadcast);
        let heard = other.hear().unwrap();
        assert_eq!((*heard.value, heard.missed), (7, 0));
        assert_eq!(hears.join().unwrap(), (7, 0, Err(Closed)));
    });
}

/// A listener that is overtaken while it listens hears the rest, and what it heard and what it missed is all
/// that was sent.
///
/// Fails if a value that drops out is not counted (edit `broadcast-loses-count`).
#[test]
fn a_listener_that_is_overtaken_counts_what_it_missed() {
    model::check(|| {
        let broadcast = Broadcast::new(1);
        let listener = broadcast.subscribe();
        let sends = thread::spawn(move || (0..3_u64).for_each(|value| broadcast.send(value).unwrap()));
        let mut next = 0;
        for heard in listener {
            assert_eq!(*heard.value, next + heard.missed);
            next = *heard.value + 1;
        }
        assert_eq!(next, 3);
        sends.join().unwrap();
    });
}
