//! Models of the model side itself: the behaviours that it must show, and the faults that it must find.
//!
//! Each fault below is planted in a few lines of code on the facade. [`find_failure`] must find it; the
//! correct twin must pass under every schedule. These are the negative controls of the harness: if one of
//! them stops failing, no other model proves anything.

use selvedge_loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use selvedge_loom::sync::cell::UnsafeCell;
use selvedge_loom::sync::model::{self, check, find_failure};
use selvedge_loom::sync::{Arc, Condvar, Mutex, OnceLock, RwLock, thread, time, weak};
use std::collections::BTreeSet;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex as Seen;
use std::time::Duration;

type Pair<T> = Arc<(Mutex<T>, Condvar)>;

fn pair<T>(value: T) -> Pair<T> {
    Arc::new((Mutex::new(value), Condvar::new()))
}

/// The outcomes of all executions of a model.
#[derive(Clone, Default)]
struct Outcomes<T>(std::sync::Arc<Seen<BTreeSet<T>>>);

impl<T: Ord + Clone> Outcomes<T> {
    fn note(&self, outcome: T) {
        self.0.lock().unwrap().insert(outcome);
    }

    fn all(&self) -> Vec<T> {
        self.0.lock().unwrap().iter().cloned().collect()
    }
}

/// Two takers of unequal amounts, and units that are returned, first one and then two; `wake` is called for
/// each return.
fn unequal_takers(wake: fn(&Condvar)) -> impl Fn() + Send + Sync + 'static {
    move || {
        let units = pair(0_u32);
        let takers = [2, 1].map(|wanted| {
            let units = Arc::clone(&units);
            thread::spawn(move || {
                let mut free = units.0.lock();
                while *free < wanted {
                    units.1.wait(&mut free);
                }
                *free -= wanted;
            })
        });
        for given in [1, 2] {
            *units.0.lock() += given;
            wake(&units.1);
        }
        for taker in takers {
            taker.join().unwrap();
        }
    }
}

/// The waiters want different amounts, so waking one may wake the wrong one while the other sleeps on.
///
/// Fails if `notify_all` does not wake all (edit `model-notify-all-wakes-one`).
#[test]
fn notifying_one_of_unequal_waiters_is_found() {
    let wake_one = |condvar: &Condvar| {
        condvar.notify_one();
    };
    assert!(find_failure(unequal_takers(wake_one)).unwrap().message().contains("deadlock"));
    check(unequal_takers(|condvar| {
        condvar.notify_all();
    }));
}

fn one_shot(again: bool) -> impl Fn() + Send + Sync + 'static {
    move || {
        let ready = pair(false);
        let waiter = thread::spawn({
            let ready = Arc::clone(&ready);
            move || {
                let mut guard = ready.0.lock();
                if !*guard {
                    ready.1.wait(&mut guard);
                }
                while again && !*guard {
                    ready.1.wait(&mut guard);
                }
                assert!(*guard, "woken for nothing");
            }
        });
        *ready.0.lock() = true;
        ready.1.notify_one();
        waiter.join().unwrap();
    }
}

/// A wait outside a loop takes a spurious wake-up for a notification.
///
/// Fails if there are no spurious wake-ups (edit `model-nothing-is-spurious`).
#[test]
fn a_wait_outside_a_loop_is_found() {
    let failure = find_failure(one_shot(false)).unwrap();
    assert_eq!(failure.message(), "woken for nothing");
    check(one_shot(true));
}

fn flagged(locked: bool) -> impl Fn() + Send + Sync + 'static {
    move || {
        let shared = Arc::new((Mutex::new(()), Condvar::new(), AtomicBool::new(false)));
        let waiter = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let mut guard = shared.0.lock();
                while !shared.2.load(Ordering::SeqCst) {
                    shared.1.wait(&mut guard);
                }
            }
        });
        if locked {
            let _guard = shared.0.lock();
            shared.2.store(true, Ordering::SeqCst);
        } else {
            shared.2.store(true, Ordering::SeqCst);
        }
        shared.1.notify_one();
        waiter.join().unwrap();
    }
}

/// A change of the condition without the waiter's lock falls between the waiter's check and its sleep.
#[test]
fn a_notify_that_bypasses_the_lock_is_found() {
    let failure = find_failure(flagged(false)).unwrap();
    assert!(failure.message().contains("deadlock"), "{failure:?}");
    check(flagged(true));
}

/// A wait with a deadline ends in both ways, and time has advanced only if it timed out.
///
/// Fails if a timed wait never expires (edit `model-wait-never-expires`).
#[test]
fn a_timed_wait_ends_by_time_and_by_notification() {
    let outcomes = Outcomes::default();
    check({
        let outcomes = outcomes.clone();
        move || {
            let ready = pair(false);
            let notifier = thread::spawn({
                let ready = Arc::clone(&ready);
                move || {
                    *ready.0.lock() = true;
                    ready.1.notify_one();
                }
            });
            let deadline = time::now() + Duration::from_secs(1);
            let mut guard = ready.0.lock();
            while !*guard && time::now() < deadline {
                ready.1.wait_until(&mut guard, deadline);
            }
            let late = time::now() >= deadline;
            outcomes.note((*guard, late));
            drop(guard);
            notifier.join().unwrap();
        }
    });
    // Both at once is the tie.
    assert_eq!(outcomes.all(), [(false, true), (true, false), (true, true)]);
}

/// A wait may time out although the condition became true, with a notification, under the lock: the waiter
/// had left the list before the notification, and locked the mutex again after it.
///
/// Fails if the waiter stays in the list until it holds the mutex again (edit
/// `model-timed-wait-leaves-late`).
#[test]
fn a_wait_that_timed_out_may_find_its_condition_true() {
    let outcomes = Outcomes::default();
    check({
        let outcomes = outcomes.clone();
        move || {
            let ready = pair(false);
            let notifier = thread::spawn({
                let ready = Arc::clone(&ready);
                move || {
                    let mut flag = ready.0.lock();
                    *flag = true;
                    ready.1.notify_all();
                }
            });
            let mut flag = ready.0.lock();
            if !*flag {
                let late = ready.1.wait_until(&mut flag, time::now() + Duration::from_secs(1)).timed_out();
                outcomes.note((late, *flag));
            }
            drop(flag);
            notifier.join().unwrap();
        }
    });
    // A wait may also return spuriously.
    assert_eq!(outcomes.all(), [(false, false), (false, true), (true, false), (true, true)]);
}

/// A loop that polls with a time-out does not keep a model from ending.
///
/// Fails if waits may expire without end (edit `model-expiry-has-no-budget`).
#[test]
fn a_polling_loop_ends() {
    check(|| {
        let ready = pair(false);
        let notifier = thread::spawn({
            let ready = Arc::clone(&ready);
            move || {
                *ready.0.lock() = true;
                ready.1.notify_one();
            }
        });
        let mut guard = ready.0.lock();
        while !*guard {
            ready.1.wait_for(&mut guard, Duration::from_millis(1));
        }
        drop(guard);
        notifier.join().unwrap();
    });
}

/// A wait without a condition sleeps forever if the notification comes first. Only the condvar itself orders
/// the two threads.
///
/// Fails if a condvar hides the order of waiting and notifying from loom (edit
/// `model-condvar-touches-nothing`).
#[test]
fn a_wait_without_a_condition_is_found() {
    let failure = find_failure(|| {
        let bell = pair(());
        let ringer = thread::spawn({
            let bell = Arc::clone(&bell);
            move || bell.1.notify_one()
        });
        bell.1.wait(&mut bell.0.lock());
        ringer.join().unwrap();
    });
    assert!(failure.unwrap().message().contains("deadlock"));
}

/// `notify_all` wakes all waiters, and returns their number.
#[test]
fn notify_all_counts_the_woken_waiters() {
    let outcomes = Outcomes::default();
    check({
        let outcomes = outcomes.clone();
        move || {
            let ready = pair(false);
            let waiter = thread::spawn({
                let ready = Arc::clone(&ready);
                move || ready.1.wait_while(&mut ready.0.lock(), |ready| !*ready)
            });
            *ready.0.lock() = true;
            outcomes.note(ready.1.notify_all());
            waiter.join().unwrap();
        }
    });
    assert_eq!(outcomes.all(), [0, 1]);
}

/// Returns what `attempt` returns for a lock and an atomic that no other thread accesses, over all executions
/// of a model with an unrelated race.
fn shown<T: Ord + Clone + Send + 'static>(attempt: fn(&Mutex<u32>, &AtomicUsize) -> T) -> Vec<T> {
    let outcomes = Outcomes::<T>(std::sync::Arc::default());
    check({
        let outcomes = outcomes.clone();
        move || {
            let race = Arc::new(AtomicUsize::new(0));
            let other = thread::spawn({
                let race = Arc::clone(&race);
                move || race.fetch_add(1, Ordering::Relaxed)
            });
            race.fetch_add(1, Ordering::Relaxed);
            outcomes.note(attempt(&Mutex::new(0), &AtomicUsize::new(0)));
            other.join().unwrap();
        }
    });
    outcomes.all()
}

/// `try_lock` may fail on a free lock, and a weak exchange on the value that it expects.
///
/// Fails if they do not (edits `model-try-lock-never-fails` and `model-weak-exchange-never-fails`).
#[test]
fn try_lock_and_weak_exchange_may_fail_without_cause() {
    assert_eq!(shown(|lock, _| lock.try_lock().is_some()), [false, true]);
    let exchange = |_: &Mutex<u32>, atomic: &AtomicUsize| {
        atomic.compare_exchange_weak(0, 1, Ordering::AcqRel, Ordering::Acquire).is_ok()
    };
    assert_eq!(shown(exchange), [false, true]);
}

fn message_passing(store: Ordering, load: Ordering) -> impl Fn() + Send + Sync + 'static {
    move || {
        let shared = Arc::new(Shared { cell: UnsafeCell::new(0), flag: AtomicBool::new(false) });
        let writer = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                shared.cell.with_mut(|cell| {
                    // SAFETY: the pointer is valid; loom checks that the access is exclusive.
                    unsafe { *cell = 7 }
                });
                shared.flag.store(true, store);
            }
        });
        if shared.flag.load(load) {
            let seen = shared.cell.with(|cell| {
                // SAFETY: as above.
                unsafe { *cell }
            });
            assert_eq!(seen, 7);
        }
        writer.join().unwrap();
    }
}

struct Shared {
    cell: UnsafeCell<u32>,
    flag: AtomicBool,
}

// SAFETY: loom checks whether the accesses to the cell are ordered, which is what the test is about.
unsafe impl Sync for Shared {}

/// Publishing with a relaxed store is a race, even if the flag arrives.
#[test]
fn a_relaxed_publication_is_found() {
    assert!(find_failure(message_passing(Ordering::Relaxed, Ordering::Acquire)).is_some());
    assert!(find_failure(message_passing(Ordering::Release, Ordering::Relaxed)).is_some());
    check(message_passing(Ordering::Release, Ordering::Acquire));
}

/// Store buffering: two threads each store one flag and load the other, relaxed, and all four outcomes
/// appear. So the companion that makes loom explore every order orders nothing itself.
///
/// Fails if the companion is a fence (edit `model-companion-orders`).
#[test]
fn store_buffering_shows_all_four_outcomes() {
    let outcomes = Outcomes::default();
    check({
        let outcomes = outcomes.clone();
        move || {
            let flags = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
            let other = thread::spawn({
                let flags = Arc::clone(&flags);
                move || {
                    flags.0.store(1, Ordering::Relaxed);
                    flags.1.load(Ordering::Relaxed)
                }
            });
            flags.1.store(1, Ordering::Relaxed);
            let mine = flags.0.load(Ordering::Relaxed);
            outcomes.note((mine, other.join().unwrap()));
        }
    });
    assert_eq!(outcomes.all(), [(0, 0), (0, 1), (1, 0), (1, 1)]);
}

/// A second opportunity for a spurious failure is used too: of two tries, either may fail alone.
///
/// Fails if only the first is used (edit `model-second-chance-is-not-taken`).
#[test]
fn either_of_two_tries_may_fail() {
    let both = |lock: &Mutex<u32>, _: &AtomicUsize| {
        let first = lock.try_lock().is_some();
        let second = lock.try_lock().is_some();
        [first, second]
    };
    assert_eq!(shown(both), [[false, true], [true, false], [true, true]]);
}

/// A failing exchange may see a value that has been overwritten, although a flag tells so.
///
/// Fails if it always sees the latest (edit `model-failed-exchange-is-up-to-date`).
#[test]
fn a_failed_exchange_may_be_stale() {
    let failure = find_failure(|| {
        let shared = Arc::new((AtomicUsize::new(0), AtomicBool::new(false)));
        let other = Arc::clone(&shared);
        let writer = thread::spawn(move || {
            other.0.store(1, Ordering::Relaxed);
            other.1.store(true, Ordering::Relaxed);
        });
        if shared.1.load(Ordering::Relaxed) {
            let seen = shared.0.compare_exchange(7, 8, Ordering::Relaxed, Ordering::Relaxed);
            assert_eq!(seen, Err(1), "stale");
        }
        writer.join().unwrap();
    });
    assert!(failure.unwrap().message().contains("stale"));
}

/// A reader waits behind a writer, which waits for another reader, which waits for the first: a deadlock on
/// the real side, where no reader overtakes a waiting writer.
///
/// Fails if readers always overtake (edit `model-readers-always-pass`).
#[test]
fn a_reader_that_waits_behind_a_writer_is_found() {
    let failure = find_failure(|| {
        let (lock, read) = (Arc::new(RwLock::new(())), pair(false));
        let held = lock.read();
        let writer = thread::spawn({
            let lock = Arc::clone(&lock);
            move || drop(lock.write())
        });
        let reader = thread::spawn({
            let (lock, read) = (Arc::clone(&lock), Arc::clone(&read));
            move || {
                drop(lock.read());
                *read.0.lock() = true;
                read.1.notify_all();
            }
        });
        read.1.wait_while(&mut read.0.lock(), |read| !*read);
        drop(held);
        writer.join().unwrap();
        reader.join().unwrap();
    });
    assert!(failure.unwrap().message().contains("deadlock"));
}

/// An access to a cell is a switch point, and so is an access to a static.
///
/// Fails if an access to a cell is no loom operation (edit `model-cell-touches-nothing`).
#[test]
fn a_look_at_a_cell_races_its_setter() {
    let outcomes = Outcomes::default();
    check({
        let outcomes = outcomes.clone();
        move || {
            let cell = Arc::new(OnceLock::new());
            let other = Arc::clone(&cell);
            let setter = thread::spawn(move || other.set(7).unwrap());
            outcomes.note((cell.get().copied(), cell.get().copied()));
            setter.join().unwrap();
        }
    });
    assert_eq!(outcomes.all(), [(None, None), (None, Some(7)), (Some(7), Some(7))]);
}

/// A failure that loom reports ends the model, even if the code catches panics.
///
/// Fails if loom's panics are not recorded (edit `model-nobody-hears-loom`).
#[test]
fn a_race_that_is_caught_is_found() {
    let failure = find_failure(|| {
        let shared = Arc::new(Shared { cell: UnsafeCell::new(0), flag: AtomicBool::new(false) });
        let touch = |shared: &Shared| {
            let _ = panic::catch_unwind(AssertUnwindSafe(|| shared.cell.with_mut(|_| ())));
            shared.flag.store(true, Ordering::Relaxed);
        };
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || touch(&other));
        touch(&shared);
        thread.join().unwrap();
    });
    assert!(failure.unwrap().message().contains("Causality violation"));
}

/// A thread that panics ends the model, even if its outcome is not asked for, unless the model says that it
/// joins panics.
///
/// Fails if panics are joined without that (edit `model-panics-are-joined-unasked`).
#[test]
fn a_panic_ends_the_model_unless_it_is_to_be_joined() {
    let body = |joined: bool| {
        move || {
            if joined {
                model::join_panics();
            }
            let (lock, thread) = (pair(0), thread::spawn(|| panic::resume_unwind(Box::new("on purpose"))));
            let other = Arc::clone(&lock);
            let beside = thread::spawn(move || *other.0.lock() += 1);
            *lock.0.lock() += 1;
            beside.join().unwrap();
            let _: Result<(), _> = thread.join();
        }
    };
    assert_eq!(find_failure(body(false)).unwrap().message(), "on purpose");
    check(body(true));
}

fn said(body: impl Fn() + Send + Sync + 'static) -> String {
    find_failure(body).expect("the model is refused").message().to_owned()
}

/// A body that cannot be modelled is rejected, with advice what to do instead.
#[test]
fn what_no_model_can_hold_is_refused_with_advice() {
    let six = said(|| {
        for thread in [(); 5].map(|()| thread::spawn(|| ())) {
            thread.join().unwrap();
        }
    });
    assert!(
        six.starts_with("a model has at most five threads over its life") && six.contains("the sixth"),
        "{six}"
    );

    let twice = said(|| {
        let lock = RwLock::new(());
        let _both = (lock.read(), lock.read());
    });
    assert!(twice.contains("reads the lock already"), "{twice}");

    let mixed = said(|| {
        let shared = Arc::new((Mutex::new(()), Mutex::new(()), Condvar::new()));
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || other.2.wait(&mut other.0.lock()));
        shared.2.wait(&mut shared.1.lock());
        thread.join().unwrap();
    });
    assert!(mixed.contains("two mutexes"), "{mixed}");
}

/// The last handle may be dropped just before an upgrade, and just after.
///
/// Fails if a drop of a handle is no switch point (edit `model-weak-drop-is-no-step`). The litmus programs
/// also notice if a drop publishes nothing (edit `model-weak-drop-publishes-nothing`), or if the last one
/// does not acquire what the others have published (edit `model-weak-last-owner-acquires-nothing`).
#[test]
fn an_upgrade_races_the_last_drop() {
    let race = |ends: fn(Option<weak::Arc<u32>>)| {
        let strong = weak::Arc::new(7);
        let weak = weak::Arc::downgrade(&strong);
        let dropper = thread::spawn(move || drop(strong));
        ends(weak.upgrade());
        dropper.join().unwrap();
    };
    let gone = find_failure(move || race(|value| assert!(value.is_some(), "gone")));
    assert_eq!(gone.unwrap().message(), "gone");
    let there = find_failure(move || race(|value| assert!(value.is_none(), "still there")));
    assert_eq!(there.unwrap().message(), "still there");
    check(move || race(|value| assert!(value.is_none_or(|value| *value == 7))));
}

/// Values that own each other are a leak, which ends the model.
///
/// Fails if leaks are not detected (edit `model-weak-leaks-unseen`).
#[test]
fn a_cycle_of_handles_is_a_leak() {
    struct Linked(Mutex<Option<weak::Arc<Linked>>>);
    let circle = |closed: bool| {
        let value = weak::Arc::new(Linked(Mutex::new(None)));
        let other = weak::Arc::clone(&value);
        let holder = thread::spawn(move || {
            if closed {
                *other.0.lock() = Some(weak::Arc::clone(&other))
            }
        });
        drop(value);
        holder.join().unwrap();
    };
    let leak = find_failure(move || circle(true)).unwrap();
    assert!(leak.message().contains("leaked"), "{leak:?}");
    check(move || circle(false));
}

/// A lock that was held during a panic cannot be locked again in a model, since loom's are poisoned for good.
/// The panic ends the model with an error.
#[test]
fn a_lock_that_was_held_in_a_panic_ends_the_model() {
    let poisoned = said(|| {
        model::join_panics();
        let lock = pair(0);
        let other = Arc::clone(&lock);
        let panics = thread::spawn(move || {
            let _guard = other.0.lock();
            panic::resume_unwind(Box::new("on purpose"));
        });
        let _: Result<(), _> = panics.join();
        drop(lock.0.lock());
    });
    assert!(poisoned.contains("Poison"), "{poisoned}");
}

/// A model that starts no thread proves nothing, and is rejected.
#[test]
#[should_panic(expected = "only one schedule")]
fn a_model_without_a_race_is_refused() {
    check(|| {
        let lock = Mutex::new(1);
        assert_eq!(*lock.lock(), 1);
    });
}
