//! Models of `CancelToken` and of the one place where threads sleep, with the edit that breaks each.

use selvedge_loom as selvedge;

use selvedge::error::{Cancelled, WaitError};
use selvedge::group::Group;
use selvedge::semaphore::OwnedPermit;
use selvedge::sync::atomic::{AtomicUsize, Ordering};
use selvedge::sync::{Arc, model, thread};
use selvedge::{CancelToken, Clock, Latch, Semaphore, Until};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// Who is registered with the token. `Debug` leaves it out when the lock is taken, which a model may show
/// without cause.
fn watchers(token: &CancelToken) -> String {
    loop {
        let text = format!("{token:?}");
        if let Some((_, after)) = text.split_once("watchers: ") {
            return after.chars().take_while(char::is_ascii_digit).collect();
        }
    }
}

/// A cancel reaches a thread that is about to sleep on the token, wherever between its look and its sleep
/// the cancel falls.
///
/// Fails if a token that was cancelled meanwhile takes a watcher into its list all the same (edit
/// `cancel-register-without-looking`).
#[test]
fn cancelling_between_look_and_sleep_is_not_missed() {
    model::check(|| {
        let token = CancelToken::new();
        let sleeper = thread::spawn({
            let token = token.clone();
            move || token.wait()
        });
        token.cancel();
        sleeper.join().unwrap();
    });
}

/// What a thread did before it cancelled is visible to whoever sees the token cancelled: by a look at it or
/// at a child, by a failed check, by its cause, by a wait that ends, in a callback.
///
/// Fails if a cancel publishes nothing (edit `cancel-store-relaxed`), or if a look at the token does not look
/// at what was published (edit `cancel-load-relaxed`).
#[test]
fn a_cancel_publishes() {
    type Look = fn(&CancelToken, &Arc<AtomicUsize>) -> bool;
    let looks: [Look; 6] = [
        |token, _| token.is_cancelled(),
        |token, _| token.check().is_err(),
        |token, _| token.cause().is_some(),
        |token, _| {
            token.wait();
            true
        },
        |token, _| token.child().is_cancelled(),
        |token, stored| {
            let stored = Arc::clone(stored);
            token.on_cancel(move || assert_eq!(stored.load(Ordering::Relaxed), 1, "not visible")).keep();
            false
        },
    ];
    for look in looks {
        model::check(move || {
            let (token, stored) = (CancelToken::new(), Arc::new(AtomicUsize::new(0)));
            let canceller = thread::spawn({
                let (token, stored) = (token.clone(), Arc::clone(&stored));
                move || {
                    stored.store(1, Ordering::Relaxed);
                    token.cancel();
                }
            });
            if look(&token, &stored) {
                assert_eq!(stored.load(Ordering::Relaxed), 1, "not visible");
            }
            canceller.join().unwrap();
        });
    }
}

/// A sleep on a manual clock ends by cancel or by time, and says which.
///
/// Fails if a wait for a token does not register with it (edit `cancel-wait-registers-nothing`).
#[test]
fn a_sleep_ends_once_by_cancel_or_by_time() {
    model::check(|| {
        let clock = Clock::manual();
        let token = CancelToken::with_clock(&clock);
        let latch = Arc::new(Latch::new(1));
        let sleeper = thread::spawn({
            let (token, latch) = (token.clone(), Arc::clone(&latch));
            move || {
                let first = token.sleep(HOUR);
                latch.count_down();
                // A second end of the first wait would show here.
                let second = token.wait_until((token.clock(), HOUR));
                (first, second)
            }
        });
        let canceller = thread::spawn({
            let token = token.clone();
            move || token.cancel()
        });
        clock.advance(HOUR);
        latch.wait();
        canceller.join().unwrap();
        let (first, second) = sleeper.join().unwrap();
        assert!(matches!(first, Ok(()) | Err(Cancelled)));
        assert_eq!(second, Ok(()));
    });
}

/// `advance` reaches a thread that is about to sleep until a deadline of the manual clock.
///
/// Fails if an alarm is set without a look at the time (edit `clock-alarm-without-looking`).
#[test]
fn advancing_between_look_and_sleep_is_not_missed() {
    model::check(|| {
        let clock = Clock::manual();
        let token = CancelToken::with_clock(&clock);
        let at = clock.now() + HOUR;
        let sleeper = thread::spawn({
            let token = token.clone();
            move || token.wait_until((token.clock(), at))
        });
        clock.advance(HOUR);
        assert_eq!(sleeper.join().unwrap(), Err(WaitError::TimedOut));
    });
}

/// A grant, a cancel and a deadline meet: exactly one of them ends the wait, and a permit that was not
/// received is free.
///
/// Fails if a waiter can be ended twice (edit `slot-ends-twice`).
#[test]
fn a_grant_a_cancel_and_a_deadline_end_one_wait() {
    model::check(|| {
        let clock = Clock::manual();
        let token = CancelToken::with_clock(&clock);
        let semaphore = Arc::new(Semaphore::new(1));
        let permit = semaphore.acquire_owned().unwrap();
        let waiter = thread::spawn({
            let (token, semaphore) = (token.clone(), Arc::clone(&semaphore));
            move || semaphore.acquire_owned_until((&token, HOUR)).map(OwnedPermit::forget)
        });
        let canceller = thread::spawn(move || token.cancel());
        clock.advance(HOUR);
        drop(permit);
        canceller.join().unwrap();
        let received = usize::from(waiter.join().unwrap().is_ok());
        assert_eq!((semaphore.available(), semaphore.total()), (1 - received, 1 - received));
    });
}

/// A child made while its parent is cancelled is cancelled too.
///
/// Fails if the child enters its parent's list without a look at the cause (edit
/// `cancel-child-without-looking`).
#[test]
fn a_child_made_while_its_parent_is_cancelled_is_cancelled() {
    model::check(|| {
        let parent = CancelToken::new();
        let maker = thread::spawn({
            let parent = parent.clone();
            move || parent.child()
        });
        parent.cancel();
        let child = maker.join().unwrap();
        assert!(child.is_cancelled());
        child.wait();
    });
}

/// A child dropped while its parent is cancelled neither hangs nor harms its sibling, also if the canceller
/// is the one that has the child's last handle.
///
/// Fails if a dropped child takes back whatever now has its key (edit `cancel-forget-after-the-end`), or if
/// the canceller lets go of a child while it holds the parent's lock (edit `cancel-upgrades-under-the-lock`).
#[test]
fn a_child_dropped_while_its_parent_is_cancelled_is_forgotten() {
    model::check(|| {
        let parent = CancelToken::new();
        let (leaving, staying) = (parent.child(), parent.child());
        let dropper = thread::spawn(move || drop(leaving));
        parent.cancel();
        dropper.join().unwrap();
        assert!(staying.is_cancelled());
    });
}

/// A child dropped while another is made leaves the other in the parent's list.
///
/// Fails if a child does not leave the list when it is dropped (edit `cancel-child-stays-in-the-list`).
#[test]
fn a_dropped_child_leaves_nothing_behind() {
    model::check(|| {
        let parent = CancelToken::new();
        let leaving = parent.child();
        let dropper = thread::spawn(move || drop(leaving));
        let staying = parent.child();
        dropper.join().unwrap();
        assert_eq!(watchers(&parent), "1");
        parent.cancel();
        assert!(staying.is_cancelled());
    });
}

/// A callback registered while the token is cancelled runs exactly once.
///
/// Fails if registering does not run the callback of a token that was cancelled (edit
/// `cancel-callback-dropped`).
#[test]
fn a_callback_registered_while_cancelling_runs_once() {
    model::check(|| {
        let token = CancelToken::new();
        let calls = Arc::new(AtomicUsize::new(0));
        let registrar = thread::spawn({
            let (token, calls) = (token.clone(), Arc::clone(&calls));
            move || {
                token.on_cancel(move || {
                    calls.fetch_add(1, Ordering::Relaxed);
                })
            }
        });
        token.cancel();
        let guard = registrar.join().unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        drop(guard);
    });
}

/// Two cancellers with different reasons: one of them is the cause, and each watcher is told once.
///
/// Fails if a later canceller overwrites the cause (edit `cancel-last-cause-wins`).
#[test]
fn the_first_cause_stays_for_parent_and_child() {
    model::check(|| {
        let parent = CancelToken::new();
        let child = parent.child();
        let other = thread::spawn({
            let parent = parent.clone();
            move || {
                parent.cancel_because("other");
                parent.cause().unwrap().to_string()
            }
        });
        parent.cancel_because("main");
        let seen = parent.cause().unwrap().to_string();
        assert_eq!(seen, other.join().unwrap());
        assert_eq!(seen, parent.cause().unwrap().to_string());
        // The child has it once the call that cancelled the parent has returned, and both have.
        assert_eq!(seen, child.cause().unwrap().to_string());
    });
}

/// A token's own deadline wakes who sleeps on the token, and on its child, when the clock gets there.
///
/// Fails if a token with a deadline sets no alarm for its sleepers (edit `cancel-sleeper-sets-no-alarm`), or
/// if the clock does not ring what is due to the nanosecond (edit `clock-advance-rings-nobody`).
#[test]
fn a_deadline_wakes_sleepers_of_token_and_child() {
    model::check(|| {
        let clock = Clock::manual();
        let token = CancelToken::with_clock(&clock).child_until(HOUR);
        let child = token.child();
        let sleeper = thread::spawn(move || {
            child.wait();
            child.cause().unwrap().is_deadline()
        });
        clock.advance(HOUR);
        assert!(sleeper.join().unwrap());
        assert!(token.is_cancelled());
    });
}

/// Whoever has seen the token cancelled finds `done()` disconnected, and whoever has seen `done()`
/// disconnected finds a cause. (That it finds `is_cancelled` true rests on what crossbeam's disconnection
/// publishes, of which loom knows nothing; `tests/cancel.rs` looks for that on real threads.)
///
/// Fails if the channel is disconnected after the token is cancelled (edit `cancel-disconnects-later`).
#[test]
fn cancelled_and_done_are_seen_together() {
    model::check(|| {
        let token = CancelToken::new();
        let done = token.done().clone();
        let canceller = thread::spawn({
            let token = token.clone();
            move || token.cancel()
        });
        let is_disconnected = || done.try_recv().unwrap_err().is_disconnected();
        if token.is_cancelled() {
            assert!(is_disconnected());
        }
        if is_disconnected() {
            assert!(token.cause().is_some());
        }
        canceller.join().unwrap();
    });
}

/// The channel of `done()` is disconnected however making it and cancelling fall together.
///
/// Fails if `done` keeps its sender although the token was cancelled (edit `cancel-done-after-the-end`).
#[test]
fn a_done_channel_made_while_cancelling_is_disconnected() {
    model::check(|| {
        let token = CancelToken::new();
        let other = thread::spawn({
            let token = token.clone();
            move || drop(token.done().clone())
        });
        token.cancel();
        other.join().unwrap();
        // Not a wait: crossbeam's channels know nothing of loom.
        let state = token.done().try_recv();
        assert_eq!(state, Err(crossbeam_channel::TryRecvError::Disconnected));
    });
}

/// A sleeper that was told to stop holds no registration any more when it returns.
///
/// Fails if the registration of a sleep is not taken back (edit `cancel-watch-stays`), or if a sleep forgets
/// its deadline (edit `sleep-forgets-the-deadline`).
#[test]
fn a_sleep_that_ended_by_time_leaves_no_watcher() {
    model::check(|| {
        let token = CancelToken::new();
        let sleeper = thread::spawn({
            let token = token.clone();
            move || token.sleep(HOUR)
        });
        // The system's clock, in a model, may pass the hour at any point.
        assert_eq!(token.sleep(HOUR), Ok(()));
        assert_eq!(sleeper.join().unwrap(), Ok(()));
        assert_eq!(watchers(&token), "0");
    });
}

/// A token that follows another by the limit of `child_until` is cancelled with it.
///
/// Fails if the link to the other token is not made (edit `cancel-follow-forgotten`).
#[test]
fn a_child_until_another_token_is_cancelled_with_it() {
    model::check(|| {
        let (parent, other) = (CancelToken::new(), CancelToken::new());
        let sleeper = thread::spawn({
            let (parent, other) = (parent.clone(), other.clone());
            move || parent.child_until(Until::from(&other)).wait()
        });
        other.cancel();
        sleeper.join().unwrap();
        assert!(!parent.is_cancelled());
        assert_eq!(watchers(&parent), "0");
    });
}

/// A group's token, which is loose until somebody sleeps on it, wakes its sleeper wherever the parent's
/// cancel falls.
///
/// Fails if a node is taken for tied before it is in its parent's list (edit
/// `cancel-tied-before-it-is-listed`).
#[test]
fn a_loose_token_that_is_slept_on_while_its_parent_is_cancelled_wakes_the_sleeper() {
    model::check(|| {
        let parent = CancelToken::new();
        let group = Group::<()>::new(&parent);
        let sleeper = thread::spawn({
            let token = group.token().clone();
            move || token.wait()
        });
        parent.cancel();
        assert!(group.token().is_cancelled());
        sleeper.join().unwrap();
    });
}

/// A loose token that was seen cancelled stays so, while another thread ties it, and it has its parent's
/// cause.
///
/// Fails if a look at a loose token tells of the parent's end without ending the token (edit
/// `cancel-loose-is-not-ended`).
#[test]
fn a_loose_token_that_was_seen_cancelled_stays_cancelled() {
    model::check(|| {
        let parent = CancelToken::new();
        let group = Group::<()>::new(&parent);
        let sleeper = thread::spawn({
            let token = group.token().clone();
            move || token.wait()
        });
        let canceller = thread::spawn({
            let parent = parent.clone();
            move || parent.cancel_because("parent")
        });
        if group.token().is_cancelled() {
            assert!(group.token().is_cancelled());
            group.token().cancel_because("later");
        }
        canceller.join().unwrap();
        sleeper.join().unwrap();
        assert_eq!(group.token().cause().unwrap().to_string(), "parent");
    });
}

/// Two threads that sleep on a loose token at once tie it once: both are woken, and the parent forgets it
/// when it is gone.
///
/// Fails if the thread that comes second leaves its entry in the parent's list (edit `cancel-tied-twice`).
#[test]
fn a_loose_token_that_is_tied_by_two_is_in_the_list_once() {
    model::check(|| {
        let parent = CancelToken::new();
        let group = Group::<()>::new(&parent);
        let tie = |token: CancelToken| drop(token.on_cancel(|| ()));
        let other = thread::spawn({
            let token = group.token().clone();
            move || tie(token)
        });
        tie(group.token().clone());
        other.join().unwrap();
        assert_eq!(watchers(&parent), "1");
        drop(group);
        assert_eq!(watchers(&parent), "0");
    });
}

/// A loose token that is cancelled after its parent has the parent's cause, whoever ties it meanwhile.
///
/// Fails if whoever cancels a loose token does not look at the parent (edit
/// `cancel-loose-overlooks-its-parent`).
#[test]
fn a_loose_token_that_is_cancelled_after_its_parent_has_the_parents_cause() {
    model::check(|| {
        let parent = CancelToken::new();
        let group = Group::<()>::new(&parent);
        let sleeper = thread::spawn({
            let token = group.token().clone();
            move || token.wait()
        });
        parent.cancel_because("parent");
        group.token().cancel_because("token");
        assert_eq!(group.token().cause().unwrap().to_string(), "parent");
        sleeper.join().unwrap();
    });
}

/// A callback that counts itself and opens a latch, on a token whose deadline may come at any time from now
/// on.
fn calls_at_a_deadline(calls: &Arc<AtomicUsize>, called: &Arc<Latch>) -> CancelToken {
    let token = CancelToken::new().child_until(HOUR);
    let (calls, called) = (Arc::clone(calls), Arc::clone(called));
    token
        .on_cancel(move || {
            calls.fetch_add(1, Ordering::Relaxed);
            called.count_down();
        })
        .keep();
    token
}

/// The system refuses the thread that calls at deadlines, and has threads again later: whichever thread
/// sleeps next asks for it, and the callback is called, once.
///
/// Fails if nobody remembers that the thread was refused (edit `alarms-refusal-is-forgotten`), or if it
/// counts as running (edit `alarms-refused-counts-as-running`).
#[test]
fn a_callback_whose_thread_was_refused_is_called_once_there_are_threads() {
    model::check(|| {
        model::refuse_threads_after(0);
        let (calls, called) = (Arc::new(AtomicUsize::new(0)), Arc::new(Latch::new(1)));
        let token = calls_at_a_deadline(&calls, &called);
        let sleeper = thread::spawn({
            let called = Arc::clone(&called);
            move || called.wait()
        });
        model::refuse_threads_after(usize::MAX);
        called.wait();
        sleeper.join().unwrap();
        assert!(token.is_cancelled());
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    });
}

/// A second deadline is set while the thread that has served the first is about to leave: it is served, too.
///
/// Fails if the thread says later than it looks that it has left (edit `alarms-thread-leaves-unseen`).
#[test]
fn a_deadline_that_is_set_while_the_thread_leaves_is_served() {
    model::check(|| {
        // The threads are counted, none is refused.
        model::refuse_threads_after(3);
        let (calls, called) = (Arc::new(AtomicUsize::new(0)), Arc::new(Latch::new(2)));
        let first = calls_at_a_deadline(&calls, &called);
        let second = calls_at_a_deadline(&calls, &called);
        called.wait();
        assert!(first.is_cancelled() && second.is_cancelled());
        assert_eq!(calls.load(Ordering::Relaxed), 2);
    });
}
